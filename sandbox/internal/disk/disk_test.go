package disk

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestWaitForAnotherHolderEndsWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if Locked(path) {
		t.Error("a missing file is locked")
	}
	held, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if !Locked(path) {
		t.Error("a held lock is called free")
	}
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("a second lock: %v, not ErrLocked", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, path); !errors.Is(err, ErrLocked) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a held lock: %v, not ErrLocked and the context's error", err)
	}
	time.AfterFunc(20*time.Millisecond, func() { _ = held.Close() })
	again, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatalf("a lock given back: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if Locked(path) {
		t.Error("a lock given back is called held")
	}
}

func TestLockIsHeldUntilTheLastProcessThatHasTheFileIsGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "60")
	child.ExtraFiles = []*os.File{held}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if !Locked(path) {
		t.Error("the child has not inherited the lock")
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	if Locked(path) {
		t.Error("the lock has outlived its last holder")
	}
}

func TestReplaceKeepsTheOldContentUntilTheNewIsComplete(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new-folder", "file")
	if err := Write(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("no more space")
	err := Replace(path, 0o600, func(w io.Writer) error {
		_, _ = io.WriteString(w, "ne")
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("the error is %v", err)
	}
	text, err := os.ReadFile(path)
	if info, statErr := os.Stat(path); err != nil || statErr != nil || string(text) != "old" || info.Mode().Perm() != 0o640 {
		t.Errorf("the file is %q with %v (%v, %v), not the old one", text, info.Mode(), err, statErr)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("temporary files are left: %q", left)
	}
}
