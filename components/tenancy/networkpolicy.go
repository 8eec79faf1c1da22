package tenancy

import (
	"example.com/journal/components/internal/declare"
	"example.com/journal/components/kube"
)

// The names of a tenant's own NetworkPolicies. Admission keeps them for the stack.
const (
	// SameTenantPolicy lets the pods of all namespaces of one tenant connect to each other.
	SameTenantPolicy = "allow-same-tenant"
	// EgressPolicy lets pods connect to the Internet and to ranges. In a claimed namespace it is always there, since the
	// controller of claims deletes no policy; it may allow nothing.
	EgressPolicy = "allow-egress"
	// MonitoringPolicy lets the metric store read figures of the pods. In a claimed namespace it is always there, for the same
	// reason.
	MonitoringPolicy = "allow-monitoring"

	defaultDenyPolicy       = "default-deny"
	dnsPolicy               = "allow-dns"
	ingressControllerPolicy = "allow-ingress-controller"
	tenantsPolicyName       = "allow-tenants"
)

// networkPolicyNames are the names of all NetworkPolicies that the stack declares in a tenant's namespace.
var networkPolicyNames = []string{SameTenantPolicy, EgressPolicy, MonitoringPolicy, defaultDenyPolicy, dnsPolicy, ingressControllerPolicy, tenantsPolicyName}

// NetworkPolicies returns the NetworkPolicies that are the same in the namespaces of all tenants. Pods may connect to the
// cluster's DNS, and the Ingress controller to them. An isolated namespace allows DNS only: its application brings its own
// policies.
//
// The namespace of the Ingress controller may be empty if it is not known. Then every namespace that belongs to no tenant may
// connect.
func NetworkPolicies(ingressNamespace string, dns kube.DNS, isolated bool) []kube.Object {
	policies := []kube.Object{
		defaultDeny(),
		networkPolicy(dnsPolicy, map[string]any{"policyTypes": []string{"Egress"}, "egress": []any{dns.Plain()}}),
	}
	if isolated {
		return policies
	}
	return append(policies,
		networkPolicy(ingressControllerPolicy, map[string]any{
			"policyTypes": []string{"Ingress"},
			"ingress":     []any{map[string]any{"from": []any{map[string]any{"namespaceSelector": ingressController(ingressNamespace)}}}},
		}),
	)
}

// networkPolicies returns the NetworkPolicies of the tenant's own namespace.
func (args TenantArgs) networkPolicies() []kube.Object {
	policies := NetworkPolicies(args.IngressNamespace, args.DNS, args.Isolated)
	if args.Isolated {
		return policies
	}
	policies = append(policies, sameTenant(args.Name))
	if args.MetricsNamespace != "" {
		policies = append(policies, Monitoring(args.MetricsNamespace))
	}
	if len(args.Egress.Ways()) > 0 {
		policies = append(policies, args.Egress.policy(args.ClusterAddresses))
	}
	if len(args.Egress.Tenants) > 0 {
		policies = append(policies, tenantsPolicy(args.Egress.Tenants))
	}
	return policies
}

// Monitoring lets the metric store connect, on every port: a pod says by its annotations on which one it serves figures. Other
// pods of the store's namespace stay outside. If the namespace is empty, the
// policy opens nothing.
func Monitoring(namespace string) kube.Object {
	spec := map[string]any{"policyTypes": []string{"Ingress"}}
	if namespace != "" {
		spec["ingress"] = []any{map[string]any{"from": []any{map[string]any{
			"namespaceSelector": map[string]any{"matchLabels": map[string]string{kube.NamespaceNameLabel: namespace}},
			"podSelector":       map[string]any{"matchLabels": map[string]string{kube.AppLabel: kube.ScraperApp}},
		}}}}
	}
	return networkPolicy(MonitoringPolicy, spec)
}

// sameTenant lets the pods of all namespaces of a tenant connect to each other: its own one and claimed ones. The controller of
// claims applies the same one.
func sameTenant(name string) kube.Object {
	own := []any{map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]string{TenantLabel: name}}}}
	return networkPolicy(SameTenantPolicy, map[string]any{
		"policyTypes": []string{"Ingress", "Egress"},
		"ingress":     []any{map[string]any{"from": own}},
		"egress":      []any{map[string]any{"to": own}},
	})
}

// defaultDeny forbids every connection that no other policy allows.
func defaultDeny() kube.Object {
	return networkPolicy(defaultDenyPolicy, map[string]any{"policyTypes": []string{"Ingress", "Egress"}})
}

// ingressController selects the namespace of the Ingress controller, or every namespace that belongs to no tenant.
func ingressController(namespace string) map[string]any {
	if namespace == "" {
		return map[string]any{"matchExpressions": []any{map[string]any{"key": TenantLabel, "operator": "DoesNotExist"}}}
	}
	return map[string]any{"matchLabels": map[string]string{kube.NamespaceNameLabel: namespace}}
}

// networkPolicy is a NetworkPolicy for all pods of a namespace.
func networkPolicy(name string, spec map[string]any) kube.Object {
	spec["podSelector"] = map[string]any{}
	return declare.Object("networking.k8s.io/v1", "NetworkPolicy", name, spec)
}
