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

	"example.com/journal/components/kube"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	helmv4 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/helm/v4"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// The defaults that others go by.
const (
	// DefaultNamespace is where the controller runs.
	DefaultNamespace = "traefik"
	// DefaultChart is Traefik's own chart, and DefaultVersion the version of it that comes with Traefik 3.6.15.
	DefaultChart   = "oci://ghcr.io/traefik/helm/traefik"
	DefaultVersion = "39.0.9"
)

const (
	// release is the name that the chart gives to its objects.
	release = "traefik"
	// crdType is the type of the definitions that the chart brings.
	crdType = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
)

// serviceTypes are the ways in which a Service can be reached.
var serviceTypes = []string{"LoadBalancer", "NodePort", "ClusterIP"}

// exactVersion is a semantic version and no range of them.
var exactVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$`)

// ControllerArgs are the parameters of the Ingress controller.
type ControllerArgs struct {
	// Namespace is the namespace that is made for the controller. The default is DefaultNamespace.
	Namespace string
	// Chart is the chart's reference in an OCI registry, without a version. The default is DefaultChart; another one is a
	// copy of the same chart. HTTP is asked for where the host is a loopback address, and HTTPS everywhere else; the Helm 3
	// in Pulumi's plugin goes on by HTTP where a server answers HTTPS so.
	Chart string
	// Version is the chart's exact version, which says which Traefik runs. The default is DefaultVersion.
	Version string
	// Class is the name of the IngressClass that the controller serves and, with Gateway, of the GatewayClass. The default
	// is traefik. It is not made the cluster's default class.
	Class string
	// Replicas is the number of pods, 2 or more. The default is 2.
	Replicas int
	// Resources are those of each pod. The default is 100m CPU and 128Mi of memory.
	Resources kube.Resources
	// ServiceType is how users come in: LoadBalancer, the default, NodePort or ClusterIP.
	ServiceType string
	// Gateway lets the controller serve the Gateway API as well. Its pods then listen on 80 and 443 themselves, since
	// Traefik takes a Gateway's listener only where it has an entry point on the same port.
	Gateway bool
	// SkipCRDs leaves out the chart's definitions of Traefik's kinds and of the Gateway API, for a cluster that has them.
	SkipCRDs bool
}

// Controller is Traefik, installed by its Helm chart into a namespace of its own.
//
// The chart is a Chart and no Release: Pulumi's plugin renders it, and every object of it is a resource of the engine, with
// a name that is known beforehand, a difference in the preview and server-side apply. So an update whose state was lost
// finds the objects again. A Release hands all of them to Helm, which keeps a state of its own in the cluster and refuses
// what that state does not have. Hooks of a chart do not run; Traefik's has none.
type Controller struct {
	pulumi.ResourceState

	// Namespace is the name of the controller's namespace.
	Namespace pulumi.StringOutput `pulumi:"namespace"`
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *ControllerArgs) withDefaults() ControllerArgs {
	var a ControllerArgs
	if args != nil {
		a = *args
	}
	a.Namespace = cmp.Or(a.Namespace, DefaultNamespace)
	a.Chart = cmp.Or(a.Chart, DefaultChart)
	a.Version = cmp.Or(a.Version, DefaultVersion)
	a.Class = cmp.Or(a.Class, "traefik")
	a.Replicas = cmp.Or(a.Replicas, 2)
	a.Resources = a.Resources.WithDefaults(kube.Resources{CPU: "100m", Memory: "128Mi"})
	a.ServiceType = cmp.Or(a.ServiceType, serviceTypes[0])
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *ControllerArgs) Check() kube.Faults {
	a := args.withDefaults()
	var f kube.Faults
	f.Check("namespace", a.Namespace, checkNamespace(a.Namespace))
	_, err := parseChart(a.Chart)
	f.Check("chart", a.Chart, err)
	if !exactVersion.MatchString(a.Version) {
		f.Refuse("version", a.Version, "no exact version, so that another chart could come with the next update; write for example %s", DefaultVersion)
	}
	f.Check("class", a.Class, kube.CheckObjectName(a.Class))
	if a.Replicas < 2 {
		f.Refuse("replicas", a.Replicas, "with less than 2 an update or a drained node is an outage; write 2 or more")
	}
	a.Resources.Check(&f)
	if !slices.Contains(serviceTypes, a.ServiceType) {
		f.Refuse("serviceType", a.ServiceType, "no type of Service that users can reach; write one of %s", strings.Join(serviceTypes, ", "))
	}
	return f
}

// checkNamespace refuses what is no name of a namespace, and the namespaces that Kubernetes itself makes.
func checkNamespace(name string) error {
	if name == "default" || strings.HasPrefix(name, "kube-") {
		return errors.New("it belongs to Kubernetes, and this one is made for the controller; write another name, such as " + DefaultNamespace)
	}
	return kube.CheckName(name)
}

// parseChart refuses what is no reference of a chart in an OCI registry.
func parseChart(chart string) (*url.URL, error) {
	reference, err := url.Parse(chart)
	if err != nil || reference.Scheme != "oci" || reference.Hostname() == "" || strings.Trim(reference.Path, "/") == "" ||
		reference.User != nil || reference.RawQuery != "" || strings.ContainsAny(reference.Path, ":@") {
		return nil, errors.New("no chart in an OCI registry; write it as oci://host/path, without version, such as " + DefaultChart)
	}
	return reference, nil
}

// onLoopback says whether the chart comes from this machine, by an address that leads nowhere else. A name such as
// localhost is what a resolver makes of it.
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
	labels := kube.ManagedLabels()
	maps.Copy(labels, kube.PodSecurityLabels(kube.RestrictedPods))
	namespace, err := corev1.NewNamespace(ctx, name, &corev1.NamespaceArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(a.Namespace), Labels: pulumi.ToStringMap(labels)},
	}, pulumi.Parent(c))
	if err != nil {
		return err
	}
	c.Namespace = namespace.Metadata.Name().Elem()

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

// retainKinds keeps the definitions of the chart when it goes, as Helm does: with a definition the cluster deletes every
// object of the kind, whoever made it.
func retainKinds(_ context.Context, args *pulumi.ResourceTransformArgs) *pulumi.ResourceTransformResult {
	if args.Type != crdType {
		return nil
	}
	args.Opts.RetainOnDelete = true
	return &pulumi.ResourceTransformResult{Props: args.Props, Opts: args.Opts}
}
