package stacks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

// after runs a stack with these changes, after an update with these outputs, and returns its own outputs.
func after(t *testing.T, last map[string]any, changes ...string) (map[string]any, error) {
	t.Helper()
	g, err := graph.Run(Deploy, graph.Root(stack(t, changes...), "test"), graph.LastOutputs(last))
	if err != nil {
		assert.Empty(t, g.All(), "something was declared")
		return nil, err
	}
	return g.Outputs(), nil
}

func TestAProtectedTenantIsNotTakenOut(t *testing.T) {
	teamA := func(more string) string {
		return "tenants: [{name: team-a, owner: user:alice, contact: a" + more + "}]"
	}
	last, err := after(t, nil, teamA(""))
	require.NoError(t, err)
	_, err = after(t, last)
	assert.ErrorContains(t, err, `journal:tenants "team-a": it is protected, and without it here its namespace would be deleted with all that it holds; put it back, with unprotected: true`)
	_, err = after(t, last, teamA(""), "namespace: other")
	assert.ErrorContains(t, err, `journal:tenants "journal": it is protected`, "the journal's own namespace is a tenant, too")

	unprotected, err := after(t, last, teamA(", unprotected: true"))
	require.NoError(t, err)
	_, err = after(t, unprotected)
	assert.NoError(t, err)
	unprotected, err = after(t, last, teamA(""), "cluster: {unprotected: true}")
	require.NoError(t, err)
	_, err = after(t, unprotected, "namespace: other")
	assert.NoError(t, err)
}

func TestVolumesThatWouldShrinkAreRefusedBeforeAnythingIsDeclared(t *testing.T) {
	last, err := after(t, nil, "redis: {storage: {size: 2Gi}}")
	require.NoError(t, err)
	_, err = after(t, last, "redis: {storage: {size: 1Gi}}")
	assert.ErrorContains(t, err, `journal:redis.storage.size "1Gi": the volumes have 2Gi, and Kubernetes shrinks none`)
}

func TestAPasswordThatIsStillUsedStaysListed(t *testing.T) {
	last, err := after(t, nil, "redis: {passwords: [2, 1]}")
	require.NoError(t, err)
	_, err = after(t, last, "redis: {passwords: [3]}")
	assert.ErrorContains(t, err, `the clients of the last update sign in with password 2; write [3, 2]`)
	_, err = after(t, last, "redis: {passwords: [3, 2]}")
	assert.NoError(t, err)
}

func TestAStackIsDeletedAsAWholeOrNotAtAll(t *testing.T) {
	for _, c := range []struct {
		sentence, change string
		want             bool
	}{
		{"by default", "{}", true},
		{"without the tenant's protection", "tenant: {unprotected: true}\ntenants: [{name: team-a, owner: user:alice, contact: a}]", true},
		{"without the cluster's protection", "cluster: {unprotected: true}\ntenants: [{name: team-a, owner: user:alice, contact: a}]", false},
	} {
		for name, mode := range map[string][]graph.Option{"update": nil, "preview": {graph.Preview()}} {
			t.Run(name+" "+c.sentence, func(t *testing.T) {
				g, err := graph.Run(Deploy, append(mode, graph.Root(stack(t, c.change), "test"))...)
				require.NoError(t, err)
				protection := graphtest.Find(t, g, protectionType, protectionName)
				assert.Equal(t, c.want, protection.Protected)
				needed := map[string]bool{}
				for _, name := range protection.DependsOn {
					needed[fmt.Sprint(urn.URN(name).Type(), urn.URN(name).Name())] = true
				}
				for _, r := range g.All() {
					if strings.HasPrefix(r.Type, "journal:") { // a component, of which nothing is in a cluster
						continue
					}
					assert.True(t, needed[r.Type+r.Name], "%s %s would be deleted before the engine comes to what is protected", r.Type, r.Name)
					assert.False(t, r.Protected && !protection.Protected, "%s %s is protected and the stack is not", r.Type, r.Name)
				}
			})
		}
	}
}

func TestAQuotaIsNotLoweredWhileOldPodsNeedIt(t *testing.T) {
	big := "api: {resources: {cpuLimit: '2'}}" // 2 + 1 pods
	last, err := after(t, nil, big)
	require.NoError(t, err)
	small := tenantWith(`cpu: "4", burst: 1, maxCpu: "2"`)
	_, err = after(t, last, small)
	assert.ErrorContains(t, err, `journal:tenant.overrides.burst "1": while pods of the last update run, the journal's pods may use 6.45 CPUs (redis 3 × 100m, api (2 + 1) × 2, frontend (2 + 1) × 50m; + is what an update adds) and the quota is 4, burst 1 × cpu 4; write 2, or give the parts less; a later update may write 1`)

	next, err := after(t, last)
	require.NoError(t, err, "the pods first")
	_, err = after(t, next, small)
	assert.NoError(t, err, "and then the quota")
	_, err = after(t, nil, small)
	assert.NoError(t, err, "a new stack has no old pods")
}
