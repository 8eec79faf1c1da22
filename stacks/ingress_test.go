package stacks

import (
	"testing"

	"example.com/journal/internal/graph"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	chartToken      = "kubernetes:helm.sh/v4:Chart"
	controllerToken = "journal:components:IngressController"
	policyToken     = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
)

// enabled is the least that a stack with an Ingress controller configures.
const enabled = images + "  journal:ingressController: true\n"

// controllerChart is the chart of a stack with these lines, and the graph that it is in.
func controllerChart(t *testing.T, lines string) (*graph.Graph, graph.Resource) {
	t.Helper()
	g, err := graph.Run(Deploy, graph.Root(project(t, lines), "test"))
	require.NoError(t, err)
	chart, err := g.Find(chartToken, "ingress-controller")
	require.NoError(t, err)
	return g, chart
}

func TestWithoutTheKeyThereIsNoIngressController(t *testing.T) {
	g, err := graph.Run(Deploy, graph.Root(project(t, images+"  journal:ingressControllerReplicas: 3\n"), "test"))
	require.NoError(t, err)
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
	g, chart := controllerChart(t, enabled+"  journal:exposureClass: edge\n  journal:tenants: [{name: team-a, owner: user:alice, contact: a}]\n")
	assert.Equal(t, "edge", chart.Field("values.ingressClass.name"))
	assert.Equal(t, false, chart.Field("values.providers.kubernetesGateway.enabled"))
	assert.Equal(t, map[string]bool{"traefik": true}, ingressNamespaces(g), "pods let the controller in, and no other namespace")

	_, chart = controllerChart(t, enabled+"  journal:exposureKind: gateway\n  journal:ingressControllerClass: edge\n")
	assert.Equal(t, "edge", chart.Field("values.gatewayClass.name"))
	assert.Equal(t, true, chart.Field("values.providers.kubernetesGateway.enabled"))

	g, _ = controllerChart(t, enabled+"  journal:ingressNamespace: other\n")
	assert.Equal(t, map[string]bool{"other": true}, ingressNamespaces(g))
}

func TestTheIngressControllerIsWhatItsKeysSay(t *testing.T) {
	_, chart := controllerChart(t, enabled+`
  journal:ingressControllerNamespace: edge
  journal:ingressControllerChart: oci://registry.example.com/charts/traefik
  journal:ingressControllerVersion: 39.0.8
  journal:ingressControllerSkipCRDs: true
  journal:ingressControllerReplicas: 3
  journal:ingressControllerServiceType: NodePort
`)
	for field, want := range map[string]any{
		"namespace": "edge", "chart": "oci://registry.example.com/charts/traefik", "version": "39.0.8", "skipCrds": true,
		"values.deployment.replicas": 3, "values.service.type": "NodePort",
	} {
		assert.Equal(t, want, chart.Field(field), field)
	}
}

func TestTheIngressControllersDefaultsInPulumiYamlAreThoseOfTheComponent(t *testing.T) {
	_, fromFile := controllerChart(t, enabled)
	g, err := graph.Run(Deploy, graph.Config(map[string]string{
		"journal:apiImage":          "registry.example.com/journal-api:v0.1.0-0a1b2c3",
		"journal:frontendImage":     "registry.example.com/journal-web:v0.1.0-0a1b2c3",
		"journal:redisImage":        "docker.io/library/redis:7.4.2",
		"journal:tenant":            `{"owner":"group:platform","contact":"platform@example.com"}`,
		"journal:ingressController": "true",
	}))
	require.NoError(t, err)
	fromComponent, err := g.Find(chartToken, "ingress-controller")
	require.NoError(t, err)
	assert.Equal(t, fromComponent.Inputs, fromFile.Inputs)
}

func TestTheObjectsOfTheChartBelongToTheStacksFieldManager(t *testing.T) {
	g, err := graph.Run((&Ingress{Enabled: true}).deploy)
	require.NoError(t, err)
	component, err := g.Find(controllerToken, "ingress-controller")
	require.NoError(t, err)
	assert.Equal(t, 1, component.Transforms, "the engine calls it for all that the component contains")

	own := ownChartObjects("pulumi-journal-test")
	object := pulumi.Map{"kind": pulumi.String("Service"), "metadata": pulumi.Map{
		"name": pulumi.String("traefik"), "annotations": pulumi.Map{"a": pulumi.String("b")},
	}}
	owned := own(t.Context(), &pulumi.ResourceTransformArgs{
		Custom: true, Type: "kubernetes:core/v1:Service", Props: object, Opts: pulumi.ResourceOptions{RetainOnDelete: true},
	})
	require.NotNil(t, owned)
	assert.Equal(t, pulumi.Map{"kind": pulumi.String("Service"), "metadata": pulumi.Map{
		"name": pulumi.String("traefik"), "annotations": pulumi.Map{"a": pulumi.String("b"), fieldManagerAnnotation: pulumi.String("pulumi-journal-test")},
	}}, owned.Props)
	assert.True(t, owned.Opts.RetainOnDelete, "what others have decided stays")
	assert.Len(t, object["metadata"].(pulumi.Map)["annotations"], 1, "what the caller has is not changed")

	assert.Nil(t, own(t.Context(), &pulumi.ResourceTransformArgs{Type: chartToken}), "a chart is no object")
	assert.Nil(t, own(t.Context(), &pulumi.ResourceTransformArgs{Custom: true, Type: "pulumi:providers:kubernetes"}))
}
