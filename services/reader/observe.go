package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/apiserver/pkg/authentication/authenticator"
)

// server is the state that the handlers share.
type server struct {
	log        *slog.Logger
	requests   *requestMetrics
	who        authenticator.Request
	namespaces *namespaces
	// resources are what is served, by name.
	resources map[string]resource
}

// requestMetrics has a registry of its own, so that serve can run more than once in a process.
type requestMetrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	follows   prometheus.Gauge
}

func newRequestMetrics() *requestMetrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	factory := promauto.With(registry)
	return &requestMetrics{
		registry: registry,
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "journal_reader_requests_total", Help: "Requests answered. A follow counts when it ends.",
		}, []string{"route", "method", "code"}),
		durations: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "journal_reader_request_duration_seconds", Help: "Time to answer a request that is no follow.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"route"}),
		follows: factory.NewGauge(prometheus.GaugeOpts{
			Name: "journal_reader_follows", Help: "Logs that are followed now.",
		}),
	}
}

// probes serves the metrics and the probes.
func (s *server) probes(ready func() error) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.requests.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		// Whether the store answers is not asked: without ready pods the API group is away, and no namespace can be deleted.
		if err := ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
	return mux
}

// request is what is known of a request, for logs and metrics. The query is not: it may have in it what somebody looks for.
type request struct {
	// route is the name of what the path means.
	route           string
	user, namespace string
	follow          bool
	status          int
}

// handler answers the API server. It writes the Status of an error, a line in the log, and the metrics.
func (s *server) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, seen := time.Now(), &request{route: target{}.String()}
		recorder := &statusRecorder{ResponseWriter: w, seen: seen}
		defer func() {
			fault := recover()
			cut, _ := fault.(error)
			switch {
			case errors.Is(cut, http.ErrAbortHandler): // the answer is not whole, and the client must learn of it
				defer panic(fault)
			case fault != nil:
				s.fail(recorder, r, fmt.Errorf("panic: %v\n%s", fault, debug.Stack()))
			}
			s.count(r, seen, time.Since(start))
		}()
		deadline(recorder, answerTimeout)
		if err := s.handle(recorder, r, seen); err != nil {
			s.fail(recorder, r, err)
		}
	})
}

// fail answers with an error, and logs an internal one in full.
func (s *server) fail(w *statusRecorder, r *http.Request, err error) {
	if statusOf(err).Code == http.StatusInternalServerError {
		s.log.ErrorContext(r.Context(), "request failed", "error", err)
	}
	if w.seen.status == 0 {
		writeError(w, err)
	}
}

// count writes a request into the log and the metrics.
func (s *server) count(r *http.Request, seen *request, took time.Duration) {
	method := r.Method
	if method != http.MethodGet && method != http.MethodPost {
		method = "other"
	}
	s.requests.requests.WithLabelValues(seen.route, method, strconv.Itoa(seen.status)).Inc()
	if !seen.follow {
		s.requests.durations.WithLabelValues(seen.route).Observe(took.Seconds())
	}
	level := slog.LevelInfo
	if seen.user == "system:aggregator" || seen.user == "system:kube-aggregator" { // the API server itself, every few seconds
		level = slog.LevelDebug
	}
	s.log.Log(context.WithoutCancel(r.Context()), level, "request", "user", seen.user, "route", seen.route,
		"namespace", seen.namespace, "follow", seen.follow, "status", seen.status, "duration", took.String())
}

type statusRecorder struct {
	http.ResponseWriter
	seen *request
}

func (s *statusRecorder) WriteHeader(status int) {
	s.seen.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Write(data []byte) (int, error) {
	if s.seen.status == 0 {
		s.seen.status = http.StatusOK
	}
	return s.ResponseWriter.Write(data)
}

// Unwrap gives http.ResponseController the wrapped writer.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
