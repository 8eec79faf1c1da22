package tenancy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/journal/components/kube"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// TenantArgs are the parameters of a tenant.
type TenantArgs struct {
	// Name is the name of the namespace. The default is the component's name.
	Name string `json:"name"`
	// Class is the name of the tenant's size. The default is small.
	Class string `json:"class,omitempty"`
	// Overrides are what differs from the class for this tenant alone.
	Overrides Class `json:"overrides,omitzero"`
	// Owner answers for the tenant, and is one of its owners. Required.
	Owner Subject `json:"owner"`
	// Contact is how the owner is reached: an e-mail address, a channel, a page. Required.
	Contact string `json:"contact"`
	// Team and Purpose say whose the namespace is and what for.
	Team    string `json:"team,omitempty"`
	Purpose string `json:"purpose,omitempty"`
	// Members are who may do what in the namespace, besides the owner.
	Members Members `json:"members,omitzero"`
	// SecretAccess lets owners and developers read and write Secrets. Off by default. Without it, whoever may run pods
	// can still give one a Secret of the same namespace.
	SecretAccess bool `json:"secretAccess,omitempty"`
	// PodSecurity is the Pod Security Standard that is enforced: restricted, or baseline for a reason. The default is
	// restricted.
	PodSecurity string `json:"podSecurity,omitempty"`
	// PodSecurityReason says why the tenant needs baseline; it is written on the namespace.
	PodSecurityReason string `json:"podSecurityReason,omitempty"`
	// Isolated is for an application that brings network policies of its own for every part, as the journal does: the
	// fence then lets pods ask for names and nothing more, and neither the namespace's other pods nor the Ingress
	// controller connect unless those policies say so.
	Isolated bool `json:"isolated,omitempty"`
	// Unprotected lets the engine delete the namespace with all that it holds. By default it refuses to, until an
	// update with this set has been run.
	Unprotected bool `json:"unprotected,omitempty"`

	// Classes are the sizes to choose from. The default is small, medium and large.
	Classes Classes `json:"-"`
	// IngressNamespace is the namespace of the Ingress controller, the only one outside that may connect. By default
	// every namespace may that is no tenant.
	IngressNamespace string `json:"-"`
	// Claims is what gives temporary namespaces to the tenant's developers, if anything does. It outlives the tenant,
	// whose namespace cannot go before its claims have.
	Claims *Claims `json:"-"`
}

// Tenant is one namespace with a fence around it: quota, limits, network policies, and the rights of its people.
type Tenant struct {
	pulumi.ResourceState

	// Namespace is the namespace. What is declared in it names it in pulumi.DeletedWith, so that it is not deleted one
	// by one.
	Namespace *corev1.Namespace
	// Name is the name of the namespace.
	Name pulumi.StringOutput `pulumi:"name"`
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *TenantArgs) withDefaults(name string) TenantArgs {
	var a TenantArgs
	if args != nil {
		a = *args
	}
	a.Name = cmp.Or(a.Name, name)
	a.Class = cmp.Or(a.Class, defaultClass)
	a.PodSecurity = cmp.Or(a.PodSecurity, restricted)
	a.Classes = a.Classes.WithDefaults()
	if a.Owner != "" && !slices.Contains(a.Members.Owners, a.Owner) {
		a.Members.Owners = append([]Subject{a.Owner}, a.Members.Owners...)
	}
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *TenantArgs) Check(name string) kube.Faults {
	a := args.withDefaults(name)
	var f kube.Faults
	f.Check("name", a.Name, checkTenantName(a.Name))
	if a.Name != "" && a.Name == a.IngressNamespace {
		f.Refuse("name", a.Name, "it is the namespace of the Ingress controller; write another name, such as team-a")
	}
	if class, known := a.Classes[a.Class]; !known {
		f.Refuse("class", a.Class, "no class; write one of %s", strings.Join(a.Classes.Names(), ", "))
	} else if len(class.Check()) == 0 { // a class that is itself wrong is reported with the classes
		f = append(f, class.With(a.Overrides).Check().Under("overrides")...)
	}
	if a.Owner == "" {
		f.Refuse("owner", a.Owner, "it is missing: somebody answers for every tenant; write user:<name> or group:<name>, such as user:alice")
	} else {
		f.Check("owner", a.Owner, a.Owner.Check())
	}
	if strings.TrimSpace(a.Contact) == "" {
		f.Refuse("contact", a.Contact, "it is missing: an owner must be reachable; write an address, such as alice@example.com")
	}
	members := a.Members
	members.Owners = slices.DeleteFunc(slices.Clone(members.Owners), func(s Subject) bool { return s == a.Owner && s.Check() != nil }) // reported above
	f = append(f, members.check().Under("members")...)
	switch {
	case a.PodSecurity != restricted && a.PodSecurity != baseline:
		f.Refuse("podSecurity", a.PodSecurity, "no Pod Security Standard that a tenant can have; write restricted or baseline")
	case a.PodSecurity == baseline && strings.TrimSpace(a.PodSecurityReason) == "":
		f.Refuse("podSecurityReason", a.PodSecurityReason, "it is missing: baseline lets containers run as root; say why the tenant needs that, or write podSecurity: restricted")
	case a.PodSecurity == restricted && a.PodSecurityReason != "":
		f.Refuse("podSecurityReason", a.PodSecurityReason, "restricted needs no reason; remove it, or write podSecurity: baseline")
	}
	if a.IngressNamespace != "" {
		f.Check("ingressNamespace", a.IngressNamespace, kube.CheckName(a.IngressNamespace))
	}
	return f
}

// checkTenantName refuses what is no name of a namespace, and the namespaces that belong to the cluster.
func checkTenantName(name string) error {
	if err := kube.CheckName(name); err != nil {
		return err
	}
	if name == "default" || name == PlatformNamespace || strings.HasPrefix(name, "kube-") {
		return fmt.Errorf("reserved: default, %s and every name that begins with kube- belong to the cluster; write another name, such as team-a", PlatformNamespace)
	}
	return nil
}

// CheckTenants returns every rule that the tenants of one stack break, each alone and all together. A fault's field
// says which tenant it is about, as in tenants[2].overrides.memory.
func CheckTenants(tenants []TenantArgs) kube.Faults {
	var all kube.Faults
	first := map[string]int{}
	for i := range tenants {
		tenant := &tenants[i]
		path := fmt.Sprintf("tenants[%d]", i)
		all = append(all, tenant.Check("").Under(path)...)
		if other, taken := first[tenant.Name]; taken && tenant.Name != "" {
			all.Refuse(path+".name", tenant.Name, "the name of tenants[%d] as well; write another one", other)
			continue
		}
		first[tenant.Name] = i
	}
	return all
}

// NewTenant declares a tenant. The error names every argument that breaks a rule. Nothing in it waits for another
// tenant, or for anything but its own namespace.
func NewTenant(ctx *pulumi.Context, name string, args *TenantArgs, opts ...pulumi.ResourceOption) (*Tenant, error) {
	if err := args.Check(name).Err(); err != nil {
		return nil, fmt.Errorf("tenant %q: %w", name, err)
	}
	a := args.withDefaults(name)
	class := a.Classes[a.Class].With(a.Overrides)
	if err := class.Check().Err(); err != nil {
		return nil, fmt.Errorf("tenant %q: class %s: %w", name, a.Class, err)
	}
	t := &Tenant{}
	if err := ctx.RegisterComponentResourceV2(tenantType, name, pulumi.Map{
		"class": pulumi.String(a.Class),
		"owner": pulumi.String(a.Owner),
	}, t, opts...); err != nil {
		return nil, err
	}
	if err := t.declare(ctx, name, a, class); err != nil {
		return nil, fmt.Errorf("tenant %q: %w", name, err)
	}
	return t, ctx.RegisterResourceOutputs(t, pulumi.Map{"name": t.Name})
}

// declare creates the children and sets the outputs.
func (t *Tenant) declare(ctx *pulumi.Context, name string, a TenantArgs, class Class) error {
	labels := kube.ManagedLabels()
	labels[TenantLabel] = a.Name
	maps.Copy(labels, kube.PodSecurityLabels(a.PodSecurity))
	opts := []pulumi.ResourceOption{
		pulumi.Parent(t),
		pulumi.Protect(!a.Unprotected),
	}
	if a.Claims != nil {
		opts = append(opts, pulumi.DependsOn([]pulumi.Resource{a.Claims.Controller}))
	}
	var err error
	if t.Namespace, err = corev1.NewNamespace(ctx, name, &corev1.NamespaceArgs{
		Metadata: metav1.ObjectMetaArgs{
			Name:        pulumi.String(a.Name),
			Labels:      pulumi.ToStringMap(labels),
			Annotations: pulumi.ToStringMap(a.annotations()),
		},
	}, opts...); err != nil {
		return err
	}
	t.Name = t.Namespace.Metadata.Name().Elem()

	// What is in a namespace goes with it: the engine deletes one object instead of a dozen.
	within := []pulumi.ResourceOption{pulumi.Parent(t), pulumi.DeletedWith(t.Namespace)}
	for _, object := range fence(class, connections(a.IngressNamespace, a.Isolated)) {
		if _, err := kube.Declare(ctx, name+"-"+object.Name(), object, t.Name, within...); err != nil {
			return err
		}
	}
	bind := func(binding, clusterRole string, subjects []Subject) error {
		if len(subjects) == 0 {
			return nil
		}
		_, err := rbacv1.NewRoleBinding(ctx, name+"-"+binding, &rbacv1.RoleBindingArgs{
			Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(binding), Namespace: t.Name},
			RoleRef:  roleRef(clusterRole),
			Subjects: rbacSubjects(subjects),
		}, within...)
		return err
	}
	for _, list := range a.Members.lists() {
		if err := bind(list.field, list.clusterRole, list.subjects); err != nil {
			return err
		}
	}
	if a.SecretAccess {
		return bind("secrets", SecretsRole, slices.Concat(a.Members.Owners, a.Members.Developers))
	}
	return nil
}

// annotations say whose the namespace is.
func (args TenantArgs) annotations() map[string]string {
	annotations := map[string]string{
		ownerAnnotation:             args.Owner.Name(),
		contactAnnotation:           args.Contact,
		teamAnnotation:              args.Team,
		purposeAnnotation:           args.Purpose,
		podSecurityReasonAnnotation: args.PodSecurityReason,
	}
	maps.DeleteFunc(annotations, func(_, value string) bool { return value == "" })
	return annotations
}
