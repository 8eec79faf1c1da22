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

// ready says whether requests are welcome: not while shutting down, and not
// while nothing can be read.
func (a *api) ready(w http.ResponseWriter, r *http.Request) error {
	if a.stopping.Load() {
		return refuse(http.StatusServiceUnavailable, "shutting down")
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	if err := a.store.Ready(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return writeOK(w)
}

func writeOK(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
	return nil
}
