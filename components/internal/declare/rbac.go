// Package declare has what tenancy, claims and the admission policies declare alike: ClusterRoles that people refer to by name,
// ConfigMaps that programs read, and plain objects.
package declare

import (
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// ClusterRole is a ClusterRole with a fixed name, which bindings and people refer to.
type ClusterRole struct {
	Name string
	// PartOf is the label by which another role aggregates the rules of this one. Optional.
	PartOf string
	// Aggregate selects the roles whose rules this one takes. The cluster fills them in.
	Aggregate metav1.LabelSelectorArray
	// Rules are the role's own rules, if it aggregates none.
	Rules rbacv1.PolicyRuleArray
}

// Declare declares the role.
func (r ClusterRole) Declare(ctx *pulumi.Context, parent pulumi.Resource) error {
	labels := kube.ManagedLabels("journal")
	if r.PartOf != "" {
		labels[r.PartOf] = "true"
	}
	args := &rbacv1.ClusterRoleArgs{Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(r.Name), Labels: pulumi.ToStringMap(labels)}}
	if len(r.Aggregate) > 0 {
		args.AggregationRule = rbacv1.AggregationRuleArgs{ClusterRoleSelectors: r.Aggregate}
	} else {
		args.Rules = r.Rules
	}
	_, err := rbacv1.NewClusterRole(ctx, r.Name, args, pulumi.Parent(parent))
	return err
}
