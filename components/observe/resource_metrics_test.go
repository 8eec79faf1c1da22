package observe

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

const (
	apiService    = "kubernetes:apiregistration.k8s.io/v1:APIService"
	deployment    = "kubernetes:apps/v1:Deployment"
	service       = "kubernetes:core/v1:Service"
	namespace     = "kubernetes:core/v1:Namespace"
	secret        = "kubernetes:core/v1:Secret"
	networkPolicy = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
	budget        = "kubernetes:policy/v1:PodDisruptionBudget"
	rbac          = "kubernetes:rbac.authorization.k8s.io/v1:"

	image = "registry.k8s.io/metrics-server/metrics-server:v0.9.0"
)

// declared is the graph of a program with the resource metrics.
func declared(t *testing.T, args *ResourceMetricsArgs, options ...graph.Option) *graph.Graph {
	t.Helper()
	return graphtest.Run(t, func(ctx *pulumi.Context) error {
		_, err := NewResourceMetrics(ctx, "metrics", args)
		return err
	}, options...)
}

func defaults(t *testing.T, options ...graph.Option) *graph.Graph {
	t.Helper()
	return declared(t, &ResourceMetricsArgs{Image: pulumi.String(image), PriorityClass: pulumi.String("journal-platform")}, options...)
}

// flags are the program's arguments.
func flags(t *testing.T, g *graph.Graph) string {
	t.Helper()
	return fmt.Sprint(graphtest.Find(t, g, deployment, "metrics").Field("spec.template.spec.containers[0].args"))
}

func TestTheAPIGroupComesAfterAllThatServesItAndGoesBeforeIt(t *testing.T) {
	g := defaults(t)
	needs := graphtest.Find(t, g, apiService, "metrics").DependsOn
	for token, names := range map[string][]string{
		deployment: {"metrics"}, service: {"metrics"}, networkPolicy: {"metrics", "metrics-default-deny"},
		rbac + "ClusterRole": {"metrics"}, rbac + "ClusterRoleBinding": {"metrics"}, rbac + "RoleBinding": {"metrics"},
	} {
		for _, name := range names {
			graphtest.Find(t, g, token, name)
			assert.True(t, slices.ContainsFunc(needs, func(urn string) bool { return strings.HasSuffix(urn, token+"::"+name) }),
				"%s %s: without it, no namespace of the cluster can be deleted", token, name)
		}
	}
}

func TestOnePodIsAlwaysThere(t *testing.T) {
	g := defaults(t)
	pods := graphtest.Find(t, g, deployment, "metrics")
	assert.Equal(t, 2, pods.Field("spec.replicas"))
	assert.Equal(t, 0, pods.Field("spec.strategy.rollingUpdate.maxUnavailable"))
	assert.Equal(t, "journal-platform", pods.Field("spec.template.spec.priorityClassName"), "no tenant's pod takes its place")
	assert.Equal(t, 1, graphtest.Find(t, g, budget, "metrics").Field("spec.maxUnavailable"))
}

func TestThePodsAreRestrictedInANamespaceThatAllowsNoOthers(t *testing.T) {
	g := defaults(t)
	assert.Equal(t, "journal-metrics-server", graphtest.Find(t, g, namespace, "metrics").Field("metadata.name"))
	labels, _ := graphtest.Find(t, g, namespace, "metrics").Field("metadata.labels").(map[string]any)
	assert.Equal(t, "restricted", labels["pod-security.kubernetes.io/enforce"])
	pods := graphtest.Find(t, g, deployment, "metrics")
	for path, want := range map[string]any{
		"securityContext.runAsNonRoot":                           true,
		"securityContext.seccompProfile.type":                    "RuntimeDefault",
		"containers[0].securityContext.readOnlyRootFilesystem":   true,
		"containers[0].securityContext.capabilities.drop[0]":     "ALL",
		"containers[0].resources.limits.memory":                  "128Mi",
		"containers[0].livenessProbe.httpGet.scheme":             "HTTPS",
		"containers[0].readinessProbe.httpGet.scheme":            "HTTPS",
		"containers[0].startupProbe.httpGet.scheme":              "HTTPS",
		"volumes[1].projected.sources[1].configMap.name":         "kube-root-ca.crt",
		"volumes[2].projected.sources[0].secret.items[1].key":    "tls.key",
		"containers[0].volumeMounts[2].mountPath":                "/etc/metrics-server",
		"containers[0].securityContext.allowPrivilegeEscalation": false,
	} {
		assert.Equal(t, want, pods.Field("spec.template.spec."+path), path)
	}
}

func TestBothSidesOfEveryConnectionAreChecked(t *testing.T) {
	g := defaults(t)
	assert.Contains(t, flags(t, g), "--kubelet-certificate-authority=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")
	assert.NotContains(t, flags(t, g), "insecure")
	spec := graphtest.Find(t, g, apiService, "metrics")
	assert.Nil(t, spec.Field("spec.insecureSkipTLSVerify"))
	authority, err := base64.StdEncoding.DecodeString(fmt.Sprint(spec.Field("spec.caBundle")))
	require.NoError(t, err)
	certificate := graphtest.Find(t, g, secret, "metrics-1").Field("stringData")
	require.NoError(t, verify(t, string(authority), certificate.(map[string]any)["tls.crt"].(string), host))
}

func TestTheKeyIsInTheSecretAloneAndTheAuthorityInTheClear(t *testing.T) {
	g := defaults(t)
	found := graphtest.Find(t, g, secret, "metrics-1")
	assert.True(t, found.IsSecret("stringData"), "the key is in the state in the clear")
	key, _ := found.Field("stringData").(map[string]any)["tls.key"].(string)
	require.Contains(t, key, "PRIVATE KEY")
	for _, r := range g.All() {
		if r.Type != secret {
			assert.NotContains(t, fmt.Sprint(r.Inputs), key, "%s %s", r.Type, r.Name)
		}
	}
	assert.False(t, graphtest.Find(t, g, apiService, "metrics").IsSecret("spec"), "a preview could not show it")
}

func TestAnotherNumberIsAnotherSecretAndTheAPIServiceStays(t *testing.T) {
	one := defaults(t)
	two := declared(t, &ResourceMetricsArgs{Image: pulumi.String(image), Certificate: CertificateArgs{Number: 2}})
	before, after := graphtest.Find(t, one, secret, "metrics-1"), graphtest.Find(t, two, secret, "metrics-2")
	assert.NotEqual(t, before.Field("metadata.name"), after.Field("metadata.name"))
	assert.Equal(t, graphtest.Find(t, one, apiService, "metrics").Inputs, graphtest.Find(t, two, apiService, "metrics").Inputs)
	assert.Equal(t, after.Field("metadata.name"),
		graphtest.Find(t, two, deployment, "metrics").Field("spec.template.spec.volumes[2].projected.sources[0].secret.name"))
}

func TestTheServerReadsFiguresAndChecksNoTokens(t *testing.T) {
	g := defaults(t)
	assert.Equal(t, []string{
		"/nodes/metrics:get", "/pods:get", "/pods:list", "/pods:watch", "/nodes:get", "/nodes:list", "/nodes:watch", "authorization.k8s.io/subjectaccessreviews:create",
	}, graphtest.Grants(graphtest.Find(t, g, rbac+"ClusterRole", "metrics")))
	reader := graphtest.Find(t, g, rbac+"RoleBinding", "metrics")
	assert.Equal(t, "kube-system", reader.Field("metadata.namespace"))
	assert.Equal(t, "Role", reader.Field("roleRef.kind"))
	for _, binding := range []graph.Resource{reader, graphtest.Find(t, g, rbac+"ClusterRoleBinding", "metrics")} {
		assert.Equal(t, []any{map[string]any{"kind": "ServiceAccount", "name": "metrics-server", "namespace": "journal-metrics-server"}}, binding.Field("subjects"))
	}
}

func TestThePodsConnectToKubeletsAndTheAPIServerAlone(t *testing.T) {
	g := declared(t, &ResourceMetricsArgs{Image: pulumi.String(image), APIServerPorts: []int{16443}})
	assert.Equal(t, map[string]any{}, graphtest.Find(t, g, networkPolicy, "metrics-default-deny").Field("spec.podSelector"))
	policy := graphtest.Find(t, g, networkPolicy, "metrics")
	tcp := func(port int) any { return map[string]any{"protocol": "TCP", "port": port} }
	assert.Equal(t, []any{map[string]any{"ports": []any{tcp(10250)}}}, policy.Field("spec.ingress"))
	assert.Equal(t, []any{map[string]any{"ports": []any{tcp(10250), tcp(16443)}}}, policy.Field("spec.egress"))
}

func TestTheKubeletsMustAnswerBeforeTheyAreAskedAgain(t *testing.T) {
	g := declared(t, &ResourceMetricsArgs{Image: pulumi.String(image), Resolution: 10})
	assert.Contains(t, flags(t, g), "--metric-resolution=10s")
	assert.Contains(t, flags(t, g), "--kubelet-request-timeout=5s")
}

func TestEverythingIsAChildOfTheServiceButTheSecretOfItsKeys(t *testing.T) {
	for _, r := range defaults(t).All() {
		switch r.Type {
		case resourceMetricsType, "random:index/randomPassword:RandomPassword":
			assert.Equal(t, "the stack", r.ParentName(), r.Name)
		default:
			assert.Equal(t, resourceMetricsType+" metrics", r.ParentName(), "%s %s", r.Type, r.Name)
		}
	}
}

func TestAPreviewDeclaresTheSameAsAnUpdate(t *testing.T) {
	names := func(g *graph.Graph) (all []string) {
		for _, r := range g.All() {
			all = append(all, r.Type+" "+r.Name)
		}
		return all
	}
	assert.Equal(t, names(defaults(t)), names(defaults(t, graph.Preview())))
}

func TestEachBrokenRuleIsReportedAndNothingIsDeclared(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := NewResourceMetrics(ctx, "metrics", nil)
		return err
	})
	require.ErrorContains(t, err, `image "": it is missing; write for example registry.k8s.io/metrics-server/metrics-server:v0.9.0`)
	assert.Empty(t, g.All())
	for says, args := range map[string]ResourceMetricsArgs{
		`image "metrics-server:latest": the tag "latest" can be moved`: {Image: pulumi.String("metrics-server:latest")},
		`replicas "1": must be 2 or more`:                              {Replicas: 1},
		`resolution "5": must be 10 to 120`:                            {Resolution: 5},
		`resolution "121": must be 10 to 120`:                          {Resolution: 121},
		`resources.memoryLimit "64Mi": below the request of 128Mi`:     {Resources: kube.Resources{MemoryLimit: "64Mi"}},
		`namespace "kube-system": it belongs to Kubernetes`:            {Namespace: "kube-system"},
		`namespace "Observe": not a DNS label`:                         {Namespace: "Observe"},
		`apiServerPorts[0] "0": must be 1 to 65535`:                    {APIServerPorts: []int{0}},
	} {
		t.Run(says, func(t *testing.T) {
			if args.Image == nil {
				args.Image = pulumi.String(image)
			}
			faults := args.Check()
			require.Len(t, faults, 1)
			assert.ErrorContains(t, faults.Err(), says)
		})
	}
}
