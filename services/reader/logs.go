package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// logs serves the lines of the log store.
type logs struct {
	store      store
	queries    *queries
	follows    *limiter
	namespaces *namespaces
	requests   *requestMetrics
	// followTimeout is how long a follow may last.
	followTimeout time.Duration
	// stopping ends when the program shall end.
	stopping context.Context
}

// list answers with lines, or follows them.
func (l *logs) list(w http.ResponseWriter, r *http.Request, seen *request, t target, form url.Values) error {
	if err := accept(form, listRules); err != nil {
		return err
	}
	watch, claimed := form.Get("watch") == "true", form.Get("claimed")
	if claimed != "" && (watch || t.route == routeAll) {
		return refuse("claimed: a namespace that is gone cannot be followed, and belongs to the home namespace of its tenant;" +
			" leave out watch, and ask in that namespace")
	}
	ask := url.Values{"query": {"*"}}
	if query := form.Get("query"); query != "" {
		ask.Set("query", query)
	}
	if watch {
		seen.follow = true
		back, err := startOffset(form)
		if err != nil {
			return err
		}
		ask.Set("start_offset", back.String())
		ask.Set("offset", followDelay)
	} else {
		ask.Set("limit", strconv.Itoa(defaultLimit))
		for _, name := range []string{"start", "end", "limit"} {
			if form.Has(name) {
				ask.Set(name, form.Get(name))
			}
		}
	}
	sees := fence{everything: true}
	if t.route == routeNamespace {
		var err error
		if sees, err = l.namespaces.get(r.Context(), t.namespace); err != nil {
			return err
		}
	}
	if claimed != "" {
		var err error
		if sees, err = l.namespaces.claimed(r.Context(), sees, claimed); err != nil {
			return err
		}
	}
	if watch {
		return l.follow(w, r, seen, "/select/logsql/tail", ask, sees)
	}
	return l.queries.ask(w, r, seen.user, "/select/logsql/query", ask, sees)
}

// startOffset returns how far back a follow starts, in the form of the store.
func startOffset(form url.Values) (time.Duration, error) {
	for _, name := range []string{"end", "limit"} {
		if form.Has(name) {
			return 0, refuse("%s: a follow has no end; leave it out, or leave out watch", name)
		}
	}
	if !form.Has("start") {
		return 0, nil
	}
	start, _ := time.Parse(time.RFC3339Nano, form.Get("start"))
	back := time.Since(start)
	if back > maxBack+time.Second { // the request was under way
		return 0, refuse("start %q: a follow starts at most %s ago; read what is older without watch", form.Get("start"), maxBack)
	}
	return max(back, 0), nil
}

// asset is a file of the page of the store.
var asset = regexp.MustCompile(`^/select/vmui/(assets/[A-Za-z0-9_-][A-Za-z0-9._-]*|[a-z]+\.(json|svg|jpg|txt))?$`)

// proxy answers with the page of the store, and with what the page asks for.
func (l *logs) proxy(w http.ResponseWriter, r *http.Request, seen *request, t target, form url.Values) error {
	ask, known := storeQueries[t.rest]
	switch {
	case known:
		complete, err := ask.check(form)
		if err != nil {
			return err
		}
		sees, err := l.namespaces.get(r.Context(), t.namespace)
		if err != nil {
			return err
		}
		if ask.follow {
			seen.follow = true
			return l.follow(w, r, seen, t.rest, complete, sees)
		}
		return l.queries.ask(w, r, seen.user, t.rest, complete, sees)
	case r.Method == http.MethodGet && (asset.MatchString(t.rest) || t.rest == "/select/buildinfo"):
		return l.store.file(w, r, t.rest)
	}
	return errNothingHere()
}

// errEnded is why a follow ends that its reader has not ended.
var errEnded = errors.New("the namespace is gone or belongs to somebody else, the time is up, or the reader stops")

// follow asks for what does not end, until the namespace is another one or the time is up.
func (l *logs) follow(w http.ResponseWriter, r *http.Request, seen *request, path string, form url.Values, sees fence) error {
	if hasPipe(form.Get("query")) {
		return refuse("query: a follow has no pipes; leave them out, or leave out watch")
	}
	release, ok := l.follows.take(seen.user)
	if !ok {
		return apierrors.NewTooManyRequests("too many logs are followed, by you or by all; end one, or try again later", 30)
	}
	defer release()
	ctx, end := context.WithCancelCause(r.Context())
	defer end(nil)
	defer context.AfterFunc(l.stopping, func() { end(errEnded) })()
	defer time.AfterFunc(l.followTimeout, func() { end(errEnded) }).Stop()
	if !sees.everything {
		letGo, err := l.namespaces.hold(sees, func() { end(errEnded) })
		if err != nil {
			return err
		}
		defer letGo()
	}
	l.requests.follows.Inc()
	defer l.requests.follows.Dec()
	deadline(w, l.followTimeout+10*time.Second) // one who does not read is not waited for
	// An answer that is cut off panics, so that the client learns of it. One that we end is whole.
	defer func() {
		if fault := recover(); fault != nil && !errors.Is(context.Cause(ctx), errEnded) {
			panic(fault)
		}
	}()
	err := l.store.ask(w, r.WithContext(ctx), path, form, sees)
	if errors.Is(context.Cause(ctx), errEnded) {
		return nil
	}
	return err
}

// hasPipe says whether a query may have a pipe. The store holds all rows of a follow's look in memory, and a pipe such as unroll or
// join makes a million of one line. Where it takes a comment or an escape to know, there may be one.
func hasPipe(query string) bool {
	if strings.ContainsAny(query, "#'`\\") {
		return strings.Contains(query, "|")
	}
	for i, part := range strings.Split(query, `"`) {
		if i%2 == 0 && strings.Contains(part, "|") { // outside of quotes
			return true
		}
	}
	return false
}

// deadline sets how long an answer may take to be written.
func deadline(w http.ResponseWriter, timeout time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout))
}
