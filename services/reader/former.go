package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// settleTime is how old a namespace must be until nothing of an earlier namespace of its name reaches the store any more: the
	// metric store scrapes what is gone for a while, and an alert of it ends at its next evaluation.
	settleTime = 2 * time.Minute
	// clockSkew is how far the clocks of the API server and of the metric store may differ.
	clockSkew = 5 * time.Second
	// formerTimeout is how long the store may take to look, or to delete.
	formerTimeout = 10 * time.Second
	// formerInterval is how often namespaces are looked at that nobody has asked for.
	formerInterval = 30 * time.Second
)

// former removes the series of an earlier namespace from the name of the one that has it now. The store knows namespaces by their name
// alone, and no filter of a query can say from when on a series is another's. So, before anything is answered for a namespace, the
// store is asked for samples from before it was created. If there are any, the name was used before, and once nothing of that can
// arrive any more, all series of the name are deleted, also those of the new namespace until then.
//
// Nothing is remembered but that a namespace is clean. What the name was is in the store until it is deleted, so several readers that
// know nothing of each other, and one that was restarted, come to the same answer.
type former struct {
	store  victoriaMetrics
	log    *slog.Logger
	settle time.Duration
	// looks lets one request look at a namespace at once.
	looks *turns

	mu    sync.Mutex
	clean map[types.UID]time.Time
	// away is since when the store does not answer. It is zero while it does.
	away time.Time
}

func newFormer(store victoriaMetrics, log *slog.Logger, settle time.Duration) *former {
	return &former{store: store, log: log, settle: settle, looks: newTurns(1, queriesInAll), clean: map[types.UID]time.Time{}}
}

// isClean says whether the series of the name are known to be those of the namespace.
func (f *former) isClean(sees fence) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	begin, ok := f.clean[sees.uid]
	return ok && begin.Equal(sees.begin())
}

// remove returns when the series of the name are those of the namespace, or with an error.
func (f *former) remove(ctx context.Context, sees fence) error {
	if sees.uid == "" || sees.begin().IsZero() {
		return fmt.Errorf("a fence of %s without a UID or a beginning", sees.namespace)
	}
	if f.isClean(sees) {
		return nil
	}
	done, err := f.looks.wait(ctx, sees.namespace)
	if err != nil {
		return err
	}
	defer done()
	if f.isClean(sees) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, formerTimeout)
	defer cancel()
	err = f.look(ctx, sees)
	if errors.Is(err, context.Canceled) { // who asked is gone, and nothing is known of the store
		return err
	}
	f.report(err)
	var known apierrors.APIStatus
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case !errors.Is(err, errAway):
		f.log.Error("whether the name of a namespace was used before is not known", "namespace", sees.namespace, "error", err)
	}
	return f.store.away()
}

// report logs the beginning and the end of an outage of the store, however many namespaces are looked at meanwhile.
func (f *former) report(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch away := errors.Is(err, errAway); {
	case away && f.away.IsZero():
		f.away = time.Now()
		f.log.Error("the metric store is away: no namespace is served of which it is not known whether its name was used before", "error", err)
	case !away && !f.away.IsZero():
		f.log.Info("the metric store is back", "away", time.Since(f.away).Round(time.Second).String())
		f.away = time.Time{}
	}
}

// look asks the store, and deletes what is not of the namespace.
func (f *former) look(ctx context.Context, sees fence) error {
	age := time.Since(sees.begin())
	before := sees.begin().Add(-clockSkew)
	used, err := f.store.hasBefore(ctx, sees.namespace, before)
	if err != nil {
		return err
	}
	if used && age < f.settle {
		return notYet(sees.namespace, f.settle-age)
	}
	if used {
		f.log.Info("the name of the namespace was used before: its series are deleted", "namespace", sees.namespace, "uid", sees.uid)
		if err := f.store.delete(ctx, sees.namespace); err != nil {
			return err
		}
		if used, err = f.store.hasBefore(ctx, sees.namespace, before); err != nil || used {
			return fmt.Errorf("samples of an earlier namespace are still there: %w", err)
		}
	}
	if age >= f.settle { // until then, a sample from before may still be on its way
		f.mu.Lock()
		defer f.mu.Unlock()
		f.clean[sees.uid] = sees.begin()
	}
	return nil
}

// notYet is the error of a namespace whose name was another's a moment ago.
func notYet(namespace string, wait time.Duration) error {
	seconds := int(wait.Seconds()) + 1
	// Without a Retry-After: kubectl and programs with its library would wait for all of that time, and say nothing.
	status := apierrors.NewGenericServerResponse(http.StatusServiceUnavailable, "", groupVersion.WithResource(resourceMetrics).GroupResource(),
		"", "", 0, false)
	status.ErrStatus.Message = fmt.Sprintf("a namespace of the name %s was deleted, and its figures are still arriving; they are removed,"+
		" and those of the new namespace are there, in %d seconds", namespace, seconds)
	status.ErrStatus.Reason = metav1.StatusReasonServiceUnavailable
	return status
}

// watch looks at every namespace, until ctx ends, so that what is deleted is little, and no reader waits for it.
func (f *former) watch(ctx context.Context, all *namespaces) {
	ticker := time.NewTicker(min(formerInterval, max(f.settle/2, 10*time.Millisecond)))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		present := all.present()
		for _, sees := range present {
			if time.Since(sees.begin()) >= f.settle {
				_ = f.remove(ctx, sees) // it is in the log, and the next time is soon
			}
		}
		f.forget(present)
	}
}

// forget forgets the namespaces that are gone.
func (f *former) forget(present []fence) {
	uids := map[types.UID]bool{}
	for _, sees := range present {
		uids[sees.uid] = true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.clean, func(uid types.UID, _ time.Time) bool { return !uids[uid] })
}
