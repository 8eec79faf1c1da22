package node

const etcdURL = "http://127.0.0.1:2379"

// etcd stores the cluster's objects. It needs no TLS: only the node's own processes can reach the node's loopback.
func etcd() component {
	const peerURL = "http://127.0.0.1:2380"
	return component{
		name: "etcd", path: kubernetesProgram,
		args: []string{
			"--data-dir=/var/lib/etcd",
			"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
			"--listen-peer-urls=" + peerURL, "--initial-advertise-peer-urls=" + peerURL, "--initial-cluster=default=" + peerURL,
			// It is alone, so it need not wait long for other candidates.
			"--heartbeat-interval=50", "--election-timeout=250",
			"--log-level=warn",
		},
		ready: exists(etcdURL + "/health"),
	}
}
