package observe

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
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// Page is a store's own page, as it is served below a namespace.
type Page struct {
	// Probe is the path of a small read below the page, with its parameters. It shows whether the caller may, before a link is printed.
	Probe  string
	Params url.Values
	// Link is the path of the page, with what it shows after the #. What stands before the page's path is its server, for the page.
	Link string
}

// Serve serves a store's page of one namespace on a free port of this machine until ctx ends, and prints its link.
func (a *API) Serve(ctx context.Context, from Source, shown Page, stdout, stderr io.Writer) error {
	below := func() *rest.Request { return a.Get(from).Name("ui").SubResource("proxy") }
	read := below().Suffix(shown.Probe).MaxRetries(0)
	for name, values := range shown.Params {
		read.Param(name, values[0])
	}
	if err := read.Do(ctx).Error(); err != nil {
		return a.Explain(ctx, from, "get", a.kind.Resource+"/proxy", err)
	}
	transport, err := rest.TransportFor(a.config)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen on this machine: %w", err)
	}
	page := page{host: listener.Addr().String(), secret: rand.Text(), target: below().URL(), transport: transport, stderr: stderr}
	server := &http.Server{Handler: page.handler(), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if _, err := fmt.Fprintf(stdout, "http://%s/%s/%s\n", page.host, page.secret, shown.Link); err != nil {
		return errors.Join(err, listener.Close())
	}
	fmt.Fprintf(stderr, "the page of namespace %s, with your rights, for whoever has this link; interrupt to end it\n", from)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
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
