package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/journal/services/internal/observe/observetest"
)

// cluster is an API server with a reader of logs behind it, as far as this program knows them.
type cluster struct {
	observetest.Record
	// lines are the store's objects, by namespace.
	lines map[string][]string
	// refusals are the answers of namespaces that are not read.
	refusals map[string]int
	// live are what streams send after the lines that are there, by namespace. A stream ends with its channel.
	live map[string]chan string
	// off is a cluster without the API group, and figuresOnly is one whose API group has no logs.
	off, figuresOnly bool
}

// line is an object as the store writes it.
func line(at, namespace, pod, text string) string {
	encoded, _ := json.Marshal(map[string]string{"_time": at, "_msg": text, "_stream_id": "1", "k8s.namespace.name": namespace, "k8s.pod.name": pod, "k8s.container.name": "main"})
	return string(encoded)
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.Add(r)
	server := observetest.Server{Namespaces: slices.Collect(maps.Keys(c.lines)), Served: []string{"logs"}, Refusals: c.refusals, Read: c.read}
	if c.figuresOnly {
		server.Served = []string{"metrics"}
	} else if c.off {
		server.Served = nil
	}
	server.ServeHTTP(w, r)
}

func (c *cluster) read(w http.ResponseWriter, r *http.Request, namespace, rest string) {
	switch {
	case namespace == "":
		for _, name := range slices.Sorted(maps.Keys(c.lines)) {
			send(w, c.lines[name])
		}
	case rest == "logs" && r.URL.Query().Get("watch") == "true":
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		for text := range c.live[namespace] {
			send(w, []string{text})
			w.(http.Flusher).Flush()
		}
	default:
		send(w, c.lines[namespace])
	}
}

func send(w http.ResponseWriter, lines []string) {
	for _, text := range lines {
		fmt.Fprintln(w, text)
	}
}

// typed runs the program with arguments until it ends.
func typed(t *testing.T, c *cluster, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, log observetest.Terminal
	err = execute(t.Context(), observetest.Kubeconfig(t, c), &out, &log, args...)
	return out.String(), log.String(), err
}

func execute(ctx context.Context, kubeconfig string, stdout, stderr *observetest.Terminal, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	program := command("logs", stdout, stderr)
	program.SetArgs(append(args, "--kubeconfig", kubeconfig))
	return program.ExecuteContext(ctx)
}

const morning = "2026-01-31T08:00:0"

func TestLinesOfTheContextsNamespaceAreShownAsText(t *testing.T) {
	t.Parallel()
	c := &cluster{lines: map[string][]string{"alice": {line(morning+"2.5Z", "alice", "api-0", "second"), line(morning+"1Z", "alice", "api-1", "first")}}}
	stdout, stderr, err := typed(t, c)
	if err != nil || stderr != "" {
		t.Errorf("%v, %s", err, stderr)
	}
	if want := "2026-01-31T08:00:01.000Z api-1/main first\n2026-01-31T08:00:02.500Z api-0/main second\n"; stdout != want {
		t.Errorf("shown are\n%swant\n%s", stdout, want)
	}
	for _, r := range c.Asked() {
		if r.Header.Get("Authorization") != "Bearer of-alice" {
			t.Errorf("%s is asked as %q", r.URL.Path, r.Header.Get("Authorization"))
		}
	}
}

func TestEachFlagIsAskedOfTheReader(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want url.Values
		path string
	}{
		"no flag":                              {nil, url.Values{"query": {"*"}, "limit": {"1000"}}, "/namespaces/alice/logs"},
		"a pod and its parts":                  {[]string{"--pod", "api-0", "--app", "api", "-c", "main"}, url.Values{"query": {`"k8s.pod.name":="api-0" "k8s.container.name":="main" "app":="api"`}}, "/namespaces/alice/logs"},
		"a text with the language in it":       {[]string{"--grep", `" or * | delete "`}, url.Values{"query": {`_msg:*"\" or * | delete \""*`}}, "/namespaces/alice/logs"},
		"a query":                              {[]string{"--query", "error or warn"}, url.Values{"query": {"error or warn"}}, "/namespaces/alice/logs"},
		"a window":                             {[]string{"--since", "2026-01-31T08:00:00Z", "--until", "2026-01-31T09:00:00+00:00"}, url.Values{"start": {"2026-01-31T08:00:00Z"}, "end": {"2026-01-31T09:00:00Z"}}, "/namespaces/alice/logs"},
		"a namespace":                          {[]string{"-n", "bob", "--limit", "7"}, url.Values{"limit": {"7"}}, "/namespaces/bob/logs"},
		"a namespace that is gone":             {[]string{"--claimed", "claim-x"}, url.Values{"claimed": {"claim-x"}}, "/namespaces/alice/logs"},
		"a namespace of a tenant that is gone": {[]string{"--tenant", "team-a", "--claimed", "claim-x"}, url.Values{"claimed": {"claim-x"}}, "/namespaces/team-a/logs"},
		"all namespaces":                       {[]string{"-A"}, url.Values{"query": {"*"}}, observetest.Below + "/logs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &cluster{}
			if _, stderr, err := typed(t, c, test.args...); err != nil || !strings.Contains(stderr, "no line in this window") {
				t.Fatalf("%v, %s", err, stderr)
			}
			asked := c.Queries(test.path)
			if len(asked) != 1 {
				t.Fatalf("%s is asked %d times", test.path, len(asked))
			}
			for key, value := range test.want {
				if !slices.Equal(asked[0][key], value) {
					t.Errorf("%s is %q, want %q", key, asked[0][key], value)
				}
			}
			for key := range asked[0] { // the reader refuses every other parameter
				if !slices.Contains([]string{"query", "start", "end", "limit", "claimed"}, key) {
					t.Errorf("there is also %s", key)
				}
			}
		})
	}
}

func TestATenantsNamespacesAreOneListAndARefusalIsSaid(t *testing.T) {
	t.Parallel()
	c := &cluster{lines: map[string][]string{
		"team-a":       {line(morning+"3Z", "team-a", "api-0", "third"), line(morning+"1Z", "team-a", "api-0", "first")},
		"claim-team-a": {line(morning+"2Z", "claim-team-a", "redis-0", "second")},
		"bob":          {line(morning+"2Z", "bob", "api-0", "canary")},
	}}
	stdout, _, err := typed(t, c, "--tenant", "team-a")
	want := "2026-01-31T08:00:01.000Z team-a/api-0/main first\n2026-01-31T08:00:02.000Z claim-team-a/redis-0/main second\n2026-01-31T08:00:03.000Z team-a/api-0/main third\n"
	if err != nil || stdout != want {
		t.Errorf("%v, shown are\n%swant\n%s", err, stdout, want)
	}

	c.refusals = map[string]int{"claim-team-a": http.StatusForbidden}
	stdout, stderr, err := typed(t, c, "--tenant", "team-a")
	if err != nil || strings.Count(stdout, "\n") != 2 || !strings.Contains(stderr, "left out: claim-team-a: you may not list logs.observe.journal.example.com there") {
		t.Errorf("%v, %s%s", err, stdout, stderr)
	}
	c.refusals["team-a"] = http.StatusForbidden
	if stdout, _, err = typed(t, c, "--tenant", "team-a"); err == nil || stdout != "" || !strings.Contains(err.Error(), "ask team-a@example.com") {
		t.Errorf("nothing may be read: %v, %s", err, stdout)
	}
	if _, _, err = typed(t, c, "--tenant", "nobody"); err == nil || !strings.Contains(err.Error(), `tenant "nobody": no namespace has the label`) {
		t.Errorf("%v", err)
	}
}

func TestOnlyTheNewestLinesAreShownAndThatIsSaid(t *testing.T) {
	t.Parallel()
	c := &cluster{lines: map[string][]string{
		"team-a":       {line(morning+"4Z", "team-a", "api-0", "fourth"), line(morning+"3Z", "team-a", "api-0", "third")},
		"claim-team-a": {line(morning+"2Z", "claim-team-a", "api-0", "second")},
	}}
	stdout, stderr, err := typed(t, c, "--tenant", "team-a", "--limit", "2")
	if err != nil || strings.Contains(stdout, "second") || strings.Count(stdout, "\n") != 2 || !strings.Contains(stderr, "team-a: only the newest 2 lines") {
		t.Errorf("%v, %s%s", err, stdout, stderr)
	}
}

func TestNoCharacterOfALineReachesTheTerminalUnseen(t *testing.T) {
	t.Parallel()
	// Escape sequences, a carriage return, C1 controls, an override of the direction, a tag beyond 16 bits, and what is harmless.
	const text = "a\x1b[2Jb\rc\u009bd\u202ee\U000e0041f\x7fg\nh\ti ä 日 \\ \" end"
	c := &cluster{lines: map[string][]string{"alice": {line(morning+"1Z", "alice", "api-0\x1b[31m", text)}}}
	stdout, _, err := typed(t, c)
	if want := `2026-01-31T08:00:01.000Z api-0\x1b[31m/main a\x1b[2Jb\rc\u009bd\u202ee\U000e0041f\x7fg\nh` + "\ti ä 日 \\ \" end\n"; err != nil || stdout != want {
		t.Errorf("%v, shown is\n%swant\n%s", err, stdout, want)
	}

	stdout, _, err = typed(t, c, "--output", "json")
	if err != nil || strings.ContainsAny(strings.TrimSuffix(stdout, "\n"), "\x1b\r\u009b\u202e\U000e0041\x7f\n") {
		t.Errorf("%v, shown is %q", err, stdout)
	}
	var object struct {
		Text string `json:"_msg"`
	}
	if err := json.Unmarshal([]byte(stdout), &object); err != nil || object.Text != text {
		t.Errorf("%v, the object says %q, want %q", err, object.Text, text)
	}
}

func TestResultsOfAQueryThatAreNoLinesAreShownInItsOrder(t *testing.T) {
	t.Parallel()
	c := &cluster{lines: map[string][]string{"alice": {`{"level":"error","count":"3"}`, `{"level":"debug","count":"1","_time":"x"}`}}}
	stdout, _, err := typed(t, c, "--query", "* | stats by (level) count()")
	if want := strings.Join(c.lines["alice"], "\n") + "\n"; err != nil || stdout != want {
		t.Errorf("%v, shown are\n%s", err, stdout)
	}
}

func TestAnAnswerThatBreaksOffIsAnError(t *testing.T) {
	t.Parallel()
	c := &cluster{lines: map[string][]string{"alice": {line(morning+"1Z", "alice", "api-0", "whole"), `{"_msg":"ha`}}}
	if _, _, err := typed(t, c); err == nil || !strings.Contains(err.Error(), "alice: ") {
		t.Errorf("%v", err)
	}
}

func TestARefusalSaysWhyAndWhatToDo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cluster *cluster
		args    []string
		says    []string
	}{
		"no right": {&cluster{lines: map[string][]string{"bob": nil}, refusals: map[string]int{"bob": 403}}, []string{"-n", "bob"},
			[]string{"bob: you may not list logs.observe.journal.example.com there", "says the server", "ask bob@example.com to make you a member"}},
		"no right to the page": {&cluster{lines: map[string][]string{"bob": nil}, refusals: map[string]int{"bob": 403}}, []string{"-n", "bob", "--web"},
			[]string{"you may not get logs/proxy.observe.journal.example.com there"}},
		"a namespace that is gone": {&cluster{refusals: map[string]int{"claim-x": 403}}, []string{"-n", "claim-x"},
			[]string{`namespace "claim-x": there is none`, "--tenant TENANT --claimed claim-x"}},
		"logs are off":       {&cluster{off: true}, nil, []string{"this cluster keeps no logs", "journal:logs"}},
		"logs alone are off": {&cluster{figuresOnly: true}, nil, []string{"this cluster keeps no logs", "journal:logs"}},
		"logs are off for a tenant, said once": {&cluster{off: true, lines: map[string][]string{"team-a": nil, "claim-team-a": nil}}, []string{"--tenant", "team-a"},
			[]string{"this cluster keeps no logs"}},
		"too many":         {&cluster{refusals: map[string]int{"alice": 429}}, nil, []string{"alice: too many requests at once", "try again"}},
		"no credential":    {&cluster{refusals: map[string]int{"alice": 401}}, nil, []string{"does not accept your credential", "onboard"}},
		"no reader":        {&cluster{refusals: map[string]int{"alice": 503}}, nil, []string{"the logs cannot be read now", "kubectl get apiservice"}},
		"a bad query":      {&cluster{refusals: map[string]int{"alice": 400}}, []string{"--query", "("}, []string{"alice: says the server"}},
		"no namespace":     {&cluster{}, []string{"-n", ".."}, []string{"may not be '..'"}},
		"an argument":      {&cluster{}, []string{"api-0"}, []string{`argument "api-0"`, "--pod"}},
		"two places":       {&cluster{}, []string{"-A", "-n", "bob"}, []string{"--all-namespaces, --namespace: each says which namespaces to read"}},
		"a query and more": {&cluster{}, []string{"--query", "x", "--pod", "y"}, []string{"a query says everything itself"}},
		"a followed pipe":  {&cluster{}, []string{"-f", "--query", "* | fields a"}, []string{"lines after a pipe are not followed"}},
		"many faults": {&cluster{}, []string{"--limit", "0", "-o", "yaml", "--since", "soon", "--until", "-1h"},
			[]string{"--limit 0: not from 1 to 10000", `--output "yaml": must be one of text, json`, `--since "soon"`, `--until "-1h"`}},
		"an end before the start": {&cluster{}, []string{"--since", "1h", "--until", "2d"}, []string{`--until "2d": not after --since "1h"`}},
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

func TestFollowedNamespacesGoOnWhenAStreamEndsAndShowNoLineTwice(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Format(time.RFC3339Nano)
	first, second, third := line(now, "team-a", "api-0", "first"), line(now, "team-a", "api-0", "second"), line(now, "claim-team-a", "api-0", "third")
	c := &cluster{
		lines: map[string][]string{"team-a": {first}, "claim-team-a": nil},
		live:  map[string]chan string{"team-a": make(chan string), "claim-team-a": make(chan string)},
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	var stdout, stderr observetest.Terminal
	kubeconfig := observetest.Kubeconfig(t, c)
	go func() { ended <- execute(ctx, kubeconfig, &stdout, &stderr, "--tenant", "team-a", "--follow") }()
	stdout.Until(t, "first")
	c.live["team-a"] <- first // the store repeats what is at the seam
	c.live["team-a"] <- second
	c.live["claim-team-a"] <- third
	stdout.Until(t, "second")
	stdout.Until(t, "third")
	close(c.live["team-a"]) // as if the reader were restarted
	stderr.Until(t, "connecting again")
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("an interrupted stream is an error: %v", err)
	}
	close(c.live["claim-team-a"])
	for _, text := range []string{"first", "second", "third"} {
		if count := strings.Count(stdout.String(), text); count != 1 {
			t.Errorf("%s is shown %d times:\n%s", text, count, &stdout)
		}
	}
	streams := 0
	for _, query := range append(c.Queries("/team-a/logs"), c.Queries("/claim-team-a/logs")...) {
		if query.Get("watch") == "true" {
			streams++
			if len(query) != 2 || query.Get("query") != "*" {
				t.Errorf("a stream is asked with %v", query)
			}
		}
	}
	if streams < 2 {
		t.Errorf("%d streams", streams)
	}
}

func TestAStreamThatMayNotBeReadAnyMoreEnds(t *testing.T) {
	t.Parallel()
	ended := make(chan string)
	close(ended)
	c := &cluster{lines: map[string][]string{"alice": {line(morning+"1Z", "alice", "api-0", "first")}}, live: map[string]chan string{"alice": ended}}
	removed := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") == "true" && len(c.Queries("/alice/logs")) > 2 {
			observetest.Refuse(w, http.StatusForbidden, "was removed")
			return
		}
		c.ServeHTTP(w, r)
	})
	var stdout, stderr observetest.Terminal
	err := execute(t.Context(), observetest.Kubeconfig(t, removed), &stdout, &stderr, "--follow")
	if err == nil || !strings.Contains(err.Error(), "you may not watch logs") || strings.Count(stdout.String(), "first") != 1 {
		t.Errorf("%v, %s%s", err, &stdout, &stderr)
	}
}

func TestTheHelpNamesTheProgramAsItIsTyped(t *testing.T) {
	t.Parallel()
	var stdout, stderr observetest.Terminal
	c := command("kubectl journal-logs", &stdout, &stderr)
	c.SetArgs([]string{"--help"})
	if err := c.Execute(); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"\n  kubectl journal-logs [flags]\n", "  kubectl journal-logs --tenant team-a --app api"} {
		if !strings.Contains(stdout.String(), part) {
			t.Errorf("the help has no %q:\n%s", part, &stdout)
		}
	}
}

func TestTheLinkOfThePageShowsWhatWasAsked(t *testing.T) {
	t.Parallel()
	c := &cluster{lines: map[string][]string{"alice": nil}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	var stdout, stderr observetest.Terminal
	kubeconfig := observetest.Kubeconfig(t, c)
	go func() { ended <- execute(ctx, kubeconfig, &stdout, &stderr, "--web", "--grep", "50%") }()
	stderr.Until(t, "the page of namespace alice")
	page, hash, _ := strings.Cut(strings.TrimSpace(stdout.String()), "#/?")
	if !strings.HasSuffix(page, "/select/vmui/") {
		t.Errorf("the page is %q", page)
	}
	if asked, err := url.ParseQuery(hash); err != nil || asked.Get("query") != `_msg:*"50%"*` || asked.Get("g0.relative_time") != "last_1_hour" {
		t.Errorf("the page is asked %q, %v", hash, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("an interrupted page is an error: %v", err)
	}
}
