package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// drift compares the cluster with what was deployed, and changes neither. It prints nothing if they are equal. What nobody has
// declared it does not see.
func drift(ctx context.Context, e engine, stdout io.Writer) error {
	var steps []step
	err := e.follow(ctx, func(event apitype.EngineEvent) {
		if event.ResOutputsEvent != nil {
			steps = append(steps, step{event.ResOutputsEvent.Metadata})
		}
	}, "refresh", "--preview-only", "--expect-no-changes")
	if err != nil && !failed(err, exitChanges) {
		return fmt.Errorf("the cluster was not compared with what was deployed: %w", err)
	}
	var found []string
	for _, s := range sorted(steps) {
		found = append(found, s.drifted()...)
	}
	if len(found) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(stdout, strings.Join(found, "\n")); err != nil {
		return err
	}
	return errDrift
}

// drifted returns a line for each difference between the resource and what was deployed.
func (s step) drifted() (lines []string) {
	if !s.custom() {
		return nil
	}
	if s.Op == apitype.OpDelete || s.New == nil {
		return []string{s.name() + ": it is gone"}
	}
	for _, c := range s.changes(outputs) {
		text := fmt.Sprintf("is %s, and %s was deployed", c.new, c.old)
		switch {
		case c.old == hidden || c.new == hidden:
			text = "is another secret than was deployed"
		case c.old == c.new: // the plugin has compared more than it tells
			text = "is another than was deployed"
		}
		lines = append(lines, fmt.Sprintf("%s: %s %s", s.name(), c.path, text))
	}
	if len(lines) == 0 && len(s.New.InitErrors) > 0 {
		lines = append(lines, fmt.Sprintf("%s: it is as deployed, and does not get ready: %s", s.name(), strings.Join(s.New.InitErrors, "; ")))
	}
	return lines
}
