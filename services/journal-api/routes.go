package main

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// api is the state that the handlers share.
type api struct {
	store    Store
	log      *slog.Logger
	metrics  *metrics
	stopping *atomic.Bool
	// readOnly refuses requests that would change an entry.
	readOnly bool
	// reachedRedis is set once Redis has answered a readiness probe.
	reachedRedis atomic.Bool
	// inFlight has room for the maximum number of concurrent requests for entries.
	inFlight chan struct{}
}

// routes returns all routes of the program.
func (a *api) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, route := range map[string]methods{
		"/api/entries": {"GET": a.bounded(a.listEntries), "POST": a.change(a.createEntry)},
		"/api/entries/{id}": {
			"GET": a.bounded(a.getEntry), "PUT": a.change(a.updateEntry), "DELETE": a.change(a.deleteEntry),
		},
		"/healthz": {"GET": a.healthy},
		"/readyz":  {"GET": a.ready},
		"/metrics": {"GET": asHandler(promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}))},
		"/":        nil,
	} {
		mux.Handle(pattern, a.metrics.observe(pattern, a.answer(route.choose)))
	}
	return a.logged(mux)
}

// handler answers a request or returns an error, which answer turns into a problem.
type handler func(http.ResponseWriter, *http.Request) error

// bounded returns a handler that refuses a request while too many others are open. Each holds memory, and for long while Redis
// is down.
func (a *api) bounded(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		select {
		case a.inFlight <- struct{}{}:
			defer func() { <-a.inFlight }()
			return h(w, r)
		default:
			return refuse(http.StatusServiceUnavailable, "%d requests are under way, and more are not taken; try again soon", cap(a.inFlight))
		}
	}
}

// change returns a handler that changes an entry.
func (a *api) change(h handler) handler {
	if !a.readOnly {
		return a.bounded(h)
	}
	return func(http.ResponseWriter, *http.Request) error {
		return refuse(http.StatusForbidden, "the journal is read-only for now; entries can be read")
	}
}

// methods are the handlers of one path. net/http would refuse other methods by
// itself, but not with a problem document.
type methods map[string]handler

func (m methods) choose(w http.ResponseWriter, r *http.Request) error {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	switch handle := m[method]; {
	case handle != nil:
		return handle(w, r)
	case m == nil:
		return refuse(http.StatusNotFound, "there is nothing at %s", r.URL.Path)
	}
	allowed := make([]string, 0, len(m)+1)
	for method := range m {
		allowed = append(allowed, method)
	}
	if m[http.MethodGet] != nil {
		allowed = append(allowed, http.MethodHead)
	}
	slices.Sort(allowed)
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return refuse(http.StatusMethodNotAllowed, "%s is not possible here, only %s", r.Method, w.Header().Get("Allow"))
}

func asHandler(h http.Handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	}
}
