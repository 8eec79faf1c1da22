// Package disk has what several parts of the sandbox do with files: locks, and replacing a file in one step.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// ErrLocked says that a lock has another holder.
var ErrLocked = errors.New("held by another process")

// exclusive is the lock of a whole file. It belongs to the open file, not to a process: a child that inherits the file
// holds the lock too, and the kernel releases it when the last of them is gone, however it ended.
var exclusive = unix.Flock_t{Type: unix.F_WRLCK}

// TryLock takes the lock of a file, which is made if it is missing. Closing the file gives the lock back.
func TryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	lock := exclusive
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return file, nil
}

// Lock is TryLock that waits for the other holder until ctx ends. Its error is then ErrLocked and the context's.
func Lock(ctx context.Context, path string) (*os.File, error) {
	var file *os.File
	var err error
	waited := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) {
		file, err = TryLock(path)
		return !errors.Is(err, ErrLocked), nil
	})
	if waited != nil {
		return nil, fmt.Errorf("%w: %w", err, waited)
	}
	return file, err
}

// Locked says whether the lock of a file has a holder, and leaves it alone.
func Locked(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	lock := exclusive
	return unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &lock) == nil && lock.Type != unix.F_UNLCK
}

// Write replaces a file in one step, so that nobody ever reads half of it. Its folder is made if it is missing.
func Write(path string, content []byte, mode fs.FileMode) error {
	return Replace(path, mode, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// Replace is Write for what is better not held in memory.
func Replace(path string, mode fs.FileMode, write func(io.Writer) error) error {
	folder, name := filepath.Split(path)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(folder, "."+name+".*.new")
	if err != nil {
		return err
	}
	err = errors.Join(write(temporary), temporary.Chmod(mode), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
	}
	return err
}
