package tenancy

import (
	"fmt"
	"slices"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/internal/declare"
	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// The ClusterRoles that bindings refer to.
const (
	// ViewerRole reads everything in a namespace but Secrets.
	ViewerRole = "journal-tenant-viewer"
	// DeveloperRole runs workloads in a namespace.
	DeveloperRole = "journal-tenant-developer"
	// OwnerRole also reads who has access, manages the claims of others, and opens the pods to others by NetworkPolicies.
	OwnerRole = "journal-tenant-owner"
	// SecretsRole reads and writes Secrets. It is bound where a tenant asks for it, and in claimed namespaces.
	SecretsRole = "journal-tenant-secrets"
	// ClusterReaderRole reads namespaces and nodes.
	ClusterReaderRole = "journal-cluster-reader"
)

// RolesArgs are the parameters of the roles.
type RolesArgs struct {
	// Everybody are all declared users and groups. They may read namespaces and nodes. If the list is empty, nobody may.
	Everybody []Subject `json:"-"`
	// Gateway lets developers write Gateways and routes of the Gateway API. Off by default.
	Gateway bool `json:"-"`
}

// Roles are the ClusterRoles that tenants bind, and the binding that lets everybody read namespaces and nodes.
//
// Only SecretsRole has Secrets. No role may write quotas, limits or role bindings. Owners may write NetworkPolicies, and
// AdmissionPolicies decide which. Only DeployerTokensRole has tokens of service accounts, and those of one account. A binding of
// these roles in a namespace gives no rights outside of it.
type Roles struct {
	pulumi.ResourceState
}

// Check returns every rule that the arguments break, or nothing.
func (args *RolesArgs) Check() rules.Faults {
	var f rules.Faults
	if args != nil {
		for _, subject := range args.Everybody {
			f.Check("everybody", subject, subject.Check())
		}
	}
	return f
}

// developerRules are a developer's rights beyond reading: the rules of the built-in role edit without Secrets,
// NetworkPolicies, leases and events, and without tokens and impersonation of service accounts, which would give rights that
// nobody gave the developer. Debugging containers are added.
func developerRules() rbacv1.PolicyRuleArray {
	return rbacv1.PolicyRuleArray{
		kube.Rule("", kube.WriteVerbs, "pods", "replicationcontrollers", "replicationcontrollers/scale", "services", "persistentvolumeclaims", "configmaps", "serviceaccounts"),
		kube.Rule("", []string{"get", "create"}, "pods/attach", "pods/exec", "pods/portforward"),
		kube.Rule("", []string{"create"}, "pods/eviction"),
		kube.Rule("", []string{"get", "update", "patch"}, "pods/ephemeralcontainers"),
		kube.Rule("apps", kube.WriteVerbs, "deployments", "deployments/scale", "statefulsets", "statefulsets/scale", "daemonsets", "replicasets", "replicasets/scale"),
		kube.Rule("batch", kube.WriteVerbs, "jobs", "cronjobs"),
		kube.Rule("autoscaling", kube.WriteVerbs, "horizontalpodautoscalers"),
		kube.Rule("policy", kube.WriteVerbs, "poddisruptionbudgets"),
		kube.Rule("networking.k8s.io", kube.WriteVerbs, "ingresses"),
	}
}

// viewerRules are what a viewer may read: the same as the built-in role view.
func viewerRules() rbacv1.PolicyRuleArray {
	return rbacv1.PolicyRuleArray{
		kube.Rule("", kube.ReadVerbs, "pods", "pods/log", "pods/status", "replicationcontrollers", "replicationcontrollers/scale", "replicationcontrollers/status",
			"services", "services/status", "endpoints", "persistentvolumeclaims", "persistentvolumeclaims/status", "configmaps", "serviceaccounts",
			"events", "limitranges", "resourcequotas", "resourcequotas/status", "namespaces/status", "bindings"),
		kube.Rule("apps", kube.ReadVerbs, "deployments", "deployments/scale", "deployments/status", "statefulsets", "statefulsets/scale", "statefulsets/status",
			"daemonsets", "daemonsets/status", "replicasets", "replicasets/scale", "replicasets/status", "controllerrevisions"),
		kube.Rule("batch", kube.ReadVerbs, "jobs", "jobs/status", "cronjobs", "cronjobs/status"),
		kube.Rule("autoscaling", kube.ReadVerbs, "horizontalpodautoscalers", "horizontalpodautoscalers/status"),
		kube.Rule("policy", kube.ReadVerbs, "poddisruptionbudgets", "poddisruptionbudgets/status"),
		kube.Rule("networking.k8s.io", kube.ReadVerbs, "ingresses", "ingresses/status", "networkpolicies"),
		kube.Rule("discovery.k8s.io", kube.ReadVerbs, "endpointslices"),
		kube.Rule("events.k8s.io", kube.ReadVerbs, "events"),
		kube.Rule("metrics.k8s.io", kube.ReadVerbs, "pods"),
	}
}

// NewRoles declares the roles. There is one set of them in a cluster.
//
// The roles aggregate others, so that other components, such as Claims, can add rights. They aggregate only roles with labels
// of our own. To give tenants rights on further kinds, write a ClusterRole with such a label.
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

	labelled := func(label string) metav1.LabelSelectorArgs {
		return metav1.LabelSelectorArgs{MatchLabels: pulumi.StringMap{label: pulumi.String("true")}}
	}
	viewer, developer, owner := labelled(AggregateToViewer), labelled(AggregateToDeveloper), labelled(AggregateToOwner)
	reads, writes := viewerRules(), developerRules()
	if a.Gateway {
		reads = append(reads, kube.Rule(gatewayGroup, kube.ReadVerbs, gatewayKinds...))
		writes = append(writes, kube.Rule(gatewayGroup, kube.WriteVerbs, gatewayKinds...))
	}

	for _, role := range []declare.ClusterRole{
		{Name: ViewerRole, Aggregate: metav1.LabelSelectorArray{viewer}},
		{Name: DeveloperRole, Aggregate: metav1.LabelSelectorArray{viewer, developer}},
		{Name: OwnerRole, Aggregate: metav1.LabelSelectorArray{viewer, developer, owner}},
		{Name: ViewerRole + "-base", PartOf: AggregateToViewer, Rules: reads},
		{Name: DeveloperRole + "-base", PartOf: AggregateToDeveloper, Rules: writes},
		{Name: OwnerRole + "-base", PartOf: AggregateToOwner, Rules: rbacv1.PolicyRuleArray{
			kube.Rule(kube.RBACGroup, kube.ReadVerbs, "roles", "rolebindings"),
			kube.Rule("authorization.k8s.io", []string{"create"}, "localsubjectaccessreviews"),
			kube.Rule("networking.k8s.io", kube.WriteVerbs, "networkpolicies"),
		}},
		{Name: SecretsRole, Rules: rbacv1.PolicyRuleArray{kube.Rule("", kube.AllVerbs, "secrets")}},
		{Name: DeployerTokensRole, Rules: deployerTokenRules()},
		{Name: ClusterReaderRole, Rules: rbacv1.PolicyRuleArray{kube.Rule("", kube.ReadVerbs, "namespaces", "nodes")}},
	} {
		if err := role.Declare(ctx, r); err != nil {
			return nil, fmt.Errorf("roles %q: %w", name, err)
		}
	}
	if len(a.Everybody) > 0 {
		if _, err := rbacv1.NewClusterRoleBinding(ctx, ClusterReaderRole, &rbacv1.ClusterRoleBindingArgs{
			Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(ClusterReaderRole), Labels: pulumi.ToStringMap(kube.ManagedLabels("journal"))},
			RoleRef:  kube.RoleRef("ClusterRole", ClusterReaderRole),
			Subjects: kube.RBACSubjects(a.Everybody),
		}, pulumi.Parent(r)); err != nil {
			return nil, fmt.Errorf("roles %q: %w", name, err)
		}
	}
	return r, ctx.RegisterResourceOutputs(r, pulumi.Map{})
}

// Everybody returns all users and groups of the tenants, each once, in alphabetical order.
func Everybody(tenants []TenantArgs) []Subject {
	var all []Subject
	for i := range tenants {
		for _, list := range tenants[i].WithDefaults("").Members.lists() {
			all = append(all, list.subjects...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
