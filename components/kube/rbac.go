package kube

import (
	"slices"

	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RBACGroup is the API group of roles, bindings and the users in them.
const RBACGroup = "rbac.authorization.k8s.io"

// The verbs of the rules.
var (
	ReadVerbs  = []string{"get", "list", "watch"}
	WriteVerbs = []string{"create", "update", "patch", "delete", "deletecollection"}
	AllVerbs   = slices.Concat(ReadVerbs, WriteVerbs)
)

// Rule allows verbs on resources of one API group. The empty text is the core group.
func Rule(group string, verbs []string, resources ...string) rbacv1.PolicyRuleArgs {
	return rbacv1.PolicyRuleArgs{
		ApiGroups: pulumi.ToStringArray([]string{group}), Resources: pulumi.ToStringArray(resources), Verbs: pulumi.ToStringArray(verbs),
	}
}

// RoleRef refers to a role of a kind: ClusterRole, or Role for one in the namespace of the binding.
func RoleRef(kind, name string) rbacv1.RoleRefArgs {
	return rbacv1.RoleRefArgs{ApiGroup: pulumi.String(RBACGroup), Kind: pulumi.String(kind), Name: pulumi.String(name)}
}
