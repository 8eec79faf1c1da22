// Package process starts and stops the cluster's programs, and says how they ended.
package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Environment is what the node and its programs get: nothing of the user who typed `make up`, such as a proxy, and nothing of
// the go command, whose garbage collector settings would apply to them.
var Environment = []string{"PATH=/usr/sbin:/usr/bin", "HOME=/run", "LANG=C.UTF-8"}

// Program says what to start, and where to ask whether it does its work yet.
type Program struct {
	Name  string   // also the name of its log
	Path  string   // the executable
	Args  []string // without the program's name
	Env   []string // in addition to Environment
	Ready string   // where it answers when it is ready, in the form that ready.At takes; empty if it has no way to say so
}

// Process is a started program.
type Process struct {
	Ended chan struct{} // closed when it has ended

	cmd *exec.Cmd
	log string
}

// Start runs a program in its own session, with its output in its own log in the folder logs.
func Start(logs string, program Program) (*Process, error) {
	p := &Process{Ended: make(chan struct{}), log: filepath.Join(logs, program.Name+".log")}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p.cmd = exec.Command(program.Path, program.Args...)
	p.cmd.Args[0] = program.Name
	p.cmd.Dir = "/"
	p.cmd.Env = slices.Concat(Environment, program.Env)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", program.Name, err)
	}
	go func() {
		_ = p.cmd.Wait() // Err tells how it ended
		close(p.Ended)
	}()
	return p, nil
}

// PID is the process's ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop ends the process: SIGTERM, and SIGKILL after the grace.
func (p *Process) Stop(grace time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.Ended:
	case <-time.After(grace):
		_ = p.cmd.Process.Kill()
		<-p.Ended
	}
}

// Err says how the process ended, with the last lines of its log, which say why.
func (p *Process) Err() error {
	return fmt.Errorf("%s exited: %s\n%s", p.cmd.Args[0], p.cmd.ProcessState, tail(p.log, 8))
}

// tail returns the last lines of a log.
func tail(path string, lines int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
