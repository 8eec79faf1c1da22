package daemon

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/journal/sandbox/internal/command"
	"example.com/journal/sandbox/node/internal/components"
	"example.com/journal/sandbox/node/internal/keys"
	"example.com/journal/sandbox/node/internal/machine"
	"example.com/journal/sandbox/node/internal/process"
	"example.com/journal/sandbox/node/internal/ready"
)

const (
	// BootTimeout is generous: 15 s are usual, but the machine may be compiling at the same time.
	BootTimeout = 160 * time.Second
	// podGrace is how long containers may take to end after SIGTERM.
	podGrace = 8 * time.Second
)

// boot starts all components, each as soon as what it needs is ready.
func (d *daemon) boot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, BootTimeout)
	defer cancel()
	for i, port := range []string{machine.HTTPPort, machine.HTTPSPort, machine.APIPort} {
		go machine.Forward(d.listeners[i], net.JoinHostPort(machine.NodeIP, port))
	}

	d.progress("starting containerd, etcd and the apiserver")
	for _, name := range []string{"containerd", "etcd", "kube-apiserver"} {
		if err := d.start(ctx, name); err != nil {
			return err
		}
	}
	if err := ready.Wait(ctx, "the apiserver", d.cluster.APIServer); err != nil {
		return err
	}
	if err := d.cluster.ForgetPods(ctx); err != nil {
		return err
	}

	d.progress("starting the kubelet, the controllers and the network")
	all, ctx := errgroup.WithContext(ctx)
	start := func(names ...string) {
		for _, name := range names {
			all.Go(func() error { return d.start(ctx, name) })
		}
	}
	start("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
	all.Go(func() error {
		for _, arguments := range components.Addons {
			kubectl := command.Kubectl(ctx, machine.Bin, keys.Kubeconfig(keys.Admin), strings.Fields(arguments)...)
			if _, err := command.Output(kubectl); err != nil {
				return err
			}
		}
		// Without their RBAC rules these can do nothing.
		start("coredns", "local-storage", "traefik")
		if err := ready.Wait(ctx, "the node", d.cluster.Node(d.status.Since)); err != nil {
			return err
		}
		return d.start(ctx, "network-policy") // it looks up its node once, and gives up if there is none
	})
	all.Go(func() error { return ready.Wait(ctx, "the default ServiceAccount", d.cluster.DefaultServiceAccount) })
	return all.Wait()
}

// start starts a component and returns when it is ready. When the component ends, so does the node.
func (d *daemon) start(ctx context.Context, name string) error {
	c := d.components[name]
	p, err := process.Start(machine.Logs, c)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.running[name] = p
	d.mu.Unlock()
	go func() {
		<-p.Ended
		d.fail(p.Err()) // has no effect while the node is being stopped
	}()
	if c.Ready == "" {
		return nil
	}
	return ready.Wait(ctx, name, ready.At(c.Ready))
}

// shutDown ends pods first, while everything that they need still runs, and etcd last. The other components have no data to
// save, and end with this process.
func (d *daemon) shutDown() {
	began := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	stop := func(name string) {
		if p := d.running[name]; p != nil {
			p.Stop(3 * time.Second)
		}
	}
	stop("kubelet") // a running kubelet would restart the containers that end
	if containerd := d.running["containerd"]; containerd != nil {
		process.EndContainers(containerd.PID(), podGrace)
	}
	stop("kube-apiserver")
	stop("containerd")
	stop("etcd")
	fmt.Printf("stopped after %d ms\n", time.Since(began).Milliseconds())
}
