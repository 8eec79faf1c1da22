// Package daemon is the node's process, from both sides: what starts, follows and ends it, and its life in namespaces of its
// own.
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

// settings are what the node's process is told on its command line.
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

// Spawn starts this executable again as the node, which inherits the lock and the listeners of its three ports. They are made
// on the machine's side: a socket stays in the network it was made in, so the node accepts the machine's connections
// without being in its network. Debian is the folder of the unpacked packages.
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
	go func() { _ = cmd.Wait() }() // or it would stay a zombie as long as this process lives
	return nil
}

// Follow copies the progress of the node in dir until it is ready or has ended. Its lock says whether it lives.
func Follow(ctx context.Context, dir cache.Dir, progress io.Writer) error {
	said := ""
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) {
		lives := disk.Locked(LockFile(dir)) // asked first, so that the status is not older
		status, _ := ReadStatus(dir)
		if status.Progress != "" && status.Progress != said {
			said = status.Progress
			fmt.Fprintln(progress, said)
		}
		switch {
		case lives:
			return status.Ready && status.Runs(dir), nil
		case status.Failure != "":
			return false, errors.New(status.Failure)
		}
		return false, errors.New("it ended before it was ready; see node.log")
	})
}

// End stops the node's process and waits until the kernel has removed everything below it: SIGTERM, and SIGKILL when ctx
// ends or the time for an orderly stop.
func End(ctx context.Context, pid int) error {
	handle, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(handle) }()
	orderly, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	for _, try := range []struct {
		signal unix.Signal
		ctx    context.Context
	}{{unix.SIGTERM, orderly}, {unix.SIGKILL, context.WithoutCancel(ctx)}} {
		if err := unix.PidfdSendSignal(handle, try.signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		err = wait.PollUntilContextCancel(try.ctx, 20*time.Millisecond, true, func(context.Context) (bool, error) {
			ended, err := unix.Poll([]unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}, 0) //nolint:gosec // a file descriptor is small
			// A signal of the Go runtime interrupts it, even where there is nothing to wait for.
			if errors.Is(err, unix.EINTR) {
				err = nil
			}
			return ended > 0, err
		})
		if !wait.Interrupted(err) {
			break
		}
	}
	return err
}
