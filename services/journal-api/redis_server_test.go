package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisServer is a real redis-server on a loopback port. Its folder outlives
// stop and start, as a volume does.
type redisServer struct {
	t        testing.TB
	dir      string
	address  string
	password string
	cmd      *exec.Cmd
	exited   chan struct{}
}

// redisBinary finds redis-server, or says how to get it.
func redisBinary(t testing.TB) string {
	t.Helper()
	name := os.Getenv("REDIS_SERVER")
	if name == "" {
		name = "redis-server"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("these tests need a real redis-server 7 or newer: %v; install it (Debian: the package redis-server)"+
			" or name its binary in REDIS_SERVER", err)
	}
	return path
}

// newRedisServer starts a server with the given lines of configuration.
func newRedisServer(t testing.TB, lines ...string) *redisServer {
	t.Helper()
	s := &redisServer{t: t, dir: t.TempDir(), address: freeAddress(t), password: "first-password"}
	_, port, _ := net.SplitHostPort(s.address)
	lines = append([]string{
		"bind 127.0.0.1", "port " + port, "dir " + s.dir, "logfile " + filepath.Join(s.dir, "redis.log"),
		"appendonly yes", "appendfsync always", "save \"\"", "repl-diskless-sync-delay 0",
		"requirepass " + s.password, "masterauth " + s.password,
	}, lines...)
	s.writeFile("redis.conf", strings.Join(lines, "\n")+"\n")
	s.start()
	t.Cleanup(func() { s.stop(syscall.SIGKILL) })
	return s
}

// freeAddress gives a loopback address that nothing else takes, not even while
// the server on it is stopped: its port is below those of outgoing connections,
// and given once.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.N(20_000))
		if _, given := givenAddresses.LoadOrStore(address, true); given {
			continue
		}
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatal("no free port from 10000 to 29999")
	return ""
}

var givenAddresses sync.Map

func (s *redisServer) writeFile(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *redisServer) start() {
	s.t.Helper()
	s.cmd = exec.Command(redisBinary(s.t), filepath.Join(s.dir, "redis.conf"))
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // A test that dies leaves none behind.
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	exited := make(chan struct{})
	s.exited = exited
	go func() {
		_ = s.cmd.Wait()
		close(exited)
	}()
	client := s.client()
	eventually(s.t, "redis-server answers", func() bool {
		select {
		case <-exited:
			log, _ := os.ReadFile(filepath.Join(s.dir, "redis.log"))
			s.t.Fatalf("redis-server exited: %v\n%s", s.cmd.ProcessState, log)
		default:
		}
		return client.Ping(s.t.Context()).Err() == nil
	})
}

// stop ends the server and waits until it has gone.
func (s *redisServer) stop(signal syscall.Signal) {
	_ = s.cmd.Process.Signal(signal)
	<-s.exited
}

// client is the tests' own way in.
func (s *redisServer) client() *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: s.address, Password: s.password})
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

func (s *redisServer) configure(name, value string) {
	s.t.Helper()
	if err := s.client().ConfigSet(s.t.Context(), name, value).Err(); err != nil {
		s.t.Fatalf("CONFIG SET %s: %v", name, err)
	}
}

// newReplica starts a replica and waits until it is in sync.
func newReplica(t testing.TB, primary *redisServer, lines ...string) *redisServer {
	t.Helper()
	host, port, _ := net.SplitHostPort(primary.address)
	replica := newRedisServer(t, append(lines, fmt.Sprintf("replicaof %s %s", host, port))...)
	eventually(t, "the replica is in sync", func() bool {
		info := primary.client().Info(t.Context(), "replication").Val()
		return replicaInSync.MatchString(info)
	})
	return replica
}

// calls tells how often the server has run a command.
func (s *redisServer) calls(command string) int {
	s.t.Helper()
	info := s.client().InfoMap(s.t.Context(), "commandstats").Item("Commandstats", "cmdstat_"+command)
	first, _, _ := strings.Cut(strings.TrimPrefix(info, "calls="), ",")
	calls, _ := strconv.Atoi(first)
	return calls
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("not in 10 s: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
