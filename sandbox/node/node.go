// Package node runs a real one-node Kubernetes: etcd, the control plane, containerd, kubelet, kube-proxy, DNS, network
// policies, local volumes and an Ingress controller.
//
// All of it runs in its own network, mount, PID, UTS and IPC namespaces, below one process (the node) that is PID 1 there. So
// the machine's interfaces, firewall rules and mounts show nothing of it. However the node's process ends, the kernel then ends
// and removes everything else. The machine sees two TCP listeners on
// 127.0.0.1 (the Ingress and the apiserver), files below cache.Dir, and one cgroup while it runs.
package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	// DNS is the address range at which the node's DNS listens. The DNS server is no pod.
	DNS = machine.NodeIP + "/32"
)

// startTimeout leaves the node time to report what it waited for.
const startTimeout = daemon.BootTimeout + 20*time.Second

// packages are the Debian packages with the programs that the node runs. Their folder is the root of its mount namespace.
var packages = []string{"tini", "containerd", "runc", "containernetworking-plugins", "nftables", "iptables", "ipset", "mount"}

// ErrNotRunning says that there is no node.
var ErrNotRunning = errors.New("the sandbox is not running")

// Ports are the ports of 127.0.0.1 that lead to the node: to the Ingress for HTTP and HTTPS, and to the API server.
type Ports = daemon.Ports

// Config says where the node keeps its files and how it is reached.
type Config struct {
	Dir cache.Dir
	Ports
	Progress io.Writer // gets a line for each step
}

// port is a port of the machine that the node takes.
type port struct {
	number   *int
	variable string // the environment variable that sets it
	usual    string
}

// ports returns all of them, in the order in which the node inherits them.
func (c *Config) ports() [3]port {
	return [3]port{
		{&c.HTTPPort, "JOURNAL_HTTP_PORT", "8080"}, {&c.HTTPSPort, "JOURNAL_HTTPS_PORT", "8443"}, {&c.APIPort, "JOURNAL_API_PORT", "16443"},
	}
}

// ConfigFromEnv returns the Config for dir with the ports in JOURNAL_HTTP_PORT, JOURNAL_HTTPS_PORT and JOURNAL_API_PORT.
// Their defaults are 8080, 8443 and 16443.
func ConfigFromEnv(dir cache.Dir, getenv func(string) string, progress io.Writer) (Config, error) {
	config := Config{Dir: dir, Progress: progress}
	var errs []error
	for _, port := range config.ports() {
		text := cmp.Or(getenv(port.variable), port.usual)
		number, err := strconv.ParseUint(text, 10, 16)
		if err != nil || number == 0 {
			errs = append(errs, fmt.Errorf("%s %q: not a TCP port; use a number from 1 to 65535", port.variable, text))
		}
		*port.number = int(number)
	}
	return config, errors.Join(errs...)
}

// Check says why a node cannot start on this machine, before anything is built or started. It accepts a node that runs.
func Check(ctx context.Context, config Config) error {
	if _, err := Running(config.Dir); err == nil {
		return nil
	}
	environment := append(os.Environ(), "XDG_CACHE_HOME="+filepath.Dir(config.Dir.Root()))
	for _, p := range config.ports() {
		environment = append(environment, fmt.Sprintf("%s=%d", p.variable, *p.number))
	}
	return doctor.Check(ctx, "node", environment)
}

// Node is a running one-node cluster. It ends with the process that its status names.
type Node struct {
	daemon.Status
	dir cache.Dir
}

// Reexec turns this process into the node if Start made it for that. A program that calls Start has to call it before
// anything else in main (and in TestMain), and to return when it returns true.
func Reexec() bool { return daemon.Reexec() }

// Start boots the node and returns when pods, volumes and names work on it. It uses a node that runs already as it is. The node
// outlives the calling process, but if ctx ends before the node is ready, Start stops it.
//
// The caller's main function must begin with Reexec.
func Start(ctx context.Context, config Config) (*Node, error) {
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
	if has, want := node.Ports, config.Ports; has != want {
		return nil, fmt.Errorf("the sandbox already runs with ports %d, %d and %d, not %d, %d and %d as JOURNAL_HTTP_PORT, JOURNAL_HTTPS_PORT and JOURNAL_API_PORT say; stop it first (make down)",
			has.HTTPPort, has.HTTPSPort, has.APIPort, want.HTTPPort, want.HTTPSPort, want.APIPort)
	}
	return node, nil
}

// spawn starts the node's process, unless one runs or another command is about to start it.
func spawn(ctx context.Context, config Config) (own bool, err error) {
	lock, err := disk.TryLock(daemon.LockFile(config.Dir))
	if errors.Is(err, disk.ErrLocked) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = lock.Close() }()
	// The old status file describes a node that has ended.
	if err := os.RemoveAll(daemon.StatusFile(config.Dir)); err != nil {
		return false, err
	}
	if err := Check(ctx, config); err != nil {
		return false, err
	}
	fmt.Fprintln(config.Progress, "unpacking containerd and more from Debian's packages, if they are new")
	root, err := debian.Extract(ctx, config.Dir.Debian(), config.Progress, "node", packages...)
	if err != nil {
		return false, err
	}
	var listeners [3]*os.File
	for i, p := range config.ports() {
		listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: *p.number})
		if err != nil {
			return false, err
		}
		listeners[i], err = listener.File()
		if err := errors.Join(err, listener.Close()); err != nil {
			return false, err
		}
		defer func() { _ = listeners[i].Close() }()
	}
	if err := machine.CgroupOf(config.Dir.Root()).Make(ctx); err != nil {
		return false, err
	}
	if err := daemon.Spawn(config.Dir, root, config.Ports, lock, listeners); err != nil {
		return false, fmt.Errorf("start the node: %w", err)
	}
	return true, nil
}

// Running returns the node that runs with its files in dir, or ErrNotRunning, perhaps wrapped.
func Running(dir cache.Dir) (*Node, error) {
	status, runs := daemon.ReadStatus(dir)
	switch {
	case runs:
		return &Node{dir: dir, Status: status}, nil
	case status.Failure != "":
		return nil, fmt.Errorf("%w: it ended by itself: %s", ErrNotRunning, status.Failure)
	}
	return nil, ErrNotRunning
}

// Stop ends the node that runs with its files in dir, if there is one, and removes what a killed one left. Pods first get
// SIGTERM and some seconds. The cluster's data stays.
func Stop(ctx context.Context, dir cache.Dir) error {
	if node, err := Running(dir); err == nil {
		if err := daemon.End(ctx, node.PID); err != nil {
			return fmt.Errorf("stop the node (process %d): %w", node.PID, err)
		}
	}
	if err := machine.CgroupOf(dir.Root()).Remove(ctx); err != nil {
		return err
	}
	if status, _ := daemon.ReadStatus(dir); status.Failure != "" {
		return nil // the status stays readable until the next start
	}
	return os.RemoveAll(daemon.StatusFile(dir))
}

// Reset stops the node and deletes the cluster's data: objects, volumes, images and keys.
func Reset(ctx context.Context, dir cache.Dir) error {
	if err := Stop(ctx, dir); err != nil {
		return err
	}
	return os.RemoveAll(daemon.Folder(dir))
}

// Kubeconfig returns the path of the administrator's kubeconfig.
func (n *Node) Kubeconfig() string { return filepath.Join(daemon.Folder(n.dir), daemon.Kubeconfig) }

// Kubectl returns a kubectl command with the administrator's rights.
func (n *Node) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	return command.Kubectl(ctx, n.dir.Bin(), n.Kubeconfig(), args...)
}

// ImportImage gives the node the images of a docker or OCI archive. It runs containerd's client in the node's root, where the
// program and containerd's socket are.
func (n *Node) ImportImage(ctx context.Context, archive string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	cmd := exec.CommandContext(ctx, "/usr/bin/ctr", "--namespace", "k8s.io", "image", "import", "-")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: fmt.Sprintf("/proc/%d/root", n.PID)}
	cmd.Dir = "/"
	cmd.Env = process.Environment
	cmd.Stdin = file
	if _, err := command.Output(cmd); err != nil {
		return fmt.Errorf("import image archive %s: %w", archive, err)
	}
	return nil
}

// Components returns the processes of the cluster, with their PIDs on the machine.
func (n *Node) Components() []process.Child { return process.Programs(n.PID) }
