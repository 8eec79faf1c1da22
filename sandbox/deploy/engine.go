package deploy

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/cmdutil"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"

	"example.com/journal/sandbox/internal/disk"
	"example.com/journal/stacks"
)

// lockTime is how long an operation waits for another that runs.
const lockTime = 5 * time.Second

func (s *Stack) backend() string { return filepath.Join(s.config.State, "backend") }

// folder is where the engine runs. It holds copies of the repository's configuration files, since Pulumi writes into them.
func (s *Stack) folder() string { return filepath.Join(s.config.State, "work", s.config.Stack) }

// mark is a file that exists while a run's changes are not yet in the state. A killed run leaves it behind.
func (s *Stack) mark() string { return filepath.Join(s.folder(), "unfinished") }

// stateFile is the file of a stack's state, as the engine writes it.
func (s *Stack) stateFile(stack string) string {
	return filepath.Join(s.backend(), ".pulumi", "stacks", string(s.project.Name), stack+".json")
}

// engine is the path of the engine's program.
func (s *Stack) engine() string { return filepath.Join(s.config.Dir.Bin(), "pulumi") }

// lock keeps other operations of this program out. The kernel releases the lock when this process ends, however it ends.
func (s *Stack) lock(ctx context.Context) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	file, err := disk.Lock(ctx, filepath.Join(s.config.State, "lock"))
	if errors.Is(err, disk.ErrLocked) {
		return nil, errors.New("another command is changing the cluster's stacks; wait until it has ended, and try again")
	}
	return file, err
}

// declared returns the stack with the configuration of the repository and the overrides.
func (s *Stack) declared(ctx context.Context) (auto.Stack, error) {
	settings, err := s.settings()
	if err := errors.Join(err, s.mustBeAlone()); err != nil {
		return auto.Stack{}, err
	}
	return s.stack(ctx, auto.UpsertStack, auto.Project(*s.project), auto.Stacks(map[string]workspace.ProjectStack{s.config.Stack: settings}))
}

// deployed returns the stack as an earlier Up left it.
func (s *Stack) deployed(ctx context.Context) (auto.Stack, error) {
	if !exists(s.stateFile(s.config.Stack)) {
		return auto.Stack{}, ErrNotDeployed
	}
	return s.stack(ctx, auto.SelectStack)
}

// stack opens the folder with the engine that the toolchain built.
func (s *Stack) stack(ctx context.Context, open func(context.Context, string, auto.Workspace) (auto.Stack, error), options ...auto.LocalWorkspaceOption) (auto.Stack, error) {
	passphrase, err := s.passphrase()
	if err := errors.Join(err, os.MkdirAll(s.folder(), 0o700), os.MkdirAll(s.backend(), 0o700)); err != nil {
		return auto.Stack{}, err
	}
	engine, err := auto.NewPulumiCommand(&auto.PulumiCommandOptions{Root: s.config.Dir.Root()})
	if err != nil {
		return auto.Stack{}, err
	}
	home := filepath.Join(s.config.State, "home")
	folder, err := auto.NewLocalWorkspace(ctx, append(options, auto.WorkDir(s.folder()), auto.Program(stacks.Deploy), auto.Pulumi(engine), auto.EnvVars(map[string]string{
		"KUBECONFIG":                                    s.config.Kubeconfig,
		"PULUMI_HOME":                                   home,
		"PULUMI_BACKEND_URL":                            "file://" + s.backend(),
		"PULUMI_CONFIG_PASSPHRASE":                      passphrase,
		"PULUMI_SKIP_UPDATE_CHECK":                      "1",
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION":   "true",
		"PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
		// For the Helm library in Pulumi's Kubernetes plugin.
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

// mustBeAlone refuses a second stack on the cluster: both would use the same address, and perhaps the same namespace.
func (s *Stack) mustBeAlone() error {
	others, err := filepath.Glob(s.stateFile("*"))
	for _, path := range others {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		state, readErr := readState(path)
		err = errors.Join(err, readErr)
		if name != s.config.Stack && len(state.Resources)+len(state.PendingOperations) > 0 {
			err = errors.Join(err, fmt.Errorf("stack %q: the cluster holds stack %q, and has room for one; destroy that one first", s.config.Stack, name))
		}
	}
	return err
}

// settings returns the settings of the stack's file in the repository, with the overrides applied. The copy's settings for the
// encryption of secrets belong to the state, so they stay.
func (s *Stack) settings() (workspace.ProjectStack, error) {
	file := filepath.Join(s.project.StackConfigDir, "Pulumi."+s.config.Stack+".yaml")
	stack, err := workspace.LoadProjectStack(cmdutil.Diag(), s.project, filepath.Join(s.config.Repo, file))
	former, formerErr := workspace.LoadProjectStack(cmdutil.Diag(), s.project, filepath.Join(s.folder(), file)) // without a file it is empty
	if err := errors.Join(err, formerErr); err != nil {
		return workspace.ProjectStack{}, err
	}
	stack.SecretsProvider, stack.EncryptedKey, stack.EncryptionSalt = former.SecretsProvider, former.EncryptedKey, former.EncryptionSalt
	for key, value := range stack.Config {
		if value.Secure() {
			return workspace.ProjectStack{}, fmt.Errorf("%s: encrypted for another Pulumi, whose key is not here; use a stack without secrets, or `pulumi up` itself", key)
		}
	}
	err = s.override(&stack.Config)
	return *stack, err
}

// passphrase returns the passphrase of the stacks' secrets. It is created the first time.
func (s *Stack) passphrase() (string, error) {
	path := filepath.Join(s.config.State, "passphrase")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte(rand.Text() + rand.Text())
		err = disk.Write(path, text, 0o600) // in one step: with half a passphrase, no secret could be decrypted
	}
	return strings.TrimSpace(string(text)), err
}

// readState reads a stack's state as the engine wrote it. The state of a missing file is empty.
func readState(path string) (apitype.DeploymentV3, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return apitype.DeploymentV3{}, nil
	}
	var file struct {
		Checkpoint struct{ Latest apitype.DeploymentV3 }
	}
	if err := errors.Join(err, json.Unmarshal(text, &file)); err != nil {
		return apitype.DeploymentV3{}, fmt.Errorf("state %s: %w", path, err)
	}
	return file.Checkpoint.Latest, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
