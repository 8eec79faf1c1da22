package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// problem is an error as the client sees it (RFC 9457).
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Instance is the id of the request, as in the log.
	Instance string `json:"instance,omitempty"`
}

// statusClientGone is in logs and metrics only: nobody is left to read it.
const statusClientGone = 499

// retryAfter is in seconds. A request has been waiting for Redis already.
const retryAfter = "5"

// refusal is an error that the request itself caused.
type refusal struct {
	status int
	detail string
}

func (r *refusal) Error() string { return r.detail }

func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, detail: fmt.Sprintf(format, args...)}
}

// problemOf is the only place that maps errors to statuses. An unknown error is internal and shows nothing.
func problemOf(err error) problem {
	var refused *refusal
	p := problem{}
	switch {
	case errors.As(err, &refused):
		p.Status, p.Detail = refused.status, refused.detail
	case errors.Is(err, ErrNotFound):
		p.Status, p.Detail = http.StatusNotFound, "there is no entry with this id"
	case errors.Is(err, ErrVersionMismatch):
		p.Status, p.Detail = http.StatusPreconditionFailed, "the entry has changed meanwhile; read it again"
	case errors.Is(err, ErrKeyReused):
		p.Status, p.Detail = http.StatusUnprocessableEntity, "this Idempotency-Key came with another text before; use a new one"
	case errors.Is(err, ErrUncertain):
		p.Status = http.StatusServiceUnavailable
		p.Detail = "the journal's storage has not confirmed this: it may be kept, or not; try again soon, a new entry with the same Idempotency-Key"
	case errors.Is(err, ErrUnavailable):
		p.Status, p.Detail = http.StatusServiceUnavailable, "the journal's storage does not answer; try again soon"
	case errors.Is(err, ErrFull):
		p.Status, p.Detail = http.StatusInsufficientStorage, "the journal is full; entries can still be read and deleted"
	case errors.Is(err, context.Canceled):
		p.Status, p.Title = statusClientGone, "Client Gone"
	default:
		p.Status, p.Detail = http.StatusInternalServerError, "internal error"
	}
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	return p
}

// answer makes an http.Handler that writes the problem if h returns an error.
func (a *api) answer(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		err := h(w, r)
		if err == nil {
			return
		}
		p := problemOf(err)
		p.Instance = "urn:uuid:" + w.Header().Get(requestIDHeader)
		if p.Status >= http.StatusInternalServerError && !errors.As(err, new(*refusal)) {
			a.log.ErrorContext(r.Context(), "request failed", "request", w.Header().Get(requestIDHeader), "error", err)
		}
		if p.Status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(p.Status)
		_ = json.NewEncoder(w).Encode(p)
	})
}
