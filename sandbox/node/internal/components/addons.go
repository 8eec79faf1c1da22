package components

import (
	"path"

	"example.com/journal/sandbox/node/internal/keys"
	"example.com/journal/sandbox/node/internal/machine"
	"example.com/journal/sandbox/node/internal/process"
	"example.com/journal/sandbox/node/internal/ready"
)

// Addons are the commands, in their order, that bring the objects up to date that every cluster of the sandbox has, also in
// data of an older version: the definitions of kinds, then the rights of the programs below, and the classes.
func Addons() []process.Program {
	kubectl := func(args ...string) process.Program {
		return kubernetes("kubectl", append(args, "--kubeconfig="+keys.Kubeconfig(keys.Admin))...)
	}
	apply := func(folder string) process.Program {
		return kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=sandbox", "--filename="+folder)
	}
	kinds := path.Join(machine.Bin, definitions)
	return []process.Program{
		apply(kinds),
		kubectl("wait", "--for=condition=Established", "--timeout=30s", "--filename="+kinds),
		apply(config("addons")),
	}
}

// DNS resolves the names of Services and pods.
func DNS() Component {
	return Component{
		Program: kubernetes("coredns", "-conf", config("Corefile")),
		Ready:   ready.Answers("http://127.0.0.1:8181/ready"),
	}
}

// NetworkPolicy enforces NetworkPolicies.
func NetworkPolicy(cluster *ready.Cluster) Component {
	return Component{
		Program: kubernetes("network-policy", keys.Kubeconfig("network-policy"), machine.Name, machine.ServiceCIDR),
		// It looks its node up once, and gives up when the kubelet has not registered it yet.
		Needs: cluster.Registered,
	}
}

// LocalStorage makes the volumes of the default StorageClass.
func LocalStorage() Component {
	return Component{Program: kubernetes("local-storage", keys.Kubeconfig("local-storage"), "/var/lib/volumes", machine.Name)}
}

// Ingress serves the Ingresses and the Gateways of class traefik.
func Ingress() Component {
	return Component{
		Program: process.Program{
			Name: "traefik", Path: machine.Bin + "/traefik",
			Env: []string{"KUBECONFIG=" + keys.Kubeconfig("traefik")},
			Args: []string{
				"--global.checknewversion=false", "--global.sendanonymoususage=false",
				"--entrypoints.web.address=" + machine.NodeIP + ":" + machine.HTTPPort,
				"--entrypoints.websecure.address=" + machine.NodeIP + ":" + machine.HTTPSPort,
				"--entrypoints.ping.address=127.0.0.1:8082", "--ping.entrypoint=ping",
				"--providers.kubernetesingress.ingressclass=" + IngressClass,
				"--providers.kubernetesingress.strictprefixmatching=true", // as Kubernetes has it: /api is not the beginning of /apiary
				// The address that Ingresses report, which is where the machine reaches them.
				"--providers.kubernetesingress.ingressendpoint.ip=127.0.0.1",
				"--providers.kubernetescrd", "--providers.kubernetesgateway",
				"--providers.kubernetesgateway.statusaddress.ip=127.0.0.1",
				// A pod that has ended should leave the rotation at once, not within the usual two seconds.
				"--providers.providersthrottleduration=100ms",
				"--accesslog", "--log.level=INFO", "--log.nocolor",
			},
		},
		Ready: ready.Answers("http://127.0.0.1:8082/ping"),
	}
}
