package main

import (
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// victoriaLogs is the log store.
type victoriaLogs struct{ *backend }

func newVictoriaLogs(address *url.URL, log *slog.Logger) victoriaLogs {
	return victoriaLogs{newBackend("log store", address, log, 0)}
}

// ask answers with what the store says to a query, of which the fence is a part.
func (v victoriaLogs) ask(w http.ResponseWriter, r *http.Request, path string, form url.Values, sees fence) error {
	filters, err := sees.filters()
	if err != nil {
		return err
	}
	// The store runs the query of this pipe without the filters: it would show what a stream has from before the tenant.
	if !sees.everything && strings.Contains(strings.ToLower(form.Get("query")), "stream_context") {
		return refuse("query: the pipe stream_context is not served; ask for the pod, with start and end")
	}
	maps.Copy(withoutFilters(form), filters)
	return v.post(w, r, v.at(path), form)
}

// withoutFilters removes what would change the fence. No rule accepts it; this holds whatever is accepted one day.
func withoutFilters(form url.Values) url.Values {
	for name := range form {
		if strings.HasPrefix(name, "extra_") {
			form.Del(name)
		}
	}
	return form
}
