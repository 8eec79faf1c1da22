package observe

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"example.com/journal/services/internal/observe/observetest"
)

// browse asks a server, with headers given as names and values, and returns the status, the headers and the text.
func browse(t *testing.T, method, at, host string, header ...string) (int, http.Header, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// The path goes out as it is written, as that of a hostile page would.
	scheme, rest, _ := strings.Cut(at, "://")
	address, path, _ := strings.Cut(rest, "/")
	request, err := http.NewRequestWithContext(ctx, method, scheme+"://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	path, query, _ := strings.Cut(path, "?")
	request.URL.Opaque, request.URL.RawQuery = "/"+path, query
	request.Host = host
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}

func TestThePageOfOneNamespaceIsServedHereAndNothingElse(t *testing.T) {
	t.Parallel()
	var asked observetest.Record
	cluster := observetest.Server{Namespaces: []string{"alice", "bob"}, Served: []string{"logs"}, Read: func(w http.ResponseWriter, _ *http.Request, namespace, rest string) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		fmt.Fprintf(w, "%s of %s", rest, namespace)
	}}
	flags := Flags{kubeconfig: observetest.Kubeconfig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(r)
		cluster.ServeHTTP(w, r)
	}))}
	api, err := flags.Connect(Kind{Resource: "logs"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	var stdout, stderr observetest.Terminal
	const pagePath = "select/vmui/"
	go func() {
		ended <- api.Serve(ctx, flags.Home(), Page{Probe: "select/probe", Params: url.Values{"query": {"*"}}, Link: pagePath + "#/?query=x"}, &stdout, &stderr)
	}()
	stderr.Until(t, "the page of namespace alice")
	text, hash, _ := strings.Cut(strings.TrimSpace(stdout.String()), "#")
	link, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(link.Host, "127.0.0.1:") || hash != "/?query=x" {
		t.Fatalf("the link is %q, %v", &stdout, err)
	}
	if probes := asked.Queries("/namespaces/alice/logs/ui/proxy/select/probe"); len(probes) != 1 || probes[0].Get("query") != "*" {
		t.Errorf("the right to read was looked for with %v", probes)
	}
	base := strings.TrimSuffix(strings.TrimSuffix("http://"+link.Host+link.Path, pagePath), "/")

	status, header, text := browse(t, http.MethodPost, base+"/select/logsql/query?query=a%2Bb", link.Host,
		"Authorization", "Bearer of-somebody", "Impersonate-User", "admin", "X-Remote-User", "admin", "Cookie", "a=b", "Accept", "text/html")
	if status != http.StatusOK || text != "logs/ui/proxy/select/logsql/query of alice" {
		t.Errorf("a read is answered %d, %s", status, text)
	}
	if header.Get("Access-Control-Allow-Origin") != "" || header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("other sites may read: %v", header)
	}
	count := len(asked.Asked())
	last := asked.Asked()[count-1]
	if last.Header.Get("Authorization") != "Bearer of-alice" || last.Header.Get("Accept") != "text/html" || last.URL.Query().Get("query") != "a+b" {
		t.Errorf("the API server is asked %s with %v", last.URL, last.Header)
	}
	for _, name := range []string{"Impersonate-User", "X-Remote-User", "Cookie", "X-Forwarded-For"} {
		if last.Header.Get(name) != "" {
			t.Errorf("the API server gets the header %s", name)
		}
	}

	elsewhere := "http://" + link.Host
	for name, test := range map[string]struct {
		method, at, host string
		status           int
	}{
		"a site that points to this machine": {http.MethodGet, base + "/" + pagePath, "evil.example.com", http.StatusMisdirectedRequest},
		"another name of this machine":       {http.MethodGet, base + "/" + pagePath, "localhost:" + link.Port(), http.StatusMisdirectedRequest},
		"no secret":                          {http.MethodGet, elsewhere + "/" + pagePath, link.Host, http.StatusNotFound},
		"another secret":                     {http.MethodGet, elsewhere + "/AAAAAAAAAAAAAAAAAAAAAAAAAA/" + pagePath, link.Host, http.StatusNotFound},
		"the API server's own path":          {http.MethodGet, elsewhere + "/api/v1/namespaces/alice/secrets", link.Host, http.StatusNotFound},
		"dots":                               {http.MethodGet, base + "/../../../bob/logs/ui/proxy/select/vmui/", link.Host, http.StatusNotFound},
		"dots at the end":                    {http.MethodGet, base + "/select/..", link.Host, http.StatusNotFound},
		"escaped dots":                       {http.MethodGet, base + "/%2e%2e/%2e%2e/pods", link.Host, http.StatusNotFound},
		"twice escaped dots":                 {http.MethodGet, base + "/%252e%252e/%252e%252e/pods", link.Host, http.StatusNotFound},
		"an escaped slash":                   {http.MethodGet, base + "/select%2f..%2f..", link.Host, http.StatusNotFound},
		"a slash too many":                   {http.MethodGet, base + "//select/vmui/", link.Host, http.StatusNotFound},
		"DELETE":                             {http.MethodDelete, base + "/" + pagePath, link.Host, http.StatusMethodNotAllowed},
		"PATCH":                              {http.MethodPatch, base + "/" + pagePath, link.Host, http.StatusMethodNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			if status, _, text := browse(t, test.method, test.at, test.host); status != test.status {
				t.Errorf("is answered %d, %s", status, text)
			}
		})
	}
	for _, r := range asked.Asked()[count:] {
		t.Errorf("the API server was asked %s", r.URL)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("an interrupted page is an error: %v", err)
	}
}
