package tenancy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/kube"
	"example.com/journal/internal/graphtest"
)

// The end-to-end tests check on a real API server what the expressions refuse.
func TestTheRulesHoldForAllTenantsAndLetWhatTheyAreNotAboutThrough(t *testing.T) {
	g := graphtest.Run(t, func(ctx *pulumi.Context) error {
		_, err := NewAdmissionPolicies(ctx, "admission-policies", nil)
		return err
	})
	changed := map[string]bool{}
	policies := g.OfType(graphtest.AdmissionPolicy)
	require.Len(t, policies, 12)
	for _, policy := range policies {
		assert.Equal(t, []any{map[string]any{"key": "journal.example.com/tenant", "operator": "Exists"}},
			policy.Field("spec.matchConstraints.namespaceSelector.matchExpressions"), policy.Name)
		assert.Equal(t, []any{"Deny", "Audit"}, graphtest.Find(t, g, graphtest.AdmissionBinding, policy.Name).Field("spec.validationActions"), policy.Name)
		assert.NotContains(t, fmt.Sprint(policy.Field("spec.matchConditions")), "userInfo", "%s exempts somebody", policy.Name)
		changed[policy.Name] = policy.Field("spec.matchConditions[0].name") == "changed"
	}
	assert.Equal(t, map[string]bool{
		"journal-tenant-ingresses": true, "journal-tenant-routes": true, "journal-tenant-gateways": true, "journal-tenant-services": true,
		"journal-tenant-pods": true, "journal-tenant-volumes": true, "journal-tenant-pod-ends": false, "journal-tenant-pod-sizes": true, "journal-tenant-finalizers": true,
		"journal-tenant-networkpolicies": false,
		"journal-tenant-tokens":          false, "journal-tenant-token-secrets": true,
	}, changed, "an update that changes nothing else is let through")
}

func TestAPriorityOfAllPodsIsThatOfTheTenants(t *testing.T) {
	g := graphtest.Run(t, func(ctx *pulumi.Context) error {
		_, err := NewAdmissionPolicies(ctx, "admission-policies", &AdmissionPoliciesArgs{TenantPriority: 1000})
		return err
	})
	assert.Contains(t, graphtest.Find(t, g, graphtest.AdmissionPolicy, "journal-tenant-pods").Field("spec.validations[0].expression"), "orValue(1000) <= 1000")
}

func TestDevelopersWriteRoutesWhereTheStackUsesTheGatewayAPI(t *testing.T) {
	for gateway, verbs := range map[bool]struct{ read, write int }{false: {0, 0}, true: {len(kube.ReadVerbs), len(kube.WriteVerbs)}} {
		g := graphtest.Run(t, func(ctx *pulumi.Context) error {
			_, err := NewRoles(ctx, "roles", &RolesArgs{Gateway: gateway})
			return err
		})
		for role, want := range map[string]int{DeveloperRole: verbs.write, ViewerRole: verbs.read} {
			found := 0
			for _, rule := range graphtest.Grants(graphtest.Find(t, g, graphtest.ClusterRole, role+"-base")) {
				if strings.HasPrefix(rule, gatewayGroup+"/httproutes:") {
					found++
				}
			}
			assert.Equal(t, want, found, "%s, %t", role, gateway)
		}
	}
}

func TestThePrioritiesAreAboveTheTenants(t *testing.T) {
	g := declareShared(t)
	platform := graphtest.Find(t, g, graphtest.PriorityClass, PlatformPriorityClass).Field("value")
	journal := graphtest.Find(t, g, graphtest.PriorityClass, JournalPriorityClass).Field("value")
	assert.Greater(t, platform, journal)
	assert.Positive(t, journal)
	for _, class := range g.OfType(graphtest.PriorityClass) {
		assert.Nil(t, class.Field("globalDefault"), "every pod would have it")
	}
	assert.NoError(t, (&AdmissionPoliciesArgs{TenantPriority: journalPriority - 1}).Check().Err())
	assert.ErrorContains(t, (&AdmissionPoliciesArgs{TenantPriority: journalPriority}).Check().Err(), `tenantPriority "900000": must be -2147483648 to 899999`)
}

// TestWhatIsFilledInIsFilledInForAllTenants reads what the policies are about. services/policies tries them on an API server.
func TestWhatIsFilledInIsFilledInForAllTenants(t *testing.T) {
	const mutation, binding = "kubernetes:admissionregistration.k8s.io/v1:MutatingAdmissionPolicy", "kubernetes:admissionregistration.k8s.io/v1:MutatingAdmissionPolicyBinding"
	for _, on := range []*bool{nil, new(true), new(false)} {
		var declared *AdmissionPolicies
		g := graphtest.Run(t, func(ctx *pulumi.Context) (err error) {
			declared, err = NewAdmissionPolicies(ctx, "admission-policies", &AdmissionPoliciesArgs{PodDefaults: on})
			return err
		})
		policies := g.OfType(mutation)
		if on != nil && !*on {
			assert.Empty(t, policies)
			assert.Empty(t, g.OfType(binding))
			continue
		}
		require.Len(t, policies, 2)
		assert.Len(t, declared.Bindings, 14, "whoever waits for the bindings waits for these too")
		for _, policy := range policies {
			assert.Contains(t, policy.Field("spec.matchConstraints.namespaceSelector.matchExpressions"), map[string]any{"key": TenantLabel, "operator": "Exists"}, policy.Name)
			found := graphtest.Find(t, g, binding, policy.Name)
			assert.Equal(t, policy.Name, found.Field("spec.policyName"))
			assert.Contains(t, strings.Join(found.DependsOn, " "), "MutatingAdmissionPolicy::"+policy.Name)
		}
		pods := graphtest.Find(t, g, mutation, "journal-pod-defaults")
		assert.Contains(t, pods.Field("spec.matchConstraints.namespaceSelector.matchExpressions"),
			map[string]any{"key": "pod-security.kubernetes.io/enforce", "operator": "In", "values": []any{"restricted"}})
	}
}
