package tenancy

import (
	"strconv"

	"example.com/journal/components/internal/declare"
	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// What a container may write outside its volumes by default and at most, and the maximum of a whole pod. A full disk stops
// every pod of a node.
const (
	defaultScratch = "256Mi"
	maxScratch     = "4Gi"
	maxPodScratch  = "8Gi"
)

// nodePortsPerLoadBalancer is how many node ports a load balancer takes: HTTP and HTTPS. A class without load balancers has no
// node ports.
const nodePortsPerLoadBalancer = 2

// resourceQuota returns the ResourceQuota of a class, for a namespace with at most this many claims in it.
func resourceQuota(class Class, claims int) kube.Object {
	hard := map[string]string{
		"requests.cpu":               class.CPU,
		"requests.memory":            class.Memory,
		"requests.storage":           class.Storage,
		"requests.ephemeral-storage": class.Scratch,
		"limits.cpu":                 class.CPULimits(),
		"limits.memory":              class.Memory,
		"limits.ephemeral-storage":   class.Scratch,
	}
	for name, count := range objectCounts(class, claims) {
		hard[name] = strconv.Itoa(count)
	}
	return declare.Object("v1", "ResourceQuota", PolicyObjectName, map[string]any{"hard": hard})
}

// limitRange returns the LimitRange of a class.
func limitRange(class Class) kube.Object {
	return declare.Object("v1", "LimitRange", PolicyObjectName, map[string]any{"limits": []any{
		map[string]any{
			"type": "Container",
			// The default limit has the ratio of the totals: where nobody states anything, requests and limits are used up together.
			// There is no maxLimitRequestRatio. The totals bound the node's share already, and one pod may want all of the burst.
			"default":        map[string]string{"cpu": smaller(times(class.DefaultCPU, class.Burst), class.MaxCPU), "memory": class.DefaultMemory, scratch: defaultScratch},
			"defaultRequest": map[string]string{"cpu": class.DefaultCPU, "memory": class.DefaultMemory, scratch: defaultScratch},
			"max":            map[string]string{"cpu": class.MaxCPU, "memory": class.MaxMemory, scratch: smaller(maxScratch, class.Scratch)},
		},
		// The maximum of a whole pod refuses at once a pod that would never fit into the quota.
		map[string]any{
			"type": "Pod",
			"max":  map[string]string{"cpu": class.CPULimits(), "memory": class.Memory, scratch: smaller(maxPodScratch, class.Scratch)},
		},
		map[string]any{"type": "PersistentVolumeClaim", "max": map[string]string{"storage": class.Storage}},
	}})
}

// scratch is the resource that Class.Scratch bounds.
const scratch = "ephemeral-storage"

// smaller returns the smaller one of two quantities.
func smaller(a, b string) string {
	if rules.CompareQuantities(a, b) > 0 {
		return b
	}
	return a
}

// objectCounts returns the maximum number of objects of each kind, by the name that a quota has for it. Every kind that a
// tenant may create is counted, since all objects are stored in the one etcd of the cluster.
func objectCounts(class Class, claims int) map[string]int {
	counts := map[string]int{
		"pods":                   class.Pods,
		"services":               class.Services,
		"services.loadbalancers": value(class.LoadBalancers),
		"services.nodeports":     nodePortsPerLoadBalancer * value(class.LoadBalancers),
		"persistentvolumeclaims": value(class.VolumeClaims),

		// This one also counts pods that have finished; "pods" above does not.
		"count/pods":       2 * class.Pods,
		"count/configmaps": 2 * class.Pods,
		"count/secrets":    2 * class.Pods,
		// A Deployment keeps ten old ReplicaSets beside the current and the next one.
		"count/replicasets.apps":            12 * class.Pods,
		"count/ingresses.networking.k8s.io": class.Services,
		// The owners', besides the stack's own.
		"count/networkpolicies.networking.k8s.io": len(networkPolicyNames) + class.Services,

		"count/namespaceclaims." + Group:               claims,
		"count/resourceclaims.resource.k8s.io":         value(class.ResourceClaims),
		"count/resourceclaimtemplates.resource.k8s.io": value(class.ResourceClaims),
	}
	for _, kind := range []string{
		"serviceaccounts", "replicationcontrollers", "deployments.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch",
		"cronjobs.batch", "horizontalpodautoscalers.autoscaling", "poddisruptionbudgets.policy",
	} {
		counts["count/"+kind] = class.Pods
	}
	for device, count := range class.Devices {
		counts["requests."+device] = count
	}
	return counts
}
