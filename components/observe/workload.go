package observe

import (
	"fmt"
	"maps"
	"slices"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// workload is a part in a namespace of its own.
type workload struct {
	part kube.Part
	// in is the name of the namespace.
	in string
	// namespace is the same name once the namespace exists.
	namespace pulumi.StringOutput
	account   pulumi.StringInput
	parent    pulumi.Resource
	opts      []pulumi.ResourceOption
}

// newWorkload declares the namespace of a part and the part's ServiceAccount. The namespace enforces a Pod Security Standard and
// has these annotations.
func newWorkload(ctx *pulumi.Context, name string, part kube.Part, in, standard string, annotations map[string]string, parent pulumi.Resource) (workload, error) {
	labels := kube.ManagedLabels(partOf)
	maps.Copy(labels, kube.PodSecurityLabels(standard))
	meta := metav1.ObjectMetaArgs{Name: pulumi.String(in), Labels: pulumi.ToStringMap(labels)}
	if len(annotations) > 0 {
		meta.Annotations = pulumi.ToStringMap(annotations)
	}
	namespace, err := corev1.NewNamespace(ctx, name, &corev1.NamespaceArgs{Metadata: meta}, pulumi.Parent(parent))
	if err != nil {
		return workload{}, err
	}
	w := workload{
		part: part, in: in, namespace: namespace.Metadata.Name().Elem(), parent: parent,
		opts: []pulumi.ResourceOption{pulumi.Parent(parent), pulumi.DeletedWith(namespace)},
	}
	w.account, err = kube.NewServiceAccount(ctx, name, part, w.namespace, parent)
	return w, err
}

// beside declares the ServiceAccount of another part in the same namespace, and returns the part.
func (w workload) beside(ctx *pulumi.Context, name string, part kube.Part) (_ workload, err error) {
	w.part = part
	w.account, err = kube.NewServiceAccount(ctx, name, part, w.namespace, w.parent)
	return w, err
}

// with returns the options of an object in the namespace, and more.
func (w workload) with(more ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return slices.Concat(w.opts, more)
}

// bothDirections are the policy types of every NetworkPolicy here.
var bothDirections = pulumi.ToStringArray([]string{"Ingress", "Egress"})

// networkPolicies deny every connection of the namespace's pods but these of the part.
func (w workload) networkPolicies(ctx *pulumi.Context, name string, allowed kube.NetworkPolicyArgs) ([]pulumi.Resource, error) {
	deny, err := networkingv1.NewNetworkPolicy(ctx, name+"-default-deny", &networkingv1.NetworkPolicyArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String("default-deny"), Namespace: w.namespace, Labels: pulumi.ToStringMap(kube.ManagedLabels(partOf))},
		Spec:     networkingv1.NetworkPolicySpecArgs{PodSelector: metav1.LabelSelectorArgs{}, PolicyTypes: bothDirections},
	}, w.opts...)
	if err != nil {
		return nil, fmt.Errorf("network policy: %w", err)
	}
	allow, err := w.allow(ctx, name, allowed)
	if err != nil {
		return nil, err
	}
	return []pulumi.Resource{deny, allow}, nil
}

// allow declares the policy with the connections of the part.
func (w workload) allow(ctx *pulumi.Context, name string, allowed kube.NetworkPolicyArgs) (pulumi.Resource, error) {
	policy, err := networkingv1.NewNetworkPolicy(ctx, name, &networkingv1.NetworkPolicyArgs{
		Metadata: w.part.Meta(w.namespace),
		Spec: networkingv1.NetworkPolicySpecArgs{
			PodSelector: metav1.LabelSelectorArgs{MatchLabels: w.part.Selector()},
			PolicyTypes: bothDirections,
			Ingress:     allowed.Ingress,
			Egress:      allowed.Egress,
		},
	}, w.opts...)
	if err != nil {
		return nil, fmt.Errorf("network policy: %w", err)
	}
	return policy, nil
}

// peer is the part's pods as a peer of a NetworkPolicy in any namespace.
func peer(part kube.Part, namespace string) networkingv1.NetworkPolicyPeerArgs {
	return networkingv1.NetworkPolicyPeerArgs{
		NamespaceSelector: kube.NamespaceSelector(namespace),
		PodSelector:       metav1.LabelSelectorArgs{MatchLabels: part.Selector()},
	}
}

// scraped returns the rule that lets the metric store in its namespace connect to these ports, or none without a namespace.
func scraped(metrics string, ports ...int) networkingv1.NetworkPolicyIngressRuleArray {
	if metrics == "" {
		return nil
	}
	return networkingv1.NetworkPolicyIngressRuleArray{networkingv1.NetworkPolicyIngressRuleArgs{
		From: networkingv1.NetworkPolicyPeerArray{kube.Scraper(metrics)}, Ports: tcp(ports...),
	}}
}

// figuresPort returns the port if there is a metric store that reads the figures at it.
func figuresPort(metrics string, port int) int {
	if metrics == "" {
		return 0
	}
	return port
}

// tcp returns TCP ports as the ports of a network policy rule.
func tcp(ports ...int) networkingv1.NetworkPolicyPortArray {
	var all networkingv1.NetworkPolicyPortArray
	for _, port := range ports {
		all = append(all, kube.TCP(port)...)
	}
	return all
}

// service declares the Service of the part, with one port.
func (w workload) service(ctx *pulumi.Context, name, port string, number int) (*corev1.Service, error) {
	meta := w.part.Meta(w.namespace)
	meta.Annotations = pulumi.StringMap{kube.SkipAwait: pulumi.String("true")}
	service, err := corev1.NewService(ctx, name, &corev1.ServiceArgs{
		Metadata: meta,
		Spec: corev1.ServiceSpecArgs{
			Selector: w.part.Selector(),
			Ports: corev1.ServicePortArray{corev1.ServicePortArgs{
				Name: pulumi.String(port), Port: pulumi.Int(number), TargetPort: pulumi.String(port),
			}},
		},
	}, w.opts...)
	if err != nil {
		return nil, fmt.Errorf("service: %w", err)
	}
	return service, nil
}

// subject is the part's account as the subject of a binding.
func (w workload) subject() rbacv1.SubjectArray {
	return rbacv1.SubjectArray{rbacv1.SubjectArgs{
		Kind: pulumi.String("ServiceAccount"), Name: pulumi.String(w.part.App), Namespace: pulumi.String(w.in),
	}}
}
