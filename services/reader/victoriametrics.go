package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// victoriaMetrics is the metric store.
type victoriaMetrics struct {
	*backend
	former *former
}

func newVictoriaMetrics(address *url.URL, log *slog.Logger, settle time.Duration) victoriaMetrics {
	v := victoriaMetrics{backend: newBackend("metric store", address, log, maxMetricsAnswer)}
	v.former = newFormer(v, log, settle)
	return v
}

// ask answers with what the store says to a query, of which the fence is a part. The store adds the label to every selector of the
// query, and to the series whose labels are asked for. It takes it from the address, whatever the body has.
func (v victoriaMetrics) ask(w http.ResponseWriter, r *http.Request, path string, form url.Values, sees fence) error {
	address := v.at(path)
	if !sees.everything {
		if sees.namespace == "" { // the store would take the empty value for series without the label
			return errors.New("a fence without a namespace")
		}
		if err := v.former.remove(r.Context(), sees); err != nil {
			return err
		}
		address.RawQuery = url.Values{"extra_label": {"namespace=" + sees.namespace}}.Encode()
	}
	return v.post(w, r, address, withoutFilters(form))
}

// selector is that of everything in a namespace.
func selector(namespace string) url.Values {
	return url.Values{"match[]": {"{namespace=" + strconv.Quote(namespace) + "}"}}
}

// hasBefore says whether there is a sample of a namespace's name from before a moment.
func (v victoriaMetrics) hasBefore(ctx context.Context, namespace string, moment time.Time) (bool, error) {
	ask := selector(namespace)
	ask.Set("start", "0")
	ask.Set("end", strconv.FormatInt(moment.Unix(), 10))
	// An export reads no more than its first bytes, however many samples there are. A query would count them all.
	ask.Set("reduce_mem_usage", "1")
	response, err := v.send(ctx, "/api/v1/export", ask)
	if err != nil {
		return false, err
	}
	defer func() { _ = response.Body.Close() }()
	switch n, err := io.ReadFull(response.Body, make([]byte, 1)); {
	case response.StatusCode != http.StatusOK:
		return false, fmt.Errorf("export of %s: %s", namespace, response.Status)
	case n > 0:
		return true, nil
	case errors.Is(err, io.EOF):
		return false, nil
	default:
		return false, fmt.Errorf("%w: export of %s: %w", errAway, namespace, err)
	}
}

// delete removes all series of a namespace's name, and the store's cached answers.
func (v victoriaMetrics) delete(ctx context.Context, namespace string) error {
	response, err := v.send(ctx, "/api/v1/admin/tsdb/delete_series", selector(namespace))
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusNoContent {
		return fmt.Errorf("deletion of the series of %s: %s", namespace, response.Status)
	}
	return nil
}

// errAway is that the store does not answer the reader itself, or only that it cannot.
var errAway = errors.New("the metric store is away")

// send asks the store for the reader itself.
func (v victoriaMetrics) send(ctx context.Context, path string, form url.Values) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, v.at(path).String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header["Idempotency-Key"] = nil // not sent: a store that was restarted is asked again on a new connection
	response, err := v.transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAway, err)
	}
	if response.StatusCode >= http.StatusInternalServerError {
		_ = response.Body.Close()
		return nil, fmt.Errorf("%w: %s: %s", errAway, path, response.Status)
	}
	return response, nil
}
