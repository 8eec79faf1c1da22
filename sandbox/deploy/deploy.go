// Package deploy runs a stack of the repository on a cluster with Pulumi's Automation API: the program is the same
// stacks.Deploy that main.go runs, the state is a folder on this machine, and the engine and its plugins are those that the
// toolchain built. The home, the backend and the passphrase of the user's own Pulumi are neither read nor written, and neither
// is a kubeconfig of theirs.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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
	// Dir holds the programs that the toolchain built.
	Dir cache.Dir
	// State is the folder that keeps the state of the cluster's stacks. The default is that of the sandbox's own cluster.
	State string
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
	if err := stacks.Check(config.Repo, config.Stack); err != nil {
		return nil, fmt.Errorf("the configuration of stack %q is refused, nothing was changed:\n%w", config.Stack, err)
	}
	return open(config)
}

func open(config Config) (*Stack, error) {
	if config.Progress == nil {
		config.Progress = io.Discard
	}
	if config.State == "" {
		config.State = stateFolder(config.Dir)
	}
	work, err := openWorkFolder(config)
	return &Stack{config: config, work: work}, err
}

// Remove deletes the state of every stack on the sandbox's own cluster, which is gone.
func Remove(dir cache.Dir) error { return os.RemoveAll(stateFolder(dir)) }

func stateFolder(dir cache.Dir) string { return filepath.Join(dir.State(), "pulumi") }

// Up makes the cluster what the stack declares. It finishes what a run that was killed has begun.
//
// The engine writes the whole state after every step, so the time would grow with the square of the stack's size. Up has it
// written once, at the end. What a killed run loses with that is found again: names and field manager of every object are
// known beforehand, so the next run applies the same objects. What cannot be found again is the secret that the passwords
// come from; so it is made first, in an update of its own that writes down each step.
func (s *Stack) Up(ctx context.Context) (Result, error) {
	return s.run(ctx, s.declared, func(stack auto.Stack, events chan<- events.EngineEvent) (auto.OutputMap, error) {
		if err := s.makePassword(ctx, stack); err != nil {
			return nil, err
		}
		unfinished := exists(s.work.mark())
		if err := os.WriteFile(s.work.mark(), nil, 0o600); err != nil {
			return nil, err
		}
		writeOnce(stack)
		result, err := stack.Up(ctx, optup.Parallel(parallel), optup.Color("never"), optup.SuppressProgress(), optup.Refresh(),
			optup.EventStreams(events))
		if err != nil {
			// An engine that has ended by itself has written its state and given back its lock; what was lost before is still lost.
			if holders, lockErr := s.lockHolders(); lockErr == nil && len(holders) == 0 && !unfinished {
				err = errors.Join(err, os.Remove(s.work.mark()))
			}
			return nil, err
		}
		if unfinished {
			if err := s.deleteOrphans(ctx); err != nil {
				return nil, fmt.Errorf("delete what an earlier run has left: %w", err)
			}
		}
		return result.Outputs, os.Remove(s.work.mark())
	})
}

// makePassword makes the secret that all passwords come from, unless the state has it.
func (s *Stack) makePassword(ctx context.Context, stack auto.Stack) error {
	checkpoint, err := readCheckpoint(s.work.checkpoint(s.config.Stack))
	if err != nil {
		return err
	}
	if slices.ContainsFunc(checkpoint.Resources, func(r apitype.ResourceV3) bool { return r.Type == passwordType }) {
		return nil
	}
	_, err = stack.Up(ctx, optup.Color("never"), optup.SuppressProgress(), optup.Target([]string{"**:RandomPassword::*"}))
	return err
}

// writeOnce has the engine write the state of the stack once, at the end of each operation.
func writeOnce(stack auto.Stack) { stack.Workspace().SetEnvVar("PULUMI_SKIP_CHECKPOINTS", "true") }

// Preview reports what Up would do, and does nothing.
func (s *Stack) Preview(ctx context.Context) (Result, error) {
	return s.run(ctx, s.declared, func(stack auto.Stack, events chan<- events.EngineEvent) (auto.OutputMap, error) {
		_, err := stack.Preview(ctx, optpreview.Parallel(parallel), optpreview.Color("never"), optpreview.SuppressProgress(),
			optpreview.Refresh(), optpreview.EventStreams(events))
		return nil, err
	})
}

// Destroy deletes all objects of the stack from the cluster, and with them the data that they hold. After a run that was
// killed it refuses to: the state does not know all objects until Up has been run again. It deletes all or nothing, where the
// engine would stop halfway at an object that is protected.
func (s *Stack) Destroy(ctx context.Context) (Result, error) {
	return s.run(ctx, func(ctx context.Context) (auto.Stack, error) {
		if exists(s.work.mark()) {
			return auto.Stack{}, errors.New("an earlier run was killed before it could write down what it made; run up first, so that nothing is left behind")
		}
		checkpoint, err := readCheckpoint(s.work.checkpoint(s.config.Stack))
		if err != nil {
			return auto.Stack{}, err
		}
		for _, r := range checkpoint.Resources {
			if r.Protect {
				err = errors.Join(err, fmt.Errorf("%s is protected; run up with unprotected: true for its tenant first, nothing was deleted", label(string(r.URN))))
			}
		}
		if err != nil {
			return auto.Stack{}, err
		}
		return s.deployed(ctx)
	}, func(stack auto.Stack, events chan<- events.EngineEvent) (auto.OutputMap, error) {
		writeOnce(stack)
		_, err := stack.Destroy(ctx, optdestroy.Parallel(parallel), optdestroy.Color("never"), optdestroy.SuppressProgress(),
			optdestroy.EventStreams(events))
		return nil, err
	})
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

// run keeps others away, gets the stack, recovers from a killed run, operates, and collects what happened.
func (s *Stack) run(ctx context.Context, get func(context.Context) (auto.Stack, error), operate operation) (Result, error) {
	lock, err := s.work.lock(ctx)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = lock.Close() }()
	// The engine keeps the whole state of each run, for ever.
	defer func() { _ = os.RemoveAll(filepath.Join(s.work.backend(), ".pulumi", "history")) }()
	stack, err := get(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("stack %q: %w", s.config.Stack, err)
	}
	if err := s.recover(ctx, stack); err != nil {
		return Result{}, fmt.Errorf("stack %q: recover from an earlier run: %w", s.config.Stack, err)
	}
	log := newProgress(s.config.Progress)
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
	case <-time.After(time.Second): // an engine that ended before it said anything leaves the channel open
	}
	if err != nil {
		return Result{}, fmt.Errorf("stack %q: %w", s.config.Stack, log.explain(ctx, err))
	}
	return Result{Changes: log.changes, Outputs: public(outputs)}, nil
}

// declared returns the stack as the repository and the overrides have it.
func (s *Stack) declared(ctx context.Context) (auto.Stack, error) {
	settings, err := s.work.settings(s.config)
	if err := errors.Join(err, s.work.mustBeAlone()); err != nil {
		return auto.Stack{}, err
	}
	return s.stack(ctx, auto.UpsertStack, auto.Project(*s.work.project), auto.Stacks(map[string]workspace.ProjectStack{s.config.Stack: settings}))
}

// deployed returns the stack as an earlier Up left it.
func (s *Stack) deployed(ctx context.Context) (auto.Stack, error) {
	if !exists(s.work.checkpoint(s.config.Stack)) {
		return auto.Stack{}, ErrNotDeployed
	}
	return s.stack(ctx, auto.SelectStack)
}

// stack opens the work folder with the engine that the toolchain built.
func (s *Stack) stack(ctx context.Context, open func(context.Context, string, auto.Workspace) (auto.Stack, error), options ...auto.LocalWorkspaceOption) (auto.Stack, error) {
	home := s.work.home()
	if err := errors.Join(os.MkdirAll(s.work.path, 0o700), os.MkdirAll(s.work.backend(), 0o700)); err != nil {
		return auto.Stack{}, err
	}
	passphrase, err := s.work.key()
	if err != nil {
		return auto.Stack{}, err
	}
	engine, err := auto.NewPulumiCommand(&auto.PulumiCommandOptions{Root: s.config.Dir.Root()})
	if err != nil {
		return auto.Stack{}, err
	}
	folder, err := auto.NewLocalWorkspace(ctx, append(options, auto.WorkDir(s.work.path), auto.Program(stacks.Deploy), auto.Pulumi(engine), auto.EnvVars(map[string]string{
		"KUBECONFIG":                                    s.config.Kubeconfig,
		"PULUMI_HOME":                                   home,
		"PULUMI_BACKEND_URL":                            "file://" + s.work.backend(),
		"PULUMI_CONFIG_PASSPHRASE":                      passphrase,
		"PULUMI_SKIP_UPDATE_CHECK":                      "1",
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION":   "true",
		"PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
		// Of the Helm in Pulumi's Kubernetes plugin.
		"HELM_CACHE_HOME":  filepath.Join(home, "helm", "cache"),
		"HELM_CONFIG_HOME": filepath.Join(home, "helm", "config"),
		"HELM_DATA_HOME":   filepath.Join(home, "helm", "data"),
	}))...)
	if err != nil {
		return auto.Stack{}, err
	}
	stack, err := open(ctx, s.config.Stack, folder)
	return stack, plain(err)
}

// engine is the path of the engine's program.
func (s *Stack) engine() string { return filepath.Join(s.config.Dir.Bin(), "pulumi") }

func (s *Stack) report(format string, args ...any) {
	fmt.Fprintf(s.config.Progress, format+"\n", args...)
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
