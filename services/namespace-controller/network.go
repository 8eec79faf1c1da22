package main

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"example.com/journal/services/namespace-controller/api"
)

const (
	// sameTenantPolicy and egressPolicy are the NetworkPolicies that differ between the tenants.
	sameTenantPolicy = "allow-same-tenant"
	egressPolicy     = "allow-egress"
	// internetWord stands for the Internet among the ways out of a tenant.
	internetWord = "internet"
)

// network is what the NetworkPolicies are made of that differ between the tenants. A claimed namespace has the ways out of its
// tenant.
type network struct {
	// Internet are the public addresses, as peers of a NetworkPolicy.
	Internet []any `json:"internet"`
	// Egress are the ways out by tenant: internetWord, and ranges.
	Egress map[string][]string `json:"egress"`
}

// parseNetwork reads it. A rule to nobody is one to everybody, so the Internet must be somewhere.
func parseNetwork(config *corev1.ConfigMap) (n network, err error) {
	if err := decodeStrictly(config, "network.json", &n); err != nil {
		return network{}, err
	}
	if len(n.Internet) == 0 {
		return network{}, fmt.Errorf("%s internet: it is empty; the stack writes it, run `pulumi up`", subject(config, "network.json"))
	}
	return n, nil
}

// policies returns the NetworkPolicies of the claimed namespaces of a tenant. The one for the ways out is there even if there
// are none: the controller may not delete policies, so it takes back what the tenant no longer has by an empty one.
func (n network) policies(tenant string) []*unstructured.Unstructured {
	same := []any{map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{api.LabelTenant: tenant}}}}
	internet, ranges := false, []any{}
	for _, way := range n.Egress[tenant] {
		if way == internetWord {
			internet = true
			continue
		}
		ranges = append(ranges, map[string]any{"ipBlock": map[string]any{"cidr": way}})
	}
	out := map[string]any{"policyTypes": []any{"Egress"}}
	var egress []any
	if internet {
		egress = append(egress, map[string]any{"to": n.Internet})
	}
	if len(ranges) > 0 {
		egress = append(egress, map[string]any{"to": ranges})
	}
	if len(egress) > 0 {
		out["egress"] = egress
	}
	return []*unstructured.Unstructured{
		networkPolicy(sameTenantPolicy, map[string]any{
			"policyTypes": []any{"Ingress", "Egress"},
			"ingress":     []any{map[string]any{"from": same}},
			"egress":      []any{map[string]any{"to": same}},
		}),
		networkPolicy(egressPolicy, out),
	}
}

// networkPolicy is a NetworkPolicy for all pods of a namespace.
func networkPolicy(name string, spec map[string]any) *unstructured.Unstructured {
	spec["podSelector"] = map[string]any{}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": networkingv1.SchemeGroupVersion.String(), "kind": "NetworkPolicy",
		"metadata": map[string]any{"name": name}, "spec": spec,
	}}
}
