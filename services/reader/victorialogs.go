package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// victoriaLogs is the log store.
type victoriaLogs struct {
	url       *url.URL
	transport *http.Transport
	log       *slog.Logger
}

func newVictoriaLogs(address *url.URL, log *slog.Logger) *victoriaLogs {
	return &victoriaLogs{url: address, log: log, transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true, // lines must arrive when they are written
	}}
}

// ask answers with what the store says to a query, of which the fence is a part.
func (v *victoriaLogs) ask(w http.ResponseWriter, r *http.Request, path string, form url.Values, sees fence) error {
	filters, err := sees.filters()
	if err != nil {
		return err
	}
	// The store runs the query of this pipe without the filters: it would show what a stream has from before the tenant.
	if !sees.everything && strings.Contains(strings.ToLower(form.Get("query")), "stream_context") {
		return refuse("query: the pipe stream_context is not served; ask for the pod, with start and end")
	}
	for name := range form { // none was accepted; this holds whatever is accepted one day
		if strings.HasPrefix(name, "extra_") {
			form.Del(name)
		}
	}
	maps.Copy(form, filters)
	return v.forward(w, r, func(out *http.Request) {
		// The parameters are in the body, so that no log has them as an address.
		body := form.Encode()
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		out.Method, out.ContentLength = http.MethodPost, int64(len(body))
		out.Body, _ = out.GetBody()
		out.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		out.Header["Idempotency-Key"] = nil // not sent: a store that was restarted is asked again on a new connection
		out.URL = v.at(path)
	}, "no-store")
}

// file answers with a file of the page.
func (v *victoriaLogs) file(w http.ResponseWriter, r *http.Request, path string) error {
	return v.forward(w, r, func(out *http.Request) { out.URL = v.at(path) }, "")
}

// at returns the address of a path.
func (v *victoriaLogs) at(path string) *url.URL {
	return &url.URL{Scheme: v.url.Scheme, Host: v.url.Host, Path: path}
}

// pagePolicy lets the page run its own files and ask the address it came from, and nothing else. The page shows lines that somebody
// else wrote, and runs with the rights of the person who looks at it.
const pagePolicy = "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; " +
	"worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// answerHeaders are the headers of the store that are passed on. The others allow other origins to read the answer, or name parts of
// the store.
var answerHeaders = []string{"Content-Type", "Content-Length", "Cache-Control", "Last-Modified", "Vl-Request-Duration-Seconds"}

// forward sends a request of our own in the place of r, and the answer as it comes. Nothing of r reaches the store but Accept.
func (v *victoriaLogs) forward(w http.ResponseWriter, r *http.Request, write func(*http.Request), cache string) error {
	var failed error
	(&httputil.ReverseProxy{
		Transport:     v.transport,
		FlushInterval: -1, // every line at once
		ErrorLog:      slog.NewLogLogger(v.log.Handler(), slog.LevelDebug),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.Header = http.Header{"User-Agent": {"reader"}}
			if accept := p.In.Header.Get("Accept"); accept != "" {
				p.Out.Header.Set("Accept", accept)
			}
			p.Out.Host = ""
			write(p.Out)
		},
		ModifyResponse: func(response *http.Response) error {
			if response.StatusCode != http.StatusOK {
				return v.fault(response)
			}
			header := http.Header{"X-Content-Type-Options": {"nosniff"}, "Content-Security-Policy": {pagePolicy}}
			for _, name := range answerHeaders {
				if values := response.Header.Values(name); len(values) > 0 {
					header[name] = values
				}
			}
			if cache != "" {
				header.Set("Cache-Control", cache)
			}
			response.Header = header
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { failed = err },
	}).ServeHTTP(w, r)
	var known apierrors.APIStatus
	switch {
	case failed == nil || errors.As(failed, &known):
		return failed
	case errors.Is(r.Context().Err(), context.DeadlineExceeded):
		return apierrors.NewTimeoutError("the log store took too long; ask for a shorter time or for less", 5)
	case r.Context().Err() != nil:
		return fmt.Errorf("ask the log store: %w", r.Context().Err())
	}
	v.log.Error("the log store does not answer", "error", failed)
	return errStoreAway
}

// fault returns what the store says is wrong, without its address.
func (v *victoriaLogs) fault(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, 2<<10))
	message := strings.TrimSpace(strings.ReplaceAll(string(text), v.url.Host, "the log store"))
	switch {
	case response.StatusCode == http.StatusNotFound:
		return errNothingHere()
	case response.StatusCode >= 400 && response.StatusCode < 500:
		return refuse("the log store refuses the query: %s", message)
	}
	v.log.Error("the log store fails", "status", response.StatusCode, "message", message)
	return apierrors.NewServiceUnavailable("the log store cannot answer: " + message)
}
