//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// figures is one test, since its parts use the pods that it starts first, and since causes of alerts take effect side by side.
func figures(t *testing.T) {
	build := exec.Command("go", "build", "-o", figuresProgram(), "./figures")
	build.Dir = filepath.Join(repository(t), "services")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build figures: %v\n%s", err, text)
	}
	for _, workload := range []string{"statefulset/metrics-store", "deployment/kube-state-metrics"} {
		kubectl(t, "rollout", "status", workload, "--namespace", "journal-metrics", "--timeout=10m") // the images are built beside the deployment
	}
	original := originalStack(t)
	change(t, original, map[string]any{
		"metrics.store.interval": scraped, "metrics.alerts.for": scraped, "metrics.alerts.restarts": 1, "metrics.alerts.claim": 3600,
	})
	kubectl(t, "rollout", "status", "statefulset/metrics-store", "--namespace", "journal-metrics", "--timeout=3m")

	secret := strings.Fields(unique("canary"))[1]
	exposes(t, "alice", "alice", "e2e-figures", `e2e_voice{of="alice"} 42`)
	exposes(t, "bob", "bob", "e2e-canary-figures", fmt.Sprintf(`e2e_canary{word="%[1]s"} 1
e2e_canary{word="%[1]s",namespace="alice",tenant="alice",exported_namespace="alice",job="kubelet"} 2
kube_resourcequota{namespace="alice",resource="pods",type="used",word="%[1]s"} 1000`, secret))

	successor := reuse(t)
	for _, part := range []struct {
		sentence string
		test     func(*testing.T)
	}{
		{"a figure of a pod is found by its owner within three scrapes", func(t *testing.T) { figure(t, "alice", "alice", "e2e_voice", "42") }},
		{"whoever has no right is refused, by list and by page", figureRights},
		{"no query, parameter or path leaves its namespace", func(t *testing.T) { noFigureEscapes(t, secret) }},
		{"what a pod says of itself changes neither its namespace nor its time", func(t *testing.T) { forgedFigures(t, secret) }},
		{"the commands of the page run as they are written", figuresPage},
		{"the table of a tenant has what its namespaces use", figuresTable},
		{"the journal's own figures are there", journalsFigures},
		{"each alert fires by its cause, and is seen by its tenant and by no other", alerts},
		{"the dashboards show alice's figures in a browser, and ask for nothing else", func(t *testing.T) { dashboardsInABrowser(t, secret) }},
		{"a namespace's name that is given anew shows nothing of before", successor},
		{"only the reader and its own pods connect to the store", metricsFenced},
	} {
		start := time.Now()
		t.Run(part.sentence, part.test)
		t.Logf("%s: %s", part.sentence, time.Since(start).Round(100*time.Millisecond))
	}
}

// scraped is how often the tests' targets are scraped, and for how long a cause must last before an alert fires, in seconds.
const scraped = 10

func figuresProgram() string { return world.dir.Path("e2e", "figures") }

// readFigures runs the command figures as a user; admin is the administrator of the cluster.
func readFigures(user string, args ...string) (string, error) {
	config := tenancy.config[user]
	if user == "admin" {
		config = world.cluster.Kubeconfig()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	text, err := exec.CommandContext(ctx, figuresProgram(), append(args, "--kubeconfig", config)...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("figures %s: %w: %s", strings.Join(args, " "), err, text)
	}
	return string(text), err
}

// exposes starts a pod of a user that serves metrics, and asks to be scraped.
func exposes(t *testing.T, user, namespace, name, metrics string) {
	t.Helper()
	mustAs(t, user, exposing(name, metrics), "create", "--namespace", namespace, "--filename", "-")
}

// startIn creates a pod in a namespace that was just made: its account comes a moment later.
func startIn(t *testing.T, namespace, manifest string) {
	t.Helper()
	eventually(t, func() error {
		_, err := tryKubectl(manifest, "create", "--namespace", namespace, "--filename", "-")
		return err
	})
}

// exposing is a pod that serves metrics, and asks to be scraped.
func exposing(name, metrics string) string {
	// It answers after the empty line that ends a request. The answer is an argument, since what a user writes may hold a quote.
	const answer = `while read -r line && [ ${#line} -gt 1 ]; do :; done; printf 'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n%s\n' "$0"`
	return strings.Replace(pod(name, tenancy.image, "{}", "nc", "-ll", "-p", "9000", "-e", "sh", "-c", answer, metrics), "metadata: {name: "+name+"}",
		"metadata: {name: "+name+`, annotations: {prometheus.io/scrape: "true", prometheus.io/port: "9000"}}`, 1)
}

// series returns what a query finds in a namespace, as a user: the values by the labels.
func series(user, namespace, query string) (map[string]string, error) {
	text, err := readFigures(user, "--namespace", namespace, "--query", query, "--output", "json")
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for decoder := json.NewDecoder(strings.NewReader(text)); ; {
		var one struct {
			Metric map[string]string
			Value  [2]any
		}
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		labels, _ := json.Marshal(one.Metric)
		found[string(labels)] = fmt.Sprint(one.Value[1])
	}
}

// figure waits until a user finds one series with a value.
func figure(t *testing.T, user, namespace, query, value string) {
	t.Helper()
	start := time.Now()
	eventuallyWithin(t, 3*scraped*time.Second+15*time.Second, func() error {
		found, err := series(user, namespace, query)
		if err != nil {
			return err
		}
		for _, is := range found {
			if value == "" || is == value {
				return nil
			}
		}
		return fmt.Errorf("%s finds %v for %s in %s", user, found, query, namespace)
	})
	t.Logf("%s is found after %s", query, time.Since(start).Round(time.Second))
}

// figureRights sends what the table of rights in matrix_test.go only asks.
func figureRights(t *testing.T) {
	for _, who := range []struct {
		user     string
		groups   []string
		mayIn    []string // "" is all namespaces
		refusals []string
	}{
		{"alice", nil, []string{"alice", "team-a"}, []string{"bob", world.outputs.Namespace, "kube-system", "journal-metrics", "e2e-none", ""}},
		{"bob", nil, []string{"bob", "team-a"}, []string{"alice", world.outputs.Namespace, ""}},
		{"mallory", nil, nil, []string{"alice", "bob", "team-a", ""}},
		{"carol", []string{"platform"}, []string{world.outputs.Namespace, "alice", ""}, nil},
	} {
		ask := asks(t, who.user, who.groups...)
		for _, namespace := range append(slices.Clone(who.mayIn), who.refusals...) {
			at, may := logsAPI, slices.Contains(who.mayIn, namespace)
			requests := map[string]string{"list": "GET /metrics?query=up"}
			if namespace != "" { // the page is of one namespace
				at += "/namespaces/" + namespace
				requests["page"] = "GET /metrics/ui/proxy/vmui/"
				requests["query"] = "POST /metrics/ui/proxy/prometheus/api/v1/query?query=up"
			}
			for what, request := range requests {
				t.Run(fmt.Sprintf("%s, %s in %q", who.user, what, namespace), func(t *testing.T) {
					method, path, _ := strings.Cut(request, " ")
					status, text := ask(method, at+path)
					if may && status != http.StatusOK || !may && status != http.StatusForbidden {
						t.Errorf("may %t, and is answered %d: %.300s", may, status, text)
					}
				})
			}
		}
	}
	if _, err := readFigures("bob", "--namespace", "alice"); err == nil || !strings.Contains(err.Error(), "you may not list metrics.observe.journal.example.com there") {
		t.Errorf("bob is told %v", err)
	}
}

// noFigureEscapes asks for bob's canary as alice, in every way that was thought of. Its word is in none of the requests, so it can stand
// in no error.
func noFigureEscapes(t *testing.T, secret string) {
	figure(t, "bob", "bob", fmt.Sprintf(`{word=%q,__name__="e2e_canary"}`, secret), "1")
	inAlice := logsAPI + "/namespaces/alice/metrics"
	queries := []string{
		`e2e_canary`, `{__name__=~".+"}`, `{namespace="bob"}`, `{namespace="bob" or namespace="alice"}`, `{namespace=~".*"}`, `{namespace!="alice"}`,
		`e2e_canary or up`, `union(e2e_canary, {namespace="bob"})`, `WITH (f = {namespace="bob"}) f`, `label_set(e2e_canary, "namespace", "alice")`,
		`label_replace({namespace="bob"}, "namespace", "alice", "", "")`, `count_values("word", {__name__=~".+"})`, `sort(topk(1000, {__name__=~"e2e.*"}))`,
		`last_over_time(e2e_canary[1h])`, `max_over_time(e2e_canary[1h:1m])`, `e2e_canary @ end()`, `e2e_canary offset -1m`, `e2e_canary keep_metric_names`,
		`e2e_canary{exported_namespace="alice"}`, `absent(e2e_canary)`, `kube_resourcequota{word!=""}`, `group by (word) ({__name__!=""})`, `ALERTS`,
	}
	var paths []string
	for _, query := range queries {
		q := escapeQuery(query)
		paths = append(paths, inAlice+"?query="+q, inAlice+"/ui/proxy/prometheus/api/v1/query?query="+q, inAlice+"/ui/proxy/prometheus/api/v1/query_range?step=30&query="+q)
		if strings.HasPrefix(query, "{") || strings.HasPrefix(query, "e2e_canary{") {
			paths = append(paths, inAlice+"/ui/proxy/prometheus/api/v1/series?match[]="+q, inAlice+"/ui/proxy/prometheus/api/v1/labels?match[]="+q, inAlice+"/ui/proxy/prometheus/api/v1/label/word/values?match[]="+q)
		}
	}
	paths = append(paths, inAlice+"/ui/proxy/prometheus/api/v1/labels", inAlice+"/ui/proxy/prometheus/api/v1/label/word/values", inAlice+"/ui/proxy/prometheus/api/v1/label/__name__/values")
	allowed := len(paths)
	for _, parameter := range []string{
		"extra_label=namespace=bob", "extra_filters=%7B%7D", "extra_filters[]=%7Bnamespace=%22bob%22%7D", "query=up&query=e2e_canary", "namespace=bob", "trace=1", "match[]=%7B%7D",
	} {
		paths = append(paths, inAlice+"?query=up&"+parameter, inAlice+"/ui/proxy/prometheus/api/v1/query?query=up&"+parameter)
	}
	for _, path := range []string{
		"/../../bob/metrics?query=up", "/%2e%2e/%2e%2e/bob/metrics?query=up", "/..%2f..%2fbob/metrics?query=up", "/%252e%252e/%252e%252e/bob/metrics?query=up", "/ui/proxy/../../../../bob/metrics?query=up",
		"/ui/proxy/prometheus/api/v1/export?match[]=e2e_canary", "/ui/proxy/federate?match[]=e2e_canary", "/ui/proxy/prometheus/api/v1/status/tsdb", "/ui/proxy/prometheus/api/v1/status/active_queries", "/ui/proxy/prometheus/api/v1/status/top_queries",
		"/ui/proxy/prometheus/api/v1/admin/tsdb/delete_series?match[]=e2e_canary", "/ui/proxy/prometheus/api/v1/import/prometheus", "/ui/proxy/prometheus/api/v1/write", "/ui/proxy/write", "/ui/proxy/targets", "/ui/proxy/prometheus/api/v1/targets",
		"/ui/proxy/config", "/ui/proxy/flags", "/ui/proxy/metrics", "/ui/proxy/debug/pprof/heap", "/ui/proxy/internal/resetRollupResultCache", "/ui/proxy/snapshot/create", "/ui/proxy/prometheus/api/v1/rules", "/ui/proxy/prometheus/api/v1/alerts",
		"/ui/proxy/graphite/metrics/find?query=*", "/ui/proxy/API/v1/query?query=up", "/ui/proxy/prometheus/api/v1//query?query=up", "/ui/proxy/",
	} {
		paths = append(paths, inAlice+path)
	}
	ask, answered := asks(t, "alice"), 0
	for i, path := range paths {
		status, text := ask(http.MethodGet, path)
		if strings.Contains(text, secret) || strings.Contains(text, "e2e-canary") {
			t.Errorf("alice reads of bob's pod with %s: %.500s", path, text)
		}
		switch {
		case status == http.StatusOK && i < allowed:
			answered++
		case status < 300 && i >= allowed:
			t.Errorf("alice is answered %d to %s: %.300s", status, path, text)
		}
	}
	if answered < len(queries) { // otherwise everything may have been refused for another reason
		t.Errorf("only %d of %d requests are answered", answered, len(paths))
	}
	t.Logf("%d requests, %d answered, none with a figure of another tenant", len(paths), answered)
}

// forgedFigures looks for what bob's pod says of alice.
func forgedFigures(t *testing.T, secret string) {
	for user, namespace := range map[string]string{"alice": "alice", "bob": "bob"} {
		found, err := series(user, namespace, fmt.Sprintf(`{word=%q}`, secret))
		if want := map[string]int{"alice": 0, "bob": 3}[user]; err != nil || len(found) != want {
			t.Errorf("%s finds %v, %v", user, found, err)
		}
		for labels := range found {
			if !strings.Contains(labels, `"namespace":"bob"`) || !strings.Contains(labels, `"job":"pods"`) {
				t.Errorf("a series has the labels %s", labels)
			}
		}
	}
}

// reuse lets a namespace have figures, deletes it, and gives its name anew. It returns the test of what is read of it, which takes a
// while: after a purge nothing is read until nothing late can arrive any more.
func reuse(t *testing.T) func(*testing.T) {
	t.Helper()
	reused := strings.ToLower(strings.ReplaceAll(unique(reused), " ", "-")) // another test's name was used before
	forget := func() { kubectl(t, "delete", "namespace", reused, "--ignore-not-found", "--timeout=3m") }
	t.Cleanup(forget)
	of := func(tenant, metric string) {
		t.Helper()
		if _, err := tryKubectl(fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {journal.example.com/tenant: %s}}}", reused, tenant), "create", "--filename", "-"); err != nil {
			t.Fatal(err)
		}
		startIn(t, reused, exposing("e2e-writer", metric+" 1"))
	}
	found := func(t *testing.T, metric string) {
		t.Helper()
		eventuallyWithin(t, 4*time.Minute, func() error {
			found, err := series("admin", reused, metric)
			if err == nil && len(found) == 0 {
				err = fmt.Errorf("no %s in %s", metric, reused)
			}
			return err
		})
	}
	of("alice", "e2e_before")
	found(t, "e2e_before")
	forget()
	of("bob", "e2e_after")
	return func(t *testing.T) {
		found(t, "e2e_after")
		for _, query := range []string{
			"e2e_before", "last_over_time(e2e_before[1h])", "e2e_before offset 1m", `{__name__=~"e2e_before.*"}`, "max_over_time(e2e_before[1h:5s])", `count_over_time({__name__="e2e_before"}[1d])`,
		} {
			if found, err := series("admin", reused, query); err != nil || len(found) > 0 {
				t.Errorf("whoever gets the name reads %v for %s, %v", found, query, err)
			}
		}
	}
}

// figuresPage types the commands of docs/observe.md as alice.
func figuresPage(t *testing.T) {
	typePage(t, 4, []string{"Find a figure", "Read figures with a program"}, func(string, string) {})
}

// figuresTable reads what alice sees of her namespace.
func figuresTable(t *testing.T) {
	eventually(t, func() error {
		text, err := readFigures("alice", "--tenant", "alice")
		if err != nil {
			return err
		}
		for _, want := range []string{"NAMESPACE", "CPU", "MEMORY", "alice"} {
			if !strings.Contains(text, want) {
				return fmt.Errorf("no %s in\n%s", want, text)
			}
		}
		t.Logf("\n%s", text)
		return nil
	})
}

// journalsFigures looks for what the journal's dashboard shows, as the platform.
func journalsFigures(t *testing.T) {
	namespace := world.outputs.Namespace
	for query, value := range map[string]string{
		`min(redis_up)`:                                                         "1",
		`max(redis_connected_slaves) > bool 0`:                                  "1",
		`sum(journal_http_requests_total) > bool 0`:                             "1",
		`min(redis_master_link_up)`:                                             "1",
		`count(kube_statefulset_replicas)`:                                      "1",
		`count(container_memory_working_set_bytes{container="redis"}) > bool 1`: "1",
	} {
		figure(t, "admin", namespace, query, value)
	}
}

// fired waits until an alert fires in a namespace, for a user.
func fired(t *testing.T, user, namespace, alert string) {
	t.Helper()
	eventuallyWithin(t, 3*time.Minute, func() error {
		found, err := series(user, namespace, fmt.Sprintf(`ALERTS{alertname=%q,alertstate="firing"}`, alert))
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("%s does not fire in %s for %s", alert, namespace, user)
		}
		return err
	})
}

// alerts makes the causes, of which each disturbs none of the others, and then waits for the alerts.
func alerts(t *testing.T) {
	mustAs(t, "bob", `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: e2e-large}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 9728Mi}}}}`,
		"create", "--namespace", "bob", "--filename", "-")
	t.Cleanup(func() { kubectl(t, "delete", "persistentvolumeclaim", "e2e-large", "--namespace", "bob") })
	fullVolume(t, "alice")
	talk(t, "bob", "team-a", "e2e-restarts", "sleep 1; exit 1")
	applyClaim(t, "bob", "e2e-ends", "30m")
	claimed := claimedNamespace(t, "e2e-ends")
	before := kubectl(t, "get", "namespace", "bob", "--output", `jsonpath={.metadata.annotations.journal\.example\.com/log-burst}`)
	burst := func(bytes string) {
		kubectl(t, "annotate", "namespace", "bob", "--overwrite", "journal.example.com/log-burst="+bytes)
	}
	burst("65536")
	t.Cleanup(func() { burst(before) })
	talk(t, "bob", "bob", "e2e-writes", numbered(20_000, `[ $((i % 4000)) -ne 0 ] || sleep 1;`)+"sleep 3600")
	mustAs(t, "bob", "", "wait", "--for=condition=Ready", "pod/e2e-writes", "--namespace", "bob", "--timeout=3m")

	for _, alert := range []struct{ name, user, namespace, other, others string }{
		{"QuotaNearlyFull", "bob", "bob", "alice", "alice"},
		{"VolumeNearlyFull", "alice", "alice", "bob", "bob"},
		{"ContainerRestarting", "alice", "team-a", "bob", "bob"},
		{"ClaimEnding", "bob", claimed, "alice", "alice"},
		{"LogLinesDropped", "bob", "bob", "alice", "alice"},
	} {
		start := time.Now()
		fired(t, alert.user, alert.namespace, alert.name)
		t.Logf("%s fires %s after the causes", alert.name, time.Since(start).Round(time.Second))
		found, err := series(alert.other, alert.others, fmt.Sprintf("ALERTS{alertname=%q}", alert.name))
		if text := fmt.Sprint(found); err != nil || strings.Contains(text, `"namespace":"`+alert.namespace+`"`) || strings.Contains(text, "e2e-restarts") {
			t.Errorf("%s sees %v of %s in %s, %v", alert.other, found, alert.name, alert.others, err)
		}
	}
	if text, err := readFigures("bob", "--tenant", "bob"); err != nil || !strings.Contains(text, "QuotaNearlyFull") || !strings.Contains(text, "LogLinesDropped") {
		t.Errorf("bob's table has no alert: %v\n%s", err, text)
	}
	platformAlerts(t)
}

// platformAlerts keeps parts of the platform away for a while. The reader is one of them, so what has fired is read afterwards.
func platformAlerts(t *testing.T) {
	parts := []struct{ alert, namespace, selector, workload string }{
		{"RedisReplicationBroken", world.outputs.Namespace, "statefulset.kubernetes.io/pod-name=" + lastRedis(t), "statefulset/redis"},
		{"LogStoreDown", "journal-logs", "app=log-store", "statefulset/log-store"},
		{"ReaderDown", "journal-reader", "app=reader", "deployment/reader"},
		{"LogAgentDown", "journal-log-agent", "app=log-agent", "daemonset/log-agent"},
	}
	node := kubectl(t, "get", "nodes", "--output", "jsonpath={.items[0].metadata.name}")
	t.Cleanup(func() { kubectl(t, "uncordon", node) })
	kubectl(t, "cordon", node)
	start := time.Now()
	for _, part := range parts[:3] { // their pods find no node
		kubectl(t, "delete", "pods", "--namespace", part.namespace, "--selector", part.selector, "--now")
	}
	for range 24 { // an agent that ends again and again is started with growing pauses
		for _, agent := range agents(t) {
			for pid, name := range processesOf(t, agent) {
				if name == "log-agent" {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			}
		}
		time.Sleep(4 * time.Second)
	}
	kubectl(t, "uncordon", node)
	for _, part := range parts {
		kubectl(t, "rollout", "status", part.workload, "--namespace", part.namespace, "--timeout=3m")
	}
	for _, part := range parts {
		eventually(t, func() error {
			found, err := series("admin", part.namespace, fmt.Sprintf(`max_over_time(ALERTS{alertname=%q,alertstate="firing"}[%ds])`, part.alert, int(time.Since(start).Seconds())))
			if err == nil && len(found) == 0 {
				err = fmt.Errorf("%s has not fired", part.alert)
			}
			return err
		})
		if _, err := series("alice", part.namespace, "ALERTS"); err == nil {
			t.Errorf("alice reads %s", part.alert)
		}
	}
}

// lastRedis is the name of the last pod of Redis, which is a replica.
func lastRedis(t *testing.T) (name string) {
	t.Helper()
	for _, pod := range pods(t, "redis") {
		name = max(name, pod.Metadata.Name)
	}
	return name
}

// fullVolume gives a namespace a volume of 16 MiB, and fills it. The volumes of the sandbox's own class are folders, which have no size.
func fullVolume(t *testing.T, namespace string) {
	t.Helper()
	const folder = "/var/lib/e2e-full"
	node := strings.TrimSpace(kubectl(t, "get", "nodes", "--output", "jsonpath={.items[0].metadata.name}"))
	pid := strconv.Itoa(needsNode(t, "mounts a volume").PID)
	inside := "/proc/" + pid + "/root"
	inNode := func(command ...string) error {
		text, err := exec.Command("nsenter", append([]string{"--target", pid, "--mount", "--"}, command...)...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%v: %w: %s", command, err, text)
		}
		return err
	}
	if err := errors.Join(os.MkdirAll(inside+folder, 0o755), inNode("mount", "-t", "tmpfs", "-o", "size=16m,mode=1777", "e2e", folder)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, func() error { return inNode("umount", folder) })
		if err := os.Remove(inside + folder); err != nil {
			t.Error(err)
		}
	})
	kubectlApply(t, fmt.Sprintf(`
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: e2e-full}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: e2e-full}
spec:
  capacity: {storage: 16Mi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: e2e-full
  local: {path: %s}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [%s]}]}]}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: e2e-full, namespace: %s}
spec: {storageClassName: e2e-full, accessModes: [ReadWriteOnce], resources: {requests: {storage: 16Mi}}}
`, folder, node, namespace))
	manifest := pod("e2e-full", tenancy.image, "{}", "sh", "-c", "dd if=/dev/zero of=/data/full bs=1024 count=15800 && sleep 3600")
	manifest = strings.Replace(manifest, "spec:\n", "spec:\n  volumes: [{name: data, persistentVolumeClaim: {claimName: e2e-full}}]\n", 1)
	manifest = strings.Replace(manifest, "{name: e2e-full}", "{name: e2e-full, namespace: "+namespace+"}", 1)
	kubectlApply(t, strings.Replace(manifest, "    command:", "    volumeMounts: [{name: data, mountPath: /data}]\n    command:", 1))
}

// dashboardsInABrowser opens the link that alice's command prints.
func dashboardsInABrowser(t *testing.T, secret string) {
	browse(t, servePage(t, figuresProgram()), storePage{
		path: "vmui/", asks: []string{"prometheus/vmui/custom-dashboards", "prometheus/api/v1/query_range"}, picture: "metrics.png", secret: secret,
	},
		"see a chart", chromedp.WaitVisible(`canvas`, chromedp.ByQuery),
		// A chart is drawn once it is seen.
		"see a pod of alice", chromedp.Poll(`(window.scrollTo(0, window.scrollY + innerHeight < document.body.scrollHeight ? window.scrollY + 300 : 0),
			document.body.innerText.includes("e2e-figures"))`, nil, chromedp.WithPollingInterval(300*time.Millisecond)),
		"see more of the page", chromedp.Evaluate(`(window.scrollTo(0, 0), document.body.style.zoom = 0.5)`, nil),
		"see the pod beside the quota", chromedp.Poll(`document.body.innerText.includes("e2e-figures")`, nil),
	)
}

// metricsFenced looks at the pods of the store, and connects to it.
func metricsFenced(t *testing.T) {
	if level := kubectl(t, "get", "namespace", "journal-metrics", "--output", `jsonpath={.metadata.labels.pod-security\.kubernetes\.io/enforce}`); level != "restricted" {
		t.Errorf("the Pod Security level of journal-metrics is %q", level)
	}
	t.Logf("journal-metrics uses\n%s", kubectl(t, "top", "pods", "--containers", "--namespace", "journal-metrics"))
	for service, port := range map[string]string{"metrics-store": "8428", "kube-state-metrics": "8080"} {
		address := kubectl(t, "get", "pods", "--namespace", "journal-metrics", "--selector", "app.kubernetes.io/name="+service, "--output", "jsonpath={.items[0].status.podIP}")
		if text, err := as(t, "alice", "", "exec", "e2e-figures", "--namespace", "alice", "--", "timeout", "3", "nc", "-w", "2", address, port); err == nil {
			t.Errorf("a pod of alice connects to %s: %s", service, text)
		}
	}
}
