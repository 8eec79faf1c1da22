// Package process starts the cluster's programs, knows how they ended, and stops them.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Environment is what the node and its programs get: nothing from the person who typed `make up`, such as a proxy, and nothing
// from the go command, whose settings of the garbage collector would stay with them.
var Environment = []string{"PATH=/usr/sbin:/usr/bin", "HOME=/run", "LANG=C.UTF-8"}

// Program says what to start.
type Program struct {
	Name string   // also the name of its log
	Path string   // the executable
	Args []string // without the program's name
	Env  []string // in addition to Environment
}

// Process is a started program.
type Process struct {
	Name  string
	Ended chan struct{} // closed when it has ended

	pid    int
	log    string
	status syscall.WaitStatus // valid when Ended is closed
}

// Table starts programs and is told how they end. It stands in for exec.Cmd's Wait: the node is PID 1, which has to reap
// every orphan of its namespace (pods' shims among them), and two waiters would take each other's children.
type Table struct {
	logs    string // the folder of logs
	mu      sync.Mutex
	running map[int]*Process
}

// NewTable returns a table of programs that write their logs into a folder.
func NewTable(logs string) *Table { return &Table{logs: logs, running: map[int]*Process{}} }

// Start runs a program with its output in a log of its own. The program's session is its own, too.
func (t *Table) Start(program Program) (*Process, error) {
	p := &Process{Name: program.Name, Ended: make(chan struct{}), log: filepath.Join(t.logs, program.Name+".log")}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(program.Path, program.Args...)
	cmd.Args[0] = program.Name
	cmd.Dir = "/"
	cmd.Env = slices.Concat(Environment, program.Env)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}

	// The lock is held until the process is in the table, so that even one that ends at once is found there.
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", program.Name, err)
	}
	p.pid = cmd.Process.Pid
	_ = cmd.Process.Release() // Reap waits for it
	t.running[p.pid] = p
	return p, nil
}

// Run starts a program and waits until it has succeeded.
func (t *Table) Run(ctx context.Context, program Program) error {
	p, err := t.Start(program)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
		return fmt.Errorf("%s: %w", p.Name, ctx.Err())
	case <-p.Ended:
	}
	if p.status.ExitStatus() != 0 {
		return p.Err()
	}
	return nil
}

// Reap collects every child that has ended. It is called for each SIGCHLD, which may stand for several.
func (t *Table) Reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		t.mu.Lock()
		p := t.running[pid]
		delete(t.running, pid)
		t.mu.Unlock()
		if p != nil {
			p.status = status
			close(p.Ended)
		}
	}
}

// Stop ends the process: SIGTERM, and SIGKILL after the grace.
func (p *Process) Stop(grace time.Duration) {
	_ = syscall.Kill(p.pid, syscall.SIGTERM)
	select {
	case <-p.Ended:
	case <-time.After(grace):
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
		<-p.Ended
	}
}

// Err says how the process ended, with the last lines of its log, which say why.
func (p *Process) Err() error {
	how := fmt.Sprintf("status %d", p.status.ExitStatus())
	if p.status.Signaled() {
		how = p.status.Signal().String()
	}
	return fmt.Errorf("%s exited: %s\n%s", p.Name, how, tail(p.log, 8))
}

// tail returns the last lines of a log.
func tail(path string, lines int) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = file.Close() }()
	_, _ = file.Seek(-8<<10, io.SeekEnd) // a shorter log is read from its start
	text, _ := io.ReadAll(file)
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
