package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// done says in a word what a finished step was.
var done = map[apitype.OpType]string{
	apitype.OpCreate:            "created",
	apitype.OpUpdate:            "updated",
	apitype.OpDelete:            "deleted",
	apitype.OpCreateReplacement: "created anew",
	apitype.OpDeleteReplaced:    "deleted the old",
}

// planned says in a word what a step of a preview would do.
var planned = map[apitype.OpType]string{
	apitype.OpCreate:            "would create",
	apitype.OpUpdate:            "would update",
	apitype.OpDelete:            "would delete",
	apitype.OpCreateReplacement: "would replace",
}

// patience is how long a step may take before it is said what it waits for.
const patience = 5 * time.Second

// pluginOnPath begins the engine's warning that a plugin is found on PATH: that is how the toolchain hands it over.
const pluginOnPath = "using pulumi-resource-"

// progress turns the events of the engine's runs, one after the other, into lines for a person, and remembers what happened.
type progress struct {
	out     io.Writer
	stop    chan struct{} // of the run that is followed; nil for none
	stopped chan struct{}

	began   map[string]time.Time // by URN, for steps that run
	said    map[string]string    // by URN, the last that the plugin said about a step
	failed  []string
	changes map[string]int
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, began: map[string]time.Time{}, said: map[string]string{}, changes: map[string]int{}}
}

// follow handles what comes from the channel that it returns, until close or the next follow. The engine may end without
// closing the channel.
func (p *progress) follow() chan<- events.EngineEvent {
	p.close()
	incoming, stop, stopped := make(chan events.EngineEvent), make(chan struct{}), make(chan struct{})
	p.stop, p.stopped = stop, stopped
	go func() {
		defer close(stopped)
		for from := incoming; ; {
			select {
			case event, open := <-from:
				if !open {
					from = nil
					continue
				}
				p.handle(event.EngineEvent)
			case <-stop:
				return
			}
		}
	}()
	return incoming
}

// close ends the following. All events of an operation are handled when the operation has returned.
func (p *progress) close() {
	if p.stop == nil {
		return
	}
	close(p.stop)
	<-p.stopped
	p.stop = nil
}

func (p *progress) handle(event apitype.EngineEvent) {
	switch {
	case event.ResourcePreEvent != nil:
		p.began[event.ResourcePreEvent.Metadata.URN] = time.Now()
		if step := event.ResourcePreEvent; step.Planning {
			p.say(planned, step.Metadata, "")
		}
	case event.ResOutputsEvent != nil:
		if step := event.ResOutputsEvent; !step.Planning {
			p.say(done, step.Metadata, fmt.Sprintf(" (%.1f s)", time.Since(p.began[step.Metadata.URN]).Seconds()))
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

// say prints a step that changes an object of the cluster; components and the stack itself are none.
func (p *progress) say(words map[apitype.OpType]string, step apitype.StepEventMetadata, suffix string) {
	custom := step.New != nil && step.New.Custom || step.Old != nil && step.Old.Custom
	if word := words[step.Op]; word != "" && custom && !strings.HasPrefix(step.Type, "pulumi:") {
		p.print("%s %s%s", word, label(resource.URN(step.URN)), suffix)
	}
}

func (p *progress) diagnose(event apitype.DiagnosticEvent) {
	message := strings.TrimSpace(colors.Never.Colorize(event.Message))
	if message == "" {
		return
	}
	if event.URN != "" && resource.URN(event.URN).Type() != resource.RootStackType {
		message = label(resource.URN(event.URN)) + ": " + message
	}
	switch event.Severity {
	case "error":
		p.failed = append(p.failed, message)
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

func (p *progress) print(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...)
}

// explain is the error of a failed operation: what the engine said was wrong with each object.
func (p *progress) explain(ctx context.Context, err error) error {
	var errs []error
	for _, message := range p.failed {
		if message != "update failed" && message != "preview failed" {
			errs = append(errs, errors.New(message))
		}
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted; run it again to finish: %w", ctx.Err())
	case len(errs) == 0:
		return plain(err)
	}
	return errors.Join(errs...)
}
