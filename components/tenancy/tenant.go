package tenancy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// TenantArgs are the parameters of a tenant.
type TenantArgs struct {
	// Name is the name of the namespace. The default is the component's name.
	Name string `json:"name"`
	// Class is the name of the tenant's size, such as small.
	Class string `json:"class" default:"small"`
	// Overrides replace fields of the class for this tenant only.
	Overrides Class `json:"overrides"`
	// Owner is responsible for the tenant and has the role owner: user:<name> or group:<name>.
	Owner Subject `json:"owner" required:"true" example:"user:alice"`
	// Contact says how to reach the owner: an e-mail address, a channel, a page.
	Contact string `json:"contact" required:"true" example:"alice@example.com"`
	// Team says which team the namespace belongs to.
	Team string `json:"team"`
	// Purpose says what the namespace is for.
	Purpose string `json:"purpose"`
	// Members are the other users and groups with a role in the namespace, besides the owner.
	Members Members `json:"members"`
	// SecretAccess lets owners and developers read and write Secrets. Off by default. Even without it, a member who may run
	// pods can mount a Secret of the namespace in one.
	SecretAccess bool `json:"secretAccess"`
	// Deployer gives the tenant's CI a ServiceAccount called deployer, with the rights of a developer. Owners issue its tokens,
	// for an hour at most. Off by default. Prefer the CI's own identity as a member where the API server accepts it.
	Deployer bool `json:"deployer"`
	// PodSecurity is the Pod Security Standard that the namespace enforces. Baseline needs a reason.
	PodSecurity string `json:"podSecurity" default:"restricted" enum:"restricted,baseline"`
	// PodSecurityReason says why the tenant needs baseline. It is written on the namespace.
	PodSecurityReason string `json:"podSecurityReason"`
	// Isolated is for an application that brings its own NetworkPolicies for every part, as the journal does. The tenant's
	// policies then allow DNS only: neither the namespace's other pods nor the Ingress controller may connect unless the
	// application's policies allow it, or its owners'. Off by default.
	Isolated bool `json:"isolated"`
	// Egress are the ways out: the Internet, ranges of addresses, other tenants. None by default. An isolated tenant has none.
	Egress Egress `json:"egress"`
	// Hosts are the DNS names that the tenant's Ingresses and routes may use. One that begins with `*.` stands for every name
	// below. No two tenants may share a host. The default is *.<name>.<domain>: every name below the namespace's own.
	Hosts []string `json:"hosts"`
	// Certificates lets the tenant's Ingresses and Gateways use their own certificates. Off by default: controllers keep all
	// tenants' certificates in one store and choose by the name in a certificate, which no admission policy can check.
	Certificates bool `json:"certificates"`
	// Tolerations are the keys of taints that the tenant's pods may tolerate. None by default.
	Tolerations []string `json:"tolerations"`
	// Unprotected lets Pulumi delete the namespace with everything in it. Off by default: Pulumi then refuses to delete it.
	// Run an update with this set before the one that deletes it.
	Unprotected bool `json:"unprotected"`
	// Suspended stops the tenant and loses nothing but pods that no workload makes again: no pod runs, all members are viewers,
	// and objects and volumes stay. Its claimed namespaces are suspended too and do not expire meanwhile. Off by default.
	Suspended bool `json:"suspended"`

	// Classes are the sizes to choose from. The default is small, medium and large.
	Classes Classes `json:"-"`
	// Domain is the domain of the namespaces' default hosts. The default is DefaultDomain.
	Domain string `json:"-"`
	// PriorityClass is a PriorityClass above the tenants' that the pods may use. None by default.
	PriorityClass string `json:"-"`
	// IngressNamespace is the namespace of the Ingress controller, the only other namespace that may connect. By default every
	// namespace that belongs to no tenant may connect.
	IngressNamespace string `json:"-"`
	// MetricsNamespace is the namespace of the metric store, whose pods may connect to read figures. None by default. An isolated
	// tenant's application lets them in by its own policies.
	MetricsNamespace string `json:"-"`
	// DNS are address ranges of the cluster's DNS, besides its pods in kube-system.
	DNS kube.DNS `json:"-"`
	// ClusterAddresses are ranges of the cluster's pods, Services and nodes that are public. The Internet does not include them.
	ClusterAddresses Addresses `json:"-"`
	// PullSecret are the credentials with which the pods pull images. None by default. They need a PullSecretPolicy.
	PullSecret *PullSecretArgs `json:"-"`
	// Logs says that the stack keeps logs, so that the namespace says the tenant's share of them. Off by default.
	Logs bool `json:"-"`
	// Reserved allows a name that begins with journal-. Only the stack's own namespaces set it.
	Reserved bool `json:"-"`
	// DependsOn must exist before the namespace and be deleted after it: the bindings of the AdmissionPolicies, and the
	// controller of claims, without which a namespace with claims cannot be deleted. Do not list a component: Pulumi's SDK
	// waits only for those of its children whose registration has begun.
	DependsOn []pulumi.Resource `json:"-"`
}

// Tenant is one namespace with the policy objects of its class and the role bindings of its members.
type Tenant struct {
	pulumi.ResourceState

	// Namespace is the namespace. Resources in it name it in pulumi.DeletedWith, so that Pulumi does not delete them one by
	// one.
	Namespace *corev1.Namespace
	// Name is the name of the namespace. It is known once the policy objects exist, so that resources that use it come after
	// the quota.
	Name pulumi.StringOutput `pulumi:"name"`
}

// WithDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *TenantArgs) WithDefaults(name string) TenantArgs {
	var a TenantArgs
	if args != nil {
		a = *args
	}
	rules.SetDefaults(&a)
	a.Name = cmp.Or(a.Name, name)
	a.Classes = a.Classes.WithDefaults()
	a.Domain = cmp.Or(a.Domain, DefaultDomain)
	if len(a.Hosts) == 0 {
		a.Hosts = []string{DefaultHost(a.Name, a.Domain)}
	}
	if a.Owner != "" && !slices.Contains(a.Members.Owners, a.Owner) {
		a.Members.Owners = append([]Subject{a.Owner}, a.Members.Owners...)
	}
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *TenantArgs) Check(name string) rules.Faults {
	a := args.WithDefaults(name)
	tagged := a
	tagged.Overrides = Small() // the overrides are checked below, with the class that they change
	tagged.PullSecret = nil    // and so is this
	f := rules.CheckTags(&tagged)
	if a.PullSecret != nil {
		f = append(f, a.PullSecret.Check().In("pullSecret")...)
	}
	if err := checkTenantName(a.Name, a.Reserved); err != nil {
		f.Check("name", a.Name, err)
	} else if a.Name == a.IngressNamespace {
		f.Refuse("name", a.Name, "the namespace of the Ingress controller; write another name, such as %s", exampleBeside(a.Name))
	} else if a.Name == a.MetricsNamespace {
		f.Refuse("name", a.Name, "the namespace of the metric store; write another name, such as %s", exampleBeside(a.Name))
	}
	if class, known := a.Classes[a.Class]; !known {
		f.Refuse("class", a.Class, "no class; write one of %s", strings.Join(a.Classes.Names(), ", "))
	} else if len(class.Check()) == 0 { // a class that is itself wrong is reported with the classes
		f = append(f, class.With(a.Overrides).check(a.Overrides).In("overrides")...)
	}
	if a.Owner != "" {
		f.Check("owner", a.Owner, a.Owner.Check())
	}
	if a.Contact != "" && strings.TrimSpace(a.Contact) == "" {
		f.Refuse("contact", a.Contact, "it is blank; write how the owner is reached, such as alice@example.com")
	}
	for _, text := range []struct{ field, value string }{
		{"contact", a.Contact}, {"team", a.Team}, {"purpose", a.Purpose}, {"podSecurityReason", a.PodSecurityReason},
	} {
		f.Check(text.field, text.value, rules.CheckVisible(text.value))
	}
	if args != nil { // as they are written, without the owner that the defaults add
		f = append(f, args.Members.check(a.Owner).In("members")...)
	}
	switch {
	case a.PodSecurity == baseline && strings.TrimSpace(a.PodSecurityReason) == "":
		f.Refuse("podSecurityReason", a.PodSecurityReason, "it is missing: baseline lets containers run as root; say why the tenant needs that, or write podSecurity: restricted")
	case a.PodSecurity == restricted && a.PodSecurityReason != "":
		f.Refuse("podSecurityReason", a.PodSecurityReason, "restricted needs no reason; remove it, or write podSecurity: baseline")
	}
	if a.Suspended && a.Reserved {
		f.Refuse("suspended", a.Suspended, "the stack's own namespace: nobody could read or write entries; remove it")
	}
	if rules.CheckName(a.Name) == nil { // the default is made of the name
		f = append(f, a.checkHosts()...)
	}
	for i, key := range a.Tolerations {
		if !taintKey.MatchString(key) {
			f.Refuse(fmt.Sprintf("tolerations[%d]", i), key, "not the key of a taint; write the key without value and effect, such as example.com/gpu")
		}
	}
	if a.IngressNamespace != "" {
		f.Check("ingressNamespace", a.IngressNamespace, rules.CheckName(a.IngressNamespace))
	}
	if a.MetricsNamespace != "" {
		f.Check("metricsNamespace", a.MetricsNamespace, rules.CheckName(a.MetricsNamespace))
	}
	f = append(f, a.Egress.check(a.Name, a.Isolated).In("egress")...)
	f = append(f, a.ClusterAddresses.Check()...)
	return append(f, a.DNS.Check()...)
}

// exampleBeside returns an example of a name that differs from this one.
func exampleBeside(name string) string {
	if name == "team-a" {
		return "team-b"
	}
	return "team-a"
}

// taintKey matches the key of a taint, which has the form of a label's key.
var taintKey = regexp.MustCompile(`^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// Size returns the tenant's class with its overrides. It is not complete if no class has the tenant's class name.
func (args *TenantArgs) Size() Class {
	a := args.WithDefaults("")
	return a.Classes[a.Class].With(a.Overrides)
}

// checkTenantName refuses what is not the name of a namespace, and names that belong to the cluster, to the stack or to
// claims. With reserved, the name may be one of the stack's own.
func checkTenantName(name string, reserved bool) error {
	if err := rules.CheckName(name); err != nil {
		return err
	}
	begins := func(word string) bool { return name == word || strings.HasPrefix(name, word+"-") }
	switch {
	case name == "default" || name == PlatformNamespace || begins("kube"):
		return fmt.Errorf("reserved: default, %s, kube and every name that begins with kube- belong to the cluster; write another name, such as team-a", PlatformNamespace)
	case begins(strings.TrimSuffix(ClaimPrefix, "-")):
		return fmt.Errorf("reserved: every name that begins with %s is a claimed namespace's; write another name, such as team-a", ClaimPrefix)
	case strings.HasPrefix(name, "journal-") && !reserved:
		return errors.New("reserved: names that begin with journal- are kept for the stack's own namespaces; write another name, such as team-a")
	}
	return nil
}

// Joined returns an error when one name is the other one followed by a hyphen and more. An Ingress controller that joins
// namespace and Service with a hyphen would confuse them: Service shop-web in namespace team and Service web in namespace
// team-shop both become team-shop-web.
func Joined(name, other string) error {
	shorter, longer := name, other
	if len(shorter) > len(longer) {
		shorter, longer = longer, shorter
	}
	if !strings.HasPrefix(longer, shorter+"-") {
		return nil
	}
	return fmt.Errorf("%q is %q and more behind a hyphen; an Ingress controller joins namespace and Service with a hyphen, and would confuse the two; rename one of them", longer, shorter)
}

// CheckTenants returns every rule that the tenants of one stack break, each alone and all together. A fault's path names the
// tenant, as in tenants[2].overrides.memory. No tenant may have a reserved host, or one below it.
func CheckTenants(tenants []TenantArgs, reserved ...string) rules.Faults {
	var all rules.Faults
	first := map[string]int{}
	complete := make([]TenantArgs, len(tenants))
	for i := range tenants {
		tenant := &tenants[i]
		path := fmt.Sprintf("tenants[%d]", i)
		all = append(all, tenant.Check("").In(path)...)
		if other, taken := first[tenant.Name]; taken && tenant.Name != "" {
			all.Refuse(path+".name", tenant.Name, "the name of tenants[%d] as well; write another one", other)
			continue
		}
		first[tenant.Name] = i
		if complete[i] = tenant.WithDefaults(""); len(complete[i].checkHosts()) > 0 {
			complete[i].Hosts = nil // reported above
		}
	}
	// Only at one of its hyphens can a name continue another one.
	for i := range tenants {
		name := tenants[i].Name
		for at, sign := range name {
			if other := name[:at]; sign == '-' && other != "" {
				if _, taken := first[other]; taken {
					all.Check(fmt.Sprintf("tenants[%d].name", i), name, Joined(name, other))
				}
			}
		}
	}
	all = append(all, checkConsent(tenants, first)...)
	return append(all, checkOverlaps(complete, reserved)...)
}

// NewTenant declares a tenant. The error names every argument that breaks a rule. The tenant's resources wait for its own
// namespace only, never for another tenant.
func NewTenant(ctx *pulumi.Context, name string, args *TenantArgs, opts ...pulumi.ResourceOption) (*Tenant, error) {
	if err := args.Check(name).Err(); err != nil {
		return nil, fmt.Errorf("tenant %q: %w", name, err)
	}
	a := args.WithDefaults(name)
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
	labels := kube.ManagedLabels("journal")
	labels[TenantLabel] = a.Name
	maps.Copy(labels, kube.PodSecurityLabels(a.PodSecurity))
	if a.Suspended {
		labels[SuspendedLabel] = "true"
	}
	opts := []pulumi.ResourceOption{
		pulumi.Parent(t),
		pulumi.Protect(!a.Unprotected),
		pulumi.DependsOn(a.DependsOn),
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
	namespace := t.Namespace.Metadata.Name().Elem()
	t.Name = namespace

	// Deleting a namespace deletes what is in it, so the engine deletes one object instead of a dozen.
	within := []pulumi.ResourceOption{pulumi.Parent(t), pulumi.DeletedWith(t.Namespace)}
	if err := defaultAccount(ctx, name, namespace, within...); err != nil {
		return err
	}
	objects := PolicyObjects(class, class.Pods, a.networkPolicies())
	if err := a.adjustQuota(objects); err != nil {
		return err
	}
	for _, object := range objects {
		declared, err := kube.Declare(ctx, name+"-"+object.Name(), object, namespace, within...)
		if err != nil {
			return err
		}
		t.Name = after(t.Name, declared)
	}
	if a.PullSecret != nil {
		if err := t.declarePullSecret(ctx, name, a.PullSecret, within...); err != nil {
			return err
		}
	}
	if a.Deployer && !a.Suspended {
		if err := t.declareDeployer(ctx, name, a, within...); err != nil {
			return err
		}
	}
	bind := func(binding, clusterRole string, subjects []Subject) error {
		if len(subjects) == 0 {
			return nil
		}
		_, err := rbacv1.NewRoleBinding(ctx, name+"-"+binding, &rbacv1.RoleBindingArgs{
			Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(binding), Namespace: namespace, Labels: pulumi.ToStringMap(kube.ManagedLabels("journal"))},
			RoleRef:  kube.RoleRef("ClusterRole", clusterRole),
			Subjects: kube.RBACSubjects(subjects),
		}, within...)
		return err
	}
	for _, list := range a.roles() {
		if err := bind(list.field, list.clusterRole, list.subjects); err != nil {
			return err
		}
	}
	if a.SecretAccess && !a.Suspended {
		return bind("secrets", SecretsRole, slices.Concat(a.Members.Owners, a.Members.Developers))
	}
	return nil
}

// after returns the same text, as an output that waits for a resource. A preview still shows the text.
func after(text pulumi.StringOutput, resource pulumi.Resource) pulumi.StringOutput {
	return pulumix.Cast[pulumi.StringOutput](pulumix.Apply2(text, resource.URN(), func(text string, _ pulumi.URN) string { return text }))
}

// annotations returns the owner of the namespace, and what it is allowed beyond the rules for all.
func (args TenantArgs) annotations() map[string]string {
	annotations := map[string]string{
		OwnerAnnotation:             args.Owner.Name(),
		ContactAnnotation:           args.Contact,
		TeamAnnotation:              args.Team,
		PurposeAnnotation:           args.Purpose,
		podSecurityReasonAnnotation: args.PodSecurityReason,
		HostsAnnotation:             strings.Join(args.Hosts, ","),
		tolerationsAnnotation:       strings.Join(args.Tolerations, ","),
		priorityClassAnnotation:     args.PriorityClass,
	}
	if args.Certificates {
		annotations[certificatesAnnotation] = "true"
	}
	if args.Logs {
		class := args.Size()
		annotations[LogRateAnnotation], annotations[LogBurstAnnotation] = rules.WholeNumber(class.LogRate), rules.WholeNumber(class.LogBurst)
	}
	maps.DeleteFunc(annotations, func(_, value string) bool { return value == "" })
	return annotations
}
