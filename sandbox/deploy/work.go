package deploy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"gopkg.in/yaml.v3"

	"example.com/journal/sandbox/internal/disk"
)

// lockTime is how long an operation waits for another that runs.
const lockTime = 5 * time.Second

// keptRuns is how many runs of a stack can be looked at later.
const keptRuns = 10

// keptKeys are what Pulumi writes into a stack's file to find the key of its secrets. They belong to the state, so
// they outlive the work copy that they are written in.
var keptKeys = []string{"encryptionsalt", "encryptedkey", "secretsprovider"}

// workFolder is where the engine runs: it holds copies of the repository's configuration files, since Pulumi writes
// into those it uses.
type workFolder struct {
	state         string // the folder of all stacks
	path          string // the folder of this one
	project       string
	stack         string
	configuration string // the stack's file, relative to the folder and to the repository
}

func openWorkFolder(config Config) (workFolder, error) {
	project, err := workspace.LoadProject(filepath.Join(config.Repo, "Pulumi.yaml"))
	if err != nil {
		return workFolder{}, err
	}
	state := stateFolder(config.Dir)
	return workFolder{
		state:         state,
		path:          filepath.Join(state, "work", config.Stack),
		project:       string(project.Name),
		stack:         config.Stack,
		configuration: filepath.Join(project.StackConfigDir, "Pulumi."+config.Stack+".yaml"),
	}, nil
}

func (w workFolder) home() string       { return filepath.Join(w.state, "home") }
func (w workFolder) backend() string    { return filepath.Join(w.state, "backend") }
func (w workFolder) passphrase() string { return filepath.Join(w.state, "passphrase") }

// checkpoint is the file of a stack's state.
func (w workFolder) checkpoint(stack string) string {
	return filepath.Join(w.backend(), ".pulumi", "stacks", w.project, stack+".json")
}

func (w workFolder) hasState() bool {
	_, err := os.Stat(w.checkpoint(w.stack))
	return err == nil
}

// lock keeps other operations of this program away. The kernel releases it when this process ends, however it ends.
func (w workFolder) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(w.state, 0o700); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	file, err := disk.Lock(ctx, filepath.Join(w.state, "lock"))
	if errors.Is(err, disk.ErrLocked) {
		return nil, errors.New("another command is changing the sandbox's stacks; wait until it has ended, and try again")
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}

// mark is the file that is there while a run's changes are not yet in the state.
func (w workFolder) mark() string { return filepath.Join(w.path, "unfinished") }

// unfinished says whether a run was killed before the state was written.
func (w workFolder) unfinished() bool {
	_, err := os.Stat(w.mark())
	return err == nil
}

// begin marks the beginning of a run, and says whether one before it was killed.
func (w workFolder) begin() (unfinished bool, err error) {
	unfinished = w.unfinished()
	return unfinished, os.WriteFile(w.mark(), nil, 0o600)
}

// end takes the mark away once the state is written, unless what an earlier run has lost is still to be found.
func (w workFolder) end(unfinished bool) error {
	if unfinished {
		return nil
	}
	return os.Remove(w.mark())
}

// mustBeAlone refuses a second stack on the cluster: they share its one address, and perhaps a namespace.
func (w workFolder) mustBeAlone() error {
	others, err := filepath.Glob(w.checkpoint("*"))
	if err != nil {
		return err
	}
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
			return fmt.Errorf("stack %q: the sandbox holds stack %q, and has room for one; destroy that one first", w.stack, name)
		}
	}
	return nil
}

// write makes the work copy of the repository's files, with the overrides in place.
func (w workFolder) write(config Config) error {
	for _, folder := range []string{w.home(), w.backend(), w.path, filepath.Dir(filepath.Join(w.path, w.configuration))} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
	}
	if err := makePassphrase(w.passphrase()); err != nil {
		return err
	}
	project, err := os.ReadFile(filepath.Join(config.Repo, "Pulumi.yaml"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(w.path, "Pulumi.yaml"), project, 0o600); err != nil {
		return err
	}
	file, err := readStackFile(filepath.Join(config.Repo, w.configuration))
	if err != nil {
		return err
	}
	if err := file.override(w.project, config.Overrides); err != nil {
		return fmt.Errorf("%s: %w", w.configuration, err)
	}
	target := filepath.Join(w.path, w.configuration)
	former, err := readStackFile(target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, key := range keptKeys {
		delete(file, key)
		if value, found := former[key]; found {
			file[key] = value
		}
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		return err
	}
	return os.WriteFile(target, text, 0o600)
}

// pruneHistory deletes what is kept of old runs: the engine keeps the whole state of each, for ever. It may fail: then there
// is only less free space.
func (w workFolder) pruneHistory() {
	// The names hold the time, in as many digits, so they are in the order of the runs.
	for _, kind := range []string{"checkpoint", "history"} {
		runs, _ := filepath.Glob(filepath.Join(w.backend(), ".pulumi", "history", w.project, w.stack, "*."+kind+".json"))
		slices.Sort(runs)
		for _, file := range runs[:max(0, len(runs)-keptRuns)] {
			_ = os.Remove(file)
			_ = os.Remove(file + ".attrs")
		}
	}
}

// makePassphrase writes the key of the stacks' secrets, once.
func makePassphrase(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	// In one step: half a passphrase would lock the secrets away.
	return disk.Write(path, []byte(rand.Text()+rand.Text()+"\n"), 0o600)
}

// stackFile is Pulumi.<stack>.yaml.
type stackFile map[string]any

func readStackFile(path string) (stackFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	// Not a stackFile: the decoder would make every map in it one.
	file := map[string]any{}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}

// override sets values of the project's configuration keys.
func (f stackFile) override(project string, values map[string]any) error {
	config, _ := f["config"].(map[string]any)
	if config == nil {
		config = map[string]any{}
		f["config"] = config
	}
	for key, value := range values {
		config[project+":"+key] = value
	}
	var encrypted []string
	for key, value := range config {
		if secret, ok := value.(map[string]any); ok && secret["secure"] != nil {
			encrypted = append(encrypted, key)
		}
	}
	if len(encrypted) > 0 {
		slices.Sort(encrypted)
		return fmt.Errorf("%s: encrypted for another Pulumi, whose key the sandbox does not have; use a stack without secrets here",
			strings.Join(encrypted, ", "))
	}
	return nil
}
