package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// environment is what the cluster's programs get: nothing from the person who typed `make up`, such as a proxy.
var environment = []string{"PATH=/usr/sbin:/usr/bin", "HOME=/run", "LANG=C.UTF-8"}

// component is one program of the cluster.
type component struct {
	name  string            // also the name of its log
	path  string            // the executable
	args  []string          // without the program's name
	env   []string          // in addition to environment
	files map[string]string // configuration, by path, written before the start
	needs readiness         // what it cannot start without; nil if nothing
	ready readiness         // nil if the program cannot say
}

// process is a started program.
type process struct {
	name  string
	pid   int
	log   string
	ended chan struct{} // closed when it has ended; status is set then
	// status is valid after ended is closed.
	status syscall.WaitStatus
}

// err says how the process ended, with the last lines of its log, which say why.
func (p *process) err() error {
	how := fmt.Sprintf("status %d", p.status.ExitStatus())
	if p.status.Signaled() {
		how = p.status.Signal().String()
	}
	return fmt.Errorf("%s exited: %s\n%s", p.name, how, tail(p.log, 8))
}

// processes starts programs and is told how they end. It stands in for exec.Cmd's Wait: the node is PID 1, which has
// to reap every orphan of its namespace (pods' shims among them), and two waiters would take each other's children.
type processes struct {
	mu      sync.Mutex
	running map[int]*process
}

// start runs a program with its output in a log of its own. The program's session is its own, too.
func (ps *processes) start(c component) (*process, error) {
	p := &process{name: c.name, log: filepath.Join(logFolder, c.name+".log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer func() { _ = null.Close() }()

	// The lock is held until the process is in the table, so that even one that ends at once is found there.
	ps.mu.Lock()
	defer ps.mu.Unlock()
	started, err := os.StartProcess(c.path, append([]string{c.name}, c.args...), &os.ProcAttr{
		Dir: "/", Env: append(environment[:len(environment):len(environment)], c.env...),
		Files: []*os.File{null, log, log}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	p.pid = started.Pid
	_ = started.Release()
	if ps.running == nil {
		ps.running = map[int]*process{}
	}
	ps.running[p.pid] = p
	return p, nil
}

// run starts a program and waits until it has succeeded.
func (ps *processes) run(ctx context.Context, c component) error {
	p, err := ps.start(c)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
		return fmt.Errorf("%s: %w", c.name, ctx.Err())
	case <-p.ended:
	}
	if p.status.ExitStatus() != 0 {
		return p.err()
	}
	return nil
}

// reap collects every child that has ended. It is called for each SIGCHLD, which may stand for several.
func (ps *processes) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		ps.mu.Lock()
		p := ps.running[pid]
		delete(ps.running, pid)
		ps.mu.Unlock()
		if p != nil {
			p.status = status
			close(p.ended)
		}
	}
}

// stop ends a process: SIGTERM, and SIGKILL after the grace.
func (p *process) stop(grace time.Duration) {
	_ = syscall.Kill(p.pid, syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(grace):
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
		<-p.ended
	}
}

// tail returns the last lines of a log.
func tail(path string, lines int) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = file.Close() }()
	const enough = 8 << 10
	if info, err := file.Stat(); err == nil && info.Size() > enough {
		_, _ = file.Seek(-enough, io.SeekEnd)
	}
	text, _ := io.ReadAll(file)
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.TrimSpace(string(bytes.Join(all, []byte("\n"))))
}
