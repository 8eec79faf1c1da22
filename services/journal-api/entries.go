package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

const (
	maxText = 10_000 // Unicode code points
	// maxBody holds maxText code points even if each is escaped as a pair of surrogates.
	maxBody           = 12*maxText + 1_000
	maxIdempotencyKey = 255 // bytes

	defaultPage = 20
	maxPage     = 100
)

// page is a part of the list, newest first. NextCursor leads to the next part; the last one has none.
type page struct {
	Entries    []Entry `json:"entries"`
	NextCursor string  `json:"nextCursor,omitempty"`
}

func (a *api) listEntries(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	limit := defaultPage
	if query.Has("limit") {
		var err error
		if limit, err = strconv.Atoi(query.Get("limit")); err != nil || limit < 1 || limit > maxPage {
			return refuse(http.StatusBadRequest, "limit %q: not a whole number from 1 to %d", query.Get("limit"), maxPage)
		}
	}
	// The cursor is the id of the last entry of the previous page: entries that are added or removed meanwhile neither repeat
	// nor hide others.
	cursor := query.Get("cursor")
	if query.Has("cursor") && !isID(cursor) {
		return refuse(http.StatusBadRequest, "cursor %q: not one that a list has returned", cursor)
	}
	entries, next, err := a.store.List(r.Context(), cursor, limit)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, page{Entries: entries, NextCursor: next})
}

func (a *api) createEntry(w http.ResponseWriter, r *http.Request) error {
	key := r.Header.Get("Idempotency-Key")
	if _, given := r.Header["Idempotency-Key"]; given && (key == "" || len(key) > maxIdempotencyKey) {
		return refuse(http.StatusBadRequest, "Idempotency-Key: %d bytes long; it may have 1 to %d", len(key), maxIdempotencyKey)
	}
	text, err := readText(w, r)
	if err != nil {
		return err
	}
	entry, replayed, err := a.store.Create(r.Context(), text, key)
	if err != nil {
		return err
	}
	if replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	w.Header().Set("Location", "/api/entries/"+entry.ID)
	return writeEntry(w, http.StatusCreated, entry)
}

func (a *api) getEntry(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	entry, err := a.store.Get(r.Context(), id)
	if err != nil {
		return err
	}
	return writeEntry(w, http.StatusOK, entry)
}

func (a *api) updateEntry(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	text, err := readText(w, r)
	if err != nil {
		return err
	}
	entry, err := a.store.Update(r.Context(), id, text, ifMatch(r))
	if err != nil {
		return err
	}
	return writeEntry(w, http.StatusOK, entry)
}

func (a *api) deleteEntry(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := a.store.Delete(r.Context(), id, ifMatch(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// pathID returns the id in the path. A text that is not an id names no entry.
func pathID(r *http.Request) (string, error) {
	id := r.PathValue("id")
	if !isID(id) {
		return "", ErrNotFound
	}
	return id, nil
}

// isID reports whether s is an id as Entry has it, in its only spelling.
func isID(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && id.Version() == 7 && id.String() == s
}

// ifMatch returns the version that the request requires, 0 for any, and -1 for an entity tag that no entry has, or for a list
// of tags.
func ifMatch(r *http.Request) int64 {
	tag := r.Header.Get("If-Match")
	if tag == "" || tag == "*" {
		return 0
	}
	number, _ := strconv.Unquote(tag)
	if version, err := strconv.ParseInt(number, 10, 64); err == nil && version > 0 {
		return version
	}
	return -1
}

// readText reads the body {"text": "…"} and checks it.
func readText(w http.ResponseWriter, r *http.Request) (string, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return "", refuse(http.StatusUnsupportedMediaType, "Content-Type %q: only application/json is understood",
			r.Header.Get("Content-Type"))
	}
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return "", refuse(http.StatusRequestEntityTooLarge, "the body is longer than %d bytes", maxBody)
	case err != nil:
		return "", refuse(http.StatusRequestTimeout, "the body did not arrive")
	}
	var body struct {
		Text string `json:"text"`
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		return "", refuse(http.StatusBadRequest, `body: %v; send {"text": "…"}`, err)
	}
	if decoder.More() {
		return "", refuse(http.StatusBadRequest, `body: something follows the object; send {"text": "…"}`)
	}
	length := utf8.RuneCountInString(body.Text)
	switch {
	case strings.TrimSpace(body.Text) == "":
		return "", refuse(http.StatusBadRequest, "text: empty; it needs 1 to %d characters", maxText)
	case length > maxText:
		return "", refuse(http.StatusBadRequest, "text: %d characters long; it may have 1 to %d", length, maxText)
	}
	return body.Text, nil
}

func writeEntry(w http.ResponseWriter, status int, entry Entry) error {
	w.Header().Set("ETag", `"`+strconv.FormatInt(entry.Version, 10)+`"`)
	return writeJSON(w, status, entry)
}

func writeJSON(w http.ResponseWriter, status int, body any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // It fails only if the client has gone.
	return nil
}
