package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/journal/services/internal/observe/observetest"
)

var now = time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)

// cluster is an API server with a reader of metrics behind it, as far as this program knows them.
type cluster struct {
	observetest.Record
	// results are the series that each query gives, by namespace; those of all namespaces are below "".
	results map[string][]series
	// refusals are the answers of namespaces that are not read.
	refusals map[string]int
	// served are the resources of the API group: metrics, if it is nil.
	served []string
	// kind is the type of the results: vector, if it is empty.
	kind string
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.Add(r)
	server := observetest.Server{Served: []string{"metrics"}, Refusals: c.refusals, Read: func(w http.ResponseWriter, r *http.Request, namespace, _ string) {
		kind, found := c.kind, []series{}
		if kind == "" {
			kind = "vector"
		}
		for _, s := range c.results[namespace] { // each half of the summary gives its own figures
			if figure := s.Metric[figureLabel]; figure == "" || strings.Contains(r.FormValue("query"), strconv.Quote(figure)) {
				found = append(found, s)
			}
		}
		observetest.Answer(w, http.StatusOK, map[string]any{"status": "success", "data": map[string]any{"resultType": kind, "result": found}})
	}}
	for name := range c.results {
		server.Namespaces = append(server.Namespaces, name)
	}
	if c.served != nil {
		server.Served = c.served
	}
	server.ServeHTTP(w, r)
}

// sample is a series with labels given as names and values.
func sample(number float64, labels ...string) series {
	s := series{Metric: map[string]string{}, Value: value{json.Number("1769846400.123"), strconv.FormatFloat(number, 'f', -1, 64)}}
	for i := 0; i < len(labels); i += 2 {
		s.Metric[labels[i]] = labels[i+1]
	}
	return s
}

// everything is what the summary gives of a namespace in which all figures are there.
func everything(namespace string) []series {
	return []series{
		sample(0.1234, "figure", "cpu", "namespace", namespace),
		sample(100<<20, "figure", "memory", "namespace", namespace),
		sample(90, "figure", "quota", "resource", "requests.cpu", "namespace", namespace),
		sample(99.9, "figure", "quota", "resource", "requests.memory", "namespace", namespace),
		sample(0, "figure", "quota", "resource", "pods", "namespace", namespace),
		sample(95.2, "figure", "volume", "persistentvolumeclaim", "data-1", "namespace", namespace),
		sample(2, "figure", "restarts", "namespace", namespace),
		sample(5000, "figure", "dropped", "namespace", namespace),
		sample(float64(now.Add(3*time.Hour).Unix()), "figure", "end", "namespace", namespace),
	}
}

// firing is an alert in the summary.
func firing(name, namespace string, labels ...string) series {
	return sample(1, append(labels, "__name__", "ALERTS", "figure", "alert", "alertname", name, "alertstate", "firing", "alertgroup", "tenants",
		"severity", "warning", "namespace", namespace)...)
}

// typed runs the program with arguments until it ends.
func typed(t *testing.T, c http.Handler, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, log observetest.Terminal
	err = execute(t.Context(), observetest.Kubeconfig(t, c), &out, &log, args...)
	return out.String(), log.String(), err
}

func execute(ctx context.Context, kubeconfig string, stdout, stderr *observetest.Terminal, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	program := commandAt(func() time.Time { return now }, "figures", stdout, stderr)
	program.SetArgs(append(args, "--kubeconfig", kubeconfig))
	return program.ExecuteContext(ctx)
}

// words are the lines of a table, with one space between its cells.
func words(table string) (lines []string) {
	for line := range strings.Lines(table) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

func TestATenantsNamespacesAreOneTableWithTheAlertsBelow(t *testing.T) {
	t.Parallel()
	c := &cluster{results: map[string][]series{
		"team-a":       append(everything("team-a"), firing("QuotaNearlyFull", "team-a", "resource", "requests.cpu"), firing("Other", "team-a")),
		"claim-team-a": {},
		"bob":          everything("bob"),
	}}
	stdout, stderr, err := typed(t, c, "--tenant", "team-a")
	if err != nil || stderr != "" {
		t.Errorf("%v, %s", err, stderr)
	}
	want := []string{
		"NAMESPACE CPU CPU QUOTA MEMORY MEMORY QUOTA POD QUOTA FULLEST VOLUME RESTARTS DROPPED CLAIM ENDS",
		"claim-team-a - - - - - - - - -",
		"team-a 124m 90% 100Mi 99% 0% 95% data-1 2 5000 in 3h",
		"",
		"NAMESPACE ALERT SEVERITY ABOUT MEANING",
		"team-a Other warning - -",
		"team-a QuotaNearlyFull warning resource=requests.cpu " + meanings["QuotaNearlyFull"],
	}
	if got := words(stdout); !slices.Equal(got, want) {
		t.Errorf("shown are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestANamespaceIsAskedTwiceAndAsItsCaller(t *testing.T) {
	t.Parallel()
	c := &cluster{results: map[string][]series{"alice": everything("alice")}}
	if _, _, err := typed(t, c); err != nil {
		t.Fatal(err)
	}
	if asked := c.Queries("/namespaces/alice/metrics"); len(asked) != 2 || len(asked[0]) != 1 || asked[0].Get("query") != summary[0] || asked[1].Get("query") != summary[1] || len(c.Asked()) != 2 {
		t.Errorf("it was asked %v", asked)
	}
	if credential := c.Asked()[0].Header.Get("Authorization"); credential != "Bearer of-alice" {
		t.Errorf("it was asked as %q", credential)
	}
}

func TestWhatMayNotBeReadIsSaidAndIsAnErrorOnlyIfItIsAll(t *testing.T) {
	t.Parallel()
	c := &cluster{results: map[string][]series{"team-a": everything("team-a"), "claim-team-a": {}}, refusals: map[string]int{"claim-team-a": http.StatusForbidden}}
	stdout, stderr, err := typed(t, c, "--tenant", "team-a")
	if err != nil || strings.Contains(stdout, "claim-team-a") || !strings.Contains(stderr, "left out: claim-team-a: you may not list metrics.observe.journal.example.com there") {
		t.Errorf("%v, %s%s", err, stdout, stderr)
	}
	c.refusals["team-a"] = http.StatusForbidden
	if stdout, _, err = typed(t, c, "--tenant", "team-a"); err == nil || stdout != "" || !strings.Contains(err.Error(), "ask team-a@example.com") {
		t.Errorf("nothing may be read: %v, %s", err, stdout)
	}
}

func TestAllNamespacesAreThoseOfTheFigures(t *testing.T) {
	t.Parallel()
	c := &cluster{results: map[string][]series{"": append(everything("bob"), everything("alice")...)}}
	stdout, stderr, err := typed(t, c, "--all-namespaces")
	lines := words(stdout)
	if err != nil || stderr != "" || len(lines) != 3 || !strings.HasPrefix(lines[1], "alice 124m") || !strings.HasPrefix(lines[2], "bob 124m") {
		t.Errorf("%v, %s%s", err, stdout, stderr)
	}
	if asked := c.Queries(observetest.Below + "/metrics"); len(asked) != 2 {
		t.Errorf("they were asked %d times", len(asked))
	}
}

func TestNoFigureIsMadeUp(t *testing.T) {
	t.Parallel()
	c := &cluster{}
	stdout, stderr, err := typed(t, c)
	if err != nil || words(stdout)[1] != "alice - - - - - - - - -" || !strings.Contains(stderr, "no figure yet") {
		t.Errorf("%v, %s%s", err, stdout, stderr)
	}
	stdout, _, err = typed(t, c, "-o", "json")
	if err != nil || stdout != `{"namespace":"alice"}`+"\n" {
		t.Errorf("%v, %s", err, stdout)
	}
	c.results = map[string][]series{"alice": {sample(0, "figure", "cpu"), sample(0, "figure", "dropped"), sample(float64(now.Add(-time.Hour).Unix()), "figure", "end")}}
	c.results["alice"] = append(c.results["alice"], series{Metric: map[string]string{"figure": "memory"}, Value: value{"1", "NaN"}}, series{Metric: map[string]string{"figure": "restarts"}, Value: value{"1", "+Inf"}})
	if stdout, _, err = typed(t, c); err != nil || words(stdout)[1] != "alice 0m - - - - - - 0 now" {
		t.Errorf("%v, %s", err, stdout)
	}
}

func TestFiguresAsJSONHaveTheirUnits(t *testing.T) {
	t.Parallel()
	c := &cluster{results: map[string][]series{"alice": append(everything("alice"), firing("VolumeNearlyFull", "alice", "persistentvolumeclaim", "data-1"))}}
	stdout, _, err := typed(t, c, "--output", "json")
	want := `{"namespace":"alice","cpuCores":0.1234,"memoryBytes":104857600,"quotaPercent":{"pods":0,"requests.cpu":90,"requests.memory":99.9},` +
		`"fullestVolume":{"claim":"data-1","percent":95.2},"restarts":2,"droppedLines":5000,"claimEnd":"2026-01-31T11:00:00Z",` +
		`"alerts":[{"alert":"VolumeNearlyFull","severity":"warning","labels":{"persistentvolumeclaim":"data-1"},"meaning":"` + meanings["VolumeNearlyFull"] + `"}]}` + "\n"
	if err != nil || stdout != want {
		t.Errorf("%v, shown is\n%swant\n%s", err, stdout, want)
	}
}

func TestAQueryGivesATableOfLabelsAndValues(t *testing.T) {
	t.Parallel()
	c := &cluster{results: map[string][]series{
		"team-a":       {sample(1.5, "__name__", "up", "pod", "api-0"), sample(2, "code", "200")},
		"claim-team-a": {sample(3)},
	}}
	stdout, _, err := typed(t, c, "--tenant", "team-a", "--query", "up")
	want := []string{"namespace __name__ code pod value", "claim-team-a - - - 3", "team-a up - api-0 1.5", "team-a - 200 - 2"}
	if got := words(stdout); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, shown are\n%s\nwant\n%s", err, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if asked := c.Queries("/namespaces/team-a/metrics"); len(asked) != 1 || asked[0].Get("query") != "up" {
		t.Errorf("it was asked %v", asked)
	}
	stdout, _, err = typed(t, c, "--namespace", "team-a", "--query", "up", "-o", "json")
	want = []string{
		`{"metric":{"__name__":"up","namespace":"team-a","pod":"api-0"},"value":[1769846400.123,"1.5"]}`,
		`{"metric":{"code":"200","namespace":"team-a"},"value":[1769846400.123,"2"]}`,
	}
	if got := words(stdout); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, shown are\n%s\nwant\n%s", err, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if stdout, stderr, err := typed(t, &cluster{}, "--query", "up"); err != nil || stdout != "" || !strings.Contains(stderr, "gives no series now") {
		t.Errorf("%v, %s%s", err, stdout, stderr)
	}
}

func TestNoCharacterOfALabelReachesTheTerminalUnseen(t *testing.T) {
	t.Parallel()
	const text = "a\x1b[2Jb\rc\u009bd\u202ee\nf\tg"
	c := &cluster{results: map[string][]series{"alice": {sample(1, "pod", text), firing("A"+text, "alice", "pod", text)}}}
	for _, args := range [][]string{{"--query", "up"}, {"--query", "up", "-o", "json"}, nil, {"-o", "json"}} {
		stdout, _, err := typed(t, c, args...)
		if err != nil || strings.ContainsAny(stdout, "\x1b\r\u009b\u202e\t") || !strings.Contains(stdout, "[2Jb") {
			t.Errorf("%v: %v, shown is %q", args, err, stdout)
		}
		for line := range strings.Lines(stdout) {
			if strings.HasPrefix(line, "f") {
				t.Errorf("%v: a label begins a line: %q", args, stdout)
			}
		}
	}
}

func TestARefusalSaysWhyAndWhatToDo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cluster *cluster
		args    []string
		says    []string
	}{
		"no right": {&cluster{results: map[string][]series{"bob": nil}, refusals: map[string]int{"bob": 403}}, []string{"-n", "bob"},
			[]string{"bob: you may not list metrics.observe.journal.example.com there", "says the server", "ask bob@example.com to make you a member"}},
		"no right to all": {&cluster{refusals: map[string]int{"": 403}}, []string{"-A"},
			[]string{"all namespaces: you may not list metrics.observe.journal.example.com", "journal:reader.platform"}},
		"no right to the page": {&cluster{results: map[string][]series{"bob": nil}, refusals: map[string]int{"bob": 403}}, []string{"-n", "bob", "--web"},
			[]string{"you may not get metrics/proxy.observe.journal.example.com there"}},
		"a namespace that is gone":            {&cluster{refusals: map[string]int{"claim-x": 403}}, []string{"-n", "claim-x"}, []string{`namespace "claim-x": there is none`, "figures end with their namespace"}},
		"no figures in this cluster":          {&cluster{served: []string{"logs"}}, nil, []string{"this cluster keeps no metrics", "journal:metrics and journal:reader"}},
		"no API group":                        {&cluster{served: []string{}}, nil, []string{"this cluster keeps no metrics"}},
		"no figures for a tenant, said once":  {&cluster{served: []string{}, results: map[string][]series{"team-a": nil, "claim-team-a": nil}}, []string{"--tenant", "team-a"}, []string{"this cluster keeps no metrics"}},
		"no tenant":                           {&cluster{}, []string{"--tenant", "nobody"}, []string{`tenant "nobody": no namespace has the label`}},
		"too many":                            {&cluster{refusals: map[string]int{"alice": 429}}, nil, []string{"alice: too many requests at once", "end another query or page of yours, and try again"}},
		"no credential":                       {&cluster{refusals: map[string]int{"alice": 401}}, nil, []string{"does not accept your credential"}},
		"no reader":                           {&cluster{refusals: map[string]int{"alice": 503}}, nil, []string{"the metrics cannot be read now", "kubectl get apiservice"}},
		"a bad query":                         {&cluster{refusals: map[string]int{"alice": 400}}, []string{"--query", "("}, []string{"alice: says the server"}},
		"a range":                             {&cluster{kind: "matrix"}, []string{"--query", "up[1h]"}, []string{`--query "up[1h]": gives a matrix`, "last_over_time"}},
		"an argument":                         {&cluster{}, []string{"up"}, []string{`argument "up"`, "a query as --query"}},
		"two places":                          {&cluster{}, []string{"-A", "-n", "bob"}, []string{"--all-namespaces, --namespace: each says which namespaces to read"}},
		"the page of all namespaces, as JSON": {&cluster{}, []string{"--web", "-A", "-o", "json"}, []string{"the page shows one namespace", "the page has its own"}},
		"another form":                        {&cluster{}, []string{"-o", "yaml"}, []string{`--output "yaml": must be one of table, json`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, _, err := typed(t, test.cluster, test.args...)
			if err == nil || stdout != "" {
				t.Fatalf("%v, %s", err, stdout)
			}
			for _, part := range test.says {
				if strings.Count(err.Error(), part) != 1 {
					t.Errorf("says %q, and not once %q", err, part)
				}
			}
		})
	}
}

func TestAnErrorInBetweenShowsWhatWasRead(t *testing.T) {
	t.Parallel()
	c := &cluster{results: map[string][]series{"team-a": nil, "claim-team-a": everything("claim-team-a")}, refusals: map[string]int{"team-a": http.StatusServiceUnavailable}}
	stdout, _, err := typed(t, c, "--tenant", "team-a")
	if err == nil || !strings.Contains(stdout, "claim-team-a   124m") || strings.Contains(stdout, "\nteam-a") {
		t.Errorf("%v, %s", err, stdout)
	}
}

func TestTheLinkLeadsToTheDashboardsOrToAQuery(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{"": "/vmui/#/dashboards\n", "rate(a[5m]) + b": "/vmui/#/?g0.expr=rate%28a%5B5m%5D%29+%2B+b\n"} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			c := &cluster{results: map[string][]series{"team-a": nil}}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			var stdout, stderr observetest.Terminal
			kubeconfig := observetest.Kubeconfig(t, c)
			go func() {
				ended <- execute(ctx, kubeconfig, &stdout, &stderr, "--web", "--tenant", "team-a", "--query", query)
			}()
			stderr.Until(t, "the page of namespace team-a")
			if !strings.HasSuffix(stdout.String(), want) {
				t.Errorf("the link is %q, not to %q", &stdout, want)
			}
			probes := c.Queries("/namespaces/team-a/metrics/ui/proxy/prometheus/api/v1/query")
			if len(probes) != 1 || fmt.Sprint(probes[0]) != "map[query:[1]]" {
				t.Errorf("the right to read was looked for with %v", probes)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("an interrupted page is an error: %v", err)
			}
		})
	}
}

func TestTheHelpNamesTheProgramAsItIsTyped(t *testing.T) {
	t.Parallel()
	var stdout, stderr observetest.Terminal
	c := command("kubectl journal-figures", &stdout, &stderr)
	c.SetArgs([]string{"--help"})
	if err := c.Execute(); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"\n  kubectl journal-figures [flags]\n", "  kubectl journal-figures --tenant team-a"} {
		if !strings.Contains(stdout.String(), part) {
			t.Errorf("the help has no %q:\n%s", part, &stdout)
		}
	}
}
