package kube

import (
	"fmt"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// FenceArgs are the connections that a part's pods may take and make. What is not named is forbidden.
type FenceArgs struct {
	// Ingress is who may connect to the pods.
	Ingress networkingv1.NetworkPolicyIngressRuleArray
	// Egress is where the pods may connect to.
	Egress networkingv1.NetworkPolicyEgressRuleArray
}

// NewFence declares the NetworkPolicy of a part's pods, for both directions.
func NewFence(ctx *pulumi.Context, name string, part Part, namespace pulumi.StringInput, args FenceArgs, parent pulumi.Resource) error {
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

// NamespaceSelector selects one namespace by the label that Kubernetes puts on every namespace.
func NamespaceSelector(name string) metav1.LabelSelectorArgs {
	return metav1.LabelSelectorArgs{MatchLabels: pulumi.StringMap{"kubernetes.io/metadata.name": pulumi.String(name)}}
}

// DNS returns the rule that lets pods ask for names. It names the port and no peer: a cluster's DNS may be pods in
// kube-system or a cache on the node itself, which no selector reaches.
func DNS() networkingv1.NetworkPolicyEgressRuleArgs {
	return networkingv1.NetworkPolicyEgressRuleArgs{Ports: networkingv1.NetworkPolicyPortArray{
		networkingv1.NetworkPolicyPortArgs{Protocol: pulumi.String("UDP"), Port: pulumi.Int(53)},
		networkingv1.NetworkPolicyPortArgs{Protocol: pulumi.String("TCP"), Port: pulumi.Int(53)},
	}}
}
