// Package disk locks files, and replaces a file in one step, for several parts of the sandbox. It needs only the standard
// library, like the package toolchain.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrLocked says that a lock has another holder.
var ErrLocked = errors.New("held by another process")

// exclusive is the lock of a whole file. It belongs to the open file, not to a process: a child that inherits the file also holds
// the lock, and the kernel releases it when the last of them has ended, however it ended.
var exclusive = syscall.Flock_t{Type: syscall.F_WRLCK}

// Commands of fcntl for such locks, which the package syscall does not name.
const fOFDGetLock, fOFDSetLock = 36, 37

// TryLock takes the lock of a file, which is made with its folder if it is missing. Closing the file gives the lock back.
func TryLock(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	lock := exclusive
	if err := syscall.FcntlFlock(file.Fd(), fOFDSetLock, &lock); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return file, nil
}

// Lock is TryLock, but waits for the other holder until ctx ends. It then returns ErrLocked and the context's error.
func Lock(ctx context.Context, path string) (*os.File, error) {
	for {
		file, err := TryLock(path)
		if !errors.Is(err, ErrLocked) {
			return file, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Locked says whether the lock of a file has a holder. It does not take the lock.
func Locked(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	lock := exclusive
	return syscall.FcntlFlock(file.Fd(), fOFDGetLock, &lock) == nil && lock.Type != syscall.F_UNLCK
}

// Write replaces a file in one step, so that nobody ever reads half of it. Its folder is made if it is missing.
func Write(path string, content []byte, mode fs.FileMode) error {
	return Replace(path, mode, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// Replace is Write for content that should not be held in memory.
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
