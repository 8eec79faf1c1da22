package claims

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/journal/components/tenancy"
	"example.com/journal/internal/graphtest"
)

// monitoring returns the specification of the policy for the metric store that the controller applies.
func monitoring(t *testing.T, change func(*Args)) any {
	t.Helper()
	var objects []map[string]any
	graphtest.Decode(t, graphtest.Find(t, declareAll(t, change), graphtest.ConfigMap, "claims-class-small"), "objects.json", &objects)
	for _, object := range objects {
		if object["metadata"].(map[string]any)["name"] == tenancy.MonitoringPolicy {
			return object["spec"]
		}
	}
	return nil
}

// The controller may not delete policies.
func TestAClaimedNamespaceIsClosedToTheMetricStoreByAPolicyThatOpensNothing(t *testing.T) {
	assert.Equal(t, map[string]any{"podSelector": map[string]any{}, "policyTypes": []any{"Ingress"}}, monitoring(t, nil))
	open, _ := monitoring(t, func(a *Args) { a.MetricsNamespace = "journal-metrics" }).(map[string]any)
	assert.Len(t, open["ingress"], 1)
}

func TestOnlyTheMetricStoreReadsTheControllersFigures(t *testing.T) {
	with := declareAll(t, func(a *Args) { a.MetricsNamespace = "journal-metrics" })
	assert.Equal(t, []any{map[string]any{
		"from": []any{map[string]any{
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "journal-metrics"}},
			"podSelector":       map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": "metrics-store"}},
		}},
		"ports": []any{map[string]any{"protocol": "TCP", "port": 8080}},
	}}, graphtest.Find(t, with, graphtest.NetworkPolicy, "claims").Field("spec.ingress"))
	const port = `spec.template.metadata.annotations["prometheus.io/port"]`
	assert.Equal(t, "8080", graphtest.Find(t, with, graphtest.Deployment, "claims").Field(port))

	without := declareAll(t, nil)
	assert.Nil(t, graphtest.Find(t, without, graphtest.NetworkPolicy, "claims").Field("spec.ingress"), "nobody")
	assert.Contains(t, graphtest.Find(t, without, graphtest.NetworkPolicy, "claims").Field("spec.policyTypes"), "Ingress")
	assert.Nil(t, graphtest.Find(t, without, graphtest.Deployment, "claims").Field(port))
}

func TestANamespaceOfTheMetricStoreThatCannotBeIsRefused(t *testing.T) {
	args := &Args{MetricsNamespace: "Metrics"}
	assert.ErrorContains(t, args.Check().Err(), `metricsNamespace "Metrics"`)
}
