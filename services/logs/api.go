package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"strconv"
	"time"

	"example.com/journal/services/internal/observe"
)

// kind is what this program reads.
var kind = observe.Kind{
	Resource: "logs",
	Gone:     "if it was claimed, read it in its tenant: --tenant TENANT --claimed %s",
	Busy:     "end another --follow or page of yours",
}

// row is one line, with the object that the store has of it.
type row struct {
	Time      time.Time `json:"_time"`
	Text      string    `json:"_msg"`
	Namespace string    `json:"k8s.namespace.name"`
	Pod       string    `json:"k8s.pod.name"`
	Container string    `json:"k8s.container.name"`

	object json.RawMessage
}

// list returns the newest lines of a source that answer the question, as the store sorts them.
func (v *viewer) list(ctx context.Context, from observe.Source, asked question) ([]row, error) {
	ctx, cancel := context.WithTimeout(ctx, observe.Patience)
	defer cancel()
	request := v.api.Get(from).Param("query", asked.query).
		Param("start", asked.start.UTC().Format(time.RFC3339Nano)).Param("limit", strconv.Itoa(asked.limit)).MaxRetries(2)
	if !asked.end.IsZero() {
		request.Param("end", asked.end.UTC().Format(time.RFC3339Nano))
	}
	body, err := request.Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	var all []row
	for r, err := range rows(body) {
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// watch opens the stream of lines that come from now on.
func (v *viewer) watch(ctx context.Context, from observe.Source) (io.ReadCloser, error) {
	return v.api.Get(from).Param("query", v.asked.query).Param("watch", "true").
		MaxRetries(0).Stream(ctx) // somebody with too many streams learns it at once
}

// rows reads lines until the stream ends, or gives the error that ends it.
func rows(body io.Reader) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		for decoder := json.NewDecoder(body); ; {
			var r row
			err := decoder.Decode(&r.object)
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil && json.Unmarshal(r.object, &r) != nil {
				r = row{object: r.object} // what a query calls so is something else
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
