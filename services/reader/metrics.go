package main

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// maxPoints is how many points a series of an answer may have. The page asks for one in four of its pixels.
	maxPoints = 2000
	// defaultPoints is how many there are if the step is not given.
	defaultPoints = 100
	// maxMetricsAnswer is how long an answer of the metric store may be, in bytes.
	maxMetricsAnswer = 32 << 20
)

// metrics serves the figures of the metric store.
type metrics struct {
	store      store
	queries    *queries
	namespaces *namespaces
}

// metricsRules are the parameters of metrics. The timeout is Kubernetes' own, as for logs.
var metricsRules = map[string]rule{
	"query": expression, "time": instant, "start": instant, "end": instant, "step": step, "timeout": span(0, 24*time.Hour),
}

// list answers with figures of one moment, or of a time.
func (m *metrics) list(w http.ResponseWriter, r *http.Request, seen *request, t target, form url.Values) error {
	if err := accept(form, metricsRules); err != nil {
		return err
	}
	if form.Get("query") == "" {
		return refuse(`parameter "query": must be given, in MetricsQL, such as up`)
	}
	form.Del("timeout")
	path := "/api/v1/query"
	switch {
	case form.Has("start") && form.Has("time"):
		return refuse("time: a query has one moment, or a time from start to end; leave out time, or start and end")
	case form.Has("start"):
		path = "/api/v1/query_range"
		if !form.Has("end") {
			form.Set("end", strconv.FormatInt(time.Now().Unix(), 10))
		}
		if err := setStep(form); err != nil {
			return err
		}
	case form.Has("end") || form.Has("step"):
		return refuse(`parameter "start": must be given with end and step; for one moment, write time instead`)
	}
	sees, err := m.fence(r, t)
	if err != nil {
		return err
	}
	return m.queries.ask(w, r, seen.user, path, form, sees)
}

// fence returns what may be seen at a path.
func (m *metrics) fence(r *http.Request, t target) (fence, error) {
	if t.route == routeAll {
		return fence{everything: true}, nil
	}
	return m.namespaces.get(r.Context(), t.namespace)
}

// metricsQueries are the paths of the store that may be asked below the proxy, with their parameters. Its other ones change something,
// or see more than the fence: export and federate are for programs, metadata and status are of all namespaces, and rules, alerts
// and targets are those of the whole cluster. No parameter that begins with extra_ is accepted: the fence is one.
var metricsQueries = map[string]map[string]rule{
	"/api/v1/query": {
		"query": expression, "time": instant, "step": step, "nocache": boolOrDigit, "trace": no, "timeout": anything,
	},
	"/api/v1/query_range": {
		"query": expression, "start": instant, "end": instant, "step": step, "nocache": boolOrDigit, "trace": no, "timeout": anything,
	},
	"/api/v1/series":  labelRules,
	"/api/v1/labels":  labelRules,
	"/prettify-query": {"query": expression},
}

var labelRules = map[string]rule{
	"match[]": expression, "start": instant, "end": instant, "limit": upTo(maxLimit), "trace": no, "timeout": anything,
}

// labelValues is the path of the values of a label.
var labelValues = regexp.MustCompile(`^/api/v1/label/[A-Za-z_][A-Za-z0-9_]*/values$`)

// metricsFile is a file of the page of the store.
var metricsFile = regexp.MustCompile(
	`^/vmui/(assets/[A-Za-z0-9_-][A-Za-z0-9._-]*|dashboards/[A-Za-z]+\.(js|json)|[a-z]+\.(json|svg|jpg|txt)|custom-dashboards|timezone)?$`)

// proxy answers with the page of the store, and with what the page asks for. The page asks below /prometheus.
func (m *metrics) proxy(w http.ResponseWriter, r *http.Request, seen *request, t target, form url.Values) error {
	path := t.rest
	if below, ok := strings.CutPrefix(path, "/prometheus/"); ok {
		path = "/" + below
	}
	rules, known := metricsQueries[path]
	if labelValues.MatchString(path) {
		rules, known = labelRules, true
	}
	switch {
	case known:
		if err := accept(form, rules); err != nil {
			return err
		}
		switch {
		case path == "/api/v1/query_range":
			if err := setStep(form); err != nil {
				return err
			}
		case rules["limit"] != nil && !form.Has("limit"):
			form.Set("limit", strconv.Itoa(maxLimit))
		}
		sees, err := m.fence(r, t)
		if err != nil {
			return err
		}
		return m.queries.ask(w, r, seen.user, path, form, sees)
	case r.Method == http.MethodGet && metricsFile.MatchString(path):
		return m.store.file(w, r, path)
	}
	return errNothingHere()
}

// setStep sets the step if it is not given, and refuses one that makes too many points.
func setStep(form url.Values) error {
	for _, name := range []string{"start", "end"} {
		if !form.Has(name) {
			return refuse("parameter %q: must be given", name)
		}
	}
	start, _ := parseInstant(form.Get("start"))
	end, _ := parseInstant(form.Get("end"))
	took := end.Sub(start)
	if took < 0 {
		return refuse("end %q: must not be before start", form.Get("end"))
	}
	if !form.Has("step") {
		form.Set("step", max(took/defaultPoints, time.Second).Round(time.Second).String())
	}
	step, _ := parseStep(form.Get("step"))
	if least := took / maxPoints; step < least {
		return refuse("step %q: must be at least %s, so that there are at most %d points from start to end",
			form.Get("step"), least.Round(time.Millisecond)+time.Millisecond, maxPoints)
	}
	return nil
}

// instant is the rule of a moment as Prometheus writes it.
func instant(value string) string {
	if _, err := parseInstant(value); err != nil {
		return "must be a time in RFC 3339, such as 2026-01-31T12:00:00Z, or in seconds since 1970"
	}
	return ""
}

// latest is the last moment that is understood. A duration between two moments must fit its type.
const latest = 9_000_000_000

func parseInstant(text string) (time.Time, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if !(seconds >= 0 && seconds < latest) {
			return time.Time{}, fmt.Errorf("%q is no time", text)
		}
		return time.UnixMilli(int64(seconds * 1000)), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err == nil && (t.Unix() < 0 || t.Unix() >= latest) {
		return t, fmt.Errorf("%q is no time", text)
	}
	return t, err
}

// step is the rule of the time between two points.
func step(value string) string {
	if d, err := parseStep(value); err != nil || d < time.Millisecond || d > 10_000*24*time.Hour {
		return "must be a duration from 1ms to 10000d, or a number of seconds"
	}
	return ""
}

func parseStep(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if !(seconds > 0 && seconds < latest) {
			return 0, fmt.Errorf("%q is no duration", text)
		}
		return time.Duration(seconds * float64(time.Second)), nil
	}
	return parseDuration(text)
}

// no is the rule of a trace, which says how the store finds series of all namespaces.
func no(value string) string {
	if value != "0" && value != "false" {
		return "is not served; leave it out"
	}
	return ""
}
