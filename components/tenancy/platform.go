package tenancy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"example.com/journal/components/kube"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// PlatformArgs are the parameters of the platform.
type PlatformArgs struct {
	// Tenants are all tenants of the stack; the directory lists their users.
	Tenants []TenantArgs
}

// Platform is the namespace of what serves all tenants, closed by default, and the directory of users in it: whoever
// gives out credentials gives them to nobody else.
type Platform struct {
	pulumi.ResourceState

	// Namespace is the namespace.
	Namespace *corev1.Namespace
	// Name is the name of the namespace.
	Name pulumi.StringOutput `pulumi:"name"`
}

// Entry is what the directory says about one user.
type Entry struct {
	// Namespace is where the user's commands go by default.
	Namespace string `json:"namespace"`
	// Namespaces are the user's roles, by namespace.
	Namespaces map[string]string `json:"namespaces"`
}

// Directory returns the declared users by name. The default namespace of a user is the one of the same name, else the
// first in which the role is highest. Members of groups are known to the identity provider alone.
func Directory(tenants []TenantArgs) map[string]Entry {
	directory := map[string]Entry{}
	rank := map[string]int{}
	for i := range tenants {
		tenant := tenants[i].withDefaults("")
		for r, list := range tenant.Members.lists() {
			for _, subject := range list.subjects {
				user := subject.Name()
				if subject.Kind() != "User" {
					continue
				}
				entry, known := directory[user]
				if !known {
					entry.Namespaces = map[string]string{}
				}
				entry.Namespaces[tenant.Name] = list.role
				if entry.Namespace != user && (!known || tenant.Name == user || r < rank[user]) {
					entry.Namespace, rank[user] = tenant.Name, r
				}
				directory[user] = entry
			}
		}
	}
	return directory
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
	labels := kube.ManagedLabels()
	maps.Copy(labels, kube.PodSecurityLabels(restricted))
	var err error
	if p.Namespace, err = corev1.NewNamespace(ctx, name, &corev1.NamespaceArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(PlatformNamespace), Labels: pulumi.ToStringMap(labels)},
	}, pulumi.Parent(p)); err != nil {
		return nil, err
	}
	p.Name = p.Namespace.Metadata.Name().Elem()

	within := []pulumi.ResourceOption{pulumi.Parent(p), pulumi.DeletedWith(p.Namespace)}
	if _, err := kube.Declare(ctx, name+"-default-deny", defaultDeny(), p.Name, within...); err != nil {
		return nil, err
	}
	if err := newJSONConfigMap(ctx, name+"-directory", "directory", p.Name, nil, map[string]any{"users.json": Directory(a.Tenants)}, within...); err != nil {
		return nil, err
	}
	return p, ctx.RegisterResourceOutputs(p, pulumi.Map{"name": p.Name})
}

// newJSONConfigMap declares a ConfigMap by the fixed name that programs read it by, with a JSON text for each key.
func newJSONConfigMap(ctx *pulumi.Context, logical, name string, namespace pulumi.StringInput, labels map[string]string, values map[string]any, opts ...pulumi.ResourceOption) error {
	data := pulumi.StringMap{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		text, err := json.Marshal(values[key])
		if err != nil {
			return fmt.Errorf("config map %s: %s: %w", name, key, err)
		}
		data[key] = pulumi.String(text)
	}
	all := kube.ManagedLabels()
	maps.Copy(all, labels)
	_, err := corev1.NewConfigMap(ctx, logical, &corev1.ConfigMapArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(name), Namespace: namespace, Labels: pulumi.ToStringMap(all)},
		Data:     data,
	}, opts...)
	if err != nil {
		return fmt.Errorf("config map %s: %w", name, err)
	}
	return nil
}
