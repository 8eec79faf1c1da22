package stacks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/journal/components/kube"
	"example.com/journal/components/tenancy"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Cluster is what a stack decides about the cluster that its applications share. Each field is one key of Pulumi.yaml.
type Cluster struct {
	// Classes are the sizes of namespaces.
	Classes tenancy.Classes
	// Tenants are the people and teams with a namespace.
	Tenants []tenancy.TenantArgs
	// Tenant is the journal's own namespace, apart from its name.
	Tenant tenancy.TenantArgs
	// ImagePolicy is what the cluster does with an image that can change.
	ImagePolicy tenancy.ImagePolicyArgs
	// ClaimsImage is the controller of temporary namespaces; empty for none.
	ClaimsImage string
	// ClaimsLimits bound the temporary namespaces.
	ClaimsLimits tenancy.Limits
	// Kubeconfig is what the kubeconfigs in the outputs have in common; without a command there are none.
	Kubeconfig tenancy.KubeconfigArgs
}

// keys are the keys that set the fields.
func (c *Cluster) keys() []key {
	return []key{
		structured("classes", &c.Classes),
		list("tenants", &c.Tenants),
		structured("tenant", &c.Tenant),
		text("imagePolicy", &c.ImagePolicy.Action),
		text("claimsImage", &c.ClaimsImage),
		structured("claimsLimits", &c.ClaimsLimits),
		text("clusterName", &c.Kubeconfig.Cluster),
		text("clusterServer", &c.Kubeconfig.Server),
		text("clusterCertificateAuthority", &c.Kubeconfig.CertificateAuthority),
		structured("loginCommand", &c.Kubeconfig.Command),
	}
}

// structured binds a key whose value is an object, or a list of texts.
func structured[T any](name string, field *T) key {
	return key{name, func(text string) (f kube.Faults) {
		f.Check("", text, decode([]byte(text), field))
		return f
	}}
}

// list binds a key whose value is a list of objects. Each is decoded by itself, so that the faults of all are reported.
func list[T any](name string, field *[]T) key {
	return key{name, func(text string) (f kube.Faults) {
		var elements []json.RawMessage
		if err := json.Unmarshal([]byte(text), &elements); err != nil {
			f.Refuse("", text, "not a list; begin each element with a hyphen")
			return f
		}
		*field = make([]T, len(elements))
		for i, element := range elements {
			f.Check(fmt.Sprintf("[%d]", i), string(element), decode(element, &(*field)[i]))
		}
		return f
	}}
}

// decode reads one JSON value strictly: a misspelt field is an error, not a default.
func decode(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType) && wrongType.Type.Kind().String() == "string":
		return fmt.Errorf("%s: a %s where a text is expected; write it in quotes", wrongType.Field, wrongType.Value)
	case errors.As(err, &wrongType):
		return fmt.Errorf("%s: a %s where a value of type %s is expected", wrongType.Field, wrongType.Value, wrongType.Type.Kind())
	case err != nil:
		return errors.New(strings.TrimPrefix(err.Error(), "json: ") + "; Pulumi.yaml and the README say which fields there are")
	}
	return nil
}

// complete gives the tenants what the stack says once for all, and the journal's own its name. It returns the faults of
// what it would otherwise overwrite.
func (c *Cluster) complete(whole Config) (f kube.Faults) {
	if c.Tenant.Name != "" {
		f.Refuse("tenant.name", c.Tenant.Name, "the journal's namespace is named by the key namespace; remove this")
	}
	c.Tenant.Name = whole.Namespace
	for _, tenant := range c.all() {
		tenant.Classes, tenant.IngressNamespace = c.Classes, whole.Journal.IngressNamespace
	}
	return f
}

// check returns every rule that the completed cluster breaks within the whole configuration.
func (c *Cluster) check(whole Config) kube.Faults {
	f := c.Classes.Check().Under("classes")
	f = append(f, tenancy.CheckTenants(c.Tenants)...)
	for _, fault := range c.Tenant.Check(whole.Namespace).Under("tenant") {
		if fault.Field != "tenant.name" { // reported as namespace
			f = append(f, fault)
		}
	}
	if i := slices.IndexFunc(c.Tenants, func(t tenancy.TenantArgs) bool { return t.Name == whole.Namespace }); i >= 0 {
		f.Refuse(fmt.Sprintf("tenants[%d].name", i), whole.Namespace, "the journal's own namespace; write another one, or move the journal with the key namespace")
	}
	for _, fault := range c.ImagePolicy.Check() {
		fault.Field = "imagePolicy"
		f = append(f, fault)
	}
	if c.ClaimsImage != "" {
		for _, fault := range c.claims(whole, nil).Check() {
			if !strings.HasPrefix(fault.Field, "classes.") { // reported above
				f = append(f, fault.Within("claims"))
			}
		}
	}
	if len(c.Kubeconfig.Command) > 0 {
		args := c.Kubeconfig
		args.Namespace = whole.Namespace
		for _, fault := range args.Check() {
			fault = fault.Within("cluster")
			fault.Field = strings.Replace(fault.Field, "clusterCluster", "clusterName", 1)
			f = append(f, fault)
		}
	}
	return f
}

// all are the tenants of the stack, the journal's own among them.
func (c *Cluster) all() []*tenancy.TenantArgs {
	all := []*tenancy.TenantArgs{&c.Tenant}
	for i := range c.Tenants {
		all = append(all, &c.Tenants[i])
	}
	return all
}

// claims are the parameters of the temporary namespaces.
func (c *Cluster) claims(whole Config, platform *tenancy.Platform) *tenancy.ClaimsArgs {
	var names []string
	for _, tenant := range c.all() {
		names = append(names, tenant.Name)
	}
	return &tenancy.ClaimsArgs{
		Platform:         platform,
		Image:            c.ClaimsImage,
		Classes:          c.Classes,
		Limits:           c.ClaimsLimits,
		Tenants:          names,
		IngressNamespace: whole.Journal.IngressNamespace,
	}
}

// deploy declares what the namespaces share and then every namespace. It returns the journal's own.
func (c *Cluster) deploy(ctx *pulumi.Context, whole Config) (*tenancy.Tenant, error) {
	everyone := append(slices.Clone(c.Tenants), c.Tenant)
	if _, err := tenancy.NewRoles(ctx, "roles", &tenancy.RolesArgs{Everybody: tenancy.Everybody(everyone)}); err != nil {
		return nil, err
	}
	if _, err := tenancy.NewImagePolicy(ctx, "image-policy", &c.ImagePolicy); err != nil {
		return nil, err
	}
	platform, err := tenancy.NewPlatform(ctx, "platform", &tenancy.PlatformArgs{Tenants: everyone})
	if err != nil {
		return nil, err
	}
	var claims *tenancy.Claims
	if c.ClaimsImage != "" {
		if claims, err = tenancy.NewClaims(ctx, "claims", c.claims(whole, platform)); err != nil {
			return nil, err
		}
	}
	var own *tenancy.Tenant
	for _, args := range c.all() {
		args.Claims = claims
		tenant, err := tenancy.NewTenant(ctx, args.Name, args)
		if err != nil {
			return nil, err
		}
		if args == &c.Tenant {
			own = tenant
		}
	}
	return own, c.exportKubeconfigs(ctx)
}

// exportKubeconfigs puts a kubeconfig for each tenant into the outputs, for users of an identity provider. It holds no
// secret: a program signs the user in.
func (c *Cluster) exportKubeconfigs(ctx *pulumi.Context) error {
	if len(c.Kubeconfig.Command) == 0 {
		return nil
	}
	kubeconfigs := pulumi.StringMap{}
	for _, tenant := range c.all() {
		args := c.Kubeconfig
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
