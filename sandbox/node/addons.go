package node

import (
	"context"
	"embed"
	"io/fs"
	"path"
	"slices"
)

// addons are the objects that every cluster of the sandbox has. Those in kinds are the definitions of others, of the Gateway
// API in the version that Traefik is built with and of Traefik itself.
//
//go:embed addons/*.yaml addons/kinds/*.yaml
var addons embed.FS

// applyAddons brings the cluster's own objects up to date, also in data of an older version.
func (d *daemon) applyAddons(ctx context.Context) error {
	err := fs.WalkDir(addons, "addons", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := addons.ReadFile(name)
		if err != nil {
			return err
		}
		return writeSecret(path.Join(runFolder, name), text)
	})
	if err != nil {
		return err
	}
	apply := []string{"apply", "--server-side", "--force-conflicts", "--field-manager=sandbox"}
	for _, step := range []struct {
		folder  string
		command []string
	}{
		{"addons/kinds", apply},
		{"addons/kinds", []string{"wait", "--for=condition=Established", "--timeout=30s"}},
		{"addons", apply},
	} {
		if err := d.processes.run(ctx, component{
			name: "kubectl", path: kubernetesProgram,
			args: append(slices.Clone(step.command), "--kubeconfig="+kubeconfigFile("admin"), "--filename="+path.Join(runFolder, step.folder)),
		}); err != nil {
			return err
		}
	}
	return nil
}

const corefile = runFolder + "/Corefile"

// corefileText answers for the cluster's names, and that any other name does not exist: there is nothing else in the
// node's network. The two are blocks of their own, since CoreDNS asks template before kubernetes within one. The cache
// is short, so that a pod that comes back is found at once.
const corefileText = `cluster.local:53 in-addr.arpa:53 {
  errors
  health 127.0.0.1:8081
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ` + runFolder + `/coredns.kubeconfig
    ttl 5
  }
  cache 5
}
.:53 {
  errors
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`

// dns resolves the names of Services and pods.
func dns() component {
	return component{
		name: "coredns", path: kubernetesProgram,
		files: map[string]string{corefile: corefileText},
		args:  []string{"-conf", corefile},
		ready: exists("http://127.0.0.1:8181/ready"),
	}
}

// networkPolicy enforces NetworkPolicies.
func networkPolicy() component {
	return component{
		name: "network-policy", path: kubernetesProgram,
		args: []string{"-kubeconfig", kubeconfigFile("network-policy"), "-node", Name, "-service-cidr", serviceCIDR},
		// It looks its node up once, and gives up when the kubelet has not registered it yet.
		needs: exists(apiserverURL + "/api/v1/nodes/" + Name),
	}
}

// localStorage makes the volumes of the default StorageClass.
func localStorage() component {
	return component{
		name: "local-storage", path: kubernetesProgram,
		args: []string{
			"-kubeconfig", kubeconfigFile("local-storage"), "-dir", "/var/lib/volumes", "-node", Name,
			"-provisioner", "sandbox.journal.example.com/local",
		},
	}
}

// The ports of the Ingress controller in the node's network, to which the machine's HTTP and HTTPS ports lead. They are the
// schemes' own, since Traefik serves a Gateway's listener only where it has an entry point on the same port.
const (
	ingressPort    = "80"
	ingressTLSPort = "443"
)

// ingress serves the Ingresses and the Gateways of class traefik.
func ingress() component {
	return component{
		name: "traefik", path: traefikProgram,
		env: []string{"KUBECONFIG=" + kubeconfigFile("traefik")},
		args: []string{
			"--global.checknewversion=false", "--global.sendanonymoususage=false",
			"--entrypoints.web.address=" + nodeIP + ":" + ingressPort,
			"--entrypoints.websecure.address=" + nodeIP + ":" + ingressTLSPort,
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
		ready: exists("http://127.0.0.1:8082/ping"),
	}
}
