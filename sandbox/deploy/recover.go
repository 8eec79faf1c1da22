package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"k8s.io/apimachinery/pkg/util/wait"
)

// interruptTime is what an engine may take, after an interrupt, to end its steps and write its state.
const interruptTime = time.Minute

// recover puts right what a run that was killed has left: the stack's lock, and operations whose end is not known. They
// are those of makePassword alone, and a password whose making was not written down is used nowhere: it is made again.
func (s *Stack) recover(ctx context.Context, stack auto.Stack) error {
	if err := s.breakLock(ctx, stack); err != nil {
		return err
	}
	checkpoint, err := readCheckpoint(s.work.checkpoint(s.config.Stack))
	if err != nil || len(checkpoint.PendingOperations) == 0 {
		return err
	}
	_, err = stack.Refresh(ctx, optrefresh.ClearPendingCreates(), optrefresh.Color("never"), optrefresh.SuppressProgress())
	return err
}

// breakLock removes the lock of an engine that is gone. The caller holds the work folder's lock, so no other command of
// this program runs; but the engine of one that was killed may still be at work, and is interrupted.
func (s *Stack) breakLock(ctx context.Context, stack auto.Stack) error {
	engine := 0 // that was interrupted
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, interruptTime, true, func(ctx context.Context) (bool, error) {
		holders, err := s.lockHolders()
		if err != nil || len(holders) == 0 {
			return true, err
		}
		i := slices.IndexFunc(holders, s.isEngine)
		if i < 0 {
			s.report("an earlier run was killed: removing its lock")
			return true, plain(stack.Cancel(ctx))
		}
		if engine != holders[i] {
			engine = holders[i]
			s.report("ending the engine of an earlier run (process %d), which was killed", engine)
			_ = syscall.Kill(engine, syscall.SIGINT) // it may have ended by itself
		}
		return false, nil
	})
	if wait.Interrupted(err) {
		return fmt.Errorf("the engine of an earlier run (process %d) is still changing the stack; wait until it has ended, and try again", engine)
	}
	return err
}

// lockHolders returns the processes that hold the engine's lock of the stack.
func (s *Stack) lockHolders() ([]int, error) {
	locks, err := filepath.Glob(filepath.Join(s.work.backend(), ".pulumi", "locks", "organization", s.work.name(), s.config.Stack, "*.json"))
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
	running, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	ours, _ := filepath.EvalSymlinks(s.engine())
	// A toolchain that was built anew has replaced the file of a running program.
	return err == nil && strings.TrimSuffix(running, " (deleted)") == ours
}
