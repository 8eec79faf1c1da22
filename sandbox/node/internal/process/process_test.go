package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func shell(name, script string) Program {
	return Program{Name: name, Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"WORD=entry"}}
}

func TestProgramsGetAFixedEnvironment(t *testing.T) {
	t.Setenv("GOGC", "off")
	t.Setenv("HTTPS_PROXY", "http://proxy.example.com")
	logs := t.TempDir()
	show, err := Start(logs, shell("show", "env"))
	if err != nil {
		t.Fatal(err)
	}
	<-show.Ended
	text, err := os.ReadFile(filepath.Join(logs, "show.log"))
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
	for script, want := range map[string]string{
		"echo no space left; exit 3": "etcd exited: exit status 3\nno space left", "echo lost; kill -KILL $$": "etcd exited: signal: killed\nlost",
	} {
		t.Run(script, func(t *testing.T) {
			p, err := Start(t.TempDir(), shell("etcd", script))
			if err != nil {
				t.Fatal(err)
			}
			<-p.Ended
			if err := p.Err(); err.Error() != want {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestProcessThatIgnoresSIGTERMIsKilledAfterTheGrace(t *testing.T) {
	p, err := Start(t.TempDir(), shell("stubborn", "trap '' TERM; echo ready; while :; do sleep 0.01; done"))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); tail(p.log, 1) != "ready" && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if found := Programs(os.Getpid()); !slices.Contains(found, Child{"stubborn", p.PID()}) {
		t.Errorf("the programs are %v, without the stubborn one", found)
	}
	p.Stop(20 * time.Millisecond)
	if err := p.Err(); !strings.HasPrefix(err.Error(), "stubborn exited: signal: killed") {
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
