package tenancy

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

// suspendable returns a tenant with one member in each role.
func suspendable() *TenantArgs {
	args := teamA()
	args.Members = Members{Developers: []Subject{"user:bob"}, Viewers: []Subject{"group:guild"}}
	args.SecretAccess = true
	return args
}

func TestASuspendedTenantIsReadAndNothingRunsInIt(t *testing.T) {
	running, args := declareTenant(t, suspendable()), suspendable()
	args.Suspended = true
	for _, options := range [][]graph.Option{nil, {graph.Preview()}} {
		g := declareTenant(t, args, options...)
		assert.Equal(t, "true", graphtest.Find(t, g, graphtest.Namespace, "team-a").Field(`metadata.labels["journal.example.com/suspended"]`))

		hard := graphtest.Find(t, running, graphtest.ResourceQuota, "team-a-tenant").Field("spec.hard").(map[string]any)
		want := maps.Clone(hard)
		for _, key := range []string{"pods", "count/pods", "count/jobs.batch"} {
			require.NotEqual(t, "0", want[key], key)
			want[key] = "0"
		}
		assert.Equal(t, want, graphtest.Find(t, g, graphtest.ResourceQuota, "team-a-tenant").Field("spec.hard"))
		for _, same := range []struct{ kind, name string }{
			{graphtest.LimitRange, "team-a-tenant"}, {graphtest.NetworkPolicy, "team-a-default-deny"}, {graphtest.NetworkPolicy, "team-a-allow-same-tenant"},
		} {
			assert.Equal(t, graphtest.Find(t, running, same.kind, same.name).Field("spec"), graphtest.Find(t, g, same.kind, same.name).Field("spec"), same.name)
		}
	}
}

func TestTheMembersOfASuspendedTenantAreViewersUntilItIsResumed(t *testing.T) {
	args := suspendable()
	assert.Equal(t, map[string][]string{
		OwnerRole: {"User alice"}, DeveloperRole: {"User bob"}, ViewerRole: {"Group guild"}, SecretsRole: {"User alice", "User bob"},
	}, bindings(declareTenant(t, args)))
	args.Suspended = true
	found := bindings(declareTenant(t, args))
	assert.Len(t, found, 1)
	assert.ElementsMatch(t, []string{"User alice", "User bob", "Group guild"}, found[ViewerRole])
}

func TestTheDeployerOfASuspendedTenantIsGoneWithItsTokens(t *testing.T) {
	args := suspendable()
	args.Deployer, args.Suspended = true, true
	for _, r := range declareTenant(t, args).All() {
		assert.NotContains(t, r.Name, "deployer")
	}
	args.Name = "team-a"
	assert.Empty(t, PlatformArgs{Tenants: []TenantArgs{*args}}.offers().Deployers, "nobody is shown how to issue tokens")
	args.Suspended = false
	assert.Equal(t, []string{"team-a"}, PlatformArgs{Tenants: []TenantArgs{*args}}.offers().Deployers)
}

func TestASuspendedTenantIsProtectedAllTheSame(t *testing.T) {
	args := suspendable()
	args.Suspended = true
	assert.True(t, graphtest.Find(t, declareTenant(t, args), graphtest.Namespace, "team-a").Protected)
}

func TestTheStacksOwnNamespaceIsNotSuspended(t *testing.T) {
	args := suspendable()
	args.Suspended, args.Reserved = true, true
	faults := args.Check("journal")
	require.Len(t, faults, 1)
	assert.ErrorContains(t, faults.Err(), `suspended "true": the stack's own namespace`)
}

func TestTheListOfUsersSaysWhoIsAViewerMeanwhile(t *testing.T) {
	tenants := []TenantArgs{
		{Name: "team-a", Owner: "user:alice", Contact: "a", Suspended: true, Members: Members{Developers: []Subject{"user:bob"}}},
		{Name: "team-b", Owner: "user:bob", Contact: "b", Members: Members{Viewers: []Subject{"user:alice"}}},
	}
	assert.Equal(t, map[string]User{
		"alice": {Namespace: "team-b", Namespaces: map[string]string{"team-a": "viewer", "team-b": "viewer"}},
		"bob":   {Namespace: "team-b", Namespaces: map[string]string{"team-a": "viewer", "team-b": "owner"}},
	}, Users(tenants))
}
