package observe

import (
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

func TestTheReadersAPIGroupComesAfterAllThatServesItAndGoesBeforeIt(t *testing.T) {
	g := logs(t, leastLogs())
	group := graphtest.Find(t, g, apiService, "reader")
	assert.Equal(t, "v1alpha1.observe.journal.example.com", group.Field("metadata.name"))
	for token, names := range map[string][]string{
		deployment: {"reader"}, service: {"reader"}, networkPolicy: {"reader", "reader-default-deny"},
		rbac + "ClusterRole": {"reader"}, rbac + "ClusterRoleBinding": {"reader"}, rbac + "RoleBinding": {"reader"},
	} {
		for _, name := range names {
			assert.True(t, slices.ContainsFunc(group.DependsOn, func(urn string) bool { return strings.HasSuffix(urn, token+"::"+name) }),
				"%s %s: without it, no namespace of the cluster can be deleted", token, name)
		}
	}
	for _, urn := range graphtest.Find(t, g, deployment, "reader").DependsOn {
		assert.NotContains(t, urn, "StatefulSet", "the API group would wait for the store")
	}
	assert.Equal(t, 1, graphtest.Find(t, g, budget, "reader").Field("spec.maxUnavailable"))
}

func TestTheReaderIsStartedWithTheStoreItsCertificateAndItsPorts(t *testing.T) {
	pods := graphtest.Find(t, logs(t, leastLogs()), deployment, "reader")
	assert.ElementsMatch(t, []any{
		"--logs-url=http://log-store.journal-logs.svc:9428", "--listen=:10250", "--metrics-listen=:8080",
		"--tls-cert-file=/etc/reader/tls.crt", "--tls-private-key-file=/etc/reader/tls.key",
	}, pods.Field("spec.template.spec.containers[0].args"))
	assert.Equal(t, 2, pods.Field("spec.replicas"))
	for probe, path := range map[string]string{"startup": "/livez", "readiness": "/readyz", "liveness": "/livez"} {
		assert.Equal(t, map[string]any{"path": path, "port": "metrics"}, pods.Field("spec.template.spec.containers[0]."+probe+"Probe.httpGet"), probe)
	}
}

func TestTheTenantsViewersReadTheirLogsAndThePlatformAll(t *testing.T) {
	g := logs(t, leastLogs())
	reads := []string{"list logs", "watch logs", "get logs/proxy", "create logs/proxy"}
	for _, role := range []string{ObserveViewerRole, ObserveAllRole} {
		found := graphtest.Find(t, g, rbac+"ClusterRole", role)
		var verbs []string
		for _, grant := range graphtest.Grants(found) {
			resource, verb, _ := strings.Cut(strings.TrimPrefix(grant, "observe.journal.example.com/"), ":")
			verbs = append(verbs, verb+" "+resource)
		}
		assert.Equal(t, reads, verbs, role)
		labels, _ := found.Field("metadata.labels").(map[string]any)
		if role == ObserveViewerRole {
			assert.Equal(t, "true", labels["example.com/viewer"])
		} else {
			assert.NotContains(t, labels, "example.com/viewer", "every viewer would read all logs")
		}
	}
	bindings := 0
	for _, binding := range g.OfType(rbac + "ClusterRoleBinding") {
		if role := binding.Field("roleRef.name"); role == ObserveViewerRole || role == ObserveAllRole {
			bindings++
			assert.Equal(t, ObserveAllRole, role, "its rights hold in a namespace alone")
			assert.Equal(t, []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "platform"}}, binding.Field("subjects"))
		}
	}
	assert.Equal(t, 1, bindings)
}

func TestTheReaderKnowsNamespacesAndWhoTheAPIServerIs(t *testing.T) {
	g := logs(t, leastLogs())
	assert.Equal(t, []string{"/namespaces:get", "/namespaces:list", "/namespaces:watch"}, graphtest.Grants(graphtest.Find(t, g, rbac+"ClusterRole", "reader")))
	frontProxy := graphtest.Find(t, g, rbac+"RoleBinding", "reader")
	assert.Equal(t, "kube-system", frontProxy.Field("metadata.namespace"))
	assert.Equal(t, "extension-apiserver-authentication-reader", frontProxy.Field("roleRef.name"))
}

func TestTheReaderAndTheMetricsServerHaveDifferentCertificates(t *testing.T) {
	metrics, err := deriveCertificates("secret", metricsServer, 1, host)
	require.NoError(t, err)
	reader, err := deriveCertificates("secret", readerApp, 1, host)
	require.NoError(t, err)
	assert.NotEqual(t, metrics.key, reader.key)
	require.Error(t, verify(t, metrics.authority, reader.certificate, host))
}

func TestAReaderWithoutAStoreIsRefusedWithAllFaultsAndNothingIsDeclared(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := NewReader(ctx, "reader", &ReaderArgs{Replicas: 1, Certificate: CertificateArgs{Number: -1}, Platform: []kube.Subject{"platform", "group:system:masters"}, Namespace: "default"})
		return err
	})
	for _, says := range []string{
		`image "": it is missing; write for example registry.example.com/journal/reader:v0.1.0-0a1b2c3`,
		`replicas "1": must be 2 or more`,
		`certificate.number "-1": must be 0 or more`,
		`platform[0] "platform": neither a user nor a group`,
		`platform[1] "group:system:masters": names that begin with system: belong to Kubernetes`,
		`namespace "default": it belongs to Kubernetes`,
		`logs "": it is missing; pass the field Store of a LogService`,
	} {
		require.ErrorContains(t, err, says)
	}
	assert.Empty(t, g.All(), fmt.Sprint(err))
}
