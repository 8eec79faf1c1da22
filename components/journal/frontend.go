package journal

import (
	"cmp"
	"fmt"

	"example.com/journal/components/kube"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// FrontendArgs are the parameters of the static page.
type FrontendArgs struct {
	// App is the name of the Service and the value of the label `app`. The default is the component's name.
	App string
	// Namespace is where the page is served. The default is the provider's namespace.
	Namespace pulumi.StringInput
	// Image is the journal-web image, tagged v<semver>-<git sha>. Required.
	Image string
	// Replicas is the number of pods, at least 2, so that an update or a lost node takes nothing away. The default is 2.
	Replicas int
	// Resources are those of each pod. The default is 50m CPU and 32Mi of memory.
	Resources kube.Resources
	// IngressNamespace is the namespace of the Ingress controller, the only one that may connect. By default pods of
	// every namespace may.
	IngressNamespace string
}

// Frontend is the journal's page, served by NGINX: a Deployment behind a Service. Its pods connect to nothing: the
// browser asks the API.
type Frontend struct {
	pulumi.ResourceState

	// ServiceName is the name of the Service, whose port is kube.ServicePort.
	ServiceName pulumi.StringOutput `pulumi:"serviceName"`
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *FrontendArgs) withDefaults(name string) FrontendArgs {
	var a FrontendArgs
	if args != nil {
		a = *args
	}
	a.App = cmp.Or(a.App, name)
	a.Replicas = cmp.Or(a.Replicas, 2)
	a.Resources = a.Resources.WithDefaults(kube.Resources{CPU: "50m", Memory: "32Mi"})
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *FrontendArgs) Check(name string) kube.Faults {
	a := args.withDefaults(name)
	return checkServer(a.App, a.Image, a.Replicas, a.Resources, a.IngressNamespace)
}

// NewFrontend declares the static page. The error names every argument that breaks a rule.
func NewFrontend(ctx *pulumi.Context, name string, args *FrontendArgs, opts ...pulumi.ResourceOption) (*Frontend, error) {
	if err := args.Check(name).Err(); err != nil {
		return nil, fmt.Errorf("frontend %q: %w", name, err)
	}
	a := args.withDefaults(name)
	frontend := &Frontend{}
	if err := ctx.RegisterComponentResourceV2(frontendType, name, pulumi.Map{
		"image":    pulumi.String(a.Image),
		"replicas": pulumi.Int(a.Replicas),
	}, frontend, opts...); err != nil {
		return nil, err
	}

	service, err := kube.NewServer(ctx, name, kube.ServerArgs{
		Part:             kube.Part{App: a.App, Component: "frontend", Instance: name, Image: a.Image},
		Namespace:        a.Namespace,
		Replicas:         a.Replicas,
		Resources:        a.Resources,
		ReadyPath:        "/",
		LivePath:         "/healthz",
		IngressNamespace: a.IngressNamespace,
	}, frontend)
	if err != nil {
		return nil, fmt.Errorf("frontend %q: %w", name, err)
	}
	frontend.ServiceName = service.Metadata.Name().Elem()
	return frontend, ctx.RegisterResourceOutputs(frontend, pulumi.Map{"serviceName": frontend.ServiceName})
}
