package stacks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/internal/graphtest"
)

const (
	metricsServiceToken = "journal:components:MetricsService"
	// figures is the key of a stack with figures.
	figures = "metrics: {store: {image: 'docker.io/victoriametrics/victoria-metrics:v1.148.8'}, " +
		"objects: {image: 'registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.15.0'}, alerts: {image: 'docker.io/victoriametrics/vmalert:v1.148.8'}}"
	// claimable is the key of a stack with claims.
	claimable = "claims: {image: 'registry.example.com/journal/namespace-controller:v0.1.0-0a1b2c3'}"
	// webhook is what `pulumi config set --secret --path` writes, with the image that it needs.
	webhook = "metrics: {alerts: {webhook: {secure: AAABAKhunter2}, alertmanagerImage: 'quay.io/prometheus/alertmanager:v0.28.1'}}"
)

func TestWithoutTheKeyThereIsNothingOfTheFigures(t *testing.T) {
	g := deployed(t, alice, kept, read, claimable)
	assert.Empty(t, g.OfType(metricsServiceToken))
	for _, r := range g.OfType(graphtest.NetworkPolicy) {
		assert.NotContains(t, fmt.Sprint(r.Inputs), "metrics-store", r.Name)
	}
}

func TestTheMetricStoreBelievesTheClustersOwnServicesAlone(t *testing.T) {
	for _, c := range []struct {
		platform string
		keys     []string
	}{
		{"journal-log-agent|journal-logs|journal-metrics|journal-platform|journal-reader", []string{figures, read, kept, claimable, alice}},
		{"journal-metrics|journal-platform|journal-reader", []string{figures, read, alice}},
	} {
		g := deployed(t, c.keys...)
		var scrape string
		for _, r := range g.OfType("kubernetes:core/v1:ConfigMap") {
			if text, is := r.Field(`data["scrape.yaml"]`).(string); is {
				scrape = text
			}
		}
		assert.Contains(t, scrape, "regex: "+c.platform+", action: keep")
		assert.Contains(t, scrape, "regex: "+c.platform+", action: drop")
	}
}

func TestTheMetricStoreIsLetInEverywhereAndHasThePriorityOfWhatServesAllTenants(t *testing.T) {
	g := deployed(t, figures, read, kept, claimable, alice, "redis: {exporter: {image: 'docker.io/oliver006/redis_exporter:v1.67.0'}}")
	for token, names := range map[string][]string{"kubernetes:apps/v1:StatefulSet": {"metrics-store"}, graphtest.Deployment: {"metrics-objects", "reader"}} {
		for _, name := range names {
			assert.Equal(t, "journal-platform", graphtest.Find(t, g, token, name).Field("spec.template.spec.priorityClassName"), name)
		}
	}
	let := map[any]bool{}
	for _, r := range g.OfType(graphtest.NetworkPolicy) {
		if ingress := fmt.Sprint(r.Field("spec.ingress")); strings.Contains(ingress, "metrics-store") && strings.Contains(ingress, "journal-metrics") {
			let[r.Field("metadata.namespace")] = true
		}
	}
	for _, namespace := range []string{"alice", "journal", "journal-logs", "journal-log-agent", "journal-reader", "journal-metrics", "journal-platform"} {
		assert.True(t, let[namespace], "nothing in %s lets the metric store in", namespace)
	}
}

func TestTheReaderReadsWhatTheStackKeeps(t *testing.T) {
	for flag, keys := range map[string][]string{
		"[--metrics-listen=:8080 --metrics-url=http://metrics-store.journal-metrics.svc:8428]":                                                   {figures, read},
		"[--metrics-listen=:8080 --logs-url=http://log-store.journal-logs.svc:9428]":                                                             {kept, read},
		"[--metrics-listen=:8080 --logs-url=http://log-store.journal-logs.svc:9428 --metrics-url=http://metrics-store.journal-metrics.svc:8428]": {kept, figures, read},
	} {
		args, _ := graphtest.Find(t, deployed(t, keys...), graphtest.Deployment, "reader").Field("spec.template.spec.containers[0].args").([]any)
		assert.Equal(t, flag, fmt.Sprint(args[3:]))
	}
}

func TestWhatDoesNotFitWithTheFiguresIsRefused(t *testing.T) {
	for says, changes := range map[string][]string{
		`journal:reader "": it is missing, and nobody could read the figures`:                          {figures},
		`journal:reader "": it is missing, and nobody could read the logs and the figures`:             {figures, kept},
		`journal:namespace "journal-metrics": the namespace of the metric store; write another name`:   {figures, read, "namespace: journal-metrics"},
		`journal:ingressController.namespace "journal-metrics": the namespace of the key metrics`:      {figures, read, "ingressController: {namespace: journal-metrics}"},
		`journal:metrics.store.image "": it is missing; write for example docker.io/victoriametrics/`:  {read, "metrics: {objects: {image: 'a/b:v1.0.0'}, alerts: {image: 'a/c:v1.0.0'}}"},
		`journal:metrics.store.storage.size "10 GB": not a Kubernetes quantity`:                        {figures, read, "metrics: {store: {storage: {size: 10 GB}}}"},
		`journal:metrics.store.retention "0": must be 1 to 400`:                                        {figures, read, "metrics: {store: {retention: 0}}"},
		`journal:metrics.alerts.quota "[hidden]": must be 1 to 99`:                                     {figures, read, "metrics: {alerts: {quota: 120}}"},
		`journal:metrics.alerts.webhok "[hidden]": unknown field; did you mean webhook?`:               {figures, read, "metrics: {alerts: {webhok: 'https://hooks.example.com/hunter2'}}"},
		`journal:metrics.alerts.alertmanagerImage "": it is missing, and posts the alerts`:             {figures, read, "metrics: {alerts: {webhook: {secure: AAABAKhunter2}}}"},
		`journal:metrics.alerts.alertmanagerImage "a/b:v1.0.0": it posts the alerts to alerts.webhook`: {figures, read, "metrics: {alerts: {alertmanagerImage: 'a/b:v1.0.0'}}"},
		`journal:metrics.alerts.webhook "[hidden]": must be encrypted; set it with pulumi config set --secret --path 'journal:metrics.alerts.webhook'`: {
			figures, read, "metrics: {alerts: {webhook: 'https://hooks.example.com/hunter2', alertmanagerImage: 'quay.io/prometheus/alertmanager:v0.28.1'}}",
		},
	} {
		t.Run(says, func(t *testing.T) {
			err := Check(stack(t, changes...), "test")
			require.ErrorContains(t, err, says)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Len(t, faultsOf(t, err), 1)
		})
	}
}

func TestAnEncryptedWebhookIsAccepted(t *testing.T) {
	require.NoError(t, Check(stack(t, figures, read, webhook), "test"))
}

func TestTheVolumeOfTheFiguresDoesNotShrinkNorChangeItsClass(t *testing.T) {
	last, err := after(t, nil, figures, read)
	require.NoError(t, err)
	_, err = after(t, last, figures, read, "metrics: {store: {storage: {size: 9Gi}}}")
	require.ErrorContains(t, err, `journal:metrics.store.storage.size "9Gi": the volumes have 10Gi, and Kubernetes shrinks none; write 10Gi or more`)
	_, err = after(t, last, figures, read, "metrics: {store: {storage: {class: fast}}}")
	require.ErrorContains(t, err, `journal:metrics.store.storage.class "fast": the volumes are of class ""`)
}
