package process

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newTable is a table that reaps, as the node does.
func newTable(t *testing.T) *Table {
	t.Helper()
	table := NewTable(t.TempDir())
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range signals {
			table.Reap()
		}
	}()
	t.Cleanup(func() { signal.Stop(signals); close(signals); <-done })
	return table
}

func shell(name, script string) Program {
	return Program{Name: name, Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"WORD=entry"}}
}

func TestProgramsGetAFixedEnvironment(t *testing.T) {
	t.Setenv("GOGC", "off")
	t.Setenv("HTTPS_PROXY", "http://proxy.example.com")
	table := newTable(t)
	if err := table.Run(t.Context(), shell("show", "env")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(table.logs, "show.log"))
	if err != nil {
		t.Fatal(err)
	}
	got := slices.DeleteFunc(strings.Fields(string(text)), func(v string) bool {
		return strings.HasPrefix(v, "PWD=") || strings.HasPrefix(v, "_=") || strings.HasPrefix(v, "SHLVL=") // the shell's own
	})
	slices.Sort(got)
	if want := []string{"HOME=/run", "LANG=C.UTF-8", "PATH=/usr/sbin:/usr/bin", "WORD=entry"}; !slices.Equal(got, want) {
		t.Errorf("the environment is %q, not %q", got, want)
	}
}

func TestEndOfAProcessIsToldWithItsReason(t *testing.T) {
	table := newTable(t)
	err := table.Run(t.Context(), shell("etcd", "echo no space left; exit 3"))
	if err == nil || err.Error() != "etcd exited: status 3\nno space left" {
		t.Errorf("the error is %v", err)
	}
	p, err := table.Start(shell("etcd", "kill -KILL $$"))
	if err != nil {
		t.Fatal(err)
	}
	<-p.Ended
	if err := p.Err(); !strings.HasPrefix(err.Error(), "etcd exited: killed") {
		t.Errorf("the error is %v", err)
	}
}

func TestProcessThatIgnoresSIGTERMIsKilledAfterTheGrace(t *testing.T) {
	table := newTable(t)
	p, err := table.Start(shell("stubborn", "trap '' TERM; echo ready; while :; do sleep 0.01; done"))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); tail(p.log, 1) != "ready" && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if found := Programs(os.Getpid()); !slices.Contains(found, Child{"stubborn", p.pid}) {
		t.Errorf("the programs are %v, without the stubborn one", found)
	}
	p.Stop(20 * time.Millisecond)
	if err := p.Err(); !strings.HasPrefix(err.Error(), "stubborn exited: killed") {
		t.Errorf("the error is %v", err)
	}
}

func TestRunEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := newTable(t).Run(ctx, shell("slow", "sleep 60")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}

func TestTailIsTheEndOfALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 20000)+"\none\ntwo\nthree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := tail(path, 2); got != "two\nthree" {
		t.Errorf("the tail is %q", got)
	}
}
