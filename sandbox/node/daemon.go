package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	// processName is how the node's process is called, and how this executable knows that it is to be the node.
	processName = "journal-sandbox-node"
	// bootTimeout is shorter than startTimeout, so that the node itself can say what it waited for.
	bootTimeout = startTimeout - 20*time.Second
	// bringBackTimeout is how long a start waits for pods that ran before.
	bringBackTimeout = 30 * time.Second
	// podGrace is how long containers may take to end after SIGTERM.
	podGrace = 8 * time.Second
)

// errStopped is the reason for an end that somebody asked for.
var errStopped = errors.New("stopped")

// Reexec turns this process into the node if Start made it for that. A program that calls Start has to call it before
// anything else in main (and in TestMain), and to return when it returns true.
func Reexec() bool {
	if os.Args[0] != processName || len(os.Args) != 2 || os.Getpid() != 1 {
		return false
	}
	d := &daemon{reports: os.NewFile(7, "reports"), folder: "."}
	if err := d.run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// daemon is the node's process: PID 1 of its namespaces and the parent of all components.
type daemon struct {
	settings
	state            state
	folder           string // where the node's files are, as seen from the current root
	reports          *os.File
	http, https, api net.Listener
	client           *http.Client // with the administrator's certificate
	processes        processes
	fail             context.CancelCauseFunc // ends the node

	mu         sync.Mutex
	components []*process // in the order of their start
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
		d.state.Ready = true
		err = d.saveState()
	}
	if err == nil {
		d.report(report{Ready: true})
		fmt.Println("ready")
		<-ctx.Done()
		err = context.Cause(ctx)
	}
	d.shutDown()
	if errors.Is(err, errStopped) {
		return nil
	}
	d.state.Failure = err.Error()
	d.state.Ready = false
	_ = d.saveState()
	d.report(report{Error: err.Error()})
	return err
}

// handleSignals reaps children and turns a request to stop into the end of the node.
func (d *daemon) handleSignals() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for s := range signals {
			if s == syscall.SIGCHLD {
				d.processes.reap()
			} else {
				d.fail(errStopped)
			}
		}
	}()
}

// prepare makes the namespaces the node's own, and writes what all components share.
func (d *daemon) prepare(told string) error {
	if err := json.Unmarshal([]byte(told), &d.settings); err != nil {
		return err
	}
	d.folder = d.Folder
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
	d.state = state{PID: pid, Since: time.Now(), HTTPPort: d.HTTPPort, HTTPSPort: d.HTTPSPort, APIPort: d.APIPort}
	if err := d.saveState(); err != nil {
		return err
	}
	if err := d.inherit(); err != nil {
		return err
	}
	if err := enterRoot(d.settings); err != nil {
		return err
	}
	d.folder = nodeFiles
	if err := unix.Sethostname([]byte(Name)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := setUpNetwork(); err != nil {
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
	return d.writeKeys()
}

// inherit takes over the files that Start opened, in the order of files.inherited.
func (d *daemon) inherit() error {
	for fd := 3; fd <= 7; fd++ {
		unix.CloseOnExec(fd) // the components get none of them: not the lock above all
	}
	for fd, listener := range map[uintptr]*net.Listener{4: &d.http, 5: &d.https, 6: &d.api} {
		file := os.NewFile(fd, "listener")
		var err error
		if *listener, err = net.FileListener(file); err != nil {
			return fmt.Errorf("inherited listener %d: %w", fd, err)
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

// boot starts everything, each part as soon as what it needs is there.
func (d *daemon) boot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()

	go forward(d.api, net.JoinHostPort(nodeIP, apiserverPort))
	go forward(d.http, net.JoinHostPort(nodeIP, ingressPort))
	go forward(d.https, net.JoinHostPort(nodeIP, ingressTLSPort))

	d.progress("starting etcd, containerd and the apiserver")
	runtime, runtimeCtx := errgroup.WithContext(ctx)
	runtime.Go(func() error { return d.startAndWait(runtimeCtx, containerd()) })
	if err := d.startAndWait(ctx, etcd()); err != nil {
		return err
	}
	if err := d.startAndWait(ctx, apiserver()); err != nil {
		return err
	}
	pods, err := forgetReadiness(ctx, d.client)
	if err != nil {
		return err
	}
	if err := runtime.Wait(); err != nil {
		return err
	}

	d.progress("starting the kubelet, the controllers and the network")
	all, allCtx := errgroup.WithContext(ctx)
	for _, c := range []component{controllerManager(), scheduler(), kubelet(d.Cgroup), proxy()} {
		all.Go(func() error { return d.startAndWait(allCtx, c) })
	}
	all.Go(func() error {
		// The addons' programs may do nothing before their rights are there.
		if err := d.applyAddons(allCtx); err != nil {
			return err
		}
		for _, c := range []component{dns(), networkPolicy(), localStorage(), ingress()} {
			all.Go(func() error { return d.startAndWait(allCtx, c) })
		}
		return nil
	})
	all.Go(func() error { return d.waitFor(allCtx, "the node", nodeIsReady(apiserverURL, d.state.Since)) })
	all.Go(func() error { return d.waitFor(allCtx, "the default ServiceAccount", exists(defaultServiceAccount)) })
	if err := all.Wait(); err != nil || len(pods) == 0 {
		return err
	}
	return d.bringBack(ctx, pods)
}

// bringBack waits for the pods of the last run. That some of them do not come back (their program may depend on what is
// not there) is no failure of the node.
func (d *daemon) bringBack(ctx context.Context, pods []pod) error {
	d.progress(fmt.Sprintf("waiting for the %d pods that were ready before the stop", len(pods)))
	within, cancel := context.WithTimeout(ctx, bringBackTimeout)
	defer cancel()
	err := d.waitFor(within, "pods of the last run", readyAgain(pods))
	if err != nil && ctx.Err() == nil {
		d.progress(fmt.Sprintf("after %s %v (going on)", bringBackTimeout, err))
		return nil
	}
	return err
}

// startAndWait starts a component and returns when it is ready.
func (d *daemon) startAndWait(ctx context.Context, c component) error {
	for path, text := range c.files {
		if err := writeSecret(path, []byte(text)); err != nil {
			return err
		}
	}
	if c.needs != nil {
		if err := d.waitFor(ctx, "what "+c.name+" needs", c.needs); err != nil {
			return err
		}
	}
	p, err := d.processes.start(c)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.components = append(d.components, p)
	d.mu.Unlock()
	go func() {
		<-p.ended
		d.fail(p.err()) // without effect when the node is being stopped
	}()
	if c.ready == nil {
		return nil
	}
	return d.waitFor(ctx, c.name, c.ready)
}

// waitFor asks until the answer is good, the node ends, or a component has ended.
func (d *daemon) waitFor(ctx context.Context, what string, ready readiness) error {
	began := time.Now()
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := ready(attempt, d.client)
		cancel()
		if err == nil {
			fmt.Printf("%s ready after %d ms\n", what, time.Since(began).Milliseconds())
			return nil
		}
		if pause(ctx, 50*time.Millisecond) == nil {
			continue
		}
		return fmt.Errorf("not ready: %s: %w", what, err)
	}
}

// shutDown ends pods first, while everything they need is still there, and etcd last. What is left ends with this process.
func (d *daemon) shutDown() {
	began := time.Now()
	running := map[string]*process{}
	d.mu.Lock()
	for _, p := range d.components {
		running[p.name] = p
	}
	d.mu.Unlock()
	stop := func(grace time.Duration, names ...string) {
		var all sync.WaitGroup
		for _, name := range names {
			if p := running[name]; p != nil {
				all.Go(func() { p.stop(grace) })
			}
			delete(running, name)
		}
		all.Wait()
	}
	// Without its kubelet a container that ends stays so.
	stop(2*time.Second, "kubelet")
	endContainers(podGrace)
	var rest []string
	for name := range running {
		if !slices.Contains([]string{"kube-apiserver", "containerd", "etcd"}, name) {
			rest = append(rest, name)
		}
	}
	stop(time.Second, rest...)
	stop(2*time.Second, "kube-apiserver", "containerd")
	stop(3*time.Second, "etcd")
	fmt.Printf("stopped after %d ms\n", time.Since(began).Milliseconds())
}

// endContainers sends SIGTERM to each container's first process (Redis then closes its files) and waits for them.
func endContainers(grace time.Duration) {
	deadline := time.Now().Add(grace)
	told := map[int]bool{}
	for {
		containers := containerProcesses()
		if len(containers) == 0 || time.Now().After(deadline) {
			return
		}
		for _, pid := range containers {
			if !told[pid] {
				told[pid] = true
				_ = syscall.Kill(pid, syscall.SIGTERM)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// containerProcesses returns the children of containerd's shims, which are themselves orphans and so children of PID 1.
func containerProcesses() []int {
	var found []int
	for _, shim := range children(1) {
		if strings.HasPrefix(commandName(shim), shimPrefix) {
			found = append(found, children(shim)...)
		}
	}
	return found
}

// shimPrefix begins the names of the processes that are between containerd and containers.
const shimPrefix = "containerd-shim"

// children returns the processes that a process has started or inherited.
func children(pid int) []int {
	var found []int
	// Each thread has children of its own.
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended in the meantime
		}
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				found = append(found, child)
			}
		}
	}
	return found
}

// commandName is the name a process was called by, or nothing if it has ended.
func commandName(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(string(text), "\x00")
	return filepath.Base(name)
}

func (d *daemon) progress(text string) {
	fmt.Println(text)
	d.report(report{Progress: text})
}

// report tells the process that waits in Start. It may be gone, which changes nothing.
func (d *daemon) report(r report) {
	_ = json.NewEncoder(d.reports).Encode(r)
	if r.Ready || r.Error != "" {
		_ = d.reports.Close()
	}
}

// saveState replaces the state file in one step, as others read it at any time.
func (d *daemon) saveState() error {
	text, err := json.Marshal(d.state)
	if err != nil {
		return err
	}
	path := filepath.Join(d.folder, "node.json")
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
