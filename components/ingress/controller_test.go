package ingress

import (
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

const (
	chartToken     = "kubernetes:helm.sh/v4:Chart"
	namespaceToken = "kubernetes:core/v1:Namespace"
	rbacToken      = "kubernetes:rbac.authorization.k8s.io/v1:"
)

// controller declares one controller, called edge, and returns the graph and the registration of its chart.
func controller(t *testing.T, args *ControllerArgs) (*graph.Graph, graph.Resource) {
	t.Helper()
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := NewController(ctx, "edge", args)
		return err
	})
	require.NoError(t, err)
	chart := graphtest.Find(t, g, chartToken, "edge")
	return g, chart
}

// text is an input as YAML.
func text(t *testing.T, value any) string {
	t.Helper()
	document, err := encoding.YAML.Marshal(value)
	require.NoError(t, err)
	return string(document)
}

func TestTheChartGetsExactlyTheseValues(t *testing.T) {
	_, chart := controller(t, &ControllerArgs{
		Class: "edge", Replicas: 3, ServiceType: "NodePort", MiddlewareNamespace: "journal", PriorityClass: "platform",
		Resources: kube.Resources{CPU: "250m", Memory: "64Mi", CPULimit: "1", MemoryLimit: "256Mi"},
	})
	assert.YAMLEq(t, `
deployment:
  replicas: 3
  lifecycle: {preStop: {sleep: {seconds: 5}}}
updateStrategy:
  type: RollingUpdate
  rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
podDisruptionBudget: {enabled: true, maxUnavailable: 1}
priorityClassName: platform
topologySpreadConstraints:
- labelSelector: {matchLabels: {app.kubernetes.io/name: traefik}}
  maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
resources:
  requests: {cpu: 250m, memory: 64Mi}
  limits: {cpu: "1", memory: 256Mi}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  readOnlyRootFilesystem: true
podSecurityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
ingressClass: {enabled: true, name: edge, isDefaultClass: false}
gatewayClass: {enabled: false, name: edge}
gateway: {enabled: false}
providers:
  kubernetesIngress: {enabled: true, ingressClass: edge, strictPrefixMatching: true}
  kubernetesGateway: {enabled: false}
  kubernetesCRD: {namespaces: [journal]}
additionalArguments:
- --providers.kubernetescrd.crossprovidernamespaces=journal
- --providers.kubernetesingress.crossprovidernamespaces=journal
image: {tag: v3.6.25}
rbac: {enabled: true}
ports:
  web: {port: 8000, exposedPort: 80, expose: {default: true}}
  websecure: {port: 8443, exposedPort: 443, expose: {default: true}}
service: {type: NodePort}
logs:
  general: {format: json}
  access: {enabled: true, format: json}
global: {checkNewVersion: false, sendAnonymousUsage: false}
`, text(t, chart.Field("values")))
}

func TestForTheGatewayAPIThePodsListenOnThePortsOfTheListeners(t *testing.T) {
	_, chart := controller(t, &ControllerArgs{Class: "edge", Gateway: true})
	for field, want := range map[string]any{
		"values.ports.web.port":                      80,
		"values.ports.websecure.port":                443,
		"values.podSecurityContext.sysctls[0].name":  "net.ipv4.ip_unprivileged_port_start",
		"values.podSecurityContext.sysctls[0].value": "0",
		"values.providers.kubernetesGateway.enabled": true,
		"values.gatewayClass.enabled":                true,
		"values.gatewayClass.name":                   "edge",
		"values.gateway.enabled":                     false,
	} {
		assert.Equal(t, want, chart.Field(field), field)
	}
}

func TestWithAListOfNamespacesItReadsNoSecretOfAnother(t *testing.T) {
	g, chart := controller(t, &ControllerArgs{Namespaces: []string{"team-a", "journal"}, MiddlewareNamespace: "journal", Gateway: true})
	served := []any{"journal", "team-a", "traefik"}
	assert.Equal(t, served, chart.Field("values.providers.kubernetesIngress.namespaces"))
	assert.Equal(t, served, chart.Field("values.providers.kubernetesGateway.namespaces"))
	assert.Equal(t, []any{"journal"}, chart.Field("values.providers.kubernetesCRD.namespaces"))
	assert.Equal(t, false, chart.Field("values.rbac.enabled"), "the chart's own rights read every Secret")

	of := map[string]string{} // the rules of each role
	for _, role := range g.OfType(rbacToken + "ClusterRole") {
		of[fmt.Sprint(role.Field("metadata.name"))] = text(t, role.Field("rules"))
	}
	assert.Contains(t, of["traefik-controller-namespace"], "secrets")
	whole := g.OfType(rbacToken + "ClusterRoleBinding")
	require.Len(t, whole, 1)
	assert.NotContains(t, of[fmt.Sprint(whole[0].Field("roleRef.name"))], "secrets")
	var bound []any
	for _, binding := range g.OfType(rbacToken + "RoleBinding") {
		bound = append(bound, binding.Field("metadata.namespace"))
		assert.Equal(t, "traefik-controller-namespace", binding.Field("roleRef.name"))
		assert.Equal(t, "traefik", binding.Field("subjects[0].name"))
		assert.Equal(t, "traefik", binding.Field("subjects[0].namespace"))
	}
	assert.ElementsMatch(t, served, bound)
}

func TestByDefaultItIsTraefiksOwnChartInOneVersion(t *testing.T) {
	g, chart := controller(t, nil)
	assert.Equal(t, "oci://ghcr.io/traefik/helm/traefik", chart.Field("chart"))
	assert.Equal(t, "39.0.9", chart.Field("version"))
	assert.Equal(t, "traefik", chart.Field("name"))
	assert.Equal(t, "traefik", chart.Field("namespace"))
	assert.Equal(t, false, chart.Field("plainHttp"))
	assert.Equal(t, false, chart.Field("skipCrds"))
	assert.Equal(t, 2, chart.Field("values.deployment.replicas"))
	assert.Equal(t, "LoadBalancer", chart.Field("values.service.type"))
	assert.Equal(t, "traefik", chart.Field("values.ingressClass.name"))
	assert.Equal(t, controllerType+" edge", chart.ParentName())

	namespace := graphtest.Find(t, g, namespaceToken, "edge")
	assert.Equal(t, controllerType+" edge", namespace.ParentName())
	assert.Equal(t, "traefik", namespace.Field("metadata.name"))
	assert.Equal(t, "restricted", namespace.Field(`metadata.labels["pod-security.kubernetes.io/enforce"]`))
	assert.Contains(t, chart.DependsOn, urnOf(namespace), "the chart waits for its namespace")
}

// urnOf is the URN that the mocks give to a child of a controller.
func urnOf(r graph.Resource) string {
	return fmt.Sprintf("urn:pulumi:test::journal::%s$%s::%s", controllerType, r.Type, r.Name)
}

func TestTheImageOfAnotherChartIsItsOwn(t *testing.T) {
	_, chart := controller(t, &ControllerArgs{Version: "39.1.0", Gateway: true})
	assert.Nil(t, chart.Field("values.image.tag"))
	assert.Contains(t, chart.Field("values.additionalArguments"), "--providers.kubernetesgateway.crossprovidernamespaces=traefik")
}

func TestOnlyAChartOnLoopbackComesWithoutTLS(t *testing.T) {
	for chart, plain := range map[string]bool{
		"oci://127.0.0.1:5000/charts/traefik":          true,
		"oci://[::1]:5000/charts/traefik":              true,
		"oci://localhost:5000/charts/traefik":          false,
		"oci://127.0.0.1.example.com/charts/traefik":   false,
		"oci://10.0.0.1:5000/charts/traefik":           false,
		"oci://registry.example.com/127.0.0.1/traefik": false,
	} {
		t.Run(chart, func(t *testing.T) {
			_, registration := controller(t, &ControllerArgs{Chart: chart})
			assert.Equal(t, plain, registration.Field("plainHttp"))
		})
	}
}

func TestEachFaultOfAControllerNamesFieldValueRuleAndFix(t *testing.T) {
	for _, c := range []struct {
		sentence string
		args     ControllerArgs
		says     string
	}{
		{"a namespace with upper case", ControllerArgs{Namespace: "Edge"}, `namespace "Edge": not a DNS label`},
		{"a namespace of Kubernetes", ControllerArgs{Namespace: "kube-system"}, `namespace "kube-system": it belongs to Kubernetes, and this one is made for the controller; write another name, such as traefik`},
		{"the namespace default", ControllerArgs{Namespace: "default"}, `namespace "default": it belongs to Kubernetes`},
		{"a chart without a scheme", ControllerArgs{Chart: "traefik/traefik"}, `chart "traefik/traefik": must be a chart in an OCI registry as oci://host/path without version`},
		{"a chart repository over HTTPS", ControllerArgs{Chart: "https://charts.example.com/traefik"}, `must be a chart in an OCI registry`},
		{"a registry without a chart", ControllerArgs{Chart: "oci://registry.example.com"}, `must be a chart in an OCI registry`},
		{"a chart without a registry", ControllerArgs{Chart: "oci:///traefik"}, `must be a chart in an OCI registry`},
		{"a chart with a version", ControllerArgs{Chart: "oci://registry.example.com/traefik:39.0.9"}, `must be a chart in an OCI registry`},
		{"a chart with credentials", ControllerArgs{Chart: "oci://user:secret@registry.example.com/traefik"}, `must be a chart in an OCI registry`},
		{"a chart with a query", ControllerArgs{Chart: "oci://registry.example.com/traefik?tag=39.0.9"}, `must be a chart in an OCI registry`},
		{"a chart with a space", ControllerArgs{Chart: "oci://registry example.com/traefik"}, `must be a chart in an OCI registry`},
		{"a version that is a major alone", ControllerArgs{Version: "39"}, `version "39": must be an exact version, or the next update could bring another chart: write for example 39.0.9`},
		{"a range of versions", ControllerArgs{Version: "^39.0.0"}, `version "^39.0.0": must be an exact version`},
		{"a version with a wildcard", ControllerArgs{Version: "39.0.x"}, `version "39.0.x": must be an exact version`},
		{"a class with upper case", ControllerArgs{Class: "Edge"}, `class "Edge": not an object name`},
		{"a namespace in the list with upper case", ControllerArgs{Namespaces: []string{"journal", "Team"}}, `namespaces[1] "Team": not a DNS label`},
		{"a namespace of middlewares with upper case", ControllerArgs{MiddlewareNamespace: "Journal"}, `middlewareNamespace "Journal": not a DNS label`},
		{"one replica", ControllerArgs{Replicas: 1}, `replicas "1": must be 2 or more`},
		{"a memory that is no quantity", ControllerArgs{Resources: kube.Resources{Memory: "1 GB"}}, `memory "1 GB": not a Kubernetes quantity`},
		{"another type of Service", ControllerArgs{ServiceType: "ExternalName"}, `serviceType "ExternalName": must be one of LoadBalancer, NodePort, ClusterIP`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			g, err := graph.Run(func(ctx *pulumi.Context) error {
				_, err := NewController(ctx, "edge", &c.args)
				return err
			})
			require.ErrorContains(t, err, c.says)
			assert.ErrorContains(t, err, `ingress controller "edge"`)
			assert.Len(t, c.args.Check(), 1, "%v", err)
			assert.Empty(t, g.All())
		})
	}
}

func TestTwoControllersFitIntoOneCluster(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		for _, name := range []string{"inner", "outer"} {
			if _, err := NewController(ctx, name, &ControllerArgs{Namespace: name, Class: name}); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	for _, name := range []string{"inner", "outer"} {
		chart := graphtest.Find(t, g, chartToken, name)
		assert.Equal(t, name, chart.Field("namespace"))
		assert.Equal(t, name, chart.Field("values.ingressClass.name"))
	}
}

func TestTheChartsDefinitionsOfKindsStayWhenItGoes(t *testing.T) {
	_, chart := controller(t, nil)
	assert.Equal(t, 1, chart.Transforms)

	kept := retainKinds(t.Context(), &pulumi.ResourceTransformArgs{Type: crdType, Props: pulumi.Map{"spec": pulumi.Map{}}})
	require.NotNil(t, kept)
	assert.True(t, kept.Opts.RetainOnDelete)
	assert.Equal(t, pulumi.Map{"spec": pulumi.Map{}}, kept.Props)
	assert.Nil(t, retainKinds(t.Context(), &pulumi.ResourceTransformArgs{Type: namespaceToken}), "everything else goes with the chart")
}
