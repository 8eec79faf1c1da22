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

// words say what a finished step was, and what a step of a preview would do.
var words = map[apitype.OpType]struct{ done, planned string }{
	apitype.OpCreate:            {"created", "would create"},
	apitype.OpUpdate:            {"updated", "would update"},
	apitype.OpDelete:            {"deleted", "would delete"},
	apitype.OpCreateReplacement: {"created anew", "would replace"},
	apitype.OpDeleteReplaced:    {"deleted the old", ""},
}

// patience is how long a step may take before it is said what it waits for.
const patience = 5 * time.Second

// pluginOnPath begins the engine's warning that a plugin is found on PATH: that is how the toolchain hands it over.
const pluginOnPath = "using pulumi-resource-"

// progress turns the events of the engine into lines for a person, and remembers what happened.
type progress struct {
	out     io.Writer
	began   map[string]time.Time // by URN, for steps that run
	said    map[string]string    // by URN, the last that the plugin said about a step
	failed  []error
	changes map[string]int
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, began: map[string]time.Time{}, said: map[string]string{}, changes: map[string]int{}}
}

func (p *progress) handle(event apitype.EngineEvent) {
	switch {
	case event.ResourcePreEvent != nil:
		step := event.ResourcePreEvent
		p.began[step.Metadata.URN] = time.Now()
		if word := words[step.Metadata.Op].planned; step.Planning && word != "" && isObject(step.Metadata) {
			p.print("%s %s", word, label(step.Metadata.URN))
		}
	case event.ResOutputsEvent != nil:
		step := event.ResOutputsEvent
		if word := words[step.Metadata.Op].done; !step.Planning && word != "" && isObject(step.Metadata) {
			p.print("%s %s (%.1f s)", word, label(step.Metadata.URN), time.Since(p.began[step.Metadata.URN]).Seconds())
		}
	case event.DiagnosticEvent != nil:
		p.diagnose(*event.DiagnosticEvent)
	case event.SummaryEvent != nil:
		for operation, count := range event.SummaryEvent.ResourceChanges {
			if operation != apitype.OpSame && count > 0 {
				p.changes[string(operation)] += count
			}
		}
	}
}

// isObject says whether a step is about an object of the cluster; components and the stack itself are none.
func isObject(step apitype.StepEventMetadata) bool {
	custom := step.New != nil && step.New.Custom || step.Old != nil && step.Old.Custom
	return custom && !strings.HasPrefix(step.Type, "pulumi:")
}

func (p *progress) diagnose(event apitype.DiagnosticEvent) {
	message := strings.TrimSpace(colors.Never.Colorize(event.Message))
	if message == "" {
		return
	}
	if event.URN != "" && resource.URN(event.URN).Type() != resource.RootStackType {
		message = label(event.URN) + ": " + message
	}
	switch event.Severity {
	case "error":
		if message != "update failed" && message != "preview failed" {
			p.failed = append(p.failed, errors.New(message))
		}
	case "warning":
		if !strings.HasPrefix(message, pluginOnPath) {
			p.print("%s", message)
		}
	case "info", "info#err":
		// What a step waits for is of interest when it takes long. Some say the same every few seconds.
		began, runs := p.began[event.URN]
		if runs && time.Since(began) > patience && p.said[event.URN] != message {
			p.said[event.URN] = message
			p.print("%s", message)
		}
	}
}

func (p *progress) print(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// explain is the error of a failed operation: what the engine said was wrong with each object.
func (p *progress) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted; run it again to finish: %w", ctx.Err())
	case len(p.failed) == 0:
		return plain(err)
	}
	return errors.Join(p.failed...)
}

// plain is the message that the engine printed for a person, without the Automation API's transcript around it.
func plain(err error) error {
	if err == nil {
		return nil
	}
	if _, text, found := strings.Cut(err.Error(), "\nstderr: "); found && strings.TrimSpace(text) != "" {
		return errors.New(strings.TrimPrefix(strings.TrimSpace(text), "error: "))
	}
	return err
}

// label is what a person calls a resource: its kind and its name in the program.
func label(urn string) string {
	return string(resource.URN(urn).Type().Name()) + " " + resource.URN(urn).Name()
}
