package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// patience is how long a step may take before progress reports what it waits for.
const patience = 5 * time.Second

// pluginOnPath begins the engine's warning that it found a plugin on PATH, which is how the toolchain provides plugins.
const pluginOnPath = "using pulumi-resource-"

// progress turns the engine's events into lines for a person, and counts the changes. The engine's own display prints two lines
// for each object that it only refreshes, and every update refreshes all of them.
type progress struct {
	out     io.Writer
	began   map[string]time.Time // by URN, for steps that run
	said    map[string]string    // by URN, the plugin's last message about a step
	failed  []error
	awaited int // updates without a difference
	changes map[string]int
}

func (p *progress) handle(event apitype.EngineEvent) {
	switch {
	case event.ResourcePreEvent != nil:
		p.began[event.ResourcePreEvent.Metadata.URN] = time.Now()
		if awaits(event.ResourcePreEvent.Metadata) {
			p.awaited++
		}
		if event.ResourcePreEvent.Planning {
			p.step("would ", event.ResourcePreEvent.Metadata)
		}
	case event.ResOutputsEvent != nil && !event.ResOutputsEvent.Planning:
		p.step("", event.ResOutputsEvent.Metadata)
	case event.DiagnosticEvent != nil:
		p.diagnose(*event.DiagnosticEvent)
	case event.SummaryEvent != nil:
		for operation, count := range event.SummaryEvent.ResourceChanges {
			if operation == apitype.OpUpdate {
				count -= p.awaited
			}
			if operation != apitype.OpSame && count > 0 {
				p.changes[string(operation)] += count
			}
		}
	}
}

// awaits says whether an update only waits. When an object was not ready at the refresh, as after a start of the cluster, the
// engine updates it to what it already is.
func awaits(step apitype.StepEventMetadata) bool {
	return step.Op == apitype.OpUpdate && step.New != nil && step.New.Custom && len(step.Diffs) == 0 && len(step.DetailedDiff) == 0
}

// step reports what was or would be done to an object of the cluster. It skips components and the stack itself.
func (p *progress) step(begin string, step apitype.StepEventMetadata) {
	custom := step.New != nil && step.New.Custom || step.Old != nil && step.Old.Custom
	if !custom || strings.HasPrefix(step.Type, "pulumi:") || awaits(step) {
		return
	}
	switch step.Op {
	case apitype.OpCreate, apitype.OpUpdate, apitype.OpDelete, apitype.OpCreateReplacement, apitype.OpDeleteReplaced:
		fmt.Fprintf(p.out, "%s%s %s\n", begin, step.Op, label(resource.URN(step.URN)))
	}
}

func (p *progress) diagnose(event apitype.DiagnosticEvent) {
	message := strings.TrimSpace(colors.Never.Colorize(event.Message))
	if message == "" || message == "update failed" || message == "preview failed" || strings.HasPrefix(message, pluginOnPath) {
		return
	}
	if urn := resource.URN(event.URN); urn != "" && urn.Type() != resource.RootStackType {
		message = label(urn) + ": " + message
	}
	began, runs := p.began[event.URN]
	switch {
	case event.Severity == "error":
		p.failed = append(p.failed, errors.New(message))
	case event.Severity == "warning":
		fmt.Fprintln(p.out, message)
	// A step's messages are of interest only if it takes long. Some repeat every few seconds.
	case runs && time.Since(began) > patience && p.said[event.URN] != message:
		p.said[event.URN] = message
		fmt.Fprintln(p.out, message)
	}
}

// explain returns the error of a failed operation, with what the engine said was wrong with each object.
func (p *progress) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted; run it again to finish: %w", ctx.Err())
	case len(p.failed) == 0:
		return plain(err)
	}
	return errors.Join(p.failed...)
}

// plain returns the message that the engine printed for a person, without the Automation API's transcript around it.
func plain(err error) error {
	if err == nil {
		return nil
	}
	if _, text, found := strings.Cut(err.Error(), "\nstderr: "); found && strings.TrimSpace(text) != "" {
		return errors.New(strings.TrimPrefix(strings.TrimSpace(text), "error: "))
	}
	return err
}

// label is the name of a resource in messages: its kind and its name in the program.
func label(urn resource.URN) string { return string(urn.Type().Name()) + " " + urn.Name() }
