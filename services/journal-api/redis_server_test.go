package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
	password string // of the user api
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

// adminPassword is the password of the user admin, who may do everything. In the cluster there is none.
const adminPassword = "admin-password"

// repository is the checkout. Go's test cache notices a change of a file whose name begins with the module's folder, as here,
// and filepath.Join would shorten the name.
var repository = os.DirFS(os.Getenv("PWD") + "/../..")

// defaultUser is the line of configuration of the user default, as in the cluster: Redis reads its log with that user's rights.
func defaultUser(t testing.TB) string {
	t.Helper()
	script, err := fs.ReadFile(repository, "components/journal/start.sh")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`echo "(user default off[^"]*)"`).FindSubmatch(script)
	if line == nil {
		t.Fatal("start.sh does not switch the user default off")
	}
	return string(line[1])
}

// redisUsers are the lines of configuration of the users that Redis has in the cluster: what they may do is in a file there.
func redisUsers(t testing.TB, passwords map[string]string) (lines []string) {
	t.Helper()
	rules, err := fs.ReadFile(repository, "components/journal/users")
	if err != nil {
		t.Fatal(err)
	}
	monitor, err := fs.ReadFile(repository, "components/journal/monitor") // of the exporter
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(rules) + "monitor " + string(monitor)) {
		user, may, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines = append(lines, fmt.Sprintf("user %s on >%s %s", user, cmp.Or(passwords[user], user+"-password"), may))
	}
	return lines
}

// newRedisServer starts a server with the given lines of configuration.
func newRedisServer(t testing.TB, lines ...string) *redisServer {
	t.Helper()
	s := &redisServer{t: t, dir: t.TempDir(), address: freeAddress(t), password: "first-password"}
	_, port, _ := net.SplitHostPort(s.address)
	lines = append([]string{
		"bind 127.0.0.1", "port " + port, "dir " + s.dir, "logfile " + filepath.Join(s.dir, "redis.log"),
		"appendonly yes", "appendfsync always", "save \"\"", "repl-diskless-sync-delay 0",
		defaultUser(t), "user admin on ~* &* +@all >" + adminPassword, "masteruser replica", "masterauth replica-password",
	}, append(redisUsers(t, map[string]string{"api": s.password}), lines...)...)
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

func (s *redisServer) readFile(name string) string {
	s.t.Helper()
	content, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(content)
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

// settle waits until the server has a log of its own: a replica that writes its first one does not stop when it is told to.
func (s *redisServer) settle() {
	s.t.Helper()
	client := s.client()
	eventually(s.t, "redis-server has its log", func() bool {
		info := client.InfoMap(s.t.Context(), "persistence")
		return info.Item("Persistence", "aof_rewrite_in_progress") == "0" && info.Item("Persistence", "aof_rewrite_scheduled") == "0"
	})
}

// freeze stops the server where it is, until thaw or the end of the test.
func (s *redisServer) freeze() { s.signal(syscall.SIGSTOP) }

func (s *redisServer) thaw() { s.signal(syscall.SIGCONT) }

func (s *redisServer) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// holds tells whether a text is in the log on the server's volume.
func (s *redisServer) holds(text string) bool {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "appendonlydir", "*.aof"))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("no log in %s: %v", s.dir, err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		content, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		return bytes.Contains(content, []byte(text))
	})
}

// client is the tests' own connection to the server.
func (s *redisServer) client() *redis.Client {
	return s.as("admin", adminPassword)
}

func (s *redisServer) as(user, password string) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: s.address, Username: user, Password: password, DisableIdentity: true})
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
	client := primary.client()
	inSync := func() int {
		return len(replicaInSync.FindAllString(client.Info(t.Context(), "replication").Val(), -1))
	}
	before := inSync()
	replica := newRedisServer(t, append(lines, fmt.Sprintf("replicaof %s %s", host, port))...)
	eventually(t, "the replica is in sync", func() bool { return inSync() > before })
	replica.settle()
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within a minute: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
