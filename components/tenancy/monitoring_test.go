package tenancy

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/journal/internal/graphtest"
)

func TestTheMetricStoreConnectsToATenantsPods(t *testing.T) {
	args := teamA()
	args.MetricsNamespace = "journal-metrics"
	policy := graphtest.Find(t, declareTenant(t, args), graphtest.NetworkPolicy, "team-a-allow-monitoring")
	assert.Equal(t, map[string]any{
		"podSelector": map[string]any{}, "policyTypes": []any{"Ingress"},
		"ingress": []any{map[string]any{"from": []any{map[string]any{
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "journal-metrics"}},
			"podSelector":       map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": "metrics-store"}},
		}}}},
	}, policy.Field("spec"), "both selectors are of one peer: other pods of that namespace stay outside")

	args.Isolated = true
	assert.Len(t, declareTenant(t, args).OfType(graphtest.NetworkPolicy), 2, "an isolated tenant's application decides")
}

func TestWithoutAMetricStoreThePolicyOfAClaimedNamespaceOpensNothing(t *testing.T) {
	// A rule without peers would be for everybody.
	assert.Equal(t, map[string]any{"podSelector": map[string]any{}, "policyTypes": []string{"Ingress"}}, Monitoring("")["spec"])
}

func TestANamespaceOfTheMetricStoreThatCannotBeIsRefused(t *testing.T) {
	args := teamA()
	args.MetricsNamespace = "Metrics"
	assert.ErrorContains(t, args.Check("team-a").Err(), `metricsNamespace "Metrics"`)
	args.MetricsNamespace = "team-a"
	assert.ErrorContains(t, args.Check("team-a").Err(), `name "team-a": the namespace of the metric store`)
}
