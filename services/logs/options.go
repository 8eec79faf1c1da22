package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"example.com/journal/services/internal/observe"
)

// mostLines is the largest number of lines that the reader returns for one request.
const mostLines = 10000

// options are the flags, as they are written, and what differs between the program and its tests.
type options struct {
	observe.Flags
	claimed                          string
	pod, app, container, grep, query string
	since, until                     string
	sinceGiven                       bool
	limit                            int
	follow, web                      bool
	output                           string

	now func() time.Time
	// pause is how long to wait before the first attempt to connect again. It doubles with each.
	pause time.Duration
}

// question is what a request asks: a query in LogsQL, a window of time, and a number of lines.
type question struct {
	query string
	// start and end are the window; a zero end is now.
	start, end time.Time
	limit      int
	// unordered says that the order of the lines is the query's own.
	unordered bool
}

// check checks the flags, all together, and returns what they ask.
func (o options) check() (question, error) {
	var faults []error
	exclude := func(reason string, given map[string]bool) {
		if fault := observe.Exclude(reason, given); fault != nil {
			faults = append(faults, fault)
		}
	}
	if fault := o.CheckPlaces(); fault != nil {
		faults = append(faults, fault)
	}
	exclude("a namespace that is gone is one of a tenant", map[string]bool{"--claimed": o.claimed != "", "--all-namespaces": o.Everything})
	exclude("the page shows one namespace", map[string]bool{"--web": o.web, "--all-namespaces": o.Everything, "--claimed": o.claimed != ""})
	exclude("nothing comes after the end", map[string]bool{"--follow": o.follow, "--until": o.until != ""})
	exclude("nothing comes of a namespace that is gone", map[string]bool{"--follow": o.follow, "--claimed": o.claimed != ""})
	exclude("the page has its own", map[string]bool{"--web": o.web, "--follow": o.follow, "--until": o.until != "" && o.web, "--output json": o.output == "json" && o.web})
	filtered := o.pod != "" || o.app != "" || o.container != "" || o.grep != ""
	exclude("a query says everything itself", map[string]bool{"--query": o.query != "", "--pod, --app, --container or --grep": filtered})
	piped := strings.Contains(o.query, "|")
	exclude("lines after a pipe are not followed", map[string]bool{"--follow": o.follow, "--query with |": piped})
	if o.limit < 1 || o.limit > mostLines {
		faults = append(faults, fmt.Errorf("--limit %d: not from 1 to %d; narrow the window with --since and --until instead", o.limit, mostLines))
	}
	if o.output != "text" && o.output != "json" {
		faults = append(faults, fmt.Errorf("--output %q: must be one of text, json", o.output))
	}

	asked := question{query: o.logsQL(), limit: o.limit, unordered: piped}
	since := o.since
	if o.follow && !o.sinceGiven {
		since = "10s"
	}
	now := o.now()
	var err error
	if asked.start, err = moment("--since", since, now); err != nil {
		faults = append(faults, err)
	}
	if o.until != "" {
		if asked.end, err = moment("--until", o.until, now); err != nil {
			faults = append(faults, err)
		} else if !asked.start.Before(asked.end) {
			faults = append(faults, fmt.Errorf("--until %q: not after --since %q; both count back from now, so --since is the larger one", o.until, since))
		}
	}
	return asked, errors.Join(faults...)
}

// logsQL returns the query of the flags in LogsQL. What a flag says stands in quotes, so it is never read as a part of the language.
func (o options) logsQL() string {
	if o.query != "" {
		return o.query
	}
	var filters []string
	for _, exact := range []struct{ field, value string }{{"k8s.pod.name", o.pod}, {"k8s.container.name", o.container}, {"app", o.app}} {
		if exact.value != "" {
			filters = append(filters, fmt.Sprintf("%q:=%s", exact.field, strconv.Quote(exact.value)))
		}
	}
	if o.grep != "" {
		filters = append(filters, "_msg:*"+strconv.Quote(o.grep)+"*")
	}
	if len(filters) == 0 {
		return "*"
	}
	return strings.Join(filters, " ")
}

// moment reads a time of a flag: in RFC 3339, or how long before now.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	before, err := time.ParseDuration(text)
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		var number int
		number, err = strconv.Atoi(days)
		before = time.Duration(number) * 24 * time.Hour
	}
	if err != nil || before < 0 {
		return time.Time{}, fmt.Errorf("%s %q: no time before now and none in RFC 3339; write for example 90m, 7d or 2026-01-31T08:00:00Z", flag, text)
	}
	return now.Add(-before), nil
}
