package tenancy

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

const (
	// DeployerName is the name of the ServiceAccount as which the CI of a tenant deploys.
	DeployerName = "deployer"
	// DeployerTokensRole issues tokens of the ServiceAccount DeployerName. It is bound to the owners of a tenant that has one.
	DeployerTokensRole = "journal-tenant-deployer-tokens"
)

// deployerTokenRules let their holder issue tokens of the deployer, and of no other account.
func deployerTokenRules() rbacv1.PolicyRuleArray {
	return rbacv1.PolicyRuleArray{rbacv1.PolicyRuleArgs{
		ApiGroups: pulumi.ToStringArray([]string{""}), Resources: pulumi.ToStringArray([]string{"serviceaccounts/token"}),
		ResourceNames: pulumi.ToStringArray([]string{DeployerName}), Verbs: pulumi.ToStringArray([]string{"create"}),
	}}
}

// declareDeployer declares the account, with the rights of a developer, and lets the owners issue its tokens. The account waits
// for the quota, which has room for it.
func (t *Tenant) declareDeployer(ctx *pulumi.Context, name string, a TenantArgs, opts ...pulumi.ResourceOption) error {
	meta := func(object string) metav1.ObjectMetaArgs {
		return metav1.ObjectMetaArgs{Name: pulumi.String(object), Namespace: t.Name, Labels: pulumi.ToStringMap(kube.ManagedLabels("journal"))}
	}
	if _, err := corev1.NewServiceAccount(ctx, name+"-"+DeployerName, &corev1.ServiceAccountArgs{
		Metadata: meta(DeployerName), AutomountServiceAccountToken: pulumi.Bool(false),
	}, opts...); err != nil {
		return err
	}
	deployer := rbacv1.SubjectArray{rbacv1.SubjectArgs{
		Kind: pulumi.String("ServiceAccount"), Name: pulumi.String(DeployerName), Namespace: t.Name,
	}}
	bindings := []struct {
		name, role string
		subjects   rbacv1.SubjectArray
	}{
		{DeployerName, DeveloperRole, deployer},
		{DeployerName + "-tokens", DeployerTokensRole, kube.RBACSubjects(a.Members.Owners)},
	}
	if a.SecretAccess {
		bindings = append(bindings, struct {
			name, role string
			subjects   rbacv1.SubjectArray
		}{DeployerName + "-secrets", SecretsRole, deployer})
	}
	for _, binding := range bindings {
		if _, err := rbacv1.NewRoleBinding(ctx, name+"-"+binding.name, &rbacv1.RoleBindingArgs{
			Metadata: meta(binding.name), RoleRef: kube.RoleRef("ClusterRole", binding.role), Subjects: binding.subjects,
		}, opts...); err != nil {
			return err
		}
	}
	return nil
}
