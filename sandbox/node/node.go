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
	"net"
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
	"example.com/journal/sandbox/doctor"
	"example.com/journal/sandbox/internal/command"
	"example.com/journal/sandbox/internal/disk"
	"example.com/journal/sandbox/node/internal/components"
	"example.com/journal/sandbox/node/internal/daemon"
	"example.com/journal/sandbox/node/internal/machine"
	"example.com/journal/sandbox/node/internal/process"
)

const (
	// PauseImage is the image of the process that holds each pod's namespaces. Import it before the first pod.
	PauseImage = components.PauseImage
	// IngressClass is the class that the node's Ingress controller serves.
	IngressClass = components.IngressClass
)

// startTimeout leaves the node time to say itself what it waited for.
const startTimeout = daemon.BootTimeout + 20*time.Second

// packages are the Debian packages whose programs the node runs; their folder is the root of its mount namespace.
var packages = []string{"containerd", "runc", "containernetworking-plugins", "nftables", "iptables", "ipset", "mount"}

// ErrNotRunning says that there is no node.
var ErrNotRunning = errors.New("the sandbox is not running")

// Ports are those of 127.0.0.1 that lead to the node: to the Ingress for HTTP (0 means 8080) and HTTPS (8443), and to the
// apiserver (16443).
type Ports = daemon.Ports

// Config says where the node keeps its files and how it is reached.
type Config struct {
	Dir cache.Dir
	Ports
	Progress io.Writer // gets a line for each step; nil for none
}

// port is a port of the machine that the node takes.
type port struct {
	number   *int
	variable string // sets it
	usual    int
}

// ports are all of them, in the order in which the node inherits them.
func (c *Config) ports() [3]port {
	return [3]port{
		{&c.HTTPPort, "JOURNAL_HTTP_PORT", 8080}, {&c.HTTPSPort, "JOURNAL_HTTPS_PORT", 8443}, {&c.APIPort, "JOURNAL_API_PORT", 16443},
	}
}

// ConfigFromEnv returns the Config for dir with the ports that JOURNAL_HTTP_PORT, JOURNAL_HTTPS_PORT and
// JOURNAL_API_PORT name.
func ConfigFromEnv(dir cache.Dir, getenv func(string) string, progress io.Writer) (Config, error) {
	config := Config{Dir: dir, Progress: progress}
	var errs []error
	for _, port := range config.ports() {
		text := getenv(port.variable)
		if text == "" {
			continue
		}
		number, err := strconv.ParseUint(text, 10, 16)
		if err != nil || number == 0 {
			errs = append(errs, fmt.Errorf("%s %q: not a TCP port; use a number from 1 to 65535", port.variable, text))
		}
		*port.number = int(number)
	}
	config = config.withDefaults()
	ports := config.ports()
	for i, port := range ports {
		for _, other := range ports[:i] {
			if *port.number == *other.number {
				errs = append(errs, fmt.Errorf("%s and %s are both %d; use two ports", other.variable, port.variable, *port.number))
			}
		}
	}
	return config, errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	for _, port := range c.ports() {
		if *port.number == 0 {
			*port.number = port.usual
		}
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	return c
}

// Check says why a node cannot start on this machine, before anything is built or started. A running node is fine.
func Check(ctx context.Context, config Config) error {
	config = config.withDefaults()
	if _, err := Running(config.Dir); err == nil {
		return nil
	}
	environment := append(os.Environ(), "XDG_CACHE_HOME="+filepath.Dir(config.Dir.Root()))
	for _, p := range config.ports() {
		environment = append(environment, fmt.Sprintf("%s=%d", p.variable, *p.number))
	}
	return doctor.Check(ctx, "node", environment)
}

// Node is a running one-node cluster.
type Node struct {
	dir    cache.Dir
	status daemon.Status
}

// Reexec turns this process into the node if Start made it for that. A program that calls Start has to call it before
// anything else in main (and in TestMain), and to return when it returns true.
func Reexec() bool { return daemon.Reexec() }

// Start boots the node and returns when pods, volumes and names work on it. A node that runs already is used as it is.
// The node outlives the calling process; when ctx ends before it is ready, it is stopped again.
//
// The caller's main function must begin with Reexec.
func Start(ctx context.Context, config Config) (*Node, error) {
	config = config.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	own, err := spawn(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := daemon.Follow(ctx, config.Dir, config.Progress); err != nil {
		if own {
			_ = Stop(context.WithoutCancel(ctx), config.Dir)
		}
		return nil, fmt.Errorf("start the node: %w (logs are in %s)", err, config.Dir.Logs())
	}
	node, err := Running(config.Dir)
	if err != nil {
		return nil, err
	}
	if has, want := node.status.Ports, config.Ports; has != want {
		return nil, fmt.Errorf("the sandbox already runs with ports %d, %d and %d, not %d, %d and %d as JOURNAL_HTTP_PORT, JOURNAL_HTTPS_PORT and JOURNAL_API_PORT say; stop it first (make down)",
			has.HTTPPort, has.HTTPSPort, has.APIPort, want.HTTPPort, want.HTTPSPort, want.APIPort)
	}
	return node, nil
}

// spawn starts the node's process, unless there is one or somebody else is about to start it.
func spawn(ctx context.Context, config Config) (own bool, err error) {
	if err := os.MkdirAll(daemon.Folder(config.Dir), 0o700); err != nil {
		return false, err
	}
	lock, err := disk.TryLock(daemon.LockFile(config.Dir))
	if errors.Is(err, disk.ErrLocked) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = lock.Close() }()
	// What it says is about a node that is gone.
	if err := os.Remove(daemon.StatusFile(config.Dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := errors.Join(Check(ctx, config), components.Built(config.Dir.Bin())); err != nil {
		return false, err
	}
	fmt.Fprintln(config.Progress, "unpacking containerd and more from Debian's packages, if they are new")
	root, err := debian.Extract(ctx, config.Dir.Debian(), "node", packages...)
	if err != nil {
		return false, err
	}
	var listeners [3]*os.File
	for i, p := range config.ports() {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *p.number))
		if err != nil {
			return false, err
		}
		listeners[i], err = listener.(*net.TCPListener).File()
		if err := errors.Join(err, listener.Close()); err != nil {
			return false, err
		}
		defer func() { _ = listeners[i].Close() }()
	}
	// A node that was killed leaves its cgroups behind.
	cgroup := machine.CgroupOf(config.Dir.Root())
	if err := cgroup.Remove(ctx); err != nil {
		return false, err
	}
	if err := cgroup.Make(); err != nil {
		return false, err
	}
	if err := daemon.Spawn(config.Dir, root, config.Ports, lock, listeners); err != nil {
		return false, fmt.Errorf("start the node: %w", err)
	}
	return true, nil
}

// Running returns the node that runs with its files in dir, or an error that is ErrNotRunning.
func Running(dir cache.Dir) (*Node, error) {
	status, _ := daemon.ReadStatus(dir)
	switch {
	case status.Runs(dir):
		return &Node{dir: dir, status: status}, nil
	case status.Failure != "":
		return nil, fmt.Errorf("%w: it ended by itself: %s", ErrNotRunning, status.Failure)
	}
	return nil, ErrNotRunning
}

// Stop ends the node that runs with its files in dir, if there is one, and removes what a killed one left. Pods get
// SIGTERM and some seconds first. The cluster's data stays.
func Stop(ctx context.Context, dir cache.Dir) error {
	if node, err := Running(dir); err == nil {
		if err := daemon.End(ctx, node.PID()); err != nil {
			return fmt.Errorf("stop the node (process %d): %w", node.PID(), err)
		}
	}
	if err := machine.CgroupOf(dir.Root()).Remove(ctx); err != nil {
		return err
	}
	// A recorded failure stays readable until the next start.
	if status, known := daemon.ReadStatus(dir); known && status.Failure == "" {
		return os.Remove(daemon.StatusFile(dir))
	}
	return nil
}

// Reset stops the node and deletes the cluster's data: objects, volumes, images and keys.
func Reset(ctx context.Context, dir cache.Dir) error {
	if err := Stop(ctx, dir); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(daemon.Folder(dir)), os.RemoveAll(command.KubectlMemory(dir)))
}

// Kubeconfig is the path of the administrator's kubeconfig.
func (n *Node) Kubeconfig() string { return filepath.Join(daemon.Folder(n.dir), daemon.Kubeconfig) }

// HTTPPort is the port of the Ingress on 127.0.0.1.
func (n *Node) HTTPPort() int { return n.status.HTTPPort }

// HTTPSPort is the port of the Ingress for HTTPS on 127.0.0.1.
func (n *Node) HTTPSPort() int { return n.status.HTTPSPort }

// APIPort is the port of the apiserver on 127.0.0.1.
func (n *Node) APIPort() int { return n.status.APIPort }

// PID is the node's process. Everything else of the cluster ends with it.
func (n *Node) PID() int { return n.status.PID }

// Kubectl is a kubectl command with the administrator's rights.
func (n *Node) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	return command.Kubectl(ctx, n.dir, n.Kubeconfig(), args...)
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
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: fmt.Sprintf("/proc/%d/root", n.PID())}
	cmd.Dir = "/"
	cmd.Env = process.Environment
	cmd.Stdin = stdin
	return command.Output(cmd)
}

// Component is one process of the cluster, and its number as the machine sees it.
type Component = process.Child

// Status is what runs at the moment.
type Status struct {
	daemon.Status
	Components []Component
}

// Status returns the node's processes.
func (n *Node) Status() Status {
	found := process.Programs(n.PID())
	slices.SortFunc(found, func(a, b Component) int { return strings.Compare(a.Name, b.Name) })
	return Status{Status: n.status, Components: found}
}
