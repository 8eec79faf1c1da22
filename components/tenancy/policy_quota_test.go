package tenancy

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

// TestTheQuotaPolicyReadsTheQuotaOfATenant compares what the policy reads with what the quota has. The expressions themselves are
// tried on a real cluster: sandbox/e2e.
func TestTheQuotaPolicyReadsTheQuotaOfATenant(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := NewQuotaPolicy(ctx, "quota-policy", &QuotaPolicyArgs{Namespaces: []string{"journal"}})
		return err
	})
	require.NoError(t, err)
	policy := graphtest.Find(t, g, "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy", "journal-quota-policy")
	assert.Equal(t, map[string]any{"apiVersion": "v1", "kind": "ResourceQuota"}, policy.Field("spec.paramKind"))

	var quota kube.Object
	for _, object := range PolicyObjects(Large(), 0, nil) {
		if object["kind"] == "ResourceQuota" {
			quota = object
		}
	}
	hard := quota["spec"].(map[string]any)["hard"].(map[string]string)
	for _, resource := range quotaResources {
		assert.Contains(t, hard, resource)
	}
	for resource := range hard {
		if strings.Contains(resource, ".cpu") || strings.Contains(resource, ".memory") {
			assert.Contains(t, quotaResources, resource, "a workload without room for %s would be accepted", resource)
		}
	}
	for name, want := range map[string][]any{"journal-quota-policy": {"Deny", "Audit"}, "journal-quota-policy-warning": {"Warn", "Audit"}} {
		t.Run(name, func(t *testing.T) {
			binding := graphtest.Find(t, g, "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding", name)
			assert.Equal(t, quota.Name(), binding.Field("spec.paramRef.name"))
			assert.Nil(t, binding.Field("spec.paramRef.namespace"), "it is the workload's own")
			assert.Equal(t, want, binding.Field("spec.validationActions"))
			assert.Equal(t, []any{"journal"}, binding.Field("spec.matchResources.namespaceSelector.matchExpressions[0].values"))
		})
	}
}

// TestTheLimitPolicyReadsTheLimitsOfATenant compares what the policy reads with what the LimitRange has. services/policies tries
// the expressions on an API server.
func TestTheLimitPolicyReadsTheLimitsOfATenant(t *testing.T) {
	g := graphtest.Run(t, func(ctx *pulumi.Context) error {
		_, err := NewQuotaPolicy(ctx, "quota-policy", &QuotaPolicyArgs{Namespaces: []string{"journal"}})
		return err
	})
	policy := graphtest.Find(t, g, graphtest.AdmissionPolicy, "journal-limit-policy")
	assert.Equal(t, map[string]any{"apiVersion": "v1", "kind": "LimitRange"}, policy.Field("spec.paramKind"))
	assert.Contains(t, policy.Field("spec.matchConditions[1].expression"), `request.namespace in ["journal"]`)
	binding := graphtest.Find(t, g, graphtest.AdmissionBinding, "journal-limit-policy")
	assert.Equal(t, limitRange(Small()).Name(), binding.Field("spec.paramRef.name"))
	assert.Equal(t, "Allow", binding.Field("spec.paramRef.parameterNotFoundAction"))
	assert.Equal(t, []any{"Deny", "Audit"}, binding.Field("spec.validationActions"))
	says := policy.Field("spec.variables[7].expression")
	for _, entry := range limitRange(Small())["spec"].(map[string]any)["limits"].([]any) {
		for field, quantities := range entry.(map[string]any) {
			if quantities, ok := quantities.(map[string]string); ok && entry.(map[string]any)["type"] != "PersistentVolumeClaim" {
				for resource := range quantities {
					assert.Contains(t, says, `"`+resource+`"`, "nobody reads %s", field)
				}
			}
		}
	}
}
