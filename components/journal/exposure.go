package journal

import (
	"cmp"
	"errors"
	"fmt"

	"example.com/journal/components/kube"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// The kinds of exposure.
const (
	// KindIngress exposes by an Ingress.
	KindIngress = "ingress"
	// KindGateway exposes by the Gateway API: a Gateway and HTTPRoutes.
	KindGateway = "gateway"
)

// traefikClass is the class whose controller takes Traefik's annotations and Middlewares.
const traefikClass = "traefik"

// ExposureArgs are the parameters of the way in from outside.
type ExposureArgs struct {
	// App is the value of the label `app`. The default is the component's name.
	App string
	// Namespace is where the routes are, the namespace of the Services. The default is the provider's namespace.
	Namespace pulumi.StringInput
	// Host is the DNS name that users type. The default is journal.localhost, which every system resolves to itself.
	Host string
	// Kind is KindIngress, the default, or KindGateway. Both serve the same routes on the same host with the same TLS.
	Kind string
	// Class is the IngressClass or GatewayClass, and so the controller, that serves the routes. It is always named: a
	// cluster may have several controllers or no default. The default is traefik.
	Class string
	// TLSSecret is the name of a Secret of type kubernetes.io/tls with the host's certificate. At most one of it, TLSIssuer
	// and TLSSelfSigned is set; none of them serves plain HTTP.
	TLSSecret string
	// TLSIssuer is the cert-manager issuer that signs the host's certificate: Issuer/<name>, in the same namespace, or
	// ClusterIssuer/<name>.
	TLSIssuer string
	// TLSSelfSigned is the number of a self-signed certificate, 1 or more, for a laptop: another number is another
	// certificate. Zero is none.
	TLSSelfSigned int
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
	a.Kind = cmp.Or(a.Kind, KindIngress)
	a.Class = cmp.Or(a.Class, traefikClass)
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *ExposureArgs) Check(name string) kube.Faults {
	a := args.withDefaults(name)
	var f kube.Faults
	f.Check("app", a.App, kube.CheckName(a.App))
	f.Check("host", a.Host, kube.CheckHost(a.Host))
	f.Check("class", a.Class, kube.CheckObjectName(a.Class))
	if a.Kind != KindIngress && a.Kind != KindGateway {
		f.Refuse("kind", a.Kind, "no kind of exposure; write %s or %s", KindIngress, KindGateway)
	}
	f = append(f, a.checkTLS()...)
	if a.Port < 0 || a.Port > 65535 {
		f.Refuse("port", a.Port, "no port; write 1 to 65535, or leave it out for the scheme's own")
	}
	return f
}

// url is the address that users type.
func (args *ExposureArgs) url() string {
	scheme := "http"
	if args.tls() {
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
		"kind":  pulumi.String(a.Kind),
		"class": pulumi.String(a.Class),
	}, exposure, opts...); err != nil {
		return nil, err
	}

	part := kube.Part{App: a.App, Component: "exposure", Instance: name}
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

// target is a path prefix and the Service that it leads to.
type target struct {
	prefix  string
	service pulumi.StringOutput
}

// targets are the routes, the longer prefix first.
func (args *ExposureArgs) targets() []target {
	return []target{{"/api", args.API.ServiceName}, {"/", args.Frontend.ServiceName}}
}
