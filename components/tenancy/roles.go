package tenancy

import (
	"fmt"
	"slices"

	"example.com/journal/components/kube"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// The ClusterRoles that bindings refer to.
const (
	// ViewerRole reads everything in a namespace but Secrets.
	ViewerRole = "journal-tenant-viewer"
	// DeveloperRole runs workloads in a namespace.
	DeveloperRole = "journal-tenant-developer"
	// OwnerRole also sees who has access, and manages the claims of others.
	OwnerRole = "journal-tenant-owner"
	// SecretsRole reads and writes Secrets. It is bound only where a tenant asks for it.
	SecretsRole = "journal-tenant-secrets"
	// ClusterReaderRole reads namespaces and nodes.
	ClusterReaderRole = "journal-cluster-reader"
)

const (
	// aggregateToView and aggregateToEdit are the labels by which whoever adds a CRD says who may read and write it.
	aggregateToView = "rbac.authorization.k8s.io/aggregate-to-view"
	aggregateToEdit = "rbac.authorization.k8s.io/aggregate-to-edit"
	// bootstrapping is on the roles that the API server brings.
	bootstrapping = "kubernetes.io/bootstrapping"
	// aggregateToDeveloper and aggregateToOwner are on the roles that are ours alone.
	aggregateToDeveloper = Group + "/aggregate-to-developer"
	aggregateToOwner     = Group + "/aggregate-to-owner"
)

var (
	readVerbs  = []string{"get", "list", "watch"}
	writeVerbs = []string{"create", "update", "patch", "delete", "deletecollection"}
	allVerbs   = slices.Concat(readVerbs, writeVerbs)
)

// RolesArgs are the parameters of the roles.
type RolesArgs struct {
	// Everybody are all declared users and groups, who may read namespaces and nodes. Without any, nobody may.
	Everybody []Subject
}

// Roles are the ClusterRoles that tenants bind, and the binding that lets everybody read namespaces and nodes.
//
// No role holds Secrets but SecretsRole, and none holds quotas, limits, network policies, role bindings or tokens of
// service accounts for writing. A binding of these roles in a namespace gives nothing outside of it.
type Roles struct {
	pulumi.ResourceState
}

// Check returns every rule that the arguments break, or nothing.
func (args *RolesArgs) Check() kube.Faults {
	var f kube.Faults
	if args != nil {
		for _, subject := range args.Everybody {
			f.Check("everybody", subject, subject.Check())
		}
	}
	return f
}

// rule lets verbs be done to resources of one API group.
func rule(group string, verbs []string, resources ...string) rbacv1.PolicyRuleArgs {
	return rbacv1.PolicyRuleArgs{
		ApiGroups: pulumi.ToStringArray([]string{group}), Resources: pulumi.ToStringArray(resources), Verbs: pulumi.ToStringArray(verbs),
	}
}

// developerRules are what a developer may do beyond reading: the rules of the built-in role edit without Secrets,
// network policies, leases, events, and the two ways of acting as a service account, tokens and impersonation, which
// would give rights that nobody gave the developer. Debugging containers are added.
func developerRules() rbacv1.PolicyRuleArray {
	return rbacv1.PolicyRuleArray{
		rule("", writeVerbs, "pods", "replicationcontrollers", "replicationcontrollers/scale", "services", "persistentvolumeclaims", "configmaps", "serviceaccounts"),
		rule("", []string{"get", "create"}, "pods/attach", "pods/exec", "pods/portforward"),
		rule("", []string{"create"}, "pods/eviction"),
		rule("", []string{"get", "update", "patch"}, "pods/ephemeralcontainers"),
		rule("apps", writeVerbs, "deployments", "deployments/scale", "statefulsets", "statefulsets/scale", "daemonsets", "replicasets", "replicasets/scale"),
		rule("batch", writeVerbs, "jobs", "cronjobs"),
		rule("autoscaling", writeVerbs, "horizontalpodautoscalers"),
		rule("policy", writeVerbs, "poddisruptionbudgets"),
		rule("networking.k8s.io", writeVerbs, "ingresses"),
	}
}

// NewRoles declares the roles. There is one set of them in a cluster.
//
// They are built by aggregation, so that what is added to the cluster later is covered: the roles of a CRD's author
// that say they belong to view or edit are taken in. The API server's own part of edit is left out, since it holds
// Secrets and network policies; developerRules stand in for it.
func NewRoles(ctx *pulumi.Context, name string, args *RolesArgs, opts ...pulumi.ResourceOption) (*Roles, error) {
	if err := args.Check().Err(); err != nil {
		return nil, fmt.Errorf("roles %q: %w", name, err)
	}
	var a RolesArgs
	if args != nil {
		a = *args
	}
	r := &Roles{}
	if err := ctx.RegisterComponentResourceV2(rolesType, name, pulumi.Map{}, r, opts...); err != nil {
		return nil, err
	}

	view := metav1.LabelSelectorArgs{MatchLabels: pulumi.StringMap{aggregateToView: pulumi.String("true")}}
	edit := metav1.LabelSelectorArgs{
		MatchLabels: pulumi.StringMap{aggregateToEdit: pulumi.String("true")},
		MatchExpressions: metav1.LabelSelectorRequirementArray{metav1.LabelSelectorRequirementArgs{
			Key: pulumi.String(bootstrapping), Operator: pulumi.String("DoesNotExist"),
		}},
	}
	developer := metav1.LabelSelectorArgs{MatchLabels: pulumi.StringMap{aggregateToDeveloper: pulumi.String("true")}}
	owner := metav1.LabelSelectorArgs{MatchLabels: pulumi.StringMap{aggregateToOwner: pulumi.String("true")}}

	for _, role := range []struct {
		name      string
		aggregate metav1.LabelSelectorArray // what it is made of, or
		label     string                    // which label says what it is a part of
		rules     rbacv1.PolicyRuleArray
	}{
		{name: ViewerRole, aggregate: metav1.LabelSelectorArray{view}},
		{name: DeveloperRole, aggregate: metav1.LabelSelectorArray{view, edit, developer}},
		{name: OwnerRole, aggregate: metav1.LabelSelectorArray{view, edit, developer, owner}},
		{name: DeveloperRole + "-base", label: aggregateToDeveloper, rules: developerRules()},
		{name: OwnerRole + "-base", label: aggregateToOwner, rules: rbacv1.PolicyRuleArray{
			rule(rbacGroup, readVerbs, "roles", "rolebindings"),
			rule("authorization.k8s.io", []string{"create"}, "localsubjectaccessreviews"),
		}},
		{name: SecretsRole, rules: rbacv1.PolicyRuleArray{rule("", allVerbs, "secrets")}},
		{name: ClusterReaderRole, rules: rbacv1.PolicyRuleArray{rule("", readVerbs, "namespaces", "nodes")}},
	} {
		if err := newClusterRole(ctx, role.name, role.label, role.aggregate, role.rules, r); err != nil {
			return nil, fmt.Errorf("roles %q: %w", name, err)
		}
	}
	if len(a.Everybody) > 0 {
		if _, err := rbacv1.NewClusterRoleBinding(ctx, ClusterReaderRole, &rbacv1.ClusterRoleBindingArgs{
			Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(ClusterReaderRole), Labels: pulumi.ToStringMap(kube.ManagedLabels())},
			RoleRef:  roleRef(ClusterReaderRole),
			Subjects: rbacSubjects(a.Everybody),
		}, pulumi.Parent(r)); err != nil {
			return nil, fmt.Errorf("roles %q: %w", name, err)
		}
	}
	return r, ctx.RegisterResourceOutputs(r, pulumi.Map{})
}

// newClusterRole declares a ClusterRole by its fixed name, which bindings and people refer to. The label, if any, says
// what the role is aggregated to.
func newClusterRole(ctx *pulumi.Context, name, label string, aggregate metav1.LabelSelectorArray, rules rbacv1.PolicyRuleArray, parent pulumi.Resource) error {
	labels := kube.ManagedLabels()
	if label != "" {
		labels[label] = "true"
	}
	args := &rbacv1.ClusterRoleArgs{Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(name), Labels: pulumi.ToStringMap(labels)}}
	if len(aggregate) > 0 {
		args.AggregationRule = rbacv1.AggregationRuleArgs{ClusterRoleSelectors: aggregate} // the cluster fills in the rules
	} else {
		args.Rules = rules
	}
	_, err := rbacv1.NewClusterRole(ctx, name, args, pulumi.Parent(parent))
	return err
}

// Everybody returns all users and groups of the tenants, each once, in alphabetical order.
func Everybody(tenants []TenantArgs) []Subject {
	var all []Subject
	for i := range tenants {
		for _, list := range tenants[i].withDefaults("").Members.lists() {
			all = append(all, list.subjects...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
