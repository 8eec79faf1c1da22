package main

import (
	"context"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// queries asks a store for what ends, within the bounds of each user.
type queries struct {
	store    store
	underWay *limiter
	running  *turns
	// timeout is how long the store may work on a query.
	timeout time.Duration
}

// newQueries returns queries of which a number of each user and one of all run at the store, and the others wait.
func newQueries(s store, timeout time.Duration, perUser, running int) *queries {
	return &queries{store: s, timeout: timeout, underWay: newLimiter(queriesPerUser, queriesInAll), running: newTurns(perUser, running)}
}

// ask answers with what the store says, when it is the user's turn.
func (q *queries) ask(w http.ResponseWriter, r *http.Request, user, path string, form url.Values, sees fence) error {
	release, ok := q.underWay.take(user)
	if !ok {
		return apierrors.NewTooManyRequests("too many queries are under way, by you or by all; try again soon", 5)
	}
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), q.timeout+5*time.Second) // the store gives up by itself, and says so
	defer cancel()
	done, err := q.running.wait(ctx, user)
	if err != nil {
		return err
	}
	defer done()
	form.Set("timeout", q.timeout.String())
	return q.store.ask(w, r.WithContext(ctx), path, form, sees)
}
