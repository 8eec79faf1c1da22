package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// healthy says that the process lives. It never asks Redis: to restart the API
// because Redis is away would only make things worse.
func (a *api) healthy(w http.ResponseWriter, _ *http.Request) error {
	return writeOK(w)
}

// ready says whether requests are welcome: not before this process has reached
// Redis once, so that a rollout with a wrong address or password stops, and not
// while shutting down. Later outages of Redis change nothing: they would take
// every pod away at once, and with them the answer that says what is wrong.
func (a *api) ready(w http.ResponseWriter, r *http.Request) error {
	if a.stopping.Load() {
		return refuse(http.StatusServiceUnavailable, "shutting down")
	}
	if a.reachedRedis.Load() {
		return writeOK(w)
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	if err := a.store.Ready(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	a.reachedRedis.Store(true)
	return writeOK(w)
}

func writeOK(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
	return nil
}
