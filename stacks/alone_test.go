package stacks

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/tenancy"
	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

// alone is a stack without what declares the cluster.
func alone(t *testing.T, changes ...string) string {
	t.Helper()
	text := strings.Split(least, "tenant:")[0] + "namespace: claim-team-a-try-x7k2p\nexistingNamespace: true\n"
	var file strings.Builder
	for line := range strings.Lines(text + strings.Join(changes, "\n")) {
		file.WriteString("  journal:" + line)
	}
	return project(t, "config:\n"+file.String())
}

// The stack pr is deployed with a developer's rights, so it has nothing that only the platform may write.
func TestAStackInANamespaceThatExistsDeclaresNothingButTheJournal(t *testing.T) {
	for _, program := range map[string]func(t *testing.T) *graph.Graph{
		"deployed": func(t *testing.T) *graph.Graph { return graphtest.Run(t, Deploy, graph.Root(root, "pr")) },
		"rendered": func(t *testing.T) *graph.Graph { return graphtest.Run(t, Render, graph.Root(root, "pr")) },
	} {
		var kinds []string
		for _, r := range program(t).All() {
			if r.IsObject() {
				kind, _ := r.Field("kind").(string)
				kinds = append(kinds, kind)
				assert.Equal(t, "pr", r.Field("metadata.namespace"), "%s %s", r.Type, r.Name)
				assert.Nil(t, r.Field("spec.template.spec.priorityClassName"), "%s %s", r.Type, r.Name)
				assert.False(t, r.HasSecret(), "%s %s", r.Type, r.Name)
			}
		}
		slices.Sort(kinds)
		assert.Equal(t, []string{"ConfigMap", "Deployment", "Ingress", "PodDisruptionBudget", "Service", "ServiceAccount", "StatefulSet"}, slices.Compact(kinds))
	}
}

func TestTheStackOfAPullRequestFitsTheSmallestClass(t *testing.T) {
	config, err := Read(root, "pr")
	require.NoError(t, err)
	assert.Empty(t, tenancy.Small().Fits("its", config.Journal.Demand()))
}

// TestTheTenantOfPullRequestsHasRoomForThem holds what docs/pr-env.md tells the platform's team to write.
func TestTheTenantOfPullRequestsHasRoomForThem(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "pr-env.md"))
	require.NoError(t, err)
	_, block, found := strings.Cut(string(page), "```yaml\n")
	require.True(t, found)
	block, _, _ = strings.Cut(block, "```")
	dir := stack(t, strings.ReplaceAll(block, "journal:", ""))
	config, err := Read(dir, "test")
	require.NoError(t, err)
	pr, err := Read(root, "pr")
	require.NoError(t, err)
	size := config.Classes.WithDefaults()["preview"]
	assert.Empty(t, size.Fits("its", pr.Journal.Demand()))
}

func TestAStackInANamespaceThatExistsRefusesWhatItWouldNotDeclare(t *testing.T) {
	const says = "existingNamespace declares the journal alone, and this is for a stack that declares the cluster; remove one of the two keys"
	require.NoError(t, Check(alone(t), "test"))
	require.NoError(t, Check(alone(t, "tenants: []"), "test"))
	for key, value := range map[string]string{
		"tenant": "{owner: user:alice, contact: a}", "tenants": "[{name: team-a, owner: user:alice, contact: a}]", "classes": "{small: {cpu: '1'}}",
		"cluster": "{domain: example.com}", "ingressController": "{}", "claims": "{image: registry.example.com/c:v0.1.0-0a1b2c3}",
		"resourceMetrics": "{image: registry.example.com/m:v0.1.0}", "reader": "{image: registry.example.com/r:v0.1.0-0a1b2c3}",
	} {
		t.Run(key, func(t *testing.T) {
			assert.Equal(t, []string{`Pulumi.test.yaml:7: journal:` + key + ` "{...}": ` + says}, faultsOf(t, Check(alone(t, key+": "+value), "test")))
		})
	}
	assert.Contains(t, strings.Join(faultsOf(t, Check(alone(t, "readOnly: perhaps"), "test")), "\n"), "must be true or false")
}

func TestAStackThatDeclaredTenantsDoesNotForgetThemForANamespaceThatExists(t *testing.T) {
	before := deployed(t, "tenants: [{name: team-a, owner: user:alice, contact: a}]")
	_, err := graph.Run(Deploy, graph.Root(alone(t), "test"), graph.LastOutputs(before.Outputs()))
	require.Error(t, err)
	assert.Contains(t, err.Error(), `journal:tenants "team-a": it is protected`)
}
