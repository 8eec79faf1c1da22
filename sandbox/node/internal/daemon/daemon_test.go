package daemon

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/internal/disk"
	"example.com/journal/sandbox/node/internal/process"
)

func TestFollowReportsProgressAndTheFirstError(t *testing.T) {
	for _, test := range []struct {
		name, wantProgress, wantErr string
		status                      Status
		ends                        bool
	}{
		{name: "ready", status: Status{Progress: "starting etcd", Ready: true}, wantProgress: "starting etcd\n"},
		{name: "failed", status: Status{Failure: "etcd exited: killed"}, ends: true, wantErr: "etcd exited: killed"},
		{name: "gone", status: Status{Progress: "starting etcd"}, ends: true, wantProgress: "starting etcd\n", wantErr: "ended before it was ready"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := newDir(t)
			pid, end := fakeNode(t, dir)
			if test.ends {
				end()
			}
			test.status.PID = pid
			if err := WriteStatus(StatusFile(dir), test.status); err != nil {
				t.Fatal(err)
			}
			var progress strings.Builder
			err := Follow(t.Context(), dir, &progress)
			if test.wantErr == "" && err != nil || test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)) {
				t.Errorf("the error is %v, not %q", err, test.wantErr)
			}
			if progress.String() != test.wantProgress {
				t.Errorf("the progress is %q, not %q", progress.String(), test.wantProgress)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		dir := newDir(t)
		fakeNode(t, dir)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := Follow(ctx, dir, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestNodeThatIgnoresTheRequestToStopIsKilled(t *testing.T) {
	stubborn := exec.Command("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done")
	out, err := stubborn.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stubborn.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := End(ctx, stubborn.Process.Pid); err != nil {
		t.Error(err)
	}
	if err := stubborn.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("it ended with %v", err)
	}
}

// fakeNode starts a process with the name of a node, and holds a node's lock.
func fakeNode(t *testing.T, dir cache.Dir) (pid int, end func()) {
	t.Helper()
	if err := os.MkdirAll(Folder(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := disk.TryLock(LockFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	sleep := exec.Command("sleep", "60")
	sleep.Args[0] = Name
	sleep.ExtraFiles = []*os.File{lock}
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	end = func() { _ = sleep.Process.Kill(); _ = sleep.Wait() }
	t.Cleanup(end)
	for process.NameOf(sleep.Process.Pid) != Name { // which it has some time after it was started
		time.Sleep(time.Millisecond)
	}
	return sleep.Process.Pid, end
}

func newDir(t *testing.T) cache.Dir {
	t.Helper()
	dir, err := cache.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
