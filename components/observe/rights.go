package observe

import (
	"fmt"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// frontProxyRole is Kubernetes' role that reads by which certificate an API server is known to aggregated ones.
const frontProxyRole = "extension-apiserver-authentication-reader"

// resourceMetricsRules are what the metrics server may do: read the kubelets' figures, know which pods and nodes there are, and ask
// whether a caller, whose name the API server has passed on, may read them. It may not check tokens (tokenreviews), so that
// nobody but the API server can ask it.
func resourceMetricsRules() rbacv1.PolicyRuleArray {
	return rbacv1.PolicyRuleArray{
		kube.Rule("", []string{"get"}, "nodes/metrics"),
		kube.Rule("", kube.ReadVerbs, "pods", "nodes"),
		kube.Rule("authorization.k8s.io", []string{"create"}, "subjectaccessreviews"),
	}
}

// readerRules are what the reader may do: know whose a namespace is. The API server has checked who reads what.
func readerRules() rbacv1.PolicyRuleArray {
	return rbacv1.PolicyRuleArray{kube.Rule("", kube.ReadVerbs, "namespaces")}
}

// scraperRules are what the metric store may do: know which pods and nodes there are, and read the kubelets' figures.
func scraperRules() rbacv1.PolicyRuleArray {
	return rbacv1.PolicyRuleArray{
		kube.Rule("", []string{"get"}, "nodes/metrics"),
		kube.Rule("", kube.ReadVerbs, "pods", "nodes"),
	}
}

// watchedObjects are the objects whose state kube-state-metrics turns into figures, by API group. Secrets and ConfigMaps are not
// among them.
var watchedObjects = []struct {
	group     string
	resources []string
}{
	{"", []string{"persistentvolumeclaims", "pods", "resourcequotas"}},
	{"apps", []string{"daemonsets", "deployments", "statefulsets"}},
	{"autoscaling", []string{"horizontalpodautoscalers"}},
}

// objectsRules are what kube-state-metrics may do: watch these objects.
func objectsRules() (rules rbacv1.PolicyRuleArray) {
	for _, watched := range watchedObjects {
		rules = append(rules, kube.Rule(watched.group, []string{"list", "watch"}, watched.resources...))
	}
	return rules
}

// agentRules are what the agents may do: know the pods of their node, and whose a namespace is. RBAC cannot bound the pods to a
// node.
func agentRules() rbacv1.PolicyRuleArray {
	return rbacv1.PolicyRuleArray{
		kube.Rule("", []string{"list", "watch"}, "pods"),
		kube.Rule("", kube.ReadVerbs, "namespaces"),
	}
}

// rightsMeta is the metadata of the rights of a part, which have no namespace or another one.
func rightsMeta(part kube.Part, namespace pulumi.StringPtrInput) metav1.ObjectMetaArgs {
	return metav1.ObjectMetaArgs{Name: pulumi.String("journal-" + part.App), Namespace: namespace, Labels: part.Labels()}
}

// rights give the part's account rights in the whole cluster. They return the resources.
func (w workload) rights(ctx *pulumi.Context, name string, rules rbacv1.PolicyRuleArray) ([]pulumi.Resource, error) {
	role, err := rbacv1.NewClusterRole(ctx, name, &rbacv1.ClusterRoleArgs{Metadata: rightsMeta(w.part, nil), Rules: rules}, pulumi.Parent(w.parent))
	if err != nil {
		return nil, fmt.Errorf("rights: %w", err)
	}
	binding, err := rbacv1.NewClusterRoleBinding(ctx, name, &rbacv1.ClusterRoleBindingArgs{
		Metadata: rightsMeta(w.part, nil), RoleRef: kube.RoleRef("ClusterRole", "journal-"+w.part.App), Subjects: w.subject(),
	}, pulumi.Parent(w.parent))
	if err != nil {
		return nil, fmt.Errorf("rights: %w", err)
	}
	return []pulumi.Resource{role, binding}, nil
}

// frontProxyRights let the part's account read by which certificate it knows the API server.
func (w workload) frontProxyRights(ctx *pulumi.Context, name string) (pulumi.Resource, error) {
	binding, err := rbacv1.NewRoleBinding(ctx, name, &rbacv1.RoleBindingArgs{
		Metadata: rightsMeta(w.part, pulumi.String("kube-system")), RoleRef: kube.RoleRef("Role", frontProxyRole), Subjects: w.subject(),
	}, pulumi.Parent(w.parent))
	if err != nil {
		return nil, fmt.Errorf("rights: %w", err)
	}
	return binding, nil
}
