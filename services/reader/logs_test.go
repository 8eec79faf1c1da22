package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	aliceFence = `{"k8s.namespace.name":"alice","tenant":"alice"}`
	sinceFence = "_time:>=2026-01-02T03:04:05Z"
	proxyPath  = "/namespaces/alice/logs/ui/proxy"
)

func TestAQueryReachesTheStoreWithItsFenceAndNothingElseOfTheCaller(t *testing.T) {
	t.Parallel()
	store := newStore(t, oneLine)
	r := newReader(t, store.URL)
	header := http.Header{
		"Accountid": {"7"}, "Projectid": {"7"}, "Vl-Extra-Filters": {"x"}, "Authorization": {"Bearer x"}, "Cookie": {"a=b"},
		"X-Remote-Group": {"g"}, "X-Forwarded-For": {"1.2.3.4"}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Accept": {"application/stream+json"},
	}
	got := r.do(r.client, http.MethodGet, "alice",
		prefix+"/namespaces/alice/logs?query=error&start=2026-01-31T12:00:00Z&end=2026-01-31T13:00:00%2B01:00&limit=7&timeout=1h", "", header)
	got.is(http.StatusOK, `{"_msg":"hello"}`)
	for _, name := range []string{"Access-Control-Allow-Origin", "AccountID"} {
		if got.header.Get(name) != "" {
			t.Errorf("answer with %s", name)
		}
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", got.header)
	}
	asked := store.one(t)
	want := url.Values{
		"query": {"error"}, "start": {"2026-01-31T12:00:00Z"}, "end": {"2026-01-31T13:00:00+01:00"}, "limit": {"7"},
		"timeout": {"30s"}, "extra_stream_filters": {aliceFence}, "extra_filters": {sinceFence},
	}
	if asked.method != "POST" || asked.path != "/select/logsql/query" || asked.rawQuery != "" || asked.form.Encode() != want.Encode() {
		t.Errorf("%+v", asked)
	}
	for name := range asked.header {
		switch name {
		case "Accept", "User-Agent", "Content-Type", "Content-Length":
		default:
			t.Errorf("the store got %s", name)
		}
	}
}

func TestTheFenceIsTheNamespaceAndItsTenant(t *testing.T) {
	t.Parallel()
	store := newStore(t, oneLine)
	r := newReader(t, store.URL)
	for path, fence := range map[string]string{
		"/namespaces/alice/logs":                                      aliceFence,
		"/namespaces/alice-claim/logs":                                `{"k8s.namespace.name":"alice-claim","tenant":"alice"}`,
		"/namespaces/platform/logs":                                   `{"k8s.namespace.name":"platform","tenant":"-"}`,
		"/namespaces/alice/logs?claimed=gone":                         `{"k8s.namespace.name":"gone","tenant":"alice"}`,
		"/namespaces/alice/logs?claimed=bob":                          `{"k8s.namespace.name":"bob","tenant":"alice"}`,
		"/namespaces/alice/logs?watch=false":                          aliceFence,
		"/logs":                                                       "",
		"/namespaces/alice/logs/ui/proxy/select/logsql/query?query=x": aliceFence,
	} {
		r.get("somebody", path).is(http.StatusOK)
		asked := store.one(t)
		if asked.form.Get("extra_stream_filters") != fence || len(asked.form["extra_stream_filters"]) > 1 {
			t.Errorf("%s: %v", path, asked.form)
		}
	}
	// The name is another tenant's from one moment to the next.
	if err := r.names.Tracker().Update(namespaceResource, namespace("alice", "9", "bob"), ""); err != nil {
		t.Fatal(err)
	}
	r.get("bob", "/namespaces/alice/logs").is(http.StatusOK)
	if got := store.one(t).form.Get("extra_stream_filters"); got != `{"k8s.namespace.name":"alice","tenant":"bob"}` {
		t.Error(got)
	}
	r.get("alice", "/namespaces/gone/logs").is(http.StatusNotFound, `"gone" not found`)
	r.get("alice", "/namespaces/gone/logs/ui/proxy/select/logsql/query?query=x").is(http.StatusNotFound)
	if asked := store.taken(); len(asked) > 0 {
		t.Errorf("the store was asked: %v", asked)
	}
}

func TestATenantWhoseNameWasAnothersSeesNothingOfBefore(t *testing.T) {
	t.Parallel()
	store := newStore(t, oneLine)
	r := newReader(t, store.URL)
	again := namespace("alice", "9", "alice")
	again.CreationTimestamp = metav1.NewTime(created.Add(time.Hour))
	if err := r.names.Tracker().Update(namespaceResource, again, ""); err != nil {
		t.Fatal(err)
	}
	for path, since := range map[string]string{
		"/namespaces/alice/logs":              "_time:>=2026-01-02T04:04:05Z",
		"/namespaces/alice/logs?watch=true":   "_time:>=2026-01-02T04:04:05Z",
		"/namespaces/alice/logs?claimed=gone": "_time:>=2026-01-02T04:04:05Z",
		"/namespaces/alice-claim/logs":        "_time:>=2026-01-02T04:04:05Z", // it is older than the home namespace
		proxyPath + "/select/logsql/facets":   "_time:>=2026-01-02T04:04:05Z",
		"/namespaces/bob/logs":                sinceFence,
		"/namespaces/platform/logs":           sinceFence,
		"/logs":                               "",
	} {
		r.get("somebody", path).is(http.StatusOK)
		if asked := store.one(t); asked.form.Get("extra_filters") != since || len(asked.form["extra_filters"]) > 1 {
			t.Errorf("%s: %v", path, asked.form)
		}
	}
}

func TestAFenceWithoutANameATenantOrABeginningIsNone(t *testing.T) {
	t.Parallel()
	for _, f := range []fence{
		{}, {namespace: "alice", since: created}, {tenant: "alice", since: created}, {namespace: "alice", tenant: "alice"},
	} {
		if filters, err := f.filters(); err == nil {
			t.Errorf("%+v: %v", f, filters)
		}
	}
}

func TestLinesOfANamespaceThatIsGoneAreReadInTheHomeNamespaceOfItsTenantAlone(t *testing.T) {
	t.Parallel()
	store := newStore(t, oneLine)
	r := newReader(t, store.URL)
	for path, message := range map[string]string{
		"/namespaces/alice/logs?claimed=alice-claim":     `claimed "alice-claim": this namespace exists`,
		"/namespaces/alice-claim/logs?claimed=gone":      "only the home namespace of a tenant",
		"/namespaces/platform/logs?claimed=gone":         "only the home namespace of a tenant",
		"/namespaces/alice/logs?claimed=gone&watch=true": "cannot be followed",
		"/logs?claimed=gone":                             "ask in that namespace",
		"/namespaces/alice/logs?claimed=..":              `claimed "..": must be the name of a namespace`,
		"/namespaces/alice/logs?claimed=":                `must be the name of a namespace`,
	} {
		r.get("alice", path).is(http.StatusBadRequest, message)
	}
	if asked := store.taken(); len(asked) > 0 {
		t.Errorf("the store was asked: %v", asked)
	}
}

func TestParametersThatBreakARuleAreAllNamed(t *testing.T) {
	t.Parallel()
	store := newStore(t, oneLine)
	r := newReader(t, store.URL)
	for query, message := range map[string]string{
		"extra_filters=*":                       `parameter "extra_filters": must be one of claimed, end, limit, query, start, timeout, watch`,
		"extra_stream_filters={}":               `parameter "extra_stream_filters"`,
		"AccountID=7":                           `parameter "AccountID"`,
		"timeout=long":                          `timeout "long": must be a duration`,
		"query=a&query=b":                       `parameter "query": must be given once`,
		"watch=true&watch=false":                `parameter "watch": must be given once`,
		"watch=1":                               `watch "1": must be true or false`,
		"watch":                                 `watch "": must be true or false`,
		"watch=True":                            `must be true or false`,
		"limit=10001":                           `limit "10001": must be a whole number from 1 to 10000`,
		"limit=0":                               `limit "0": must be`,
		"limit=-1":                              `limit "-1": must be`,
		"start=yesterday":                       `start "yesterday": must be a time in RFC 3339, such as 2026-01-31T12:00:00Z`,
		"start=1h&end=x&limit=y":                `end "x": must be a time in RFC 3339, such as 2026-01-31T12:00:00Z; limit "y": must be a whole number from 1 to 10000; start "1h"`,
		"a;b":                                   "cannot be read",
		"query=%zz":                             "cannot be read",
		"fieldSelector=metadata.name%3Dx":       `parameter "fieldSelector"`,
		"watch=true&limit=5":                    "limit: a follow has no end",
		"watch=true&end=2026-01-31T12:00:00Z":   "end: a follow has no end",
		"watch=true&start=2026-01-31T12:00:00Z": "a follow starts at most 1m0s ago",
	} {
		r.get("alice", "/namespaces/alice/logs?"+query).is(http.StatusBadRequest, message)
	}
	if asked := store.taken(); len(asked) > 0 {
		t.Errorf("the store was asked: %v", asked)
	}
}

func TestThePageAsksForWhatItNeedsAndForNothingElse(t *testing.T) {
	t.Parallel()
	store := newStore(t, oneLine)
	r := newReader(t, store.URL)
	for path, query := range map[string]string{
		"query": "query=*&start=2026-01-31T12:00:00Z&end=now&limit=50&offset=5&format=csv", "tail": "query=*&offset=1s&start_offset=30s",
		"hits":   "query=*&start=2026-01-31T12:00:00Z&end=2026-01-31T13:00:00.5Z&step=36000.5ms&offset=-60m&fields_limit=5&field=a",
		"facets": "query=*&limit=10&keep_const_fields=1", "field_names": "query=*&ignore_pipes=1&filter=a",
		"field_values": "query=*&field=a&limit=5",
		"streams":      "query=*&limit=5", "stream_ids": "query=*", "stream_field_names": "query=*&ignore_pipes=1",
		"stream_field_values": "query=*&field=a",
		"stats_query":         "query=*&time=now", "stats_query_range": "query=*&step=1m&offset=0h", "query_time_range": "query=*",
	} {
		path = "/select/logsql/" + path
		r.get("alice", proxyPath+path+"?"+query).is(http.StatusOK)
		fromGet := store.one(t)
		r.post("alice", proxyPath+path, must(url.ParseQuery(query))).is(http.StatusOK)
		fromPost := store.one(t)
		same := fromGet.form.Encode() == fromPost.form.Encode()
		if !same || fromPost.path != path || fromPost.form.Get("extra_stream_filters") != aliceFence {
			t.Errorf("%+v %+v", fromGet, fromPost)
		}
		for _, extra := range []string{
			"extra_filters", "extra_stream_filters", "extra_label", "AccountID", "tenant", "hidden_fields_filters", "refresh_interval",
		} {
			r.get("alice", proxyPath+path+"?"+query+"&"+extra+"=x").is(http.StatusBadRequest, `parameter "`+extra+`": must be one of`)
			r.post("alice", proxyPath+path+"?"+query, url.Values{extra: {"x"}}).is(http.StatusBadRequest, `parameter "`+extra+`"`)
		}
	}
	for _, path := range []string{
		"/select/vmui/", "/select/vmui/config.json", "/select/vmui/favicon.svg", "/select/vmui/assets/index-DiHn3JKq.js", "/select/buildinfo",
	} {
		r.get("alice", proxyPath+path+"?extra_filters=x").is(http.StatusOK)
		if asked := store.one(t); asked.method != "GET" || asked.path != path || len(asked.form) > 0 {
			t.Errorf("%+v", asked)
		}
	}
	for _, path := range []string{
		"/select/tenant_ids", "/select/vmui", "/select/vmalert/", "/select/logsql/", "/select/logsql/query/",
		"/select/logsql/Query", "/insert/jsonline",
		"/insert/opentelemetry/v1/logs", "/delete/run_task", "/internal/select/query", "/internal/force_flush",
		"/metrics", "/flags", "/debug/pprof/",
		"/health", "/api/v1/query", "/select/vmui/index.html", "/select/vmui/assets/", "/select/vmui/assets/a/b", "/select/vmui/.js",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			got := r.do(r.client, method, "alice", prefix+proxyPath+path, "query=*", nil)
			if got.status != http.StatusNotFound && got.status != http.StatusBadRequest {
				t.Errorf("%s %s: %d", method, path, got.status)
			}
		}
	}
	query := proxyPath + "/select/logsql/query"
	r.do(r.client, http.MethodPost, "alice", prefix+query, "x", http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}).
		is(http.StatusBadRequest, "application/x-www-form-urlencoded")
	r.post("alice", query, url.Values{"query": {strings.Repeat("x", maxForm)}}).is(http.StatusBadRequest, "65536 bytes")
	if asked := store.taken(); len(asked) > 0 {
		t.Errorf("the store was asked: %v", asked)
	}
}

func TestAChartHasABoundedNumberOfPoints(t *testing.T) {
	t.Parallel()
	store := newStore(t, oneLine)
	r := newReader(t, store.URL)
	for query, message := range map[string]string{
		"start=2026-01-31T12:00:00Z&end=2026-01-31T13:00:00Z&step=1ms":                  "must be at least 1.8s, so that there are at most 2000 steps",
		"start=2026-01-31T12:00:00Z&end=2026-01-31T13:00:00Z&step=1ns":                  `step "1ns": must be a duration`,
		"start=0001-01-01T00:00:00Z&end=9999-01-31T13:00:00Z&step=1d":                   "2000 steps",
		"start=2026-01-31T12:00:00Z&end=2026-01-31T13:00:00Z":                           `parameter "step": must be given`,
		"end=2026-01-31T13:00:00Z&step=1h":                                              `parameter "start": must be given`,
		"start=2026-01-31T12:00:00Z&step=1h":                                            `parameter "end": must be given`,
		"start=1&end=2026-01-31T13:00:00Z&step=1h":                                      `start "1": must be a time`,
		"start=2026-01-31T12:00:00Z&end=2026-01-31T13:00:00Z&step=NaNd":                 `step "NaNd": must be a duration`,
		"start=2026-01-31T12:00:00Z&end=2026-01-31T13:00:00Z&step=1h&fields_limit=1000": "fields_limit",
	} {
		r.get("alice", proxyPath+"/select/logsql/hits?query=*&"+query).is(http.StatusBadRequest, message)
	}
	if asked := store.taken(); len(asked) > 0 {
		t.Errorf("the store was asked: %v", asked)
	}
	r.get("alice", proxyPath+"/select/logsql/hits?query=*&start=2026-01-24T12:00:00Z&end=2026-01-31T12:00:00Z&step=1d").is(http.StatusOK)
	if asked := store.one(t); asked.form.Get("fields_limit") != "10" {
		t.Errorf("%+v", asked.form)
	}
}

func TestWhatTheStoreSaysIsShownWithoutItsAddress(t *testing.T) {
	t.Parallel()
	var status int
	var text string
	store := newStore(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, text+" at "+r.Host, status) })
	r := newReader(t, store.URL)
	host := strings.TrimPrefix(store.URL, "http://")
	for _, c := range []struct {
		store  int
		text   string
		status int
	}{
		{400, "cannot parse query", 400}, {422, "missing stats", 400}, {503, "too slow", 503}, {500, "panic", 503},
		{404, "no such path", 404},
		{302, "elsewhere", 503},
	} {
		status, text = c.store, c.text
		got := r.get("alice", "/namespaces/alice/logs").is(c.status)
		if c.store != 404 {
			got.is(c.status, c.text)
		}
		if strings.Contains(got.body, host) {
			t.Error(got.body)
		}
	}
	store.Close()
	got := r.get("alice", "/namespaces/alice/logs").is(http.StatusServiceUnavailable, "the log store does not answer; try again soon")
	if strings.Contains(got.body, "127.0.0.1") {
		t.Error(got.body)
	}
	if !strings.Contains(r.log.String(), "connection refused") {
		t.Error("the log does not say what is wrong")
	}
	if r.probe("/readyz") != http.StatusOK {
		t.Error("it is not ready because of the store")
	}
}

func TestAStoreThatTakesTooLongIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	store := newStore(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	r := newReaderWith(t, store.URL, -4*time.Second, followTimeout) // the reader waits five seconds longer
	r.get("alice", "/namespaces/alice/logs").is(http.StatusGatewayTimeout, "the log store took too long")
}

func TestAStoreThatWasRestartedIsAskedAgain(t *testing.T) {
	t.Parallel()
	store := newStore(t, oneLine)
	r := newReader(t, store.URL)
	for range 20 {
		r.get("alice", "/namespaces/alice/logs").is(http.StatusOK)
		store.CloseClientConnections()
	}
}

func TestAnAnswerThatTheStoreBreaksOffIsNotTakenForWhole(t *testing.T) {
	t.Parallel()
	store := newStore(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "{}\n")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	r := newReader(t, store.URL)
	response, err := r.open(r.client, http.MethodGet, "alice", prefix+"/namespaces/alice/logs", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if text, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("whole: %s", text)
	}
}

// following is a store that sends a line at once and then waits for the end.
func following(w http.ResponseWriter, r *http.Request) {
	oneLine(w, r)
	if r.URL.Path == "/select/logsql/tail" {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// follow opens a follow, and returns its lines; they are closed when it ends, with an error if it is cut off.
func (r *reader) follow(user, path string) (found <-chan string, end func()) {
	r.t.Helper()
	response, err := r.open(r.client, http.MethodGet, user, prefix+path, nil, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = response.Body.Close() })
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(response.Body)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
		if err := scanner.Err(); err != nil {
			lines <- fmt.Sprint("cut off: ", err)
		}
	}()
	return lines, func() { _ = response.Body.Close() }
}

// ended waits for the end of a follow that has sent its line.
func ended(t *testing.T, found <-chan string) {
	t.Helper()
	for {
		select {
		case line, ok := <-found:
			if !ok {
				return
			}
			t.Errorf("more: %s", line)
		case <-time.After(20 * time.Second):
			t.Fatal("it does not end")
		}
	}
}

func first(t *testing.T, found <-chan string) {
	t.Helper()
	select {
	case line := <-found:
		if line != `{"_msg":"hello"}` {
			t.Fatalf("line %q", line)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no line")
	}
}

func TestAFollowSendsALineWhenItIsThereAndAsksForTheNewestOnes(t *testing.T) {
	t.Parallel()
	store := newStore(t, following)
	r := newReader(t, store.URL)
	start := time.Now().Add(-10 * time.Second).UTC().Format(time.RFC3339Nano)
	found, _ := r.follow("alice", "/namespaces/alice/logs?watch=true&query=x&start="+start)
	first(t, found)
	asked := store.one(t)
	back, err := time.ParseDuration(asked.form.Get("start_offset"))
	if asked.path != "/select/logsql/tail" || asked.form.Get("offset") != "500ms" || asked.form.Get("query") != "x" ||
		asked.form.Has("timeout") || asked.form.Has("limit") || err != nil || back < 10*time.Second || back > 25*time.Second {
		t.Errorf("%+v", asked)
	}
}

func TestAFollowEndsWhenTheNamespaceIsGoneOrBelongsToAnother(t *testing.T) {
	t.Parallel()
	store := newStore(t, following)
	r := newReader(t, store.URL)
	stays, _ := r.follow("carol", "/namespaces/platform/logs?watch=true")
	first(t, stays)
	for name, change := range map[string]func() error{
		"deleted":           func() error { return r.names.Tracker().Delete(namespaceResource, "", "alice") },
		"of another tenant": func() error { return r.names.Tracker().Update(namespaceResource, namespace("bob", "2", "alice"), "") },
		"replaced": func() error {
			return r.names.Tracker().Update(namespaceResource, namespace("alice-claim", "8", "alice"), "")
		},
	} {
		path := map[string]string{"deleted": "alice", "of another tenant": "bob", "replaced": "alice-claim"}[name]
		found, _ := r.follow("dave", "/namespaces/"+path+"/logs?watch=true")
		first(t, found)
		page, _ := r.follow("dave", "/namespaces/"+path+"/logs/ui/proxy/select/logsql/tail?query=*")
		first(t, page)
		if err := change(); err != nil {
			t.Fatal(err)
		}
		ended(t, found)
		ended(t, page)
	}
	select {
	case line, ok := <-stays:
		t.Errorf("another namespace's follow ended too: %q %v", line, ok)
	default:
	}
}

func TestAFollowEndsAfterAWhileSoThatRBACIsAskedAgain(t *testing.T) {
	t.Parallel()
	r := newReaderWith(t, newStore(t, following).URL, queryTimeout, time.Second)
	found, _ := r.follow("alice", "/namespaces/alice/logs?watch=true")
	first(t, found)
	ended(t, found)
}

func TestAFollowHasNoPipes(t *testing.T) {
	t.Parallel()
	for query, pipes := range map[string]bool{
		"error": false, `"a|b"`: false, `app:="x" _msg:*"a|b"*`: false, `"a\\"b"`: false, "#": false,
		"* | unroll by (_msg)": true, `"a" | fields x`: true, `"a|b" | x`: true, "# \"\n| unroll by (x)": true,
		`"\\" | unroll by (x)`: true, "'\"' | x": true, "`\"` | x": true, `"open | x`: false, // which the store refuses
	} {
		if got := hasPipe(query); got != pipes {
			t.Errorf("%s: %t", query, got)
		}
	}
	store := newStore(t, following)
	r := newReader(t, store.URL)
	for _, path := range []string{"/namespaces/alice/logs?watch=true&query=", proxyPath + "/select/logsql/tail?query="} {
		r.get("alice", path+url.QueryEscape("* | unroll by (_msg)")).is(http.StatusBadRequest, "a follow has no pipes")
	}
	if asked := store.taken(); len(asked) > 0 {
		t.Errorf("the store was asked: %v", asked)
	}
}

func TestThePipeThatLeavesTheFenceIsServedToThePlatformAlone(t *testing.T) {
	t.Parallel()
	store := newStore(t, oneLine)
	r := newReader(t, store.URL)
	query := url.QueryEscape("* | Stream_Context before 10")
	r.get("alice", "/namespaces/alice/logs?query="+query).is(http.StatusBadRequest, "stream_context is not served")
	r.get("alice", proxyPath+"/select/logsql/query?query="+query).is(http.StatusBadRequest, "stream_context is not served")
	if asked := store.taken(); len(asked) > 0 {
		t.Errorf("the store was asked: %v", asked)
	}
	r.get("carol", "/logs?query="+query).is(http.StatusOK)
}

func TestTheQueriesOfOneUserWaitForEachOtherAndForNobodyElse(t *testing.T) {
	t.Parallel()
	held, asked := make(chan struct{}), make(chan string, 10)
	store := newStore(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.FormValue("query")
		if r.FormValue("query") == "slow" {
			<-held
		}
		oneLine(w, r)
	})
	r := newReader(t, store.URL)
	var group sync.WaitGroup
	for range runningPerUser {
		group.Go(func() { r.get("alice", "/namespaces/alice/logs?query=slow").is(http.StatusOK) })
		<-asked
	}
	group.Go(func() { r.get("alice", "/namespaces/alice/logs?query=waits").is(http.StatusOK) })
	r.get("bob", "/namespaces/bob/logs?query=bobs").is(http.StatusOK)
	if first := <-asked; first != "bobs" {
		t.Errorf("the store was asked %q first", first)
	}
	close(held)
	group.Wait()
	if last := <-asked; last != "waits" {
		t.Errorf("the store was asked %q last", last)
	}
}

func TestAUserFollowsABoundedNumberOfLogs(t *testing.T) {
	t.Parallel()
	store := newStore(t, following)
	r := newReader(t, store.URL)
	var ends []func()
	for range followsPerUser {
		found, end := r.follow("alice", "/namespaces/alice/logs?watch=true")
		first(t, found)
		ends = append(ends, end)
	}
	got := r.get("alice", "/namespaces/alice/logs?watch=true").is(http.StatusTooManyRequests, "end one, or try again later")
	if got.header.Get("Retry-After") != "30" {
		t.Errorf("%v", got.header)
	}
	r.get("alice", proxyPath+"/select/logsql/tail?query=*").is(http.StatusTooManyRequests)
	r.get("alice", "/namespaces/alice/logs").is(http.StatusOK)
	found, _ := r.follow("bob", "/namespaces/bob/logs?watch=true")
	first(t, found)
	ends[0]()
	eventually(t, "there is room again", func() bool {
		response, err := r.open(r.client, http.MethodGet, "alice", prefix+"/namespaces/alice/logs?watch=true", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

func TestShuttingDownEndsFollowsAndFinishesQueries(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	store := newStore(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/select/logsql/tail" {
			close(arrived)
			<-release
		}
		following(w, r)
	})
	r := newReader(t, store.URL)
	found, _ := r.follow("alice", "/namespaces/alice/logs?watch=true")
	first(t, found)
	query := make(chan answer, 1)
	go func() { query <- r.get("alice", "/namespaces/alice/logs") }()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	ended(t, found)
	eventually(t, "it is not ready", func() bool { return r.probe("/readyz") == http.StatusServiceUnavailable })
	close(release)
	(<-query).is(http.StatusOK, "hello")
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestMetricsAndTheLogSayWhoAskedAndNotWhat(t *testing.T) {
	t.Parallel()
	r := newReader(t, newStore(t, oneLine).URL)
	r.get("alice@example.com", "/namespaces/alice/logs?query=password").is(http.StatusOK)
	r.get("alice@example.com", "/namespaces/gone/logs").is(http.StatusNotFound)
	response, err := http.Get(r.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text := string(must(io.ReadAll(response.Body)))
	for _, want := range []string{
		`journal_reader_requests_total{code="200",method="GET",route="namespaces/logs"} 1`,
		`journal_reader_requests_total{code="404",method="GET",route="namespaces/logs"} 1`,
		`journal_reader_request_duration_seconds_count{route="namespaces/logs"} 2`, "journal_reader_follows 0", "go_goroutines",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if log := r.log.String(); !strings.Contains(log, `"user":"alice@example.com"`) || strings.Contains(log, "password") {
		t.Error(log)
	}
}

func TestEverythingWrongWithTheFlagsIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	args := []string{"--logs-url=log-store:9428", "--metrics-url=http://metric-store:8428/x", "--listen=10250", "--metrics-listen=8080", "more"}
	nothing := func(string) string { return "" }
	if err := run(t.Context(), nil, nothing, io.Discard); err == nil || !strings.Contains(err.Error(), "one of them must be given") {
		t.Errorf("without a store: %v", err)
	}
	err := run(t.Context(), args, nothing, io.Discard)
	if err == nil {
		t.Fatal("it runs")
	}
	for _, want := range []string{
		`argument "more": none is understood; write flags`, `--logs-url "log-store:9428": must be http://host:port and nothing more`,
		`--metrics-url "http://metric-store:8428/x": must be http://host:port`, `--listen "10250": not an address; write host:port or :port`, `--metrics-listen "8080": not an address`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in %v", want, err)
		}
	}
}
