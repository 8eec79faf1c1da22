package node

const (
	clientQPS   = "--kube-api-qps=500"
	clientBurst = "--kube-api-burst=1000"
)

// controllerManager runs Kubernetes' own controllers.
func controllerManager() component {
	const name = "kube-controller-manager"
	config := kubeconfigFile(name)
	return component{
		name: name, path: kubernetesProgram,
		args: []string{
			"--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
			"--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false",
			"--use-service-account-credentials",
			"--service-account-private-key-file=" + serviceAccountKeyFile, "--root-ca-file=" + authorityFile,
			"--cluster-signing-cert-file=" + authorityFile, "--cluster-signing-key-file=" + authorityKeyFile,
			"--allocate-node-cidrs", "--cluster-cidr=" + podCIDR, "--node-cidr-mask-size=24",
			"--service-cluster-ip-range=" + serviceCIDR,
			// A single apiserver on the same machine needs no protection from its own controllers.
			clientQPS, clientBurst,
		},
	}
}

// scheduler finds the node for each pod.
func scheduler() component {
	const name = "kube-scheduler"
	config := kubeconfigFile(name)
	return component{
		name: name, path: kubernetesProgram,
		args: []string{
			"--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
			"--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false",
			clientQPS, clientBurst,
		},
	}
}
