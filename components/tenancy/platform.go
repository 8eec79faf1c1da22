package tenancy

import (
	"fmt"
	"maps"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/internal/declare"
	"example.com/journal/components/kube"
)

// PlatformArgs are the parameters of the platform.
type PlatformArgs struct {
	// Tenants are all tenants of the stack. The list of users has the members of each.
	Tenants []TenantArgs `json:"-"`
	// Claims says that there are temporary namespaces, so that users are shown how to ask for one. Off by default.
	Claims bool `json:"-"`
	// Image is an image that tenants may run, so that users are shown how. By default they are shown none.
	Image string `json:"-"`
}

// Platform is the namespace of what serves all tenants. Its NetworkPolicy denies every connection that no other one allows. It
// has the list of users, so that credentials are issued to nobody else. The PriorityClasses above the tenants' belong to it too.
type Platform struct {
	pulumi.ResourceState

	// Namespace is the namespace.
	Namespace *corev1.Namespace
	// Name is the name of the namespace.
	Name pulumi.StringOutput `pulumi:"name"`
	// PriorityClass is the name of the PriorityClass of what serves all tenants. JournalPriorityClass is that of the stack's
	// application: below PriorityClass and above the tenants'.
	PriorityClass, JournalPriorityClass pulumi.StringOutput
}

// User is one entry of the list of users.
type User struct {
	// Namespace is the default namespace of the user's commands.
	Namespace string `json:"namespace"`
	// Namespaces are the user's roles, by namespace.
	Namespaces map[string]string `json:"namespaces"`
}

// Users returns the declared users by name. A user's default namespace is the one with the user's own name, or else the first
// one in which the user has the highest role. Members of groups are not listed: only the identity provider knows them.
func Users(tenants []TenantArgs) map[string]User {
	users := map[string]User{}
	rank := map[string]int{}
	for i := range tenants {
		tenant := tenants[i].WithDefaults("")
		for r, list := range tenant.roles() {
			if tenant.Suspended {
				r = len(tenant.roles()) // the least of all: nothing can be done there
			}
			for _, subject := range list.subjects {
				user := subject.Name()
				if subject.Kind() != "User" {
					continue
				}
				entry, known := users[user]
				if !known {
					entry.Namespaces = map[string]string{}
				}
				entry.Namespaces[tenant.Name] = list.role
				if entry.Namespace != user && (!known || tenant.Name == user || r < rank[user]) {
					entry.Namespace, rank[user] = tenant.Name, r
				}
				users[user] = entry
			}
		}
	}
	return users
}

// Offers are what the namespaces of tenants offer to users besides their roles. With them, the program onboard shows a user the
// first commands.
type Offers struct {
	// Image is an image that tenants may run.
	Image string `json:"image,omitempty"`
	// Claims says that there are temporary namespaces.
	Claims bool `json:"claims"`
	// Deployers are the namespaces that have a deployer.
	Deployers []string `json:"deployers"`
}

// offers returns what the namespaces offer.
func (args PlatformArgs) offers() Offers {
	o := Offers{Image: args.Image, Claims: args.Claims, Deployers: []string{}}
	for i := range args.Tenants {
		if tenant := args.Tenants[i].WithDefaults(""); tenant.Deployer && !tenant.Suspended {
			o.Deployers = append(o.Deployers, tenant.Name)
		}
	}
	return o
}

// NewPlatform declares the platform. There is one in a cluster.
func NewPlatform(ctx *pulumi.Context, name string, args *PlatformArgs, opts ...pulumi.ResourceOption) (*Platform, error) {
	var a PlatformArgs
	if args != nil {
		a = *args
	}
	if err := CheckTenants(a.Tenants).Err(); err != nil {
		return nil, fmt.Errorf("platform %q: %w", name, err)
	}
	p := &Platform{}
	if err := ctx.RegisterComponentResourceV2(platformType, name, pulumi.Map{}, p, opts...); err != nil {
		return nil, err
	}
	labels := kube.ManagedLabels("journal")
	maps.Copy(labels, kube.PodSecurityLabels(restricted))
	var err error
	if p.Namespace, err = corev1.NewNamespace(ctx, name, &corev1.NamespaceArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(PlatformNamespace), Labels: pulumi.ToStringMap(labels)},
	}, pulumi.Parent(p)); err != nil {
		return nil, err
	}
	p.Name = p.Namespace.Metadata.Name().Elem()
	if p.PriorityClass, err = newPriorityClass(ctx, PlatformPriorityClass, platformPriority, "What serves all tenants.", p); err != nil {
		return nil, err
	}
	if p.JournalPriorityClass, err = newPriorityClass(ctx, JournalPriorityClass, journalPriority, "The application of the stack.", p); err != nil {
		return nil, err
	}

	within := []pulumi.ResourceOption{pulumi.Parent(p), pulumi.DeletedWith(p.Namespace)}
	if _, err := kube.Declare(ctx, name+"-default-deny", defaultDeny(), p.Name, within...); err != nil {
		return nil, err
	}
	users := declare.JSONConfigMap{Name: "users", Namespace: p.Name, Values: map[string]any{
		"users.json": Users(a.Tenants), "offers.json": a.offers(),
	}}
	if err := users.Declare(ctx, name+"-users", within...); err != nil {
		return nil, err
	}
	return p, ctx.RegisterResourceOutputs(p, pulumi.Map{"name": p.Name})
}
