package node

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/journal/sandbox/cache"
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
		{name: "one port cannot be both", http: "16443", wantErrs: []string{"JOURNAL_HTTP_PORT and JOURNAL_API_PORT are both 16443"}},
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
	err = Check(t.Context(), Config{Dir: newDir(t), HTTPPort: port, HTTPSPort: freePort(t), APIPort: freePort(t)})
	wantErrors(t, err, []string{"port " + strconv.Itoa(port), "address already in use", "set JOURNAL_HTTP_PORT to a free port"})
}

func TestOneNodeForEachFolder(t *testing.T) {
	dir := newDir(t)
	if err := os.MkdirAll(nodeFolder(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Running(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("an empty folder: Running returns %v, not ErrNotRunning", err)
	}
	lock, err := takeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := takeLock(dir); !errors.Is(err, errLocked) {
		t.Errorf("a second lock: %v, not errLocked", err)
	}
	// A process that is called like a node.
	sleep := exec.Command("sleep", "60")
	sleep.Args[0] = processName
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sleep.Process.Kill(); _ = sleep.Wait() }()
	d := &daemon{folder: nodeFolder(dir), state: state{PID: sleep.Process.Pid, HTTPPort: 1, HTTPSPort: 4, APIPort: 2, Ready: true}}
	if err := d.saveState(); err != nil {
		t.Fatal(err)
	}
	node, err := Running(dir)
	if err != nil || node.PID() != sleep.Process.Pid {
		t.Errorf("Running returns %v, %v, not process %d", node, err, sleep.Process.Pid)
	}
	_, err = Start(t.Context(), Config{Dir: dir, HTTPPort: 3, HTTPSPort: 4, APIPort: 2})
	wantErrors(t, err, []string{"already runs with ports 1, 4 and 2, not 3, 4 and 2", "make down"})

	// The state of a killed node may name a process that has nothing to do with it.
	d.state.PID = os.Getpid()
	if err := d.saveState(); err != nil {
		t.Fatal(err)
	}
	if _, err := Running(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("another process has the number: Running returns %v, not ErrNotRunning", err)
	}

	// The kernel releases the lock when the node is gone.
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	d.state.Failure = "etcd exited: killed"
	if err := d.saveState(); err != nil {
		t.Fatal(err)
	}
	if _, err := Running(dir); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "etcd exited: killed") {
		t.Errorf("after a failure: Running returns %v", err)
	}
}

func TestEachFolderHasItsOwnCgroup(t *testing.T) {
	one, other := newDir(t), newDir(t)
	if cgroupName(one) == cgroupName(other) {
		t.Errorf("both are %s", cgroupName(one))
	}
	same, err := cache.At(one.Root())
	if err != nil {
		t.Fatal(err)
	}
	if cgroupName(one) != cgroupName(same) {
		t.Errorf("the same folder has %s and %s", cgroupName(one), cgroupName(same))
	}
}

func TestAuthoritiesAreKeptAndTheirCertificatesHold(t *testing.T) {
	folder := t.TempDir()
	first, err := openAuthority(folder, "ca")
	if err != nil {
		t.Fatal(err)
	}
	again, err := openAuthority(folder, "ca")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.pem, again.pem) {
		t.Error("the second opening has made a new authority")
	}
	for _, file := range []string{"ca.crt", "ca.key"} {
		if info, err := os.Stat(filepath.Join(folder, file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode is not 0600: %v, %v", file, info.Mode(), err)
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(first.certificate)
	client := parse(t, again, subject{user: "alice", groups: []string{"team-a"}})
	if client.Subject.CommonName != "alice" || strings.Join(client.Subject.Organization, " ") != "team-a" {
		t.Errorf("the client is %s", client.Subject)
	}
	if _, err := client.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	server := parse(t, again, subject{user: "server", names: []string{"localhost"}, addresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	for _, name := range []string{"localhost", "127.0.0.1"} {
		if _, err := server.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Error(err)
		}
	}
	if _, err := server.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err == nil {
		t.Error("a server's certificate is good for a client")
	}
}

func TestForwardPassesBothWaysUntilBothAreFinished(t *testing.T) {
	// The server answers only when the client has finished its half.
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	go func() {
		connection, err := server.Accept()
		if err != nil {
			return
		}
		text, _ := io.ReadAll(connection)
		_, _ = connection.Write(bytes.ToUpper(text))
		_ = connection.Close()
	}()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = front.Close() }()
	go forward(front, server.Addr().String())

	client, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = client.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := client.Write([]byte("entry")); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client); err != nil || string(got) != "ENTRY" {
		t.Errorf("the answer is %q, %v", got, err)
	}
}

func TestFollowReportsProgressAndTheFirstError(t *testing.T) {
	for _, test := range []struct{ name, reports, wantProgress, wantErr string }{
		{name: "ready", reports: `{"progress":"starting etcd"}{"ready":true}`, wantProgress: "starting etcd\n"},
		{name: "failed", reports: `{"error":"etcd exited: killed"}`, wantErr: "etcd exited: killed"},
		{name: "gone", reports: `{"progress":"starting etcd"}`, wantProgress: "starting etcd\n", wantErr: "ended before it was ready"},
	} {
		t.Run(test.name, func(t *testing.T) {
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			_, _ = writer.WriteString(test.reports)
			_ = writer.Close()
			var progress strings.Builder
			err = follow(t.Context(), reader, &progress)
			if test.wantErr == "" && err != nil || test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)) {
				t.Errorf("the error is %v, not %q", err, test.wantErr)
			}
			if progress.String() != test.wantProgress {
				t.Errorf("the progress is %q, not %q", progress.String(), test.wantProgress)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = writer.Close() }()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := follow(ctx, reader, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestNodeIsReadyOnlyWhenTheKubeletHasSaidSoSinceTheStart(t *testing.T) {
	start := time.Now()
	for _, test := range []struct {
		name, status string
		at           time.Time
		want         bool
	}{
		{"ready now", "True", start.Add(time.Second), true},
		{"in the same second", "True", start.Truncate(time.Second), true},
		{"before the stop", "True", start.Add(-time.Minute), false},
		{"not ready", "False", start.Add(time.Second), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_ = json.NewEncoder(w).Encode(map[string]any{"status": map[string]any{"conditions": []any{
					map[string]any{"type": "Ready", "status": test.status, "lastHeartbeatTime": test.at.UTC().Format(time.RFC3339)},
				}}})
			}))
			defer server.Close()
			if err := nodeIsReady(server.URL, start)(t.Context(), server.Client()); (err == nil) != test.want {
				t.Errorf("the error is %v", err)
			}
		})
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

func parse(t *testing.T, a *authority, s subject) *x509.Certificate {
	t.Helper()
	id, err := a.issue(s)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(id.certificate)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// wantErrors checks that the error says all of this, or that there is none.
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
