package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"
)

func TestMain(m *testing.M) {
	logging.Disable() // As main does.
	os.Exit(m.Run())
}

func TestShuttingDownItTurnsUnreadyServesOnAndFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	server := newRedisServer(t)
	// Longer than it takes to see that it is unready and to start Redis, on a busy machine too.
	j := newJournal(t, server, map[string]string{"JOURNAL_SHUTDOWN_DELAY": "10s"})
	j.create("before")

	server.stop(syscall.SIGTERM)
	underWay := make(chan answer, 1)
	go func() { underWay <- j.post("under way") }()
	eventually(t, "the request waits for Redis", func() bool {
		return strings.Contains(j.log.String(), "redis cannot serve now")
	})
	ended := make(chan error, 1)
	go func() { ended <- j.stop() }()
	eventually(t, "it is not ready any more", func() bool {
		return strings.Contains(string(j.do("GET", "/readyz", "").body), "shutting down")
	})
	server.start()
	j.create("still served")
	(<-underWay).is(http.StatusCreated)
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	if response, err := j.client.Get(j.url + "/healthz"); err == nil {
		_ = response.Body.Close()
		t.Error("it still listens")
	}
}

func TestShuttingDownWaitsForARequestThatOutlastsTheDelay(t *testing.T) {
	t.Parallel()
	server := newRedisServer(t)
	j := newJournal(t, server, nil)
	server.stop(syscall.SIGTERM)
	underWay := make(chan answer, 1)
	go func() { underWay <- j.post("under way") }()
	eventually(t, "the request waits for Redis", func() bool {
		return strings.Contains(j.log.String(), "redis cannot serve now")
	})
	ended := make(chan error, 1)
	go func() { ended <- j.stop() }()
	time.Sleep(200 * time.Millisecond)
	server.start()
	(<-underWay).is(http.StatusCreated)
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestMetricsCountRequestsByRouteMethodAndCode(t *testing.T) {
	t.Parallel()
	j := newJournal(t, newRedisServer(t), nil)
	entry := j.create("x")
	j.do("GET", "/api/entries/"+entry.ID, "").is(http.StatusOK)
	j.do("GET", "/api/entries/none", "").is(http.StatusNotFound)
	j.do("GET", "/nothing", "").is(http.StatusNotFound)
	metrics := string(j.do("GET", "/metrics", "").is(http.StatusOK).body)
	for _, want := range []string{
		`journal_http_requests_total{code="201",method="post",route="/api/entries"} 1`,
		`journal_http_requests_total{code="200",method="get",route="/api/entries/{id}"} 1`,
		`journal_http_requests_total{code="404",method="get",route="/api/entries/{id}"} 1`,
		`journal_http_requests_total{code="404",method="get",route="/"} 1`,
		`journal_http_request_duration_seconds_count{code="201",method="post",route="/api/entries"} 1`,
		"go_goroutines",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
}

// An Ingress sends here what is below /api, so users do not see the figures.
func TestNoPathBelowAPIShowsTheFigures(t *testing.T) {
	t.Parallel()
	j := newJournal(t, newRedisServer(t), nil)
	client := &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, path := range []string{"/api/metrics", "/api/entries/metrics", "/api//metrics", "/api/../metrics", "/api/%2e%2e/metrics", "/api/..%2fmetrics", "/api/entries/..%2f..%2f..%2fmetrics"} {
		request, err := http.NewRequest(http.MethodGet, j.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode == http.StatusOK || strings.Contains(string(body), "journal_http_requests_total") {
			t.Errorf("%s: %s %v\n%.200s", path, response.Status, err, body)
		}
	}
}

func TestEverythingWrongWithTheEnvironmentIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	environment := map[string]string{
		"JOURNAL_LISTEN_ADDRESS":      "8080",
		"JOURNAL_REDIS_READ_ADDRESS":  "redis-read",
		"JOURNAL_REDIS_PASSWORD_FILE": "/nowhere",
		"JOURNAL_REDIS_MIN_REPLICAS":  "most",
		"JOURNAL_REDIS_PATIENCE":      "10",
		"JOURNAL_MAX_IN_FLIGHT":       "0",
		"JOURNAL_SHUTDOWN_DELAY":      "-1s",
		"JOURNAL_LOG_LEVEL":           "loud",
		"JOURNAL_READ_ONLY":           "yes",
	}
	err := run(t.Context(), nil, func(name string) string { return environment[name] }, io.Discard)
	if err == nil {
		t.Fatal("it runs")
	}
	for _, want := range []string{
		`JOURNAL_LISTEN_ADDRESS "8080": not an address; write host:port`,
		`JOURNAL_REDIS_WRITE_ADDRESS "": not an address; write host:port`,
		`JOURNAL_REDIS_READ_ADDRESS "redis-read": not an address; write host:port`,
		`JOURNAL_REDIS_PASSWORD_FILE "/nowhere": open /nowhere: no such file or directory; name a file with the password in it`,
		`JOURNAL_REDIS_MIN_REPLICAS "most": not a whole number from 0 to 8; write for example 0`,
		`JOURNAL_REDIS_PATIENCE "10": not a duration from 100ms to 1m`,
		`JOURNAL_MAX_IN_FLIGHT "0": not a whole number from 1 to 10000; write for example 100`,
		`JOURNAL_SHUTDOWN_DELAY "-1s": not a duration from 0s to 1m`,
		`JOURNAL_LOG_LEVEL "loud": not a level; write debug, info, warn or error`,
		`JOURNAL_READ_ONLY "yes": not a boolean; write true or false`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in\n%v", want, err)
		}
	}
	if err := run(t.Context(), []string{"--port=1"}, func(string) string { return "" }, io.Discard); err == nil ||
		!strings.Contains(err.Error(), `argument "--port=1"`) {
		t.Errorf("an argument gives %v", err)
	}
}
