package ingress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	helmv4 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/helm/v4"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

const (
	// release is the name that the chart gives to its objects.
	release = "traefik"
	// crdType is the type of the CustomResourceDefinitions in the chart.
	crdType = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
)

// traefikVersion is the tag of Traefik's image. Older ones let one tenant use the objects of another.
const traefikVersion = "v3.6.25"

// exactVersion matches a semantic version, not a range of versions.
var exactVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$`)

// ControllerArgs are the parameters of the Ingress controller.
type ControllerArgs struct {
	// Namespace is the namespace that is created for the controller.
	Namespace string `json:"namespace" default:"traefik"`
	// Chart is the reference, without a version, of Traefik's chart or a copy of it in an OCI registry. It is fetched over
	// HTTP from a loopback address, and over HTTPS from everywhere else. The Helm 3 in Pulumi's plugin falls back to HTTP if
	// the server answers HTTPS with HTTP.
	Chart string `json:"chart" default:"oci://ghcr.io/traefik/helm/traefik"`
	// Version is the chart's exact version. The default is the last one with the CRDs of the Gateway API. With the default
	// runs the same Traefik as in the sandbox, instead of the chart's own 3.6.15. Any other version runs its own Traefik,
	// which must be at least 3.6.17 to support the arguments used here.
	Version string `json:"version" default:"39.0.9"`
	// Class is the name of the IngressClass that the controller serves and, with Gateway, of the GatewayClass. It does not
	// become the cluster's default class.
	Class string `json:"class" default:"traefik"`
	// Replicas is the number of pods. With less than 2 an update or a drained node is an outage.
	Replicas int `json:"replicas" default:"2" minimum:"2"`
	// Resources are those of each pod.
	Resources kube.Resources `json:"-" default:"cpu=100m memory=128Mi"`
	// ServiceType is the type of the Service through which users reach the controller.
	ServiceType string `json:"serviceType" default:"LoadBalancer" enum:"LoadBalancer,NodePort,ClusterIP"`
	// Gateway lets the controller serve the Gateway API as well. Its pods then listen on ports 80 and 443, since Traefik
	// accepts a Gateway's listener only if it has an entry point on the same port.
	Gateway bool `json:"-"`
	// Namespaces are the namespaces whose Ingresses and Gateways are served, besides the controller's own. Traefik reads the
	// Secrets of every namespace that it serves, since any of them may hold a certificate. By default it serves all
	// namespaces, and so reads all their Secrets.
	Namespaces []string `json:"-"`
	// PriorityClass is the name of the PriorityClass of the pods. By default they have none.
	PriorityClass string `json:"-"`
	// Needs are what creates the Namespaces and the PriorityClass in the same program. The controller waits for it.
	Needs []pulumi.Resource `json:"-"`
	// MiddlewareNamespace is the only namespace whose Ingresses may name a Middleware or other TLS options, and whose objects
	// of Traefik's own kinds are served. The default is the controller's own.
	MiddlewareNamespace string `json:"-"`
	// SkipCRDs leaves out the chart's CRDs of Traefik and of the Gateway API, for a cluster that already has them.
	SkipCRDs bool `json:"skipCRDs"`
}

// Controller is Traefik, installed by its Helm chart into a namespace of its own.
//
// The chart is declared as a Chart, not as a Release: Pulumi's plugin renders it, and each of its objects is a resource of the
// engine with a known name, a diff in the preview and server-side apply. An update whose state was lost therefore finds the
// objects again. A Release would leave them all to Helm, which keeps its own state in the cluster and refuses objects that are
// not in it. A Chart does not run hooks; Traefik's chart has none.
type Controller struct {
	pulumi.ResourceState

	// Namespace is the name of the controller's namespace.
	Namespace pulumi.StringOutput `pulumi:"namespace"`
}

// Defaults returns the arguments of a controller with all defaults.
func Defaults() ControllerArgs { return (*ControllerArgs)(nil).withDefaults() }

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *ControllerArgs) withDefaults() ControllerArgs {
	var a ControllerArgs
	if args != nil {
		a = *args
	}
	rules.SetDefaults(&a)
	a.Resources = a.Resources.WithLimits()
	a.MiddlewareNamespace = cmp.Or(a.MiddlewareNamespace, a.Namespace)
	if len(a.Namespaces) > 0 { // Traefik's Service is in its own, and Middlewares in that of them
		a.Namespaces = append(slices.Clone(a.Namespaces), a.Namespace, a.MiddlewareNamespace)
		slices.Sort(a.Namespaces)
		a.Namespaces = slices.Compact(a.Namespaces)
	}
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *ControllerArgs) Check() rules.Faults {
	a := args.withDefaults()
	f := rules.CheckTags(a)
	f.Check("namespace", a.Namespace, kube.CheckNewNamespace(a.Namespace, "the controller", Defaults().Namespace))
	_, err := parseChart(a.Chart)
	f.Check("chart", a.Chart, err)
	if !exactVersion.MatchString(a.Version) {
		f.Refuse("version", a.Version, "must be an exact version, or the next update could bring another chart: write for example %s", Defaults().Version)
	}
	f.Check("class", a.Class, rules.CheckObjectName(a.Class))
	if a.PriorityClass != "" {
		f.Check("priorityClass", a.PriorityClass, rules.CheckObjectName(a.PriorityClass))
	}
	for i, namespace := range args.namespaces() {
		f.Check(fmt.Sprintf("namespaces[%d]", i), namespace, rules.CheckName(namespace))
	}
	if a.MiddlewareNamespace != a.Namespace {
		f.Check("middlewareNamespace", a.MiddlewareNamespace, rules.CheckName(a.MiddlewareNamespace))
	}
	f = append(f, a.Resources.Check().In("resources")...)
	return f
}

// namespaces returns the namespaces that the caller names.
func (args *ControllerArgs) namespaces() []string {
	if args == nil {
		return nil
	}
	return args.Namespaces
}

// parseChart refuses what is not a reference of a chart in an OCI registry.
func parseChart(chart string) (*url.URL, error) {
	reference, err := url.Parse(chart)
	if err != nil || reference.Scheme != "oci" || reference.Hostname() == "" || strings.Trim(reference.Path, "/") == "" ||
		reference.User != nil || reference.RawQuery != "" || strings.ContainsAny(reference.Path, ":@") {
		return nil, errors.New("must be a chart in an OCI registry as oci://host/path without version, such as " + Defaults().Chart)
	}
	return reference, nil
}

// onLoopback says whether the chart's host is a loopback address. A name such as localhost does not count, since a resolver
// may map it to any address.
func onLoopback(chart string) bool {
	reference, err := parseChart(chart)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(reference.Hostname())
	return err == nil && address.IsLoopback()
}

// NewController declares the controller. The error names every argument that breaks a rule.
func NewController(ctx *pulumi.Context, name string, args *ControllerArgs, opts ...pulumi.ResourceOption) (*Controller, error) {
	if err := args.Check().Err(); err != nil {
		return nil, fmt.Errorf("ingress controller %q: %w", name, err)
	}
	a := args.withDefaults()
	c := &Controller{}
	if err := ctx.RegisterComponentResourceV2(controllerType, name, pulumi.Map{
		"chart":   pulumi.String(a.Chart),
		"version": pulumi.String(a.Version),
	}, c, opts...); err != nil {
		return nil, err
	}
	if err := c.declare(ctx, name, a); err != nil {
		return nil, fmt.Errorf("ingress controller %q: %w", name, err)
	}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{"namespace": c.Namespace})
}

// declare creates the children and sets the outputs.
func (c *Controller) declare(ctx *pulumi.Context, name string, a ControllerArgs) error {
	labels := kube.ManagedLabels(partOf)
	maps.Copy(labels, kube.PodSecurityLabels(kube.RestrictedPods))
	namespace, err := corev1.NewNamespace(ctx, name, &corev1.NamespaceArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(a.Namespace), Labels: pulumi.ToStringMap(labels)},
	}, pulumi.Parent(c), pulumi.DependsOn(a.Needs)) // the chart waits for its namespace
	if err != nil {
		return err
	}
	c.Namespace = namespace.Metadata.Name().Elem()

	if err := c.declareRights(ctx, name, a); err != nil {
		return err
	}
	values, err := newValues(a).inputs()
	if err != nil {
		return err
	}
	_, err = helmv4.NewChart(ctx, name, &helmv4.ChartArgs{
		Chart:     pulumi.String(a.Chart),
		Version:   pulumi.String(a.Version),
		Name:      pulumi.String(release),
		Namespace: c.Namespace,
		PlainHttp: pulumi.Bool(onLoopback(a.Chart)),
		SkipCrds:  pulumi.Bool(a.SkipCRDs),
		Values:    values,
	}, pulumi.Parent(c), pulumi.Transforms([]pulumi.ResourceTransform{retainKinds}))
	return err
}

// retainKinds keeps the chart's CRDs when the chart is deleted, as Helm does: deleting a CRD deletes every object of the kind,
// whoever created it.
func retainKinds(_ context.Context, args *pulumi.ResourceTransformArgs) *pulumi.ResourceTransformResult {
	if args.Type != crdType {
		return nil
	}
	args.Opts.RetainOnDelete = true
	return &pulumi.ResourceTransformResult{Props: args.Props, Opts: args.Opts}
}
