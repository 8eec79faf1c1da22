package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const metricsPage = "/namespaces/alice/metrics/ui/proxy"

// noFigures is what a metric store says that has none.
const noFigures = `{"status":"success","data":{"resultType":"vector","result":[]}}`

// metricAnswers is a metric store that has samples of the namespaces whose name was another's.
type metricAnswers struct {
	mu sync.Mutex
	// former are the names that were used before.
	former map[string]bool
	// status is that of what the reader asks for itself, if it is not 0. It may be hangUp.
	status int
}

// hangUp is the status of a store that ends the connection instead of an answer.
const hangUp = -1

func (m *metricAnswers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	namespace := strings.TrimSuffix(strings.TrimPrefix(r.FormValue("match[]"), `{namespace="`), `"}`)
	own := r.URL.Path == "/api/v1/export" || r.URL.Path == "/api/v1/admin/tsdb/delete_series"
	switch {
	case own && m.status == hangUp:
		panic(http.ErrAbortHandler)
	case own && m.status != 0:
		http.Error(w, "it cannot", m.status)
	case r.URL.Path == "/api/v1/export" && m.former[namespace]:
		_, _ = fmt.Fprintln(w, `{"metric":{"__name__":"x"},"values":[1],"timestamps":[1]}`)
	case r.URL.Path == "/api/v1/admin/tsdb/delete_series":
		delete(m.former, namespace)
		w.WriteHeader(http.StatusNoContent)
	case !own:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		_, _ = io.WriteString(w, noFigures)
	}
}

func (m *metricAnswers) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

// asks returns what the store was asked for callers, and what for the reader itself.
func asks(all []asked) (callers, own []asked) {
	for _, a := range all {
		if a.path == "/api/v1/export" || a.path == "/api/v1/admin/tsdb/delete_series" {
			own = append(own, a)
		} else {
			callers = append(callers, a)
		}
	}
	return callers, own
}

func newMetricsPair(t *testing.T) (*reader, *pretendedStore, *metricAnswers) {
	t.Helper()
	answers := &metricAnswers{former: map[string]bool{}}
	store := newStore(t, answers.ServeHTTP)
	return newMetricsReader(t, store.URL), store, answers
}

func TestAQueryOfMetricsReachesTheStoreWithItsFenceAndNothingElseOfTheCaller(t *testing.T) {
	t.Parallel()
	r, store, _ := newMetricsPair(t)
	header := http.Header{
		"Authorization": {"Bearer x"}, "Cookie": {"a=b"}, "X-Remote-Group": {"g"}, "X-Forwarded-For": {"1.2.3.4"},
		"X-Prometheus-Scrape-Timeout-Seconds": {"1"}, "Accept": {"application/json"},
	}
	for path, want := range map[string]asked{
		"/namespaces/alice/metrics?query=up&timeout=1h": {path: "/api/v1/query", rawQuery: "extra_label=namespace%3Dalice",
			form: url.Values{"query": {"up"}, "extra_label": {"namespace=alice"}, "timeout": {"30s"}}},
		"/namespaces/bob/metrics?query=up&time=1770000000.5": {path: "/api/v1/query", rawQuery: "extra_label=namespace%3Dbob",
			form: url.Values{"query": {"up"}, "time": {"1770000000.5"}, "extra_label": {"namespace=bob"}, "timeout": {"30s"}}},
		"/namespaces/alice/metrics?query=up&start=2026-01-31T12:00:00Z&end=2026-01-31T13:00:00Z": {
			path: "/api/v1/query_range", rawQuery: "extra_label=namespace%3Dalice",
			form: url.Values{
				"query": {"up"}, "start": {"2026-01-31T12:00:00Z"}, "end": {"2026-01-31T13:00:00Z"}, "step": {"36s"},
				"extra_label": {"namespace=alice"}, "timeout": {"30s"},
			}},
		"/metrics?query=up": {path: "/api/v1/query", form: url.Values{"query": {"up"}, "timeout": {"30s"}}},
	} {
		got := r.do(r.client, http.MethodGet, "alice", prefix+path, "", header).is(http.StatusOK, noFigures)
		if got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v", got.header)
		}
		asked, _ := asks(store.taken())
		if len(asked) != 1 || asked[0].method != "POST" || asked[0].path != want.path || asked[0].rawQuery != want.rawQuery ||
			asked[0].form.Encode() != want.form.Encode() {
			t.Errorf("%s: %+v", path, asked)
			continue
		}
		for name := range asked[0].header {
			if !slices.Contains([]string{"Accept", "User-Agent", "Content-Type", "Content-Length"}, name) {
				t.Errorf("the store got %s", name)
			}
		}
	}
}

func TestParametersOfMetricsThatBreakARuleAreNamed(t *testing.T) {
	t.Parallel()
	r, store, _ := newMetricsPair(t)
	for query, message := range map[string]string{
		"":                                                `parameter "query": must be given`,
		"query=":                                          `parameter "query": must be given`,
		"query=up&extra_label=x":                          `parameter "extra_label": must be one of end, query, start, step, time, timeout`,
		"query=up&extra_filters[]=x":                      `parameter "extra_filters[]"`,
		"query=up&query=down":                             `parameter "query": must be given once`,
		"query=up&watch=true":                             `parameter "watch"`,
		"query=up&watch=false":                            `parameter "watch"`,
		"query=up&claimed=x":                              `parameter "claimed"`,
		"query=up&time=yesterday":                         `time "yesterday": must be a time in RFC 3339, such as 2026-01-31T12:00:00Z, or in seconds since 1970`,
		"query=up&time=-1":                                `time "-1": must be`,
		"query=up&time=NaN":                               `time "NaN": must be`,
		"query=up&time=1e300":                             `time "1e300": must be`,
		"query=up&time=9999-01-01T00:00:00Z":              `must be a time`,
		"query=up&end=1":                                  `parameter "start": must be given`,
		"query=up&step=1":                                 `parameter "start": must be given`,
		"query=up&time=1&start=1":                         "leave out time",
		"query=up&start=2&end=1":                          `end "1": must not be before start`,
		"query=up&start=1&end=2&step=0":                   `step "0": must be a duration from 1ms to 10000d, or a number of seconds`,
		"query=up&start=1&end=2&step=-1s":                 `step "-1s": must be`,
		"query=up&start=1&end=2&step=Inf":                 `step "Inf": must be`,
		"query=up&start=0&end=1700000000&step=1":          `must be at least 236h6m40.001s, so that there are at most 2000 points`,
		"query=up&start=1700000000&end=1700002001&step=1": `step "1": must be at least`,
		`query=ru(up,up)`:                                 `must be without ru, which can take all of the store's memory`,
	} {
		r.get("alice", "/namespaces/alice/metrics?"+query).is(http.StatusBadRequest, message)
	}
	r.get("alice", "/namespaces/gone/metrics?query=up").is(http.StatusNotFound, `"gone" not found`)
	r.get("alice", "/namespaces/alice/logs?query=up").is(http.StatusNotFound, "there is nothing at this path")
	if asked := store.taken(); len(asked) > 0 {
		t.Errorf("the store was asked: %v", asked)
	}
	r.get("alice", "/namespaces/alice/metrics?query=up&start=1700000000&end=1700002000&step=1").is(http.StatusOK)
}

func TestWhatTakesAllOfTheStoresMemoryIsRefused(t *testing.T) {
	t.Parallel()
	many := func(n int, part string) string { return strings.TrimSuffix(strings.Repeat(part, n), ",") }
	for query, refused := range map[string]string{
		"up": "", `up{a="with (x"}`: "", "up{a='ru('} # ttf(\n+ 1": "", "sum(rate(x[5m])) by (a)": "", `{a="\\", b="c"}`: "",
		`label_replace(up, "a", "$1", "b", "(\\d+)")`: "", "max_over_time(ru[5m])": "", "with + ru": "", "x{a=`\\`}": "", `x{a="é"}`: "",
		"WITH (x = up) x": "without with", "with(x = up) x": "without with", "1 + wItH\v(x = up) x": "without with",
		"with # (\n(x = up) x": "without with", "with #a\n#b\n (x=up) x": "without with", "ru(a, b)": "without ru", "ttf (a)": "without ttf",
		"ru\n(a, b)": "without ru", `"a" + ru(a, b)`: "without ru", `"\"" + ru(a, b)`: "without ru", `'\'' + ru(a, "'")`: "without ru",
		"`\\`` + ru(a, b)": "without ru", `"#" + ru(a, b)`: "without ru", `count_values("a", b)`: "without count_values",
		"histogram_over_time(a[1h])": "without histogram_over_time", `label_transform(a, "b", ".", "c")`: "without label_transform",
		`r\u(a, b)`: "backslashes", `\x72u(a, b)`: "backslashes", `a\"ru(a, b)`: "backslashes", `foo\-bar`: "backslashes",
		`{__graphite__="a.*"}`: "__graphite__", `{"__graphite__"="a.*"}`: "__graphite__",
		"a" + many(31, "+a"): "", "a" + many(32, "+a"): "32 names", "union(" + many(31, "{},") + ")": "", "union(" + many(32, "{},") + ")": "32 names", "union(" + many(32, "a,") + ")": "32 names",
		"union(" + many(32, `{a="b"},`) + ")": "32 names", `quantiles("a",` + many(32, "0.1,") + "b)": "32 names", many(33, "ä+") + "a": "32 names",
		"a[1h:1m] + b{c='d',e='f'}" + many(28, "*2") + " + sum by (a,b,c) (d) + on(e, f) group_left(g, h) i": "32 names",
		"a[1h:1m] + b{c='d',e='f'}" + many(27, "*2") + " + sum by (a,b,c) (d) + on(e, f) group_left(g, h) i": "",
		many(3, `label_replace(a, "b", "c", "d", "e") + `) + "a":                                             "2 times at most",
		`label_replace(a, "b", "` + many(5, "$1") + `", "c", ".*")`:                                          "$ 4 times", `label_replace(a, "b", "` + many(4, "$1") + `", "c", ".*")`: "",
		"quantiles_over_time('q', 0.1, a[1h])": "without quantiles_over_time", "quantile_over_time(0.1, a[1h])": "",
		`limit_offset(1, "a", b)`: "without limit_offset", `label_join(a, "b", "c", "d")`: "without label_join", "label_graphite_group(a, 0, 0)": "without label_graphite_group",
		many(maxExpression/2, "a ") + "a": "4096 bytes",
	} {
		got := expression(query)
		if (got == "") != (refused == "") || !strings.Contains(got, refused) {
			t.Errorf("%s: %q", query, got)
		}
	}
	r, store, _ := newMetricsPair(t)
	bomb := "x"
	for range 20 {
		bomb = "ru(y," + bomb + ")"
	}
	for _, path := range []string{
		"/namespaces/alice/metrics?query=", "/metrics?query=", metricsPage + "/api/v1/query?query=", metricsPage + "/prettify-query?query=",
		metricsPage + "/api/v1/query_range?start=1&end=2&query=", metricsPage + "/api/v1/series?match[]=", metricsPage + "/api/v1/labels?match[]=",
		metricsPage + "/api/v1/label/a/values?match[]=",
	} {
		r.get("alice", path+url.QueryEscape(bomb)).is(http.StatusBadRequest, "write out what it stands for")
	}
	if asked := store.taken(); len(asked) > 0 {
		t.Errorf("the store was asked: %v", asked)
	}
}

func TestThePageOfMetricsAsksForWhatItNeedsAndForNothingElse(t *testing.T) {
	t.Parallel()
	r, store, _ := newMetricsPair(t)
	for path, query := range map[string]string{
		"/api/v1/query":       "query=up&time=1770000000.25&step=15s&nocache=1",
		"/api/v1/query_range": "query=up&start=1770000000.25&end=1770000300.25&step=1m12s&nocache=1",
		"/api/v1/series":      "match[]=up&start=1770000000&end=1770000300&limit=5", "/api/v1/labels": "limit=1000&start=1&end=2",
		"/api/v1/label/__name__/values": "match[]=%7Ba%3D%22b%22%7D&limit=1000", "/api/v1/label/job/values": "start=1&end=2",
		"/prettify-query": "query=up",
	} {
		for _, path := range []string{path, "/prometheus" + path} {
			r.get("alice", metricsPage+path+"?"+query).is(http.StatusOK)
			fromGet, _ := asks(store.taken())
			r.post("alice", metricsPage+path, must(url.ParseQuery(query))).is(http.StatusOK)
			fromPost, _ := asks(store.taken())
			if len(fromGet) != 1 || len(fromPost) != 1 || fromGet[0].form.Encode() != fromPost[0].form.Encode() ||
				fromGet[0].path != strings.TrimPrefix(path, "/prometheus") || fromGet[0].rawQuery != "extra_label=namespace%3Dalice" {
				t.Errorf("%s: %+v %+v", path, fromGet, fromPost)
			}
			for _, extra := range []string{
				"extra_label", "extra_filters", "extra_filters[]", "match", "reduce_mem_usage", "latency_offset", "max_lookback", "round_digits",
				"optimize_repeated_binary_op_subexprs", "filter", "format", "authKey",
			} {
				r.get("alice", metricsPage+path+"?"+query+"&"+url.QueryEscape(extra)+"=x").is(http.StatusBadRequest, `parameter "`+extra+`": must be one of`)
				r.post("alice", metricsPage+path+"?"+query, url.Values{extra: {"x"}}).is(http.StatusBadRequest, `parameter "`+extra+`"`)
			}
		}
	}
	r.get("alice", metricsPage+"/api/v1/query?query=up&trace=1").is(http.StatusBadRequest, "trace")
	r.get("alice", metricsPage+"/api/v1/query_range?query=up&start=1&end=2000000000&step=1").is(http.StatusBadRequest, "2000 points")
	r.post("alice", metricsPage+"/api/v1/query?query=up", url.Values{"query": {"down"}}).is(http.StatusBadRequest, "given once")
	for _, path := range []string{
		"/vmui/", "/vmui/config.json", "/vmui/favicon.svg", "/vmui/assets/index-D5egN2id.js", "/vmui/assets/MetricsQL-CQAtdgI6.md",
		"/vmui/dashboards/index.js", "/vmui/custom-dashboards", "/vmui/timezone", "/prometheus/vmui/custom-dashboards", "/prometheus/vmui/config.json",
	} {
		r.get("alice", metricsPage+path+"?extra_label=x").is(http.StatusOK)
		asked, _ := asks(store.taken())
		if len(asked) != 1 || asked[0].method != "GET" || asked[0].path != strings.TrimPrefix(path, "/prometheus") || len(asked[0].form) > 0 {
			t.Errorf("%+v", asked)
		}
	}
	for _, path := range []string{
		"/api/v1/export", "/api/v1/export/csv", "/api/v1/export/native", "/federate", "/api/v1/series/count", "/api/v1/status/tsdb",
		"/api/v1/status/active_queries", "/api/v1/status/top_queries", "/api/v1/status/metric_names_stats", "/api/v1/metadata",
		"/api/v1/query_exemplars", "/api/v1/admin/tsdb/delete_series", "/api/v1/admin/tsdb/snapshot", "/internal/resetRollupResultCache",
		"/internal/force_flush", "/internal/force_merge", "/api/v1/rules", "/api/v1/alerts", "/api/v1/notifiers", "/rules", "/alerts",
		"/vmalert/", "/vmalert/api/v1/rules", "/api/v1/write", "/api/v1/import", "/api/v1/import/prometheus", "/write", "/api/v1/targets",
		"/targets", "/service-discovery", "/config", "/api/v1/status/config", "/-/reload", "/flags", "/metrics", "/debug/pprof/", "/health", "/snapshot/create",
		"/expand-with-exprs", "/metric-relabel-debug", "/target-relabel-debug", "/api/v1/read", "/graphite/render", "/render", "/tags/delSeries", "/tags",
		"/metrics/find", "/metrics/index.json", "/functions", "/prometheus", "/prometheus/prometheus/api/v1/query", "/graph/", "/vmui", "/vmui/index.html",
		"/vmui/assets/", "/vmui/assets/a/b", "/vmui/.js", "/vmui/dashboards/", "/api/v1/label/values", "/api/v1/label/a.b/values", "/api/v1/label/a/values/",
		"/api/v1/label/__name__/values/x", "/api/v1/query/", "/api/v1/Query", "/datadog/api/v1/series", "/influx/write", "/opentelemetry/v1/metrics",
		"/select/logsql/query",
	} {
		for _, prefixed := range []string{path, "/prometheus" + path} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				got := r.do(r.client, method, "alice", prefix+metricsPage+prefixed, "match[]=up&query=up", nil)
				if got.status != http.StatusNotFound && got.status != http.StatusBadRequest {
					t.Errorf("%s %s: %d", method, prefixed, got.status)
				}
			}
		}
	}
	query := metricsPage + "/api/v1/query"
	r.do(r.client, http.MethodPost, "alice", prefix+query, "x", http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}).
		is(http.StatusBadRequest, "application/x-www-form-urlencoded")
	r.post("alice", metricsPage+"/vmui/", nil).is(http.StatusNotFound)
	if asked, _ := asks(store.taken()); len(asked) > 0 {
		t.Errorf("the store was asked: %v", asked)
	}
}

func TestAStoreThatIsMissingIsNotServed(t *testing.T) {
	t.Parallel()
	r, _, _ := newMetricsPair(t)
	if got := r.get("system:kube-aggregator", "").is(http.StatusOK, `"name":"metrics"`, `"name":"metrics/proxy"`); strings.Contains(got.body, "logs") {
		t.Error(got.body)
	}
	r.get("alice", "/namespaces/alice/logs").is(http.StatusNotFound, "there is nothing at this path")
	logs := newReader(t, newStore(t, oneLine).URL)
	if got := logs.get("system:kube-aggregator", "").is(http.StatusOK, `"name":"logs"`); strings.Contains(got.body, "metrics") {
		t.Error(got.body)
	}
	for _, path := range []string{"/namespaces/alice/metrics?query=up", "/metrics?query=up", metricsPage + "/vmui/"} {
		logs.get("alice", path).is(http.StatusNotFound, "there is nothing at this path")
	}
	both := startReader(t, newStore(t, oneLine).URL, &reader{
		queryTimeout: queryTimeout, followTimeout: followTimeout, metricStore: newStore(t, (&metricAnswers{}).ServeHTTP).URL, settle: settleTime,
	})
	both.get("alice", "/namespaces/alice/logs").is(http.StatusOK, "hello")
	both.get("alice", "/namespaces/alice/metrics?query=up").is(http.StatusOK, noFigures)
	both.get("system:kube-aggregator", "").is(http.StatusOK, `"name":"logs"`, `"name":"metrics"`)
}

func TestWhatTheMetricStoreSaysIsShownAsItsPageExpectsIt(t *testing.T) {
	t.Parallel()
	var status int
	store := newStore(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/export" {
			return
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"status":"error","errorType":"%d","error":"cannot parse at %s"}`, status, r.Host)
	})
	r := newMetricsReader(t, store.URL)
	for _, c := range []struct{ store, status int }{{422, 400}, {400, 400}, {429, 429}, {503, 503}, {500, 503}, {404, 404}, {204, 503}} {
		status = c.store
		got := r.get("alice", "/namespaces/alice/metrics?query=up").is(c.status)
		if strings.Contains(got.body, strings.TrimPrefix(store.URL, "http://")) {
			t.Error(got.body)
		}
		if c.store == 422 && !strings.Contains(got.body, `"error":"the metric store refuses the query: cannot parse at the metric store","errorType":"BadRequest"`) {
			t.Error(got.body)
		}
	}
}

func TestAnAnswerOfMetricsHasABound(t *testing.T) {
	t.Parallel()
	var size int
	store := newStore(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/export" {
			return
		}
		if r.FormValue("query") == "told" {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		part := make([]byte, 1<<20)
		for left := size; left > 0; left -= len(part) {
			if _, err := w.Write(part[:min(left, len(part))]); err != nil {
				return
			}
		}
	})
	r := newMetricsReader(t, store.URL)
	for _, query := range []string{"told", "not"} {
		size = maxMetricsAnswer
		if got := r.get("alice", "/namespaces/alice/metrics?query="+query).is(http.StatusOK); len(got.body) != size {
			t.Errorf("%s: %d bytes", query, len(got.body))
		}
	}
	size++
	r.get("alice", "/namespaces/alice/metrics?query=told").is(http.StatusBadRequest, "the answer has more than 32 MiB")
	response, err := r.open(r.client, http.MethodGet, "alice", prefix+"/namespaces/alice/metrics?query=not", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if n, err := io.Copy(io.Discard, response.Body); err == nil {
		t.Errorf("whole: %d bytes", n)
	}
}

func TestANamespaceIsServedWhenTheStoreHasNothingFromBeforeIt(t *testing.T) {
	t.Parallel()
	r, store, answers := newMetricsPair(t)
	for range 3 {
		r.get("alice", "/namespaces/alice/metrics?query=up").is(http.StatusOK)
	}
	_, own := asks(store.taken())
	if len(own) != 1 || own[0].path != "/api/v1/export" || own[0].form.Get("match[]") != `{namespace="alice"}` ||
		own[0].form.Get("end") != fmt.Sprint(created.Add(-clockSkew).Unix()) || own[0].form.Get("start") != "0" || own[0].form.Has("extra_label") {
		t.Errorf("%+v", own)
	}
	answers.set(func() { answers.former["bob"], answers.former["platform"] = true, true })
	r.get("bob", "/namespaces/bob/metrics?query=up").is(http.StatusOK)
	callers, own := asks(store.taken())
	if len(own) != 3 || own[1].path != "/api/v1/admin/tsdb/delete_series" || own[1].form.Encode() != selector("bob").Encode() || len(callers) != 1 {
		t.Errorf("%+v", own)
	}
	if answers.former["bob"] || !answers.former["platform"] {
		t.Errorf("%v", answers.former)
	}
	r.get("bob", "/metrics?query=up").is(http.StatusOK) // who sees everything needs no fence
	if _, own := asks(store.taken()); len(own) > 0 {
		t.Errorf("%+v", own)
	}
}

func TestANamespaceIsNotServedWhileItIsNotKnownWhoseItsSeriesAre(t *testing.T) {
	t.Parallel()
	r, store, answers := newMetricsPair(t)
	answers.set(func() { answers.status = http.StatusInternalServerError })
	for _, path := range []string{"/namespaces/alice/metrics?query=up", metricsPage + "/api/v1/labels"} {
		r.get("alice", path).is(http.StatusServiceUnavailable, "the metric store does not answer")
	}
	if callers, _ := asks(store.taken()); len(callers) > 0 {
		t.Errorf("the store was asked: %v", callers)
	}
	answers.set(func() { answers.status, answers.former["alice"] = 0, true })
	young := namespace("alice", "9", "alice")
	young.CreationTimestamp = metav1.NewTime(time.Now().Add(-settleTime / 2))
	if err := r.names.Tracker().Update(namespaceResource, young, ""); err != nil {
		t.Fatal(err)
	}
	got := r.get("alice", "/namespaces/alice/metrics?query=up").is(http.StatusServiceUnavailable, "a namespace of the name alice was deleted")
	if seconds := got.header.Get("Retry-After"); seconds != "" {
		t.Errorf("Retry-After %q: programs wait for it without a word", seconds)
	}
	callers, own := asks(store.taken())
	if len(callers) > 0 || len(own) != 1 || !answers.former["alice"] {
		t.Errorf("%v %v", callers, own)
	}
	// A name that was nobody's is served at once, and looked at again: what is from before may be on its way.
	answers.set(func() { answers.former["alice"] = false })
	r.get("alice", "/namespaces/alice/metrics?query=up").is(http.StatusOK)
	answers.set(func() { answers.former["alice"] = true })
	r.get("alice", "/namespaces/alice/metrics?query=up").is(http.StatusServiceUnavailable)
	store.Close()
	r.get("alice", "/namespaces/alice/metrics?query=up").is(http.StatusServiceUnavailable, "the metric store does not answer")
	if r.probe("/readyz") != http.StatusOK {
		t.Error("it is not ready because of the store")
	}
}

func TestAnOutageOfTheStoreIsOneLineInTheLogAndItsEndAnother(t *testing.T) {
	t.Parallel()
	for how, status := range map[string]int{"it answers that it cannot": http.StatusServiceUnavailable, "it ends the connection": hangUp} {
		r, _, answers := newMetricsPair(t)
		read := func(namespace string, status int) {
			t.Helper()
			r.get("alice", "/namespaces/"+namespace+"/metrics?query=up").is(status)
		}
		logged := func(away, back int) {
			t.Helper()
			text := r.log.String()
			if strings.Count(text, "the metric store is away: no namespace") != away || strings.Count(text, `"the metric store is back"`) != back ||
				strings.Contains(text, "is not known\"") {
				t.Errorf("%s: not %d beginnings and %d ends:\n%s", how, away, back, text)
			}
		}
		answers.set(func() { answers.status = status })
		for _, namespace := range []string{"alice", "bob", "platform", "alice"} {
			read(namespace, http.StatusServiceUnavailable)
		}
		logged(1, 0)
		answers.set(func() { answers.status = 0 })
		read("alice", http.StatusOK)
		read("bob", http.StatusOK)
		logged(1, 1)
		answers.set(func() { answers.status = status })
		read("platform", http.StatusServiceUnavailable)
		read("alice-claim", http.StatusServiceUnavailable)
		logged(2, 1)
	}
}

func TestANameThatIsReplacedIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	r, store, answers := newMetricsPair(t)
	r.get("alice", "/namespaces/alice/metrics?query=up").is(http.StatusOK)
	answers.set(func() { answers.former["alice"], answers.former["alice-claim"] = true, true })
	replaced := namespace("alice", "9", "alice")
	replaced.CreationTimestamp = metav1.NewTime(created.Add(time.Hour))
	if err := r.names.Tracker().Update(namespaceResource, replaced, ""); err != nil {
		t.Fatal(err)
	}
	store.taken()
	for path, begin := range map[string]time.Time{
		"/namespaces/alice/metrics":       created.Add(time.Hour),
		"/namespaces/alice-claim/metrics": created.Add(time.Hour), // it is older than the home namespace of its tenant
	} {
		r.get("alice", path+"?query=up").is(http.StatusOK)
		if _, own := asks(store.taken()); len(own) != 3 || own[0].form.Get("end") != fmt.Sprint(begin.Add(-clockSkew).Unix()) {
			t.Errorf("%s: %+v", path, own)
		}
	}
}

func TestAFenceOfMetricsWithoutANameOrAUIDIsNone(t *testing.T) {
	t.Parallel()
	_, store, _ := newMetricsPair(t)
	metrics := newVictoriaMetrics(must(url.Parse(store.URL)), nil, settleTime)
	for _, sees := range []fence{{}, {namespace: "alice", created: created}, {namespace: "alice", uid: "1"}, {uid: "1", created: created}} {
		w := &statusRecorder{seen: &request{}}
		r := must(http.NewRequest(http.MethodGet, "http://reader/", nil))
		if err := metrics.ask(w, r, "/api/v1/query", url.Values{"query": {"up"}}, sees); err == nil {
			t.Errorf("%+v is answered", sees)
		}
	}
	if asked := store.taken(); len(asked) > 0 {
		t.Errorf("the store was asked: %v", asked)
	}
}
