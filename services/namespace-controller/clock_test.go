package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// witnesses are the two clocks that a clock listens to, set by hand.
type witnesses struct {
	*clock
	local, server time.Time
}

func newWitnesses() *witnesses {
	w := &witnesses{clock: newClock(), local: created.Add(-1000 * time.Hour), server: created}
	w.steady = func() time.Time { return w.local }
	w.heard(w.server)
	return w
}

// pass lets real time go by, and the apiserver answer after it.
func (w *witnesses) pass(d time.Duration) {
	w.local, w.server = w.local.Add(d), w.server.Add(d)
	w.heard(w.server)
}

// jump moves the apiserver's clock alone.
func (w *witnesses) jump(d time.Duration) {
	w.server = w.server.Add(d)
	w.heard(w.server)
}

func (w *witnesses) granted(t *testing.T, uid string, want time.Duration) {
	t.Helper()
	if got := w.now(types.UID(uid)).Sub(created); got != want {
		t.Errorf("grants %v, want %v", got, want)
	}
}

func TestTheClockBeforeAnyAnswerIsZero(t *testing.T) {
	t.Parallel()
	c := newClock()
	c.see("a")
	if !c.now("a").IsZero() {
		t.Errorf("tells %v", c.now("a"))
	}
}

func TestTheClockGoesOnBetweenAnswers(t *testing.T) {
	t.Parallel()
	w := newWitnesses()
	w.local = w.local.Add(time.Minute)
	w.granted(t, "a", time.Minute)
}

func TestAnApiserverThatJumpsAheadEndsNothingEarly(t *testing.T) {
	t.Parallel()
	w := newWitnesses()
	w.see("old")
	w.pass(time.Hour)
	w.jump(10 * time.Hour)
	w.granted(t, "old", time.Hour)
	w.pass(time.Hour)
	w.granted(t, "old", 2*time.Hour)
	w.granted(t, "new", 12*time.Hour) // Made after the jump, by the clock that counts from then on.
	w.jump(-10 * time.Hour)
	w.granted(t, "old", 2*time.Hour)
	w.granted(t, "new", 2*time.Hour)
}

func TestAnApiserverThatJumpsBackEndsNothingEarly(t *testing.T) {
	t.Parallel()
	w := newWitnesses()
	w.see("old")
	w.pass(3 * time.Hour)
	w.jump(-2 * time.Hour)
	w.granted(t, "old", time.Hour)
	w.jump(2 * time.Hour)
	w.granted(t, "old", 3*time.Hour)
}

func TestAForgottenClaimIsSeenAnew(t *testing.T) {
	t.Parallel()
	w := newWitnesses()
	w.see("a")
	w.jump(time.Hour)
	w.granted(t, "a", 0)
	w.forget("a")
	w.granted(t, "a", time.Hour)
}

func TestTheClockHearsTheDateOfEveryAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			w.Header().Set("Date", "yesterday")
			return
		}
		w.Header().Set("Date", created.Format(http.TimeFormat))
	}))
	defer server.Close()
	c := newClock()
	stopped := time.Now()
	c.steady = func() time.Time { return stopped }
	client := &http.Client{Transport: c.transport(http.DefaultTransport)}
	for _, path := range []string{"/", "/broken"} {
		response, err := client.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if !c.now("a").Equal(created) {
			t.Errorf("after %s it is %v, want %v", path, c.now("a"), created)
		}
	}
}
