package node

const (
	containerdSocket = "/run/containerd/containerd.sock"
	containerdFile   = runFolder + "/containerd.toml"
	cniFolder        = runFolder + "/cni"
)

// containerdConfig keeps away from the machine: AppArmor profiles would be loaded for the whole of it.
// Lowering a process's OOM score needs a capability that machines such as CI runners do not give even to root.
const containerdConfig = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "` + containerdSocket + `"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + PauseImage + `"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "` + cniFolder + `"
`

// cni gives each pod a cable of its own to the node. Pods are not on a common bridge, so all their traffic is
// routed, and Services and network policies see it without the kernel's bridge filter. Addresses
// are given out from memory: no pod's network outlives the node.
const cni = `{
  "cniVersion": "0.4.0",
  "name": "sandbox",
  "plugins": [{
    "type": "ptp",
    "ipam": {
      "type": "host-local", "dataDir": "/run/sandbox/addresses",
      "ranges": [[{"subnet": "` + podCIDR + `"}]], "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
`

// containerd runs the pods' containers.
func containerd() component {
	return component{
		name: "containerd", path: "/usr/bin/containerd",
		files: map[string]string{containerdFile: containerdConfig, cniFolder + "/10-sandbox.conflist": cni},
		args:  []string{"--config", containerdFile, "--log-level", "warn"},
		ready: listens("unix", containerdSocket),
	}
}
