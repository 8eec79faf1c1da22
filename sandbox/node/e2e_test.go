//go:build e2e

package node

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/internal/disk"
	"example.com/journal/sandbox/node/internal/daemon"
	"example.com/journal/sandbox/node/internal/machine"
	"example.com/journal/sandbox/node/internal/process"
)

const probeImage = "journal.example.com/probe:v0.1.0"

// TestNodeLifecycle boots a node of its own, beside one that may be running, and follows it through its life. It needs
// root and the toolchain's programs in the cache.
func TestNodeLifecycle(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	l := newLifecycle(ctx, t)
	t.Setenv("GOGC", "400") // a build may set it for the go command
	before := machineState(t, l.dir)

	l.start("with nothing")
	for _, archive := range []string{l.image(PauseImage), l.image(probeImage)} {
		l.must(l.node.ImportImage(ctx, archive))
	}
	l.kubectl("apply", "--server-side", "-f", "testdata/pods.yaml")
	l.podsReady()

	t.Run("pods run as they declare and find each other", func(t *testing.T) {
		l := l.with(t)
		l.equal("10001 10001\n", "exec", "-n", "probe", "deploy/client", "--", "/probe", "id")
		for _, url := range []string{"http://server", "http://server-0.servers:8080", "http://server.probe.svc.cluster.local"} {
			get := []string{"exec", "-n", "probe", "deploy/client", "--", "/probe", "get", url}
			// Services and DNS names work a moment after the pods are ready.
			l.eventually(url+" leads somewhere", func() error { _, err := l.try(get...); return err })
			l.equal("started ", get...)
		}
		l.equal("started ", "exec", "-n", "probe", "server-0", "--", "/probe", "get", "http://server") // itself
		l.equal("serving /data/words\n", "logs", "-n", "probe", "server-0")
	})
	t.Run("nothing of the caller's environment reaches the node and its programs", func(t *testing.T) {
		node := l.with(t).running()
		components := node.Components()
		if len(components) != 11 {
			t.Errorf("%d programs run: %v", len(components), components)
		}
		for _, c := range append(components, process.Child{Name: "the node", PID: node.PID}) {
			environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", c.PID))
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Split(strings.TrimRight(string(environment), "\x00"), "\x00")
			if c.Name == "traefik" {
				got = slices.DeleteFunc(got, func(v string) bool { return v == "KUBECONFIG=/run/sandbox/traefik.kubeconfig" })
			}
			if !slices.Equal(got, process.Environment) {
				t.Errorf("%s has the environment %q", c.Name, got)
			}
		}
	})
	t.Run("the Ingress leads from the machine to the pod", func(t *testing.T) { l.with(t).ingress("started ") })
	t.Run("no namespace but the journal's names a Middleware", func(t *testing.T) {
		l := l.with(t)
		l.kubectl("apply", "-f", "testdata/middleware.yaml")
		url := fmt.Sprintf("http://127.0.0.1:%d/", l.config.HTTPPort)
		l.eventually("the Ingress that was made last answers", func() error { return answers(ctx, url, "last.localhost", "started ") })
		if err := answers(ctx, url, "middleware.localhost", "started "); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("the Ingress with a Middleware of the journal's is served: %v", err)
		}
		l.kubectl("delete", "-f", "testdata/middleware.yaml")
	})
	t.Run("a port of a pod can be forwarded", func(t *testing.T) { l.with(t).portForward("started ") })
	t.Run("pods cannot reach etcd, the machine or the world", func(t *testing.T) {
		l := l.with(t)
		for _, address := range append(machineAddresses(t), "10.200.0.1:2379", "192.0.2.1:80") {
			if out, err := l.try("exec", "-n", "probe", "deploy/client", "--", "/probe", "dial", address); err == nil {
				t.Errorf("%s can be reached from a pod: %s", address, out)
			}
		}
	})
	t.Run("a pod in the node's network is refused in a namespace without labels", func(t *testing.T) {
		out, err := l.with(t).try("run", "root", "--image", probeImage, "--overrides", `{"spec": {"hostNetwork": true}}`)
		if err == nil || !strings.Contains(out, "violates PodSecurity") {
			t.Errorf("kubectl run with hostNetwork: %v: %s", err, out)
		}
	})
	t.Run("a Service takes over no address but its own", func(t *testing.T) {
		l := l.with(t)
		l.kubectl("apply", "-f", "testdata/external.yaml")
		get := func(address string) []string {
			return []string{"exec", "-n", "probe", "deploy/client", "--", "/probe", "get", "http://" + address + ":8081"}
		}
		l.eventually("the Service leads somewhere", func() error { _, err := l.try(get("external")...); return err })
		if out, err := l.try(get("192.0.2.10")...); err == nil {
			t.Errorf("its externalIPs lead there too: %s", out)
		}
		rules, err := exec.CommandContext(ctx, "nsenter", "--target", fmt.Sprint(l.running().PID), "--mount", "--net", "/usr/sbin/nft", "list", "table", "ip", "kube-proxy").CombinedOutput()
		if l.must(err); !strings.Contains(string(rules), "probe/external") || strings.Contains(string(rules), "192.0.2.10") {
			t.Errorf("kube-proxy's rules are\n%s", rules)
		}
		l.kubectl("delete", "-f", "testdata/external.yaml")
	})
	t.Run("a pod has 1024 processes and threads at most", func(t *testing.T) {
		l := l.with(t)
		threads := func(count string) (string, error) {
			return l.try("exec", "-n", "probe", "deploy/client", "--", "/probe", "threads", count)
		}
		if out, err := threads("500"); err != nil {
			t.Errorf("500 threads: %v: %s", err, out)
		}
		if out, err := threads("1100"); err == nil || !strings.Contains(out, "failed to create new OS thread") {
			t.Errorf("1100 threads: %v: %s", err, out)
		}
		l.equal("10001 10001\n", "exec", "-n", "probe", "deploy/client", "--", "/probe", "id") // it goes on
	})
	t.Run("what a policy refuses is in the audit log, and no Secret is", func(t *testing.T) {
		l := l.with(t)
		l.kubectl("apply", "-f", "testdata/policy.yaml")
		create := []string{"create", "configmap", "refused", "-n", "probe", "--as", "alice", "--as-group", "system:masters"}
		l.eventually("the policy refuses", func() error {
			out, err := l.try(create...)
			if err == nil {
				l.kubectl("delete", "configmap", "refused", "-n", "probe")
				return errors.New("it does not")
			}
			if !strings.Contains(out, "no ConfigMap is called refused") {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		})
		l.kubectl("create", "secret", "generic", "-n", "probe", "audited", "--from-literal", "text=plainly-audited")
		l.kubectl("exec", "-n", "probe", "deploy/client", "--", "/probe", "id")
		path := filepath.Join(l.dir.Logs(), "audit.log")
		text, err := os.ReadFile(path)
		l.must(err)
		for what, want := range map[string][]string{
			"the refusal": {`"verb":"create"`, `"username":"alice"`, `"name":"refused"`, `"code":422`, "no ConfigMap is called refused", "validation_failure"},
			"the Secret":  {`"verb":"create"`, `"name":"audited"`, `"code":201`},
			"the command": {`"subresource":"exec"`, `"namespace":"probe"`},
		} {
			if !slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool {
				return !slices.ContainsFunc(want, func(part string) bool { return !strings.Contains(line, part) })
			}) {
				t.Errorf("%s has no line in %s with all of %q", what, path, want)
			}
		}
		if strings.Contains(string(text), "plainly-audited") {
			t.Error("the content of a Secret is in the audit log")
		}
		l.kubectl("delete", "-f", "testdata/policy.yaml")
	})
	t.Run("Secrets are encrypted at rest", func(t *testing.T) {
		l := l.with(t)
		l.kubectl("create", "secret", "generic", "-n", "probe", "note", "--from-literal", "text=plainly-readable")
		etcd := filepath.Join(daemon.Folder(l.dir), "var/lib/etcd")
		found, err := exec.CommandContext(ctx, "grep", "-r", "plainly-readable", etcd).CombinedOutput()
		if err == nil {
			t.Errorf("the Secret is readable: %s", found)
		}
	})
	t.Run("a NetworkPolicy drops what it does not allow", func(t *testing.T) {
		l := l.with(t)
		get := []string{"exec", "-n", "probe", "deploy/client", "--", "/probe", "get", "http://server"}
		l.kubectl("apply", "-f", "testdata/deny.yaml")
		l.eventually("the policy holds", func() error {
			if out, err := l.try(get...); err == nil {
				return fmt.Errorf("the server still answers %q", out)
			}
			return nil
		})
		l.kubectl("delete", "-f", "testdata/deny.yaml")
		l.eventually("the policy is gone", func() error { _, err := l.try(get...); return err })
	})
	t.Run("a second start uses the running node", func(t *testing.T) {
		pid := l.node.PID
		l := l.with(t)
		l.start("again")
		if l.node.PID != pid {
			t.Errorf("process %d has become %d", pid, l.node.PID)
		}
	})
	t.Run("no dead process is left of a pod that is gone", func(t *testing.T) {
		l := l.with(t)
		l.kubectl("delete", "pod", "-n", "probe", "server-0")
		l.serverSays("started ended started ")
		l.eventually("all are reaped", func() error {
			if dead := deadBelow(l.node.PID); len(dead) > 0 {
				return fmt.Errorf("dead are %v", dead)
			}
			return nil
		})
	})
	t.Run("pods and their data come back after a stop", func(t *testing.T) {
		l := l.with(t)
		l.stop()
		compare(t, before, machineState(t, l.dir))
		l.start("with data")
		l.podsReady()
		l.serverSays("started ended started ended started ")
	})
	t.Run("nothing outlives a killed node", func(t *testing.T) {
		l := l.with(t)
		running, err := Running(l.dir)
		l.must(err)
		l.must(syscall.Kill(running.PID, syscall.SIGKILL))
		l.eventually("it is gone", func() error { return gone(l.dir) })
		l.must(Stop(ctx, l.dir))
		compare(t, before, machineState(t, l.dir))
		l.start("after being killed")
		l.podsReady()
	})
	t.Run("a component that ends is named", func(t *testing.T) {
		l := l.with(t)
		for _, c := range l.running().Components() {
			if c.Name == "kube-scheduler" {
				l.must(syscall.Kill(c.PID, syscall.SIGKILL))
			}
		}
		l.eventually("it is gone", func() error { return gone(l.dir) })
		if _, err := Running(l.dir); err == nil || !strings.Contains(err.Error(), "kube-scheduler exited: signal: killed") {
			t.Errorf("Running says %v", err)
		}
		l.must(Stop(ctx, l.dir))
		compare(t, before, machineState(t, l.dir))
	})
}

// lifecycle is a node under test.
type lifecycle struct {
	t      *testing.T
	ctx    context.Context
	dir    cache.Dir
	config Config
	node   *Node
}

// newLifecycle returns a node with its own cache folder and free ports. It shares the programs of the usual cache folder.
func newLifecycle(ctx context.Context, t *testing.T) *lifecycle {
	t.Helper()
	usual, err := cache.Open()
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: /tmp may be a tmpfs, where the files of etcd and the images would take memory.
	root := usual.Path("node-test")
	dir, err := cache.At(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Reset(context.Background(), dir); err != nil {
			t.Error(err)
		}
		if !t.Failed() {
			_ = os.RemoveAll(root)
		}
	})
	if err := Reset(ctx, dir); err != nil {
		t.Fatal(err)
	}
	for _, shared := range []string{usual.Bin(), usual.Debian()} {
		if err := os.Symlink(shared, dir.Path(filepath.Base(shared))); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	l := &lifecycle{t: t, ctx: ctx, dir: dir}
	l.config = Config{Dir: dir, Ports: Ports{HTTPPort: freePort(t), HTTPSPort: freePort(t), APIPort: freePort(t)}, Progress: t.Output()}
	return l
}

// with returns the same node for a subtest.
func (l *lifecycle) with(t *testing.T) *lifecycle {
	other := *l
	other.t = t
	return &other
}

func (l *lifecycle) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lifecycle) start(how string) {
	l.t.Helper()
	began := time.Now()
	var err error
	l.node, err = Start(l.ctx, l.config)
	l.must(err)
	l.t.Logf("start %s: %.1f s", how, time.Since(began).Seconds())
}

func (l *lifecycle) stop() {
	l.t.Helper()
	began := time.Now()
	l.must(Stop(l.ctx, l.dir))
	l.t.Logf("stop: %.1f s", time.Since(began).Seconds())
}

func (l *lifecycle) running() *Node {
	l.t.Helper()
	n, err := Running(l.dir)
	l.must(err)
	return n
}

func (l *lifecycle) try(args ...string) (string, error) {
	out, err := l.running().Kubectl(l.ctx, args...).CombinedOutput()
	return string(out), err
}

func (l *lifecycle) kubectl(args ...string) string {
	l.t.Helper()
	out, err := l.try(args...)
	if err != nil {
		l.t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

func (l *lifecycle) equal(want string, args ...string) {
	l.t.Helper()
	if got := l.kubectl(args...); got != want {
		l.t.Errorf("kubectl %s: %q, not %q", strings.Join(args, " "), got, want)
	}
}

func (l *lifecycle) eventually(what string, check func() error) {
	l.t.Helper()
	err := check()
	for deadline := time.Now().Add(time.Minute); err != nil && time.Now().Before(deadline); err = check() {
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		l.t.Fatalf("%s: not within 30 s: %v", what, err)
	}
}

func (l *lifecycle) podsReady() {
	l.t.Helper()
	began := time.Now()
	l.kubectl("rollout", "status", "-n", "probe", "statefulset/server", "--timeout=60s")
	l.kubectl("rollout", "status", "-n", "probe", "deployment/client", "--timeout=60s")
	l.t.Logf("pods ready: %.1f s", time.Since(began).Seconds())
}

func (l *lifecycle) serverSays(want string) {
	l.t.Helper()
	l.eventually("the server has its data", func() error {
		out, err := l.try("exec", "-n", "probe", "deploy/client", "--", "/probe", "get", "http://server")
		if err == nil && out != want {
			err = fmt.Errorf("%q, not %q", out, want)
		}
		return err
	})
}

func (l *lifecycle) ingress(want string) {
	l.t.Helper()
	l.eventually("the Ingress answers", func() error {
		return answers(l.ctx, fmt.Sprintf("http://127.0.0.1:%d/", l.config.HTTPPort), "probe.localhost", want)
	})
}

func (l *lifecycle) portForward(want string) {
	l.t.Helper()
	port := freePort(l.t)
	ctx, cancel := context.WithCancel(l.ctx)
	cmd := l.running().Kubectl(ctx, "port-forward", "-n", "probe", "service/server", fmt.Sprintf("%d:80", port))
	l.must(cmd.Start())
	defer func() { cancel(); _ = cmd.Wait() }()
	l.eventually("the forwarded port answers", func() error { return answers(ctx, fmt.Sprintf("http://127.0.0.1:%d/", port), "", want) })
}

func answers(ctx context.Context, url, host, want string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Host = host
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && string(body) != want {
		err = fmt.Errorf("%s %q, not %q", response.Status, body, want)
	}
	return err
}

// image builds an image that holds the probe program only.
func (l *lifecycle) image(reference string) string {
	l.t.Helper()
	program := filepath.Join(l.t.TempDir(), "probe")
	build := exec.CommandContext(l.ctx, "go", "build", "-o", program, "./testdata/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		l.t.Fatalf("%v: %s", err, out)
	}
	content, err := os.ReadFile(program)
	l.must(err)
	var files bytes.Buffer
	archiver := tar.NewWriter(&files)
	l.must(archiver.WriteHeader(&tar.Header{Name: "probe", Mode: 0o755, Size: int64(len(content))}))
	_, err = archiver.Write(content)
	l.must(err)
	l.must(archiver.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil })
	l.must(err)
	image, err := mutate.AppendLayers(empty.Image, layer)
	l.must(err)
	config, err := image.ConfigFile()
	l.must(err)
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Entrypoint: []string{"/probe"}, User: "65534:65534"}
	image, err = mutate.ConfigFile(image, config)
	l.must(err)
	tag, err := name.NewTag(reference)
	l.must(err)
	archive := filepath.Join(l.t.TempDir(), "image.tar")
	l.must(tarball.WriteToFile(archive, tag, image))
	return archive
}

// deadBelow returns what /proc says of the zombie processes below pid.
func deadBelow(pid int) (dead []string) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for child := range strings.FieldsSeq(string(text)) {
			if stat, _ := os.ReadFile("/proc/" + child + "/stat"); strings.Contains(string(stat), ") Z ") {
				dead = append(dead, string(stat))
			}
			number, _ := strconv.Atoi(child)
			dead = append(dead, deadBelow(number)...)
		}
	}
	return dead
}

// gone returns an error that says what is left of a node.
func gone(dir cache.Dir) error {
	if disk.Locked(daemon.LockFile(dir)) {
		return fmt.Errorf("the node runs")
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return err
	}
	for _, path := range processes {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), string(machine.CgroupOf(dir.Root()))) {
			return fmt.Errorf("%s is in the sandbox's cgroup", path)
		}
	}
	return nil
}

// machineState returns, by name, what the node must not change on the machine.
func machineState(t *testing.T, dir cache.Dir) map[string]string {
	t.Helper()
	state := map[string]string{}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		state["interface "+i.Name] = i.Flags.String()
	}
	files := []string{
		"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/all/route_localnet", "/proc/sys/net/netfilter/nf_conntrack_max",
		"/sys/module/nf_conntrack/parameters/hashsize", "/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern",
		"/proc/sys/fs/inotify/max_user_instances",
	}
	for path := range machine.Sysctls {
		files = append(files, "/proc/sys/"+path)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err == nil {
			state[path] = string(text)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	state["mounts"] = string(mounts)
	cgroup := string(machine.CgroupOf(dir.Root()))
	for _, pattern := range []string{
		"/sys/fs/cgroup/" + cgroup, "/sys/fs/cgroup/*/" + cgroup, "/run/netns/*", "/var/lib/cni/*", "/var/lib/kubelet",
	} {
		found, _ := filepath.Glob(pattern)
		state[pattern] = strings.Join(found, " ")
	}
	for _, tables := range []string{"/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"} {
		if text, err := os.ReadFile(tables); err == nil {
			state[tables] = string(text)
		}
	}
	return state
}

func compare(t *testing.T, before, after map[string]string) {
	t.Helper()
	for what := range after {
		if before[what] != after[what] {
			t.Errorf("%s was %q and is %q", what, before[what], after[what])
		}
	}
	for what := range before {
		if _, there := after[what]; !there {
			t.Errorf("%s is gone", what)
		}
	}
}

// machineAddresses opens a listener on each IPv4 address of the machine except loopback, and returns where they listen.
func machineAddresses(t *testing.T) []string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, a := range addresses {
		ip, _, err := net.ParseCIDR(a.String())
		if err != nil || ip.IsLoopback() || ip.To4() == nil {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(ip.String(), "0"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		found = append(found, listener.Addr().String())
	}
	return found
}
