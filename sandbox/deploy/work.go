package deploy

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	pulumiconfig "github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"

	"example.com/journal/sandbox/internal/disk"
)

// lockTime is how long an operation waits for another that runs.
const lockTime = 5 * time.Second

// workFolder is where the engine runs: it holds copies of the repository's configuration files, since Pulumi writes
// into those it uses.
type workFolder struct {
	state   string // the folder of all stacks
	path    string // the folder of this one
	project *workspace.Project
	stack   string
}

func openWorkFolder(config Config) (workFolder, error) {
	project, err := workspace.LoadProject(filepath.Join(config.Repo, "Pulumi.yaml"))
	return workFolder{state: config.State, path: filepath.Join(config.State, "work", config.Stack), project: project, stack: config.Stack}, err
}

func (w workFolder) name() string    { return string(w.project.Name) }
func (w workFolder) home() string    { return filepath.Join(w.state, "home") }
func (w workFolder) backend() string { return filepath.Join(w.state, "backend") }

// checkpoint is the file of a stack's state.
func (w workFolder) checkpoint(stack string) string {
	return filepath.Join(w.backend(), ".pulumi", "stacks", w.name(), stack+".json")
}

// lock keeps other operations of this program away. The kernel releases it when this process ends, however it ends.
func (w workFolder) lock(ctx context.Context) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	if err := os.MkdirAll(w.state, 0o700); err != nil {
		return nil, err
	}
	file, err := disk.Lock(ctx, filepath.Join(w.state, "lock"))
	if errors.Is(err, disk.ErrLocked) {
		return nil, errors.New("another command is changing the cluster's stacks; wait until it has ended, and try again")
	}
	return file, err
}

// mark is the file that is there while a run's changes are not yet in the state: it stays when the run is killed.
func (w workFolder) mark() string { return filepath.Join(w.path, "unfinished") }

// mustBeAlone refuses a second stack on the cluster: they share its one address, and perhaps a namespace.
func (w workFolder) mustBeAlone() error {
	others, err := filepath.Glob(w.checkpoint("*"))
	for _, path := range others {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		if name == w.stack {
			continue
		}
		state, err := readCheckpoint(path)
		if err != nil {
			return err
		}
		if len(state.Resources)+len(state.PendingOperations) > 0 {
			return fmt.Errorf("stack %q: the cluster holds stack %q, and has room for one; destroy that one first", w.stack, name)
		}
	}
	return err
}

// settings are those of the stack's file in the repository, with the overrides in place. What Pulumi has written into the
// work copy to find the key of its secrets belongs to the state, so it stays.
func (w workFolder) settings(config Config) (workspace.ProjectStack, error) {
	sink := diag.DefaultSink(io.Discard, io.Discard, diag.FormatOptions{Color: colors.Never})
	file := filepath.Join(w.project.StackConfigDir, "Pulumi."+w.stack+".yaml")
	stack, err := workspace.LoadProjectStack(sink, w.project, filepath.Join(config.Repo, file))
	if err != nil {
		return workspace.ProjectStack{}, err
	}
	former, err := workspace.LoadProjectStack(sink, w.project, filepath.Join(w.path, file)) // without a file it is empty
	if err != nil {
		return workspace.ProjectStack{}, err
	}
	stack.SecretsProvider, stack.EncryptedKey, stack.EncryptionSalt = former.SecretsProvider, former.EncryptedKey, former.EncryptionSalt
	for key, value := range stack.Config {
		if value.Secure() {
			return workspace.ProjectStack{}, fmt.Errorf("%s: encrypted for another Pulumi, whose key is not here; use a stack without secrets, or `pulumi up` itself", key)
		}
	}
	if stack.Config == nil {
		stack.Config = pulumiconfig.Map{}
	}
	for key, value := range config.Overrides {
		if stack.Config[pulumiconfig.MustMakeKey(w.name(), key)], err = configValue(value); err != nil {
			return workspace.ProjectStack{}, fmt.Errorf("%s: %w", key, err)
		}
	}
	return *stack, nil
}

// configValue is a value as a stack's file holds it.
func configValue(value any) (pulumiconfig.Value, error) {
	switch value.(type) {
	case string, bool, int:
		return pulumiconfig.NewValue(fmt.Sprint(value)), nil
	}
	text, err := json.Marshal(value)
	return pulumiconfig.NewObjectValue(string(text)), err
}

// key returns the passphrase of the stacks' secrets, made the first time.
func (w workFolder) key() (string, error) {
	path := filepath.Join(w.state, "passphrase")
	if !exists(path) {
		// In one step: half a passphrase would lock the secrets away.
		if err := disk.Write(path, []byte(rand.Text()+rand.Text()), 0o600); err != nil {
			return "", err
		}
	}
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

// readCheckpoint reads a stack's state as the engine wrote it. A missing one is empty.
func readCheckpoint(path string) (apitype.DeploymentV3, error) {
	var file struct{ Checkpoint apitype.CheckpointV3 }
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return apitype.DeploymentV3{}, fmt.Errorf("state %s: %w", path, err)
	}
	if file.Checkpoint.Latest == nil {
		return apitype.DeploymentV3{}, nil
	}
	return *file.Checkpoint.Latest, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
