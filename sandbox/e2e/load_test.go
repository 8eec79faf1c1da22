//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// load is a constant number of page visitors, readers and writers. None of them retries a request.
type load struct {
	mu                  sync.Mutex
	page, reads, writes requests
	acked               []string // ids, over all changes
}

// requests are the requests of one kind during a change.
type requests struct {
	failures []string
	times    []time.Duration
	last     time.Time
	gap      time.Duration // the longest time without a good answer
}

// startLoad puts load on the journal until the test ends, and then checks that every acknowledged entry is there.
func startLoad(t *testing.T) *load {
	l := &load{}
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	run := func(every time.Duration, kind *requests, method, path string, body any) {
		group.Go(func() {
			for tick := time.NewTicker(every); ctx.Err() == nil; <-tick.C {
				start := time.Now()
				status, answer, err := send(method, path, body)
				l.count(kind, start, status, answer, err)
			}
		})
	}
	for i := range 4 {
		run(100*time.Millisecond, &l.writes, http.MethodPost, "api/entries", map[string]string{"text": fmt.Sprintf("e2e change, writer %d", i)})
		if i%2 == 0 {
			run(50*time.Millisecond, &l.reads, http.MethodGet, "api/entries?limit=5", nil)
			run(50*time.Millisecond, &l.page, http.MethodGet, "", nil)
		}
	}
	t.Cleanup(func() {
		stop()
		group.Wait()
		all, err := list()
		if err != nil {
			t.Fatal(err)
		}
		if missing := missingFrom(l.acked, func(id string) bool { return all[id].ID != "" }); len(missing) > 0 {
			t.Errorf("%d of %d acknowledged entries are lost, such as %s", len(missing), len(l.acked), missing[0])
		} else {
			t.Logf("%d entries acknowledged, none lost", len(l.acked))
		}
		erase(t, l.acked)
	})
	return l
}

// count records one answer.
func (l *load) count(kind *requests, start time.Time, status int, answer []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kind.times = append(kind.times, time.Since(start))
	var created entry
	if err == nil && status == http.StatusCreated {
		err = json.Unmarshal(answer, &created)
	}
	if err != nil || status >= 300 {
		kind.failures = append(kind.failures, fmt.Sprintf("at %s after %s: status %d (%v) %s", start.Format("15:04:05.0"),
			time.Since(start).Round(time.Millisecond), status, err, answer[:min(200, len(answer))]))
		return
	}
	kind.gap = max(kind.gap, time.Since(kind.last))
	kind.last = time.Now()
	if created.ID != "" {
		l.acked = append(l.acked, created.ID)
	}
}

// during makes a change under load, reports how the requests went, and fails the test if any of them failed.
func (l *load) during(t *testing.T, what string, change func()) {
	t.Helper()
	l.mu.Lock()
	now := requests{last: time.Now()}
	l.page, l.reads, l.writes = now, now, now
	l.mu.Unlock()
	start := time.Now()
	change()
	took := time.Since(start)
	time.Sleep(2 * time.Second) // time for the answers to open requests
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("%s: %s; page: %s; reads: %s; writes: %s", what, took.Round(100*time.Millisecond), l.page.summary(), l.reads.summary(), l.writes.summary())
	for kind, r := range map[string]*requests{"visits of the page": &l.page, "reads": &l.reads, "writes": &l.writes} {
		if len(r.failures) > 0 {
			t.Errorf("%s: %d of %d %s failed:\n%s", what, len(r.failures), len(r.times), kind, strings.Join(r.failures[:min(5, len(r.failures))], "\n"))
		}
		if len(r.times) < 20 {
			t.Errorf("%s: %d %s show little", what, len(r.times), kind)
		}
	}
}

// summary says how the requests went so far.
func (r *requests) summary() string {
	if len(r.times) == 0 {
		return "none"
	}
	slices.Sort(r.times)
	at := func(share float64) time.Duration {
		return r.times[int(share*float64(len(r.times)-1))].Round(time.Millisecond)
	}
	return fmt.Sprintf("%d, %d failed, p50 %s, p99 %s, longest gap %s", len(r.times), len(r.failures), at(0.5), at(0.99),
		max(r.gap, time.Since(r.last)).Round(time.Millisecond))
}
