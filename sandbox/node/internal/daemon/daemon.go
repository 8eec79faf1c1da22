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

// errStopped is the cause when somebody asked the node to stop.
var errStopped = errors.New("stopped")

// daemon is the node's process: PID 1 of its namespaces and the parent of all components.
type daemon struct {
	status     Status
	statusFile string // as seen from the current root
	listeners  [3]net.Listener
	cluster    *ready.Cluster
	components map[string]process.Program
	fail       context.CancelCauseFunc // ends the node

	mu      sync.Mutex
	running map[string]*process.Process
}

// Reexec turns this process into the node if Spawn started it for that. It returns true when the node has ended.
func Reexec() bool {
	if os.Args[0] != Name || len(os.Args) != 2 || os.Getpid() != 1 {
		return false
	}
	d := &daemon{running: map[string]*process.Process{}}
	if err := d.run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// run runs the node from start to end.
func (d *daemon) run(told string) error {
	ctx, fail := context.WithCancelCause(context.Background())
	defer fail(nil)
	d.fail = fail
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		fail(errStopped)
	}()

	err := d.prepare(told)
	if err == nil {
		err = d.boot(ctx)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause // the cause, not the failed wait that follows from it
	}
	if err == nil {
		d.status.Ready, d.status.Progress = true, ""
		err = WriteStatus(d.statusFile, d.status)
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
	return errors.Join(err, WriteStatus(d.statusFile, d.status))
}

// progress reports what the start is doing. If it cannot, the start goes on.
func (d *daemon) progress(text string) {
	fmt.Println(text)
	d.status.Progress = text
	_ = WriteStatus(d.statusFile, d.status)
}

// prepare sets up the node's namespaces, and writes the files that all components share.
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
	_ = os.WriteFile("/proc/self/comm", []byte("journal-sandbox"), 0o644) // what ps shows instead of "exe"
	// This is still the machine's /proc, so it shows this process's PID on the machine.
	self, _ := os.Readlink("/proc/self")
	pid, err := strconv.Atoi(self)
	if err != nil {
		return err
	}
	d.status = Status{Ports: s.Ports, PID: pid, Since: time.Now()}
	if err := WriteStatus(d.statusFile, d.status); err != nil {
		return err
	}
	if err := d.inherit(); err != nil {
		return err
	}
	if err := machine.EnterRoot(s.Debian, dir.Bin(), dir.Logs(), Folder(dir)); err != nil {
		return err
	}
	d.statusFile = filepath.Join(machine.Files, statusName)
	if err := machine.SetUpNetwork(); err != nil {
		return err
	}
	// etcd, containerd and the pods open many files, and a shell's soft limit is low. Go raises its own to the hard limit, but
	// children get that limit only after an explicit Setrlimit.
	var limit unix.Rlimit
	if err := errors.Join(unix.Getrlimit(unix.RLIMIT_NOFILE, &limit), unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)); err != nil {
		return err
	}
	if err := keys.Write(filepath.Join(machine.Files, Kubeconfig), s.APIPort); err != nil {
		return err
	}
	if d.components, err = components.Configure(machine.Run, machine.CgroupOf(s.Cache)); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", keys.Kubeconfig(keys.Admin))
	if err != nil {
		return err
	}
	d.cluster, err = ready.NewCluster(config)
	return err
}

// inherit takes over the file descriptors that Spawn passed on.
func (d *daemon) inherit() error {
	unix.CloseOnExec(lockFD) // the components must not hold the lock
	for i := range d.listeners {
		file := os.NewFile(uintptr(listenerFD+i), "listener")
		var err error
		if d.listeners[i], err = net.FileListener(file); err != nil {
			return fmt.Errorf("inherited listener %d: %w", i, err)
		}
		_ = file.Close() // the listener has its own copy
	}
	return nil
}
