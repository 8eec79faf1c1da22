package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// journal is a running API, as main would run it, and a client of it.
type journal struct {
	t            testing.TB
	url          string
	client       *http.Client
	passwordFile string
	log          *logBuffer
	stop         func() error // ends it as a signal would, and waits
}

// newJournal runs the API for a Redis of its own, or for the given one.
// env overrides the environment.
func newJournal(t testing.TB, server *redisServer, env map[string]string) *journal {
	t.Helper()
	environment := map[string]string{
		"JOURNAL_LISTEN_ADDRESS":      "127.0.0.1:0",
		"JOURNAL_REDIS_WRITE_ADDRESS": server.address,
		"JOURNAL_REDIS_USER":          "api",
		"JOURNAL_REDIS_PASSWORD_FILE": server.writeFile("password", server.password+"\n"),
		"JOURNAL_SHUTDOWN_DELAY":      "0s",
		"JOURNAL_LOG_LEVEL":           "debug",
	}
	maps.Copy(environment, env)
	ctx, cancel := context.WithCancel(context.Background())
	log := &logBuffer{address: make(chan string, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, nil, func(name string) string { return environment[name] }, log)
	}()
	j := &journal{
		t: t, log: log, passwordFile: environment["JOURNAL_REDIS_PASSWORD_FILE"],
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}},
	}
	j.stop = sync.OnceValue(func() error {
		j.client.CloseIdleConnections() // The server would wait 5 s for those without a request.
		cancel()
		return <-ended
	})
	select {
	case err := <-ended:
		t.Fatalf("the API ended: %v\n%s", err, log)
	case address := <-log.address:
		j.url = "http://" + address
	}
	t.Cleanup(func() {
		if err := j.stop(); err != nil {
			t.Errorf("the API ended: %v", err)
		}
		if strings.Contains(log.String(), server.password) {
			t.Error("the password is in the log")
		}
	})
	return j
}

// logBuffer keeps the log, and finds the address in it.
type logBuffer struct {
	mu      sync.Mutex
	buffer  bytes.Buffer
	address chan string
}

func (l *logBuffer) Write(line []byte) (int, error) {
	var record struct{ Msg, Address string }
	if json.Unmarshal(line, &record) == nil && record.Msg == "listening" {
		l.address <- record.Address
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(line)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

// answer is a response, read.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

// do sends a request. A body goes as application/json unless the header says
// otherwise; headers are "Name: value".
func (j *journal) do(method, path, body string, headers ...string) answer {
	j.t.Helper()
	request, err := http.NewRequest(method, j.url+path, strings.NewReader(body))
	if err != nil {
		j.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := j.client.Do(request)
	if err != nil {
		j.t.Error(err)
		return answer{t: j.t, header: http.Header{}}
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		j.t.Error(err)
	}
	return answer{j.t, response.StatusCode, response.Header, content}
}

func (j *journal) post(text string, headers ...string) answer {
	j.t.Helper()
	return j.do("POST", "/api/entries", textBody(text), headers...)
}

func (j *journal) create(text string) Entry {
	j.t.Helper()
	return j.post(text).is(http.StatusCreated).entry()
}

// keepPosting creates entries with the text, several at once, until stop is called.
// It gives the ids of those that were acknowledged.
func (j *journal) keepPosting(text string) (stop func() (acknowledged []string)) {
	var mu sync.Mutex
	var ids []string
	var writers sync.WaitGroup
	stopping := make(chan struct{})
	for range 4 {
		writers.Go(func() {
			for {
				select {
				case <-stopping:
					return
				default:
				}
				posted := j.post(text)
				if posted.status != http.StatusCreated {
					j.t.Errorf("status %d: %s", posted.status, posted.body)
					return
				}
				mu.Lock()
				ids = append(ids, posted.entry().ID)
				mu.Unlock()
			}
		})
	}
	stop = sync.OnceValue(func() []string {
		close(stopping)
		writers.Wait()
		return ids
	})
	j.t.Cleanup(func() { stop() })
	return stop
}

// list follows the cursors to the end.
func (j *journal) list(limit string) []Entry {
	j.t.Helper()
	var entries []Entry
	for path := "/api/entries?limit=" + limit; ; {
		part := j.do("GET", path, "").is(http.StatusOK).page()
		entries = append(entries, part.Entries...)
		if part.NextCursor == "" {
			return entries
		}
		path = "/api/entries?limit=" + limit + "&cursor=" + part.NextCursor
	}
}

func textBody(text string) string {
	body, _ := json.Marshal(map[string]string{"text": text})
	return string(body)
}

func (a answer) is(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// isProblem checks that the answer is a problem document with the status.
func (a answer) isProblem(status int) problem {
	a.t.Helper()
	a.is(status)
	if kind := a.header.Get("Content-Type"); kind != "application/problem+json" {
		a.t.Errorf("Content-Type %q, want a problem", kind)
	}
	p := decode[problem](a)
	if p.Status != status || p.Title == "" || p.Detail == "" || !strings.HasPrefix(p.Instance, "urn:uuid:") {
		a.t.Errorf("problem %+v, want all its members and status %d", p, status)
	}
	return p
}

// isUnavailable checks for a 503 that says when to come again.
func (a answer) isUnavailable() problem {
	a.t.Helper()
	p := a.isProblem(http.StatusServiceUnavailable)
	if a.header.Get("Retry-After") == "" {
		a.t.Error("503 without Retry-After")
	}
	return p
}

func (a answer) entry() Entry {
	a.t.Helper()
	return decode[Entry](a)
}

func (a answer) page() page {
	a.t.Helper()
	return decode[page](a)
}

func decode[T any](a answer) (value T) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, &value); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
	return value
}

// soon bounds the patience of tests that want to see it end.
var soon = map[string]string{"JOURNAL_REDIS_PATIENCE": (300 * time.Millisecond).String()}

func TestNoClientWritesLinesOfItsOwnIntoTheLog(t *testing.T) {
	t.Parallel()
	j := newJournal(t, newRedisServer(t), nil)
	const forged = "\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\x1b[31m"
	for _, path := range []string{"/api/entries/", "/none", "/api/entries?cursor="} {
		j.do("GET", path+url.QueryEscape(forged), "", "X-Request-Id: forged")
	}
	j.do("FORGED", "/api/entries", "")
	j.do("POST", "/api/entries", "{"+forged, "Idempotency-Key: forged")
	// What net/http refuses by itself is logged by it.
	for _, request := range []string{"GET /\x1b[31m HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: \x1b[31m\r\n\r\n", "forged" + forged + "\r\n\r\n"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(j.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, request)
		_, _ = conn.Read(make([]byte, 1<<10))
		_ = conn.Close()
	}
	if err := j.stop(); err != nil {
		t.Fatal(err)
	}
	requests := 0
	for line := range strings.Lines(j.log.String()) {
		var record struct{ Msg, Request string }
		if err := json.Unmarshal([]byte(line), &record); err != nil || record.Msg == "forged" || strings.Contains(line, "\x1b") {
			t.Errorf("%v: %q", err, line)
		}
		if record.Msg == "request" {
			requests++
			if uuid.Validate(record.Request) != nil {
				t.Errorf("the request is called %q", record.Request)
			}
		}
	}
	if requests != 5 {
		t.Errorf("%d requests are in the log, want 5:\n%s", requests, j.log)
	}
}

func TestAReadOnlyJournalIsReadAndRefusesEveryChange(t *testing.T) {
	server := newRedisServer(t)
	made := newJournal(t, server, nil).create("Written before.")
	j := newJournal(t, server, map[string]string{"JOURNAL_READ_ONLY": "true"})
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		j.do(method, "/api/entries/"+made.ID, `{"text": "Changed."}`).isProblem(http.StatusForbidden)
	}
	j.post("Another.").isProblem(http.StatusForbidden)
	if entries := j.list("10"); len(entries) != 1 || entries[0].Text != made.Text {
		t.Errorf("the entries are %+v", entries)
	}
}
