package stacks

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

const (
	chartToken      = "kubernetes:helm.sh/v4:Chart"
	controllerToken = "journal:components:IngressController"
	policyToken     = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
)

// enabled is a stack with an Ingress controller.
const enabled = "ingressController: {}"

// controllerChart is the chart of a stack with these changes, and the graph that it is in.
func controllerChart(t *testing.T, changes ...string) (*graph.Graph, graph.Resource) {
	t.Helper()
	g := deployed(t, changes...)
	chart := graphtest.Find(t, g, chartToken, "ingress-controller")
	return g, chart
}

func TestWithoutTheKeyThereIsNoIngressController(t *testing.T) {
	g := deployed(t)
	assert.Empty(t, g.OfType(chartToken))
	assert.Empty(t, g.OfType(controllerToken))
	assert.Empty(t, ingressNamespaces(g), "every namespace may connect")
}

// ingressNamespaces are the namespaces that network policies let in by name, each once.
func ingressNamespaces(g *graph.Graph) map[string]bool {
	names := map[string]bool{}
	for _, policy := range g.OfType(policyToken) {
		rules, _ := policy.Field("spec.ingress").([]any)
		for _, rule := range rules {
			from, _ := rule.(map[string]any)["from"].([]any)
			for _, peer := range from {
				selector, _ := peer.(map[string]any)["namespaceSelector"].(map[string]any)
				labels, _ := selector["matchLabels"].(map[string]any)
				if name, ok := labels["kubernetes.io/metadata.name"].(string); ok {
					names[name] = true
				}
			}
		}
	}
	return names
}

func TestTheIngressControllerServesWhatExposesTheJournal(t *testing.T) {
	g, chart := controllerChart(t, enabled, "exposure: {class: edge}", "tenants: [{name: team-a, owner: user:alice, contact: a}]")
	assert.Equal(t, "edge", chart.Field("values.ingressClass.name"))
	assert.Equal(t, "journal-platform", chart.Field("values.priorityClassName"), "no tenant's pod takes its place")
	assert.Equal(t, false, chart.Field("values.providers.kubernetesGateway.enabled"))
	assert.Equal(t, map[string]bool{"traefik": true}, ingressNamespaces(g), "pods let the controller in, and no other namespace")

	_, chart = controllerChart(t, enabled, "exposure: {kind: gateway}", "ingressController: {class: edge}")
	assert.Equal(t, "edge", chart.Field("values.gatewayClass.name"))
	assert.Equal(t, true, chart.Field("values.providers.kubernetesGateway.enabled"))

	g, _ = controllerChart(t, enabled, "cluster: {ingressNamespace: other}")
	assert.Equal(t, map[string]bool{"other": true}, ingressNamespaces(g))
}

func TestTheIngressControllerReadsOnlyTheStacksNamespacesUnlessSomeAreClaimed(t *testing.T) {
	const (
		binding = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
		tenant  = "tenants: [{name: team-a, owner: user:alice, contact: a}]"
	)
	g, chart := controllerChart(t, enabled, tenant)
	assert.Equal(t, []any{"journal", "team-a", "traefik"}, chart.Field("values.providers.kubernetesIngress.namespaces"))
	assert.Contains(t, chart.Field("values.additionalArguments"), "--providers.kubernetesingress.crossprovidernamespaces=journal")
	assert.Equal(t, false, chart.Field("values.rbac.enabled"))
	rights := graphtest.Find(t, g, binding, "ingress-controller-team-a")
	made := graphtest.Find(t, g, "kubernetes:core/v1:Namespace", "team-a")
	assert.Contains(t, strings.Join(rights.DependsOn, " "), "::"+made.Name, "the rights wait for the tenant")

	g, chart = controllerChart(t, enabled, tenant, claimed+"}")
	assert.Nil(t, chart.Field("values.providers.kubernetesIngress.namespaces"), "claimed namespaces are served as well")
	assert.Equal(t, true, chart.Field("values.rbac.enabled"))
	_, err := g.Find(binding, "ingress-controller-team-a")
	assert.Error(t, err)
}

func TestTheIngressControllerIsWhatItsKeysSay(t *testing.T) {
	_, chart := controllerChart(t, `ingressController:
  namespace: edge
  chart: oci://registry.example.com/charts/traefik
  version: 39.0.8
  skipCRDs: true
  replicas: 3
  serviceType: NodePort
`)
	for field, want := range map[string]any{
		"namespace": "edge", "chart": "oci://registry.example.com/charts/traefik", "version": "39.0.8", "skipCrds": true,
		"values.deployment.replicas": 3, "values.service.type": "NodePort",
	} {
		assert.Equal(t, want, chart.Field(field), field)
	}
}

func TestTheObjectsOfTheChartBelongToTheStacksFieldManager(t *testing.T) {
	g := deployed(t, "ingressController: {}")
	component := graphtest.Find(t, g, controllerToken, "ingress-controller")
	assert.Equal(t, 1, component.Transforms, "the engine calls it for all that the component contains")
}
