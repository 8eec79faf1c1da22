package tenancy

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"example.com/journal/components/kube"
	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const (
	// controllerAccount is the ServiceAccount of the controller, which the admission policies know by name.
	controllerAccount = "namespace-controller"
	// controllerUser is the account as the API server knows it.
	controllerUser = "system:serviceaccount:" + PlatformNamespace + ":" + controllerAccount

	metricsPort = 8080
	healthPort  = 8081
)

// claimDefinition is the CustomResourceDefinition of the NamespaceClaim.
//
//go:embed namespaceclaim.yaml
var claimDefinition []byte

// Share is what all claims of one tenant may take together.
type Share struct {
	// Claims is how many there may be at a time.
	Claims int `json:"claims"`
	// CPU and Memory are the totals of the quotas of their namespaces.
	CPU    string `json:"cpu"`
	Memory string `json:"memory"`
}

// Limits bound what claims may ask for. The controller reads them at every look at a claim.
type Limits struct {
	// MaxTTL is the longest life of a claimed namespace, extensions included. The default is 72h.
	MaxTTL string `json:"maxTTL"`
	// DefaultTTL is the life of one that asks for none. The default is 8h.
	DefaultTTL string `json:"defaultTTL"`
	// WarnBefore is how long before its end the owner is warned. The default is 1h.
	WarnBefore string `json:"warnBefore"`
	// ClaimsPerOwner is how many one user may hold at a time. The default is 2.
	ClaimsPerOwner int `json:"claimsPerOwner"`
	// Share is what a tenant's claims may take together, by the tenant's name.
	Share map[string]Share `json:"share,omitempty"`
	// DefaultShare is the share of a tenant that Share does not name. The default is 4 claims, 8 CPUs and 16Gi.
	DefaultShare Share `json:"defaultShare"`
	// DryRun makes the controller say what it would do, and do nothing.
	DryRun bool `json:"dryRun"`
}

// ClaimsArgs are the parameters of the claims.
type ClaimsArgs struct {
	// Platform is where the controller runs. Required.
	Platform *Platform
	// Image is the controller's image, tagged v<semver>-<git sha>. Required.
	Image string
	// Replicas is the number of the controller's pods, of which one acts and the others wait. The default is 2.
	Replicas int
	// Resources are those of each pod. The default is 100m CPU and 128Mi of memory.
	Resources kube.Resources
	// Classes are the sizes to choose from. The default is small, medium and large.
	Classes Classes
	// Limits bound what claims may ask for.
	Limits Limits
	// Tenants are the names of the stack's tenants, so that a share for none of them is noticed.
	Tenants []string
	// IngressNamespace is the namespace of the Ingress controller, the only one outside that may connect to claimed
	// namespaces. By default every namespace may that is no tenant.
	IngressNamespace string
	// APIServerPorts are the ports of the API server that the controller connects to, its Service's and its own. The
	// default is 443 and 6443.
	APIServerPorts []int
}

// Claims lets developers ask for temporary namespaces: the NamespaceClaim, the controller that makes and deletes them,
// the fences that it puts around them, and the admission policies that bind its hands. The namespaces themselves are
// never in the engine's state.
type Claims struct {
	pulumi.ResourceState

	// Controller is the controller's Deployment. A namespace with claims is deleted before it, since only the controller
	// can end them.
	Controller *appsv1.Deployment
}

// withDefaults returns the limits with what is empty filled in.
func (l Limits) withDefaults() Limits {
	l.MaxTTL = cmp.Or(l.MaxTTL, "72h")
	l.DefaultTTL = cmp.Or(l.DefaultTTL, "8h")
	l.WarnBefore = cmp.Or(l.WarnBefore, "1h")
	l.ClaimsPerOwner = cmp.Or(l.ClaimsPerOwner, 2)
	l.DefaultShare = l.DefaultShare.withDefaults(Share{Claims: 4, CPU: "8", Memory: "16Gi"})
	shares := map[string]Share{}
	for tenant, share := range l.Share {
		shares[tenant] = share.withDefaults(l.DefaultShare)
	}
	l.Share = shares
	return l
}

// withDefaults returns the share with what is empty taken from the defaults.
func (s Share) withDefaults(defaults Share) Share {
	return Share{Claims: cmp.Or(s.Claims, defaults.Claims), CPU: cmp.Or(s.CPU, defaults.CPU), Memory: cmp.Or(s.Memory, defaults.Memory)}
}

// check returns every rule that the share breaks.
func (s Share) check() kube.Faults {
	var f kube.Faults
	if s.Claims < 1 {
		f.Refuse("claims", s.Claims, "it must be 1 or more; write for example 4")
	}
	f.Check("cpu", s.CPU, kube.CheckCPU(s.CPU))
	f.Check("memory", s.Memory, kube.CheckBytes(s.Memory))
	return f
}

// check returns every rule that the limits break. Shares are for tenants by these names, unless there are none.
func (l Limits) check(tenants []string) kube.Faults {
	var f kube.Faults
	duration := func(field, text string) time.Duration {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			f.Refuse(field, text, "not a duration above zero; write hours, minutes and seconds, such as 8h or 1h30m")
			return 0
		}
		return d
	}
	longest, standard, warn := duration("maxTTL", l.MaxTTL), duration("defaultTTL", l.DefaultTTL), duration("warnBefore", l.WarnBefore)
	if longest > 0 && standard > longest {
		f.Refuse("defaultTTL", l.DefaultTTL, "above maxTTL of %s; lower it or raise maxTTL", l.MaxTTL)
	}
	if longest > 0 && warn >= longest {
		f.Refuse("warnBefore", l.WarnBefore, "not below maxTTL of %s, so every namespace would be about to end from the start; lower it", l.MaxTTL)
	}
	if l.ClaimsPerOwner < 1 {
		f.Refuse("claimsPerOwner", l.ClaimsPerOwner, "it must be 1 or more; write for example 2")
	}
	f = append(f, l.DefaultShare.check().Under("defaultShare")...)
	for _, tenant := range slices.Sorted(maps.Keys(l.Share)) {
		path := "share." + tenant
		if len(tenants) > 0 && !slices.Contains(tenants, tenant) {
			f.Refuse(path, tenant, "no tenant of this stack; write the name of one, or remove the share")
		}
		f = append(f, l.Share[tenant].check().Under(path)...)
	}
	return f
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *ClaimsArgs) withDefaults() ClaimsArgs {
	var a ClaimsArgs
	if args != nil {
		a = *args
	}
	a.Replicas = cmp.Or(a.Replicas, 2)
	a.Resources = a.Resources.WithDefaults(kube.Resources{CPU: "100m", Memory: "128Mi"})
	a.Classes = a.Classes.WithDefaults()
	a.Limits = a.Limits.withDefaults()
	if len(a.APIServerPorts) == 0 {
		a.APIServerPorts = []int{443, 6443}
	}
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *ClaimsArgs) Check() kube.Faults {
	a := args.withDefaults()
	var f kube.Faults
	f.Check("image", a.Image, kube.CheckImage(a.Image, kube.OwnImage))
	if a.Replicas < 2 {
		f.Refuse("replicas", a.Replicas, "with less than 2 an update or a lost node leaves nobody to act; write 2 or more")
	}
	a.Resources.Check(&f)
	f = append(f, a.Classes.Check().Under("classes")...)
	f = append(f, a.Limits.check(a.Tenants).Under("limits")...)
	if a.IngressNamespace != "" {
		f.Check("ingressNamespace", a.IngressNamespace, kube.CheckName(a.IngressNamespace))
	}
	for _, port := range a.APIServerPorts {
		if port < 1 || port > 65535 {
			f.Refuse("apiServerPorts", port, "no port; write 1 to 65535, such as 6443")
		}
	}
	return f
}

// NewClaims declares the claims. The error names every argument that breaks a rule. There is one set in a cluster.
func NewClaims(ctx *pulumi.Context, name string, args *ClaimsArgs, opts ...pulumi.ResourceOption) (*Claims, error) {
	if err := args.Check().Err(); err != nil {
		return nil, fmt.Errorf("claims %q: %w", name, err)
	}
	a := args.withDefaults()
	if a.Platform == nil {
		return nil, fmt.Errorf("claims %q: %w", name, errors.New("platform is missing: the controller runs there; pass what NewPlatform returned"))
	}
	c := &Claims{}
	if err := ctx.RegisterComponentResourceV2(claimsType, name, pulumi.Map{
		"image":    pulumi.String(a.Image),
		"replicas": pulumi.Int(a.Replicas),
		"dryRun":   pulumi.Bool(a.Limits.DryRun),
	}, c, opts...); err != nil {
		return nil, err
	}
	if err := c.declare(ctx, name, a); err != nil {
		return nil, fmt.Errorf("claims %q: %w", name, err)
	}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{})
}

// declare creates the children and sets the fields.
func (c *Claims) declare(ctx *pulumi.Context, name string, a ClaimsArgs) error {
	var definition kube.Object
	if err := encoding.YAML.Unmarshal(claimDefinition, &definition); err != nil {
		return fmt.Errorf("namespaceclaim.yaml: %w", err)
	}
	crd, err := kube.Declare(ctx, name, definition, nil, pulumi.Parent(c))
	if err != nil {
		return err
	}
	if err := c.settings(ctx, name, a); err != nil {
		return err
	}
	if err := c.roles(ctx); err != nil {
		return err
	}
	// What the controller needs is there before it, and goes after it: it still ends the claims of namespaces that are
	// being deleted. So are the rules that bind its hands.
	needs := []pulumi.Resource{crd}
	rights, err := c.rights(ctx, name, a)
	if err != nil {
		return err
	}
	rules, err := c.admission(ctx)
	if err != nil {
		return err
	}
	return c.controller(ctx, name, a, slices.Concat(needs, rights, rules))
}

// settings declares the ConfigMaps that the controller reads: the fence of each class and the limits.
func (c *Claims) settings(ctx *pulumi.Context, name string, a ClaimsArgs) error {
	opts := []pulumi.ResourceOption{pulumi.Parent(c), pulumi.DeletedWith(a.Platform.Namespace)}
	for _, class := range a.Classes.Names() {
		size := a.Classes[class]
		configMap := "fence-" + class
		if err := newJSONConfigMap(ctx, name+"-"+configMap, configMap, a.Platform.Name, map[string]string{FenceLabel: class}, map[string]any{
			"objects.json":   fence(size, connections(a.IngressNamespace, false)),
			"namespace.json": map[string]any{"labels": kube.PodSecurityLabels(restricted)},
			"size.json":      size,
		}, opts...); err != nil {
			return err
		}
	}
	return newJSONConfigMap(ctx, name+"-limits", "claim-limits", a.Platform.Name, nil, map[string]any{"limits.json": a.Limits}, opts...)
}

// controller declares the controller's workload. A stack does not wait until it runs: nothing else does, and a claim
// that comes first is served when it does.
func (c *Claims) controller(ctx *pulumi.Context, name string, a ClaimsArgs, needs []pulumi.Resource) error {
	part := kube.Part{App: controllerAccount, Component: "controller", Instance: name, Image: a.Image}
	child := pulumi.Parent(c)

	ports := networkingv1.NetworkPolicyPortArray{}
	for _, port := range a.APIServerPorts {
		ports = append(ports, kube.TCP(port)...)
	}
	policy, err := networkingv1.NewNetworkPolicy(ctx, name, &networkingv1.NetworkPolicyArgs{
		Metadata: part.Meta(a.Platform.Name),
		Spec: networkingv1.NetworkPolicySpecArgs{
			PodSelector: metav1.LabelSelectorArgs{MatchLabels: part.Selector()},
			PolicyTypes: pulumi.ToStringArray([]string{"Ingress", "Egress"}),
			// Whatever is no tenant may read the metrics.
			Ingress: networkingv1.NetworkPolicyIngressRuleArray{networkingv1.NetworkPolicyIngressRuleArgs{
				From:  networkingv1.NetworkPolicyPeerArray{networkingv1.NetworkPolicyPeerArgs{NamespaceSelector: noTenant()}},
				Ports: kube.TCP(metricsPort),
			}},
			// The API server is no pod, so that no selector reaches it.
			Egress: networkingv1.NetworkPolicyEgressRuleArray{networkingv1.NetworkPolicyEgressRuleArgs{Ports: ports}},
		},
	}, child)
	if err != nil {
		return fmt.Errorf("network policy: %w", err)
	}
	if err := kube.NewDisruptionBudget(ctx, name, part, a.Platform.Name, c); err != nil {
		return err
	}
	account, err := corev1.NewServiceAccount(ctx, name, &corev1.ServiceAccountArgs{
		Metadata:                     part.Meta(a.Platform.Name), // the policies know it by its name, which is controllerAccount
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, child)
	if err != nil {
		return fmt.Errorf("service account: %w", err)
	}

	token, tokenMount := kube.APIToken() // namespaces are made by the API: this is what the program is for
	pod := kube.Pod{
		Part:                   part,
		ServiceAccount:         account.Metadata.Name().Elem(),
		TerminationGracePeriod: 30,
		Volumes:                corev1.VolumeArray{token},
		Container: corev1.ContainerArgs{
			Name:  pulumi.String(controllerAccount),
			Image: pulumi.String(a.Image),
			Args:  pulumi.ToStringArray([]string{"--namespace=" + PlatformNamespace}),
			Ports: corev1.ContainerPortArray{
				corev1.ContainerPortArgs{Name: pulumi.String("metrics"), ContainerPort: pulumi.Int(metricsPort)},
				corev1.ContainerPortArgs{Name: pulumi.String("health"), ContainerPort: pulumi.Int(healthPort)},
			},
			Resources:      a.Resources.Requirements(),
			VolumeMounts:   corev1.VolumeMountArray{tokenMount},
			StartupProbe:   kube.HTTPProbe("health", "/healthz", 2, 30),
			ReadinessProbe: kube.HTTPProbe("health", "/readyz", 5, 3),
			LivenessProbe:  kube.HTTPProbe("health", "/healthz", 10, 3),
		},
	}
	deployment := part.WorkloadMeta(a.Platform.Name)
	deployment.Annotations = pulumi.StringMap{kube.SkipAwait: pulumi.String("true")}
	c.Controller, err = appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: deployment,
		Spec: appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(a.Replicas),
			Selector: metav1.LabelSelectorArgs{MatchLabels: part.Selector()},
			Strategy: kube.RollingUpdate(),
			Template: pod.Template(),
		},
	}, child, pulumi.DependsOn(append(needs, policy)))
	if err != nil {
		return fmt.Errorf("deployment: %w", err)
	}
	return nil
}

// noTenant selects the namespaces that belong to no tenant.
func noTenant() metav1.LabelSelectorArgs {
	return metav1.LabelSelectorArgs{MatchExpressions: metav1.LabelSelectorRequirementArray{metav1.LabelSelectorRequirementArgs{
		Key: pulumi.String(TenantLabel), Operator: pulumi.String("DoesNotExist"),
	}}}
}
