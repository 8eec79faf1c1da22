// Package daemon is the node's process, from both sides: the functions that start, follow and end it, and what the process
// itself does in its own namespaces.
package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/internal/disk"
	"example.com/journal/sandbox/node/internal/process"
)

// stopTimeout is what an orderly stop may take before the node is killed.
const stopTimeout = 25 * time.Second

// settings are what Spawn tells the node's process on its command line.
type settings struct {
	Cache  string // the root of cache.Dir
	Debian string // the unpacked packages
	Ports
}

// File descriptors that the node's process inherits.
const (
	lockFD     = 3
	listenerFD = 4 // and the next two: HTTP, HTTPS, apiserver
)

// Spawn starts this executable again as the node, which inherits the lock and the listeners of its three ports. The listeners
// are opened on the machine's side, and a socket stays in the network namespace where it was opened. So the node accepts the
// machine's connections from within its own network namespace. Debian is the folder of the unpacked packages.
func Spawn(dir cache.Dir, debian string, ports Ports, lock *os.File, listeners [3]*os.File) error {
	told, err := json.Marshal(settings{Cache: dir.Root(), Debian: debian, Ports: ports})
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir.Logs(), "node.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command("/proc/self/exe", string(told))
	cmd.Args[0] = Name
	cmd.Env = process.Environment
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = append([]*os.File{lock}, listeners[:]...) // lockFD, listenerFD and so on
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
	}
	err = cmd.Start()
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: root may not make namespaces here; run the sandbox outside of containers, or in a privileged one", err)
	}
	if err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // otherwise the node would stay a zombie as long as this process lives
	return nil
}

// Follow copies the progress of the node in dir until it is ready or has ended. The node runs as long as its lock is held.
func Follow(ctx context.Context, dir cache.Dir, progress io.Writer) error {
	said := ""
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) {
		lives := disk.Locked(LockFile(dir)) // asked before the status is read, so that the status is no older
		status, runs := ReadStatus(dir)
		if status.Progress != "" && status.Progress != said {
			said = status.Progress
			fmt.Fprintln(progress, said)
		}
		switch {
		case lives:
			return status.Ready && runs, nil
		case status.Failure != "":
			return false, errors.New(status.Failure)
		}
		return false, errors.New("it ended before it was ready; see node.log")
	})
}

// End stops the node's process and waits until the kernel has removed everything below it. It sends SIGTERM, and SIGKILL when
// ctx or the time for an orderly stop ends.
func End(ctx context.Context, pid int) error {
	handle, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(handle) }()
	signal := func(s unix.Signal) error { return unix.PidfdSendSignal(handle, s, nil, 0) }
	if err := signal(unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	orderly, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	defer context.AfterFunc(orderly, func() { _ = signal(unix.SIGKILL) })()
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}, -1) //nolint:gosec // a file descriptor is small
		if !errors.Is(err, unix.EINTR) {                                                 // by a signal of the Go runtime
			return err
		}
	}
}
