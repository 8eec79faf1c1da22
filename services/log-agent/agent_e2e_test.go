//go:build e2e

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain is the log-agent itself in the processes that the tests start.
func TestMain(m *testing.M) {
	if os.Getenv("LOG_AGENT") == "" {
		os.Exit(m.Run())
	}
	main()
}

// world is a folder of logs, a store, an API server that knows pods and namespaces, and an agent between them.
type world struct {
	t                 *testing.T
	dir               string
	store, metrics    int // ports
	program           string
	environment       []string
	agent, storeChild *exec.Cmd
}

// The namespaces by tenant. Their pods are called api-0, and have the UID of their namespace.
var namespaces = map[string]string{"alice": "alice", "bob": "bob", "bobs-claim": "bob", "kube-system": ""}

// objects are what the API server has.
func objects() (pods, all []map[string]any) {
	for name, tenant := range namespaces {
		labels := map[string]string{}
		annotations := map[string]string{"journal.example.com/log-rate": "100000000", "journal.example.com/log-burst": "1000000000"}
		if tenant != "" {
			labels["journal.example.com/tenant"] = tenant
		}
		const created = "2026-01-01T00:00:00Z"
		all = append(all, map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": map[string]any{
			"name": name, "uid": "namespace-" + name, "labels": labels, "annotations": annotations, "creationTimestamp": created, "resourceVersion": "1",
		}})
		pods = append(pods, map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": map[string]any{
			"namespace": name, "name": "api-0", "uid": uid(name), "labels": map[string]string{"app": "api"}, "creationTimestamp": created, "resourceVersion": "1",
		}})
	}
	return pods, all
}

func uid(namespace string) string { return fmt.Sprintf("%x", namespace) }

// serve answers what the agent asks an API server.
func serve(w http.ResponseWriter, r *http.Request) {
	pods, all := objects()
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/")
	w.Header().Set("Content-Type", "application/json")
	var answer any
	switch {
	case r.URL.Query().Get("sendInitialEvents") != "": // a list in its place
		w.WriteHeader(http.StatusUnprocessableEntity)
		answer = map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422}
	case r.URL.Query().Get("watch") != "":
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	case path == "pods":
		answer = list(pods)
	case path == "namespaces":
		answer = list(all)
	case strings.HasSuffix(path, "/pods"): // a pod that is not listed
		answer = list(nil)
	default:
		for _, one := range all {
			if path == "namespaces/"+one["metadata"].(map[string]any)["name"].(string) {
				answer = one
			}
		}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func list(items []map[string]any) map[string]any {
	return map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": map[string]any{"resourceVersion": "1"}, "items": items}
}

func newWorld(t *testing.T, environment ...string) *world {
	t.Helper()
	w := newStore(t)
	w.metrics = freePort(t)
	server := httptest.NewServer(http.HandlerFunc(serve))
	t.Cleanup(server.CloseClientConnections) // watches stay open
	t.Cleanup(server.Close)
	kubeconfig := filepath.Join(w.dir, "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, fmt.Appendf(nil, `{"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": [{"name": "c", "cluster": {"server": %q}}], "contexts": [{"name": "c", "context": {"cluster": "c"}}]}`, server.URL), 0o600))
	require.NoError(t, prepare(filepath.Join(w.dir, "state")))
	w.environment = append(append(os.Environ(), "LOG_AGENT=yes", "NODE_NAME=node", "KUBECONFIG="+kubeconfig, "BUFFER_BYTES=268435456",
		"PLATFORM_RATE=1000000", "PLATFORM_BURST=10000000", "LOG_DIR="+filepath.Join(w.dir, "pods"), "STATE_DIR="+filepath.Join(w.dir, "state"),
		"METRICS_HOST=127.0.0.1", "METRICS_PORT="+strconv.Itoa(w.metrics), fmt.Sprintf("STORE_URL=http://127.0.0.1:%d", w.store)), environment...)
	w.startStore()
	w.startAgent()
	t.Cleanup(func() {
		_ = w.agent.Process.Kill()
		_ = w.agent.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(w.dir, "agent.log"))
			t.Logf("the agent's log:\n%.20000s", text)
		}
	})
	return w
}

// newStore returns a world with a store that is not started.
func newStore(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), store: freePort(t)}
	w.program = filepath.Join(w.dir, "victoria-logs")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", "../../sandbox/toolchain/stores", "-ldflags=-s -w", "-o", w.program,
		"github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs")
	build.Stderr = os.Stderr
	require.NoError(t, build.Run())
	t.Cleanup(func() {
		if w.storeChild != nil {
			_ = w.storeChild.Process.Kill()
			_ = w.storeChild.Wait()
		}
	})
	return w
}

// storeFlag matches a flag of the store in the objects of the stack dev.
var storeFlag = regexp.MustCompile(`(?m)^ +- (-[\w.]+)=(\S+)$`)

// storeFlags returns the flags of the store as the stack dev has them, but for those that are given here: a flag and its value, by turns.
func storeFlags(t *testing.T, other ...string) (flags []string) {
	t.Helper()
	text, err := os.ReadFile(os.Getenv("PWD") + "/../../stacks/testdata/dev.yaml")
	require.NoError(t, err)
	from := bytes.Index(text, []byte("- -storageDataPath="))
	require.NotEqual(t, -1, from, "the stack dev has no store")
	to := bytes.Index(text[from:], []byte("image: "))
	values := map[string]string{}
	for _, flag := range storeFlag.FindAllSubmatch(text[from-20:from+to], -1) {
		values[string(flag[1])] = string(flag[2])
	}
	for i := 0; i < len(other); i += 2 {
		require.Contains(t, values, other[i], "the store has no such flag")
		values[other[i]] = other[i+1]
	}
	for flag, value := range values {
		flags = append(flags, flag+"="+value)
	}
	return flags
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

// start starts a program that writes its log to a file, and returns when it answers at its port.
func (w *world) start(name string, port int, path string, environment []string, arguments ...string) *exec.Cmd {
	w.t.Helper()
	log, err := os.OpenFile(filepath.Join(w.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(w.t, err)
	defer func() { _ = log.Close() }()
	child := exec.Command(path, arguments...)
	child.Env, child.Stdout, child.Stderr = environment, log, log
	require.NoError(w.t, child.Start())
	w.eventually(name+" answers", func() bool {
		response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil
	})
	return child
}

// startStore starts the store with the flags of the stack dev, but for those that are given: a flag and its value, by turns.
func (w *world) startStore(other ...string) {
	w.t.Helper()
	other = append([]string{
		"-storageDataPath", filepath.Join(w.dir, "data"), "-httpListenAddr", fmt.Sprintf("127.0.0.1:%d", w.store),
		"-memory.allowedBytes", "128MiB", "-storage.minFreeDiskSpaceBytes", "1000000",
	}, other...)
	w.storeChild = w.start("store", w.store, w.program, os.Environ(), storeFlags(w.t, other...)...)
}

// stopStore ends the store as the kubelet does: it writes what it has in memory.
func (w *world) stopStore() {
	w.t.Helper()
	require.NoError(w.t, w.storeChild.Process.Signal(syscall.SIGTERM))
	_ = w.storeChild.Wait()
}

func (w *world) startAgent() {
	w.t.Helper()
	self, err := os.Executable()
	require.NoError(w.t, err)
	w.agent = w.start("agent", w.metrics, self, w.environment)
}

// kill ends a child without a chance to write anything.
func (w *world) kill(child *exec.Cmd) {
	w.t.Helper()
	require.NoError(w.t, child.Process.Kill())
	_ = child.Wait()
}

func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// query returns the rows that the store has for a query.
func (w *world) query(query string) (rows []map[string]string) {
	w.t.Helper()
	response, err := http.PostForm(fmt.Sprintf("http://127.0.0.1:%d/select/logsql/query", w.store), url.Values{"query": {query}})
	if err != nil {
		return nil
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var row map[string]string
		require.NoError(w.t, json.Unmarshal(lines.Bytes(), &row), lines.Text())
		rows = append(rows, row)
	}
	return rows
}

// number returns the only number of a query that counts.
func (w *world) number(query string) int {
	rows := w.query(query)
	if len(rows) == 0 {
		return -1
	}
	n, _ := strconv.Atoi(rows[0]["n"])
	return n
}

// metric returns the sum of a figure of the agent.
func (w *world) metric(name string) float64 { return figure(w.t, w.metrics, name) }

// figure returns the sum of a figure of the program at a port.
func figure(t *testing.T, port int, name string) (sum float64) {
	t.Helper()
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if family, value, _ := strings.Cut(lines.Text(), " "); strings.HasPrefix(family, name+"{") || family == name {
			n, _ := strconv.ParseFloat(value, 64)
			sum += n
		}
	}
	return sum
}

// file is the log of a container, as the runtime writes it and the kubelet rotates it.
type file struct {
	t      *testing.T
	folder string
	out    *os.File
	size   int
	turns  int
}

func (w *world) file(namespace string) *file {
	w.t.Helper()
	f := &file{t: w.t, folder: filepath.Join(w.dir, "pods", fmt.Sprintf("%s_api-0_%s", namespace, uid(namespace)), "main")}
	require.NoError(w.t, os.MkdirAll(f.folder, 0o755))
	f.open()
	return f
}

func (f *file) open() {
	f.t.Helper()
	var err error
	f.out, err = os.OpenFile(filepath.Join(f.folder, "0.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	require.NoError(f.t, err)
	f.size = 0
}

// raw writes a line of the file, and line a line of the container.
func (f *file) raw(text string) {
	n, err := f.out.WriteString(text + "\n")
	require.NoError(f.t, err)
	f.size += n
}

func (f *file) line(text string) { f.raw(stamp() + " stdout F " + text) }

// stamp is the time as the runtime writes it.
func stamp() string { return time.Now().UTC().Format(time.RFC3339Nano) }

// rotate is what the kubelet does with a full file: the one before is compressed.
func (f *file) rotate() {
	f.t.Helper()
	old, _ := filepath.Glob(filepath.Join(f.folder, "0.log.????????-??????"))
	for _, name := range old {
		text, err := os.ReadFile(name)
		require.NoError(f.t, err)
		packed, err := os.Create(name + ".tmp")
		require.NoError(f.t, err)
		writer := gzip.NewWriter(packed)
		_, err = writer.Write(text)
		require.NoError(f.t, err)
		require.NoError(f.t, writer.Close())
		require.NoError(f.t, packed.Close())
		require.NoError(f.t, os.Rename(name+".tmp", name+".gz"))
		require.NoError(f.t, os.Remove(name))
	}
	require.NoError(f.t, f.out.Close())
	f.turns++
	require.NoError(f.t, os.Rename(filepath.Join(f.folder, "0.log"), filepath.Join(f.folder, fmt.Sprintf("0.log.20260101-%06d", f.turns))))
	f.open()
}

// write writes numbered lines of 200 bytes, so many a second, and rotates the file when it is full.
func (f *file) write(from, to, perSecond int) {
	padding := strings.Repeat("lorem ipsum ", 15)
	for n := from; n < to; n++ {
		f.line(fmt.Sprintf("n=%07d %s", n, padding))
		if f.size > 10<<20 {
			f.rotate()
		}
		if perSecond > 0 && n%(perSecond/10) == 0 {
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// used returns the processor time and the largest memory of a process that runs.
func used(t *testing.T, child *exec.Cmd) (cpu time.Duration, peak string) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child.Process.Pid))
	require.NoError(t, err)
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", child.Process.Pid))
	require.NoError(t, err)
	_, peak, _ = strings.Cut(string(status), "VmHWM:")
	peak, _, _ = strings.Cut(peak, "\n")
	return time.Duration(user+system) * 10 * time.Millisecond, strings.TrimSpace(peak)
}

func TestEveryLineOfABurstArrives(t *testing.T) {
	w := newWorld(t)
	const lines = 100_000
	start := time.Now()
	w.file("alice").write(0, lines, 0)
	written := time.Since(start)
	w.eventually("all lines are there", func() bool { return w.number(`tenant:=alice | stats count_uniq(_msg) n`) == lines })
	took := time.Since(start)
	assert.Equal(t, lines, w.number(`tenant:=alice | stats count() n`), "no line twice")
	cpu, peak := used(t, w.agent)
	storeCPU, storePeak := used(t, w.storeChild)
	t.Logf("%d lines written in %s, there after %s; agent %s of processor time, %s; store %s, %s", lines, written, took, cpu, peak, storeCPU, storePeak)
	assert.Equal(t, []map[string]string{{"tenant": "alice", "app": "api", "k8s.namespace.name": "alice", "k8s.pod.name": "api-0", "k8s.container.name": "main", "n": "100000"}},
		w.query(`* | stats by (tenant, app, k8s.namespace.name, k8s.pod.name, k8s.container.name) count() n`))

	f := w.file("bob")
	idle := time.Now()
	f.line("hello")
	w.eventually("a line of a quiet pod is there", func() bool { return w.number(`tenant:=bob | stats count() n`) == 1 })
	t.Logf("a line of a quiet pod was there after %s", time.Since(idle))
}

func TestNoLineIsLostWhenTheAgentIsKilledAndTheStoreIsAway(t *testing.T) {
	w := newWorld(t)
	const lines, perSecond = 100_000, 2_500
	f := w.file("alice")
	done := make(chan struct{})
	go func() { defer close(done); f.write(0, lines, perSecond) }()
	time.Sleep(3 * time.Second)
	w.stopStore() // a killed one would lose a little of what it has said to have
	away := time.Now()
	for range 3 {
		time.Sleep(7 * time.Second)
		w.kill(w.agent)
		time.Sleep(500 * time.Millisecond)
		w.startAgent()
	}
	time.Sleep(time.Until(away.Add(30 * time.Second)))
	w.startStore()
	<-done
	back := time.Now()
	w.eventually("the last line is there", func() bool { return w.number(fmt.Sprintf(`tenant:=alice "n=%07d" | stats count() n`, lines-1)) > 0 })
	time.Sleep(3 * time.Second)
	assert.Equal(t, lines, w.number(`tenant:=alice | stats count_uniq(_msg) n`))
	cpu, peak := used(t, w.agent)
	t.Logf("all %d lines %s after the last one; %d lines in all; agent %s, %s", lines, time.Since(back), w.number(`tenant:=alice | stats count() n`), cpu, peak)
}

func TestAFloodOverItsShareIsCutCountedAndTold(t *testing.T) {
	w := newWorld(t, "PLATFORM_RATE=1000", "PLATFORM_BURST=100000")
	const lines, quiet = 20_000, 50
	flood, alice := w.file("kube-system"), w.file("alice")
	flood.write(0, lines, 0)
	alice.write(0, quiet, 0)
	w.eventually("alice's lines are there", func() bool { return w.number(`tenant:=alice | stats count() n`) == quiet })
	w.eventually("the note is there", func() bool {
		return w.number(`_stream:{k8s.namespace.name="kube-system",k8s.pod.name="api-0"} "log-agent: dropped" | stats count() n`) > 0
	})
	time.Sleep(2 * time.Second)
	dropped := int(w.metric("journal_log_dropped_lines_total"))
	assert.Greater(t, dropped, lines/2)
	assert.Equal(t, lines, dropped+w.number(`k8s.namespace.name:=kube-system "n=" | stats count() n`), "each line is sent or counted")
	assert.InDelta(t, dropped*190, w.metric("journal_log_dropped_bytes_total"), float64(dropped))
	assert.Positive(t, w.metric("otelcol_process_uptime_seconds_total"), "by it the alert LogLinesDropped knows a young agent")
}

func TestWhatAFullBufferDoesNotTakeIsCounted(t *testing.T) {
	w := newWorld(t, "BUFFER_BYTES=3000000")
	w.stopStore()
	const lines = 50_000
	w.file("alice").write(0, lines, 0)
	refused := func() int { return int(w.metric("otelcol_exporter_enqueue_failed_log_records_total")) }
	for before := -1; refused() == 0 || refused() != before; time.Sleep(2 * time.Second) {
		before = refused()
	}
	assert.LessOrEqual(t, w.metric("otelcol_exporter_queue_size"), 3_000_000.0)
	w.startStore()
	w.file("alice").line("after all")
	w.eventually("the agent sends again, and each line is there or counted", func() bool {
		return w.number(`"after all" | stats count() n`) == 1 && refused()+w.number(`tenant:=alice "n=" | stats count() n`) == lines
	})
	t.Logf("%d of %d lines did not fit", refused(), lines)
}

func TestALineCannotChangeItsOwnerNorStopTheAgent(t *testing.T) {
	w := newWorld(t)
	f := w.file("bob")
	long := strings.Repeat("0123456789abcdef", 128) // a part of a long line, 2 KiB
	forged := []string{
		`{"k8s.namespace.name":"alice","tenant":"alice","_msg":"forged","_stream":"{tenant=\"alice\"}","_stream_id":"0","_time":"2020-01-01T00:00:00Z"}`,
		`{"resource":{"attributes":{"tenant":"alice","k8s":{"namespace":{"name":"alice"}}}},"log":"forged"}`,
		`tenant="alice" k8s.namespace.name="alice" forged`,
		stamp() + ` stdout F forged`,
	}
	for _, text := range forged {
		f.line(text)
	}
	f.raw(time.Now().In(time.FixedZone("east", 2*3600)).Format(time.RFC3339Nano) + " stderr F forged on a node with a time zone")
	f.line("not utf-8: \xff\xfe\x00 forged")
	f.line("")
	for range 1024 { // 2 MiB, in parts as the runtime cuts it
		f.raw(stamp() + " stdout P " + long)
	}
	f.line("end of the long line")
	f.raw("no time at all forged")
	f.raw(`{"log":"forged","stream":"stdout","time":"` + stamp() + `","tenant":"alice"}`)
	f.raw(strings.Repeat("x", 3<<20) + "\n" + stamp() + " stdout F forged after three MiB without an end")
	strange := filepath.Join(w.dir, "pods", "no-pod", "main")
	require.NoError(t, os.MkdirAll(strange, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(strange, "0.log"), []byte(stamp()+" stdout F forged by a strange path\n"), 0o640))
	unknown := filepath.Join(w.dir, "pods", "alice_gone_abc", "main")
	require.NoError(t, os.MkdirAll(unknown, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(unknown, "0.log"), []byte(stamp()+" stdout F forged by a pod that is gone\n"), 0o640))
	own := filepath.Join(w.dir, "pods", "journal-log-agent_log-agent-x_abc", "log-agent")
	require.NoError(t, os.MkdirAll(own, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(own, "0.log"), []byte(stamp()+" stdout F of the agent itself\n"), 0o640))
	f.line("the last one")
	w.file("alice").line("alice's own")
	w.file("bobs-claim").line("of a claim")
	w.file("kube-system").line("of the platform")
	w.eventually("the last lines are there", func() bool {
		return w.number(`"the last one" or "alice's own" or "of a claim" or "of the platform" | stats count() n`) == 4
	})
	time.Sleep(2 * time.Second)
	assert.Equal(t, 1, w.number(`_stream:{tenant="alice"} | stats count() n`), "alice has her own line only")
	assert.Equal(t, 0, w.number(`_stream:{tenant="alice"} forged | stats count() n`))
	assert.Equal(t, len(forged)+4, w.number(`_time:5m _stream:{tenant="bob"} forged | stats count() n`), "bob's are all bob's")
	assert.Equal(t, 3, w.number(`_stream:{tenant="-"} forged | stats count() n`), "a line that is none, a strange path and a pod that is gone are nobody's")
	assert.Equal(t, 1, w.number(`_stream:{tenant="-",k8s.namespace.name="kube-system"} | stats count() n`))
	assert.Equal(t, 1, w.number(`_stream:{tenant="bob",k8s.namespace.name="bobs-claim"} | stats count() n`))
	assert.Equal(t, 0, w.number(`"of the agent itself" | stats count() n`), "a line about a line would never end")
	assert.Equal(t, 1, w.number(`_stream:{tenant="bob"} _msg:=" " | stats count() n`), "an empty line")
	assert.Equal(t, 128*16384+len("end of the long line"), w.number(`_stream:{tenant="bob"} ~"^0123456789abcdef" | stats sum_len(_msg) n`), "the long line in parts")
	assert.Zero(t, w.metric("otelcol_exporter_enqueue_failed_log_records_total")+w.metric("otelcol_exporter_send_failed_log_records_total"))
	assert.NotZero(t, w.metric("otelcol_exporter_sent_log_records_total"), "the names of the figures")
}
