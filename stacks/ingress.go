package stacks

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/ingress"
	"example.com/journal/components/journal"
	"example.com/journal/components/rules"
	"example.com/journal/components/tenancy"
)

// completeIngress adjusts the controller and the rest of the stack to each other: the controller serves the kind that exposes
// the journal, in the stack's namespaces, and pods accept connections from its namespace. With claims it serves every
// namespace, since claimed ones come and go and Traefik reads its list only when it starts.
func (c *Config) completeIngress() {
	j := &c.Journal
	j.DNS, j.IngressNamespace = c.Cluster.DNS, c.Cluster.IngressNamespace
	a := c.IngressController
	if a == nil {
		return
	}
	a.MiddlewareNamespace = c.Namespace
	if c.Claims == nil {
		a.Namespaces = []string{c.Namespace}
		for _, tenant := range c.Tenants {
			a.Namespaces = append(a.Namespaces, tenant.Name)
		}
	}
	a.Namespace = cmp.Or(a.Namespace, ingress.Defaults().Namespace)
	a.Class = cmp.Or(a.Class, j.Exposure.Class)
	a.Gateway = j.Exposure.Kind == journal.KindGateway
	a.PriorityClass = tenancy.PlatformPriorityClass
	j.IngressNamespace = cmp.Or(j.IngressNamespace, a.Namespace)
}

// checkIngress returns every rule that the completed controller breaks within the whole configuration.
func (c *Config) checkIngress() rules.Faults {
	a := c.IngressController
	if a == nil {
		return nil
	}
	f := slices.DeleteFunc(a.Check(), func(fault *rules.Fault) bool { // reported as namespace and tenants
		return fault.Path == "middlewareNamespace" || strings.HasPrefix(fault.Path, "namespaces[")
	})
	taken := a.Namespace == tenancy.PlatformNamespace
	for _, tenant := range c.tenants() {
		// A tenant itself refuses the name of the namespace from which pods accept the controller's connections.
		taken = taken || tenant.Name == a.Namespace && a.Namespace != c.Journal.IngressNamespace
	}
	if taken {
		example := ingress.Defaults().Namespace
		if a.Namespace == example {
			example = "ingress"
		}
		f.Refuse("namespace", a.Namespace, "another namespace of the stack has this name; write another one, such as %s", example)
	}
	return f.In("ingressController")
}

// deployIngress declares the controller, if there is one, after what it needs: the namespaces that it serves, and its priority
// class.
func (c *Config) deployIngress(ctx *pulumi.Context, needs []pulumi.Resource, opts ...pulumi.ResourceOption) error {
	if c.IngressController == nil {
		return nil
	}
	args := *c.IngressController
	args.Needs = append(args.Needs, needs...)
	_, err := ingress.NewController(ctx, "ingress-controller", &args, opts...)
	return err
}
