package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// orphanTime is how long an engine whose caller was killed may take to end: it is interrupted by that.
const orphanTime = interruptTime

// recover puts right what a run that was killed has left: the stack's lock, and operations whose end is not known.
func (s *Stack) recover(ctx context.Context, stack auto.Stack) error {
	if err := s.breakLock(ctx, stack); err != nil {
		return err
	}
	checkpoint, err := readCheckpoint(s.work.checkpoint(s.config.Stack))
	if err != nil || len(checkpoint.PendingOperations) == 0 {
		return err
	}
	s.report("an earlier run was killed: looking at what it did to %s", list(checkpoint.PendingOperations))
	return s.edit(ctx, func(state *apitype.DeploymentV3) error { return s.adopt(ctx, state) })
}

// adopt ends the pending operations of a state. An object that was being created may be there, and a second one would be
// made beside it under another name: so it becomes a part of the state, and the refresh that comes with every operation
// completes it. Updates and deletions are of objects that the state has anyway, and what is no object of the cluster, such
// as a password, is simply made again.
func (s *Stack) adopt(ctx context.Context, state *apitype.DeploymentV3) error {
	known := map[resource.URN]bool{}
	for _, r := range state.Resources {
		known[r.URN] = true
	}
	for _, operation := range state.PendingOperations {
		object := operation.Resource
		if operation.Type != apitype.OperationTypeCreating || object.Type.Package() != "kubernetes" {
			continue
		}
		manager, found, err := s.fieldManager(ctx, object.Inputs)
		if err != nil {
			return fmt.Errorf("%s: %w", label(object.URN), err)
		}
		if !found {
			continue
		}
		object.ID = objectID(object.Inputs)
		// As another owner of the object's fields, the plugin would be in conflict with itself.
		object.Outputs = map[string]any{"__fieldManager": manager}
		// Half of a replacement is deleted, and the replacement begins anew.
		object.Delete = known[object.URN]
		state.Resources = append(state.Resources, object)
	}
	state.PendingOperations = nil
	return nil
}

// fieldManager asks the cluster whether an object is there, and as whom the plugin owns its fields.
func (s *Stack) fieldManager(ctx context.Context, inputs map[string]any) (manager string, found bool, err error) {
	apiVersion, _ := inputs["apiVersion"].(string)
	kind, _ := inputs["kind"].(string)
	if group, _, grouped := strings.Cut(apiVersion, "/"); grouped {
		kind += "." + group
	}
	namespace, name := objectName(inputs)
	cmd := exec.CommandContext(ctx, filepath.Join(s.config.Dir.Bin(), "kubernetes"), "get", kind, name,
		"--namespace", namespace, "--output", "json", "--show-managed-fields", "--ignore-not-found")
	cmd.Args[0] = "kubectl"
	cmd.Env = s.engine.environment
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if err != nil {
		return "", false, fmt.Errorf("ask the cluster: %w: %s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	if len(text) == 0 {
		return "", false, nil
	}
	var object struct {
		Metadata struct {
			ManagedFields []struct{ Manager, Operation string }
		}
	}
	if err := json.Unmarshal(text, &object); err != nil {
		return "", false, fmt.Errorf("read the cluster's answer: %w", err)
	}
	for _, fields := range object.Metadata.ManagedFields {
		if fields.Operation == "Apply" && strings.HasPrefix(fields.Manager, "pulumi-kubernetes-") {
			manager = fields.Manager
		}
	}
	return manager, manager != "", nil
}

// edit changes the state of the stack. Secrets stay encrypted on the way.
func (s *Stack) edit(ctx context.Context, change func(*apitype.DeploymentV3) error) error {
	text, complaint, _, err := s.engine.Run(ctx, s.work.path, nil, nil, nil, nil, "stack", "export", "--stack", s.config.Stack)
	if err != nil {
		return fmt.Errorf("export the state: %w: %s", err, strings.TrimSpace(complaint))
	}
	var exported apitype.UntypedDeployment
	var state apitype.DeploymentV3
	if err := json.Unmarshal([]byte(text), &exported); err != nil {
		return fmt.Errorf("read the state: %w", err)
	}
	if err := json.Unmarshal(exported.Deployment, &state); err != nil {
		return fmt.Errorf("read the state: %w", err)
	}
	if err := change(&state); err != nil {
		return err
	}
	if exported.Deployment, err = json.Marshal(state); err != nil {
		return err
	}
	edited, err := json.Marshal(exported)
	if err != nil {
		return err
	}
	_, complaint, _, err = s.engine.Run(ctx, s.work.path, bytes.NewReader(edited), nil, nil, nil, "stack", "import", "--stack", s.config.Stack)
	if err != nil {
		return fmt.Errorf("import the state: %w: %s", err, strings.TrimSpace(complaint))
	}
	return nil
}

// breakLock removes the lock of an engine that is gone. The caller holds the work folder's lock, so no other command of
// this program runs; but the engine of one that was killed may still be ending.
func (s *Stack) breakLock(ctx context.Context, stack auto.Stack) error {
	ctx, cancel := context.WithTimeout(ctx, orphanTime)
	defer cancel()
	for waiting := false; ; {
		holders, err := s.lockHolders()
		if err != nil || len(holders) == 0 {
			return err
		}
		alive := 0
		for _, pid := range holders {
			if s.isEngine(pid) {
				alive = pid
			}
		}
		if alive == 0 {
			s.report("an earlier run was killed: removing its lock")
			if err := stack.Cancel(ctx); err != nil {
				return plain(err)
			}
			return nil
		}
		if !waiting {
			s.report("waiting for the engine of an earlier run (process %d) to end", alive)
			waiting = true
		}
		if pause(ctx, 200*time.Millisecond) != nil {
			return fmt.Errorf("the engine of an earlier run (process %d) is still changing the stack; wait until it has ended, and try again", alive)
		}
	}
}

// lockHolders returns the processes that hold the engine's lock of the stack.
func (s *Stack) lockHolders() ([]int, error) {
	locks, err := filepath.Glob(filepath.Join(s.work.backend(), ".pulumi", "locks", "organization", s.work.project, s.config.Stack, "*.json"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, path := range locks {
		var lock struct{ PID int }
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // released in the meantime
		}
		// A half-written lock is one of a run that was killed: process 0 runs nowhere.
		_ = json.Unmarshal(text, &lock)
		pids = append(pids, lock.PID)
	}
	return pids, nil
}

// isEngine says whether a process runs our engine: a number may belong to another process by now.
func (s *Stack) isEngine(pid int) bool {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	// A toolchain that was built anew has replaced the file of a running program.
	return err == nil && strings.TrimSuffix(program, " (deleted)") == s.engine.program
}

func (s *Stack) report(format string, args ...any) {
	fmt.Fprintf(s.config.Progress, format+"\n", args...)
}

// readCheckpoint reads a stack's state as the engine wrote it. A missing one is empty.
func readCheckpoint(path string) (apitype.DeploymentV3, error) {
	var file struct {
		Checkpoint struct {
			Latest apitype.DeploymentV3 `json:"latest"`
		} `json:"checkpoint"`
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return apitype.DeploymentV3{}, nil
	}
	if err != nil {
		return apitype.DeploymentV3{}, err
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return apitype.DeploymentV3{}, fmt.Errorf("%s: %w", path, err)
	}
	return file.Checkpoint.Latest, nil
}

// objectName is what the cluster calls an object.
func objectName(inputs map[string]any) (namespace, name string) {
	metadata, _ := inputs["metadata"].(map[string]any)
	namespace, _ = metadata["namespace"].(string)
	name, _ = metadata["name"].(string)
	return namespace, name
}

// objectID is what the Kubernetes plugin calls an object.
func objectID(inputs map[string]any) resource.ID {
	namespace, name := objectName(inputs)
	if namespace == "" {
		return resource.ID(name)
	}
	return resource.ID(namespace + "/" + name)
}

// list names what operations are about.
func list(operations []apitype.OperationV2) string {
	names := make([]string, len(operations))
	for i, operation := range operations {
		names[i] = label(operation.Resource.URN)
	}
	return strings.Join(names, ", ")
}

// label is what a person calls a resource: its kind and its name in the program.
func label(urn resource.URN) string {
	return string(urn.Type().Name()) + " " + urn.Name()
}
