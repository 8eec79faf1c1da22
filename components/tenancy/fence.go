package tenancy

import (
	"strconv"

	"example.com/journal/components/kube"
)

// What a container may write outside its volumes, since a full disk stops every pod of a node: its default and maximum.
const (
	defaultScratch = "256Mi"
	maxScratch     = "4Gi"
)

// nodePortsPerLoadBalancer is how many ports of the nodes a load balancer takes: HTTP and HTTPS. Where a class has no
// load balancers, nothing opens a port on the nodes.
const nodePortsPerLoadBalancer = 2

// fence returns the objects around a namespace of a class, without metadata.namespace. It is the one place that says
// what a fence is: a Tenant declares these objects, and the controller applies the same ones to a claimed namespace.
//
// The network policies say what may connect: see connections.
func fence(class Class, policies []kube.Object) []kube.Object {
	return append([]kube.Object{
		object("v1", "ResourceQuota", "tenant", map[string]any{"hard": map[string]string{
			"requests.cpu":           class.CPU,
			"requests.memory":        class.Memory,
			"limits.cpu":             class.CPU,
			"limits.memory":          class.Memory,
			"requests.storage":       class.Storage,
			"pods":                   strconv.Itoa(class.Pods),
			"services":               strconv.Itoa(class.Services),
			"services.loadbalancers": strconv.Itoa(value(class.LoadBalancers)),
			"services.nodeports":     strconv.Itoa(nodePortsPerLoadBalancer * value(class.LoadBalancers)),
			"persistentvolumeclaims": strconv.Itoa(value(class.VolumeClaims)),
		}}),
		object("v1", "LimitRange", "tenant", map[string]any{"limits": []any{map[string]any{
			"type":           "Container",
			"default":        map[string]string{"cpu": class.DefaultCPU, "memory": class.DefaultMemory, "ephemeral-storage": defaultScratch},
			"defaultRequest": map[string]string{"cpu": class.DefaultCPU, "memory": class.DefaultMemory, "ephemeral-storage": defaultScratch},
			"max":            map[string]string{"cpu": class.MaxCPU, "memory": class.MaxMemory, "ephemeral-storage": maxScratch},
		}}}),
	}, policies...)
}

// connections returns the network policies of a namespace: its pods reach each other and DNS, and the Ingress controller
// reaches them. An isolated namespace has DNS alone, since its parts bring policies of their own.
//
// The Ingress controller's namespace may be empty, for controllers whose namespace is not known; then whatever is no
// tenant may connect.
func connections(ingressNamespace string, isolated bool) []kube.Object {
	policies := []kube.Object{
		defaultDeny(),
		// It names ports and no peer: a cluster's DNS may be pods or a cache on the node itself, which no selector
		// reaches. What listens there in another tenant is closed by that tenant's own fence.
		networkPolicy("allow-dns", map[string]any{
			"policyTypes": []string{"Egress"},
			"egress": []any{map[string]any{"ports": []any{
				map[string]any{"protocol": "UDP", "port": 53},
				map[string]any{"protocol": "TCP", "port": 53},
			}}},
		}),
	}
	if isolated {
		return policies
	}
	everyPod := map[string]any{}
	return append(policies,
		networkPolicy("allow-same-namespace", map[string]any{
			"policyTypes": []string{"Ingress", "Egress"},
			"ingress":     []any{map[string]any{"from": []any{map[string]any{"podSelector": everyPod}}}},
			"egress":      []any{map[string]any{"to": []any{map[string]any{"podSelector": everyPod}}}},
		}),
		networkPolicy("allow-ingress-controller", map[string]any{
			"policyTypes": []string{"Ingress"},
			"ingress":     []any{map[string]any{"from": []any{map[string]any{"namespaceSelector": ingressController(ingressNamespace)}}}},
		}),
	)
}

// defaultDeny forbids every connection that no other policy allows.
func defaultDeny() kube.Object {
	return networkPolicy("default-deny", map[string]any{"policyTypes": []string{"Ingress", "Egress"}})
}

// ingressController selects the namespace of the Ingress controller, or every namespace that belongs to no tenant.
func ingressController(namespace string) map[string]any {
	if namespace == "" {
		return map[string]any{"matchExpressions": []any{map[string]any{"key": TenantLabel, "operator": "DoesNotExist"}}}
	}
	return map[string]any{"matchLabels": map[string]string{"kubernetes.io/metadata.name": namespace}}
}

// object is a plain object without a namespace.
func object(apiVersion, kind, name string, spec map[string]any) kube.Object {
	return kube.Object{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec}
}

// networkPolicy is a NetworkPolicy for all pods of a namespace.
func networkPolicy(name string, spec map[string]any) kube.Object {
	spec["podSelector"] = map[string]any{}
	return object("networking.k8s.io/v1", "NetworkPolicy", name, spec)
}

// The Pod Security Standards that a namespace can have.
const (
	restricted = kube.RestrictedPods
	baseline   = "baseline"
)
