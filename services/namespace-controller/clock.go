package main

import (
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// clock tells the time that decides about the end of a claim. Two witnesses must agree that a moment is past: the
// apiserver, by the Date of its answers, whose clock also wrote the claim's creation; and the steady (monotonic) clock
// of this process, counted from when it first saw the claim. So whichever clock jumps, no claim ends early: ahead, the
// steady clock holds it back; back, the apiserver's does.
//
// A paused machine does not count as time that went by. After a restart of all replicas the steady clock begins anew.
type clock struct {
	// steady reads the local clock; what counts is the difference of two readings.
	steady func() time.Time

	mu     sync.Mutex
	server reading               // The newest answer of the apiserver.
	seen   map[types.UID]reading // The first sight of each claim.
}

// reading is what the apiserver's clock said, and the steady clock at that moment.
type reading struct{ server, steady time.Time }

// at carries the reading on to a later moment of the steady clock.
func (r reading) at(steady time.Time) time.Time { return r.server.Add(steady.Sub(r.steady)) }

func newClock() *clock {
	return &clock{steady: time.Now, seen: map[types.UID]reading{}}
}

// heard takes in what the apiserver said the time was. A Date has whole seconds and took a moment to arrive, so the
// clock is up to a second slow: late, which is the side to err on.
func (c *clock) heard(date time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = reading{server: date, steady: c.steady()}
}

// see starts the steady clock of a claim, unless it runs.
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

// forget ends the steady clock of a claim.
func (c *clock) forget(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, uid)
}

// now returns the time that both witnesses grant a claim: the earlier one of theirs. Before the apiserver has said
// anything it is the zero time, at which nothing is over.
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

// transport lets the clock hear every answer that the apiserver gives through the wrapped one.
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
