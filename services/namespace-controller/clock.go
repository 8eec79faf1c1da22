package main

import (
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// clock is the time by which claims end. A moment is past only when two clocks agree: the API server's, by the Date of its
// answers, which also wrote the claim's creation time; and this process's monotonic clock, counted from when it first saw the
// claim. No claim ends early if either jumps: if the API server's jumps ahead, the monotonic clock holds it back, and the
// other way round.
//
// Time during which a machine is paused does not count. After a restart of all replicas the monotonic clock starts anew.
type clock struct {
	// steady reads the monotonic clock. Only the difference of two readings counts.
	steady func() time.Time

	mu     sync.Mutex
	server reading               // The newest answer of the apiserver.
	seen   map[types.UID]reading // The first sight of each claim.
}

// reading is the API server's time, and the monotonic clock at that moment.
type reading struct{ server, steady time.Time }

// at returns the reading's time at a later moment of the monotonic clock.
func (r reading) at(steady time.Time) time.Time { return r.server.Add(steady.Sub(r.steady)) }

func newClock() *clock {
	return &clock{steady: time.Now, seen: map[types.UID]reading{}}
}

// heard records the API server's time. A Date has whole seconds and took a moment to arrive, so the clock is up to a second
// slow: claims may end late, but not early.
func (c *clock) heard(date time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = reading{server: date, steady: c.steady()}
}

// see starts the monotonic clock of a claim, unless it runs.
func (c *clock) see(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seeLocked(uid)
}

func (c *clock) seeLocked(uid types.UID) {
	if _, ok := c.seen[uid]; !ok && !c.server.server.IsZero() {
		steady := c.steady()
		c.seen[uid] = reading{server: c.server.at(steady), steady: steady}
	}
}

// forget stops the monotonic clock of a claim.
func (c *clock) forget(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, uid)
}

// now returns the earlier one of a claim's two times. Before the first answer of the API server it is the zero time, at which
// nothing has ended.
func (c *clock) now(uid types.UID) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server.server.IsZero() {
		return time.Time{}
	}
	c.seeLocked(uid)
	steady := c.steady()
	server, counted := c.server.at(steady), c.seen[uid].at(steady)
	if counted.Before(server) {
		return counted
	}
	return server
}

// transport wraps another one, and passes the Date of every answer of the API server to the clock.
func (c *clock) transport(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err == nil {
			if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
				c.heard(date)
			}
		}
		return response, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
