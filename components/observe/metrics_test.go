package observe

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

const (
	metricsStoreImage = "docker.io/victoriametrics/victoria-metrics:v1.148.8"
	objectsImage      = "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.15.0"
	vmalertImage      = "docker.io/victoriametrics/vmalert:v1.148.8"
	alertmanagerImage = "quay.io/prometheus/alertmanager:v0.28.1"
)

// leastMetrics are the least arguments, with changes.
func leastMetrics(changes ...func(*MetricsServiceArgs)) *MetricsServiceArgs {
	args := &MetricsServiceArgs{
		Store:   MetricsStoreArgs{Image: pulumi.String(metricsStoreImage)},
		Objects: MetricsObjectsArgs{Image: pulumi.String(objectsImage)},
		Alerts:  MetricsAlertsArgs{Image: pulumi.String(vmalertImage)},
	}
	for _, change := range changes {
		change(args)
	}
	return args
}

// dashboardQueries are the queries of all panels.
func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	files, err := leastMetrics().withDefaults().configuration()
	require.NoError(t, err)
	for _, name := range dashboardFiles {
		var board struct {
			Rows []struct {
				Panels []struct {
					Expr []string `json:"expr"`
				} `json:"panels"`
			} `json:"rows"`
		}
		require.NoError(t, json.Unmarshal([]byte(files[name]), &board), name)
		for _, row := range board.Rows {
			for _, panel := range row.Panels {
				queries = append(queries, panel.Expr...)
			}
		}
	}
	return queries
}

// metrics is the graph of a program with figures, their reader, and no logs.
func metrics(t *testing.T, args *MetricsServiceArgs, options ...graph.Option) *graph.Graph {
	t.Helper()
	return graphtest.Run(t, func(ctx *pulumi.Context) error {
		reader := &ReaderArgs{Image: pulumi.String(readerImage), MetricsNamespace: "journal-metrics"}
		args.Readers = reader.Peers()
		service, err := NewMetricsService(ctx, "metrics", args)
		if err != nil {
			return err
		}
		reader.Metrics = service.Store
		_, err = NewReader(ctx, "reader", reader)
		return err
	}, options...)
}

// posted are the arguments with a webhook.
func posted(a *MetricsServiceArgs) {
	a.Alerts.Webhook = pulumi.ToSecret(pulumi.String("https://hooks.example.com/hunter2")).(pulumi.StringOutput)
	a.Alerts.AlertmanagerImage = pulumi.String(alertmanagerImage)
}

func TestTheStoreOfTheFiguresIsStartedWithItsBounds(t *testing.T) {
	g := metrics(t, leastMetrics(func(a *MetricsServiceArgs) {
		a.Store.Storage, a.Store.Retention = kube.Storage{Size: "20Gi", Class: "fast"}, 30
		a.Store.Resources.MemoryLimit = "1Gi"
	}))
	labels, _ := graphtest.Find(t, g, namespace, "metrics-store").Field("metadata.labels").(map[string]any)
	assert.Equal(t, "restricted", labels["pod-security.kubernetes.io/enforce"])
	store := graphtest.Find(t, g, statefulSet, "metrics-store")
	flags := fmt.Sprint(store.Field("spec.template.spec.containers[0].args"))
	for _, flag := range []string{
		"-storageDataPath=/data", "-httpListenAddr=:8428", "-enableTCP6", "-retentionPeriod=30d", "-storage.minFreeDiskSpaceBytes=1073741824", "-memory.allowedBytes=357913941",
		"-storage.maxHourlySeries=524288", "-storage.maxDailySeries=1048576", "-promscrape.config=/etc/metrics/scrape.yaml", "-vmui.customDashboardsPath=/etc/dashboards",
		"-search.maxQueryDuration=30s", "-search.maxMemoryPerQuery=16777216", "-enableMetadata=false", "-denyQueryTracing", "-http.disableCORS",
	} {
		assert.Contains(t, flags, flag)
	}
	claim := graphtest.Find(t, g, "kubernetes:core/v1:PersistentVolumeClaimPatch", "metrics-store-0")
	assert.Equal(t, "data-metrics-store-0", claim.Field("metadata.name"))
	assert.Equal(t, "20Gi", claim.Field("spec.resources.requests.storage"))
	annotations, _ := store.Field("spec.template.metadata.annotations").(map[string]any)
	assert.Equal(t, "true", annotations["prometheus.io/scrape"])
	assert.Equal(t, "8428", annotations["prometheus.io/port"])
	assert.Contains(t, fmt.Sprint(store.Field("spec.template.spec.containers[1].args")), "-enableTCP6")
	assert.Equal(t, "metrics-store", store.Field(`spec.template.metadata.labels["app.kubernetes.io/name"]`), "no policy would let it in")
}

func TestTheStoreAloneHasATokenInItsPod(t *testing.T) {
	store := graphtest.Find(t, metrics(t, leastMetrics(posted)), statefulSet, "metrics-store")
	containers, _ := store.Field("spec.template.spec.containers").([]any)
	var names []string
	for _, container := range containers {
		c := container.(map[string]any)
		names = append(names, c["name"].(string))
		if mounts := fmt.Sprint(c["volumeMounts"]); c["name"] == "metrics-store" {
			assert.Contains(t, mounts, "/var/run/secrets/kubernetes.io/serviceaccount")
		} else {
			assert.NotContains(t, mounts, "api-token", c["name"])
			assert.NotContains(t, mounts, "mountPath:/data", c["name"])
		}
		assert.Equal(t, map[string]any{"drop": []any{"ALL"}}, c["securityContext"].(map[string]any)["capabilities"], c["name"])
		assert.Len(t, c["resources"].(map[string]any)["limits"], 3, c["name"])
	}
	assert.Equal(t, []string{"metrics-store", "vmalert", "alertmanager"}, names)
	assert.Equal(t, false, store.Field("spec.template.spec.automountServiceAccountToken"))
}

func TestTheStoreReadsPodsAndTheKubeletsFiguresAndNothingElse(t *testing.T) {
	g := metrics(t, leastMetrics())
	assert.Equal(t, []string{"/nodes/metrics:get", "/pods:get", "/pods:list", "/pods:watch", "/nodes:get", "/nodes:list", "/nodes:watch"},
		graphtest.Grants(graphtest.Find(t, g, rbac+"ClusterRole", "metrics-store")))
	assert.Equal(t, []string{
		"/persistentvolumeclaims:list", "/persistentvolumeclaims:watch", "/pods:list", "/pods:watch", "/resourcequotas:list", "/resourcequotas:watch",
		"apps/daemonsets:list", "apps/daemonsets:watch", "apps/deployments:list", "apps/deployments:watch", "apps/statefulsets:list", "apps/statefulsets:watch",
		"autoscaling/horizontalpodautoscalers:list", "autoscaling/horizontalpodautoscalers:watch",
	}, graphtest.Grants(graphtest.Find(t, g, rbac+"ClusterRole", "metrics-objects")))
	args := fmt.Sprint(graphtest.Find(t, g, deployment, "metrics-objects").Field("spec.template.spec.containers[0].args"))
	assert.Contains(t, args, "--resources=daemonsets,deployments,horizontalpodautoscalers,persistentvolumeclaims,pods,resourcequotas,statefulsets")
	assert.NotContains(t, args, "labels", "labels of objects are tenants' texts")
}

func TestTheReaderAloneReachesTheStoreOfTheFigures(t *testing.T) {
	g := metrics(t, leastMetrics())
	pods := func(namespace, label, app string) any {
		return map[string]any{
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": namespace}},
			"podSelector":       map[string]any{"matchLabels": map[string]any{label: app}},
		}
	}
	tcp := func(ports ...int) (all []any) {
		for _, port := range ports {
			all = append(all, map[string]any{"protocol": "TCP", "port": port})
		}
		return all
	}
	scraper := pods("journal-metrics", "app.kubernetes.io/name", "metrics-store")
	store := graphtest.Find(t, g, networkPolicy, "metrics-store")
	assert.Equal(t, []any{map[string]any{"from": []any{pods("journal-reader", "app", "reader")}, "ports": tcp(8428)}}, store.Field("spec.ingress"))
	assert.Equal(t, []any{
		map[string]any{"to": []any{map[string]any{"namespaceSelector": map[string]any{}}}},
		map[string]any{"ports": tcp(10250, 443, 6443)},
	}, store.Field("spec.egress"))
	objects := graphtest.Find(t, g, networkPolicy, "metrics-objects")
	assert.Equal(t, []any{map[string]any{"from": []any{scraper}, "ports": tcp(8080)}}, objects.Field("spec.ingress"))
	assert.Equal(t, []any{map[string]any{"ports": tcp(443, 6443)}}, objects.Field("spec.egress"))
	assert.Equal(t, map[string]any{}, graphtest.Find(t, g, networkPolicy, "metrics-store-default-deny").Field("spec.podSelector"))

	reader := graphtest.Find(t, g, networkPolicy, "reader")
	assert.Equal(t, map[string]any{"to": []any{pods("journal-metrics", "app", "metrics-store")}, "ports": tcp(8428)}, reader.Field("spec.egress[1]"))
	assert.Equal(t, map[string]any{"from": []any{scraper}, "ports": tcp(8080)}, reader.Field("spec.ingress[1]"))

	alone := graphtest.Run(t, func(ctx *pulumi.Context) error {
		_, err := NewMetricsService(ctx, "metrics", leastMetrics())
		return err
	})
	assert.Nil(t, graphtest.Find(t, alone, networkPolicy, "metrics-store").Field("spec.ingress"), "a rule without peers lets everybody in")
}

func TestOurOwnServicesServeFiguresToTheMetricStoreOnlyIfThereIsOne(t *testing.T) {
	for _, in := range []string{"", "journal-metrics"} {
		g := logs(t, leastLogs(func(a *LogServiceArgs) { a.MetricsNamespace = in }))
		for token, names := range map[string]map[string]string{daemonSet: {"logs-agent": "8888"}, statefulSet: {"logs-store": "9428"}} {
			for name, port := range names {
				annotations, _ := graphtest.Find(t, g, token, name).Field("spec.template.metadata.annotations").(map[string]any)
				ingress := fmt.Sprint(graphtest.Find(t, g, networkPolicy, name).Field("spec.ingress"))
				if in == "" {
					assert.NotContains(t, annotations, "prometheus.io/scrape", name)
					assert.NotContains(t, ingress, "metrics-store", name)
				} else {
					assert.Equal(t, port, annotations["prometheus.io/port"], name)
					assert.Contains(t, ingress, "metrics-store", name)
				}
			}
		}
	}
}

func TestOtherFilesAreAnotherConfigMapAndSoAnotherPod(t *testing.T) {
	config := func(changes ...func(*MetricsServiceArgs)) (name any, mounted any, data map[string]any) {
		g := metrics(t, leastMetrics(changes...))
		maps := g.OfType("kubernetes:core/v1:ConfigMap")
		require.Len(t, maps, 1)
		data, _ = maps[0].Field("data").(map[string]any)
		return maps[0].Field("metadata.name"), graphtest.Find(t, g, statefulSet, "metrics-store").Field("spec.template.spec.volumes[2].configMap.name"), data
	}
	before, mounted, files := config()
	assert.Equal(t, before, mounted)
	assert.Len(t, files, 4)
	after, _, files := config(func(a *MetricsServiceArgs) { a.Store.Interval = 15 })
	assert.NotEqual(t, before, after)
	assert.Contains(t, files["scrape.yaml"], "scrape_interval: 15s")
}

func TestTheURLOfTheWebhookIsInTheSecretAlone(t *testing.T) {
	g := metrics(t, leastMetrics(posted))
	found := graphtest.Find(t, g, secret, "metrics-store-alertmanager")
	assert.True(t, found.IsSecret("stringData"))
	text, _ := found.Field("stringData").(map[string]any)["alertmanager.yaml"].(string)
	var config struct {
		Receivers []struct {
			Webhooks []struct {
				URL string `json:"url"`
			} `json:"webhook_configs"`
		} `json:"receivers"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &config))
	assert.Equal(t, "https://hooks.example.com/hunter2", config.Receivers[0].Webhooks[0].URL)
	for _, r := range g.All() {
		if r.Type != secret {
			assert.NotContains(t, fmt.Sprint(r.Inputs), "hunter2", "%s %s", r.Type, r.Name)
		}
	}
	pods := graphtest.Find(t, g, statefulSet, "metrics-store")
	assert.Contains(t, fmt.Sprint(pods.Field("spec.template.spec.containers[1].args")), "-notifier.url=http://127.0.0.1:9093")
	assert.Contains(t, fmt.Sprint(pods.Field("spec.template.spec.containers[2].args")), "--web.listen-address=127.0.0.1:9093")
	assert.False(t, pods.IsSecret("spec"), "a preview could not show it")
	assert.Contains(t, fmt.Sprint(graphtest.Find(t, g, networkPolicy, "metrics-store").Field("spec.egress")), "443")

	without := graphtest.Find(t, metrics(t, leastMetrics()), statefulSet, "metrics-store")
	assert.Contains(t, fmt.Sprint(without.Field("spec.template.spec.containers[1].args")), "-notifier.blackhole")
	assert.Nil(t, without.Field("spec.template.spec.containers[2]"))
}

func TestAWebhookThatIsNoURLIsRefusedWithoutShowingIt(t *testing.T) {
	for _, address := range []string{"hunter2", "ftp://hunter2", "https://", "https://hunter2:%", ""} {
		err := checkWebhook(address)
		require.ErrorContains(t, err, "no URL with http:// or https:// and a host", address)
		assert.NotContains(t, err.Error(), "hunter2")
	}
}

// TestWhatIsReadIsBoundedAndNeverElsewhere reads the file. The end-to-end tests ask the store.
func TestWhatIsReadIsBoundedAndNeverElsewhere(t *testing.T) {
	files, err := leastMetrics(func(a *MetricsServiceArgs) { a.Platform = []string{"journal-logs"} }).withDefaults().configuration()
	require.NoError(t, err)
	var config struct {
		Global map[string]any   `yaml:"global"`
		Jobs   []map[string]any `yaml:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(files["scrape.yaml"]), &config))
	assert.Equal(t, map[string]any{"scrape_interval": "30s", "scrape_timeout": "10s", "label_limit": 40}, config.Global)
	var names []any
	for _, job := range config.Jobs {
		names = append(names, job["job_name"])
		assert.Equal(t, false, job["follow_redirects"], job["job_name"])
		assert.Equal(t, false, job["honor_timestamps"], job["job_name"])
		assert.Positive(t, job["sample_limit"], job["job_name"])
		assert.Positive(t, job["series_limit"], job["job_name"])
		assert.Equal(t, job["job_name"] != "pods", job["honor_labels"], job["job_name"])
	}
	assert.Equal(t, []any{"kubelet", "kubelet-volumes", "kube-state-metrics", "platform", "pods"}, names)
	assert.Equal(t, 1000, config.Jobs[4]["sample_limit"])
	assert.Equal(t, "1MiB", config.Jobs[4]["max_scrape_size"])
	assert.Contains(t, files["scrape.yaml"], "regex: journal-logs|journal-metrics, action: drop")
	assert.NotContains(t, files["scrape.yaml"], "<<")
}

// alertRule is an alert of the configuration.
type alertRule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// alertRules returns the alerts in their order.
func alertRules(t *testing.T) (all []alertRule) {
	t.Helper()
	files, err := leastMetrics().withDefaults().configuration()
	require.NoError(t, err)
	var rules struct {
		Groups []struct {
			Rules []alertRule `yaml:"rules"`
		} `yaml:"groups"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(files[alertsFile]), &rules))
	for _, group := range rules.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

func TestEveryAlertSaysItsNamespaceItsSeverityAndTheFix(t *testing.T) {
	var names []string
	for _, rule := range alertRules(t) {
		names = append(names, rule.Alert)
		assert.True(t, strings.Contains(rule.Expr, "by (namespace") || rule.Labels["namespace"] != "", "%s: nobody could read it", rule.Alert)
		assert.Contains(t, []string{"info", "warning", "critical"}, rule.Labels["severity"], rule.Alert)
		assert.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
		assert.NotEmpty(t, rule.Annotations["description"], rule.Alert)
		for selector := range strings.SplitSeq(rule.Expr, "{") {
			if before, _, is := strings.Cut(selector, "}"); is {
				assert.Contains(t, before, "job=", "%s: a pod that serves a figure of this name would be believed", rule.Alert)
			}
		}
	}
	assert.Equal(t, []string{
		"QuotaNearlyFull", "VolumeNearlyFull", "RedisReplicationBroken", "ContainerRestarting", "ClaimEnding", "LogLinesDropped",
		"LogAgentDown", "LogStoreDown", "ReaderDown", "FiguresMissing", "FiguresDropped",
	}, names)
	assert.Contains(t, alertRules(t)[0].Expr, ">= 0.90")
}

func TestEveryQueryOfTheDashboardsSaysItsJob(t *testing.T) {
	queries := dashboardQueries(t)
	require.Greater(t, len(queries), 15)
	for _, query := range queries {
		assert.Contains(t, query, "job=", query)
	}
}

func TestAPreviewOfTheFiguresDeclaresTheSameAsAnUpdate(t *testing.T) {
	names := func(g *graph.Graph) (all []string) {
		for _, r := range g.All() {
			all = append(all, r.Type+" "+r.Name)
		}
		return all
	}
	assert.Equal(t, names(metrics(t, leastMetrics(posted))), names(metrics(t, leastMetrics(posted), graph.Preview())))
}

func TestEachBrokenRuleOfTheFiguresIsReported(t *testing.T) {
	for says, change := range map[string]func(*MetricsServiceArgs){
		`store.image "victoria-metrics": it has no tag`:                       func(a *MetricsServiceArgs) { a.Store.Image = pulumi.String("victoria-metrics") },
		`objects.image "": it is missing; write for example registry.k8s.io/`: func(a *MetricsServiceArgs) { a.Objects.Image = nil },
		`alerts.image "vmalert:latest": the tag "latest" can be moved`:        func(a *MetricsServiceArgs) { a.Alerts.Image = pulumi.String("vmalert:latest") },
		`store.retention "401": must be 1 to 400`:                             func(a *MetricsServiceArgs) { a.Store.Retention = 401 },
		`store.interval "5": must be 10 to 60`:                                func(a *MetricsServiceArgs) { a.Store.Interval = 5 },
		`store.series "500": below store.samples of 1000`:                     func(a *MetricsServiceArgs) { a.Store.Series = 500 },
		`store.storage.size "10 GB": not a Kubernetes quantity`:               func(a *MetricsServiceArgs) { a.Store.Storage.Size = "10 GB" },
		`store.resources.memoryLimit "64Mi": below the request of 128Mi`:      func(a *MetricsServiceArgs) { a.Store.Resources.MemoryLimit = "64Mi" },
		`alerts.quota "100": must be 1 to 99`:                                 func(a *MetricsServiceArgs) { a.Alerts.Quota = 100 },
		`alerts.for "-1": must be 1 to 3600`:                                  func(a *MetricsServiceArgs) { a.Alerts.For = -1 },
		`alerts.claim "30": must be 60 to 86400`:                              func(a *MetricsServiceArgs) { a.Alerts.Claim = 30 },
		`alerts.alertmanagerImage "": it is missing, and posts the alerts`:    func(a *MetricsServiceArgs) { posted(a); a.Alerts.AlertmanagerImage = nil },
		`alerts.alertmanagerImage "quay.io/prometheus/alertmanager:v0.28.1": it posts the alerts to alerts.webhook, which is missing`: func(a *MetricsServiceArgs) {
			posted(a)
			a.Alerts.Webhook = nil
		},
		`namespace "kube-system": it belongs to Kubernetes`: func(a *MetricsServiceArgs) { a.Namespace = "kube-system" },
		`platform ".*": not a DNS label`:                    func(a *MetricsServiceArgs) { a.Platform = []string{"a", ".*"} },
		`dns[0] "10.0.0.1": must be a range of addresses`:   func(a *MetricsServiceArgs) { a.DNS = kube.DNS{"10.0.0.1"} },
	} {
		t.Run(says, func(t *testing.T) {
			faults := leastMetrics(change).Check()
			require.Len(t, faults, 1)
			assert.ErrorContains(t, faults.Err(), says)
		})
	}
}

func TestAReaderOfOneStoreServesAndGrantsThatAlone(t *testing.T) {
	for _, c := range []struct {
		g       *graph.Graph
		flag    string
		without string
		grants  []string
	}{
		{metrics(t, leastMetrics()), "--metrics-url=http://metrics-store.journal-metrics.svc:8428", "--logs-url", []string{"metrics:list", "metrics/proxy:get", "metrics/proxy:create"}},
		{logs(t, leastLogs()), "--logs-url=http://log-store.journal-logs.svc:9428", "--metrics-url", []string{"logs:list", "logs:watch", "logs/proxy:get", "logs/proxy:create"}},
	} {
		args := fmt.Sprint(graphtest.Find(t, c.g, deployment, "reader").Field("spec.template.spec.containers[0].args"))
		assert.Contains(t, args, c.flag)
		assert.NotContains(t, args, c.without)
		for _, role := range []string{ObserveViewerRole, ObserveAllRole} {
			grants := graphtest.Grants(graphtest.Find(t, c.g, rbac+"ClusterRole", role))
			for i := range grants {
				grants[i] = strings.TrimPrefix(grants[i], "observe.journal.example.com/")
			}
			assert.Equal(t, c.grants, grants)
		}
	}
}

func TestHalfAStoreIsRefused(t *testing.T) {
	_, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := NewReader(ctx, "reader", &ReaderArgs{Image: pulumi.String(readerImage), Logs: Store{URL: pulumi.String("http://a")}, Metrics: Store{Port: 1}})
		return err
	})
	require.ErrorContains(t, err, `logs "": something of it is missing; pass the field Store of a LogService`)
	require.ErrorContains(t, err, `metrics "": something of it is missing; pass the field Store of a MetricsService`)
}
