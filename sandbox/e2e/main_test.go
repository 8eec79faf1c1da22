//go:build e2e

// Package e2e tests the sandbox and the journal on it from outside: through the command line, through the Ingress and in a
// browser. The first part of a test's name is its group. A group can run alone and again.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/cluster"
	"example.com/journal/sandbox/deploy"
	"example.com/journal/sandbox/node"
)

// stack is the stack that all groups use.
const stack = "dev"

// The environment variables that select the cluster, like --cluster and --registry. The default is the sandbox's own node.
const (
	contextVariable  = "JOURNAL_E2E_CLUSTER"
	registryVariable = "JOURNAL_E2E_REGISTRY"
)

// world is what the tests run on.
var world struct {
	dir     cache.Dir
	cluster cluster.Cluster
	flags   []string // of the command, for this cluster
	program string   // the sandbox's command, as a person runs it
	out     string   // the folder of screenshots
	before  machine
	outputs struct {
		URL         string   `json:"url"`
		Namespace   string   `json:"namespace"`
		SecretNames []string `json:"secretNames"`
	}
	at     string // the host and port at which the stack answers
	client *http.Client
}

func TestMain(m *testing.M) {
	if node.Reexec() { // for the second node of the group cluster
		return
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

// upOnly is an environment variable with a folder. If it is set, this program only brings up the folder's stack: a test can kill
// that process.
const upOnly = "JOURNAL_E2E_UP"

// run stops a running sandbox, looks at the machine without it, and starts it for the tests. It leaves it running, since the
// tests delete what they create. The cluster of a kubeconfig must be running, and gets the stack.
func run(m *testing.M) (code int, err error) {
	flag.Parse()
	if flag.Lookup("test.list").Value.String() != "" {
		return m.Run(), nil
	}
	if world.dir, err = cache.Open(); err != nil {
		return 0, err
	}
	options := cluster.Options{Dir: world.dir, Context: os.Getenv(contextVariable), Registry: os.Getenv(registryVariable), Getenv: os.Getenv}
	if world.cluster, err = cluster.New(options); err != nil {
		return 0, err
	}
	if options.Context != "" {
		world.flags = []string{"--cluster", options.Context, "--registry", options.Registry}
	}
	if repo := os.Getenv(upOnly); repo != "" {
		_, err := upFrom(context.Background(), repo)
		return 0, err
	}
	if err := mustSelect(flag.Lookup("test.run").Value.String()); err != nil {
		return 0, err
	}
	if world.out = os.Getenv("JOURNAL_E2E_OUT"); world.out == "" {
		world.out = world.dir.Path("e2e")
	}
	if err := os.MkdirAll(world.out, 0o755); err != nil {
		return 0, err
	}
	// What the tests type must leave nothing in the home folder. The sandbox's own kubectl has a cache of its own anyway.
	if err := os.Setenv("KUBECACHEDIR", world.dir.Path("e2e", "kubectl")); err != nil {
		return 0, err
	}
	// The program is in the cache, so that it is linked again only when it has changed.
	world.program = world.dir.Path("e2e", "sandbox")
	build := exec.Command("go", "build", "-o", world.program, "../cmd/sandbox")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("build the sandbox's command: %w", err)
	}
	if options.Context == "" {
		if _, log, err := sandbox("down"); err != nil {
			return 0, fmt.Errorf("%w\n%s", err, log)
		}
		if world.before, err = look(); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	if _, log, err := sandbox("up", "--stack", stack); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, log)
	}
	fmt.Printf("e2e: %s is up after %s; screenshots go to %s\n", world.cluster, time.Since(start).Round(100*time.Millisecond), world.out)
	if err := connect(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// mustSelect refuses a pattern that matches no group: a typing error would run nothing and pass. Of several groups, as the Makefile
// writes them, it refuses each that is none. Without a pattern, all groups run. In that case it must not list the groups, since the
// process that it starts for this would do the same.
func mustSelect(pattern string) error {
	before, rest, several := strings.Cut(pattern, "(?i)^Test(")
	if groups, after, _ := strings.Cut(rest, ")"); several && before == "" {
		for group := range strings.SplitSeq(groups, "|") {
			if err := mustSelect("(?i)^Test" + group + after); err != nil {
				return err
			}
		}
		return nil
	}
	if pattern == "" {
		return nil
	}
	list := func(pattern string) (string, error) {
		text, err := exec.Command(os.Args[0], "-test.list", pattern).Output()
		return string(text), err
	}
	selected, err := list(pattern)
	if err != nil || selected != "" {
		return err
	}
	all, err := list("^Test")
	return errors.Join(err, fmt.Errorf("no group is called %q; write RUN= and one of: %s", pattern,
		strings.Join(strings.Fields(strings.ToLower(strings.ReplaceAll("\n"+all, "\nTest", "\n"))), ", ")))
}

// needsNode returns the sandbox's own node, and skips the test on another cluster.
func needsNode(t *testing.T, reason string) *node.Node {
	t.Helper()
	if len(world.flags) > 0 {
		t.Skipf("left out on %s: it needs the sandbox's own node, since it %s", world.cluster, reason)
	}
	n, err := node.Running(world.dir)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// connect reads where the stack is, and makes a client that reaches it without the machine's resolver.
func connect() error { return connectTo(stack) }

// connectTo is connect for a stack by its name.
func connectTo(name string) error {
	if err := world.cluster.Connect(context.Background()); err != nil {
		return err
	}
	up, err := deploy.Open(deploy.Config{Repo: "../..", Stack: name, Dir: world.dir, State: world.cluster.State(), Kubeconfig: world.cluster.Kubeconfig(), Progress: io.Discard})
	if err != nil {
		return err
	}
	outputs, err := up.Outputs(context.Background())
	if err != nil {
		return err
	}
	text, err := json.Marshal(outputs)
	if err := errors.Join(err, json.Unmarshal(text, &world.outputs)); err != nil {
		return err
	}
	page, err := url.Parse(world.outputs.URL)
	if err != nil {
		return err
	}
	if world.at, err = world.cluster.Address(context.Background(), page, world.outputs.Namespace); err != nil {
		return err
	}
	if world.at == "" {
		return fmt.Errorf("%s does not say at which address %s answers", world.cluster, page)
	}
	world.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16, DialContext: dialer(world.at)}}
	return nil
}

// dialer always connects to one address, whatever the request names.
func dialer(address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// sandbox runs the sandbox's command.
func sandbox(args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command(world.program, append(slices.Clone(world.flags), args...)...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err = cmd.Run(); err != nil {
		err = fmt.Errorf("sandbox %s: %w", strings.Join(args, " "), err)
	}
	return out.String(), log.String(), err
}

// mustSandbox runs the sandbox's command and fails the test unless the command succeeds.
func mustSandbox(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, err := sandbox(args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	return stdout, stderr
}

// tryKubectl runs kubectl with input, a manifest in YAML, and returns everything that it prints. Older versions of kubectl,
// which the machine may have, read a manifest that begins with a brace as JSON.
func tryKubectl(input string, args ...string) (string, error) {
	cmd := world.cluster.Kubectl(context.Background(), args...)
	if input != "" {
		cmd.Stdin = strings.NewReader("---\n" + input)
	}
	text, err := cmd.CombinedOutput()
	if err != nil {
		return string(text), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(text))
	}
	return string(text), nil
}

// kubectl runs kubectl and fails the test unless it succeeds.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	text, err := tryKubectl("", args...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// kubectlApply applies a manifest, and deletes what it declares when the test ends.
func kubectlApply(t *testing.T, manifest string) {
	t.Helper()
	t.Cleanup(func() {
		if _, err := tryKubectl(manifest, "delete", "--ignore-not-found", "--now", "--filename", "-"); err != nil {
			t.Error(err)
		}
	})
	if _, err := tryKubectl(manifest, "apply", "--filename", "-"); err != nil {
		t.Fatal(err)
	}
}

// object is what the tests read of a Kubernetes object.
type object struct {
	Kind     string
	Metadata struct {
		Name, Namespace, UID string
		DeletionTimestamp    string
		Labels               map[string]string
	}
	Spec   json.RawMessage
	Status struct {
		PodIP             string
		Conditions        []struct{ Type, Status string }
		ContainerStatuses []struct{ RestartCount int }
	}
	Endpoints []struct {
		Addresses  []string
		Conditions struct{ Ready bool }
	}
}

// objects lists objects, selected as by kubectl get.
func objects(t *testing.T, args ...string) []object {
	t.Helper()
	var list struct{ Items []object }
	text := kubectl(t, append([]string{"get", "--output", "json"}, args...)...)
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("kubectl get %v: %v", args, err)
	}
	return list.Items
}

// pods lists the pods of one part of the stack, or of all parts for "".
func pods(t *testing.T, app string) []object {
	t.Helper()
	selector := "app.kubernetes.io/part-of=journal"
	if app != "" {
		selector += ",app=" + app
	}
	return objects(t, "pods", "--namespace", world.outputs.Namespace, "--selector", selector)
}

func (o object) ready() bool {
	for _, c := range o.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True" && o.Metadata.DeletionTimestamp == ""
		}
	}
	return false
}

// eventually repeats a check until it holds. If it does not within a minute, the test fails with the check's last error.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	eventuallyWithin(t, time.Minute, check)
}

// eventuallyWithin is eventually for what takes longer, or must be so by a time.
func eventuallyWithin(t *testing.T, timeout time.Duration, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(timeout); ; time.Sleep(250 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %v", timeout, err)
		}
	}
}

// repository returns the folder of Pulumi.yaml.
func repository(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// inRepository runs a shell command in the repository's folder.
func inRepository(t *testing.T, command string) {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", command)
	cmd.Dir = repository(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// copyRepository copies the repository's files into a folder, with uncommitted changes.
func copyRepository(t *testing.T, folder string) {
	t.Helper()
	inRepository(t, "git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from - | tar --extract --directory "+folder)
}

// changedStack returns a folder with the stack as it was last brought up, with the same images, and with a change to its
// configuration. The keys of the configuration are those of the stack's file.
func changedStack(t *testing.T, change func(config map[string]any)) string {
	t.Helper()
	return changedStackOf(t, filepath.Join(world.cluster.State(), "work", stack), change)
}

// originalStack returns a folder with the stack as it was last brought up. When the test ends, it brings that stack up again.
func originalStack(t *testing.T) string {
	t.Helper()
	original := changedStack(t, func(map[string]any) {})
	t.Cleanup(func() {
		if _, err := upFrom(context.Background(), original); err != nil {
			t.Error(err)
		}
		rolledOut(t)
	})
	return original
}

// changedStackOf is changedStack for the stack in a folder.
func changedStackOf(t *testing.T, work string, change func(config map[string]any)) string {
	t.Helper()
	return changedStackCalled(t, stack, work, change)
}

// changedStackCalled is changedStackOf for a stack by its name.
func changedStackCalled(t *testing.T, stack, work string, change func(config map[string]any)) string {
	t.Helper()
	repo := t.TempDir()
	for _, name := range []string{"Pulumi.yaml", "Pulumi." + stack + ".yaml"} {
		text, err := os.ReadFile(filepath.Join(work, name))
		if err != nil {
			t.Fatal(err)
		}
		if name != "Pulumi.yaml" {
			var file struct {
				Config map[string]any `yaml:"config"`
			}
			if err := yaml.Unmarshal(text, &file); err != nil {
				t.Fatal(err)
			}
			change(file.Config)
			if text, err = yaml.Marshal(file); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(repo, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return repo
}
