package journal

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// The kinds of exposure.
const (
	// KindIngress exposes the journal by an Ingress.
	KindIngress = "ingress"
	// KindGateway exposes it by the Gateway API: a Gateway and HTTPRoutes.
	KindGateway = "gateway"
)

// traefikClass is the class whose controller supports Traefik's annotations and Middlewares.
const traefikClass = "traefik"

// ExposureArgs are the parameters of the journal's exposure to users.
type ExposureArgs struct {
	// App is the value of the label `app`. The default is the component's name.
	App string `json:"-"`
	// Namespace is where the routes are, the namespace of the Services. Required.
	Namespace pulumi.StringInput `json:"-"`
	// Host is the DNS name that users open. Every system resolves the default to itself.
	Host string `json:"host" default:"journal.localhost"`
	// Kind is the API that declares the routes: an Ingress, or a Gateway and HTTPRoutes of the Gateway API. Both serve the same
	// routes on the same host with the same TLS.
	Kind string `json:"kind" default:"ingress" enum:"ingress,gateway"`
	// Class is the IngressClass or GatewayClass of the controller that serves the routes. It is always set in the object: a
	// cluster may have several controllers, or no default class.
	Class string `json:"class" default:"traefik"`
	// Port is the port that users connect to, if it is not the scheme's default. It only changes the URL in the output.
	Port int `json:"port" minimum:"0" maximum:"65535"`
	// MaxInFlightPerClient is how many requests of one client address are served at a time. Further ones are answered with
	// status 429. The default is 0, no limit: behind a proxy or a source NAT all users have one address. It requires kind
	// ingress and class traefik, since a plain Ingress has no such field.
	MaxInFlightPerClient int `json:"maxInFlightPerClient" minimum:"0"`
	// TLS is the source of the host's certificate.
	TLS TLSArgs `json:"tls"`
	// API is the target of the routes below /api, and Frontend that of all others. Required.
	API      Backend `json:"-"`
	Frontend Backend `json:"-"`
}

// Backend is the target of a route.
type Backend struct {
	// Service is the name of a Service in the routes' namespace, and Port the number of its port.
	Service pulumi.StringInput
	Port    int
}

// check returns what is missing.
func (b Backend) check() rules.Faults {
	var f rules.Faults
	if b.Service == nil || b.Port == 0 {
		f.Refuse("", "", "it is missing; pass what the method Backend of an API or a Frontend returns, or the name and the port of another Service")
	}
	return f
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
	rules.SetDefaults(&a)
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *ExposureArgs) Check(name string) rules.Faults {
	a := args.withDefaults(name)
	return append(rules.CheckTags(a), a.check()...)
}

// check returns the broken rules, except those of the tags.
func (args ExposureArgs) check() rules.Faults {
	var f rules.Faults
	f.Check("app", args.App, rules.CheckName(args.App))
	f.Check("host", args.Host, rules.CheckHost(args.Host))
	f.Check("class", args.Class, rules.CheckObjectName(args.Class))
	f = append(f, args.TLS.check().In("tls")...)
	if args.MaxInFlightPerClient > 0 && (args.Kind != KindIngress || args.Class != traefikClass) {
		f.Refuse("maxInFlightPerClient", args.MaxInFlightPerClient, "kind %s and class %s cannot bound it; write 0, or kind %s and class %s", args.Kind, args.Class, KindIngress, traefikClass)
	}
	return f
}

// HostName returns the DNS name that users open, with the default in place.
func (args *ExposureArgs) HostName() string { return args.withDefaults("").Host }

// url returns the address that users open.
func (args *ExposureArgs) url() string {
	scheme := "http"
	if args.TLS.Enabled() {
		scheme = "https"
	}
	if args.Port == 0 {
		return fmt.Sprintf("%s://%s/", scheme, args.Host)
	}
	return fmt.Sprintf("%s://%s:%d/", scheme, args.Host, args.Port)
}

// NewExposure declares the routes. The error names every argument that breaks a rule.
func NewExposure(ctx *pulumi.Context, name string, args *ExposureArgs, opts ...pulumi.ResourceOption) (*Exposure, error) {
	a := args.withDefaults(name)
	faults := slices.Concat(checkNamespace(a.Namespace), rules.CheckTags(a), a.check(), a.API.check().In("api"), a.Frontend.check().In("frontend"))
	if err := faults.Err(); err != nil {
		return nil, fmt.Errorf("exposure %q: %w", name, err)
	}
	exposure := &Exposure{}
	if err := ctx.RegisterComponentResourceV2(exposureType, name, pulumi.Map{
		"host":  pulumi.String(a.Host),
		"kind":  pulumi.String(a.Kind),
		"class": pulumi.String(a.Class),
	}, exposure, opts...); err != nil {
		return nil, err
	}

	part := kube.Part{App: a.App, PartOf: partOf, Component: "exposure", Instance: name}
	certificate, err := a.certificate(ctx, name, part, exposure)
	if err != nil {
		return nil, fmt.Errorf("exposure %q: %w", name, err)
	}
	declare := a.ingress
	if a.Kind == KindGateway {
		declare = a.gateway
	}
	if err := declare(ctx, name, part, certificate, exposure); err != nil {
		return nil, fmt.Errorf("exposure %q: %w", name, err)
	}
	exposure.URL = pulumi.String(a.url()).ToStringOutput()
	return exposure, ctx.RegisterResourceOutputs(exposure, pulumi.Map{"url": exposure.URL})
}

// target is a path prefix and its backend.
type target struct {
	prefix string
	Backend
}

// targets returns the routes, the longer prefix first.
func (args *ExposureArgs) targets() []target {
	return []target{{"/api", args.API}, {"/", args.Frontend}}
}
