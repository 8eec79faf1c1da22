package main

import (
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// defaultLimit and maxLimit are numbers of lines. An answer goes through the API server, which is not made for exports.
	defaultLimit, maxLimit = 1000, 10_000
	// maxForm is the size of the parameters in a body, in bytes. The store takes a query of 16 KiB.
	maxForm = 64 << 10
	// maxBack is how far back a follow may start. The store holds that much in memory.
	maxBack = time.Minute
	// maxSteps and maxSeries are how many points and series a chart may have. The store makes a point for every step, whether there
	// are lines in it or not, so a small step of a long time would use up its memory.
	maxSteps, maxSeries = 2000, 100
	// followDelay is how old a line is before a follow shows it, so that lines which arrive late are in order. The store's own
	// default is five seconds.
	followDelay = "500ms"
)

// readForm returns the parameters of the address and, of a POST, of the body. A parameter that the store reads from anywhere else is
// not passed on.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method == http.MethodPost && r.ContentLength != 0 {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || kind != "application/x-www-form-urlencoded" {
			return nil, refuse("a POST must have the Content-Type application/x-www-form-urlencoded")
		}
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(readTimeout))
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, refuse("the parameters cannot be read; write them as name=value&name=value, in %d bytes at most", maxForm)
	}
	_ = control.SetReadDeadline(time.Time{}) // it would end the request
	return r.Form, nil
}

// rule says what the values of a parameter must be, or returns "".
type rule func(value string) string

// accept returns every parameter that the rules do not have, that is given more than once, or that breaks its rule.
func accept(form url.Values, rules map[string]rule) error {
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(form)) {
		check, known := rules[name]
		if !known {
			names := strings.Join(slices.Sorted(maps.Keys(rules)), ", ")
			faults = append(faults, fmt.Sprintf("parameter %q: must be one of %s", name, names))
			continue
		}
		if len(form[name]) > 1 {
			faults = append(faults, fmt.Sprintf("parameter %q: must be given once", name))
		}
		if must := check(form.Get(name)); must != "" {
			faults = append(faults, fmt.Sprintf("%s %q: %s", name, form.Get(name), must))
		}
	}
	if len(faults) > 0 {
		return refuse("%s", strings.Join(faults, "; "))
	}
	return nil
}

func anything(string) string { return "" }

func boolean(value string) string {
	// The API server takes any other value for true when it asks RBAC.
	if value != "true" && value != "false" {
		return "must be true or false"
	}
	return ""
}

func moment(value string) string {
	if _, err := time.Parse(time.RFC3339Nano, value); err != nil {
		return "must be a time in RFC 3339, such as 2026-01-31T12:00:00Z"
	}
	return ""
}

func name(value string) string {
	if len(validation.IsDNS1123Label(value)) > 0 {
		return "must be the name of a namespace"
	}
	return ""
}

// upTo returns the rule of a whole number from 1.
func upTo(most int) rule {
	return func(value string) string {
		if n, err := strconv.Atoi(value); err != nil || n < 1 || n > most {
			return fmt.Sprintf("must be a whole number from 1 to %d", most)
		}
		return ""
	}
}

// span returns the rule of a duration.
func span(least, most time.Duration) rule {
	return func(value string) string {
		if d, err := parseDuration(value); err != nil || d < least || d > most {
			return fmt.Sprintf("must be a duration from %s to %s", least, most)
		}
		return ""
	}
}

// parseDuration also takes days and weeks.
func parseDuration(text string) (time.Duration, error) {
	for unit, hours := range map[string]float64{"d": 24, "w": 7 * 24} {
		if count, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.ParseFloat(count, 64)
			if err != nil || n < 0 || n > 10_000 {
				return 0, fmt.Errorf("%q is no duration", text)
			}
			return time.Duration(n * hours * float64(time.Hour)), nil
		}
	}
	return time.ParseDuration(text)
}

// listRules are the parameters of logs. The timeout is Kubernetes' own: kubectl sends it for --request-timeout, and the API server
// sees to it before it forwards the request.
var listRules = map[string]rule{
	"query": anything, "start": moment, "end": moment, "limit": upTo(maxLimit), "watch": boolean, "claimed": name,
	"timeout": span(0, 24*time.Hour),
}

// storeQuery are the rules of a path of the store that asks for lines, and what is set if it is not given.
type storeQuery struct {
	rules    map[string]rule
	defaults url.Values
	// chart is that a point is made for every step.
	chart bool
	// follow is that the answer does not end.
	follow bool
}

// storeQueries are the paths of the store that may be asked below the proxy. Its other ones change something, or see more than the
// fence. Parameters beginning with extra_ are not among them: the fence is one, and the store does not end with a filter of the
// caller that has a query in it.
var storeQueries = func() map[string]storeQuery {
	with := func(more map[string]rule) map[string]rule {
		rules := map[string]rule{"query": anything, "start": anything, "end": anything, "ignore_pipes": boolOrDigit}
		maps.Copy(rules, more)
		return rules
	}
	values := storeQuery{rules: with(map[string]rule{"field": anything, "filter": anything, "limit": upTo(maxLimit)})}
	names := storeQuery{rules: with(map[string]rule{"filter": anything})}
	streams := storeQuery{rules: with(map[string]rule{"limit": upTo(maxLimit)})}
	return map[string]storeQuery{
		"/select/logsql/query": {
			rules:    with(map[string]rule{"limit": upTo(maxLimit), "offset": upTo(maxLimit), "format": anything}),
			defaults: url.Values{"limit": {strconv.Itoa(maxLimit)}},
		},
		"/select/logsql/tail": {
			rules:    map[string]rule{"query": anything, "start_offset": span(0, maxBack), "offset": span(0, time.Hour)},
			defaults: url.Values{"offset": {followDelay}},
			follow:   true,
		},
		"/select/logsql/hits": {
			rules: with(map[string]rule{
				"start": moment, "end": moment, "step": span(time.Millisecond, 10_000*24*time.Hour),
				"offset": span(-24*time.Hour, 24*time.Hour), "field": anything, "fields_limit": upTo(maxSeries),
			}),
			defaults: url.Values{"fields_limit": {"10"}},
			chart:    true,
		},
		"/select/logsql/facets": {rules: with(map[string]rule{
			"limit": upTo(1000), "max_values_per_field": upTo(maxLimit), "max_value_len": upTo(1000), "keep_const_fields": boolOrDigit,
		})},
		"/select/logsql/field_names":         names,
		"/select/logsql/field_values":        values,
		"/select/logsql/streams":             streams,
		"/select/logsql/stream_ids":          streams,
		"/select/logsql/stream_field_names":  names,
		"/select/logsql/stream_field_values": values,
		"/select/logsql/stats_query":         {rules: with(map[string]rule{"time": anything})},
		"/select/logsql/stats_query_range":   {rules: with(map[string]rule{"step": anything, "offset": anything})},
		"/select/logsql/query_time_range":    {rules: with(nil)},
	}
}()

func boolOrDigit(value string) string {
	if _, err := strconv.ParseBool(value); err != nil {
		return "must be true or false"
	}
	return ""
}

// check returns the parameters for the store, or what is wrong with them.
func (q storeQuery) check(form url.Values) (url.Values, error) {
	if err := accept(form, q.rules); err != nil {
		return nil, err
	}
	if q.chart {
		if err := checkSteps(form); err != nil {
			return nil, err
		}
	}
	complete := url.Values{}
	maps.Copy(complete, q.defaults)
	maps.Copy(complete, form)
	return complete, nil
}

// checkSteps refuses a chart of too many points.
func checkSteps(form url.Values) error {
	for _, name := range []string{"start", "end", "step"} {
		if form.Get(name) == "" {
			return refuse("parameter %q: must be given", name)
		}
	}
	start, _ := time.Parse(time.RFC3339Nano, form.Get("start"))
	end, _ := time.Parse(time.RFC3339Nano, form.Get("end"))
	step, _ := parseDuration(form.Get("step"))
	if least := end.Sub(start) / maxSteps; step < least {
		return refuse("step %q: must be at least %s, so that there are at most %d steps from start to end",
			form.Get("step"), least, maxSteps)
	}
	return nil
}
