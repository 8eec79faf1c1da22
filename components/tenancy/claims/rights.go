package claims

import (
	"fmt"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/internal/admission"
	"example.com/journal/components/internal/declare"
	"example.com/journal/components/kube"
	"example.com/journal/components/tenancy"
)

// manageVerb is the verb that lets an owner of a tenant change and delete the claims of others in it.
const manageVerb = "manage"

// roles declares the rights on claims and budgets, which the tenants' roles aggregate.
func (c *Claims) roles(ctx *pulumi.Context) error {
	for _, role := range []declare.ClusterRole{
		{Name: "journal-namespaceclaims-view", PartOf: tenancy.AggregateToViewer, Rules: rbacv1.PolicyRuleArray{kube.Rule(tenancy.Group, kube.ReadVerbs, "namespaceclaims")}},
		{Name: "journal-namespaceclaims-edit", PartOf: tenancy.AggregateToDeveloper, Rules: rbacv1.PolicyRuleArray{kube.Rule(tenancy.Group, kube.WriteVerbs, "namespaceclaims")}},
		{Name: "journal-namespaceclaims-manage", PartOf: tenancy.AggregateToOwner, Rules: rbacv1.PolicyRuleArray{kube.Rule(tenancy.Group, []string{manageVerb}, "namespaceclaims")}},
		{Name: "journal-budgets-view", PartOf: tenancy.AggregateToViewer, Rules: rbacv1.PolicyRuleArray{kube.Rule(tenancy.Group, kube.ReadVerbs, "budgets")}},
	} {
		if err := role.Declare(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// rights declares the controller's rights, and returns the bindings that give them. It has no rights on Secrets and workloads,
// and deletes pods of suspended tenants only. It may bind the roles of a tenant's members, and the one on Secrets: the verb
// "bind" gives no right on Secrets itself.
func (c *Claims) rights(ctx *pulumi.Context, name string, a Args) ([]pulumi.Resource, error) {
	const role = "journal-" + controllerAccount
	apply := []string{"get", "list", "watch", "create", "update", "patch"}
	var bound []string
	for _, binding := range claimedBindings {
		bound = append(bound, binding.role)
	}
	bind := kube.Rule(kube.RBACGroup, []string{"bind"}, "clusterroles")
	bind.ResourceNames = pulumi.ToStringArray(bound)
	if err := (declare.ClusterRole{Name: role, Rules: rbacv1.PolicyRuleArray{
		kube.Rule("", []string{"get", "list", "watch", "create", "patch", "delete"}, "namespaces"),
		kube.Rule("", apply, "resourcequotas", "limitranges"),
		kube.Rule("networking.k8s.io", apply, "networkpolicies"),
		kube.Rule(kube.RBACGroup, apply, "rolebindings"),
		bind,
		kube.Rule(tenancy.Group, []string{"get", "list", "watch", "update", "patch", "delete"}, "namespaceclaims"),
		kube.Rule(tenancy.Group, []string{"get", "update", "patch"}, "namespaceclaims/status"),
		kube.Rule(tenancy.Group, []string{"update"}, "namespaceclaims/finalizers"),
		kube.Rule("", []string{"create", "patch"}, "events"),
		kube.Rule("events.k8s.io", []string{"create", "patch"}, "events"),
		kube.Rule("", []string{"list", "delete"}, "pods"),
		kube.Rule(tenancy.Group, []string{"get", "list", "watch", "create"}, "budgets"),
		kube.Rule(tenancy.Group, []string{"get", "update", "patch"}, "budgets/status"),
	}}).Declare(ctx, c); err != nil {
		return nil, fmt.Errorf("cluster role: %w", err)
	}
	subjects := rbacv1.SubjectArray{rbacv1.SubjectArgs{
		Kind: pulumi.String("ServiceAccount"), Name: pulumi.String(controllerAccount), Namespace: a.Platform.Name,
	}}
	child := pulumi.Parent(c)
	everywhere, err := rbacv1.NewClusterRoleBinding(ctx, name, &rbacv1.ClusterRoleBindingArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(controllerAccount), Labels: pulumi.ToStringMap(kube.ManagedLabels("journal"))},
		RoleRef:  kube.RoleRef("ClusterRole", role),
		Subjects: subjects,
	}, child)
	if err != nil {
		return nil, fmt.Errorf("cluster role binding: %w", err)
	}

	// In its own namespace it reads its settings, and its replicas elect a leader.
	meta := metav1.ObjectMetaArgs{Name: pulumi.String(controllerAccount), Namespace: a.Platform.Name, Labels: pulumi.ToStringMap(kube.ManagedLabels("journal"))}
	own, err := rbacv1.NewRole(ctx, name, &rbacv1.RoleArgs{Metadata: meta, Rules: rbacv1.PolicyRuleArray{
		kube.Rule("", kube.ReadVerbs, "configmaps"),
		kube.Rule("coordination.k8s.io", apply, "leases"),
	}}, child)
	if err != nil {
		return nil, fmt.Errorf("role: %w", err)
	}
	here, err := rbacv1.NewRoleBinding(ctx, name, &rbacv1.RoleBindingArgs{
		Metadata: meta,
		RoleRef:  rbacv1.RoleRefArgs{ApiGroup: pulumi.String(kube.RBACGroup), Kind: pulumi.String("Role"), Name: own.Metadata.Name().Elem()},
		Subjects: subjects,
	}, child)
	if err != nil {
		return nil, fmt.Errorf("role binding: %w", err)
	}
	return []pulumi.Resource{everywhere, here}, nil
}

// admission declares the admission policies and returns their bindings. They enforce what RBAC cannot: the controller writes
// in claimed namespaces only, and nobody creates a claim in another's name.
func (c *Claims) admission(ctx *pulumi.Context, a Args) ([]pulumi.Resource, error) {
	policies, err := controllerBounds(a)
	if err != nil {
		return nil, err
	}
	var all []pulumi.Resource
	for _, policy := range append(policies, ownerPolicy(), newOwnerPolicy(a.Tenants), budgetPolicy()) {
		bindings, err := admission.Declare(ctx, policy, c)
		if err != nil {
			return nil, err
		}
		all = append(all, bindings...)
	}
	return all, nil
}
