package components

import (
	"example.com/journal/sandbox/node/internal/keys"
	"example.com/journal/sandbox/node/internal/machine"
	"example.com/journal/sandbox/node/internal/process"
	"example.com/journal/sandbox/node/internal/ready"
)

// Containerd runs the pods' containers. Its CNI configuration gives each pod a cable of its own to the node. Pods are not on a
// common bridge, so all their traffic is routed, and Services and network policies see it without the kernel's bridge filter.
// Addresses are given out from memory: no pod's network outlives the node.
func Containerd() Component {
	return Component{
		Program: process.Program{
			Name: "containerd", Path: "/usr/bin/containerd",
			Args: []string{"--config", config("containerd.toml"), "--log-level", "warn"},
		},
		Ready: ready.Listens(containerdSocket),
	}
}

// Kubelet runs the pods that are scheduled to the node.
func Kubelet() Component {
	return Component{
		Program: kubernetes("kubelet",
			"--config="+config("kubelet.yaml"), "--kubeconfig="+keys.Kubeconfig("kubelet"),
			"--hostname-override="+machine.Name, "--node-ip="+machine.NodeIP,
		),
		Ready: ready.Answers("http://127.0.0.1:10248/healthz"),
	}
}

// Proxy makes Services' addresses lead to pods.
func Proxy() Component {
	return Component{
		Program: kubernetes("kube-proxy", "--config="+config("kube-proxy.yaml")),
		Ready:   ready.Answers("http://127.0.0.1:10256/healthz"),
	}
}
