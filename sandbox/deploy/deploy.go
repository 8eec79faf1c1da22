// Package deploy runs a stack of the repository on a cluster with Pulumi's Automation API. The program is the same stacks.Deploy
// that main.go runs, the state is a folder on this machine, and the toolchain built the engine and its plugins. The package
// neither reads nor writes the home, the backend and the passphrase of the user's own Pulumi, nor the user's kubeconfig.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"

	"example.com/journal/sandbox/cache"
	"example.com/journal/stacks"
)

const (
	// parallel is how many objects the engine works on at a time.
	parallel = 64
	// passwordType is the type of the resource that the program cannot create again with the same value.
	passwordType = "random:index/randomPassword:RandomPassword"
)

// ErrNotDeployed says that a stack was never brought up, or was destroyed.
var ErrNotDeployed = errors.New("the stack is not deployed")

// Config says which stack goes where.
type Config struct {
	// Repo is the folder of Pulumi.yaml and Pulumi.<stack>.yaml. Nothing is written there.
	Repo string
	// Stack is the stack's name.
	Stack string
	// Dir holds the programs that the toolchain built.
	Dir cache.Dir
	// State is the folder that keeps the state of the cluster's stacks.
	State string
	// Kubeconfig is the path of the cluster's kubeconfig.
	Kubeconfig string
	// Overrides are values of the project's configuration by path, such as redis.storage.class. They replace those of the stack's
	// file; nil removes one.
	Overrides map[string]any
	// Progress gets a line for each step, without colors.
	Progress io.Writer
}

// Stack is a stack of the repository on one cluster.
type Stack struct {
	config  Config
	project *workspace.Project
}

// Result is what an operation did, or what a preview would do.
type Result struct {
	// Changes is the number of objects by operation, such as create and update. It is empty when nothing changed.
	Changes map[string]int
	// Outputs are the stack's outputs, without the secret ones.
	Outputs map[string]any
}

// Open checks the configuration of a stack, and so reports all of its errors at once before anything starts.
func Open(config Config) (*Stack, error) {
	if err := stacks.Check(config.Repo, config.Stack); err != nil {
		return nil, err
	}
	return open(config)
}

func open(config Config) (*Stack, error) {
	project, err := workspace.LoadProject(filepath.Join(config.Repo, "Pulumi.yaml"))
	return &Stack{config: config, project: project}, err
}

// Up makes the cluster what the stack declares. It also finishes what a killed run has begun.
//
// The engine writes the whole state after every step, so the time would grow with the square of the stack's size. Up has it
// write only once, at the end. After a killed run, the next run applies the same objects and so finds them again: the name and
// field manager of each are fixed. Only the secret from which the passwords derive cannot be found again, so Up first creates
// it, in an update of its own that writes the state after each step.
func (s *Stack) Up(ctx context.Context) (Result, error) {
	return s.run(ctx, s.declared, func(stack auto.Stack, events chan<- events.EngineEvent) (auto.OutputMap, error) {
		if err := s.makePassword(ctx, stack); err != nil {
			return nil, err
		}
		killed := exists(s.mark())
		if err := os.WriteFile(s.mark(), nil, 0o600); err != nil {
			return nil, err
		}
		writeOnce(stack)
		result, err := stack.Up(ctx, optup.Parallel(parallel), optup.Color("never"), optup.SuppressProgress(), optup.Refresh(),
			optup.EventStreams(events))
		if err != nil {
			// An engine that has ended by itself has written its state and released its lock. What was lost earlier is still lost.
			if locked, _ := s.engineLock(); !locked && !killed {
				err = errors.Join(err, os.Remove(s.mark()))
			}
			return nil, err
		}
		if killed {
			if err := s.deleteOrphans(ctx); err != nil {
				return nil, fmt.Errorf("delete what an earlier run has left: %w", err)
			}
		}
		return result.Outputs, os.Remove(s.mark())
	})
}

// makePassword creates the secret from which all passwords derive, unless the state has it.
func (s *Stack) makePassword(ctx context.Context, stack auto.Stack) error {
	state, err := readState(s.stateFile(s.config.Stack))
	if err != nil || slices.ContainsFunc(state.Resources, func(r apitype.ResourceV3) bool { return r.Type == passwordType }) {
		return err
	}
	_, err = stack.Up(ctx, optup.Color("never"), optup.SuppressProgress(), optup.Target([]string{"**:RandomPassword::*"}))
	return err
}

// writeOnce has the engine write the state of the stack once, at the end of each operation.
func writeOnce(stack auto.Stack) { stack.Workspace().SetEnvVar("PULUMI_SKIP_CHECKPOINTS", "true") }

// Preview reports what Up would do, and changes nothing.
func (s *Stack) Preview(ctx context.Context) (Result, error) {
	return s.run(ctx, s.declared, func(stack auto.Stack, events chan<- events.EngineEvent) (auto.OutputMap, error) {
		_, err := stack.Preview(ctx, optpreview.Parallel(parallel), optpreview.Color("never"), optpreview.SuppressProgress(),
			optpreview.Refresh(), optpreview.EventStreams(events))
		return nil, err
	})
}

// Destroy deletes all objects of the stack from the cluster, with their data. After a killed run it refuses, since the state does
// not list all objects until Up has run again. It deletes all objects or none; the engine would stop halfway at a protected
// object.
func (s *Stack) Destroy(ctx context.Context) (Result, error) {
	return s.run(ctx, s.destroyable, func(stack auto.Stack, events chan<- events.EngineEvent) (auto.OutputMap, error) {
		writeOnce(stack)
		_, err := stack.Destroy(ctx, optdestroy.Parallel(parallel), optdestroy.Color("never"), optdestroy.SuppressProgress(),
			optdestroy.EventStreams(events))
		return nil, err
	})
}

// destroyable returns the stack as an earlier Up left it, if all of it can be deleted.
func (s *Stack) destroyable(ctx context.Context) (auto.Stack, error) {
	if exists(s.mark()) {
		return auto.Stack{}, errors.New("an earlier run was killed before it could write down what it made; run up first, so that nothing is left behind")
	}
	state, err := readState(s.stateFile(s.config.Stack))
	if err != nil {
		return auto.Stack{}, err
	}
	var protected []string
	for _, r := range state.Resources {
		if r.Protect && r.Custom {
			protected = append(protected, label(r.URN))
		}
	}
	if len(protected) > 0 {
		return auto.Stack{}, fmt.Errorf("%s: protected, with all that is in there, and nothing was deleted; if all of it may go, write %s:cluster: {unprotected: true} into the stack's file, run up, and try again",
			strings.Join(protected, ", "), s.project.Name)
	}
	return s.deployed(ctx)
}

// Outputs returns the outputs of the last Up that are not secret, or ErrNotDeployed.
func (s *Stack) Outputs(ctx context.Context) (map[string]any, error) {
	stack, err := s.deployed(ctx)
	var outputs auto.OutputMap
	if err == nil {
		outputs, err = stack.Outputs(ctx)
	}
	if err == nil && len(outputs) == 0 {
		err = ErrNotDeployed
	}
	if err != nil {
		return nil, fmt.Errorf("stack %q: %w", s.config.Stack, plain(err))
	}
	return public(outputs), nil
}

// operation is one run of the engine.
type operation func(auto.Stack, chan<- events.EngineEvent) (auto.OutputMap, error)

// run locks out other operations, gets the stack, recovers from a killed run, runs the operation, and collects its events.
func (s *Stack) run(ctx context.Context, get func(context.Context) (auto.Stack, error), operate operation) (Result, error) {
	lock, err := s.lock(ctx)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = lock.Close() }()
	// The engine keeps a copy of the whole state for each run, forever.
	defer func() { _ = os.RemoveAll(filepath.Join(s.backend(), ".pulumi", "history")) }()
	stack, err := get(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("stack %q: %w", s.config.Stack, err)
	}
	if err := s.recover(ctx, stack); err != nil {
		return Result{}, fmt.Errorf("stack %q: recover from an earlier run: %w", s.config.Stack, err)
	}
	log := &progress{out: s.config.Progress, began: map[string]time.Time{}, said: map[string]string{}, changes: map[string]int{}}
	incoming, handled := make(chan events.EngineEvent), make(chan struct{})
	go func() {
		defer close(handled)
		for event := range incoming {
			log.handle(event.EngineEvent)
		}
	}()
	outputs, err := operate(stack, incoming)
	select {
	case <-handled:
	case <-time.After(time.Second): // an engine that ended before its first event leaves the channel open
	}
	if err != nil {
		return Result{}, fmt.Errorf("stack %q: %w", s.config.Stack, log.explain(ctx, err))
	}
	return Result{Changes: log.changes, Outputs: public(outputs)}, nil
}

// public returns the outputs that are not secret.
func public(outputs auto.OutputMap) map[string]any {
	values := map[string]any{}
	for name, output := range outputs {
		if !output.Secret {
			values[name] = output.Value
		}
	}
	return values
}
