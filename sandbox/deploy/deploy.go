// Package deploy runs a stack of the repository on a cluster with Pulumi's Automation API: the program is the same
// stacks.Deploy that main.go runs, the state is a folder on this machine, and the engine and its plugins are those that the
// toolchain built. Nothing of the user's own Pulumi (login, settings, plugins) is read or written, and neither is a
// kubeconfig of theirs.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"example.com/journal/stacks"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"example.com/journal/sandbox/cache"
)

const (
	// parallel is how many objects the engine works on at a time.
	parallel = 64
	// passwordType is the type of what cannot be made again from the program.
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
	// Dir keeps the state, and holds the programs that the toolchain built.
	Dir cache.Dir
	// Kubeconfig is the path of the cluster's kubeconfig.
	Kubeconfig string
	// Overrides are values of the project's configuration keys that replace those of the stack's file.
	Overrides map[string]any
	// Progress gets a line for each step, without colours; nil for none.
	Progress io.Writer
}

// Stack is a stack of the repository on one cluster.
type Stack struct {
	config Config
	work   workFolder
	engine engine
}

// Result is what an operation did, or what a preview would do.
type Result struct {
	// Changes is the number of objects by operation, such as create and update. It is empty when nothing changed.
	Changes map[string]int
	// Outputs are the stack's outputs. Those that are secret are left out.
	Outputs map[string]any
}

// Open checks the configuration of a stack, so that all of its faults are reported at once and before anything starts.
func Open(config Config) (*Stack, error) {
	if _, err := stacks.Read(config.Repo, config.Stack); err != nil {
		return nil, fmt.Errorf("the configuration of stack %q is refused, nothing was changed:\n%w", config.Stack, err)
	}
	if config.Progress == nil {
		config.Progress = io.Discard
	}
	work, err := openWorkFolder(config)
	if err != nil {
		return nil, err
	}
	return &Stack{config: config, work: work, engine: newEngine(config.Dir, work, config.Kubeconfig)}, nil
}

// Up makes the cluster what the stack declares. It finishes what a run that was killed has begun.
//
// The engine writes the whole state after every step, so the time would grow with the square of the stack's size. Up has it
// written once, at the end. What a killed run loses with that is found again: names and field manager of every object are
// known beforehand, so the next run applies the same objects. What cannot be found again is the secret that the passwords
// come from; so it is made first, in an update of its own that writes down each step.
func (s *Stack) Up(ctx context.Context) (Result, error) {
	return s.update(ctx, func(ctx context.Context, stack auto.Stack, log *progress) (auto.OutputMap, error) {
		if err := s.makePassword(ctx, stack, log); err != nil {
			return nil, err
		}
		unfinished, err := s.work.begin()
		if err != nil {
			return nil, err
		}
		writeOnce(stack)
		result, err := stack.Up(ctx, optup.Parallel(parallel), optup.Color("never"), optup.SuppressProgress(), optup.Refresh(),
			optup.EventStreams(log.follow()))
		if err != nil {
			// The engine has ended by itself, so the state is written; what was lost before is still lost.
			return nil, errors.Join(err, s.work.end(unfinished))
		}
		if unfinished {
			if err := s.deleteOrphans(ctx); err != nil {
				return nil, fmt.Errorf("delete what an earlier run has left: %w", err)
			}
		}
		return result.Outputs, s.work.end(false)
	})
}

// makePassword makes the secret that all passwords come from, unless the state has it.
func (s *Stack) makePassword(ctx context.Context, stack auto.Stack, log *progress) error {
	checkpoint, err := readCheckpoint(s.work.checkpoint(s.config.Stack))
	if err != nil {
		return err
	}
	if slices.ContainsFunc(checkpoint.Resources, func(r apitype.ResourceV3) bool { return r.Type == passwordType }) {
		return nil
	}
	_, err = stack.Up(ctx, optup.Parallel(parallel), optup.Color("never"), optup.SuppressProgress(),
		optup.Target([]string{"**:RandomPassword::*"}), optup.EventStreams(log.follow()))
	return err
}

// writeOnce has the engine write the state of the stack once, at the end of each operation.
func writeOnce(stack auto.Stack) { stack.Workspace().SetEnvVar("PULUMI_SKIP_CHECKPOINTS", "true") }

// Preview reports what Up would do, and does nothing.
func (s *Stack) Preview(ctx context.Context) (Result, error) {
	return s.update(ctx, func(ctx context.Context, stack auto.Stack, log *progress) (auto.OutputMap, error) {
		_, err := stack.Preview(ctx, optpreview.Parallel(parallel), optpreview.Color("never"),
			optpreview.SuppressProgress(), optpreview.Refresh(), optpreview.EventStreams(log.follow()))
		return nil, err
	})
}

// update runs an operation that reads the stack's configuration.
func (s *Stack) update(ctx context.Context, operate operation) (Result, error) {
	unlock, err := s.work.lock(ctx)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	if err := s.work.write(s.config); err != nil {
		return Result{}, fmt.Errorf("stack %q: %w", s.config.Stack, err)
	}
	if err := s.work.mustBeAlone(); err != nil {
		return Result{}, err
	}
	workspace, err := s.workspace(ctx)
	if err != nil {
		return Result{}, err
	}
	stack, err := auto.UpsertStack(ctx, s.config.Stack, workspace)
	if err != nil {
		return Result{}, fmt.Errorf("stack %q: %w", s.config.Stack, plain(err))
	}
	defer s.work.pruneHistory()
	return s.run(ctx, stack, operate)
}

// Destroy deletes all objects of the stack from the cluster, and with them the data that they hold. After a run that was
// killed it refuses to: the state does not know all objects until Up has been run again.
func (s *Stack) Destroy(ctx context.Context) (Result, error) {
	unlock, err := s.work.lock(ctx)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	stack, err := s.deployed(ctx)
	if err != nil {
		return Result{}, err
	}
	if s.work.unfinished() {
		return Result{}, fmt.Errorf("stack %q: an earlier run was killed before it could write down what it made; run up first, so that nothing is left behind", s.config.Stack)
	}
	return s.run(ctx, stack, func(ctx context.Context, stack auto.Stack, log *progress) (auto.OutputMap, error) {
		writeOnce(stack)
		_, err := stack.Destroy(ctx, optdestroy.Parallel(parallel), optdestroy.Color("never"),
			optdestroy.SuppressProgress(), optdestroy.EventStreams(log.follow()))
		return nil, err
	})
}

// Outputs returns the outputs of the last Up that are not secret, or ErrNotDeployed.
func (s *Stack) Outputs(ctx context.Context) (map[string]any, error) {
	stack, err := s.deployed(ctx)
	if err != nil {
		return nil, err
	}
	outputs, err := stack.Outputs(ctx)
	if err != nil {
		return nil, fmt.Errorf("outputs of stack %q: %w", s.config.Stack, plain(err))
	}
	if len(outputs) == 0 {
		return nil, fmt.Errorf("stack %q: %w", s.config.Stack, ErrNotDeployed)
	}
	return public(outputs), nil
}

// Remove deletes the state of every stack, whose cluster is gone.
func Remove(dir cache.Dir) error { return os.RemoveAll(stateFolder(dir)) }

func stateFolder(dir cache.Dir) string { return filepath.Join(dir.State(), "pulumi") }

// workspace is the work folder as the Automation API sees it.
func (s *Stack) workspace(ctx context.Context) (auto.Workspace, error) {
	return auto.NewLocalWorkspace(ctx, auto.WorkDir(s.work.path), auto.Program(stacks.Deploy), auto.Pulumi(s.engine))
}

// deployed returns the stack as an earlier Up left it.
func (s *Stack) deployed(ctx context.Context) (auto.Stack, error) {
	if !s.work.hasState() {
		return auto.Stack{}, fmt.Errorf("stack %q: %w", s.config.Stack, ErrNotDeployed)
	}
	workspace, err := s.workspace(ctx)
	if err != nil {
		return auto.Stack{}, err
	}
	stack, err := auto.SelectStack(ctx, s.config.Stack, workspace)
	if err != nil {
		return auto.Stack{}, fmt.Errorf("stack %q: %w", s.config.Stack, plain(err))
	}
	return stack, nil
}

// operation is one run of the engine.
type operation func(context.Context, auto.Stack, *progress) (auto.OutputMap, error)

// run recovers from a killed run, operates, and collects what happened.
func (s *Stack) run(ctx context.Context, stack auto.Stack, operate operation) (Result, error) {
	if err := s.recover(ctx, stack); err != nil {
		return Result{}, fmt.Errorf("stack %q: recover from an earlier run: %w", s.config.Stack, err)
	}
	log := newProgress(s.config.Progress)
	outputs, err := operate(ctx, stack, log)
	log.close()
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
