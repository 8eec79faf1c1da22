package main

import (
	"context"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// What one person may have under way, and all together, in each pod. The page of the store asks for several things at once, and
// the command follows each namespace of a tenant by itself.
const (
	queriesPerUser = 20
	queriesInAll   = 400
	runningPerUser = 2 // the others wait, so that a few people do not have the whole store
	// runningMetrics is how many queries of all users run at the metric store. It answers six at once, so two readers leave two to
	// vmalert: otherwise one person's queries would keep the alerts of all from being evaluated.
	runningMetrics, runningMetricsPerUser = 2, 1
	followsPerUser                        = 10
	followsInAll                          = 200
)

// limiter counts what is under way, by user.
type limiter struct {
	perUser, inAll int

	mu    sync.Mutex
	users map[string]int
	all   int
}

func newLimiter(perUser, inAll int) *limiter {
	return &limiter{perUser: perUser, inAll: inAll, users: map[string]int{}}
}

// take counts one more for a user, until release is called, or says that there is no room.
func (l *limiter) take(user string) (release func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users[user] >= l.perUser || l.all >= l.inAll {
		return nil, false
	}
	l.users[user]++
	l.all++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all--
		if l.users[user]--; l.users[user] == 0 {
			delete(l.users, user)
		}
	}, true
}

// turns lets a bounded number of queries of each user run, and of all. The others wait.
type turns struct {
	perUser int
	all     chan struct{}

	mu    sync.Mutex
	users map[string]*turn
}

// turn is what the queries of one user take from, and how many of them run or wait.
type turn struct {
	slots   chan struct{}
	queries int
}

func newTurns(perUser, inAll int) *turns {
	return &turns{perUser: perUser, all: make(chan struct{}, inAll), users: map[string]*turn{}}
}

// wait returns when it is the user's turn, until release is called.
func (t *turns) wait(ctx context.Context, user string) (release func(), err error) {
	t.mu.Lock()
	own, ok := t.users[user]
	if !ok {
		own = &turn{slots: make(chan struct{}, t.perUser)}
		t.users[user] = own
	}
	own.queries++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if own.queries--; own.queries == 0 {
			delete(t.users, user)
		}
	}
	select {
	case own.slots <- struct{}{}:
	case <-ctx.Done():
		leave()
		return nil, apierrors.NewTimeoutError("other queries of yours are under way; try again when they have ended", 5)
	}
	select {
	case t.all <- struct{}{}:
		return func() { <-t.all; <-own.slots; leave() }, nil
	case <-ctx.Done():
		<-own.slots
		leave()
		return nil, apierrors.NewTimeoutError("queries of others are under way; try again soon", 5)
	}
}
