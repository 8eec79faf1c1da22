//go:build e2e

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// metricStore is VictoriaMetrics.
type metricStore struct {
	t       *testing.T
	url     string
	process int
}

// startMetricStore starts the program that VICTORIA_METRICS names, with the bounds that a stack gives it.
func startMetricStore(t *testing.T) *metricStore {
	t.Helper()
	s := &metricStore{t: t}
	s.url, s.process = startProgram(t, "VICTORIA_METRICS", "-retentionPeriod=400d", "-search.latencyOffset=0s", "-memory.allowedBytes=170MiB",
		"-search.maxMemoryPerQuery=8MiB", "-search.maxConcurrentRequests=4", "-search.maxUniqueTimeseries=100000")
	return s
}

// ask asks the store itself, without a fence.
func (s *metricStore) ask(path string, form url.Values) (int, string) {
	s.t.Helper()
	response, err := http.PostForm(s.url+path, form)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode, string(must(io.ReadAll(response.Body)))
}

// write stores samples, each a line of Prometheus with a time, and waits until they can be found.
func (s *metricStore) write(samples ...string) {
	s.t.Helper()
	response, err := http.Post(s.url+"/api/v1/import/prometheus", "text/plain", strings.NewReader(strings.Join(samples, "\n")+"\n"))
	if err != nil {
		s.t.Fatal(err)
	}
	_ = response.Body.Close()
	s.flush()
}

// flush makes what was written be found.
func (s *metricStore) flush() { s.ask("/internal/force_flush", nil) }

// count returns how many series of a selector there ever were.
func (s *metricStore) count(selector string) int {
	s.t.Helper()
	_, text := s.ask("/api/v1/series", url.Values{"match[]": {selector}, "start": {"0"}})
	var answer struct{ Data []any }
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		s.t.Fatalf("%v in %s", err, text)
	}
	return len(answer.Data)
}

// figuresOf returns the samples of a namespace, and of none, for the twelve hours before now. The words and the numbers are the
// namespace's own.
func figuresOf(namespace string, number int, now time.Time) (samples []string) {
	for at := now.Add(-12 * time.Hour); at.Before(now); at = at.Add(5 * time.Minute) {
		minute := int(at.Unix() / 60 % 1000)
		label := ""
		if namespace != "" {
			label = fmt.Sprintf(`namespace=%q,`, namespace)
		}
		for _, sample := range []string{
			fmt.Sprintf(`figure{%spod="canary%s-0",app="api",secret="canary%s"} %d`, label, namespace, namespace, number+minute),
			fmt.Sprintf(`figure{%spod="canary%s-1",app="api",secret="canary%s"} %d`, label, namespace, namespace, number),
			fmt.Sprintf(`same_total{%spod="same",app="api"} %d`, label, number*minute),
			fmt.Sprintf(`only_canary%s{%sapp="api"} %d`, namespace, label, number),
		} {
			samples = append(samples, fmt.Sprintf("%s %d", sample, at.UnixMilli()))
		}
	}
	return samples
}

// fillTwo returns a store with the figures of alice, of bob and of none, and one that has only those of alice.
func fillTwo(t *testing.T, now time.Time) (all, alone *metricStore) {
	t.Helper()
	all, alone = startMetricStore(t), startMetricStore(t)
	alices := figuresOf("alice", 3, now)
	alone.write(alices...)
	all.write(slices.Concat(alices, figuresOf("bob", 7_000_000, now), figuresOf("", 900_000_000, now))...)
	return all, alone
}

// metricEscapes are queries that try to see more than the fence. AT is a moment that has samples.
var metricEscapes = []string{
	`figure`, `{__name__!=""}`, `{__name__=~".+"}`, `{__name__=~"figure|only.*"}`, `{__name__=~"only_.*"}`, `{app="api"}`, `{}`,
	`{namespace="bob"}`, `{namespace=~".*"}`, `{namespace=~"bob|alice"}`, `{namespace!="alice"}`, `{namespace!~"alice"}`, `{namespace=""}`,
	`figure{namespace="bob" or namespace="alice"}`, `{namespace="bob" or pod="same"}`, `{pod="same" or namespace="bob" or namespace=""}`,
	`{__name__="figure" or namespace="bob"}`, `{namespace="bob",namespace="alice"}`, `figure{namespace=~"bob",namespace!="x"}`,
	`{"figure"}`, `{"figure", namespace="bob"}`, `{"namespace"="bob"}`, `{'namespace'="bob", "secret"!=""}`, `{"figure" or "namespace"="bob"}`,
	`figure{namespace="bob"} or figure`, `figure or {namespace="bob"}`, `figure and on() {namespace="bob"}`, `figure unless {namespace="bob"}`,
	`figure default {namespace="bob"}`, `figure if {namespace="bob"}`, `figure ifnot {namespace="bob"}`, `figure == on(app) group_left(secret) same_total`,
	`count(figure) * on() group_left(secret) figure`, `figure * on(app) group_right(pod, secret) sum({namespace="bob"}) by (app)`,
	`same_total + on(app) group_left(secret) max by (app, secret) (figure)`,
	`union(figure, {namespace="bob"})`, `(figure, {namespace="bob"}, {namespace=""})`, `sum(figure)`, `sum by (namespace) (figure)`,
	`sum without (namespace) (figure)`, `count({__name__!=""}) by (__name__)`, `count by (secret) ({__name__!=""})`, `avg(figure, {namespace="bob"})`,
	`count_values("v", figure)`, `count_values("namespace", figure)`, `count_values("v", {namespace="bob"})`, `group(figure) by (pod)`,
	`topk(10, figure)`, `bottomk(10, {__name__!=""})`, `topk_max(5, figure, "rest=x")`, `outliersk(5, figure)`, `limitk(100, {__name__!=""})`,
	`any(figure) by (namespace, pod)`, `quantile(0.9, figure)`, `quantiles("q", 0.1, 0.9, figure)`, `distinct(figure)`, `mode(figure)`, `zscore(figure)`,
	`share(figure)`, `histogram(figure)`, `stddev(figure)`, `sum(figure) by (pod) limit 10`, `outliers_iqr(figure)`, `sum2(figure)`,
	`label_set(figure, "namespace", "bob")`, `label_replace(figure, "namespace", "bob", "namespace", ".*")`, `label_del(figure, "namespace")`,
	`label_replace(figure, "namespace", "$1", "secret", "(.*)") or figure`, `label_copy(figure, "secret", "namespace")`,
	`label_move(figure, "secret", "namespace")`, `label_join(figure, "namespace", "-", "pod", "secret")`, `label_keep(figure, "secret")`,
	`label_match(figure, "namespace", "bob")`, `label_mismatch(figure, "namespace", "alice")`, `label_map(figure, "namespace", "alice", "bob")`,
	`label_value(figure, "pod")`, `label_transform(figure, "namespace", "alice", "bob")`, `label_uppercase(figure, "namespace")`,
	`label_set({namespace="bob"}, "namespace", "alice")`, `labels_equal(figure, "namespace", "secret")`, `alias(figure, "x")`,
	`label_graphite_group(figure, 0)`, `drop_common_labels(figure, {namespace="bob"})`, `sort_by_label(figure, "secret")`,
	`absent(figure{namespace="bob"})`, `absent(figure)`, `absent_over_time({namespace="bob"}[1h])`, `present_over_time({namespace="bob"}[1h])`,
	`scalar(figure{namespace="bob",pod=~".*0"})`, `vector(scalar({__name__=~"only.*"}))`, `figure @ AT`, `figure @ 0`, `{namespace="bob"} @ AT`,
	`{__name__!=""} @ (AT)`, `figure @ start()`, `figure @ end() offset 1h`, `figure @ scalar(max(timestamp({__name__!=""})))`, `figure offset 1h`,
	`figure offset -1h`, `{namespace="bob"} offset 1h`, `sum(figure offset 1h) - sum(figure offset 7d)`, `figure[1h]`, `{namespace="bob"}[1d]`,
	`{__name__!=""}[12h]`, `{__name__!=""}[12h] offset -1h`, `{namespace="bob" or namespace="alice"}[1h]`, `figure[1h:10m]`, `{namespace="bob"}[1h:10m]`,
	`sum({__name__!=""})[2h:10m]`, `max_over_time(figure[1h])`, `max_over_time({__name__!=""}[6h])`, `sum_over_time(figure[6h])`,
	`count_over_time({namespace="bob"}[6h])`, `max_over_time(sum(figure)[1h:10m])`, `min_over_time(max_over_time({__name__!=""}[10m])[1h:5m])`,
	`sum_over_time(({namespace="bob"} or figure)[1h:10m] offset 10m)`, `max_over_time(figure[1h:10m] @ AT)`, `rate(same_total[10m])`,
	`increase({namespace="bob"}[1h])`, `increase(same_total)`, `rollup(figure[1h])`, `rollup_rate(same_total[1h])`, `delta(figure[1h])`,
	`aggr_over_time(("min_over_time", "max_over_time"), {__name__!=""}[1h])`, `quantiles_over_time("q", 0.1, 0.9, figure[1h])`,
	`count_values_over_time("v", figure[1h])`, `histogram_over_time(figure[1h])`, `distinct_over_time(figure[1h])`, `changes(figure[1h])`,
	`last_over_time({__name__!=""}[400d])`, `first_over_time({__name__!=""}[400d])`, `tfirst_over_time({__name__!=""}[400d])`, `timestamp({namespace="bob"})`,
	`default_rollup({__name__!=""}[1d])`, `stale_samples_over_time({__name__!=""}[1d])`, `lifetime({__name__!=""}[1d])`, `scrape_interval(figure[1h])`,
	`hoeffding_bound_upper(0.9, figure[1h])`, `duration_over_time(figure[1h], 10m)`, `keep_last_value({namespace="bob"})`, `interpolate(figure)`,
	`range_sum(figure)`, `running_max({__name__!=""})`, `range_median(figure)`, `smooth_exponential(figure, 0.5)`, `remove_resets(same_total)`,
	`predict_linear(figure[1h], 60)`, `holt_winters(figure[1h], 0.5, 0.5)`, `mad_over_time(figure[1h])`, `outlier_iqr_over_time(figure[1h])`,
	`figure{secret=~"canary.*"}`, `{secret!=""} keep_metric_names`, `abs({namespace="bob"}) keep_metric_names`, `sort_desc({__name__!=""})`,
	"figure # \"\nor {namespace=\"bob\"}", "figure{pod!='#'} or {namespace=`bob`}", `figure} or {namespace="bob"`, `figure) or ({namespace="bob"}`,
	`WITH (x = {namespace="bob"}) x or figure`, `with (f(n) = {namespace=n}) f("bob")`, `{__graphite__="*"}`, `{"__graphite__"="*_*"}`,
	`ttf(figure)`, `ru(figure, {namespace="bob"})`, `{namesp\x61ce="bob"}`, `{"namesp\x61ce"="bob"}`, `{namespace="b\x6fb"}`,
	`sum(sum({namespace="bob"}) by (pod), figure) by (pod)`, `bitmap_and({namespace="bob"}, 255)`, `clamp_min({namespace="bob"}, 1)`,
	`buckets_limit(3, {__name__!=""})`, `prometheus_buckets({__name__!=""})`, `histogram_quantile(0.9, {__name__!=""})`, `step() + figure`,
}

// selectors are those among the queries that series and labels can be asked for.
func selectors() (found []string) {
	for _, query := range metricEscapes {
		if (strings.HasPrefix(query, "{") || strings.HasPrefix(query, "figure{")) && strings.HasSuffix(query, "}") {
			found = append(found, query)
		}
	}
	return append(found, "figure")
}

// sayings returns what is said in an answer, without how the store came to it, and in one order.
func sayings(text string) string {
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return text
	}
	var list []any
	if json.Unmarshal(answer.Data, &list) != nil {
		var vector struct {
			ResultType string
			Result     []any
		}
		if json.Unmarshal(answer.Data, &vector) != nil {
			return text
		}
		list = vector.Result
	}
	var lines []string
	for _, item := range list {
		lines = append(lines, string(must(json.Marshal(item))))
	}
	slices.Sort(lines)
	return answer.Status + answer.Error + "\n" + strings.Join(lines, "\n")
}

// way is one way to ask.
type way struct {
	path string
	form url.Values
}

// metricWays are all ways to ask for all of the queries.
func metricWays(now time.Time) (ways []way) {
	moment := func(back time.Duration) string { return now.Add(-back).UTC().Format(time.RFC3339) }
	for _, query := range metricEscapes {
		query = strings.ReplaceAll(query, "AT", fmt.Sprint(now.Add(-time.Hour).Unix()))
		ways = append(ways,
			way{"/api/v1/query", url.Values{"query": {query}, "time": {moment(10 * time.Minute)}}},
			way{"/api/v1/query_range", url.Values{"query": {query}, "start": {moment(3 * time.Hour)}, "end": {moment(time.Hour)}, "step": {"10m"}}},
			way{"/api/v1/query_range", url.Values{
				"query": {query}, "start": {moment(2 * time.Hour)}, "end": {moment(0)}, "step": {"600"}, "nocache": {"1"},
			}},
		)
	}
	for _, selector := range append(selectors(), "") {
		for _, path := range []string{
			"series", "labels", "label/__name__/values", "label/namespace/values", "label/pod/values", "label/secret/values",
			"label/U__secret/values", "label/__graphite__/values", "label/nothing/values",
		} {
			for _, start := range []string{"", "0", moment(24 * time.Hour), moment(100 * 24 * time.Hour)} {
				form := url.Values{}
				if selector != "" {
					form.Set("match[]", selector)
				}
				if start != "" {
					form.Set("start", start)
					form.Set("end", moment(-time.Minute))
				}
				ways = append(ways, way{"/api/v1/" + path, form})
			}
		}
	}
	return ways
}

// othersFigures matches the labels and the values of bob and of the platform. A value is a whole number, not digits of a fraction.
var othersFigures = regexp.MustCompile(`canarybob|canary-0|canary"|(?:^|[^0-9.])(?:7000000|900000000)`)

func TestNoQueryOfMetricsEscapesTheFence(t *testing.T) {
	now := time.Now().Truncate(time.Minute)
	all, alone := fillTwo(t, now)
	r := newMetricsReader(t, all.url)
	const page = "/namespaces/alice/metrics/ui/proxy"
	answered, refused, unfenced, shown, empty := 0, 0, map[string]bool{}, 0, 0
	for i, way := range metricWays(now) {
		var got answer
		path := page + way.path
		if i%2 == 0 {
			path = page + "/prometheus" + way.path
		}
		if i%3 == 0 {
			got = r.post("user"+fmt.Sprint(i%7), path, way.form)
		} else {
			got = r.get("user"+fmt.Sprint(i%7), path+"?"+way.form.Encode())
		}
		if word := othersFigures.FindString(got.body); word != "" {
			t.Errorf("%v: %s in %s", way, word, got.body)
		}
		if got.status == http.StatusBadRequest {
			refused++
			continue
		}
		got.is(http.StatusOK)
		answered++
		_, want := alone.ask(way.path, way.form)
		if sayings(got.body) != sayings(want) {
			t.Errorf("%v: alice is told\n%s\nand her figures alone are\n%s", way, got.body, want)
		}
		_, without := all.ask(way.path, way.form)
		if sayings(without) != sayings(want) {
			unfenced[way.path+way.form.Get("query")+way.form.Get("match[]")] = true
		}
		if othersFigures.MatchString(without) {
			shown++
		}
		if !strings.Contains(want, "alice") {
			empty++
		}
	}
	t.Logf("%d answers, %d refusals; %d of them tell of others without the fence, %d by name or value; %d say nothing of alice",
		answered, refused, len(unfenced), shown, empty)
	if answered < 1000 || len(unfenced) < 300 || shown < 100 {
		t.Error("the queries try nothing")
	}
}

func TestOnesFiguresNeverComeFromTheCacheOfAnothers(t *testing.T) {
	now := time.Now().Truncate(time.Minute)
	all, alone := fillTwo(t, now)
	r := newMetricsReader(t, all.url)
	users := []string{"/namespaces/alice/metrics", "/namespaces/bob/metrics", "/metrics"}
	for i, query := range []string{
		`figure`, `sum(figure)`, `max_over_time(figure[1h])`, `sum(rate(same_total[1h]))`, `sum_over_time(figure[6h])`, `sum(count_over_time(figure[6h]))`,
		`max_over_time(figure[8h])`, `avg_over_time(same_total[6h])`, `{namespace="bob"}`, `sum(increase(same_total[4h])) by (app)`,
	} {
		for _, more := range []url.Values{
			{"start": {fmt.Sprint(now.Add(-8 * time.Hour).Unix())}, "end": {fmt.Sprint(now.Add(-time.Hour).Unix())}, "step": {"5m"}},
			{"time": {fmt.Sprint(now.Unix())}},
		} {
			more.Set("query", query)
			if more.Has("time") {
				more.Set("time", fmt.Sprint(now.Add(time.Second).Unix())) // what is near to now is made of what is cached
			}
			first := slices.Concat(users[i%3:], users[:i%3])
			var told []string
			for range 3 { // each after each other
				for _, path := range slices.Concat(first, []string{first[2], first[1], first[0]}) {
					got := r.get("somebody", path+"?"+more.Encode()).is(http.StatusOK)
					if path == users[0] {
						told = append(told, sayings(got.body))
					}
				}
			}
			path := "/api/v1/query_range"
			if more.Has("time") {
				path = "/api/v1/query"
			}
			_, want := alone.ask(path, more)
			for _, got := range told {
				if got != sayings(want) {
					t.Errorf("%s: alice is told\n%s\nand her figures alone are\n%s", query, got, sayings(want))
				}
			}
		}
	}
}

// lastDay is a query for what there was in a day.
const lastDay = "last_over_time(figure[1d])"

// replace deletes the namespace alice, and makes one of the name now.
func (r *reader) replace(uid string) *metav1.PartialObjectMetadata {
	r.t.Helper()
	again := namespace("alice", uid, "alice")
	again.CreationTimestamp = metav1.NewTime(time.Now().Truncate(time.Second))
	if err := r.names.Tracker().Update(namespaceResource, again, ""); err != nil {
		r.t.Fatal(err)
	}
	return again
}

// newSettlingReader has namespaces that settle within seconds.
func newSettlingReader(t *testing.T, store string, settle time.Duration) *reader {
	t.Helper()
	return startReader(t, "", &reader{metricStore: store, settle: settle, queryTimeout: queryTimeout, followTimeout: followTimeout})
}

func TestANameThatIsTakenAgainShowsNothingOfBefore(t *testing.T) {
	const settle = 4 * time.Second
	now := time.Now().Truncate(time.Minute)
	store := startMetricStore(t)
	former := figuresOf("alice", 7_000_000, now)
	store.write(slices.Concat(former, figuresOf("bob", 3, now))...)
	month := now.Add(-30 * 24 * time.Hour).UnixMilli()
	store.write(fmt.Sprintf(`figure{namespace="alice",pod="canaryold"} 7000000 %d`, month))
	others := store.count(`{namespace="bob"}`)
	r, second := newSettlingReader(t, store.url, settle), newSettlingReader(t, store.url, settle)
	ways := metricWays(now)
	const page = "/namespaces/alice/metrics/ui/proxy"
	for _, way := range ways { // the earlier owner fills the store's caches
		r.get("former", page+way.path+"?"+way.form.Encode())
	}
	r.get("former", "/namespaces/alice/metrics?query="+lastDay).is(http.StatusOK, "canaryalice")

	again := r.replace("9")
	if err := second.names.Tracker().Update(namespaceResource, again, ""); err != nil {
		t.Fatal(err)
	}
	store.write(fmt.Sprintf(`figure{namespace="alice",pod="canarylate"} 7000000 %d`, time.Now().UnixMilli())) // of a scrape under way
	for _, r := range []*reader{r, second} {
		r.get("alice", "/namespaces/alice/metrics?query="+lastDay).is(http.StatusServiceUnavailable, "of the name alice was deleted", "are there, in ")
		r.get("bob", "/namespaces/bob/metrics?query="+lastDay).is(http.StatusOK, "canarybob")
	}
	time.Sleep(time.Until(again.CreationTimestamp.Add(settle + 100*time.Millisecond)))
	answers := make(chan answer, 2)
	for _, r := range []*reader{r, second} { // at once
		go func() { answers <- r.get("alice", "/namespaces/alice/metrics?query="+lastDay) }()
	}
	for range 2 {
		if got := (<-answers).is(http.StatusOK); strings.Contains(got.body, "canary") {
			t.Errorf("alice is told %s", got.body)
		}
	}
	told := 0
	for i, way := range ways {
		got := []*reader{r, second}[i%2].get("alice", page+way.path+"?"+way.form.Encode())
		if got.status == http.StatusBadRequest {
			continue
		}
		got.is(http.StatusOK)
		told++
		if strings.Contains(got.body, "canary") || strings.Contains(got.body, "7000") {
			t.Errorf("%v: alice is told %s", way, got.body)
		}
	}
	if left := store.count(`{namespace="alice"}`); left != 0 || told < 1000 {
		t.Errorf("%d series are left; %d answers", left, told)
	}
	if left := store.count(`{namespace="bob"}`); left != others || others == 0 {
		t.Errorf("%d series of bob are left, of %d", left, others)
	}

	// What the new namespace writes from now on is there, also where the former wrote the same series.
	at := time.Now().Add(-time.Second) // a query without a time is of the second that has begun
	store.write(fmt.Sprintf(`figure{namespace="alice",pod="canaryalice-0",app="api",secret="canaryalice"} 5 %d`, at.UnixMilli()),
		fmt.Sprintf(`figure{namespace="alice",pod="new"} 6 %d`, at.UnixMilli()))
	for _, r := range []*reader{r, second} {
		got := r.get("alice", "/namespaces/alice/metrics?query="+url.QueryEscape(`count_over_time(figure[400d])`)).is(http.StatusOK, "new")
		if strings.Count(got.body, `"1"]`) != 2 {
			t.Errorf("alice is told %s", got.body)
		}
	}
	// A reader that has just started knows nothing of all this, and says the same.
	third := newSettlingReader(t, store.url, settle)
	if err := third.names.Tracker().Update(namespaceResource, again, ""); err != nil {
		t.Fatal(err)
	}
	third.get("alice", "/namespaces/alice/metrics?query="+lastDay).is(http.StatusOK, `"new"`)
	if left := store.count(`{namespace="alice"}`); left != 2 {
		t.Errorf("%d series of the new namespace are left", left)
	}
}

func TestANameThatIsTakenAgainIsCleanedWithoutAReader(t *testing.T) {
	store := startMetricStore(t)
	now := time.Now()
	store.write(figuresOf("alice", 7_000_000, now.Truncate(time.Minute))...)
	r := newSettlingReader(t, store.url, 2*time.Second)
	if store.count(`{namespace="alice"}`) != 4 {
		t.Fatal("no series")
	}
	r.replace("9")
	eventually(t, "the series are gone", func() bool { return store.count(`{namespace="alice"}`) == 0 })
	eventually(t, "it is in the log", func() bool {
		return strings.Contains(r.log.String(), "the name of the namespace was used before: its series are deleted")
	})
}

func TestNoQueryTakesTheStoresMemory(t *testing.T) {
	const bound = 512 << 10 // KiB: the memory of the store's pod
	now := time.Now().Truncate(time.Minute)
	store := startMetricStore(t)
	var samples []string
	for pod := range 500 {
		for minute := range 288 {
			samples = append(samples, fmt.Sprintf(`figure{namespace="alice",pod="p%d",text=%q} %d.%d %d`, pod, strings.Repeat("x", 1000), pod, minute*7919%1000,
				now.Add(-time.Duration(minute)*5*time.Minute).UnixMilli()))
		}
	}
	store.write(samples...)
	r := newMetricsReader(t, store.url)
	many := func(n int, format string) string {
		var parts []string
		for i := range n {
			parts = append(parts, strings.ReplaceAll(format, "N", fmt.Sprint(i+1)))
		}
		return strings.Join(parts, ",")
	}
	for name, query := range map[string]string{
		"sums": strings.ReplaceAll(many(16, "rate(figure[1h])"), ",", "+"), "union": "union(" + many(10, "figure offset Nm") + ")",
		"plus": strings.ReplaceAll(many(32, "figure"), ",", "+"), "quantiles": "quantiles('q'," + many(28, "0.0N") + ",figure)",
		"aggregates": "aggr_over_time((" + many(29, "'max_over_time'") + "),figure[1h])",
		"set":        "label_set(figure,'a','" + strings.Repeat("x", 4000) + "')",
		"replace":    "label_replace(label_replace(figure,'a','$0$0','text','.*'),'a','$0$0','a','.*')",
		"long label": "label_uppercase(label_replace(label_set(figure,'a','" + strings.Repeat("ɐ", 1900) + "'),'a','$0$0$0$0','a','.*'),'a')",
		"copies":     "union(" + many(6, "label_set(figure,'a','N')") + ")",
		"subquery":   "max_over_time(figure[1h:10s])", "subqueries": "max_over_time(max_over_time(figure[1d:1m])[1d:1m])",
		"sum of subqueries": "max_over_time(sum(figure)[6h:10s])", "candles": "rollup_candlestick(figure[1h])",
		"numbers": "max_over_time(max_over_time(max_over_time((time())[6h:10s])[6h:10s])[6h:10s])", "histogram": "histogram(figure) by (pod)",
		"all": "{__name__!=''}[1d]", "cross": "figure * on(namespace) group_left() sum(figure) by (namespace)",
		"deep": strings.Repeat("abs(", 31) + "figure" + strings.Repeat(")", 31), "parens": strings.Repeat("(", 2000) + "figure" + strings.Repeat(")", 2000),
		"regular": "figure{pod=~'" + strings.Repeat("(p.*)+x?", 400) + "'}", "labels": "count({pod!~'a|b'}) by (pod, text)",
	} {
		for _, points := range []string{"1", "100", "900"} {
			form := url.Values{"query": {query}}
			if points != "1" {
				form.Set("start", fmt.Sprint(now.Add(-24*time.Hour).Unix()))
				form.Set("end", fmt.Sprint(now.Unix()))
				form.Set("step", map[string]string{"100": "864", "900": "96"}[points])
			}
			start := time.Now()
			response, err := r.open(r.client, http.MethodGet, "alice", prefix+"/namespaces/alice/metrics?"+form.Encode(), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			text, cut := io.ReadAll(response.Body)
			_ = response.Body.Close()
			took, peak := time.Since(start), store.peak()
			t.Logf("%s at %s: %d, %d KiB, cut: %t, %s, %d MiB", name, points, response.StatusCode, len(text)>>10, cut != nil, took.Round(time.Millisecond), peak>>10)
			if response.StatusCode != http.StatusOK && !strings.Contains(string(text), "the metric store refuses") {
				t.Errorf("%s at %s: %s", name, points, text)
			}
			if response.StatusCode == http.StatusServiceUnavailable || took > queryTimeout || peak > bound {
				t.Errorf("%s at %s points: %s, and %d KiB of memory", name, points, took, peak)
			}
		}
	}
}

// peak returns the most memory that the store has used since the last call, in KiB.
func (s *metricStore) peak() (kib int) {
	s.t.Helper()
	folder := fmt.Sprintf("/proc/%d/", s.process)
	for line := range strings.Lines(string(must(os.ReadFile(folder + "status")))) {
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			break
		}
	}
	if err := os.WriteFile(folder+"clear_refs", []byte("5"), 0); err != nil {
		s.t.Fatal(err)
	}
	return kib
}

func TestThePageOfTheMetricStoreIsServed(t *testing.T) {
	store := startMetricStore(t)
	r := newMetricsReader(t, store.url)
	page := r.get("alice", metricsPage+"/vmui/").is(http.StatusOK, "VictoriaMetrics")
	if policy := page.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'self';") {
		t.Errorf("the page may do anything: %q", policy)
	}
	files := regexp.MustCompile(`(?:src|href)="\./([^"]+)"`).FindAllStringSubmatch(page.body, -1)
	if len(files) < 6 {
		t.Errorf("files of the page: %v", files)
	}
	for _, file := range files {
		if got := r.get("alice", metricsPage+"/vmui/"+file[1]).is(http.StatusOK); got.body == "" {
			t.Errorf("%s is empty", file[1])
		}
	}
	for path, says := range map[string]string{
		"/vmui/config.json": "license", "/vmui/custom-dashboards": "dashboardsSettings", "/vmui/timezone": "timezone",
		"/prettify-query?query=sum(up)": "success",
	} {
		r.get("alice", metricsPage+"/prometheus"+path).is(http.StatusOK, says) // where the page asks
	}
	got := r.get("alice", metricsPage+"/prometheus/api/v1/query?query=sum(").is(http.StatusBadRequest, "the metric store refuses the query: ")
	if !strings.Contains(got.body, `"errorType":"BadRequest"`) {
		t.Error(got.body)
	}
}
