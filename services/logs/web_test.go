package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// browse asks a server, with headers given as names and values, and returns the status, the headers and the text.
func browse(t *testing.T, method, at, host string, header ...string) (int, http.Header, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
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
	c := &cluster{lines: map[string][]string{"alice": nil, "bob": nil}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	var stdout, stderr terminal
	kubeconfig := start(t, c)
	go func() { ended <- execute(ctx, kubeconfig, &stdout, &stderr, "--web", "--grep", "50%") }()
	until(t, &stderr, "the page of namespace alice")
	text, hash, _ := strings.Cut(strings.TrimSpace(stdout.String()), "#/?")
	link, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(link.Host, "127.0.0.1:") {
		t.Fatalf("the link is %q, %v", &stdout, err)
	}
	if asked, err := url.ParseQuery(hash); err != nil || asked.Get("query") != `_msg:*"50%"*` || asked.Get("g0.relative_time") != "last_1_hour" {
		t.Errorf("the page is asked %q, %v", hash, err)
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
	c.mu.Lock()
	last := c.asked[len(c.asked)-1]
	count := len(c.asked)
	c.mu.Unlock()
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
	c.mu.Lock()
	if len(c.asked) != count {
		t.Errorf("the API server was asked %s", c.asked[len(c.asked)-1].URL)
	}
	c.mu.Unlock()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("an interrupted page is an error: %v", err)
	}
}

func TestThePageShowsAtLeastWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	for before, want := range map[time.Duration]string{
		0: "last_5_minutes", 5*time.Minute + 9*time.Second: "last_5_minutes", 5*time.Minute + 11*time.Second: "last_15_minutes",
		time.Hour: "last_1_hour", 90 * time.Minute: "last_3_hours", 7 * 24 * time.Hour: "last_7_days", 1000 * 24 * time.Hour: "last_1_year",
	} {
		if got := windowID(before); got != want {
			t.Errorf("of the last %s the page shows %s, not %s", before, got, want)
		}
	}
}
