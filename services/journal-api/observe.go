package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics has a registry of its own, so that run can run more than once in a process.
type metrics struct {
	registry    *prometheus.Registry
	requests    *prometheus.CounterVec
	durations   *prometheus.HistogramVec
	redisErrors *prometheus.CounterVec
}

func newMetrics() *metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	factory := promauto.With(registry)
	return &metrics{
		registry: registry,
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "journal_http_requests_total", Help: "Requests answered.",
		}, []string{"route", "method", "code"}),
		durations: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "journal_http_request_duration_seconds", Help: "Time to answer a request.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20},
		}, []string{"route", "method", "code"}),
		redisErrors: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "journal_redis_errors_total", Help: "Failed tries to use Redis, by address (write or read) and reason.",
		}, []string{"address", "reason"}),
	}
}

// observe counts and times the answers for a route pattern.
func (m *metrics) observe(pattern string, next http.Handler) http.Handler {
	route := prometheus.Labels{"route": pattern}
	return promhttp.InstrumentHandlerCounter(m.requests.MustCurryWith(route),
		promhttp.InstrumentHandlerDuration(m.durations.MustCurryWith(route), next))
}

// requestIDHeader names a request in answers, problems and logs.
const requestIDHeader = "X-Request-Id"

// logged writes one line for each request, and answers for a handler that panics.
func (a *api) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, id := time.Now(), uuid.NewString()
		w.Header().Set(requestIDHeader, id)
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			if fault := recover(); fault != nil {
				a.answer(func(http.ResponseWriter, *http.Request) error {
					return fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
				}).ServeHTTP(recorder, r)
			}
			a.log.Log(context.WithoutCancel(r.Context()), logLevel(r), "request",
				"request", id, "method", r.Method, "path", r.URL.Path,
				"status", recorder.status, "duration", time.Since(start).String())
		}()
		next.ServeHTTP(recorder, r)
	})
}

// logLevel keeps probes and scrapes, which come every few seconds, out of the usual log.
func logLevel(r *http.Request) slog.Level {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap gives http.ResponseController the wrapped writer.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
