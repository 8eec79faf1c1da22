// Package claims lets developers ask for temporary namespaces. It declares the NamespaceClaim, the controller that creates and
// deletes the namespaces, the controller's rights, and the limits of what claims may ask for.
package claims

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"slices"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/internal/declare"
	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
	"example.com/journal/components/tenancy"
)

// componentType is the type of the component, as `pulumi stack` shows it.
const componentType = "journal:components:Claims"

const (
	// controllerAccount is the ServiceAccount of the controller. The admission policies refer to it by name.
	controllerAccount = "namespace-controller"
	// controllerUser is the account as the API server knows it.
	controllerUser = "system:serviceaccount:" + tenancy.PlatformNamespace + ":" + controllerAccount

	metricsPort = 8080
	healthPort  = 8081
)

// claimDefinition is the CustomResourceDefinition of the NamespaceClaim.
//
//go:embed namespaceclaim.yaml
var claimDefinition []byte

// Args are the parameters of the claims.
type Args struct {
	// Image is the controller's image, tagged v<semver>-<git sha>.
	Image pulumi.StringInput `json:"image" required:"true" example:"registry.example.com/namespace-controller:v1.2.3-0a1b2c3"`
	// MaxTTL is the longest lifetime of a claimed namespace, including extensions.
	MaxTTL string `json:"maxTTL" default:"72h"`
	// DefaultTTL is the lifetime of a claimed namespace whose claim asks for none.
	DefaultTTL string `json:"defaultTTL" default:"8h"`
	// WarnBefore is how long before a claimed namespace expires its owner is warned.
	WarnBefore string `json:"warnBefore" default:"1h"`
	// ClaimsPerOwner is how many claims one user may hold at a time.
	ClaimsPerOwner int `json:"claimsPerOwner" default:"2" minimum:"1"`
	// Share is what a tenant's claims may use together, by the tenant's name. DefaultShare fills in omitted fields.
	Share map[string]Share `json:"share"`
	// DefaultShare is the share of tenants that Share does not list. Fields that it leaves out come from the tenant's class.
	DefaultShare Share `json:"defaultShare"`
	// DryRun makes the controller report what it would do without doing it. Off by default.
	DryRun bool `json:"dryRun"`

	// Platform is the platform in whose namespace the controller runs. Required.
	Platform *tenancy.Platform `json:"-"`
	// Replicas is the number of the controller's pods. One is active and the others stand by. With fewer than 2, no pod is
	// active during an update or after the loss of a node.
	Replicas int `json:"-" default:"2" minimum:"2"`
	// Resources are those of each pod.
	Resources kube.Resources `json:"-" default:"cpu=100m memory=128Mi"`
	// Classes are the sizes to choose from. The default is small, medium and large.
	Classes tenancy.Classes `json:"-"`
	// Tenants are the stack's tenants. Their classes limit what each may claim, and their members alone get rights in
	// what is claimed.
	Tenants []tenancy.TenantArgs `json:"-"`
	// Domain is the domain of claimed namespaces: their Ingresses may use the hosts below <namespace>.<domain>. The default is
	// tenancy.DefaultDomain.
	Domain string `json:"-"`
	// DNS are address ranges of the cluster's DNS, besides its pods in kube-system.
	DNS kube.DNS `json:"-"`
	// IngressNamespace is the namespace of the Ingress controller, the only other namespace that may connect to claimed
	// namespaces. By default every namespace that belongs to no tenant may connect.
	IngressNamespace string `json:"-"`
	// MetricsNamespace is the namespace of the metric store, whose pods may read the figures of the controller and of the pods in
	// claimed namespaces. None by default.
	MetricsNamespace string `json:"-"`
	// ClusterAddresses are ranges of the cluster's pods, Services and nodes that are public. The Internet does not include them.
	ClusterAddresses tenancy.Addresses `json:"-"`
	// APIServerPorts are the ports on which the controller connects to the API server: its Service's and its own. The default
	// is 443 and 6443.
	APIServerPorts []int `json:"-" minimum:"1" maximum:"65535"`
}

// Claims lets developers ask for temporary namespaces. It has the NamespaceClaim, the controller that creates and deletes
// them, the policy objects that it applies in them, and the admission policies that limit what it may write. The namespaces
// are never in the engine's state.
type Claims struct {
	pulumi.ResourceState

	// Controller is the controller's Deployment. A namespace with claims must be deleted before it, since only the controller
	// can remove the claims' finalizers.
	Controller *appsv1.Deployment
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *Args) withDefaults() Args {
	var a Args
	if args != nil {
		a = *args
	}
	tenants, platform := a.Tenants, a.Platform // have defaults of their own
	a.Tenants, a.Platform = nil, nil
	rules.SetDefaults(&a)
	a.Tenants, a.Platform = tenants, platform
	a.Resources = a.Resources.WithLimits()
	a.Classes = a.Classes.WithDefaults()
	a.Domain = cmp.Or(a.Domain, tenancy.DefaultDomain)
	if len(a.APIServerPorts) == 0 {
		a.APIServerPorts = []int{443, 6443}
	}
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *Args) Check() rules.Faults {
	a := args.withDefaults()
	tagged := a
	tagged.Tenants, tagged.Platform = nil, nil // are checked where they are declared
	tagged.DefaultShare = a.DefaultShare.withDefaults(shareOf(tenancy.Small(), a.Classes))
	f := rules.CheckTags(&tagged)
	f.Check("image", a.Image, kube.CheckImage(a.Image, rules.OwnImage))
	f = append(f, a.Resources.Check().In("resources")...)
	f = append(f, a.Classes.Check().In("classes")...)
	f = append(f, a.checkLimits()...)
	f.Check("domain", a.Domain, rules.CheckHost(a.Domain))
	f = append(f, a.DNS.Check()...)
	f = append(f, a.ClusterAddresses.Check()...)
	if a.IngressNamespace != "" {
		f.Check("ingressNamespace", a.IngressNamespace, rules.CheckName(a.IngressNamespace))
	}
	if a.MetricsNamespace != "" {
		f.Check("metricsNamespace", a.MetricsNamespace, rules.CheckName(a.MetricsNamespace))
	}
	return f
}

// New declares the claims. The error names every argument that breaks a rule. There is one set in a cluster.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Claims, error) {
	if err := args.Check().Err(); err != nil {
		return nil, fmt.Errorf("claims %q: %w", name, err)
	}
	a := args.withDefaults()
	if a.Platform == nil {
		return nil, fmt.Errorf("claims %q: %w", name, errors.New("platform is missing: the controller runs there; pass what NewPlatform returned"))
	}
	c := &Claims{}
	if err := ctx.RegisterComponentResourceV2(componentType, name, pulumi.Map{
		"image":    a.Image,
		"replicas": pulumi.Int(a.Replicas),
		"dryRun":   pulumi.Bool(a.DryRun),
	}, c, opts...); err != nil {
		return nil, err
	}
	if err := c.declare(ctx, name, a); err != nil {
		return nil, fmt.Errorf("claims %q: %w", name, err)
	}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{})
}

// declare creates the children and sets the fields.
func (c *Claims) declare(ctx *pulumi.Context, name string, a Args) error {
	needs, err := c.definitions(ctx, name)
	if err != nil {
		return err
	}
	if err := c.roles(ctx); err != nil {
		return err
	}
	// What the controller needs is created before it and deleted after it, because it must still end the claims of namespaces
	// that are being deleted. The admission policies that limit what it may write are among these resources.
	rights, err := c.rights(ctx, name, a)
	if err != nil {
		return err
	}
	rules, err := c.admission(ctx, a)
	if err != nil {
		return err
	}
	// The controller applies new settings at once, so that the policies must know them before.
	if err := c.settings(ctx, name, a, rules); err != nil {
		return err
	}
	return c.controller(ctx, name, a, slices.Concat(needs, rights, rules))
}

// definitions declares the kinds of the claims and of the budgets.
func (c *Claims) definitions(ctx *pulumi.Context, name string) (all []pulumi.Resource, err error) {
	for _, d := range []struct {
		name, file string
		text       []byte
	}{{name, "namespaceclaim.yaml", claimDefinition}, {name + "-budgets", "budget.yaml", budgetDefinition}} {
		var definition kube.Object
		if err := encoding.YAML.Unmarshal(d.text, &definition); err != nil {
			return nil, fmt.Errorf("%s: %w", d.file, err)
		}
		crd, err := kube.Declare(ctx, d.name, definition, nil, pulumi.Parent(c))
		if err != nil {
			return nil, err
		}
		all = append(all, crd)
	}
	return all, nil
}

// settings declares the ConfigMaps that the controller reads: one for each class, and the limits.
func (c *Claims) settings(ctx *pulumi.Context, name string, a Args, after []pulumi.Resource) error {
	opts := []pulumi.ResourceOption{pulumi.Parent(c), pulumi.DeletedWith(a.Platform.Namespace), pulumi.DependsOn(after)}
	for _, class := range a.Classes.Names() {
		size := a.Classes[class]
		configMap := declare.JSONConfigMap{
			Name: "class-" + class, Namespace: a.Platform.Name, Labels: map[string]string{tenancy.ClassLabel: class},
			Values: map[string]any{
				"objects.json":   a.policyObjects(size),
				"namespace.json": map[string]any{"labels": kube.PodSecurityLabels(kube.RestrictedPods)},
				"size.json":      size,
			},
		}
		if err := configMap.Declare(ctx, name+"-class-"+class, opts...); err != nil {
			return err
		}
	}
	return declare.JSONConfigMap{Name: "claim-limits", Namespace: a.Platform.Name, Values: map[string]any{
		"limits.json":  a.limits(),
		"domain.json":  a.Domain,
		"network.json": a.network(),
		// The controller reads here what it writes into the quotas of suspended namespaces.
		"suspended.json": tenancy.SuspendedQuota(),
	}}.Declare(ctx, name+"-limits", opts...)
}

// policyObjects returns the policy objects of a claimed namespace of a size. A claimed namespace may have no claims in it. The
// policy for the metric store is there even without one: the controller may not delete policies, so it closes by an empty one
// what was open before.
func (args *Args) policyObjects(size tenancy.Class) []kube.Object {
	policies := tenancy.NetworkPolicies(args.IngressNamespace, args.DNS, false)
	return tenancy.PolicyObjects(claimed(size), 0, append(policies, tenancy.Monitoring(args.MetricsNamespace)))
}
