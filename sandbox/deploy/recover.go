package deploy

import (
	"bytes"
	"context"
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
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/apimachinery/pkg/util/wait"
)

// orphanTime is how long an engine whose caller was killed may take to end: it is interrupted by that.
const orphanTime = interruptTime

// recover puts right what a run that was killed has left: the stack's lock, and operations whose end is not known. They
// are those of makePasswords alone, and a password whose making was not written down is used nowhere: it is made again.
func (s *Stack) recover(ctx context.Context, stack auto.Stack) error {
	if err := s.breakLock(ctx, stack); err != nil {
		return err
	}
	checkpoint, err := readCheckpoint(s.work.checkpoint(s.config.Stack))
	if err != nil || len(checkpoint.PendingOperations) == 0 {
		return err
	}
	return s.edit(ctx, func(state *apitype.DeploymentV3) error {
		state.PendingOperations = nil
		return nil
	})
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
	alive, waiting := 0, false
	waited := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, orphanTime, true, func(ctx context.Context) (bool, error) {
		holders, err := s.lockHolders()
		if err != nil || len(holders) == 0 {
			return true, err
		}
		alive = 0
		for _, pid := range holders {
			if s.isEngine(pid) {
				alive = pid
			}
		}
		if alive == 0 {
			s.report("an earlier run was killed: removing its lock")
			if err := stack.Cancel(ctx); err != nil {
				return false, plain(err)
			}
			return true, nil
		}
		if !waiting {
			s.report("waiting for the engine of an earlier run (process %d) to end", alive)
			waiting = true
		}
		return false, nil
	})
	if wait.Interrupted(waited) {
		return fmt.Errorf("the engine of an earlier run (process %d) is still changing the stack; wait until it has ended, and try again", alive)
	}
	return waited
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

// label is what a person calls a resource: its kind and its name in the program.
func label(urn resource.URN) string {
	return string(urn.Type().Name()) + " " + urn.Name()
}
