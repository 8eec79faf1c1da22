package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// apply does what a plan says, or refuses before it changes anything. It asks for the images before it runs the engine. It never skips
// the engine's preview, which finds out that the plan does not hold: without it the engine would find that out half-way.
func (p plan) apply(ctx context.Context, e engine, v verifier, stdout io.Writer) error {
	now, err := gather(ctx, e)
	if err != nil {
		return refused(err)
	}
	if err := p.facts.differences(now); err != nil {
		return refused(err)
	}
	images, err := v.verifyPlan(ctx, now, p.steps)
	if err != nil {
		return refused(err)
	}
	if err := now.Verify.said(stdout, images); err != nil {
		return err
	}
	steps, err := filepath.Abs(filepath.Join(p.dir, stepsName))
	if err != nil {
		return err
	}
	u := update{out: stdout}
	err = e.follow(ctx, u.handle, "up", "--yes", "--refresh", "--plan", steps)
	switch {
	case err != nil && !u.began:
		return refused(err)
	case err != nil:
		return fmt.Errorf("the update stopped after %d of %d changes: %w\nrepair that, plan again, and apply the rest", u.done, p.changes(), err)
	}
	_, err = fmt.Fprintf(stdout, "stack %s is as planned: %d changes\n", e.stack, u.done)
	return err
}

// changes is the number of steps of the plan.
func (p plan) changes() (sum int) {
	for _, count := range p.facts.Changes {
		sum += count
	}
	return sum
}

// refused is the reason why nothing was changed.
func refused(err error) error { return fmt.Errorf("refused, and nothing was changed:\n%w", err) }

// update follows an update.
type update struct {
	out io.Writer
	// began says whether a step has begun that changes something. Refreshing does not.
	began bool
	// done is the number of changes that have ended well.
	done int
}

func (u *update) handle(event apitype.EngineEvent) {
	switch {
	case event.ResourcePreEvent != nil && !event.ResourcePreEvent.Planning:
		switch event.ResourcePreEvent.Metadata.Op {
		case apitype.OpSame, apitype.OpRefresh, apitype.OpRead:
		default:
			u.began = true
		}
	case event.ResOutputsEvent != nil && !event.ResOutputsEvent.Planning:
		if s := (step{event.ResOutputsEvent.Metadata}); s.isChange() {
			u.done++
			fmt.Fprintf(u.out, "%s %s\n", s.Op, s.name())
		}
	case event.DiagnosticEvent != nil && event.DiagnosticEvent.Severity == "warning":
		message := strings.TrimSpace(withoutValues(event.DiagnosticEvent.Message))
		if !strings.HasPrefix(message, "using pulumi-resource-") { // where the plugin was found
			fmt.Fprintln(u.out, message)
		}
	}
}
