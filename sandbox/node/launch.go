package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// settings are what the node's process is told on its command line.
type settings struct {
	Folder    string // nodeFolder
	Bin       string
	Logs      string
	Debian    string // the extracted packages
	Cgroup    string
	HTTPPort  int
	HTTPSPort int
	APIPort   int
}

// report is one line that the starting node writes to the process that started it.
type report struct {
	Progress string `json:"progress,omitempty"`
	Error    string `json:"error,omitempty"`
	Ready    bool   `json:"ready,omitempty"`
}

// files are what the node's process inherits, and the other end of its report pipe.
type files struct {
	lock, http, https, api, reported, reports, log *os.File
}

// inherited returns the files in the order in which the node's process finds them, from file descriptor 3 on.
func (f *files) inherited() []*os.File { return []*os.File{f.lock, f.http, f.https, f.api, f.reported} }

func (f *files) close() {
	for _, file := range append(f.inherited(), f.reports, f.log) {
		if file != nil {
			_ = file.Close()
		}
	}
}

// openFiles takes the lock and the ports. The listeners are made here, on the machine's side: a socket stays in
// the network it was made in, so the node accepts the machine's connections without being in its network.
func openFiles(config Config) (_ *files, err error) {
	f := &files{}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if err := os.MkdirAll(nodeFolder(config.Dir), 0o700); err != nil {
		return nil, err
	}
	if f.lock, err = takeLock(config.Dir); err != nil {
		return nil, err
	}
	if f.http, err = listen(config.HTTPPort, httpPortVariable); err != nil {
		return nil, err
	}
	if f.https, err = listen(config.HTTPSPort, httpsPortVariable); err != nil {
		return nil, err
	}
	if f.api, err = listen(config.APIPort, apiPortVariable); err != nil {
		return nil, err
	}
	if f.reports, f.reported, err = os.Pipe(); err != nil {
		return nil, err
	}
	f.log, err = os.Create(filepath.Join(config.Dir.Logs(), "node.log"))
	return f, err
}

// listen opens a port of the machine, and says how to take another one.
func listen(port int, variable string) (*os.File, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("port %d: %w; end the program that has it, or set %s to a free port", port, err, variable)
	}
	defer func() { _ = listener.Close() }()
	return listener.(*net.TCPListener).File()
}

// spawn starts this executable again as the node.
func spawn(s settings, f *files) error {
	told, err := json.Marshal(s)
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe", string(told))
	cmd.Args[0] = processName
	cmd.Env = environment
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = f.log, f.log
	cmd.ExtraFiles = f.inherited()
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
	// Only the node may hold its end of the pipe now: its end is how the reader learns that the node is gone.
	_ = f.reported.Close()
	go func() { _ = cmd.Wait() }() // or it would stay a zombie as long as this process lives
	return nil
}

// follow copies the node's progress until it is ready or has failed.
func follow(ctx context.Context, reports *os.File, progress io.Writer) error {
	stop := context.AfterFunc(ctx, func() { _ = reports.Close() })
	defer stop()
	decoder := json.NewDecoder(reports)
	for {
		var r report
		if err := decoder.Decode(&r); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errors.New("it ended before it was ready; see node.log")
		}
		switch {
		case r.Error != "":
			return errors.New(r.Error)
		case r.Ready:
			return nil
		}
		if _, err := fmt.Fprintln(progress, r.Progress); err != nil {
			return err
		}
	}
}

// end stops the process and waits until the kernel has removed everything below it.
func end(ctx context.Context, pid int) error {
	handle, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(handle) }()
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	signal := unix.SIGTERM
	for {
		if err := unix.PidfdSendSignal(handle, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		for {
			ended, err := unix.Poll([]unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}, 100) //nolint:gosec // a file descriptor is small
			if err != nil && !errors.Is(err, unix.EINTR) {
				return err
			}
			if ended > 0 {
				return nil
			}
			if ctx.Err() != nil && signal == unix.SIGTERM {
				break
			}
		}
		signal = unix.SIGKILL
	}
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
