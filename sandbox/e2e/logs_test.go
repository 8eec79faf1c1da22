//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"example.com/journal/internal/markdown"
)

const (
	// logsGroup is the API group of lines, and logsAPI where the API server serves them.
	logsGroup = "observe.journal.example.com"
	logsAPI   = "/apis/" + logsGroup + "/v1alpha1"
	// soon is how long a line may take from the pod to its reader.
	soon = 10 * time.Second
	// reused is a namespace whose name another tenant gets.
	reused = "e2e-reused"
)

// storedLine is what the tests read of a line.
type storedLine struct {
	Time time.Time `json:"_time"`
	Text string    `json:"_msg"`
	Pod  string    `json:"k8s.pod.name"`
}

// logs is one test, since its parts use the pods that it starts first. What takes long goes on meanwhile.
func logs(t *testing.T) {
	build := exec.Command("go", "build", "-o", logsProgram(), "./logs")
	build.Dir = filepath.Join(repository(t), "services")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build logs: %v\n%s", err, text)
	}
	kubectl(t, "rollout", "status", "daemonset/log-agent", "--namespace", "journal-log-agent", "--timeout=10m") // its image is built beside the deployment
	logsBegan = time.Now()
	canary := unique("canary")
	secret := strings.Fields(canary)[1]
	voice := follow(t, "--namespace", "alice", "--pod", "e2e-voice")
	talk(t, "alice", "alice", "e2e-voice", "echo 'the first line'; sleep 65; echo 'after the silence'; sleep 3600")
	talk(t, "alice", "alice", "e2e-burst", numbered(100_000, "")+"sleep 3600")
	talk(t, "alice", "alice", "e2e-quiet", `i=0; while :; do i=$((i+1)); echo "n=$i quiet"; sleep 2; done`)
	talk(t, "bob", "bob", "e2e-canary", `echo '`+canary+`'
echo '{"_msg":"forged `+secret+`","k8s.namespace.name":"alice","tenant":"alice","_stream":"{k8s.namespace.name=\"alice\"}","_stream_id":"1","_time":"2020-01-01T00:00:00Z"}'
echo '{"resource":{"k8s.namespace.name":"alice","tenant":"alice"},"forged":{"nested":"`+secret+`"}}'
printf 'not in UTF-8 \377\376 `+secret+`\n'
x=x; i=0; while [ $i -lt 21 ]; do x=$x$x; i=$((i+1)); done; echo "$x"
echo 'after a line of 2 MiB'; sleep 3600`)

	for _, part := range []struct {
		sentence string
		test     func(*testing.T)
	}{
		{"a line is found by its owner within ten seconds", func(t *testing.T) { found(t, "alice", "alice", "e2e-voice", "the first line") }},
		{"100,000 lines of a pod are there, each once", everyLine},
		{"whoever has no right is refused, by list, by stream and by page", func(t *testing.T) { logRights(t) }},
		{"no query, parameter or path leaves its namespace", func(t *testing.T) { noEscape(t, secret) }},
		{"what stands in a line changes neither its owner nor what comes after it", func(t *testing.T) { forgedLines(t, secret) }},
		{"the commands of the page run as they are written", logsPage},
		{"the store's page shows alice's lines in a browser, and asks for nothing else", func(t *testing.T) { logsInABrowser(t, secret) }},
		{"a deleted pod and a claim that has ended are still read, by their tenant", goneLogs},
		{"a namespace's name that another tenant gets shows nothing of before", reusedName},
		{"a flood takes nothing from a quiet tenant, and is told what was dropped", flood},
		{"a line after a minute of silence is followed within ten seconds", func(t *testing.T) { voice.heard(t, "the first line", "after the silence") }},
		{"the store keeps what the stack says, and beside the agents no pod runs", keptAndFenced},
		{"lines that are written while the store is away and an agent is killed are all there", storeAway},
	} {
		start := time.Now()
		t.Run(part.sentence, part.test)
		t.Logf("%s: %s", part.sentence, time.Since(start).Round(100*time.Millisecond))
	}
}

func logsProgram() string { return world.dir.Path("e2e", "logs") }

// talk starts a pod that writes lines, as a user.
func talk(t *testing.T, user, namespace, name, script string) {
	t.Helper()
	mustAs(t, user, pod(name, tenancy.image, "{}", "sh", "-c", script), "create", "--namespace", namespace, "--filename", "-")
}

// numbered is a script that writes lines with a number each, and pauses after every so many of them, if it is told to.
func numbered(count int, pause string) string {
	return fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); echo "n=$i 0123456789 the quick brown fox jumps over the lazy dog, and writes a line of about two hundred bytes, as an application does when it is asked for something by a client of its own choice"; %s done
`, count, pause)
}

// logsBegan is when the tests of the logs began: the lines of an earlier run are there as well.
var logsBegan time.Time

// readLogs runs the command logs as a user; admin is the administrator of the cluster.
func readLogs(user string, args ...string) (stdout string, err error) {
	config := tenancy.config[user]
	if user == "admin" {
		config = world.cluster.Kubeconfig()
	}
	if !slices.Contains(args, "--since") {
		args = append(args, "--since", logsBegan.Format(time.RFC3339))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, logsProgram(), append(args, "--kubeconfig", config)...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("logs %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(log.Bytes()))
	}
	return out.String(), nil
}

// storedLines returns the lines that a user finds.
func storedLines(user string, args ...string) (lines []storedLine, err error) {
	text, err := readLogs(user, append(args, "--output", "json")...)
	for decoder := json.NewDecoder(strings.NewReader(text)); err == nil; {
		var line storedLine
		if err = decoder.Decode(&line); err == nil {
			lines = append(lines, line)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return lines, err
}

// found waits until a user finds a text of a pod, and checks how long that took since the text was written, or since it was first
// looked for.
func found(t *testing.T, user, namespace, pod, text string) storedLine {
	t.Helper()
	since := time.Now()
	var lines []storedLine
	eventuallyWithin(t, 90*time.Second, func() (err error) {
		lines, err = storedLines(user, "--namespace", namespace, "--pod", pod, "--grep", text)
		if err == nil && len(lines) == 0 {
			err = fmt.Errorf("%s finds no %q of %s", user, text, pod)
		}
		return err
	})
	if lines[0].Time.After(since) {
		since = lines[0].Time
		t.Logf("%q is found %s after it was written", text, time.Since(since).Round(100*time.Millisecond))
	}
	if took := time.Since(since); took > soon {
		t.Errorf("%q is found %s after it was written, and not within %s", text, took, soon)
	}
	return lines[0]
}

// counted returns how many numbered lines of a pod the store has, and how many different ones.
func counted(user, namespace, pod string) (lines, distinct int, err error) {
	text, err := readLogs(user, "--namespace", namespace, "--query",
		fmt.Sprintf(`"k8s.pod.name":=%q | extract "n=<n> " | filter n:* | stats count() as lines, count_uniq(n) as distinct`, pod))
	if err != nil {
		return 0, 0, err
	}
	var answer struct{ Lines, Distinct string }
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return 0, 0, fmt.Errorf("%q: %w", text, err)
	}
	lines, err = strconv.Atoi(answer.Lines)
	distinct, failed := strconv.Atoi(answer.Distinct)
	return lines, distinct, errors.Join(err, failed)
}

// complete waits until a number of different lines of a pod are there.
func complete(t *testing.T, user, namespace, pod string, want int) (lines int) {
	t.Helper()
	eventuallyWithin(t, 2*time.Minute, func() (err error) {
		var distinct int
		if lines, distinct, err = counted(user, namespace, pod); err == nil && distinct != want {
			err = fmt.Errorf("%d of %d different lines of %s are there", distinct, want, pod)
		}
		return err
	})
	return lines
}

func everyLine(t *testing.T) {
	lines := complete(t, "alice", "alice", "e2e-burst", 100_000)
	if lines != 100_000 {
		t.Errorf("%d lines are there for 100,000 numbers", lines)
	}
	first, err := storedLines("alice", "--namespace", "alice", "--pod", "e2e-burst", "--grep", "n=1 ")
	last, failed := storedLines("alice", "--namespace", "alice", "--pod", "e2e-burst", "--grep", "n=100000 ")
	if err := errors.Join(err, failed); err != nil || len(first) != 1 || len(last) != 1 {
		t.Fatalf("the first and the last line: %v, %d, %d", err, len(first), len(last))
	}
	t.Logf("100,000 lines were written in %s, and all were found at most %s after the last", last[0].Time.Sub(first[0].Time).Round(100*time.Millisecond),
		time.Since(last[0].Time).Round(time.Second))
}

// asks returns what sends requests to the API server as a user, with the user's own kubeconfig, or impersonated by the administrator.
// It returns the status, and the first part of what is answered. A path goes out as it is written.
func asks(t *testing.T, user string, groups ...string) func(method, path string) (int, string) {
	t.Helper()
	file := tenancy.config[user]
	if file == "" {
		file = world.cluster.Kubeconfig()
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		t.Fatal(err)
	}
	if tenancy.config[user] == "" {
		config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return func(method, path string) (int, string) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, method, config.Host+path, nil)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		response, err := client.Do(request)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer func() { _ = response.Body.Close() }()
		if strings.Contains(path, "watch=true") && response.StatusCode == http.StatusOK {
			return response.StatusCode, "" // it does not end
		}
		text, _ := io.ReadAll(io.LimitReader(response.Body, 32<<20))
		return response.StatusCode, string(text)
	}
}

// logRights sends what the table of rights in matrix_test.go only asks.
func logRights(t *testing.T) {
	kubectlApply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: e2e-viewer, namespace: alice},
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: journal-tenant-viewer}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: vera}]}`)
	mayIn(t, "vera", "alice", true, "get", "pods")
	for _, who := range []struct {
		user     string
		groups   []string
		mayIn    []string // "" is all namespaces
		refusals []string
	}{
		{"alice", nil, []string{"alice", "team-a"}, []string{"bob", world.outputs.Namespace, "kube-system", "journal-logs", "e2e-none", ""}},
		{"bob", nil, []string{"bob", "team-a"}, []string{"alice", world.outputs.Namespace, "journal-log-agent", ""}},
		{"vera", nil, []string{"alice"}, []string{"bob", "team-a", ""}}, // a viewer
		{"mallory", nil, nil, []string{"alice", "bob", "team-a", ""}},
		{"carol", []string{"platform"}, []string{world.outputs.Namespace, "alice", ""}, nil},
	} {
		ask := asks(t, who.user, who.groups...)
		for _, namespace := range append(slices.Clone(who.mayIn), who.refusals...) {
			at, may := logsAPI, slices.Contains(who.mayIn, namespace)
			requests := map[string]string{"list": "GET /logs?limit=1", "watch": "GET /logs?watch=true"}
			if namespace != "" { // the page is of one namespace
				at += "/namespaces/" + namespace
				requests["page"] = "GET /logs/ui/proxy/select/vmui/"
				requests["query"] = "POST /logs/ui/proxy/select/logsql/query?query=*&limit=1"
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
	if _, err := readLogs("bob", "--namespace", "alice"); err == nil || !strings.Contains(err.Error(), "you may not list logs.observe.journal.example.com there") ||
		!strings.Contains(err.Error(), "alice@example.com") {
		t.Errorf("bob is told %v", err)
	}
}

// noEscape asks for bob's canary as alice, in every way that was thought of. Its word is in none of the requests, so it can stand in
// no error.
func noEscape(t *testing.T, secret string) {
	found(t, "bob", "bob", "e2e-canary", "canary")
	inAlice := logsAPI + "/namespaces/alice/logs"
	const bobs = `{"k8s.namespace.name"="bob"}`
	queries := []string{
		`*`, `canary`, `* or canary`, `(* or canary)`, `!nothing`, bobs, bobs + ` or *`, `"k8s.namespace.name":=bob`, `tenant:=bob or *`,
		`* | union (` + bobs + `)`, `* | union (*)`, `"k8s.pod.name":in(` + bobs + ` | fields "k8s.pod.name")`, `_stream_id:in(* | fields _stream_id)`,
		`* | join by (_msg) (* | fields _msg, app) prefix other_`, `* | stream_context after 1000`, `* | stream_context before 1000 | ` + `fields _msg`,
		`options(ignore_global_time_filter=true) ` + bobs, `options(concurrency=2) * | union (` + bobs + `)`,
		`* | field_values "k8s.namespace.name"`, `* | field_values _msg`, `* | streams`, `* | uniq by (_stream)`, `* | facets 100`, `* | top 100 by (_msg)`,
		`* | stats by (tenant) values(_msg)`, `canary) or (canary`, `* # `, "*\n| union (canary)", `* | sort by (_time) limit 10000`,
	}
	var paths []string
	for _, query := range queries {
		paths = append(paths, inAlice+"?limit=10000&query="+escapeQuery(query))
		for _, read := range []string{"query?", "facets?", "field_names?", "field_values?field=_msg&", "streams?", "stream_ids?", "stats_query?", "hits?step=1h&start=2020-01-01T00:00:00Z&end=2020-01-02T00:00:00Z&"} {
			paths = append(paths, inAlice+"/ui/proxy/select/logsql/"+read+"query="+escapeQuery(query))
		}
	}
	// A claimed namespace of hers called bob is gone, if there ever was one; and the API server takes an escaped / for one.
	paths = append(paths, inAlice+"?claimed=bob", inAlice+"/ui/proxy/select%2flogsql/query?query=*")
	allowed := len(paths)
	for _, parameter := range []string{
		"extra_filters=*", "extra_stream_filters=%7B%22k8s.namespace.name%22:%22bob%22%7D", "AccountID=0", "ProjectID=0", "tenant=bob", "hidden_fields_filters=x",
		"namespace=bob", "query=*&query=canary", "watch=false&watch=true",
	} {
		paths = append(paths, inAlice+"?"+parameter, inAlice+"/ui/proxy/select/logsql/query?query=*&"+parameter)
	}
	for _, path := range []string{
		"/../../bob/logs", "/%2e%2e/%2e%2e/bob/logs", "/..%2f..%2fbob/logs", "/%252e%252e/%252e%252e/bob/logs", "//../bob/logs", "/ui/proxy/../../../../bob/logs",
		"/ui/proxy/select/tenant_ids", "/ui/proxy/select/logsql/../tenant_ids", "/ui/proxy/select/logsql/export", "/ui/proxy/insert/jsonline", "/ui/proxy/internal/select/query",
		"/ui/proxy/delete/run_task?filter=*", "/ui/proxy/metrics", "/ui/proxy/flags", "/ui/proxy/debug/pprof/heap", "/ui/proxy/SELECT/logsql/query?query=*", "/ui/proxy/",
		"/ui/proxy/select/logsql/query/?query=*", "/ui/proxy/select/logsql//query?query=*",
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
		case status < 300:
			t.Errorf("alice is answered %d to %s: %.300s", status, path, text)
		}
	}
	if answered < len(queries) { // otherwise everything may have been refused for another reason
		t.Errorf("only %d of %d requests are answered", answered, len(paths))
	}
	t.Logf("%d requests, %d answered, none with a line of another tenant", len(paths), answered)
}

// escapeQuery writes a query as a part of an address, and leaves what no address changes.
func escapeQuery(query string) string {
	return strings.NewReplacer("%", "%25", " ", "%20", `"`, "%22", "{", "%7B", "}", "%7D", "|", "%7C", "#", "%23", "&", "%26", "+", "%2B", "\n", "%0A", "<", "%3C", ">", "%3E").Replace(query)
}

func forgedLines(t *testing.T, secret string) {
	found(t, "bob", "bob", "e2e-canary", "after a line of 2 MiB")
	lines, err := storedLines("bob", "--namespace", "bob", "--grep", secret)
	if err != nil || len(lines) != 4 {
		t.Errorf("bob finds %d of his four lines with the word, %v", len(lines), err)
	}
	for _, line := range lines {
		if time.Since(line.Time) > time.Hour || line.Pod != "e2e-canary" {
			t.Errorf("a line has the time %s and the pod %s: %.200s", line.Time, line.Pod, line.Text)
		}
	}
	lines, err = storedLines("alice", "--tenant", "alice", "--since", "3650d", "--grep", secret)
	if err != nil || len(lines) != 0 {
		t.Errorf("alice finds %v, %v", lines, err)
	}
}

// logsPage types the commands of docs/observe.md as alice.
func logsPage(t *testing.T) {
	typePage(t, 8, []string{"Find a line", "Read with a program"}, func(command, said string) {
		if strings.Contains(command, "journal-logs") && !strings.Contains(said, "e2e-quiet/main n=") {
			t.Errorf("%s says %.500s", command, said)
		}
	})
	alicesPage(t)
}

// typePage types the commands below these headings of docs/observe.md as alice, and checks what each says. There are so many or more.
// Those that go on until they are interrupted are ended after a while.
func typePage(t *testing.T, least int, headings []string, check func(command, said string)) {
	t.Helper()
	home := t.TempDir()
	s := &shell{folder: filepath.Join(home, "journal")}
	tools := filepath.Join(home, "bin") // the page's ~/bin, on the PATH
	script := fmt.Sprintf("#!/bin/sh\nexec %q kubectl \"$@\"\n", filepath.Join(world.dir.Bin(), "kubernetes"))
	if err := errors.Join(os.Symlink(repository(t), s.folder), os.Mkdir(tools, 0o755),
		os.WriteFile(filepath.Join(tools, "kubectl"), []byte(script), 0o755)); err != nil {
		t.Fatal(err)
	}
	caches, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	folders := strings.Fields(string(caches))
	s.environment = append(os.Environ(), "HOME="+home, "GOCACHE="+folders[0], "GOMODCACHE="+folders[1], "KUBECONFIG="+tenancy.config["alice"],
		"PATH="+tools+":"+os.Getenv("PATH"))
	page, err := os.ReadFile(filepath.Join(repository(t), "docs/observe.md"))
	if err != nil {
		t.Fatal(err)
	}
	typed := 0
	for _, block := range markdown.Blocks(string(page)) {
		if !slices.Contains(headings, block.Heading) || block.Language != "console" {
			continue
		}
		for line := range strings.Lines(block.Text) {
			command, isTyped := strings.CutPrefix(strings.TrimSpace(line), "$ ")
			if !isTyped {
				continue
			}
			typed++
			if strings.Contains(command, "--follow") || strings.Contains(command, "--web") {
				command = "timeout 20 " + command + " || [ $? = 124 ]"
			}
			said := s.mustRun(t, command)
			if strings.Contains(command, "--web") && !strings.Contains(said, "http://127.0.0.1:") {
				t.Errorf("%s says %s", command, said)
			}
			check(command, said)
		}
	}
	if typed < least {
		t.Errorf("the page has %d commands", typed)
	}
}

// servePage serves the page of a program's store as alice until the test ends, and returns the link that is printed.
func servePage(t *testing.T, program string, args ...string) (link string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, append(args, "--web", "--namespace", "alice", "--kubeconfig", tenancy.config["alice"])...)
	var out lockedBuffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the test's context has ended
	eventually(t, func() error {
		if !strings.Contains(out.String(), "\n") {
			return errors.New("no link is printed")
		}
		return nil
	})
	return strings.TrimSpace(out.String())
}

// alicesPage opens the store's page through the link that the command prints.
func alicesPage(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	link, _, _ := strings.Cut(servePage(t, logsProgram()), "#")
	get := func(address string) (int, string) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return 0, err.Error()
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, err.Error()
		}
		defer func() { _ = response.Body.Close() }()
		text, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(text)
	}
	status, page := get(link)
	if status != http.StatusOK || !strings.Contains(page, "VictoriaLogs") {
		t.Fatalf("the page answers %d: %.200s", status, page)
	}
	for _, asset := range regexp.MustCompile(`\./assets/[\w.-]+`).FindAllString(page, -1) {
		if status, text := get(link + asset[2:]); status != http.StatusOK {
			t.Errorf("%s answers %d: %.200s", asset, status, text)
		}
	}
	base := strings.TrimSuffix(link, "select/vmui/")
	if status, text := get(base + "select/logsql/query?limit=3&query=quiet"); status != http.StatusOK || !strings.Contains(text, "e2e-quiet") {
		t.Errorf("a query of the page answers %d: %.200s", status, text)
	}
	if status, text := get(base + "select/tenant_ids"); status == http.StatusOK {
		t.Errorf("the page's server tells its tenants: %.200s", text)
	}
}

// lockedBuffer collects what a program writes while it runs.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func goneLogs(t *testing.T) {
	talk(t, "alice", "alice", "e2e-short", "echo 'soon gone'; sleep 3600")
	applyClaim(t, "bob", "e2e-logs", "30m")
	namespace := claimedNamespace(t, "e2e-logs")
	talk(t, "bob", namespace, "e2e-claimed", "echo 'in a claim'; sleep 3600")
	found(t, "alice", "alice", "e2e-short", "soon gone")
	found(t, "bob", namespace, "e2e-claimed", "in a claim")
	mayIn(t, "alice", namespace, false, "get", "pods")
	if text, err := readLogs("alice", "--namespace", namespace); err == nil {
		t.Errorf("alice reads bob's claim: %s", text)
	}
	if lines, err := storedLines("bob", "--tenant", "team-a", "--grep", "in a claim"); err != nil || len(lines) != 1 {
		t.Errorf("bob reads his tenant, claims included: %d lines, %v", len(lines), err)
	}
	claimed := []string{"--tenant", "team-a", "--claimed", namespace, "--grep", "in a claim"}
	if text, err := readLogs("alice", claimed...); err == nil {
		t.Errorf("a claim that is there is read as one that is gone: %s", text)
	}

	mustAs(t, "alice", "", "delete", "pod", "e2e-short", "--namespace", "alice", "--now")
	mustAs(t, "bob", "", "delete", "namespaceclaim", "e2e-logs", "--namespace", "team-a", "--timeout=3m")
	eventually(t, func() error {
		if text := kubectl(t, "get", "namespace", namespace, "--ignore-not-found", "--output", "name"); text != "" {
			return fmt.Errorf("%s is still there", text)
		}
		return nil
	})
	if lines, err := storedLines("alice", "--namespace", "alice", "--pod", "e2e-short"); err != nil || len(lines) == 0 {
		t.Errorf("the lines of a deleted pod: %d, %v", len(lines), err)
	}
	for _, member := range []string{"alice", "bob"} {
		eventually(t, func() error {
			lines, err := storedLines(member, claimed...)
			if err == nil && len(lines) != 1 {
				err = fmt.Errorf("%s finds %d lines of a claim that has ended", member, len(lines))
			}
			return err
		})
	}
	if _, err := readLogs("bob", "--namespace", namespace); err == nil || !strings.Contains(err.Error(), "--claimed "+namespace) {
		t.Errorf("bob is not told how to read a claim that has ended: %v", err)
	}
	// It was team-a's, so it is nobody else's.
	if lines, err := storedLines("bob", "--namespace", "bob", "--claimed", namespace); err != nil || len(lines) != 0 {
		t.Errorf("another tenant finds %v, %v", lines, err)
	}
	if text, err := tryKubectl("", "get", "--raw", logsAPI+"/namespaces/team-a/logs?claimed="+namespace, "--as", "mallory"); err == nil {
		t.Errorf("mallory reads %s", text)
	}
}

func reusedName(t *testing.T) {
	forget := func() { kubectl(t, "delete", "namespace", reused, "--ignore-not-found", "--timeout=3m") }
	t.Cleanup(forget)
	forget() // of an interrupted run
	of := func(tenant, text string) {
		t.Helper()
		if _, err := tryKubectl(fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {journal.example.com/tenant: %s}}}", reused, tenant), "create", "--filename", "-"); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error { // the account of the pod is made a moment after the namespace
			_, err := tryKubectl(pod("e2e-writer", tenancy.image, "{}", "sh", "-c", "echo '"+text+"'; sleep 3600"), "create", "--namespace", reused, "--filename", "-")
			return err
		})
		found(t, "admin", reused, "e2e-writer", text)
	}
	of("alice", "from before")
	forget()
	of("bob", "from now")
	for range 5 { // late lines of the deleted namespace would come now
		if lines, err := storedLines("admin", "--namespace", reused); err != nil || len(lines) != 1 || lines[0].Text != "from now" {
			t.Errorf("who gets the name reads %v, %v", lines, err)
		}
		time.Sleep(time.Second)
	}
	lines, err := storedLines("admin", "--all-namespaces", "--query", fmt.Sprintf(`"k8s.namespace.name":=%s tenant:=alice`, reused))
	if err != nil || len(lines) != 1 || lines[0].Text != "from before" {
		t.Errorf("the platform reads %v of before, %v", lines, err)
	}
}

// flood gives bob a small share and lets a pod of his write more than that, while one of alice writes a line every other second.
func flood(t *testing.T) {
	const written, burst = 40_000, 1 << 20
	share := func(key string) string {
		return kubectl(t, "get", "namespace", "bob", "--output", `jsonpath={.metadata.annotations.journal\.example\.com/log-`+key+`}`)
	}
	before := share("burst")
	set := func(value string) {
		kubectl(t, "annotate", "namespace", "bob", "--overwrite", "journal.example.com/log-burst="+value)
	}
	if before == "" || share("rate") == "" {
		t.Fatal("the namespace bob has no share")
	}
	t.Cleanup(func() { set(before) })
	set(strconv.Itoa(burst))
	dropped := droppedLines(t, "bob")

	talk(t, "bob", "bob", "e2e-flood", numbered(written, `[ $((i % 4000)) -ne 0 ] || sleep 1;`)+"echo 'the flood is over'; sleep 3600")
	slowest := quietMeanwhile(t, func() bool {
		text, err := tryKubectl("", "logs", "e2e-flood", "--namespace", "bob", "--tail", "1")
		return err == nil && strings.Contains(text, "the flood is over")
	})
	var lines, distinct int
	eventually(t, func() (err error) {
		lines, distinct, err = counted("bob", "bob", "e2e-flood")
		if gone := droppedLines(t, "bob") - dropped; err == nil && (gone < written-distinct || gone > written-distinct+1) { // the last line has no number
			err = fmt.Errorf("%d lines are written, %d found and %d counted as dropped", written, distinct, gone)
		}
		return err
	})
	t.Logf("of %d lines %d are kept (%d with those twice); a quiet tenant's line is found at most %s after it was written", written, distinct, lines,
		slowest.Round(100*time.Millisecond))
	if distinct == written || distinct == 0 {
		t.Errorf("%d of %d lines of a flood are kept", distinct, written)
	}
	notes, err := storedLines("bob", "--namespace", "bob", "--query", `"k8s.pod.name":=e2e-flood !quick _msg:~"drop"`)
	if err != nil || len(notes) == 0 {
		t.Errorf("no line says what was dropped, %v", err)
	} else {
		t.Logf("it says: %s", notes[0].Text)
	}
	if count := droppedLines(t, "alice"); count != 0 {
		t.Errorf("%d lines of alice are dropped", count)
	}
	mustAs(t, "bob", "", "delete", "pod", "e2e-flood", "--namespace", "bob", "--now")
}

// quietMeanwhile looks every second for a new line of alice's quiet pod, until something is done, and returns how old the newest line
// was at most, without the two seconds between two of them.
func quietMeanwhile(t *testing.T, done func() bool) (slowest time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(time.Second) {
		asked := time.Now()
		lines, err := storedLines("alice", "--namespace", "alice", "--pod", "e2e-quiet", "--since", "1m")
		if err != nil || len(lines) == 0 {
			t.Fatalf("no quiet line: %v", err)
		}
		slowest = max(slowest, asked.Sub(lines[len(lines)-1].Time)-2*time.Second)
		if done() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the flood does not end")
		}
	}
	if slowest > soon {
		t.Errorf("beside a flood a line is found %s after it was written", slowest)
	}
	return slowest
}

// dropped matches the counter of dropped lines in what an agent says of itself.
var dropped = regexp.MustCompile(`(?m)^journal_log_dropped_lines_total\{([^}]*)\} (\S+)$`)

// droppedLines asks the agents how many lines of a namespace they have dropped.
func droppedLines(t *testing.T, namespace string) (count int) {
	t.Helper()
	for _, agent := range agents(t) {
		text := kubectl(t, "get", "--raw", "/api/v1/namespaces/journal-log-agent/pods/"+agent.Metadata.Name+":8888/proxy/metrics")
		for _, found := range dropped.FindAllStringSubmatch(text, -1) {
			if strings.Contains(found[1], `namespace="`+namespace+`"`) {
				number, err := strconv.ParseFloat(found[2], 64)
				if err != nil {
					t.Fatal(err)
				}
				count += int(number)
			}
		}
	}
	return count
}

func agents(t *testing.T) []object {
	t.Helper()
	return objects(t, "pods", "--namespace", "journal-log-agent", "--selector", "app=log-agent")
}

// followed is a command that follows lines, with how long after it was written each was shown.
type followed struct {
	mu  sync.Mutex
	age map[string]time.Duration
}

// follow follows lines as alice until the test ends.
func follow(t *testing.T, args ...string) *followed {
	t.Helper()
	f := &followed{age: map[string]time.Duration{}}
	cmd := exec.CommandContext(t.Context(), logsProgram(), append(args, "--follow", "--output", "json", "--kubeconfig", tenancy.config["alice"])...)
	out, err := cmd.StdoutPipe()
	if err := errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for decoder := json.NewDecoder(out); ; {
			var line storedLine
			if decoder.Decode(&line) != nil {
				return
			}
			f.mu.Lock()
			if _, twice := f.age[line.Text]; twice {
				t.Errorf("%q is followed twice", line.Text)
			}
			f.age[line.Text] = time.Since(line.Time)
			f.mu.Unlock()
		}
	})
	t.Cleanup(func() { // the test's context has ended
		group.Wait()
		_ = cmd.Wait()
	})
	return f
}

// heard waits until each of these lines was followed, and checks how long it took.
func (f *followed) heard(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		eventuallyWithin(t, 90*time.Second, func() error {
			f.mu.Lock()
			defer f.mu.Unlock()
			age, heard := f.age[text]
			if !heard {
				return fmt.Errorf("%q is not followed: %v", text, f.age)
			}
			if age > soon {
				t.Errorf("%q is followed %s after it was written, and not within %s", text, age, soon)
			}
			t.Logf("%q is followed %s after it was written", text, age.Round(100*time.Millisecond))
			return nil
		})
	}
}

func keptAndFenced(t *testing.T) {
	args := kubectl(t, "get", "statefulset", "log-store", "--namespace", "journal-logs", "--output", "jsonpath={.spec.template.spec.containers[0].args}")
	for _, flag := range []string{"-retentionPeriod=7d", "-retention.maxDiskSpaceUsageBytes=", "-search.maxQueryDuration=30s"} {
		if !strings.Contains(args, flag) {
			t.Errorf("the store has no %s: %s", flag, args)
		}
	}
	host := func(fields string) string {
		return strings.Replace(pod("e2e-host", tenancy.image, "{}"), "spec:\n", "spec:\n  "+fields+"\n", 1)
	}
	for name, manifest := range map[string]string{
		"an ordinary pod":        pod("e2e-beside", tenancy.image, "{}"),
		"the agent's account":    host("serviceAccountName: log-agent"),
		"the node's network":     host("hostNetwork: true"),
		"a folder of the node":   host("volumes: [{name: root, hostPath: {path: /}}]"),
		"the agent's own folder": host("volumes: [{name: logs, hostPath: {path: /var/log/pods}}]"),
	} {
		t.Run(name, func(t *testing.T) {
			if text, err := tryKubectl(manifest, "create", "--namespace", "journal-log-agent", "--dry-run=server", "--filename", "-"); err == nil || !strings.Contains(text, "journal-log-agent") {
				t.Errorf("beside the agents: %s", text)
			}
		})
	}
	for _, namespace := range []string{"journal-logs", "journal-reader"} {
		if level := kubectl(t, "get", "namespace", namespace, "--output", `jsonpath={.metadata.labels.pod-security\.kubernetes\.io/enforce}`); level != "restricted" {
			t.Errorf("the Pod Security level of %s is %q", namespace, level)
		}
	}
	for _, namespace := range []string{"journal-log-agent", "journal-logs", "journal-reader"} {
		t.Logf("%s uses\n%s", namespace, kubectl(t, "top", "pods", "--namespace", namespace))
	}
	// Only the agents and the reader connect to the store.
	address := kubectl(t, "get", "service", "log-store", "--namespace", "journal-logs", "--output", "jsonpath={.spec.clusterIP}")
	if text, err := as(t, "alice", "", "exec", "e2e-voice", "--namespace", "alice", "--", "timeout", "3", "nc", "-w", "2", address, "9428"); err == nil {
		t.Errorf("a pod of alice connects to the store: %s", text)
	}
}

// storeAway takes the store away for a minute, and kills the agents meanwhile, while a pod writes 500 lines a second.
func storeAway(t *testing.T) {
	const written = 40_000
	scale := func(replicas string) {
		kubectl(t, "scale", "statefulset", "log-store", "--namespace", "journal-logs", "--replicas", replicas)
	}
	t.Cleanup(func() { scale("1") })
	scale("0")
	gone := time.Now()
	talk(t, "bob", "team-a", "e2e-load", numbered(written, `[ $((i % 500)) -ne 0 ] || sleep 1;`)+"sleep 3600")
	mustAs(t, "bob", "", "wait", "--for=condition=Ready", "pod/e2e-load", "--namespace", "team-a", "--timeout=3m")
	eventually(t, func() error {
		if text := kubectl(t, "get", "pods", "--namespace", "journal-logs", "--output", "name"); text != "" {
			return fmt.Errorf("the store is still there: %s", text)
		}
		return nil
	})
	if text, err := readLogs("bob", "--namespace", "team-a"); err == nil {
		t.Errorf("lines are read without a store: %s", text)
	}
	time.Sleep(20 * time.Second)
	for _, agent := range agents(t) {
		crash(t, agent)
	}
	time.Sleep(time.Until(gone.Add(time.Minute)))
	scale("1")
	kubectl(t, "rollout", "status", "statefulset/log-store", "--namespace", "journal-logs", "--timeout=3m")
	back := time.Now()
	eventuallyWithin(t, 90*time.Second, func() error { // the pod writes for 80 s and a little more
		text := mustAs(t, "bob", "", "logs", "e2e-load", "--namespace", "team-a", "--tail", "1")
		if !strings.Contains(text, fmt.Sprintf("n=%d ", written)) {
			return fmt.Errorf("the pod is at %.20s", text)
		}
		return nil
	})
	ended := time.Now()
	lines := complete(t, "bob", "team-a", "e2e-load", written)
	t.Logf("the store was away for %s; all %d lines are there %s after it was back and %s after the last, %d of them twice", back.Sub(gone).Round(time.Second),
		written, time.Since(back).Round(time.Second), time.Since(ended).Round(time.Second), lines-written)
	mustAs(t, "bob", "", "delete", "pod", "e2e-load", "--namespace", "team-a", "--now")
}
