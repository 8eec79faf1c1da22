package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"example.com/journal/services/internal/observe"
)

// viewer is one call of the program.
type viewer struct {
	options

	api            *observe.API
	stdout, stderr io.Writer
}

// run shows what the flags ask.
func (v *viewer) run(ctx context.Context) error {
	if v.web {
		return v.serve(ctx)
	}
	sources, err := v.Sources(ctx, v.api)
	if err != nil {
		return err
	}
	queries := summary
	if v.query != "" {
		queries = []string{v.query}
	}
	var all []series
	readable, err := v.api.ReadEach(ctx, v.stderr, sources, func(from observe.Source) error {
		for _, query := range queries {
			found, err := v.ask(ctx, from, query)
			if err != nil {
				return err
			}
			all = append(all, found...)
		}
		return nil
	})
	if len(readable) == 0 {
		return err
	}
	show := v.showSummary
	if v.query != "" {
		show = v.showResult
	}
	return errors.Join(show(readable, all), err)
}

// serve serves the store's page of one namespace: the dashboards, or what a query gives.
func (v *viewer) serve(ctx context.Context) error {
	link := "vmui/#/dashboards"
	if v.query != "" {
		link = "vmui/#/?" + url.Values{"g0.expr": {v.query}}.Encode()
	}
	// The page takes what stands before vmui/ for the address of its server, and asks below prometheus/ there.
	page := observe.Page{Probe: "prometheus/api/v1/query", Params: url.Values{"query": {"1"}}, Link: link}
	return v.api.Serve(ctx, v.Home(), page, v.stdout, v.stderr)
}

// series is one series of a result, with its value now.
type series struct {
	Metric map[string]string `json:"metric"`
	Value  value             `json:"value"`
}

// value is a sample as the store writes it: the time in seconds, and the number as a text.
type value struct {
	time json.Number
	text string
}

// UnmarshalJSON reads [TIME, "NUMBER"].
func (s *value) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&s.time, &s.text})
}

// MarshalJSON writes it as it was.
func (s value) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{s.time, s.text})
}

// ask returns what a query gives now. Each series of a namespace says which one, also if the query took the label away.
func (v *viewer) ask(ctx context.Context, from observe.Source, query string) ([]series, error) {
	ctx, cancel := context.WithTimeout(ctx, observe.Patience)
	defer cancel()
	body, err := v.api.Get(from).Param("query", query).MaxRetries(2).Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	var answer struct {
		Data struct {
			Type   string          `json:"resultType"`
			Result json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if answer.Data.Type != "vector" {
		return nil, fmt.Errorf("--query %q: gives a %s, and one value of each series must come; write for example last_over_time(…)", query, answer.Data.Type)
	}
	var found []series
	if err := json.Unmarshal(answer.Data.Result, &found); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	for i, s := range found {
		if s.Metric == nil {
			found[i].Metric = map[string]string{}
		}
		if from.Namespace != "" && s.Metric[namespaceLabel] == "" {
			found[i].Metric[namespaceLabel] = from.Namespace
		}
	}
	return found, nil
}

// writeTable writes rows below each other. What pods say of themselves stands in the cells, so no character of it goes unseen.
func (v *viewer) writeTable(rows [][]string) error {
	out := tabwriter.NewWriter(v.stdout, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = strings.ReplaceAll(observe.Escape(cell), "\t", " ")
		}
		if _, err := fmt.Fprintln(out, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return out.Flush()
}

// writeJSON writes one object as a line.
func (v *viewer) writeJSON(object any) error {
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(v.stdout, observe.EscapeJSON(string(text)))
	return err
}
