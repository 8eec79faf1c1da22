package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// serve serves the store's page of one namespace on a free port of this machine, until ctx ends.
func (v *viewer) serve(ctx context.Context) error {
	from := source{namespace: v.namespace}
	if v.tenant != "" {
		from.namespace = v.tenant // A tenant's own namespace is called as the tenant.
	}
	below := func() *rest.Request {
		return v.api.rest.Get().Namespace(from.namespace).Resource("logs").Name("ui").SubResource("proxy")
	}
	// A small read shows whether the caller may, before a link is printed.
	read := below().Suffix("select/logsql/field_names").Param("query", "*").Param("start", v.now().Add(-time.Minute).UTC().Format(time.RFC3339)).MaxRetries(0)
	if err := read.Do(ctx).Error(); err != nil {
		return v.api.explain(ctx, from, "get", "logs/proxy", err)
	}
	transport, err := rest.TransportFor(v.api.config)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen on this machine: %w", err)
	}
	page := page{host: listener.Addr().String(), secret: rand.Text(), target: below().URL(), transport: transport, stderr: v.stderr}
	server := &http.Server{Handler: page.handler(), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	asked := url.Values{"query": {v.asked.query}, "limit": {strconv.Itoa(v.asked.limit)}, "g0.relative_time": {windowID(v.now().Sub(v.asked.start))}}
	if _, err := fmt.Fprintf(v.printer.out, "http://%s/%s/%s#/?%s\n", page.host, page.secret, pagePath, asked.Encode()); err != nil {
		return errors.Join(err, listener.Close())
	}
	fmt.Fprintf(v.stderr, "the page of namespace %s, with your rights, for whoever has this link; interrupt to end it\n", from)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// pagePath is where the store serves its page. The page takes what stands before it for the address of its server.
const pagePath = "select/vmui/"

// windows are the windows until now that the page offers, with their names in its link. With any other one the link must also have an
// end, and the page would show no line after it.
var windows = []struct {
	length time.Duration
	id     string
}{
	{5 * time.Minute, "last_5_minutes"},
	{15 * time.Minute, "last_15_minutes"},
	{30 * time.Minute, "last_30_minutes"},
	{time.Hour, "last_1_hour"},
	{3 * time.Hour, "last_3_hours"},
	{6 * time.Hour, "last_6_hours"},
	{12 * time.Hour, "last_12_hours"},
	{24 * time.Hour, "last_24_hours"},
	{2 * 24 * time.Hour, "last_2_days"},
	{7 * 24 * time.Hour, "last_7_days"},
	{30 * 24 * time.Hour, "last_30_days"},
	{90 * 24 * time.Hour, "last_90_days"},
	{180 * 24 * time.Hour, "last_180_days"},
	{365 * 24 * time.Hour, "last_1_year"},
}

// windowID returns the name of the shortest window that has all of a time before now. Some seconds more are those since the command began.
func windowID(before time.Duration) string {
	for _, window := range windows {
		if before.Truncate(10*time.Second) <= window.length {
			return window.id
		}
	}
	return windows[len(windows)-1].id
}

// page forwards requests to the page of one namespace, with the caller's credential.
type page struct {
	// host is the only host that requests may name: another one is a site whose name was pointed at this machine.
	host string
	// secret is the first part of every path, which other users of this machine do not know.
	secret    string
	target    *url.URL
	transport http.RoundTripper
	stderr    io.Writer
}

// handler returns what serves the page and its reads, and refuses everything else.
func (p page) handler() http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport:     p.transport,
		FlushInterval: -1, // lines that are followed come at once
		Rewrite: func(r *httputil.ProxyRequest) {
			query := r.Out.URL.RawQuery
			r.Out.URL = p.target.JoinPath(strings.TrimPrefix(r.In.URL.Path, "/"+p.secret)) // without a percent sign
			r.Out.URL.RawQuery, r.Out.Host = query, ""
			// No header of the browser may stand for another credential or another user.
			r.Out.Header = http.Header{}
			for _, name := range []string{"Accept", "Content-Type"} {
				if value := r.In.Header.Get(name); value != "" {
					r.Out.Header.Set(name, value)
				}
			}
		},
		ModifyResponse: func(response *http.Response) error {
			for name := range response.Header {
				if strings.HasPrefix(name, "Access-Control-") { // the store lets every site read its answers
					response.Header.Del(name)
				}
			}
			response.Header.Set("Referrer-Policy", "no-referrer") // the secret stays here
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				fmt.Fprintf(p.stderr, "the API server does not answer: %v\n", err)
			}
			http.Error(w, "the API server does not answer", http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// No path of the page needs an escape, so what is checked is what the API server reads.
		below, ours := strings.CutPrefix(r.URL.EscapedPath(), "/"+p.secret+"/")
		switch {
		case r.Host != p.host:
			http.Error(w, "this host is not served here", http.StatusMisdirectedRequest)
		case !ours || strings.Contains(below, "%") || path.Clean("/"+below) != "/"+strings.TrimSuffix(below, "/"):
			http.NotFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodPost:
			http.Error(w, "only GET and POST are served", http.StatusMethodNotAllowed)
		default:
			proxy.ServeHTTP(w, r)
		}
	})
}
