package journal

import (
	"cmp"
	"errors"
	"fmt"

	"example.com/journal/components/kube"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// ExposureArgs are the parameters of the way in from outside.
type ExposureArgs struct {
	// App is the value of the label `app`. The default is the component's name.
	App string
	// Namespace is where the routes are, the namespace of the Services. The default is the provider's namespace.
	Namespace pulumi.StringInput
	// Host is the DNS name that users type. The default is journal.localhost, which every system resolves to itself.
	Host string
	// Class is the IngressClass, and so the controller, that serves the routes. It is always named: a cluster may have
	// several controllers or no default. The default is traefik.
	Class string
	// TLSSecret is the name of a Secret of type kubernetes.io/tls with the host's certificate. Empty serves plain HTTP.
	TLSSecret string
	// Port is the port that users type, where it is not the scheme's own. It only shows in the URL.
	Port int
	// API and Frontend are what the routes lead to. Required.
	API      *API
	Frontend *Frontend
}

// Exposure routes /api to the API and everything else to the static page.
type Exposure struct {
	pulumi.ResourceState

	// URL is the address of the page.
	URL pulumi.StringOutput `pulumi:"url"`
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *ExposureArgs) withDefaults(name string) ExposureArgs {
	var a ExposureArgs
	if args != nil {
		a = *args
	}
	a.App = cmp.Or(a.App, name)
	a.Host = cmp.Or(a.Host, "journal.localhost")
	a.Class = cmp.Or(a.Class, "traefik")
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *ExposureArgs) Check(name string) kube.Faults {
	a := args.withDefaults(name)
	var f kube.Faults
	f.Check("app", a.App, kube.CheckName(a.App))
	f.Check("host", a.Host, kube.CheckHost(a.Host))
	f.Check("class", a.Class, kube.CheckObjectName(a.Class))
	if a.TLSSecret != "" {
		f.Check("tlsSecret", a.TLSSecret, kube.CheckObjectName(a.TLSSecret))
	}
	if a.Port < 0 || a.Port > 65535 {
		f.Refuse("port", a.Port, "no port; write 1 to 65535, or leave it out for the scheme's own")
	}
	return f
}

// url is the address that users type.
func (args *ExposureArgs) url() string {
	scheme := "http"
	if args.TLSSecret != "" {
		scheme = "https"
	}
	if args.Port == 0 {
		return fmt.Sprintf("%s://%s/", scheme, args.Host)
	}
	return fmt.Sprintf("%s://%s:%d/", scheme, args.Host, args.Port)
}

// NewExposure declares the routes. The error names every argument that breaks a rule.
func NewExposure(ctx *pulumi.Context, name string, args *ExposureArgs, opts ...pulumi.ResourceOption) (*Exposure, error) {
	if err := args.Check(name).Err(); err != nil {
		return nil, fmt.Errorf("exposure %q: %w", name, err)
	}
	a := args.withDefaults(name)
	if a.API == nil || a.Frontend == nil {
		return nil, fmt.Errorf("exposure %q: %w", name, errors.New("api or frontend is missing: the routes lead to both; pass what NewAPI and NewFrontend returned"))
	}
	exposure := &Exposure{}
	if err := ctx.RegisterComponentResourceV2(exposureType, name, pulumi.Map{
		"host":  pulumi.String(a.Host),
		"class": pulumi.String(a.Class),
	}, exposure, opts...); err != nil {
		return nil, err
	}

	spec := networkingv1.IngressSpecArgs{
		IngressClassName: pulumi.String(a.Class),
		Rules: networkingv1.IngressRuleArray{networkingv1.IngressRuleArgs{
			Host: pulumi.String(a.Host),
			Http: networkingv1.HTTPIngressRuleValueArgs{Paths: networkingv1.HTTPIngressPathArray{
				route("/api", a.API.ServiceName),
				route("/", a.Frontend.ServiceName),
			}},
		}},
	}
	if a.TLSSecret != "" {
		spec.Tls = networkingv1.IngressTLSArray{networkingv1.IngressTLSArgs{
			Hosts:      pulumi.ToStringArray([]string{a.Host}),
			SecretName: pulumi.String(a.TLSSecret),
		}}
	}
	part := kube.Part{App: a.App, Component: "exposure", Instance: name}
	if _, err := networkingv1.NewIngress(ctx, name, &networkingv1.IngressArgs{
		Metadata: part.Meta(a.Namespace),
		Spec:     spec,
	}, pulumi.Parent(exposure)); err != nil {
		return nil, fmt.Errorf("exposure %q: %w", name, err)
	}
	exposure.URL = pulumi.String(a.url()).ToStringOutput()
	return exposure, ctx.RegisterResourceOutputs(exposure, pulumi.Map{"url": exposure.URL})
}

// route leads every path below the prefix to a Service.
func route(prefix string, service pulumi.StringOutput) networkingv1.HTTPIngressPathArgs {
	return networkingv1.HTTPIngressPathArgs{
		Path:     pulumi.String(prefix),
		PathType: pulumi.String("Prefix"),
		Backend: networkingv1.IngressBackendArgs{Service: networkingv1.IngressServiceBackendArgs{
			Name: service,
			Port: networkingv1.ServiceBackendPortArgs{Number: pulumi.Int(kube.ServicePort)},
		}},
	}
}
