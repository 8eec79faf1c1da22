//go:build e2e

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The words of lines that alice must not see, and the pod that wrote them. No query has them in it, so an answer that has one did not
// come from the query. Beside them there are the lines of alice.
const (
	bobsWord, formerWord, nobodysWord = "canarybob", "canaryformer", "canarynobody"
	foreignPod                        = "foreignpod"
	ownWord                           = "canaryalice"
)

// realStore is VictoriaLogs.
type realStore struct {
	t   *testing.T
	url string
}

// startStore starts the program that VICTORIA_LOGS names.
func startStore(t *testing.T) *realStore {
	t.Helper()
	address, _ := startProgram(t, "VICTORIA_LOGS", "-retentionPeriod=7d", "-memory.allowedBytes=128MiB", "-search.maxQueryDuration=30s", "-inmemoryDataFlushInterval=1s")
	return &realStore{t: t, url: address}
}

// startProgram starts the store whose program the environment names, and returns its address and its process.
func startProgram(t *testing.T, variable string, more ...string) (url string, process int) {
	t.Helper()
	program := os.Getenv(variable)
	if program == "" {
		t.Skipf("%s does not name a program; the sandbox builds it for a stack with its store", variable)
	}
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	address := listener.Addr().String()
	_ = listener.Close()
	var output bytes.Buffer
	command := exec.Command(program, append(more, "-httpListenAddr="+address, "-storageDataPath="+t.TempDir())...)
	command.Stdout, command.Stderr = &output, &output
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		stuck := time.AfterFunc(time.Minute, func() { _ = command.Process.Kill() })
		defer stuck.Stop()
		if err := command.Wait(); err != nil || strings.Contains(output.String(), "panic") {
			t.Errorf("%s ended with %v:\n%s", program, err, output.String())
		}
	})
	eventually(t, "the store answers", func() bool {
		response, err := http.Get("http://" + address + "/health")
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil
	})
	return "http://" + address, command.Process.Pid
}

// write stores a line as the agent does: these fields of the stream, and a message.
func (s *realStore) write(at time.Time, namespace, tenant, pod, message string) {
	s.t.Helper()
	line := map[string]string{"_time": at.UTC().Format(time.RFC3339Nano), "_msg": message}
	if namespace != "" {
		line["k8s.namespace.name"], line["tenant"] = namespace, tenant
		line["k8s.pod.name"], line["k8s.container.name"], line["app"] = pod, "c", "api"
	}
	response, err := http.Post(s.url+"/insert/jsonline?_stream_fields=k8s.namespace.name,tenant,k8s.pod.name,k8s.container.name,app",
		"application/stream+json", bytes.NewReader(must(json.Marshal(line))))
	if err != nil {
		s.t.Fatal(err)
	}
	_ = response.Body.Close()
}

// ask asks the store itself, without a fence.
func (s *realStore) ask(path string, form url.Values) string {
	s.t.Helper()
	response, err := http.PostForm(s.url+path, form)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return string(must(io.ReadAll(response.Body)))
}

// fill writes the lines of all, and waits until they can be found.
func (s *realStore) fill() (foreignStream string) {
	s.t.Helper()
	now := time.Now().Add(-time.Minute)
	for i := range 20 {
		at := now.Add(time.Duration(i) * time.Second)
		s.write(at, "alice", "alice", "own", fmt.Sprintf("%s line %d", ownWord, i))
		s.write(at, "bob", "bob", foreignPod, fmt.Sprintf("%s line %d", bobsWord, i))
		s.write(at, "alice", "bob", foreignPod, fmt.Sprintf("%s line %d", formerWord, i)) // the name was bob's
		s.write(at, "", "", "", fmt.Sprintf("%s line %d", nobodysWord, i))                // of a file whose path says nothing
	}
	s.write(now, "gone", "alice", "gone-pod", "canarygone line")
	s.write(now, "gone", "bob", foreignPod, formerWord+" of the earlier owner of gone")
	eventually(s.t, "the lines are found", func() bool {
		all := s.ask("/select/logsql/query", url.Values{"query": {"canary*"}})
		return strings.Count(all, "\n") == 82
	})
	bobs := s.ask("/select/logsql/query", url.Values{"query": {`{k8s.namespace.name="bob"}`}, "limit": {"1"}})
	ids := regexp.MustCompile(`"_stream_id":"([0-9a-f]+)"`).FindStringSubmatch(bobs)
	if len(ids) != 2 {
		s.t.Fatal("no stream of bob")
	}
	return ids[1]
}

// escapes are queries that try to see more than the fence. STREAM is the id of a stream of bob.
var escapes = []string{
	`*`, `canary*`, `* or canary*`, `canary* or {k8s.namespace.name="bob"}`, `{k8s.namespace.name="bob"}`, `{tenant="bob"}`,
	`{k8s.namespace.name=~".*"} or {tenant!="alice"}`, `{k8s.namespace.name!="alice"}`, `{}`,
	`{k8s.namespace.name=""} or *`, `{tenant=""}`,
	`k8s.namespace.name:bob`, `tenant:bob or tenant:*`, `!canaryalice`, `not {k8s.namespace.name="alice"}`, `!(a b) or !(c d)`,
	`* or (canary* and {k8s.namespace.name="bob",tenant="bob"} or {tenant="bob"})`, `{k8s.namespace.name="bob" or tenant="bob"}`,
	`_stream_id:STREAM`, `_stream_id:in(STREAM)`, `_stream_id:in(* | fields _stream_id)`, `_stream_id:STREAM or *`,
	`_stream:{tenant="bob"}`,
	`_msg:in({tenant="bob"} | fields _msg) or *`, `_msg:contains_any(tenant:bob | fields _msg)`,
	`* _msg:!in(tenant:alice | fields _msg)`,
	`_msg:contains_all(tenant:bob | fields _msg) or _msg:in(_msg:in(tenant:bob | fields _msg) | fields _msg)`,
	`* | union ({k8s.namespace.name="bob"})`, `* | union (* | union (canary* | union (tenant:bob)))`,
	`none | union (*)`, `* | delete _msg | union (*)`,
	`* | join by (app) ({k8s.namespace.name="bob"}) prefix other_`, `* | join by (app) (*) inner`,
	`* | fields app | join by (app) (* | fields app, _msg)`,
	`* | join by (app) (* | union (tenant:bob | join by (app) (*)))`,
	`* | stream_context before 100 after 100`, `_stream_id:STREAM | stream_context before 10`,
	`none or _stream_id:STREAM | stream_context after 10`,
	`* | format "STREAM" as _stream_id | stream_context after 10`,
	`* | format "STREAM" as _stream_id | union (* | stream_context after 10)`,
	`* | union (_stream_id:STREAM | stream_context before 10)`, `_msg:in(* | stream_context after 10 | fields _msg) or *`,
	`* | union rows({"_stream_id":"STREAM","_time":"2026-01-01T00:00:00Z"}) | stream_context before 10`,
	`options(global_filter=({k8s.namespace.name="bob"})) *`, `options(global_filter=(*)) *`,
	`options(global_filter=(tenant:bob or *)) * or canary*`,
	`options(global_filter=(_msg:in(* | fields _msg) or *)) *`, `options(ignore_global_time_filter=true) *`,
	`options(concurrency=100, parallel_readers=100, time_offset=1d, allow_partial_response=true) *`,
	`options(time_offset=-1h) * | union (*)`,
	`* | union (options(global_filter=(*), ignore_global_time_filter=true) *)`, `options(extra_filters=*) *`,
	`* | filter {k8s.namespace.name="bob"}`, `* | where tenant:bob`, `* | filter canary* or *`, `* or * | filter * or tenant:bob`,
	`* | stats by (k8s.namespace.name, tenant, k8s.pod.name) values(_msg) v`, `* | stats values(_msg) if (tenant:bob or *) v`,
	`* | stats count() if (_msg:in(tenant:bob | fields _msg)) n, row_any(_msg) r, row_max(_msg) m`,
	`* | format if (_msg:in(* | fields _msg)) "<_msg>" as x`,
	`* | replace if ({tenant="bob"}) ("a", "b") at _msg`, `* | extract if (tenant:bob or *) "<x> line" from _msg`,
	`* | unroll if (*) by (_msg)`,
	`* | top 100 by (_msg)`, `* | uniq by (_stream)`, `* | uniq by (_stream_id) with hits`, `* | field_names`,
	`* | field_values _msg`, `* | field_values k8s.pod.name`,
	`* | facets`, `* | blocks_count`, `* | block_stats`, `* | query_stats`, `* | sample 1`,
	`* | sort by (_msg) | limit 1000`, `* | first 100 by (_msg)`,
	`* | last 100 by (_msg)`, `* | running_stats count() n`, `* | set_stream_fields k8s.pod.name`, `* | pack_json as x`,
	`* | generate_sequence 3 | union (*)`,
	"* # a comment\n or tenant:bob", `"* or"`, `*) or (*`, `*" or "*`, `* | union (*`, `_time:1d or *`,
	`_time:[2000-01-01, 2100-01-01] or *`,
	`_msg:~"canary.*" or _stream:~".*"`, `*:*`, `k8s.*:bob`, `k8s.pod.name:eq_field(k8s.pod.name) or *`, `_msg:*`,
	`value_type(_msg):string or *`,
}

// paths are the ways to ask. Each has what else it needs.
var paths = map[string]url.Values{
	"/namespaces/alice/logs":                         {},
	proxyPath + "/select/logsql/query":               {},
	proxyPath + "/select/logsql/hits":                {"step": {"1m"}, "field": {"_msg"}, "fields_limit": {"100"}},
	proxyPath + "/select/logsql/facets":              {"keep_const_fields": {"1"}, "max_values_per_field": {"1000"}, "limit": {"1000"}},
	proxyPath + "/select/logsql/field_names":         {},
	proxyPath + "/select/logsql/field_values":        {"field": {"_msg"}},
	proxyPath + "/select/logsql/streams":             {},
	proxyPath + "/select/logsql/stream_ids":          {},
	proxyPath + "/select/logsql/stream_field_names":  {},
	proxyPath + "/select/logsql/stream_field_values": {"field": {"k8s.pod.name"}, "ignore_pipes": {"1"}},
	proxyPath + "/select/logsql/stats_query":         {},
	proxyPath + "/select/logsql/stats_query_range":   {"step": {"1m"}},
	proxyPath + "/select/logsql/query_time_range":    {},
}

// leaks returns what of others is in an answer.
func leaks(answer, stream string) (found []string) {
	for _, word := range []string{bobsWord, formerWord, nobodysWord, foreignPod, stream} {
		if strings.Contains(answer, word) {
			found = append(found, word)
		}
	}
	return found
}

func TestNoQueryEscapesTheFence(t *testing.T) {
	store := startStore(t)
	stream := store.fill()
	r := newReader(t, store.url)
	now := time.Now().UTC()
	start, end := now.Add(-time.Hour).Format(time.RFC3339), now.Add(time.Hour).Format(time.RFC3339)
	answered, refused, unfenced := 0, 0, 0
	for _, query := range escapes {
		query := strings.ReplaceAll(query, "STREAM", stream)
		for path, more := range paths {
			for _, withTime := range []bool{true, false} {
				if !withTime && strings.HasSuffix(path, "/hits") {
					continue // a chart has a beginning and an end
				}
				form := url.Values{"query": {query}}
				maps.Copy(form, more)
				if withTime {
					form.Set("start", start)
					form.Set("end", end)
				}
				got := r.get("alice", path+"?"+form.Encode())
				switch got.status {
				case http.StatusOK:
					answered++
				case http.StatusBadRequest:
					refused++
					got.body = strings.ReplaceAll(got.body, stream, "") // an error repeats the query
				default:
					t.Errorf("%s: %s: %d %s", query, path, got.status, got.body)
				}
				if strings.Contains(query, stream) && strings.Contains(query, "format") {
					got.body = strings.ReplaceAll(got.body, stream, "") // the query itself writes it into the lines
				}
				if found := leaks(got.body, stream); len(found) > 0 {
					t.Errorf("%s: %s: %v in %s", query, path, found, got.body)
				}
			}
		}
		if found := leaks(store.ask("/select/logsql/query", url.Values{"query": {query}}), "none"); len(found) > 0 {
			unfenced++
		}
	}
	t.Logf("%d answers, %d refusals; of %d queries %d see other lines without the fence", answered, refused, len(escapes), unfenced)
	if answered < 500 || unfenced < 40 {
		t.Error("the queries try nothing")
	}
}

func TestTheLinesOfTheFenceAreAllThere(t *testing.T) {
	store := startStore(t)
	store.fill()
	r := newReader(t, store.url)
	for path, want := range map[string]int{
		"/namespaces/alice/logs?query=canary*": 20, "/namespaces/alice/logs": 20, "/namespaces/alice/logs?limit=5": 5,
		"/namespaces/bob/logs?query=canary*": 20, "/namespaces/platform/logs": 0, "/namespaces/alice-claim/logs": 0,
		"/namespaces/alice/logs?claimed=gone": 1, "/namespaces/bob/logs?claimed=gone": 1, "/logs?query=canary*": 82,
		"/namespaces/alice/logs?query=" + url.QueryEscape("* | union (*)"): 40,
		proxyPath + "/select/logsql/query?query=*":                         20,
	} {
		if got := r.get("somebody", path).is(http.StatusOK); strings.Count(got.body, "\n") != want {
			t.Errorf("%s: %d lines, not %d", path, strings.Count(got.body, "\n"), want)
		}
	}
	r.get("alice", "/namespaces/alice/logs?claimed=gone").is(http.StatusOK, "canarygone")
	r.get("alice", "/namespaces/alice/logs?query="+url.QueryEscape("* | count(")).
		is(http.StatusBadRequest, "the log store refuses the query: cannot parse")

	// The name is another's now: of what its earlier owner wrote, nothing is shown.
	if err := r.names.Tracker().Update(namespaceResource, namespace("bob", "9", "carol"), ""); err != nil {
		t.Fatal(err)
	}
	for _, query := range escapes[:20] {
		if got := r.get("carol", "/namespaces/bob/logs?query="+url.QueryEscape(query)); strings.Contains(got.body, "canaryb") {
			t.Errorf("%s: %s", query, got.body)
		}
	}
}

func TestAFollowSeesTheLinesOfItsFence(t *testing.T) {
	store := startStore(t)
	stream := store.fill()
	r := newReader(t, store.url)
	type open struct {
		query string
		found <-chan string
	}
	var follows []open
	for _, query := range []string{
		`*`, `* or {tenant="bob"}`, `* or _stream_id:` + stream, `options(global_filter=(*), ignore_global_time_filter=true) * or tenant:bob`,
	} {
		for _, path := range []string{"/namespaces/alice/logs?watch=true&", proxyPath + "/select/logsql/tail?"} {
			found, _ := r.follow(query, path+"query="+url.QueryEscape(query)) // a user for each, since each has a bound
			follows = append(follows, open{path + query, found})
		}
	}
	time.Sleep(time.Second)
	written := time.Now()
	for range 3 {
		store.write(time.Now(), "bob", "bob", foreignPod, bobsWord+" now")
		store.write(time.Now(), "alice", "bob", foreignPod, formerWord+" now")
	}
	store.write(time.Now(), "alice", "alice", "own", ownWord+" now")
	for _, follow := range follows {
		for seen := false; !seen; {
			select {
			case line, goesOn := <-follow.found:
				if !goesOn {
					t.Fatalf("%s: it has ended", follow.query)
				}
				seen = strings.Contains(line, ownWord+" now")
				if found := leaks(line, stream); len(found) > 0 {
					t.Errorf("%s: %s", follow.query, line)
				}
			case <-time.After(time.Minute):
				t.Fatalf("%s: no line", follow.query)
			}
		}
	}
	t.Logf("the line was there after %s", time.Since(written).Round(10*time.Millisecond))
	time.Sleep(2 * time.Second)
	for _, follow := range follows {
		for len(follow.found) > 0 {
			if found := leaks(<-follow.found, stream); len(found) > 0 {
				t.Errorf("%s: %v", follow.query, found)
			}
		}
	}
}

func TestThePageOfTheStoreIsServed(t *testing.T) {
	store := startStore(t)
	store.fill()
	r := newReader(t, store.url)
	page := r.get("alice", proxyPath+"/select/vmui/").is(http.StatusOK, "VictoriaLogs")
	if policy := page.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'self';") {
		t.Errorf("the page may do anything: %q", policy)
	}
	files := regexp.MustCompile(`(?:src|href)="\./([^"]+)"`).FindAllStringSubmatch(page.body, -1)
	if len(files) < 4 {
		t.Errorf("files of the page: %v", files)
	}
	for _, file := range files {
		if got := r.get("alice", proxyPath+"/select/vmui/"+file[1]).is(http.StatusOK); got.body == "" {
			t.Errorf("%s is empty", file[1])
		}
	}
	r.get("alice", proxyPath+"/select/vmui/config.json").is(http.StatusOK, "license")
	r.get("alice", proxyPath+"/select/buildinfo").is(http.StatusOK, "success")
}
