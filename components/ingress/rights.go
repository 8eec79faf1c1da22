package ingress

import (
	"fmt"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// clusterRules let Traefik read objects that are in no namespace.
func clusterRules(gateway bool) rbacv1.PolicyRuleArray {
	rules := rbacv1.PolicyRuleArray{kube.Rule("", kube.ReadVerbs, "nodes"), kube.Rule("networking.k8s.io", kube.ReadVerbs, "ingressclasses")}
	if gateway {
		rules = append(rules,
			kube.Rule("", kube.ReadVerbs, "namespaces"),
			kube.Rule(gatewayGroup, kube.ReadVerbs, "gatewayclasses"),
			kube.Rule(gatewayGroup, []string{"update"}, "gatewayclasses/status"),
		)
	}
	return rules
}

const gatewayGroup = "gateway.networking.k8s.io"

// namespaceRules let Traefik read objects in a namespace that it serves, and write their status.
func namespaceRules(gateway bool) rbacv1.PolicyRuleArray {
	rules := rbacv1.PolicyRuleArray{
		kube.Rule("", kube.ReadVerbs, "services", "configmaps", "secrets"),
		kube.Rule("discovery.k8s.io", kube.ReadVerbs, "endpointslices"),
		kube.Rule("networking.k8s.io", kube.ReadVerbs, "ingresses"),
		kube.Rule("networking.k8s.io", []string{"update"}, "ingresses/status"),
		kube.Rule("traefik.io", kube.ReadVerbs, "ingressroutes", "ingressroutetcps", "ingressrouteudps", "middlewares", "middlewaretcps",
			"serverstransports", "serverstransporttcps", "tlsoptions", "tlsstores", "traefikservices"),
	}
	if gateway {
		kinds := []string{"gateways", "httproutes", "grpcroutes", "tlsroutes", "backendtlspolicies"}
		rules = append(rules, kube.Rule(gatewayGroup, kube.ReadVerbs, append([]string{"referencegrants"}, kinds...)...))
		for i, kind := range kinds {
			kinds[i] = kind + "/status"
		}
		rules = append(rules, kube.Rule(gatewayGroup, []string{"update"}, kinds...))
	}
	return rules
}

// declareRights gives the chart's service account its rights in the namespaces that it serves, and in no others. Without a
// list of namespaces the chart declares the rights itself.
func (c *Controller) declareRights(ctx *pulumi.Context, name string, a ControllerArgs) error {
	if len(a.Namespaces) == 0 {
		return nil
	}
	account := rbacv1.SubjectArray{rbacv1.SubjectArgs{Kind: pulumi.String("ServiceAccount"), Name: pulumi.String(release), Namespace: c.Namespace}}
	meta := func(name string) metav1.ObjectMetaArgs {
		return metav1.ObjectMetaArgs{Name: pulumi.String(name), Labels: pulumi.ToStringMap(kube.ManagedLabels(partOf))}
	}
	for object, rules := range map[string]rbacv1.PolicyRuleArray{
		a.Namespace + "-controller": clusterRules(a.Gateway), a.Namespace + "-controller-namespace": namespaceRules(a.Gateway),
	} {
		if _, err := rbacv1.NewClusterRole(ctx, object, &rbacv1.ClusterRoleArgs{Metadata: meta(object), Rules: rules}, pulumi.Parent(c)); err != nil {
			return fmt.Errorf("rights: %w", err)
		}
	}
	whole := a.Namespace + "-controller"
	if _, err := rbacv1.NewClusterRoleBinding(ctx, whole, &rbacv1.ClusterRoleBindingArgs{
		Metadata: meta(whole), RoleRef: kube.RoleRef("ClusterRole", whole), Subjects: account,
	}, pulumi.Parent(c)); err != nil {
		return fmt.Errorf("rights: %w", err)
	}
	for _, namespace := range a.Namespaces {
		binding := meta(a.Namespace + "-controller")
		binding.Namespace = pulumi.String(namespace)
		if _, err := rbacv1.NewRoleBinding(ctx, name+"-"+namespace, &rbacv1.RoleBindingArgs{
			Metadata: binding, RoleRef: kube.RoleRef("ClusterRole", a.Namespace+"-controller-namespace"), Subjects: account,
		}, pulumi.Parent(c), pulumi.DependsOn(a.Needs)); err != nil {
			return fmt.Errorf("rights: %w", err)
		}
	}
	return nil
}
