package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"example.com/journal/services/internal/observe"
)

const (
	// overlap is how far a stream that begins anew looks back: lines reach the store some seconds after they were written.
	overlap = 15 * time.Second
	// longestPause is between two attempts to connect again.
	longestPause = 30 * time.Second
)

// viewer is one call of the program.
type viewer struct {
	options

	api     *observe.API
	asked   question
	stderr  io.Writer
	printer printer
}

// run shows what the flags ask.
func (v *viewer) run(ctx context.Context) error {
	if v.web {
		return v.serve(ctx)
	}
	sources, err := v.sources(ctx)
	if err != nil {
		return err
	}
	v.printer.namespaces = len(sources) > 1 || v.Everything
	lines, readable, err := v.history(ctx, sources)
	for _, line := range lines {
		if err := v.printer.print(line); err != nil {
			return err
		}
	}
	switch {
	case err != nil:
		return err
	case v.follow:
		return v.followAll(ctx, readable, lines)
	case len(lines) == 0:
		fmt.Fprintf(v.stderr, "no line in this window: from %s; --since looks further back\n", v.asked.start.UTC().Format(time.RFC3339))
	}
	return nil
}

// sources returns what the flags say to read.
func (v *viewer) sources(ctx context.Context) ([]observe.Source, error) {
	if v.claimed != "" {
		from := v.Home()
		from.Claimed = v.claimed
		return []observe.Source{from}, nil
	}
	return v.Sources(ctx, v.api)
}

// history lists the lines that are there, sorted by time, and returns the sources that may be read. With an error, what was read
// before it is returned.
func (v *viewer) history(ctx context.Context, sources []observe.Source) (lines []row, readable []observe.Source, err error) {
	readable, err = v.api.ReadEach(ctx, v.stderr, sources, func(from observe.Source) error {
		found, err := v.list(ctx, from, v.asked)
		if err != nil {
			return err
		}
		lines = append(lines, found...)
		if len(found) == v.asked.limit {
			v.cut(from, v.asked.limit)
		}
		return nil
	})
	if !v.asked.unordered {
		slices.SortStableFunc(lines, func(a, b row) int { return a.Time.Compare(b.Time) })
		lines = lines[max(0, len(lines)-v.asked.limit):]
	}
	return lines, readable, err
}

// cut says that there may be more lines than were asked for.
func (v *viewer) cut(from observe.Source, limit int) {
	fmt.Fprintf(v.stderr, "%s: only the newest %d lines; there may be older ones in this window, which --until, --since or --limit (%d at most) reach\n",
		from, limit, mostLines)
}

// followAll follows every source until ctx ends, or until each has failed.
func (v *viewer) followAll(ctx context.Context, sources []observe.Source, shown []row) error {
	var group sync.WaitGroup
	failed := make([]error, len(sources))
	start := v.asked.start
	if len(shown) == v.asked.limit { // what is older was not asked for
		start = shown[0].Time
	}
	for i, from := range sources {
		group.Go(func() {
			past := newPast(start)
			for _, line := range shown {
				if from.Namespace == "" || from.Namespace == line.Namespace {
					past.isNew(line)
				}
			}
			if failed[i] = v.followOne(ctx, from, past); failed[i] != nil && len(sources) > 1 {
				fmt.Fprintf(v.stderr, "no longer followed: %v\n", failed[i])
			}
		})
	}
	group.Wait()
	if len(sources) > 1 && ctx.Err() == nil {
		return errors.New("no namespace is left to follow")
	}
	return errors.Join(failed...)
}

// followOne follows one source, and connects again when the stream ends, until ctx ends or the source may not be read any more.
func (v *viewer) followOne(ctx context.Context, from observe.Source, past *past) error {
	pause, connected := v.pause, false
	for {
		begin := v.now()
		opened, err := v.stream(ctx, from, past)
		connected = connected || opened
		switch {
		case ctx.Err() != nil:
			return nil // as asked
		case apierrors.IsForbidden(err), apierrors.IsNotFound(err), apierrors.IsUnauthorized(err), apierrors.IsBadRequest(err),
			!connected && err != nil:
			return v.api.Explain(ctx, from, "watch", "logs", err)
		case v.now().Sub(begin) > longestPause:
			pause = v.pause
		}
		if err == nil {
			err = errors.New("the other side closed it")
		}
		fmt.Fprintf(v.stderr, "%s: the stream has ended: %v; connecting again\n", from, err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

// stream shows the lines of a source as they come. The stream begins with lines that come from now on, so what came since the last
// one that was shown is listed first.
func (v *viewer) stream(ctx context.Context, from observe.Source, past *past) (opened bool, err error) {
	body, err := v.watch(ctx, from)
	if err != nil {
		return false, err
	}
	defer func() { _ = body.Close() }()
	missed, err := v.list(ctx, from, question{query: v.asked.query, start: past.from(), limit: mostLines})
	if err != nil {
		return true, err
	}
	if len(missed) == mostLines {
		v.cut(from, mostLines)
	}
	slices.SortStableFunc(missed, func(a, b row) int { return a.Time.Compare(b.Time) })
	show := func(line row) error {
		if !past.isNew(line) {
			return nil
		}
		return v.printer.print(line)
	}
	for _, line := range missed {
		if err := show(line); err != nil {
			return true, err
		}
	}
	for line, err := range rows(body) {
		if err == nil {
			err = show(line)
		}
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

// past knows the lines of a source that were shown lately, so that none is shown twice.
type past struct {
	start, newest time.Time
	shown         map[string]time.Time
	// full is the number of lines after which those before the overlap are forgotten.
	full int
}

func newPast(start time.Time) *past {
	return &past{start: start, newest: start, shown: map[string]time.Time{}, full: mostLines}
}

// from is the time from which lines may be missing.
func (p *past) from() time.Time {
	if at := p.newest.Add(-overlap); at.After(p.start) {
		return at
	}
	return p.start
}

// isNew reports whether a line was not shown yet, and remembers it.
func (p *past) isNew(r row) bool {
	key := r.Time.Format(time.RFC3339Nano) + "\x00" + r.Namespace + "\x00" + r.Pod + "\x00" + r.Container + "\x00" + r.Text
	if r.Time.IsZero() {
		key = string(r.object)
	}
	if _, shown := p.shown[key]; shown {
		return false
	}
	p.shown[key] = r.Time
	if r.Time.After(p.newest) {
		p.newest = r.Time
	}
	if len(p.shown) > p.full {
		maps.DeleteFunc(p.shown, func(_ string, at time.Time) bool { return at.Before(p.from()) })
		p.full = 2*len(p.shown) + mostLines
	}
	return true
}
