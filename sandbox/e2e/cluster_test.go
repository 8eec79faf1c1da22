//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sys/unix"
	"gopkg.in/yaml.v3"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/cluster"
	"example.com/journal/sandbox/deploy"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/node"
	"example.com/journal/stacks"
)

// TestCluster deploys to a second node as to any cluster: the command knows only a context in a kubeconfig, and the pods pull
// from a registry. It is one test, since each part starts from what the previous one left.
func TestCluster(t *testing.T) {
	needsNode(t, "starts a second one beside it")
	second, dir, httpPort := secondNode(t)
	registry := ownRegistry(t, second) + "/team-a"
	kubeconfig := usersKubeconfig(t, second)
	repo := clone(t)
	tenants := []any{map[string]any{"name": "team-a", "owner": "user:alice", "contact": "alice@example.com"}}
	setKeys(t, repo, map[string]any{"exposure.port": httpPort, "tenants": tenants, "cluster.dns": []string{node.DNS}, "cluster.unprotected": true}) // protected objects cannot be destroyed
	setKeys(t, repo, servicesOf(t, dir, repo))
	there := func(args ...string) (stdout, stderr string, err error) {
		cmd := exec.Command(world.program, append([]string{"--cluster", "second", "--repo", repo, "--stack", stack}, args...)...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
		var out, log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &log
		err = cmd.Run()
		return out.String(), log.String(), err
	}
	mustThere := func(args ...string) (string, string) {
		t.Helper()
		out, log, err := there(args...)
		if err != nil {
			t.Fatalf("sandbox %s: %v\n%s", strings.Join(args, " "), err, log)
		}
		return out, log
	}
	names := func() (all []string) {
		t.Helper()
		found, err := deploy.Objects(t.Context(), second.Kubectl)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range found {
			switch o.GetKind() {
			case "Event", "Lease", "Pod", "PodMetrics", "EndpointSlice", "ReplicaSet", "CertificateSigningRequest": // these come and go by themselves
			default:
				all = append(all, fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName()))
			}
		}
		slices.Sort(all)
		return all
	}
	empty := names()
	before, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}

	// The command says what is missing before it creates anything.
	if _, log, err := there("up"); err == nil || !strings.Contains(log, `journal:api.image "`) || !strings.Contains(log, "REGISTRY=") {
		t.Errorf("up without a registry: %v\n%s", err, log)
	}
	setKeys(t, repo, map[string]any{"exposure.class": "none", "redis.storage.class": "none"})
	_, said, err := there("up", "--registry", registry)
	for _, part := range []string{"nothing was changed", `journal:exposure.class "none"`, `journal:redis.storage.class "none"`} {
		if err == nil || !strings.Contains(said, part) {
			t.Errorf("up where classes are missing does not say %s: %v\n%s", part, err, said)
		}
	}
	setKeys(t, repo, map[string]any{"exposure.class": "traefik", "redis.storage.class": nil})
	if now := names(); !slices.Equal(now, empty) {
		t.Errorf("there is now %v, and no more %v", without(now, empty), without(empty, now))
	}

	start := time.Now()
	address, said := mustThere("up", "--registry", registry)
	t.Logf("up on the second node: %s\n%s", time.Since(start).Round(100*time.Millisecond), said)
	if want := fmt.Sprintf("http://journal.localhost:%d/", httpPort); strings.TrimSpace(address) != want || strings.Contains(said, "not checked") {
		t.Errorf("up prints %q, not %s, and says\n%s", address, want, said)
	}
	web := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dialer(fmt.Sprintf("127.0.0.1:%d", httpPort))}}
	text := unique("Written on another cluster.")
	body, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		t.Fatal(err)
	}
	response, err := web.Post(strings.TrimSpace(address)+"api/entries", "application/json", bytes.NewReader(body))
	if err != nil || response.StatusCode != http.StatusCreated {
		t.Fatalf("an entry is answered with %+v (%v)", response, err)
	}
	_ = response.Body.Close()
	response, err = web.Get(strings.TrimSpace(address) + "api/entries")
	if err != nil {
		t.Fatal(err)
	}
	listed, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || !bytes.Contains(listed, []byte(text)) {
		t.Errorf("the entries are %s (%v)", listed, err)
	}
	if all, err := list(); err != nil || strings.Contains(fmt.Sprint(all), text) {
		t.Errorf("the entry is in the sandbox as well (%v)", err)
	}
	pulled, _ := mustThere("kubectl", "--", "get", "pods", "--namespace", world.outputs.Namespace, "--output", "jsonpath={.items[*].spec.containers[*].image}")
	for image := range strings.FieldsSeq(pulled) {
		if !strings.HasPrefix(image, registry) {
			t.Errorf("a pod runs %s", image)
		}
	}

	if plan, said := mustThere("preview", "--registry", registry); !strings.Contains(plan, "nothing would change") {
		t.Errorf("preview says %s\n%s", plan, said)
	}
	if plan, said := mustSandbox(t, "preview", "--stack", stack); !strings.Contains(plan, "nothing would change") {
		t.Errorf("preview of the sandbox says %s\n%s", plan, said)
	}
	if status, _ := mustThere("status"); !strings.Contains(status, "context second") || !strings.Contains(status, "redis-0") {
		t.Errorf("status says\n%s", status)
	}
	for _, args := range [][]string{{"down"}, {"reset", "--yes"}} {
		if _, log, err := there(args...); err == nil || !strings.Contains(log, "sandbox destroy --cluster second --yes") {
			t.Errorf("%v: %v\n%s", args, err, log)
		}
	}
	if now, err := os.ReadFile(kubeconfig); err != nil || !bytes.Equal(now, before) {
		t.Errorf("the user's kubeconfig is now\n%s (%v)", now, err)
	}

	mustThere("destroy", "--yes")
	eventually(t, func() error { // a namespace ends only after the objects in it
		if now := names(); !slices.Equal(now, empty) {
			return fmt.Errorf("there is still %v, and no more %v", without(now, empty), without(empty, now))
		}
		return nil
	})
	manager := stacks.FieldManager("journal", stack)
	all, err := deploy.Objects(t.Context(), second.Kubectl)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		for _, field := range o.GetManagedFields() {
			if field.Manager == manager {
				t.Errorf("%s %s/%s is still the stack's", o.GetKind(), o.GetNamespace(), o.GetName())
			}
		}
	}
	if plan, _ := mustSandbox(t, "preview", "--stack", stack); !strings.Contains(plan, "nothing would change") {
		t.Errorf("preview of the sandbox says %s", plan)
	}
}

// secondNode starts a node in a folder of its own, which ends with the test. It returns the folder and the port of the Ingress too.
func secondNode(t *testing.T) (*node.Node, cache.Dir, int) {
	t.Helper()
	dir, err := cache.At(world.dir.Path("e2e", "second"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.Reset(context.Background(), dir); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir.Root())
	})
	if err := node.Reset(t.Context(), dir); err != nil { // a killed run may have left one
		t.Fatal(err)
	}
	for _, shared := range []string{"bin", "debian", "images"} {
		_ = os.Remove(dir.Path(shared))
		if err := os.Symlink(world.dir.Path(shared), dir.Path(shared)); err != nil {
			t.Fatal(err)
		}
	}
	config := node.Config{Dir: dir, Progress: io.Discard}
	var held []net.Listener // all open at the same time, so that no two ports are the same
	for _, port := range []*int{&config.HTTPPort, &config.HTTPSPort, &config.APIPort} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, listener)
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	for _, listener := range held {
		_ = listener.Close()
	}
	return start(t, config), dir, config.HTTPPort
}

// start starts a node with the image that every node of the sandbox needs for its pods.
func start(t *testing.T, config node.Config) *node.Node {
	t.Helper()
	n, err := node.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	built, err := images.Build(t.Context(), repository(t), world.dir, io.Discard, images.Pause)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.ImportImage(t.Context(), built[0].Archive); err != nil {
		t.Fatal(err)
	}
	return n
}

// servicesOf gives the node of a folder the images of other projects, which a cluster would pull from the Internet, and returns the keys that name
// them.
func servicesOf(t *testing.T, dir cache.Dir, repo string) map[string]any {
	t.Helper()
	c, err := cluster.New(cluster.Options{Dir: dir, Getenv: os.Getenv})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	decided, err := stacks.Read(repo, stack)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.LoadServices(t.Context(), repo, decided, io.Discard); err != nil {
		t.Fatal(err)
	}
	values, err := c.Values(decided, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]any{}
	for _, kind := range cluster.Needs(decided, images.Foreign) {
		keys[kind.Key] = values[kind.Key]
	}
	return keys
}

// ownRegistry serves images at one address in two networks: on the machine, for pushes, and in the node's network, for pulls.
// The two networks have different loopbacks, so 127.0.0.1 alone would not do.
func ownRegistry(t *testing.T, n *node.Node) string {
	t.Helper()
	outside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := outside.Addr().String()
	inside, err := listenIn(n, address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), ReadHeaderTimeout: 10 * time.Second}
	for _, listener := range []net.Listener{outside, inside} {
		go func() { _ = server.Serve(listener) }()
	}
	t.Cleanup(func() { _ = server.Close() })
	return address
}

// listenIn listens in the network namespace of a node. A socket stays in the namespace in which its thread opened it.
func listenIn(n *node.Node, address string) (listener net.Listener, err error) {
	err = inNetworkOf(n, func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	})
	return listener, err
}

// inNetworkOf runs something in the network namespace of a node.
func inNetworkOf(n *node.Node, do func() error) (err error) {
	made := make(chan struct{})
	go func() {
		defer close(made)
		runtime.LockOSThread() // never unlocked, so that the thread ends with this function and is not used again
		var network *os.File
		if network, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", n.PID)); err != nil {
			return
		}
		defer func() { _ = network.Close() }()
		if err = unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err == nil {
			err = do()
		}
	}()
	<-made
	return err
}

// usersKubeconfig returns the path of a kubeconfig with two contexts. The node is the one that is not current.
func usersKubeconfig(t *testing.T, n *node.Node) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(n.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config.Contexts = map[string]*api.Context{"second": config.Contexts[config.CurrentContext]}
	config.Clusters["elsewhere"] = &api.Cluster{Server: "https://127.0.0.1:1"}
	config.Contexts["elsewhere"] = &api.Context{Cluster: "elsewhere", AuthInfo: config.Contexts["second"].AuthInfo}
	config.CurrentContext = "elsewhere"
	path := filepath.Join(t.TempDir(), "config")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// clone returns a copy of the checkout with its uncommitted changes, whose stack file the test may change.
func clone(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "journal")
	inRepository(t, "git clone --quiet --shared --no-checkout . "+folder+" && git -C "+folder+" reset --quiet") // the index, but no files
	copyRepository(t, folder)
	return folder
}

// setKeys changes keys of the stack's file in a folder.
func setKeys(t *testing.T, repo string, values map[string]any) {
	t.Helper()
	path := filepath.Join(repo, "Pulumi."+stack+".yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Config map[string]any `yaml:"config"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for key, value := range values {
		deploy.Override(file.Config, "journal:"+key, value)
	}
	if text, err = yaml.Marshal(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
