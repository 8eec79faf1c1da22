package kube

import (
	"fmt"
	"net/netip"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/rules"
)

const (
	// NamespaceNameLabel is the label that Kubernetes sets on every namespace.
	NamespaceNameLabel = "kubernetes.io/metadata.name"

	// dnsNamespace and the label select the pods of a cluster's DNS, by Kubernetes' convention.
	dnsNamespace = "kube-system"
	dnsAppLabel  = "k8s-app"
	dnsApp       = "kube-dns"
	dnsPort      = 53
)

// NetworkPolicyArgs are the connections to and from a part's pods that are allowed. All others are forbidden.
type NetworkPolicyArgs struct {
	// Ingress is who may connect to the pods.
	Ingress networkingv1.NetworkPolicyIngressRuleArray
	// Egress is where the pods may connect to.
	Egress networkingv1.NetworkPolicyEgressRuleArray
}

// NewNetworkPolicy declares the NetworkPolicy of a part's pods, for both directions.
func NewNetworkPolicy(ctx *pulumi.Context, name string, part Part, namespace pulumi.StringInput, args NetworkPolicyArgs, parent pulumi.Resource) error {
	_, err := networkingv1.NewNetworkPolicy(ctx, name, &networkingv1.NetworkPolicyArgs{
		Metadata: part.Meta(namespace),
		Spec: networkingv1.NetworkPolicySpecArgs{
			PodSelector: metav1.LabelSelectorArgs{MatchLabels: part.Selector()},
			PolicyTypes: pulumi.ToStringArray([]string{"Ingress", "Egress"}),
			Ingress:     args.Ingress,
			Egress:      args.Egress,
		},
	}, pulumi.Parent(parent))
	if err != nil {
		return fmt.Errorf("network policy: %w", err)
	}
	return nil
}

// TCP returns one TCP port as the ports of a network policy rule.
func TCP(port int) networkingv1.NetworkPolicyPortArray {
	return networkingv1.NetworkPolicyPortArray{networkingv1.NetworkPolicyPortArgs{Protocol: pulumi.String("TCP"), Port: pulumi.Int(port)}}
}

// Pods returns the pods with these labels, in the policy's own namespace, as a peer.
func Pods(labels pulumi.StringMap) networkingv1.NetworkPolicyPeerArgs {
	return networkingv1.NetworkPolicyPeerArgs{PodSelector: metav1.LabelSelectorArgs{MatchLabels: labels}}
}

// NamespaceSelector selects one namespace by its name.
func NamespaceSelector(name string) metav1.LabelSelectorArgs {
	return metav1.LabelSelectorArgs{MatchLabels: pulumi.StringMap{NamespaceNameLabel: pulumi.String(name)}}
}

// DNS are address ranges of a cluster's DNS, such as 169.254.20.10/32, besides its pods in kube-system, which have the same
// label in every cluster. They are for a DNS server or cache that listens on the nodes, where no selector matches it.
type DNS []string

// Check returns every range that is not valid, as faults of a field called dns.
func (d DNS) Check() (f rules.Faults) {
	for i, block := range d {
		if prefix, err := netip.ParsePrefix(block); err != nil || prefix != prefix.Masked() {
			f.Refuse(fmt.Sprintf("dns[%d]", i), block, "must be a range of addresses, such as 169.254.20.10/32")
		} else if prefix.Bits() < 8 {
			f.Refuse(fmt.Sprintf("dns[%d]", i), block, "more than 16 million addresses; write those at which the cluster's DNS listens, such as 169.254.20.10/32")
		}
	}
	return f
}

// Plain returns the rule that lets pods query the cluster's DNS, as plain values. It allows no other server: traffic on port
// 53 can leave the cluster like any other.
func (d DNS) Plain() map[string]any {
	to := []any{map[string]any{
		"namespaceSelector": map[string]any{"matchLabels": map[string]any{NamespaceNameLabel: dnsNamespace}},
		"podSelector":       map[string]any{"matchLabels": map[string]any{dnsAppLabel: dnsApp}},
	}}
	for _, block := range d {
		to = append(to, map[string]any{"ipBlock": map[string]any{"cidr": block}})
	}
	return map[string]any{"to": to, "ports": []any{
		map[string]any{"protocol": "UDP", "port": dnsPort},
		map[string]any{"protocol": "TCP", "port": dnsPort},
	}}
}

// Rule returns the same rule in the SDK's types.
func (d DNS) Rule() networkingv1.NetworkPolicyEgressRuleArgs {
	to := networkingv1.NetworkPolicyPeerArray{networkingv1.NetworkPolicyPeerArgs{
		NamespaceSelector: NamespaceSelector(dnsNamespace),
		PodSelector:       metav1.LabelSelectorArgs{MatchLabels: pulumi.StringMap{dnsAppLabel: pulumi.String(dnsApp)}},
	}}
	for _, block := range d {
		to = append(to, networkingv1.NetworkPolicyPeerArgs{IpBlock: networkingv1.IPBlockArgs{Cidr: pulumi.String(block)}})
	}
	return networkingv1.NetworkPolicyEgressRuleArgs{To: to, Ports: networkingv1.NetworkPolicyPortArray{
		networkingv1.NetworkPolicyPortArgs{Protocol: pulumi.String("UDP"), Port: pulumi.Int(dnsPort)},
		networkingv1.NetworkPolicyPortArgs{Protocol: pulumi.String("TCP"), Port: pulumi.Int(dnsPort)},
	}}
}
