package journal_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/journal"
	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

const exporterImage = "docker.io/oliver006/redis_exporter:v1.67.0"

// watched are the arguments of a journal whose figures the metric store in journal-metrics reads.
func watched() *journal.Args {
	a := args()
	a.MetricsNamespace, a.IngressNamespace = "journal-metrics", "traefik"
	a.Redis.Exporter = &journal.RedisExporterArgs{Image: pulumi.String(exporterImage)}
	return a
}

// scraper is the metric store in a NetworkPolicy.
var scraper = map[string]any{
	"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "journal-metrics"}},
	"podSelector":       map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": "metrics-store"}},
}

// annotations returns those of a workload's pods.
func annotations(r graph.Resource) map[string]any {
	all, _ := r.Field("spec.template.metadata.annotations").(map[string]any)
	return all
}

func TestTheMetricStoreReadsTheFiguresOfTheAPIAndOfRedisAndNoOthers(t *testing.T) {
	g := declare(t, watched())
	for name, port := range map[string]string{"journal-api": "8080", "journal-redis": "9121", "journal-frontend": ""} {
		for _, r := range pods(t, g) {
			if r.Name != name {
				continue
			}
			if port == "" {
				assert.NotContains(t, annotations(r), "prometheus.io/scrape", name)
				continue
			}
			assert.Equal(t, "true", annotations(r)["prometheus.io/scrape"], name)
			assert.Equal(t, port, annotations(r)["prometheus.io/port"], name)
			assert.NotContains(t, annotations(r), "prometheus.io/path", "%s serves them at the usual path", name)
		}
	}
	controller := map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "traefik"}}}
	assert.Equal(t, []any{controller, scraper}, graphtest.Find(t, g, policy, "journal-api").Field("spec.ingress[0].from"))
	assert.Equal(t, []any{controller}, graphtest.Find(t, g, policy, "journal-frontend").Field("spec.ingress[0].from"))
	redis := graphtest.Find(t, g, policy, "journal-redis")
	assert.NotContains(t, redis.Field("spec.ingress[0].from"), scraper, "the store never connects to Redis itself")
	assert.Equal(t, map[string]any{"from": []any{scraper}, "ports": []any{map[string]any{"protocol": "TCP", "port": 9121}}}, redis.Field("spec.ingress[1]"))
}

func TestWithoutAMetricStoreNobodyReadsFigures(t *testing.T) {
	for _, r := range pods(t, declare(t, args())) {
		assert.NotContains(t, annotations(r), "prometheus.io/scrape", r.Name)
		assert.Len(t, r.Field("spec.template.spec.containers"), 1, r.Name)
		assert.Nil(t, r.Field("spec.template.spec.initContainers"), r.Name)
	}
	a := watched()
	a.MetricsNamespace = ""
	assert.Len(t, graphtest.Find(t, declare(t, a), policy, "journal-redis").Field("spec.ingress"), 1, "nobody connects to the exporters")
}

func TestAnExporterIsRestrictedAndNothingWaitsForIt(t *testing.T) {
	redis := graphtest.Find(t, declare(t, watched()), statefulSet, "journal-redis")
	for _, at := range []string{"containers[0]", "containers[1]"} {
		path := "spec.template.spec." + at
		for field, want := range map[string]any{
			"allowPrivilegeEscalation": false, "privileged": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true, "runAsUser": kube.UserID,
			"capabilities": map[string]any{"drop": []any{"ALL"}}, "seccompProfile": map[string]any{"type": "RuntimeDefault"},
		} {
			assert.Equal(t, want, redis.Field(path+".securityContext."+field), "%s: %s", at, field)
		}
		for _, resource := range []string{"cpu", "memory"} {
			limit := redis.Field(path + ".resources.limits." + resource)
			assert.NotEmpty(t, limit)
			assert.Equal(t, redis.Field(path+".resources.requests."+resource), limit, "the pod keeps the Guaranteed quality of service")
		}
	}
	exporter := "spec.template.spec.containers[1]."
	assert.Equal(t, "redis", redis.Field("spec.template.spec.containers[0].name"), "kubectl logs and exec take the first container")
	assert.Equal(t, exporterImage, redis.Field(exporter+"image"))
	assert.Nil(t, redis.Field(exporter+"command"), "the programs have different names")
	for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe", "lifecycle"} {
		assert.Nil(t, redis.Field(exporter+probe), probe)
	}
}

func TestThePasswordOfTheExporterIsInAFileInMemoryAndNowhereElse(t *testing.T) {
	g := declare(t, watched())
	redis := graphtest.Find(t, g, statefulSet, "journal-redis")
	variables := map[string]any{}
	for _, variable := range redis.Field("spec.template.spec.containers[1].env").([]any) {
		variables[variable.(map[string]any)["name"].(string)] = variable.(map[string]any)["value"]
	}
	assert.Equal(t, map[string]any{
		"REDIS_ADDR": "redis://127.0.0.1:6379", "REDIS_USER": "monitor", "REDIS_PASSWORD_FILE": "/run/exporter/passwords.json",
		"REDIS_EXPORTER_WEB_LISTEN_ADDRESS": ":9121", "REDIS_EXPORTER_CONNECTION_TIMEOUT": "5s",
		"REDIS_EXPORTER_CONFIG_COMMAND": "-", "REDIS_EXPORTER_EXCLUDE_LATENCY_HISTOGRAM_METRICS": "true",
		"REDIS_EXPORTER_SET_CLIENT_NAME": "false", "REDIS_EXPORTER_REDIS_ONLY_METRICS": "true",
	}, variables)
	assert.Equal(t, []any{map[string]any{"name": "exporter", "mountPath": "/run/exporter", "readOnly": true}},
		redis.Field("spec.template.spec.containers[1].volumeMounts"), "it has none of the other users' passwords")
	assert.Contains(t, redis.Field("spec.template.spec.volumes"),
		map[string]any{"name": "exporter", "emptyDir": map[string]any{"medium": "Memory", "sizeLimit": "1Mi"}})

	before := graphtest.Find(t, declare(t, args()), secret, "journal-redis-1")
	assert.Equal(t, before.Field("metadata.name"), graphtest.Find(t, g, secret, "journal-redis-1").Field("metadata.name"),
		"the clients' passwords stay, so an exporter replaces no pod of theirs")
}

// The script reads and writes below folders that a test does not have.
func TestTheExportersPasswordIsMadeAnewForTheAddressOfItsRedisAlone(t *testing.T) {
	script, err := os.ReadFile("exporter.sh")
	require.NoError(t, err)
	made := func() string {
		dir := t.TempDir()
		run := func() {
			command := exec.Command("sh", "-c", strings.NewReplacer("/run/exporter", dir, "/etc/redis", ".").Replace(string(script)), "sh", "redis://127.0.0.1:6379")
			out, err := command.CombinedOutput()
			require.NoError(t, err, string(out))
		}
		run()
		written := map[string]string{}
		for _, name := range []string{"monitor.conf", "passwords.json"} {
			info, err := os.Stat(filepath.Join(dir, name))
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
			text, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			written[name] = string(text)
		}
		passwords := map[string]string{}
		require.NoError(t, json.Unmarshal([]byte(written["passwords.json"]), &passwords))
		password := passwords["redis://127.0.0.1:6379"]
		assert.Len(t, passwords, 1)
		assert.Len(t, password, 36)
		run()
		again, err := os.ReadFile(filepath.Join(dir, "passwords.json"))
		require.NoError(t, err)
		assert.Equal(t, written["passwords.json"], string(again), "a Redis that is started again in its pod keeps the password")
		assert.Equal(t, "user monitor on >"+password+" resetkeys resetchannels -@all +info +ping\n", written["monitor.conf"])
		return password
	}
	first := made()
	assert.NotEqual(t, first, made())
}

func TestRedisKnowsTheUserOfTheExporterOnlyWithAnExporter(t *testing.T) {
	for name, a := range map[string]*journal.Args{"with": watched(), "without": args()} {
		for _, r := range declare(t, a).OfType("kubernetes:core/v1:ConfigMap") {
			data, _ := r.Field("data").(map[string]any)
			if _, is := data["redis.conf"]; !is {
				continue
			}
			if name == "without" {
				assert.NotContains(t, data, "monitor")
				assert.NotContains(t, data, "exporter.sh")
				assert.NotContains(t, data["redis.conf"], "include")
				continue
			}
			assert.Equal(t, "resetkeys resetchannels -@all +info +ping\n", data["monitor"], "it asks for the state and reads no entry")
			assert.Contains(t, data, "exporter.sh")
			assert.Contains(t, data["redis.conf"], "\ninclude /run/exporter/monitor.conf\n")
		}
	}
}

func TestWhatIsWrongWithAnExporterIsSaid(t *testing.T) {
	a := args()
	a.MetricsNamespace = "Metrics"
	a.Redis.Exporter = &journal.RedisExporterArgs{Image: pulumi.String("redis_exporter:latest"), Resources: kube.Resources{CPU: "10m", CPULimit: "5m", Memory: "24"}}
	says := a.Check().Err().Error()
	for _, want := range []string{`metricsNamespace "Metrics"`, `redis.exporter.image`, `redis.exporter.resources.cpuLimit "5m"`, `redis.exporter.resources.memory "24"`} {
		assert.Contains(t, says, want)
	}
	assert.Equal(t, 1, strings.Count(says, "metricsNamespace"), "what is shared is reported once")

	a = args()
	a.Redis.Exporter = &journal.RedisExporterArgs{}
	assert.ErrorContains(t, a.Check().Err(), "redis.exporter.image")
}

func TestAnExporterTakesItsShareOfTheQuota(t *testing.T) {
	demand := watched().Demand()[0]
	assert.Equal(t, kube.Resources{CPU: "100m", CPULimit: "100m", Memory: "192Mi", MemoryLimit: "192Mi"}, demand.Resources, "of Redis itself")
	assert.Equal(t, kube.Resources{CPU: "0.105", CPULimit: "0.105", Memory: "216Mi", MemoryLimit: "216Mi"}, demand.Pod())
	assert.Equal(t, 3, demand.Replicas)
}
