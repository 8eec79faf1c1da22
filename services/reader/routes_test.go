package main

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	endpoints "k8s.io/apiserver/pkg/endpoints/request"
)

// parse reads a request line as the server does.
func parse(path string) (target, error) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + path + " HTTP/1.1\r\nHost: reader\r\n\r\n")))
	if err != nil {
		return target{}, err
	}
	return parseTarget(r.URL)
}

func TestPathsThatAreServed(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]target{
		"":                                {route: routeDiscovery},
		"/logs":                           {route: routeAll, resource: "logs"},
		"/logs?query=a%2fb":               {route: routeAll, resource: "logs"},
		"/metrics":                        {route: routeAll, resource: "metrics"},
		"/namespaces/alice/logs":          {routeNamespace, "logs", "alice", ""},
		"/namespaces/logs/logs?x=..%2f..": {routeNamespace, "logs", "logs", ""},
		"/namespaces/logs/metrics":        {routeNamespace, "metrics", "logs", ""},
		"/namespaces/a-1/logs/ui/proxy/select/vmui/":                {routeProxy, "logs", "a-1", "/select/vmui/"},
		"/namespaces/a/logs/ui/proxy/select/logsql/query?a=b":       {routeProxy, "logs", "a", "/select/logsql/query"},
		"/namespaces/a/logs/ui/proxy/select/vmui/assets/x-Y_1.js":   {routeProxy, "logs", "a", "/select/vmui/assets/x-Y_1.js"},
		"/namespaces/a/metrics/ui/proxy/vmui/":                      {routeProxy, "metrics", "a", "/vmui/"},
		"/namespaces/a/metrics/ui/proxy/prometheus/api/v1/query?x=": {routeProxy, "metrics", "a", "/prometheus/api/v1/query"},
	} {
		if got, err := parse(prefix + path); err != nil || got != want {
			t.Errorf("%s: %+v %v", path, got, err)
		}
	}
}

// strange are paths that some program reads in another way than as they are written.
var strange = []string{
	"/namespaces/alice/../bob/logs", "/namespaces/./alice/logs", "/namespaces//alice/logs", "//namespaces/alice/logs",
	"/namespaces/alice//logs", "/namespaces/alice/logs/", "/namespaces/alice/logs/.", "/namespaces/alice/logs/..",
	"/namespaces/alice/logs//",
	"/namespaces/alice%2f..%2fbob/logs", "/namespaces/alice/%2e%2e/bob/logs", "/namespaces/%61lice/logs", "/namespaces/alice%252f/logs",
	"/namespaces/al%69ce/logs", "/namespaces/alice%00/logs", "/namespaces/alice%20/logs", "/namespaces/alice;x=y/logs",
	"/namespaces/alice\\bob/logs",
	"/namespaces/Alice/logs", "/namespaces/ALICE/logs", "/Namespaces/alice/logs", "/namespaces/alice/LOGS", "/namespaces/alice/Logs",
	"/namespaces/alice_bob/logs", "/namespaces/alice.bob/logs", "/namespaces/-alice/logs", "/namespaces/alice-/logs",
	"/namespaces/älice/logs",
	"/namespaces/" + strings.Repeat("a", 64) + "/logs", "/namespaces/*/logs", "/namespaces/alice,bob/logs",
	"/namespaces/alice:bob/logs",
	"/namespaces/alice@bob/logs", "/namespaces/alice/logs%2fui", "/namespaces/alice/logs/name", "/namespaces/alice/logs/proxy",
	"/namespaces/alice/logs/ui", "/namespaces/alice/logs/ui/proxy", "/namespaces/alice/logs/ui/proxy/",
	"/namespaces/alice/logs/UI/proxy/select/vmui/",
	"/namespaces/alice/logs/ui/proxy//select/vmui/", "/namespaces/alice/logs/ui/proxy/select/../delete/run_task",
	"/namespaces/alice/logs/ui/proxy/select/%2e%2e/delete/run_task", "/namespaces/alice/logs/ui/proxy/select%2flogsql%2fquery",
	"/namespaces/alice/logs/ui/proxy/select/vmui/..%2f..%2fflags", "/namespaces/alice/logs/other/proxy/select/vmui/",
	"/namespaces/alice/pods", "/namespaces/alice", "/namespaces", "/namespaces/", "/", "/logs/",
	"/logs/ui/proxy/select/vmui/", "/logs/x",
	"/watch/logs", "/watch/namespaces/alice/logs", "/namespaces/alice/logs/status", "/LOGS", "/l%6fgs", "/logs%2f", "x",
	"/namespaces/alice/logs#x",
	"/metrics/", "/metrics/name", "/Metrics", "/namespaces/alice/metric", "/namespaces/alice/metrics/", "/namespaces/alice/metrics/alice",
	"/namespaces/alice/metrics/ui/proxy", "/namespaces/alice/metrics/ui/proxy//vmui/", "/namespaces/alice/metrics/ui/proxy/vmui/../api/v1/export",
	"/namespaces/alice/metrics/ui/proxy/vmui%2f", "/namespaces/alice%2fmetrics", "/metrics/ui/proxy/vmui/",
}

func TestStrangePathsAreRefusedAndNamedByNoError(t *testing.T) {
	t.Parallel()
	store := newStore(t, oneLine)
	r := newReader(t, store.URL)
	for _, path := range strange {
		got, err := parse(prefix + path)
		if err == nil {
			t.Errorf("%s: %+v", path, got)
			continue
		}
		for _, leak := range []string{"alice", "bob"} {
			if strings.Contains(err.Error(), leak) {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	for _, path := range []string{"/apis", "/apis/", "/apis/observe.journal.example.com", "/apis/observe.journal.example.com/v1/logs",
		"/apis/observe.journal.example.com/v1alpha1x/logs", "/api/v1/namespaces/alice/logs", "/metrics", "/readyz", "/openapi/v3", "/select/logsql/query"} {
		r.do(r.client, http.MethodGet, "alice", path, "", nil).is(http.StatusNotFound, "there is nothing at this path")
	}
	if asked := store.taken(); len(asked) > 0 {
		t.Errorf("the store was asked: %v", asked)
	}
}

// decided returns what the API server asks RBAC for, before it forwards a request.
func decided(t *testing.T, method, path string) *endpoints.RequestInfo {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + path + " HTTP/1.1\r\nHost: reader\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	factory := endpoints.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	info, err := factory.NewRequestInfo(r)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestRBACIsAskedForWhatIsAnswered(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][4]string{ // verb, namespace, resource, subresource
		"GET /logs":                                                {"list", "", "logs", ""},
		"GET /logs?watch=true":                                     {"watch", "", "logs", ""},
		"GET /namespaces/alice/logs":                               {"list", "alice", "logs", ""},
		"GET /namespaces/alice/logs?watch=false":                   {"list", "alice", "logs", ""},
		"GET /namespaces/alice/logs?watch=true":                    {"watch", "alice", "logs", ""},
		"GET /namespaces/alice/logs?claimed=gone":                  {"list", "alice", "logs", ""},
		"GET /namespaces/alice/logs/ui/proxy/select/vmui/":         {"get", "alice", "logs", "proxy"},
		"GET /namespaces/alice/logs/ui/proxy/select/logsql/tail":   {"get", "alice", "logs", "proxy"},
		"POST /namespaces/alice/logs/ui/proxy/select/logsql/query": {"create", "alice", "logs", "proxy"},
		"GET /metrics?query=up":                                    {"list", "", "metrics", ""},
		"GET /namespaces/alice/metrics?query=up":                   {"list", "alice", "metrics", ""},
		"GET /namespaces/alice/metrics/ui/proxy/vmui/":             {"get", "alice", "metrics", "proxy"},
		"POST /namespaces/alice/metrics/ui/proxy/api/v1/query":     {"create", "alice", "metrics", "proxy"},
	} {
		method, path, _ := strings.Cut(path, " ")
		if _, err := parse(prefix + path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		info := decided(t, method, prefix+path)
		if got := [4]string{info.Verb, info.Namespace, info.Resource, info.Subresource}; got != want || info.APIGroup != groupVersion.Group {
			t.Errorf("%s %s: RBAC is asked for %v", method, path, got)
		}
	}
}

// FuzzPath looks for a path that is served and has something in it that a program may read in another way.
func FuzzPath(f *testing.F) {
	for _, path := range strange {
		f.Add(path)
	}
	f.Add("/namespaces/alice/logs/ui/proxy/select/logsql/query")
	f.Add("/namespaces/alice/metrics/ui/proxy/vmui/")
	f.Fuzz(func(t *testing.T, path string) {
		got, err := parse(prefix + path)
		if err != nil {
			return
		}
		written, _, _ := strings.Cut(path, "?")
		want := map[route]string{
			routeDiscovery: "", routeAll: "/" + got.resource, routeNamespace: "/namespaces/" + got.namespace + "/" + got.resource,
			routeProxy: "/namespaces/" + got.namespace + "/" + got.resource + "/ui/proxy" + got.rest,
		}[got.route]
		if written != want || strings.Contains(got.rest, "..") || strings.Contains(got.rest, "//") || strings.ContainsAny(written, "%\\;") {
			t.Errorf("%q is %+v", path, got)
		}
		info := decided(t, http.MethodGet, prefix+path)
		same := info.Resource == got.resource && info.Namespace == got.namespace && (info.Subresource == "proxy") == (got.route == routeProxy)
		if got.route != routeDiscovery && !same {
			t.Errorf("%q is %+v, and RBAC is asked for %+v", path, got, info)
		}
	})
}

func TestOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	store := newStore(t, oneLine)
	r := newReader(t, store.URL)
	for path, methods := range map[string][]string{
		"":                       {"POST", "PUT", "DELETE", "HEAD", "OPTIONS"},
		"/logs":                  {"POST", "PUT", "DELETE", "PATCH", "HEAD"},
		"/namespaces/alice/logs": {"POST", "PUT", "DELETE", "PATCH", "HEAD", "CONNECT"},
		"/namespaces/alice/logs/ui/proxy/select/logsql/query": {"PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"},
	} {
		for _, method := range methods {
			got := r.do(r.client, method, "alice", prefix+path, "", nil)
			if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") == "" {
				t.Errorf("%s %s: %d", method, path, got.status)
			}
		}
	}
	r.post("alice", "/namespaces/alice/logs/ui/proxy/select/vmui/", nil).is(http.StatusNotFound)
	if asked := store.taken(); len(asked) > 0 {
		t.Errorf("the store was asked: %v", asked)
	}
}

func TestDiscoveryNamesNothingThatCanBeDeleted(t *testing.T) {
	t.Parallel()
	r := newReader(t, newStore(t, oneLine).URL)
	got := r.get("system:kube-aggregator", "").is(http.StatusOK, `"groupVersion":"observe.journal.example.com/v1alpha1"`,
		`"name":"logs"`, `["get"]`, `"name":"logs/proxy"`, `["get","create"]`)
	if strings.Contains(got.body, "delete") {
		t.Error(got.body)
	}
}
