package node

const kubeletFile = runFolder + "/kubelet.yaml"

// kubelet runs the pods that are scheduled to the node.
func kubelet(cgroup string) component {
	return component{
		name: "kubelet", path: kubernetesProgram,
		files: map[string]string{kubeletFile: kubeletConfig(cgroup)},
		args: []string{
			"--config=" + kubeletFile, "--kubeconfig=" + kubeconfigFile("kubelet"),
			"--hostname-override=" + Name, "--node-ip=" + nodeIP,
		},
		ready: exists("http://127.0.0.1:10248/healthz"),
	}
}

// kubeletConfig evicts no pods and deletes no images when the disk fills up: it is the machine's own disk, so
// the pods are hardly the reason, and images cannot be pulled again.
func kubeletConfig(cgroup string) string {
	return `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: ` + nodeIP + `
readOnlyPort: 0
tlsCertFile: ` + certificateFile("kubelet") + `
tlsPrivateKeyFile: ` + keyFile("kubelet") + `
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: ` + authorityFile + `}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix://` + containerdSocket + `
cgroupDriver: cgroupfs
cgroupRoot: /` + cgroup + `
failCgroupV1: false
failSwapOn: false
clusterDNS: [` + nodeIP + `]
clusterDomain: cluster.local
resolvConf: /etc/resolv.conf
volumePluginDir: /var/lib/kubelet/plugins/volume
makeIPTablesUtilChains: false
seccompDefault: true
maxPods: 200
kubeAPIQPS: 200
kubeAPIBurst: 400
imageGCHighThresholdPercent: 100
evictionHard:
  memory.available: 100Mi
  nodefs.available: 0%
  nodefs.inodesFree: 0%
  imagefs.available: 0%
  imagefs.inodesFree: 0%
`
}
