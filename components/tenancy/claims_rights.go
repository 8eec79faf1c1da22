package tenancy

import (
	"fmt"

	"example.com/journal/components/kube"
	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// manageVerb is what an owner of a tenant may do to the claims of others in it: change and delete them.
const manageVerb = "manage"

// roles declares who may do what with claims, as parts of the tenants' roles.
func (c *Claims) roles(ctx *pulumi.Context) error {
	for _, role := range []struct {
		name, label string
		rules       rbacv1.PolicyRuleArray
	}{
		{"journal-namespaceclaims-view", aggregateToView, rbacv1.PolicyRuleArray{rule(Group, readVerbs, "namespaceclaims")}},
		{"journal-namespaceclaims-edit", aggregateToEdit, rbacv1.PolicyRuleArray{rule(Group, writeVerbs, "namespaceclaims")}},
		{"journal-namespaceclaims-manage", aggregateToOwner, rbacv1.PolicyRuleArray{rule(Group, []string{manageVerb}, "namespaceclaims")}},
	} {
		if err := newClusterRole(ctx, role.name, role.label, nil, role.rules, c); err != nil {
			return err
		}
	}
	return nil
}

// rights declares what the controller may do, and returns the bindings that give it. It holds no Secrets, no pods and
// no workloads; the one role that it may give to somebody is the owner's.
func (c *Claims) rights(ctx *pulumi.Context, name string, a ClaimsArgs) ([]pulumi.Resource, error) {
	const role = "journal-" + controllerAccount
	apply := []string{"get", "list", "watch", "create", "update", "patch"}
	bindOwner := rule(rbacGroup, []string{"bind"}, "clusterroles")
	bindOwner.ResourceNames = pulumi.ToStringArray([]string{OwnerRole})
	if err := newClusterRole(ctx, role, "", nil, rbacv1.PolicyRuleArray{
		rule("", []string{"get", "list", "watch", "create", "patch", "delete"}, "namespaces"),
		rule("", apply, "resourcequotas", "limitranges"),
		rule("networking.k8s.io", apply, "networkpolicies"),
		rule(rbacGroup, apply, "rolebindings"),
		bindOwner,
		rule(Group, []string{"get", "list", "watch", "update", "patch", "delete"}, "namespaceclaims"),
		rule(Group, []string{"get", "update", "patch"}, "namespaceclaims/status"),
		rule(Group, []string{"update"}, "namespaceclaims/finalizers"),
		rule("", []string{"create", "patch"}, "events"),
		rule("events.k8s.io", []string{"create", "patch"}, "events"),
	}, c); err != nil {
		return nil, fmt.Errorf("cluster role: %w", err)
	}
	subjects := rbacv1.SubjectArray{rbacv1.SubjectArgs{
		Kind: pulumi.String("ServiceAccount"), Name: pulumi.String(controllerAccount), Namespace: a.Platform.Name,
	}}
	child := pulumi.Parent(c)
	everywhere, err := rbacv1.NewClusterRoleBinding(ctx, name, &rbacv1.ClusterRoleBindingArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(controllerAccount), Labels: pulumi.ToStringMap(kube.ManagedLabels())},
		RoleRef:  roleRef(role),
		Subjects: subjects,
	}, child)
	if err != nil {
		return nil, fmt.Errorf("cluster role binding: %w", err)
	}

	// In its own namespace it reads its settings, and the replicas agree on which of them acts.
	meta := metav1.ObjectMetaArgs{Name: pulumi.String(controllerAccount), Namespace: a.Platform.Name, Labels: pulumi.ToStringMap(kube.ManagedLabels())}
	own, err := rbacv1.NewRole(ctx, name, &rbacv1.RoleArgs{Metadata: meta, Rules: rbacv1.PolicyRuleArray{
		rule("", readVerbs, "configmaps"),
		rule("coordination.k8s.io", apply, "leases"),
	}}, child)
	if err != nil {
		return nil, fmt.Errorf("role: %w", err)
	}
	here, err := rbacv1.NewRoleBinding(ctx, name, &rbacv1.RoleBindingArgs{
		Metadata: meta,
		RoleRef:  rbacv1.RoleRefArgs{ApiGroup: pulumi.String(rbacGroup), Kind: pulumi.String("Role"), Name: own.Metadata.Name().Elem()},
		Subjects: subjects,
	}, child)
	if err != nil {
		return nil, fmt.Errorf("role binding: %w", err)
	}
	return []pulumi.Resource{everywhere, here}, nil
}

// claimUID is the CEL expression for the label that only claimed namespaces carry, or nothing.
func claimUID(namespace string) string {
	return fmt.Sprintf(`%s.metadata.?labels[?%q].orValue("")`, namespace, ClaimUIDLabel)
}

// admission declares what RBAC cannot say, and returns the bindings: the controller's hands are bound to the namespaces
// of claims, and nobody claims in another's name.
func (c *Claims) admission(ctx *pulumi.Context) ([]pulumi.Resource, error) {
	var bindings []pulumi.Resource
	for _, rule := range []admission{
		{
			name:     "journal-controller-namespaces",
			account:  controllerUser,
			requests: admissionv1.NamedRuleWithOperationsArray{requestsFor("", "v1", []string{"CREATE", "UPDATE", "DELETE"}, "namespaces")},
			variables: map[string]string{
				"before": `oldObject == null ? "" : ` + claimUID("oldObject"),
				"later":  `object == null ? "" : ` + claimUID("object"),
			},
			validations: admissionv1.ValidationArray{
				validation(`variables.before != "" || request.operation == "CREATE"`,
					fmt.Sprintf(`"namespace \"" + request.name + "\": the controller touches only namespaces with the label %s, which it made itself"`, ClaimUIDLabel)),
				validation(`request.operation == "DELETE" || variables.later != "" && (request.operation == "CREATE" || variables.later == variables.before)`,
					fmt.Sprintf(`"namespace \"" + request.name + "\": the label %s is set when the namespace is made and never changes"`, ClaimUIDLabel)),
			},
		},
		{
			name:    "journal-controller-fences",
			account: controllerUser,
			requests: admissionv1.NamedRuleWithOperationsArray{
				requestsFor("", "v1", []string{"CREATE", "UPDATE", "DELETE"}, "resourcequotas", "limitranges"),
				requestsFor("networking.k8s.io", "v1", []string{"CREATE", "UPDATE", "DELETE"}, "networkpolicies"),
				requestsFor(rbacGroup, "v1", []string{"CREATE", "UPDATE", "DELETE"}, "rolebindings"),
			},
			validations: admissionv1.ValidationArray{
				validation(claimUID("namespaceObject")+` != ""`,
					fmt.Sprintf(`"namespace \"" + request.namespace + "\": the controller writes only in namespaces with the label %s, which it made itself"`, ClaimUIDLabel)),
				validation(fmt.Sprintf(`request.kind.kind != "RoleBinding" || request.operation == "DELETE" || dyn(object).roleRef.kind == "ClusterRole" && dyn(object).roleRef.name == %q`, OwnerRole),
					fmt.Sprintf(`"role binding \"" + request.name + "\": the controller gives the role %s and no other"`, OwnerRole)),
			},
		},
		{
			name:     "journal-claim-owner",
			requests: admissionv1.NamedRuleWithOperationsArray{requestsFor(Group, "v1alpha1", []string{"CREATE", "UPDATE", "DELETE"}, "namespaceclaims")},
			variables: map[string]string{
				// Kubernetes itself deletes claims with their namespace, as a service account of its own.
				"owns": `oldObject == null || oldObject.spec.owner == request.userInfo.username || request.userInfo.username.startsWith("system:serviceaccount:") || ` +
					fmt.Sprintf(`authorizer.group(%q).resource("namespaceclaims").namespace(request.namespace).check(%q).allowed()`, Group, manageVerb),
				"keepsFinalizer": fmt.Sprintf(`request.operation != "UPDATE" || !(%[1]q in oldObject.metadata.?finalizers.orValue([])) || %[1]q in object.metadata.?finalizers.orValue([])`, ClaimFinalizer),
			},
			validations: admissionv1.ValidationArray{
				validation(`request.operation != "CREATE" || object.spec.owner == request.userInfo.username`,
					`"spec.owner \"" + object.spec.owner + "\": nobody claims in another's name; write \"" + request.userInfo.username + "\""`),
				validation(`variables.owns || request.operation == "UPDATE" && object.spec == oldObject.spec`,
					`"claim \"" + request.name + "\": it belongs to " + oldObject.spec.owner + "; ask them, or an owner of the namespace, to change or delete it"`),
				// Without the finalizer nothing would ever delete the claim's namespace. Who may delete namespaces may
				// take it off: the controller, and whoever cleans up.
				validation(`variables.keepsFinalizer || authorizer.group("").resource("namespaces").check("delete").allowed()`,
					fmt.Sprintf(`"metadata.finalizers: the controller removes %s once the namespace is deleted; delete the claim instead"`, ClaimFinalizer)),
			},
		},
	} {
		binding, err := newAdmission(ctx, rule, c)
		if err != nil {
			return nil, err
		}
		bindings = append(bindings, binding)
	}
	return bindings, nil
}
