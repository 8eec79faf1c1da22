package main

import (
	"context"
	"errors"
	"time"
)

// Entry is one entry of the journal.
type Entry struct {
	// ID is a UUID of version 7: ids sort by the time of creation.
	ID        string    `json:"id"`
	Text      string    `json:"text"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	// Version counts the changes, from 1. It is also the entity tag.
	Version int64 `json:"version"`
}

// Store keeps entries. Every write is atomic and is applied once, however often it is retried on the way.
type Store interface {
	// Create stores a new entry. An idempotency key that came with the same
	// text before gives the entry as it was created then, and replayed is
	// true; one that came with another text gives ErrKeyReused. No key, no check.
	Create(ctx context.Context, text, idempotencyKey string) (entry Entry, replayed bool, err error)
	Get(ctx context.Context, id string) (Entry, error)
	// List gives up to limit entries, newest first: those older than the entry
	// with the id before, which need not exist any more; "" starts at the newest.
	// next continues the list; "" is its end.
	List(ctx context.Context, before string, limit int) (entries []Entry, next string, err error)
	// Update replaces the text if the entry has the given version; 0 is any.
	Update(ctx context.Context, id, text string, version int64) (Entry, error)
	// Delete removes the entry if it has the given version; 0 is any.
	Delete(ctx context.Context, id string, version int64) error
	// Ready asks once, without waiting, whether entries can be read.
	Ready(ctx context.Context) error
	Close() error
}

// The errors of a Store.
var (
	ErrNotFound        = errors.New("no such entry")
	ErrVersionMismatch = errors.New("the entry has another version")
	ErrKeyReused       = errors.New("the idempotency key was used with another text")
	ErrUnavailable     = errors.New("the store does not answer")
	// ErrUncertain comes with ErrUnavailable when a write may have been applied nevertheless.
	ErrUncertain = errors.New("nobody knows whether it was written")
	ErrFull      = errors.New("the store is full")
)
