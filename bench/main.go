// Command bench measures what the stack's tenants cost: seconds, memory and API requests of Pulumi, kubectl and Helm for
// the same objects on the same cluster, one after the other in one run. The table goes to standard output.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/deploy"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/node"
)

func main() {
	if node.Reexec() {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if len(os.Args) == 3 && os.Args[1] == workerCommand {
		err = work(ctx, os.Args[2])
	} else {
		err = run(ctx, os.Args[1:])
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// workerCommand runs this program as the Pulumi program, in a separate process, so that its memory is measured alone.
const workerCommand = "pulumi-worker"

// task is what a worker reads from standard input.
type task struct {
	Repo, Cache, Kubeconfig string
	Overrides               map[string]any
}

// work runs one operation of the stack.
func work(ctx context.Context, operation string) error {
	var t task
	if err := json.NewDecoder(os.Stdin).Decode(&t); err != nil {
		return err
	}
	dir, err := cache.At(t.Cache)
	if err != nil {
		return err
	}
	stack, err := deploy.Open(deploy.Config{Repo: t.Repo, Stack: stackName, Dir: dir, State: stateFolder(dir), Kubeconfig: t.Kubeconfig, Overrides: t.Overrides, Progress: io.Discard})
	if err != nil {
		return err
	}
	switch operation {
	case "up":
		_, err = stack.Up(ctx)
	case "preview":
		_, err = stack.Preview(ctx)
	default:
		err = fmt.Errorf("operation %q: write up or preview", operation)
	}
	return err
}

// bench is one run.
type bench struct {
	repo, helm, folder string
	dir                cache.Dir
	node               *node.Node
	proxy              *proxy
	overrides          map[string]any
	results            []result
}

// run starts a node, measures every size, and stops and deletes the node.
func run(ctx context.Context, args []string) (err error) {
	if len(args) < 3 {
		return fmt.Errorf("usage: bench <repository> <helm> <tenants>...; got %q", args)
	}
	b := &bench{repo: args[0], helm: args[1]}
	var sizes []int
	for _, text := range args[2:] {
		size, err := strconv.Atoi(text)
		if err != nil || size < 1 || size > 999 {
			return fmt.Errorf("tenants %q: not a number from 1 to 999", text)
		}
		sizes = append(sizes, size)
	}
	if _, err := os.Stat(b.helm); err != nil {
		return fmt.Errorf("helm: %w; `make bench` builds it", err)
	}
	if b.dir, err = cache.Open(); err != nil {
		return err
	}
	if b.folder, err = os.MkdirTemp("", "journal-bench-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.folder) }()
	// Another sandbox may be running.
	ports, release := freePorts()
	config, err := node.ConfigFromEnv(b.dir, ports, os.Stderr)
	release()
	if err != nil {
		return err
	}
	built, err := images.Build(ctx, b.repo, b.dir, os.Stderr)
	if err != nil {
		return err
	}
	if err := b.reset(ctx); err != nil { // a run that was killed leaves its tenants
		return err
	}
	defer func() { err = errors.Join(err, b.reset(context.WithoutCancel(ctx))) }()
	if b.node, err = node.Start(ctx, config); err != nil {
		return err
	}
	b.overrides = map[string]any{"exposure.port": b.node.HTTPPort, "resourceMetrics": nil, "logs": nil, "metrics": nil, "reader": nil, "redis.exporter": nil} // their images are not among those below
	for _, image := range built {
		if err := b.node.ImportImage(ctx, image.Archive); err != nil {
			return err
		}
		if image.ConfigKey != "" {
			b.overrides[image.ConfigKey] = image.Reference
		}
	}
	if b.proxy, err = startProxy(b.node.Kubeconfig(), b.kubeconfig()); err != nil {
		return err
	}
	defer b.proxy.server.Close()
	if err := b.pulumi(ctx, "up", 0).Run(); err != nil {
		return fmt.Errorf("deploy the stack without tenants: %w", err)
	}
	for _, size := range sizes {
		if err := b.size(ctx, size); err != nil {
			return fmt.Errorf("%d tenants: %w", size, err)
		}
	}
	return table(os.Stdout, b.results)
}

// freePorts returns an environment in which every variable is a free port, also variables that the node may get later. The ports
// stay taken until they are released.
func freePorts() (getenv func(string) string, release func()) {
	var listeners []net.Listener
	getenv = func(string) string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "" // the node takes its usual port, and says what is wrong with it
		}
		listeners = append(listeners, listener)
		return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	}
	release = func() {
		for _, listener := range listeners {
			_ = listener.Close()
		}
	}
	return getenv, release
}

// reset stops the node and deletes its data and the state of the stack on it.
func (b *bench) reset(ctx context.Context) error {
	return errors.Join(node.Reset(ctx, b.dir), os.RemoveAll(stateFolder(b.dir)))
}

// stateFolder keeps the state of the stack.
func stateFolder(dir cache.Dir) string { return filepath.Join(dir.State(), "pulumi") }

func (b *bench) kubeconfig() string { return filepath.Join(b.folder, "kubeconfig") }

// size measures the three tools for one number of tenants, each from a cluster without any.
func (b *bench) size(ctx context.Context, count int) error {
	objects, err := manifests(b.repo, count)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d tenants: %d objects\n", count, len(objects))
	file, chart := filepath.Join(b.folder, "objects.yaml"), filepath.Join(b.folder, "chart")
	if err := os.WriteFile(file, []byte(strings.Join(objects, "---\n")), 0o600); err != nil {
		return err
	}
	if err := writeChart(chart, objects); err != nil {
		return err
	}
	for _, step := range []struct {
		tool, phase string
		cmd         *exec.Cmd
	}{
		{"kubectl", "first", b.kubectl(ctx, "apply", "--server-side", "-f", file)},
		{"kubectl", "again", b.kubectl(ctx, "apply", "--server-side", "-f", file)},
		{"kubectl", "delete", b.kubectl(ctx, "delete", "--wait=false", "--ignore-not-found", "-f", file)},
		{"pulumi", "first", b.pulumi(ctx, "up", count)},
		{"pulumi", "again", b.pulumi(ctx, "up", count)},
		{"pulumi", "preview", b.pulumi(ctx, "preview", count)},
		{"pulumi", "delete", b.pulumi(ctx, "up", 0)},
		{"helm", "first", b.command(ctx, b.helm, "install", "bench", chart, "--namespace", "default")},
		{"helm", "again", b.command(ctx, b.helm, "upgrade", "bench", chart, "--namespace", "default")},
		{"helm", "delete", b.command(ctx, b.helm, "uninstall", "bench", "--namespace", "default")},
	} {
		r, err := b.measure(ctx, step.cmd, step.phase == "delete")
		if err != nil {
			return fmt.Errorf("%s, %s: %w", step.tool, step.phase, err)
		}
		r.tool, r.phase, r.tenants = step.tool, step.phase, count
		b.results = append(b.results, r)
		fmt.Fprintf(os.Stderr, "%d %s %s %.1f s %d MiB %v\n", count, r.tool, r.phase, r.seconds, r.memory, r.requests)
	}
	return nil
}

// measure runs a command. A deletion lasts until the last of the tenants' namespaces is gone, whatever the tool waits for.
func (b *bench) measure(ctx context.Context, cmd *exec.Cmd, untilGone bool) (result, error) {
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	b.proxy.take()
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return result{}, err
	}
	ended, sampled := make(chan struct{}), make(chan peaks)
	go func() {
		found := peaks{}
		for {
			found.add(processTable(), cmd.Process.Pid)
			select {
			case <-ended:
				sampled <- found
				return
			case <-time.After(sampleInterval):
			}
		}
	}()
	err := cmd.Wait()
	r := result{seconds: time.Since(start).Seconds(), requests: b.proxy.take()}
	close(ended)
	r.memory = (<-sampled).total() / 1024
	if err != nil {
		return r, fmt.Errorf("%w: %s", err, said.String())
	}
	if untilGone {
		if err := b.waitUntilGone(ctx); err != nil {
			return r, err
		}
		r.seconds = time.Since(start).Seconds()
	}
	return r, nil
}

// waitUntilGone polls the API server, not the proxy, until no tenant's namespace is left.
func (b *bench) waitUntilGone(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	for {
		names, err := b.node.Kubectl(ctx, "get", "namespaces", "-o", "name").Output()
		if err != nil {
			return err
		}
		if !strings.Contains(string(names), "namespace/bench-") {
			return nil
		}
		time.Sleep(250 * time.Millisecond)
	}
}

func (b *bench) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+b.kubeconfig(), "KUBECACHEDIR="+filepath.Join(b.folder, "kube"), "HELM_CACHE_HOME="+b.folder,
		"HELM_CONFIG_HOME="+b.folder, "HELM_DATA_HOME="+b.folder)
	return cmd
}

func (b *bench) kubectl(ctx context.Context, args ...string) *exec.Cmd {
	cmd := b.command(ctx, filepath.Join(b.dir.Bin(), "kubernetes"), args...)
	cmd.Args[0] = "kubectl"
	return cmd
}

// pulumi returns the command for an operation on the stack with this number of tenants.
func (b *bench) pulumi(ctx context.Context, operation string, count int) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", workerCommand, operation)
	t := task{Repo: b.repo, Cache: b.dir.Root(), Kubeconfig: b.kubeconfig(), Overrides: map[string]any{"tenants": tenants(count)}}
	maps.Copy(t.Overrides, b.overrides)
	text, err := json.Marshal(t)
	cmd.Stdin, cmd.Err = strings.NewReader(string(text)), err
	return cmd
}

// writeChart makes a chart of the objects as they are: nothing in them is a template.
func writeChart(folder string, objects []string) error {
	if err := os.MkdirAll(filepath.Join(folder, "templates"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "Chart.yaml"), []byte("apiVersion: v2\nname: bench\nversion: 0.1.0\n"), 0o600); err != nil {
		return err
	}
	text := strings.ReplaceAll(strings.Join(objects, "---\n"), "{{", `{{"{{"}}`)
	return os.WriteFile(filepath.Join(folder, "templates", "objects.yaml"), []byte(text), 0o600)
}
