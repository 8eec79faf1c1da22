package node

const proxyFile = runFolder + "/kube-proxy.yaml"

// proxyConfig leaves the connection table's size alone, which is the whole machine's. On one node rules are few, so
// they follow a pod's end at once instead of within a second.
const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
nftables: {minSyncPeriod: 100ms}
clusterCIDR: ` + podCIDR + `
hostnameOverride: ` + Name + `
clientConnection: {kubeconfig: ` + runFolder + `/kube-proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
`

// proxy makes Services' addresses lead to pods.
func proxy() component {
	return component{
		name: "kube-proxy", path: kubernetesProgram,
		files: map[string]string{proxyFile: proxyConfig},
		args:  []string{"--config=" + proxyFile},
		ready: exists("http://127.0.0.1:10256/healthz"),
	}
}
