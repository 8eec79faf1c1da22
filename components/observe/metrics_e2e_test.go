//go:build e2e

package observe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// realMetrics is VictoriaMetrics with the flags and the files of the component.
type realMetrics struct {
	t   *testing.T
	url string
	dir string
}

// program returns the program that an environment variable names.
func program(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("%s names no program; the sandbox builds it for a stack with metrics", variable)
	}
	return path
}

// writeFiles writes the configuration, with changes, into a folder.
func writeFiles(t *testing.T, args MetricsServiceArgs, changes ...string) string {
	t.Helper()
	files, err := args.configuration()
	require.NoError(t, err)
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(strings.NewReplacer(changes...).Replace(text)), 0o600))
	}
	return dir
}

// startMetrics starts the store as the component does, but on a free port, with a folder of its own, and with these changes of what
// it reads.
func startMetrics(t *testing.T, args MetricsServiceArgs, changes ...string) *realMetrics {
	t.Helper()
	path := program(t, "VICTORIA_METRICS")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	dir := writeFiles(t, args, changes...)
	var flags []string
	for _, flag := range args.storeFlags() {
		switch name, _, _ := strings.Cut(flag, "="); name {
		case "-storageDataPath":
			flag = name + "=" + t.TempDir()
		case "-httpListenAddr":
			flag = name + "=" + address
		case "-promscrape.config":
			flag = name + "=" + filepath.Join(dir, scrapeFile)
		case "-vmui.customDashboardsPath":
			flag = name + "=" + dir
		case "-storage.minFreeDiskSpaceBytes":
			flag = name + "=1"
		}
		flags = append(flags, flag)
	}
	var output bytes.Buffer
	command := exec.Command(path, flags...)
	command.Stdout, command.Stderr = &output, &output
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		stuck := time.AfterFunc(time.Minute, func() { _ = command.Process.Kill() })
		defer stuck.Stop()
		if err := command.Wait(); err != nil || strings.Contains(output.String(), "panic") {
			t.Errorf("victoria-metrics ended with %v:\n%s", err, output.String())
		}
	})
	s := &realMetrics{t: t, url: "http://" + address, dir: dir}
	s.eventually("the store answers", func() bool {
		response, err := http.Get(s.url + "/health")
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil
	})
	return s
}

func (s *realMetrics) eventually(what string, is func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// get returns the answer of the store.
func (s *realMetrics) get(path string, parameters url.Values) string {
	s.t.Helper()
	response, err := http.Get(s.url + path + "?" + parameters.Encode())
	require.NoError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, response.StatusCode, "%s: %s", path, text)
	return string(text)
}

// at returns the labels of what a query returns at a time.
func (s *realMetrics) at(at time.Time, query string) (all []map[string]string) {
	s.t.Helper()
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
			} `json:"result"`
		} `json:"data"`
	}
	text := s.get("/api/v1/query", url.Values{"query": {query}, "time": {strconv.FormatInt(at.Unix(), 10)}})
	require.NoError(s.t, json.Unmarshal([]byte(text), &answer))
	for _, result := range answer.Data.Result {
		all = append(all, result.Metric)
	}
	return all
}

func TestThePageServesTheDashboards(t *testing.T) {
	s := startMetrics(t, leastMetrics().withDefaults(), "kubernetes_sd_configs:", "static_configs: [] #")
	text := s.get("/vmui/custom-dashboards", nil)
	assert.Contains(t, text, "A namespace: what it uses")
	assert.Contains(t, text, "The journal: requests")
}

// TestEveryQueryOfTheDashboardsIsUnderstood asks the store each of them.
func TestEveryQueryOfTheDashboardsIsUnderstood(t *testing.T) {
	s := startMetrics(t, leastMetrics().withDefaults(), "kubernetes_sd_configs:", "static_configs: [] #")
	for _, query := range dashboardQueries(t) {
		s.get("/api/v1/query", url.Values{"query": {query}})
	}
}

// hostile is what bob's pod serves: figures that name another namespace, another job and another time, in every way that the format
// has.
const hostile = `forged_namespace{namespace="alice",pod="api-0"} 1
forged_twice{namespace="x",namespace="alice"} 1
forged_thrice{namespace="alice",namespace="alice",namespace="alice"} 1
forged_exported{exported_namespace="z",namespace="x",namespace="alice"} 1
forged_job{job="kube-state-metrics"} 1
forged_jobs{job="x",job="kube-state-metrics",job="kubelet"} 1
forged_empty{namespace=""} 1
forged_name{__name__="ALERTS",alertname="QuotaNearlyFull",namespace="x",namespace="alice"} 1
ALERTS{alertname="QuotaNearlyFull",alertstate="firing",namespace="alice",job=""} 1
forged_old 1 BEFORE
forged_future 1 AFTER
up{job="kubelet"} 0
kube_resourcequota{namespace="alice",type="used",resource="pods"} 100
`

// kubernetes serves the pods of a cluster, all of which have the address of this machine.
func kubernetes(t *testing.T, pods ...map[string]any) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") != "" {
			select {
			case <-r.Context().Done():
			case <-time.After(time.Minute):
			}
			return
		}
		list := map[string]any{"metadata": map[string]any{"resourceVersion": "1"}, "items": []any{}}
		if r.URL.Path == "/api/v1/pods" {
			list["items"] = pods
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// pod is a pod with annotations and two containers.
func pod(namespace, name string, annotations map[string]string) map[string]any {
	container := func(name string) any {
		return map[string]any{"name": name, "ports": []any{map[string]any{"name": "http", "containerPort": 8080}, map[string]any{"name": "b", "containerPort": 8081}}}
	}
	return map[string]any{
		"metadata": map[string]any{"namespace": namespace, "name": name, "uid": namespace + name, "annotations": annotations, "labels": map[string]string{"app": name}},
		"spec":     map[string]any{"nodeName": "n", "containers": []any{container("a"), container("b")}},
		"status": map[string]any{"phase": "Running", "podIP": "127.0.0.1", "hostIP": "127.0.0.1", "containerStatuses": []any{
			map[string]any{"name": "a", "containerID": "a"}, map[string]any{"name": "b", "containerID": "b"},
		}},
	}
}

// served is a server of figures, and how often it was read by path.
func served(t *testing.T, text string, more ...func(*http.ServeMux)) (port string, reads func(string) int) {
	t.Helper()
	asked := make(chan string, 10000)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
	for _, add := range more {
		add(mux)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.URL.Path:
		default:
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	var seen []string
	return address.Port(), func(path string) (n int) {
		for len(asked) > 0 {
			seen = append(seen, <-asked)
		}
		for _, one := range seen {
			if one == path {
				n++
			}
		}
		return n
	}
}

func TestAPodNamesNoOtherNamespaceJobOrTimeAndTheClustersServicesDo(t *testing.T) {
	program(t, "VICTORIA_METRICS")
	start := time.Now()
	secretPort, secretReads := served(t, "never_read 1\n")
	hostilePort, hostileReads := served(t, strings.NewReplacer("BEFORE", strconv.FormatInt(start.Add(-2*time.Hour).UnixMilli(), 10),
		"AFTER", strconv.FormatInt(start.Add(2*time.Hour).UnixMilli(), 10)).Replace(hostile), func(mux *http.ServeMux) {
		mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:"+secretPort+"/redirected", http.StatusFound)
		})
	})
	var many strings.Builder
	for i := range 201 {
		_, _ = fmt.Fprintf(&many, "many{i=\"%d\"} 1\n", i)
	}
	manyPort, _ := served(t, many.String())
	largePort, _ := served(t, "large{a=\""+strings.Repeat("x", 2<<20)+"\"} 1\n")
	agentPort, _ := served(t, "journal_log_dropped_lines_total{namespace=\"alice\"} 7\njournal_log_dropped_lines_total{namespace=\"\"} 5\nagent_only 1\n")
	annotated := func(port, path string) map[string]string {
		all := map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": port}
		if path != "" {
			all["prometheus.io/path"] = path
		}
		return all
	}
	gone := pod("bob", "gone", annotated(secretPort, "/gone"))
	gone["status"].(map[string]any)["phase"] = "Succeeded"
	api := kubernetes(t,
		pod("bob", "hostile", annotated(hostilePort, "")),
		pod("bob", "redirecting", annotated(hostilePort, "/elsewhere")),
		pod("bob", "many", annotated(manyPort, "")),
		pod("bob", "large", annotated(largePort, "")),
		pod("bob", "silent", nil),
		pod("bob", "without-port", map[string]string{"prometheus.io/scrape": "true"}),
		pod("bob", "port", annotated("1@127.0.0.1:"+secretPort, "")),
		pod("bob", "path", annotated(secretPort, "/path?x=y")),
		pod("bob", "host", annotated(secretPort, "@127.0.0.1:"+secretPort+"/host")),
		pod("bob", "proxy", map[string]string{"prometheus.io/scrape": "false", "prometheus.io/port": secretPort, "prometheus.io/scheme": "https"}),
		gone,
		pod("journal-log-agent", "log-agent", annotated(agentPort, "")),
		pod("journal-log-agentx", "impostor", annotated(hostilePort, "/impostor")),
	)
	args := leastMetrics(func(a *MetricsServiceArgs) {
		a.Store.Interval, a.Store.Samples, a.Platform = 10, 200, []string{"journal-log-agent"}
	}).withDefaults()
	s := startMetrics(t, args, "{role: pod}", "{role: pod, api_server: "+strconv.Quote(api)+"}",
		"{role: pod,", "{api_server: "+strconv.Quote(api)+", role: pod,", "{role: node}", "{role: node, api_server: "+strconv.Quote(api)+"}")
	far := func(selector string) []map[string]string {
		return s.at(time.Now().Add(24*time.Hour), "last_over_time("+selector+"[2d])")
	}
	s.eventually("all pods were read", func() bool {
		return len(far(`{namespace="bob",pod="hostile"}`)) > 10 && len(far(`agent_only`)) > 0 && len(far(`up{pod="many"}`)) > 0 && len(far(`up{pod="large"}`)) > 0 &&
			hostileReads("/elsewhere") > 0 && hostileReads("/impostor") > 0
	})
	assert.Len(t, far(`{namespace="alice"}`), 1, "alice has only what an agent says of her")
	assert.Equal(t, "platform", far(`{namespace="alice"}`)[0]["job"])
	assert.Len(t, far(`journal_log_dropped_lines_total{namespace=""}`), 1, "what an agent says of no namespace is nobody's")
	for _, labels := range far(`{namespace=~"bob|journal-log-agentx"}`) {
		assert.Equal(t, "pods", labels["job"], "%v", labels)
	}
	assert.Empty(t, far(`{job=~"kubelet|kube-state-metrics"}`))
	assert.Empty(t, far(`ALERTS{job=""}`), "an alert that vmalert did not raise")
	assert.Empty(t, s.at(start.Add(-time.Hour), `last_over_time({__name__!=""}[2d])`), "a pod writes into the past")
	assert.Empty(t, s.at(start.Add(3*time.Hour), `last_over_time({__name__!=""}[2h])`), "a pod writes into the future")
	assert.Equal(t, 0, secretReads("/redirected")+secretReads("/metrics")+secretReads("/path")+secretReads("/host")+secretReads("/gone"))
	assert.Empty(t, far(`many`), "more samples than a pod may serve")
	assert.Empty(t, far(`large`))
	assert.LessOrEqual(t, hostileReads("/metrics"), 3, "a pod of two containers with two ports each is one target")
	assert.Equal(t, "journal-log-agent", far(`agent_only`)[0]["namespace"])
	assert.Equal(t, "log-agent", far(`agent_only`)[0]["app"])
}

// step is the time between two samples of the tests of the alerts.
const step = 30 * time.Second

// write writes a series with one value at each step from start to end.
func (s *realMetrics) write(series string, start, end time.Time, value func(i int) float64) {
	s.t.Helper()
	var text strings.Builder
	for i, at := 0, start; at.Before(end); i, at = i+1, at.Add(step) {
		_, _ = fmt.Fprintf(&text, "%s %v %d\n", series, value(i), at.UnixMilli())
	}
	s.imports(text.String())
}

// imports writes samples in Prometheus' text format.
func (s *realMetrics) imports(text string) {
	s.t.Helper()
	response, err := http.Post(s.url+"/api/v1/import/prometheus", "text/plain", strings.NewReader(text))
	require.NoError(s.t, err)
	_ = response.Body.Close()
	require.Equal(s.t, http.StatusNoContent, response.StatusCode)
}

// replay evaluates the alerts over a time, and returns what fired, as the alert's name and its namespace.
func (s *realMetrics) replay(start, end time.Time) []string {
	s.t.Helper()
	s.get("/internal/force_flush", nil)
	output, err := exec.Command(program(s.t, "VMALERT"), "-rule="+filepath.Join(s.dir, alertsFile), "-datasource.url="+s.url, "-remoteWrite.url="+s.url,
		"-replay.timeFrom="+start.UTC().Format(time.RFC3339), "-replay.timeTo="+end.UTC().Format(time.RFC3339), "-replay.disableProgressBar",
		"-replay.rulesDelay=0s", "-evaluationInterval=30s", "-httpListenAddr=127.0.0.1:0").CombinedOutput()
	require.NoError(s.t, err, "%s", output)
	s.get("/internal/force_flush", nil)
	var fired []string
	for _, labels := range s.at(end, fmt.Sprintf(`last_over_time(ALERTS{alertstate="firing",job=""}[%ds])`, int(end.Sub(start).Seconds()))) {
		assert.NotEmpty(s.t, labels["severity"])
		fired = append(fired, labels["alertname"]+" "+labels["namespace"])
	}
	slices.Sort(fired)
	return slices.Compact(fired)
}

func constant(value float64) func(int) float64 { return func(int) float64 { return value } }

// TestEachAlertFiresForItsCauseAndOnlyInItsNamespace writes the causes into one hour and health into another, and into both what
// bob's pod would serve to raise or to hide an alert of alice.
func TestEachAlertFiresForItsCauseAndOnlyInItsNamespace(t *testing.T) {
	program(t, "VMALERT")
	args := leastMetrics(func(a *MetricsServiceArgs) {
		a.Platform = []string{"journal-log-agent", "journal-logs", "journal-reader"}
	}).withDefaults()
	s := startMetrics(t, args, "kubernetes_sd_configs:", "static_configs: [] #")
	now := time.Now().Truncate(time.Minute)
	ill, well := now.Add(-6*time.Hour), now.Add(-2*time.Hour)
	const length = 20 * time.Minute
	for _, c := range []struct {
		series    string
		ill, well func(int) float64
	}{
		{`kube_resourcequota{job="kube-state-metrics",namespace="alice",resourcequota="q",resource="pods",type="used"}`, constant(18), constant(17)},
		{`kube_resourcequota{job="kube-state-metrics",namespace="alice",resourcequota="q",resource="pods",type="hard"}`, constant(20), constant(20)},
		{`kube_resourcequota{job="kube-state-metrics",namespace="alice",resourcequota="q",resource="services.nodeports",type="used"}`, constant(0), constant(0)},
		{`kube_resourcequota{job="kube-state-metrics",namespace="alice",resourcequota="q",resource="services.nodeports",type="hard"}`, constant(0), constant(0)},
		{`kubelet_volume_stats_available_bytes{job="kubelet",namespace="alice",persistentvolumeclaim="data"}`, constant(9), constant(11)},
		{`kubelet_volume_stats_capacity_bytes{job="kubelet",namespace="alice",persistentvolumeclaim="data"}`, constant(100), constant(100)},
		{`redis_instance_info{job="pods",namespace="alice",pod="redis-0",role="master"}`, constant(1), constant(1)},
		{`redis_connected_slaves{job="pods",namespace="alice",pod="redis-0"}`, constant(1), constant(2)},
		{`redis_connected_slaves{job="pods",namespace="alice",pod="redis-1"}`, constant(0), constant(0)}, // a replica has none
		{`kube_statefulset_replicas{job="kube-state-metrics",namespace="alice",statefulset="redis"}`, constant(3), constant(3)},
		{`redis_master_link_up{job="pods",namespace="carol",pod="redis-1"}`, constant(0), constant(1)},
		{`kube_pod_container_status_restarts_total{job="kube-state-metrics",namespace="alice",pod="p",container="c"}`,
			func(i int) float64 { return float64(min(i/4, 3)) }, func(i int) float64 { return 2 + float64(min(i/4, 2)) }},
		{`kube_pod_container_status_restarts_total{job="kube-state-metrics",namespace="carol",pod="p",container="c"}`, constant(50), constant(50)},
		{`kube_pod_container_status_waiting_reason{job="kube-state-metrics",namespace="carol",pod="p",container="c",reason="CrashLoopBackOff"}`, constant(1), constant(0)},
		{`kube_pod_status_phase{job="kube-state-metrics",namespace="alice",pod="p",phase="Running"}`, constant(1), constant(1)},
		{`kube_pod_status_phase{job="kube-state-metrics",namespace="carol",pod="p",phase="Running"}`, constant(1), constant(1)},
		// Of a pod that is gone, which nothing else is said of.
		{`kube_pod_container_status_restarts_total{job="kube-state-metrics",namespace="erin",pod="gone",container="c"}`, constant(50), constant(50)},
		{`kube_pod_container_status_waiting_reason{job="kube-state-metrics",namespace="erin",pod="gone",container="c",reason="CrashLoopBackOff"}`, constant(1), constant(1)},
		{`journal_claim_end_timestamp_seconds{job="platform",namespace="claim-x",tenant="alice",claim="x"}`,
			constant(float64(ill.Add(time.Hour).Unix())), constant(float64(well.Add(2 * time.Hour).Unix()))},
		{`up{job="platform",app="log-agent",namespace="journal-log-agent",pod="agent"}`, constant(1), constant(1)},
		{`journal_log_dropped_lines_total{job="platform",app="log-agent",pod="agent",namespace="alice"}`, func(i int) float64 { return float64(100 + i) }, constant(1000)},
		{`kube_daemonset_status_desired_number_scheduled{job="kube-state-metrics",namespace="journal-log-agent",daemonset="log-agent"}`, constant(3), constant(3)},
		{`kube_daemonset_status_number_ready{job="kube-state-metrics",namespace="journal-log-agent",daemonset="log-agent"}`, constant(2), constant(3)},
		{`kube_statefulset_status_replicas_ready{job="kube-state-metrics",namespace="journal-logs",statefulset="log-store"}`, constant(0), constant(1)},
		{`kube_deployment_status_replicas_available{job="kube-state-metrics",namespace="journal-reader",deployment="reader"}`, constant(0), constant(2)},
		{`up{job="kube-state-metrics",namespace="journal-metrics"}`, constant(0), constant(1)},
		{`up{job="kubelet",instance="n"}`, constant(1), constant(1)},
		{`vm_hourly_series_limit_rows_dropped_total{job="platform",app="metrics-store",namespace="journal-metrics"}`, func(i int) float64 { return float64(i) }, constant(1000)},

		// A tenant's own Deployment of that name, and bob's forgeries, which cannot have another job.
		{`kube_deployment_status_replicas_available{job="kube-state-metrics",namespace="bob",deployment="reader"}`, constant(0), constant(0)},
		{`kube_resourcequota{job="pods",namespace="bob",exported_namespace="alice",resourcequota="q",resource="pods",type="used"}`, constant(0), constant(20)},
		{`kube_resourcequota{job="pods",namespace="bob",exported_namespace="alice",resourcequota="q",resource="pods",type="hard"}`, constant(20), constant(20)},
		{`journal_log_dropped_lines_total{job="pods",namespace="bob"}`, func(i int) float64 { return float64(i) }, func(i int) float64 { return float64(i) }},
		{`up{job="pods",namespace="bob",exported_job="kube-state-metrics"}`, constant(1), constant(0)},
		{`journal_claim_end_timestamp_seconds{job="pods",namespace="bob",claim="x"}`, constant(1), constant(1)},
	} {
		s.write(c.series, ill, ill.Add(length), c.ill)
		s.write(c.series, well.Add(-15*time.Minute), well.Add(length), c.well)
	}
	s.write(`kube_pod_status_phase{job="kube-state-metrics",namespace="dave",pod="old",phase="Running"}`, well.Add(3*time.Minute), well.Add(length), constant(1))
	s.write(`kube_pod_container_status_restarts_total{job="kube-state-metrics",namespace="dave",pod="old",container="c"}`, well.Add(3*time.Minute), well.Add(length), constant(5))
	assert.Equal(t, []string{
		"ClaimEnding claim-x", "ContainerRestarting alice", "ContainerRestarting carol", "FiguresDropped journal-metrics", "FiguresMissing journal-metrics",
		"LogAgentDown journal-log-agent", "LogLinesDropped alice", "LogStoreDown journal-logs", "QuotaNearlyFull alice", "ReaderDown journal-reader",
		"RedisReplicationBroken alice", "RedisReplicationBroken carol", "VolumeNearlyFull alice",
	}, s.replay(ill.Add(2*time.Minute), ill.Add(length-time.Minute)))
	assert.Empty(t, s.replay(well.Add(2*time.Minute), well.Add(length-time.Minute)))
}
