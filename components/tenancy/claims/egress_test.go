package claims

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/tenancy"
	"example.com/journal/internal/graphtest"
)

// withEgress are a number of tenants with all the ranges that one may have.
func withEgress(count int) *Args {
	args := &Args{}
	for i := range count {
		tenant := tenancy.TenantArgs{Name: fmt.Sprintf("tenant-%04d", i), Owner: "user:alice", Contact: "alice@example.com", Egress: tenancy.Egress{Internet: true}}
		for r := range 16 {
			tenant.Egress.CIDRs = append(tenant.Egress.CIDRs, fmt.Sprintf("172.%d.%d.0/24", r, i%256))
		}
		args.Tenants = append(args.Tenants, tenant)
	}
	return args
}

// The API server compiles no expression of more than 100000 characters, and etcd stores no object of more than 1.5 MB.
func TestTheWaysOutOfAThousandTenantsFitIntoThePolicyAndTheSettings(t *testing.T) {
	literals, err := withEgress(1000).network().egressLiterals()
	require.NoError(t, err)
	total := 0
	for _, literal := range literals {
		assert.LessOrEqual(t, len(literal), 100_000)
		total += len(literal)
	}
	assert.Greater(t, len(literals), 1)
	assert.Less(t, total, 500_000)
	g := declareAll(t, func(a *Args) { a.Tenants = withEgress(1000).Tenants })
	for _, data := range graphtest.Find(t, g, graphtest.ConfigMap, "claims-limits").Field("data").(map[string]any) {
		assert.Less(t, len(data.(string)), 500_000)
	}
	few, err := withEgress(1).network().egressLiterals()
	require.NoError(t, err)
	assert.Len(t, few, 1)
	none, err := (&Args{}).network().egressLiterals()
	require.NoError(t, err)
	assert.Equal(t, []string{"{}"}, none)
}

func TestTheControllerIsToldOnlyOfTenantsWithWaysOut(t *testing.T) {
	args := &Args{ClusterAddresses: tenancy.Addresses{"198.51.100.0/24"}, Tenants: []tenancy.TenantArgs{
		{Name: "team-a", Egress: tenancy.Egress{Internet: true, CIDRs: []string{"10.20.0.0/16"}}}, {Name: "team-b"}, {Name: "team-c", Egress: tenancy.Egress{Tenants: []string{"team-b"}}},
	}}
	n := args.network()
	assert.Equal(t, map[string][]string{"team-a": {"internet", "10.20.0.0/16"}}, n.Egress)
	assert.Equal(t, tenancy.InternetPeers(args.ClusterAddresses), n.Internet)
}

// Otherwise the policies would refuse what the controller applies by its new settings.
func TestThePoliciesKnowTheSettingsBeforeTheController(t *testing.T) {
	g := declareAll(t, nil)
	for _, name := range []string{"claims-limits", "claims-class-small"} {
		assert.Contains(t, fmt.Sprint(graphtest.Find(t, g, graphtest.ConfigMap, name).DependsOn), graphtest.AdmissionBinding+"::journal-controller-policy-objects", name)
	}
}
