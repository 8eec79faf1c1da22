// Package node runs a real one-node Kubernetes: etcd, the control plane, containerd, kubelet, kube-proxy, DNS, network
// policies, local volumes and an Ingress controller.
//
// All of it lives in network, mount, PID, UTS and IPC namespaces of its own, below one process (the node) that is PID 1 in
// there. So nothing of it shows among the machine's interfaces, firewall rules and mounts, and when the node's process
// ends, however it ends, the kernel ends and removes everything else. The machine sees two TCP listeners on
// 127.0.0.1 (the Ingress and the apiserver), files below cache.Dir, and one cgroup while it runs.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/debian"
)

const (
	// PauseImage is the image of the process that holds each pod's namespaces. Import it before the first pod.
	PauseImage = "journal.example.com/pause:v0.1.0"
	// StorageClass is the default StorageClass: folders on this machine, bound when the first pod needs them.
	StorageClass = "standard"
	// IngressClass is the class that the node's Ingress controller serves.
	IngressClass = "traefik"
	// Name is the Kubernetes node's name.
	Name = "sandbox"
)

const (
	httpPortVariable  = "JOURNAL_HTTP_PORT"
	httpsPortVariable = "JOURNAL_HTTPS_PORT"
	apiPortVariable   = "JOURNAL_API_PORT"

	// startTimeout is generous: 15 s are usual, but the machine may be compiling at the same time.
	startTimeout = 3 * time.Minute
	// stopTimeout is what an orderly stop may take before the node is killed.
	stopTimeout = 25 * time.Second
)

// packages are the Debian packages whose programs the node runs; their folder is the root of its mount namespace.
var packages = []string{"containerd", "runc", "containernetworking-plugins", "nftables", "iptables", "ipset", "mount"}

// ErrNotRunning says that there is no node.
var ErrNotRunning = errors.New("the sandbox is not running")

// Config says where the node keeps its files and how it is reached.
type Config struct {
	Dir       cache.Dir
	HTTPPort  int       // the port of the Ingress on 127.0.0.1; 0 means 8080
	HTTPSPort int       // the port of the Ingress for HTTPS on 127.0.0.1; 0 means 8443
	APIPort   int       // the port of the apiserver on 127.0.0.1; 0 means 16443
	Progress  io.Writer // gets a line for each step; nil for none
}

// ConfigFromEnv returns the Config for dir with the ports that JOURNAL_HTTP_PORT, JOURNAL_HTTPS_PORT and
// JOURNAL_API_PORT name.
func ConfigFromEnv(dir cache.Dir, getenv func(string) string, progress io.Writer) (Config, error) {
	config := Config{Dir: dir, Progress: progress}
	var errs []error
	for variable, port := range map[string]*int{
		httpPortVariable: &config.HTTPPort, httpsPortVariable: &config.HTTPSPort, apiPortVariable: &config.APIPort,
	} {
		text := getenv(variable)
		if text == "" {
			continue
		}
		number, err := strconv.ParseUint(text, 10, 16)
		if err != nil || number == 0 {
			errs = append(errs, fmt.Errorf("%s %q: not a TCP port; use a number from 1 to 65535", variable, text))
		}
		*port = int(number)
	}
	config = config.withDefaults()
	ports := config.ports()
	for i, port := range ports {
		for _, other := range ports[:i] {
			if port.number == other.number {
				errs = append(errs, fmt.Errorf("%s and %s are both %d; use two ports", other.variable, port.variable, port.number))
			}
		}
	}
	return config, errors.Join(errs...)
}

// port is a port of the machine and the variable that sets it.
type port struct {
	number   int
	variable string
}

// ports are all ports of the machine that the node takes.
func (c Config) ports() []port {
	return []port{{c.HTTPPort, httpPortVariable}, {c.HTTPSPort, httpsPortVariable}, {c.APIPort, apiPortVariable}}
}

func (c Config) withDefaults() Config {
	if c.HTTPPort == 0 {
		c.HTTPPort = 8080
	}
	if c.HTTPSPort == 0 {
		c.HTTPSPort = 8443
	}
	if c.APIPort == 0 {
		c.APIPort = 16443
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	return c
}

// Node is a running one-node cluster.
type Node struct {
	dir   cache.Dir
	state state
}

// Start boots the node and returns when pods, volumes and names work on it. A node that runs already is used as it is.
// The node outlives the calling process; when ctx ends before it is ready, it is stopped again.
//
// The caller's main function must begin with Reexec.
func Start(ctx context.Context, config Config) (*Node, error) {
	config = config.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	if node, err := Running(config.Dir); err == nil {
		return node.reuse(ctx, config)
	}
	if err := checkMachine(config.Dir); err != nil {
		return nil, err
	}
	files, err := openFiles(config)
	if errors.Is(err, errLocked) {
		// Somebody else was faster by a moment.
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return nil, fmt.Errorf("wait for another process that starts the sandbox: %w", err)
		}
		return Start(ctx, config)
	}
	if err != nil {
		return nil, err
	}
	defer files.close()
	// What it says is about a node that is gone.
	if err := os.Remove(stateFile(config.Dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if _, err := fmt.Fprintln(config.Progress, "unpacking containerd and more from Debian's packages, if they are new"); err != nil {
		return nil, err
	}
	root, err := debian.Extract(ctx, config.Dir.Debian(), "node", packages...)
	if err != nil {
		return nil, err
	}
	for _, program := range []string{"kubernetes", "traefik"} {
		if _, err := os.Stat(filepath.Join(config.Dir.Bin(), program)); err != nil {
			return nil, fmt.Errorf("%w; the toolchain has to be built first", err)
		}
	}
	s := settings{
		Folder: nodeFolder(config.Dir), Bin: config.Dir.Bin(), Logs: config.Dir.Logs(), Debian: root,
		Cgroup: cgroupName(config.Dir), HTTPPort: config.HTTPPort, HTTPSPort: config.HTTPSPort, APIPort: config.APIPort,
	}
	// A node that was killed leaves its cgroups behind.
	if err := removeCgroups(ctx, s.Cgroup); err != nil {
		return nil, err
	}
	if err := makeCgroups(s.Cgroup); err != nil {
		return nil, err
	}
	if err := spawn(s, files); err != nil {
		return nil, fmt.Errorf("start the node: %w", err)
	}
	if err := follow(ctx, files.reports, config.Progress); err != nil {
		_ = Stop(context.WithoutCancel(ctx), config.Dir)
		return nil, fmt.Errorf("start the node: %w (logs are in %s)", err, config.Dir.Logs())
	}
	return Running(config.Dir)
}

// reuse waits until a running node is ready, as somebody else may just be starting it.
func (n *Node) reuse(ctx context.Context, config Config) (*Node, error) {
	if n.state.HTTPPort != config.HTTPPort || n.state.HTTPSPort != config.HTTPSPort || n.state.APIPort != config.APIPort {
		return nil, fmt.Errorf("the sandbox already runs with ports %d, %d and %d, not %d, %d and %d as %s, %s and %s say; stop it first (make down)",
			n.state.HTTPPort, n.state.HTTPSPort, n.state.APIPort, config.HTTPPort, config.HTTPSPort, config.APIPort,
			httpPortVariable, httpsPortVariable, apiPortVariable)
	}
	for !n.state.Ready {
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return nil, fmt.Errorf("wait for the node that process %d starts: %w", n.state.PID, err)
		}
		var err error
		if n, err = Running(config.Dir); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Running returns the node that runs with its files in dir, or an error that is ErrNotRunning.
func Running(dir cache.Dir) (*Node, error) {
	current, known := readState(dir)
	switch {
	case known && lockIsHeld(dir) && isNode(current.PID):
		return &Node{dir: dir, state: current}, nil
	case current.Failure != "":
		return nil, fmt.Errorf("%w: it ended by itself: %s", ErrNotRunning, current.Failure)
	}
	return nil, ErrNotRunning
}

// Stop ends the node that runs with its files in dir, if there is one, and removes what a killed one left. Pods get
// SIGTERM and some seconds first. The cluster's data stays.
func Stop(ctx context.Context, dir cache.Dir) error {
	if node, err := Running(dir); err == nil {
		if err := end(ctx, node.state.PID); err != nil {
			return fmt.Errorf("stop the node (process %d): %w", node.state.PID, err)
		}
	}
	if err := removeCgroups(ctx, cgroupName(dir)); err != nil {
		return err
	}
	// A recorded failure stays readable until the next start.
	if current, known := readState(dir); known && current.Failure == "" {
		return os.Remove(stateFile(dir))
	}
	return nil
}

// Reset stops the node and deletes the cluster's data: objects, volumes, images and keys.
func Reset(ctx context.Context, dir cache.Dir) error {
	if err := Stop(ctx, dir); err != nil {
		return err
	}
	return os.RemoveAll(nodeFolder(dir))
}

// Stop is the function Stop for this node.
func (n *Node) Stop(ctx context.Context) error { return Stop(ctx, n.dir) }

// Kubeconfig is the path of the administrator's kubeconfig.
func (n *Node) Kubeconfig() string { return filepath.Join(nodeFolder(n.dir), "kubeconfig") }

// HTTPPort is the port of the Ingress on 127.0.0.1.
func (n *Node) HTTPPort() int { return n.state.HTTPPort }

// HTTPSPort is the port of the Ingress for HTTPS on 127.0.0.1.
func (n *Node) HTTPSPort() int { return n.state.HTTPSPort }

// APIPort is the port of the apiserver on 127.0.0.1.
func (n *Node) APIPort() int { return n.state.APIPort }

// PID is the node's process. Everything else of the cluster ends with it.
func (n *Node) PID() int { return n.state.PID }

// Since is when the node started.
func (n *Node) Since() time.Time { return n.state.Since }

// Kubectl is a kubectl command with the administrator's rights.
func (n *Node) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(n.dir.Bin(), "kubernetes"), args...)
	cmd.Args[0] = "kubectl"
	// What kubectl remembers of a cluster goes with the cluster, and not into the home of whoever runs it.
	cmd.Env = append(os.Environ(), "KUBECONFIG="+n.Kubeconfig(), "KUBECACHEDIR="+filepath.Join(nodeFolder(n.dir), "kubectl"))
	return cmd
}

// ImportImage gives the node the images of a docker or OCI archive.
func (n *Node) ImportImage(ctx context.Context, archive string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if _, err := n.ctr(ctx, file, "image", "import", "-"); err != nil {
		return fmt.Errorf("import image archive %s: %w", archive, err)
	}
	return nil
}

// Images returns the references of all images that the node has.
func (n *Node) Images(ctx context.Context) ([]string, error) {
	out, err := n.ctr(ctx, nil, "image", "list", "-q")
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var references []string
	for _, line := range strings.Fields(out) {
		// The kubelet's view adds each image's own digest as a further name.
		if !strings.HasPrefix(line, "sha256:") {
			references = append(references, line)
		}
	}
	return references, nil
}

// ctr runs containerd's client with the node's root as its own, where the program and containerd's socket are.
func (n *Node) ctr(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "/usr/bin/ctr", append([]string{"--namespace", "k8s.io"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: fmt.Sprintf("/proc/%d/root", n.state.PID)}
	cmd.Dir = "/"
	cmd.Env = environment
	cmd.Stdin = stdin
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// Component is one process of the cluster.
type Component struct {
	Name string
	PID  int // as the machine sees it
}

// Status is what runs at the moment.
type Status struct {
	PID        int
	Since      time.Time
	HTTPPort   int
	APIPort    int
	Ready      bool
	Components []Component
}

// Status returns the node's processes.
func (n *Node) Status() Status {
	return Status{
		PID: n.state.PID, Since: n.state.Since, HTTPPort: n.state.HTTPPort, APIPort: n.state.APIPort,
		Ready: n.state.Ready, Components: components(n.state.PID),
	}
}

// components returns the children of the node's process that are programs of the cluster, not the pods' shims.
func components(pid int) []Component {
	var found []Component
	for _, child := range children(pid) {
		if name := commandName(child); name != "" && !strings.HasPrefix(name, shimPrefix) {
			found = append(found, Component{Name: name, PID: child})
		}
	}
	slices.SortFunc(found, func(a, b Component) int { return strings.Compare(a.Name, b.Name) })
	return found
}
