package observe

import (
	"fmt"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

const (
	// rightsName is the name of the rights, which are not in the namespace.
	rightsName = "journal-" + metricsApp
	// frontProxyRole is Kubernetes' role that reads by which certificate an API server is known to aggregated ones.
	frontProxyRole = "extension-apiserver-authentication-reader"
)

// metricsRules are what the metrics server may do: read the kubelets' figures, know which pods and nodes there are, and ask
// whether a caller, whose name the API server has passed on, may read them. It may not check tokens (tokenreviews), so that
// nobody but the API server can ask it.
func metricsRules() rbacv1.PolicyRuleArray {
	return rbacv1.PolicyRuleArray{
		kube.Rule("", []string{"get"}, "nodes/metrics"),
		kube.Rule("", kube.ReadVerbs, "pods", "nodes"),
		kube.Rule("authorization.k8s.io", []string{"create"}, "subjectaccessreviews"),
	}
}

// declareRights gives the metrics server's account its rights, and returns the resources.
func (s *MetricsService) declareRights(ctx *pulumi.Context, name string, part kube.Part, a MetricsServiceArgs) ([]pulumi.Resource, error) {
	account := rbacv1.SubjectArray{rbacv1.SubjectArgs{
		Kind: pulumi.String("ServiceAccount"), Name: pulumi.String(metricsApp), Namespace: pulumi.String(a.Namespace),
	}}
	meta := func(namespace pulumi.StringPtrInput) metav1.ObjectMetaArgs {
		return metav1.ObjectMetaArgs{Name: pulumi.String(rightsName), Namespace: namespace, Labels: part.Labels()}
	}
	role, err := rbacv1.NewClusterRole(ctx, name, &rbacv1.ClusterRoleArgs{Metadata: meta(nil), Rules: metricsRules()}, pulumi.Parent(s))
	if err != nil {
		return nil, fmt.Errorf("rights: %w", err)
	}
	binding, err := rbacv1.NewClusterRoleBinding(ctx, name, &rbacv1.ClusterRoleBindingArgs{
		Metadata: meta(nil), RoleRef: kube.RoleRef("ClusterRole", rightsName), Subjects: account,
	}, pulumi.Parent(s))
	if err != nil {
		return nil, fmt.Errorf("rights: %w", err)
	}
	reader, err := rbacv1.NewRoleBinding(ctx, name, &rbacv1.RoleBindingArgs{
		Metadata: meta(pulumi.String("kube-system")), RoleRef: kube.RoleRef("Role", frontProxyRole), Subjects: account,
	}, pulumi.Parent(s))
	if err != nil {
		return nil, fmt.Errorf("rights: %w", err)
	}
	return []pulumi.Resource{role, binding, reader}, nil
}
