package claims

import (
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"

	"example.com/journal/components/tenancy"
	"example.com/journal/internal/graphtest"
)

func TestThePoliciesNameTheSuspendedTenants(t *testing.T) {
	args := func(a *Args) {
		a.Tenants = []tenancy.TenantArgs{
			{Name: "team-a", Owner: "user:alice", Contact: "a"}, {Name: "team-b", Owner: "user:bob", Contact: "b", Suspended: true},
		}
	}
	variablesOf := func(name string, change func(*Args)) string {
		return fmt.Sprint(graphtest.Find(t, declareAll(t, change), graphtest.AdmissionPolicy, name).Field("spec.variables"))
	}
	for _, name := range []string{"journal-controller-namespaces", "journal-controller-policy-objects"} {
		variables := func(change func(*Args)) string { return variablesOf(name, change) }
		assert.Contains(t, variables(args), ` in [dyn("team-b")] name:suspended`, name)
		assert.Contains(t, variables(nil), ` in [] name:suspended`, name)
	}
	for _, name := range []string{"journal-controller-namespaces", "journal-controller-bindings", "journal-claim-new-owner"} {
		assert.Contains(t, variablesOf(name, args), `"team-a": ["o User alice"], "team-b": ["v User bob"]`, name)
	}
}

func TestTheControllerReadsWhatAQuotaOfASuspendedNamespaceHas(t *testing.T) {
	var stopped map[string]string
	graphtest.Decode(t, graphtest.Find(t, declareAll(t, nil), graphtest.ConfigMap, "claims-limits"), "suspended.json", &stopped)
	assert.Equal(t, tenancy.SuspendedQuota(), stopped)
	args := &Args{Image: pulumi.String(controllerImage)}
	assert.Equal(t, []string{}, args.suspended(), "nil would be null in the policies")
}

func TestTheBudgetsDefinitionIsTheFileAsItIs(t *testing.T) {
	crd := graphtest.Find(t, declareAll(t, nil), graphtest.CRD, "claims-budgets")
	assert.Equal(t, "budgets.journal.example.com", crd.Field("metadata.name"))
	assert.Equal(t, "Namespaced", crd.Field("spec.scope"))
	assert.NotNil(t, crd.Field("spec.versions[0].subresources.status"))
	assert.Equal(t, "self.metadata.name == 'tenant'", crd.Field(`spec.versions[0].schema.openAPIV3Schema["x-kubernetes-validations"][0].rule`))
	// An alias of YAML is written out.
	assert.Equal(t, "string", crd.Field("spec.versions[0].schema.openAPIV3Schema.properties.status.properties.memory.type"))
	for i, column := range []string{"CPU", "Memory", "Storage", "Pods", "Claims"} {
		assert.Equal(t, column, crd.Field("spec.versions[0].additionalPrinterColumns").([]any)[i].(map[string]any)["name"])
	}
}
