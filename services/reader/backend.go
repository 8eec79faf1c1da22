package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// store answers queries, of which a fence is a part.
type store interface {
	// ask answers with what the store says to a query at a path, of what the fence may see.
	ask(w http.ResponseWriter, r *http.Request, path string, form url.Values, sees fence) error
	// file answers with a file of the store's page.
	file(w http.ResponseWriter, r *http.Request, path string) error
}

// backend sends requests of our own to a store. Both stores have one.
type backend struct {
	// name is how errors call the store.
	name      string
	url       *url.URL
	transport *http.Transport
	log       *slog.Logger
	// maxAnswer is how long an answer may be, in bytes. 0 is no bound.
	maxAnswer int64
}

func newBackend(name string, address *url.URL, log *slog.Logger, maxAnswer int64) *backend {
	return &backend{name: name, url: address, log: log, maxAnswer: maxAnswer, transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true, // lines must arrive when they are written
	}}
}

// post answers with what the store says to the parameters at an address.
func (b *backend) post(w http.ResponseWriter, r *http.Request, address *url.URL, form url.Values) error {
	return b.forward(w, r, func(out *http.Request) {
		// The parameters are in the body, so that no log has them as an address.
		body := form.Encode()
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		out.Method, out.ContentLength = http.MethodPost, int64(len(body))
		out.Body, _ = out.GetBody()
		out.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		out.Header["Idempotency-Key"] = nil // not sent: a store that was restarted is asked again on a new connection
		out.URL = address
	}, "no-store")
}

// file answers with a file of the page.
func (b *backend) file(w http.ResponseWriter, r *http.Request, path string) error {
	return b.forward(w, r, func(out *http.Request) { out.URL = b.at(path) }, "")
}

// at returns the address of a path.
func (b *backend) at(path string) *url.URL {
	return &url.URL{Scheme: b.url.Scheme, Host: b.url.Host, Path: path}
}

// pagePolicy lets the page run its own files and ask the address it came from, and nothing else. The page shows lines that somebody
// else wrote, and runs with the rights of the person who looks at it.
const pagePolicy = "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; " +
	"worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// answerHeaders are the headers of the store that are passed on. The others allow other origins to read the answer, or name parts of
// the store.
var answerHeaders = []string{"Content-Type", "Content-Length", "Cache-Control", "Last-Modified", "Vl-Request-Duration-Seconds"}

// forward sends a request of our own in the place of r, and the answer as it comes. Nothing of r reaches the store but Accept.
func (b *backend) forward(w http.ResponseWriter, r *http.Request, write func(*http.Request), cache string) error {
	var failed error
	(&httputil.ReverseProxy{
		Transport:     b.transport,
		FlushInterval: -1, // every line at once
		ErrorLog:      slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
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
				return b.fault(response)
			}
			if b.maxAnswer > 0 && response.ContentLength > b.maxAnswer {
				return refuse("the answer has more than %d MiB; ask for a shorter time, a longer step or fewer series", b.maxAnswer>>20)
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
			if b.maxAnswer > 0 {
				response.Body = &boundedBody{response.Body, b.maxAnswer}
			}
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { failed = err },
	}).ServeHTTP(w, r)
	var known apierrors.APIStatus
	switch {
	case failed == nil || errors.As(failed, &known):
		return failed
	case errors.Is(r.Context().Err(), context.DeadlineExceeded):
		return apierrors.NewTimeoutError("the "+b.name+" took too long; ask for a shorter time or for less", 5)
	case r.Context().Err() != nil:
		return fmt.Errorf("ask the %s: %w", b.name, r.Context().Err())
	}
	b.log.Error("the "+b.name+" does not answer", "error", failed)
	return b.away()
}

// fault returns what the store says is wrong, without its address.
func (b *backend) fault(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, 2<<10))
	message := strings.TrimSpace(string(text))
	var fault struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(text, &fault) == nil && fault.Error != "" { // the metric store answers like Prometheus
		message = fault.Error
	}
	message = strings.ReplaceAll(message, b.url.Host, "the "+b.name)
	switch {
	case response.StatusCode == http.StatusNotFound:
		return errNothingHere()
	case response.StatusCode == http.StatusTooManyRequests:
		return apierrors.NewTooManyRequests("the "+b.name+" has too much to do; try again soon", 10)
	case response.StatusCode >= 400 && response.StatusCode < 500:
		return refuse("the %s refuses the query: %s", b.name, message)
	}
	b.log.Error("the "+b.name+" fails", "status", response.StatusCode, "message", message)
	return apierrors.NewServiceUnavailable("the " + b.name + " cannot answer: " + message)
}

// away is that the store cannot be reached. What is wrong is in the log, since it names addresses.
func (b *backend) away() error {
	return apierrors.NewServiceUnavailable("the " + b.name + " does not answer; try again soon")
}

// errTooLong is that an answer has more than maxAnswer bytes. Its beginning is on its way, so it is cut off.
var errTooLong = errors.New("the answer is too long")

// boundedBody fails when it has more than left bytes.
type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLong
	}
	return n, err
}
