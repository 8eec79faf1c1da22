package observe

import (
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/internal/declare"
	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

const (
	// readerApp is the name of everything in the namespace.
	readerApp = "reader"
	// readerGroup is the API group that the reader serves.
	readerGroup = "observe.journal.example.com"
	// readerHTTPPort is the port of the reader's probes and metrics, and readerHTTPPortName its name.
	readerHTTPPort, readerHTTPPortName = 8080, "metrics"

	// ObserveViewerRole lets read the logs and the figures of a namespace. The tenants' viewers have it.
	ObserveViewerRole = "journal-observe-viewer"
	// ObserveAllRole lets read the logs and the figures of all namespaces.
	ObserveAllRole = "journal-observe-all"
)

// ReaderArgs are the parameters of the reader.
type ReaderArgs struct {
	// Image is the image of reader, by an exact version or a digest. Required.
	Image pulumi.StringInput `json:"image" required:"true" example:"registry.example.com/journal/reader:v0.1.0-0a1b2c3"`
	// Replicas is the number of pods. With less than 2, an update or a lost node stops the API group, and no namespace can be
	// deleted while it is away.
	Replicas int `json:"replicas" default:"2" minimum:"2"`
	// Resources are those of each pod.
	Resources kube.Resources `json:"resources" default:"cpu=10m cpuLimit=500m memory=32Mi memoryLimit=128Mi"`
	// Certificate is the source of the serving certificate, for the host reader.journal-reader.svc.
	Certificate CertificateArgs `json:"certificate"`
	// Platform are the users and groups that read the logs and the figures of all namespaces. By default nobody does but the
	// cluster's administrators.
	Platform []kube.Subject `json:"platform"`

	// Logs is the store of the logs: LogService.Store, or the URL, Peers and Port of another one. Without it there are no logs to
	// read.
	Logs Store `json:"-"`
	// Metrics is the store of the figures: MetricsService.Store, or the URL, Peers and Port of another one. Without it there are no
	// figures to read. One of the two stores is required.
	Metrics Store `json:"-"`
	// MetricsNamespace is the namespace of a MetricsService, which reads the figures of the reader itself. By default nobody does.
	MetricsNamespace string `json:"-"`
	// ViewerLabel is a label of ClusterRoles whose rules the role of the tenants' viewers has. Without one nobody but Platform
	// reads anything.
	ViewerLabel string `json:"-"`
	// Namespace is the namespace that is created for the pods.
	Namespace string `json:"-" default:"journal-reader"`
	// PriorityClass is the name of the PriorityClass of the pods. The default is the cluster's.
	PriorityClass pulumi.StringInput `json:"-"`
	// APIServerPorts are the ports on which the pods connect to the API server: its Service's and its own. The default is 443
	// and 6443.
	APIServerPorts []int `json:"-" minimum:"1" maximum:"65535"`
	// DNS are address ranges of the cluster's DNS, besides its pods in kube-system.
	DNS kube.DNS `json:"-"`
}

// Reader lets people read logs and figures with the rights that they have in a namespace, as the API group
// observe.journal.example.com. The API server knows who asks and RBAC decides; the reader adds the namespace to every query.
//
// The API server forwards the group to the pods. While none of them answers, no namespace of the cluster can be deleted; see
// ResourceMetrics.
type Reader struct {
	pulumi.ResourceState

	// Ready exists once the API group is served.
	Ready pulumi.Resource
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *ReaderArgs) withDefaults() ReaderArgs {
	var a ReaderArgs
	if args != nil {
		a = *args
	}
	rules.SetDefaults(&a)
	a.Resources = a.Resources.WithLimits()
	a.Certificate = a.Certificate.withDefaults()
	a.APIServerPorts = apiServerPorts(a.APIServerPorts)
	return a
}

// Peers are the pods of the reader as peers of a NetworkPolicy.
func (args *ReaderArgs) Peers() networkingv1.NetworkPolicyPeerArray {
	return networkingv1.NetworkPolicyPeerArray{peer(kube.Part{App: readerApp}, args.Namespaces()[0])}
}

// Namespaces returns the namespaces that the reader creates.
func (args *ReaderArgs) Namespaces() []string {
	return []string{args.withDefaults().Namespace}
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing. NewReader checks
// the stores too.
func (args *ReaderArgs) Check() rules.Faults {
	a := args.withDefaults()
	f := rules.CheckTags(a)
	f.Check("image", a.Image, kube.CheckImage(a.Image, rules.OwnImage))
	f = append(f, a.Resources.Check().In("resources")...)
	f = append(f, a.Certificate.check().In("certificate")...)
	for i, subject := range a.Platform {
		f.Check(fmt.Sprintf("platform[%d]", i), subject, subject.Check())
	}
	f.Check("namespace", a.Namespace, kube.CheckNewNamespace(a.Namespace, "the reader", (*ReaderArgs)(nil).withDefaults().Namespace))
	return append(f, a.DNS.Check()...)
}

// checkStores refuses a reader without a store, and a store of which something is missing.
func (args ReaderArgs) checkStores() (f rules.Faults) {
	if !args.Logs.given() && !args.Metrics.given() {
		f.Check("logs", "", errNoStore)
	}
	if args.Logs.given() {
		f.Check("logs", "", args.Logs.check("LogService"))
	}
	if args.Metrics.given() {
		f.Check("metrics", "", args.Metrics.check("MetricsService"))
	}
	return f
}

// NewReader declares the reader. The error names every argument that breaks a rule. There is one in a cluster.
func NewReader(ctx *pulumi.Context, name string, args *ReaderArgs, opts ...pulumi.ResourceOption) (*Reader, error) {
	a := args.withDefaults()
	f := args.Check()
	f = append(f, a.checkStores()...)
	if err := f.Err(); err != nil {
		return nil, fmt.Errorf("reader %q: %w", name, err)
	}
	a.Image = kube.CheckedImage(fmt.Sprintf("reader %q", name), a.Image, rules.OwnImage)
	r := &Reader{}
	if err := ctx.RegisterComponentResourceV2(readerType, name, pulumi.Map{
		"image":    a.Image,
		"replicas": pulumi.Int(a.Replicas),
	}, r, opts...); err != nil {
		return nil, err
	}
	if err := r.declare(ctx, name, a); err != nil {
		return nil, fmt.Errorf("reader %q: %w", name, err)
	}
	return r, ctx.RegisterResourceOutputs(r, pulumi.Map{})
}

// declare creates the children.
func (r *Reader) declare(ctx *pulumi.Context, name string, a ReaderArgs) (err error) {
	if err := r.declareRoles(ctx, a); err != nil {
		return err
	}
	args := pulumi.StringArray{pulumi.String(fmt.Sprintf("--metrics-listen=:%d", readerHTTPPort))}
	egress := networkingv1.NetworkPolicyEgressRuleArray{a.DNS.Rule()}
	for _, s := range []struct {
		flag  string
		store Store
	}{{"--logs-url", a.Logs}, {"--metrics-url", a.Metrics}} {
		if s.store.given() {
			args = append(args, pulumi.Sprintf("%s=%s", s.flag, s.store.URL))
			egress = append(egress, networkingv1.NetworkPolicyEgressRuleArgs{To: s.store.Peers, Ports: tcp(s.store.Port)})
		}
	}
	r.Ready, err = apiServer{
		server: readerApp,
		part:   kube.Part{App: readerApp, PartOf: partOf, Component: "reader", Instance: name, Image: a.Image},
		in:     a.Namespace, group: readerGroup, version: "v1alpha1", rules: readerRules(),
		replicas: a.Replicas, resources: a.Resources, certificate: a.Certificate, priorityClass: a.PriorityClass,
		listen: fmt.Sprintf("--listen=:%d", servingPort),
		args:   args,
		ports:  corev1.ContainerPortArray{corev1.ContainerPortArgs{Name: pulumi.String(readerHTTPPortName), ContainerPort: pulumi.Int(readerHTTPPort)}},
		probe: func(path string, period, failures int) corev1.ProbeArgs {
			return kube.HTTPProbe(readerHTTPPortName, path, period, failures)
		},
		figuresPort: readerHTTPPort, metrics: a.MetricsNamespace,
		// The API server is no pod, so no selector matches it.
		egress:         append(egress, networkingv1.NetworkPolicyEgressRuleArgs{Ports: tcp(a.APIServerPorts...)}),
		rolloutTimeout: logsRolloutTimeout,
	}.declare(ctx, name, r)
	return err
}

// declareRoles declares who may read: the tenants' viewers in their namespaces, and the platform in all.
func (r *Reader) declareRoles(ctx *pulumi.Context, a ReaderArgs) error {
	var reads rbacv1.PolicyRuleArray
	if a.Logs.given() {
		reads = append(reads, kube.Rule(readerGroup, []string{"list", "watch"}, "logs"), kube.Rule(readerGroup, []string{"get", "create"}, "logs/proxy"))
	}
	if a.Metrics.given() {
		reads = append(reads, kube.Rule(readerGroup, []string{"list"}, "metrics"), kube.Rule(readerGroup, []string{"get", "create"}, "metrics/proxy"))
	}
	for _, role := range []declare.ClusterRole{
		{Name: ObserveViewerRole, PartOf: a.ViewerLabel, Rules: reads},
		{Name: ObserveAllRole, Rules: reads},
	} {
		if err := role.Declare(ctx, r); err != nil {
			return fmt.Errorf("role %s: %w", role.Name, err)
		}
	}
	if len(a.Platform) == 0 {
		return nil
	}
	_, err := rbacv1.NewClusterRoleBinding(ctx, ObserveAllRole, &rbacv1.ClusterRoleBindingArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(ObserveAllRole), Labels: pulumi.ToStringMap(kube.ManagedLabels(partOf))},
		RoleRef:  kube.RoleRef("ClusterRole", ObserveAllRole),
		Subjects: kube.RBACSubjects(a.Platform),
	}, pulumi.Parent(r))
	if err != nil {
		return fmt.Errorf("role binding %s: %w", ObserveAllRole, err)
	}
	return nil
}
