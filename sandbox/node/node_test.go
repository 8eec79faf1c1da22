package node

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/internal/disk"
	"example.com/journal/sandbox/node/internal/daemon"
	"example.com/journal/sandbox/node/internal/process"
)

// TestMain lets the end-to-end test's own executable become the node.
func TestMain(m *testing.M) {
	if Reexec() {
		return
	}
	os.Exit(m.Run())
}

func TestPortsComeFromTheEnvironment(t *testing.T) {
	for _, test := range []struct {
		name      string
		http, api string
		want      [2]int
		wantErrs  []string
	}{
		{name: "defaults", want: [2]int{8080, 16443}},
		{name: "both set", http: "8081", api: "16444", want: [2]int{8081, 16444}},
		{
			name: "both wrong are reported together", http: "web", api: "70000",
			wantErrs: []string{`JOURNAL_HTTP_PORT "web": not a TCP port`, `JOURNAL_API_PORT "70000": not a TCP port`},
		},
		{name: "zero is no port", http: "0", wantErrs: []string{`JOURNAL_HTTP_PORT "0"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := map[string]string{"JOURNAL_HTTP_PORT": test.http, "JOURNAL_API_PORT": test.api}
			config, err := ConfigFromEnv(cache.Dir{}, func(key string) string { return env[key] }, nil)
			wantErrors(t, err, test.wantErrs)
			if got := [2]int{config.HTTPPort, config.APIPort}; err == nil && got != test.want {
				t.Errorf("ports are %v, not %v", got, test.want)
			}
		})
	}
}

func TestCheckNamesAPortInUseAndHowToChangeIt(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	port := listener.Addr().(*net.TCPAddr).Port
	err = Check(t.Context(), Config{Dir: newDir(t), Ports: Ports{HTTPPort: port, HTTPSPort: freePort(t), APIPort: freePort(t)}})
	wantErrors(t, err, []string{"HTTP port: " + strconv.Itoa(port) + " is in use by node.test", "set JOURNAL_HTTP_PORT to a free port"})
}

func TestOneNodeForEachFolder(t *testing.T) {
	dir := newDir(t)
	if err := os.MkdirAll(daemon.Folder(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Running(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("an empty folder: Running returns %v, not ErrNotRunning", err)
	}
	lock, err := disk.TryLock(daemon.LockFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := disk.TryLock(daemon.LockFile(dir)); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("a second lock: %v, not ErrLocked", err)
	}
	// A process with the name of a node.
	sleep := exec.Command("sleep", "60")
	sleep.Args[0] = daemon.Name
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sleep.Process.Kill(); _ = sleep.Wait() }()
	for process.NameOf(sleep.Process.Pid) != daemon.Name { // which it has some time after it was started
		time.Sleep(time.Millisecond)
	}
	status := daemon.Status{Ports: daemon.Ports{HTTPPort: 1, HTTPSPort: 4, APIPort: 2}, PID: sleep.Process.Pid, Ready: true}
	if err := daemon.WriteStatus(daemon.StatusFile(dir), status); err != nil {
		t.Fatal(err)
	}
	node, err := Running(dir)
	if err != nil || node.PID != sleep.Process.Pid {
		t.Errorf("Running returns %v, %v, not process %d", node, err, sleep.Process.Pid)
	}
	_, err = Start(t.Context(), Config{Dir: dir, Ports: Ports{HTTPPort: 3, HTTPSPort: 4, APIPort: 2}, Progress: io.Discard})
	wantErrors(t, err, []string{"already runs with ports 1, 4 and 2, not 3, 4 and 2", "make down"})

	// The status of a killed node may name an unrelated process.
	status.PID = os.Getpid()
	if err := daemon.WriteStatus(daemon.StatusFile(dir), status); err != nil {
		t.Fatal(err)
	}
	if _, err := Running(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("another process has the number: Running returns %v, not ErrNotRunning", err)
	}

	// The kernel releases the lock when the node is gone.
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	status.Failure = "etcd exited: killed"
	if err := daemon.WriteStatus(daemon.StatusFile(dir), status); err != nil {
		t.Fatal(err)
	}
	if _, err := Running(dir); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "etcd exited: killed") {
		t.Errorf("after a failure: Running returns %v", err)
	}
}

func newDir(t *testing.T) cache.Dir {
	t.Helper()
	dir, err := cache.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

// wantErrors checks that the error contains all of this, or that there is none.
func wantErrors(t *testing.T, err error, wants []string) {
	t.Helper()
	if len(wants) == 0 && err != nil {
		t.Errorf("unexpected error: %v", err)
	}
	for _, want := range wants {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}
