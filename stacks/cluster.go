package stacks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/journal"
	"example.com/journal/components/rules"
	"example.com/journal/components/tenancy"
	"example.com/journal/components/tenancy/claims"
)

// tenants are the tenants of the stack, the journal's own first. A journal in a namespace that exists has none.
func (c *Config) tenants() []*tenancy.TenantArgs {
	if c.ExistingNamespace {
		return nil
	}
	all := []*tenancy.TenantArgs{&c.Tenant}
	for i := range c.Tenants {
		all = append(all, &c.Tenants[i])
	}
	return all
}

// protected are the names of the tenants whose namespaces the engine refuses to delete.
func (c *Config) protected() (names []string) {
	for _, tenant := range c.tenants() {
		if !tenant.Unprotected {
			names = append(names, tenant.Name)
		}
	}
	return names
}

// completeTenant copies the stack's shared settings to the tenants, and name and host to the journal's own. It returns the
// faults of fields that it would otherwise overwrite.
func (c *Config) completeTenant() (f rules.Faults) {
	if c.Tenant.Name != "" {
		f.Refuse("tenant.name", c.Tenant.Name, "the journal's namespace is named by the key namespace; remove this")
	}
	if others := c.Tenant.Egress.Tenants; len(others) > 0 {
		f.Refuse("tenant.egress.tenants", others, "the journal is reached by its host; remove them")
		c.Tenant.Egress.Tenants = nil // reported
	}
	c.Tenant.Name, c.Tenant.Reserved = c.Namespace, true
	for _, tenant := range c.tenants() {
		tenant.Classes, tenant.Domain, tenant.DNS = c.Classes, c.Cluster.Domain, c.Cluster.DNS
		tenant.IngressNamespace, tenant.ClusterAddresses = c.Journal.IngressNamespace, c.Cluster.Addresses
		tenant.PullSecret, tenant.Logs = c.Cluster.PullSecret, c.Logs != nil
		tenant.Unprotected = tenant.Unprotected || c.Cluster.Unprotected
	}
	exposure := c.Journal.Exposure
	if host := exposure.HostName(); rules.CheckHost(host) != nil {
		// reported as exposure.host
	} else if len(c.Tenant.Hosts) == 0 {
		c.Tenant.Hosts = []string{host}
	} else if !slices.Contains(c.Tenant.Hosts, host) {
		f.Refuse("tenant.hosts", c.Tenant.Hosts, "the journal's own host is not among them; add %s, or leave them out", host)
	}
	c.Tenant.Certificates = c.Tenant.Certificates || exposure.TLS.Enabled()
	c.Tenant.PriorityClass = tenancy.JournalPriorityClass
	return f
}

// checkTenants returns every rule that the completed tenants break, each alone, all together, and with the journal.
func (c *Config) checkTenants() rules.Faults {
	f := c.Classes.Check().In("classes")
	own := slices.IndexFunc(c.Tenants, func(t tenancy.TenantArgs) bool { return t.Name == c.Namespace })
	for _, fault := range tenancy.CheckTenants(c.Tenants, c.Tenant.Hosts...) {
		if own < 0 || !strings.HasPrefix(fault.Path, fmt.Sprintf("tenants[%d].hosts", own)) { // its name is refused
			f = append(f, fault)
		}
	}
	for _, fault := range c.Tenant.Check(c.Namespace).In("tenant") {
		if fault.Path == "tenant.name" { // see completeTenant
			fault.Path = "namespace"
		}
		f = append(f, fault)
	}
	if size := c.Tenant.Size(); len(size.Check()) == 0 { // a class that is itself wrong is reported with the classes
		f = append(f, size.Fits("the journal's", c.Journal.Demand()).In("tenant.overrides")...)
	}
	for i, tenant := range c.Tenants {
		path := fmt.Sprintf("tenants[%d].name", i)
		switch {
		case tenant.Name == "": // reported above
		case tenant.Name == c.Namespace:
			f.Refuse(path, tenant.Name, "the journal's own namespace; write another one, or move the journal with the key namespace")
		case !strings.HasPrefix(tenant.Name, "journal-"): // these are refused anyway
			f.Check(path, tenant.Name, tenancy.Joined(tenant.Name, c.Namespace))
		}
	}
	return f
}

// checkImages returns the journal's images that the stack's own policy refuses, since the journal's namespace is a tenant too.
func (c *Config) checkImages() (f rules.Faults) {
	if len(c.Cluster.ImagePolicy.Check()) > 0 {
		return nil
	}
	type named struct {
		path  string
		value pulumi.StringInput
	}
	images := []named{
		{"redis.image", c.Journal.Redis.Image}, {"api.image", c.Journal.API.Image}, {"frontend.image", c.Journal.Frontend.Image},
	}
	if exporter := c.Journal.Redis.Exporter; exporter != nil {
		images = append(images, named{"redis.exporter.image", exporter.Image})
	}
	for _, image := range images {
		if plain, isPlain := image.value.(pulumi.String); isPlain { // otherwise it is missing
			f.Check(image.path, plain, c.Cluster.ImagePolicy.CheckImage("cluster.imagePolicy", string(plain)))
		}
	}
	return f
}

// claims returns the complete parameters of the temporary namespaces.
func (c *Config) claims(platform *tenancy.Platform) *claims.Args {
	args := *c.Claims
	for _, tenant := range c.tenants() {
		args.Tenants = append(args.Tenants, *tenant)
	}
	args.Platform, args.Classes, args.Domain, args.DNS = platform, c.Classes, c.Cluster.Domain, c.Cluster.DNS
	args.IngressNamespace, args.ClusterAddresses = c.Journal.IngressNamespace, c.Cluster.Addresses
	args.MetricsNamespace = c.metricsNamespace()
	return &args
}

func (c *Config) checkClaims() rules.Faults {
	if c.Claims == nil {
		return nil
	}
	f := c.claims(nil).Check()
	return slices.DeleteFunc(f, func(fault *rules.Fault) bool { return strings.HasPrefix(fault.Path, "classes.") }).In("claims") // reported as classes
}

func (c *Config) checkKubeconfig() rules.Faults {
	if c.Cluster.Kubeconfig == nil {
		return nil
	}
	args := *c.Cluster.Kubeconfig
	args.Namespace = c.Namespace
	f := args.Check()
	return slices.DeleteFunc(f, func(fault *rules.Fault) bool { return fault.Path == "namespace" }).In("cluster.kubeconfig") // reported as namespace
}

// deployTenants declares what the namespaces share and then every namespace. It returns the tenants, the journal's own first,
// and the platform.
func (c *Config) deployTenants(ctx *pulumi.Context, opts ...pulumi.ResourceOption) ([]*tenancy.Tenant, *tenancy.Platform, error) {
	everyone := append(slices.Clone(c.Tenants), c.Tenant)
	if _, err := tenancy.NewRoles(ctx, "roles", &tenancy.RolesArgs{
		Everybody: tenancy.Everybody(everyone),
		Gateway:   c.Journal.Exposure.Kind == journal.KindGateway,
	}, opts...); err != nil {
		return nil, nil, err
	}
	if _, err := tenancy.NewImagePolicy(ctx, "image-policy", &c.Cluster.ImagePolicy, opts...); err != nil {
		return nil, nil, err
	}
	policies, err := tenancy.NewAdmissionPolicies(ctx, "admission-policies", &c.Cluster.AdmissionPoliciesArgs, opts...)
	if err != nil {
		return nil, nil, err
	}
	if _, err := tenancy.NewQuotaPolicy(ctx, "quota-policy", &tenancy.QuotaPolicyArgs{Namespaces: []string{c.Namespace}}, opts...); err != nil {
		return nil, nil, err
	}
	image, _ := c.Journal.Frontend.Image.(pulumi.String) // read from the configuration, and checked against the policy of images
	platform, err := tenancy.NewPlatform(ctx, "platform", &tenancy.PlatformArgs{
		Tenants: everyone, Claims: c.Claims != nil, Image: string(image),
	}, opts...)
	if err != nil {
		return nil, nil, err
	}
	needs := slices.Clone(policies.Bindings)
	if c.Cluster.PullSecret != nil {
		pull, err := tenancy.NewPullSecretPolicy(ctx, "pull-secret-policy", opts...)
		if err != nil {
			return nil, nil, err
		}
		needs = append(needs, pull.Bindings...)
	}
	if c.Claims != nil {
		temporary, err := claims.New(ctx, "claims", c.claims(platform), opts...)
		if err != nil {
			return nil, nil, err
		}
		needs = append(needs, temporary.Controller)
	}
	var tenants []*tenancy.Tenant
	for _, args := range c.tenants() {
		args.DependsOn = needs
		tenant, err := tenancy.NewTenant(ctx, args.Name, args, opts...)
		if err != nil {
			return nil, nil, err
		}
		tenants = append(tenants, tenant)
	}
	return tenants, platform, c.exportKubeconfigs(ctx)
}

// exportKubeconfigs exports a kubeconfig for each tenant, for users who sign in with an identity provider. It holds no secret:
// an exec plugin signs the user in.
func (c *Config) exportKubeconfigs(ctx *pulumi.Context) error {
	if c.Cluster.Kubeconfig == nil {
		return nil
	}
	kubeconfigs := pulumi.StringMap{}
	for _, tenant := range c.tenants() {
		args := *c.Cluster.Kubeconfig
		args.Namespace = tenant.Name
		text, err := tenancy.Kubeconfig(args)
		if err != nil {
			return err
		}
		kubeconfigs[tenant.Name] = pulumi.String(text)
	}
	ctx.Export("kubeconfigs", kubeconfigs)
	return nil
}
