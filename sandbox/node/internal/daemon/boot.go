package daemon

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"example.com/journal/sandbox/node/internal/components"
	"example.com/journal/sandbox/node/internal/machine"
	"example.com/journal/sandbox/node/internal/process"
	"example.com/journal/sandbox/node/internal/ready"
)

const (
	// BootTimeout is generous: 15 s are usual, but the machine may be compiling at the same time.
	BootTimeout = 160 * time.Second
	// bringBackTimeout is how long a start waits for pods that ran before.
	bringBackTimeout = 30 * time.Second
	// podGrace is how long containers may take to end after SIGTERM.
	podGrace = 8 * time.Second
)

// boot starts everything, each part as soon as what it needs is there.
func (d *daemon) boot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, BootTimeout)
	defer cancel()
	for i, port := range []string{machine.HTTPPort, machine.HTTPSPort, machine.APIPort} {
		go machine.Forward(d.listeners[i], net.JoinHostPort(machine.NodeIP, port))
	}

	d.progress("starting etcd, containerd and the apiserver")
	runtime, runtimeCtx := errgroup.WithContext(ctx)
	runtime.Go(func() error { return d.start(runtimeCtx, components.Containerd()) })
	for _, c := range []components.Component{components.Etcd(), components.APIServer(d.cluster)} {
		if err := d.start(ctx, c); err != nil {
			return err
		}
	}
	pods, err := d.cluster.ForgetPods(ctx)
	if err != nil {
		return err
	}
	if err := runtime.Wait(); err != nil {
		return err
	}

	d.progress("starting the kubelet, the controllers and the network")
	all, allCtx := errgroup.WithContext(ctx)
	startAll := func(some ...components.Component) {
		for _, c := range some {
			all.Go(func() error { return d.start(allCtx, c) })
		}
	}
	startAll(components.ControllerManager(), components.Scheduler(), components.Kubelet(), components.Proxy())
	all.Go(func() error {
		for _, command := range components.Addons() {
			if err := d.table.Run(allCtx, command); err != nil {
				return err
			}
		}
		// These may do nothing before their rights are there.
		startAll(components.DNS(), components.NetworkPolicy(d.cluster), components.LocalStorage(), components.Ingress())
		return nil
	})
	all.Go(func() error { return ready.Wait(allCtx, "the node", d.cluster.Node(d.status.Since)) })
	all.Go(func() error { return ready.Wait(allCtx, "the default ServiceAccount", d.cluster.DefaultServiceAccount) })
	if err := all.Wait(); err != nil || len(pods) == 0 {
		return err
	}
	return d.bringBack(ctx, pods)
}

// bringBack waits for the pods of the last run. That some of them do not come back (their program may depend on what is
// not there) is no failure of the node.
func (d *daemon) bringBack(ctx context.Context, pods []types.UID) error {
	d.progress(fmt.Sprintf("waiting for the %d pods that were ready before the stop", len(pods)))
	within, cancel := context.WithTimeout(ctx, bringBackTimeout)
	defer cancel()
	err := ready.Wait(within, "pods of the last run", d.cluster.Pods(pods))
	if err != nil && ctx.Err() == nil {
		d.progress(fmt.Sprintf("after %s %v (going on)", bringBackTimeout, err))
		return nil
	}
	return err
}

// start starts a component and returns when it is ready. When it ends, the node does.
func (d *daemon) start(ctx context.Context, c components.Component) error {
	if c.Needs != nil {
		if err := ready.Wait(ctx, "what "+c.Name+" needs", c.Needs); err != nil {
			return err
		}
	}
	p, err := d.table.Start(c.Program)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.running = append(d.running, p)
	d.mu.Unlock()
	go func() {
		<-p.Ended
		d.fail(p.Err()) // without effect when the node is being stopped
	}()
	if c.Ready == nil {
		return nil
	}
	return ready.Wait(ctx, c.Name, c.Ready)
}

// shutDown ends pods first, while everything they need is still there, and etcd last. What is left keeps nothing, and ends with
// this process.
func (d *daemon) shutDown() {
	began := time.Now()
	d.mu.Lock()
	running := slices.Clone(d.running)
	d.mu.Unlock()
	stop := func(grace time.Duration, names ...string) {
		var all sync.WaitGroup
		for _, p := range running {
			if slices.Contains(names, p.Name) {
				all.Go(func() { p.Stop(grace) })
			}
		}
		all.Wait()
	}
	// Without its kubelet a container that ends stays so.
	stop(2*time.Second, "kubelet")
	process.EndContainers(1, podGrace)
	stop(2*time.Second, "kube-apiserver", "containerd")
	stop(3*time.Second, "etcd")
	fmt.Printf("stopped after %d ms\n", time.Since(began).Milliseconds())
}
