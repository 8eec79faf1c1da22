package components

import (
	"example.com/journal/sandbox/node/internal/keys"
	"example.com/journal/sandbox/node/internal/machine"
	"example.com/journal/sandbox/node/internal/ready"
)

const etcdURL = "http://127.0.0.1:2379"

// Etcd stores the cluster's objects. It needs no TLS: only the node's own processes can reach the node's loopback.
func Etcd() Component {
	const peerURL = "http://127.0.0.1:2380"
	return Component{
		Program: kubernetes("etcd",
			"--data-dir=/var/lib/etcd",
			"--listen-client-urls="+etcdURL, "--advertise-client-urls="+etcdURL,
			"--listen-peer-urls="+peerURL, "--initial-advertise-peer-urls="+peerURL, "--initial-cluster=default="+peerURL,
			// It is alone, so it need not wait long for other candidates.
			"--heartbeat-interval=50", "--election-timeout=250",
			"--log-level=warn",
		),
		Ready: ready.Answers(etcdURL + "/health"),
	}
}

// APIServer serves the Kubernetes API.
func APIServer(cluster *ready.Cluster) Component {
	return Component{
		Program: kubernetes("kube-apiserver",
			"--bind-address="+machine.NodeIP, "--advertise-address="+machine.NodeIP, "--secure-port="+machine.APIPort,
			"--tls-cert-file="+keys.Certificate("apiserver"), "--tls-private-key-file="+keys.Key("apiserver"),
			"--etcd-servers="+etcdURL, "--encryption-provider-config="+keys.Encryption,

			"--anonymous-auth=false", "--client-ca-file="+keys.Authority, "--authorization-mode=Node,RBAC",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-signing-key-file="+keys.ServiceAccountKey, "--service-account-key-file="+keys.ServiceAccountKey,
			// PodSecurity is on already.
			"--enable-admission-plugins=NodeRestriction", "--admission-control-config-file="+config("admission.yaml"),

			"--service-cluster-ip-range="+machine.ServiceCIDR,
			"--kubelet-certificate-authority="+keys.Authority, "--kubelet-preferred-address-types=InternalIP",
			"--kubelet-client-certificate="+keys.Certificate("apiserver-kubelet"), "--kubelet-client-key="+keys.Key("apiserver-kubelet"),

			// For further API servers that run as pods, such as a metrics server.
			"--requestheader-client-ca-file="+keys.FrontProxyAuthority, "--requestheader-allowed-names="+keys.FrontProxy,
			"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file="+keys.Certificate("apiserver-proxy"), "--proxy-client-key-file="+keys.Key("apiserver-proxy"),

			"--profiling=false",
		),
		Ready: cluster.APIServer,
	}
}

// controller is one of Kubernetes' own clients of the API, of which there is one instance. A single apiserver on the same
// machine needs no protection from it.
func controller(name string, args ...string) Component {
	kubeconfig := keys.Kubeconfig(name)
	return Component{Program: kubernetes(name, append([]string{
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false", "--kube-api-qps=500", "--kube-api-burst=1000",
	}, args...)...)}
}

// ControllerManager runs Kubernetes' own controllers.
func ControllerManager() Component {
	return controller("kube-controller-manager",
		"--use-service-account-credentials",
		"--service-account-private-key-file="+keys.ServiceAccountKey, "--root-ca-file="+keys.Authority,
		"--cluster-signing-cert-file="+keys.Authority, "--cluster-signing-key-file="+keys.AuthorityKey,
		"--allocate-node-cidrs", "--cluster-cidr="+machine.PodCIDR, "--node-cidr-mask-size=24",
		"--service-cluster-ip-range="+machine.ServiceCIDR,
	)
}

// Scheduler finds the node for each pod.
func Scheduler() Component { return controller("kube-scheduler") }
