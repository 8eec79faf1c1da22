package main

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"example.com/journal/services/internal/observe"
)

// serve serves the store's page of one namespace, which shows what the flags ask.
func (v *viewer) serve(ctx context.Context) error {
	asked := url.Values{"query": {v.asked.query}, "limit": {strconv.Itoa(v.asked.limit)}, "g0.relative_time": {windowID(v.now().Sub(v.asked.start))}}
	return v.api.Serve(ctx, v.Home(), observe.Page{
		Probe:  "select/logsql/field_names",
		Params: url.Values{"query": {"*"}, "start": {v.now().Add(-time.Minute).UTC().Format(time.RFC3339)}},
		Link:   pagePath + "#/?" + asked.Encode(),
	}, v.printer.out, v.stderr)
}

// pagePath is where the store serves its page. The page takes what stands before it for the address of its server.
const pagePath = "select/vmui/"

// windows are the windows until now that the page offers, with their names in its link. With any other one the link must also have an
// end, and the page would show no line after it.
var windows = []struct {
	length time.Duration
	id     string
}{
	{5 * time.Minute, "last_5_minutes"},
	{15 * time.Minute, "last_15_minutes"},
	{30 * time.Minute, "last_30_minutes"},
	{time.Hour, "last_1_hour"},
	{3 * time.Hour, "last_3_hours"},
	{6 * time.Hour, "last_6_hours"},
	{12 * time.Hour, "last_12_hours"},
	{24 * time.Hour, "last_24_hours"},
	{2 * 24 * time.Hour, "last_2_days"},
	{7 * 24 * time.Hour, "last_7_days"},
	{30 * 24 * time.Hour, "last_30_days"},
	{90 * 24 * time.Hour, "last_90_days"},
	{180 * 24 * time.Hour, "last_180_days"},
	{365 * 24 * time.Hour, "last_1_year"},
}

// windowID returns the name of the shortest window that has all of a time before now. Some seconds more are those since the command began.
func windowID(before time.Duration) string {
	for _, window := range windows {
		if before.Truncate(10*time.Second) <= window.length {
			return window.id
		}
	}
	return windows[len(windows)-1].id
}
