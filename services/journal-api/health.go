package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// healthy says that the process is alive. It never asks Redis: restarting the API because Redis is down would make things
// worse.
func (a *api) healthy(w http.ResponseWriter, _ *http.Request) error {
	return writeOK(w)
}

// ready says whether the pod accepts requests. It does not before this process has reached Redis once, so that a rollout with
// a wrong address or password stops, nor while it shuts down. Later outages of Redis change nothing: they would remove every
// pod at once, and with them the answer that names the problem.
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
