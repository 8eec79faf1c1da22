package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/tools/clientcmd"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/node/internal/components"
	"example.com/journal/sandbox/node/internal/keys"
	"example.com/journal/sandbox/node/internal/machine"
	"example.com/journal/sandbox/node/internal/process"
	"example.com/journal/sandbox/node/internal/ready"
)

// errStopped is the reason for an end that somebody asked for.
var errStopped = errors.New("stopped")

// daemon is the node's process: PID 1 of its namespaces and the parent of all components.
type daemon struct {
	status     Status
	statusFile string // as seen from the current root
	listeners  [3]net.Listener
	cluster    *ready.Cluster
	table      *process.Table
	fail       context.CancelCauseFunc // ends the node

	mu      sync.Mutex
	running []*process.Process // in the order of their start
}

// Reexec turns this process into the node, and returns true when the node has ended, if Spawn made it for that.
func Reexec() bool {
	if os.Args[0] != Name || len(os.Args) != 2 || os.Getpid() != 1 {
		return false
	}
	d := &daemon{table: process.NewTable(machine.Logs)}
	if err := d.run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// run is the node's life.
func (d *daemon) run(told string) error {
	ctx, fail := context.WithCancelCause(context.Background())
	defer fail(nil)
	d.fail = fail
	d.handleSignals()

	err := d.prepare(told)
	if err == nil {
		err = d.boot(ctx)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause // whoever waited in vain only saw the consequence
	}
	if err == nil {
		d.status.Ready, d.status.Progress = true, ""
		err = d.status.Write(d.statusFile)
	}
	if err == nil {
		fmt.Println("ready")
		<-ctx.Done()
		err = context.Cause(ctx)
	}
	d.shutDown()
	if errors.Is(err, errStopped) {
		return nil
	}
	d.status.Failure = err.Error()
	d.status.Ready = false
	return errors.Join(err, d.status.Write(d.statusFile))
}

// progress says what the start does. A failure to do so changes nothing.
func (d *daemon) progress(text string) {
	fmt.Println(text)
	d.status.Progress = text
	_ = d.status.Write(d.statusFile)
}

// handleSignals reaps children and turns a request to stop into the end of the node.
func (d *daemon) handleSignals() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for s := range signals {
			if s == syscall.SIGCHLD {
				d.table.Reap()
			} else {
				d.fail(errStopped)
			}
		}
	}()
}

// prepare makes the namespaces the node's own, and writes what all components share.
func (d *daemon) prepare(told string) error {
	var s settings
	if err := json.Unmarshal([]byte(told), &s); err != nil {
		return err
	}
	dir, err := cache.At(s.Cache)
	if err != nil {
		return err
	}
	d.statusFile = StatusFile(dir)
	_ = os.WriteFile("/proc/self/comm", []byte("journal-sandbox"), 0o644) // what ps shows; it would be "exe"
	// This /proc is still the machine's, so it knows this process by the machine's number.
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(self)
	if err != nil {
		return fmt.Errorf("/proc/self leads to %q, not to a process", self)
	}
	d.status = Status{Ports: s.Ports, PID: pid, Since: time.Now()}
	if err := d.status.Write(d.statusFile); err != nil {
		return err
	}
	if err := d.inherit(); err != nil {
		return err
	}
	root := machine.Root{Debian: s.Debian, Bin: dir.Bin(), Logs: dir.Logs(), Files: Folder(dir)}
	if err := root.Enter(); err != nil {
		return err
	}
	d.statusFile = filepath.Join(machine.Files, statusName)
	if err := machine.SetUpNetwork(); err != nil {
		return err
	}
	// etcd, containerd and the pods have many files open; a shell's soft limit is low.
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if err := keys.Write(filepath.Join(machine.Files, Kubeconfig), s.APIPort); err != nil {
		return err
	}
	if err := components.Configure(machine.CgroupOf(s.Cache)); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", keys.Kubeconfig(keys.Admin))
	if err != nil {
		return err
	}
	d.cluster, err = ready.NewCluster(config, machine.Name)
	return err
}

// inherit takes over the files that Spawn has passed on.
func (d *daemon) inherit() error {
	unix.CloseOnExec(lockFD) // the components must not hold it
	for i := range d.listeners {
		file := os.NewFile(uintptr(listenerFD+i), "listener")
		var err error
		if d.listeners[i], err = net.FileListener(file); err != nil {
			return fmt.Errorf("inherited listener %d: %w", i, err)
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}
