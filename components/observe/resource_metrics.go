package observe

import (
	"fmt"
	"strconv"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

const (
	// metricsServerApp is the name of everything in the namespace.
	metricsServerApp = "metrics-server"
	// metricsServer is what its certificate calls the server.
	metricsServer = "metrics server"
	// kubeletPort is the port at which kubelets serve their figures.
	kubeletPort = 10250
	// clusterAuthority is the certificate authority of the cluster, which signs the kubelets' serving certificates.
	clusterAuthority = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
	// metricsRolloutTimeout is how long, in seconds, the pods may make no progress. A pod is ready after its second look at the
	// kubelets.
	metricsRolloutTimeout = 300
)

// ResourceMetricsArgs are the parameters of the resource metrics.
type ResourceMetricsArgs struct {
	// Image is the image of metrics-server, with an exact version. Required.
	Image pulumi.StringInput `json:"image" required:"true" example:"registry.k8s.io/metrics-server/metrics-server:v0.9.0"`
	// Replicas is the number of pods. With less than 2, an update or a lost node stops the API group, and no namespace can be
	// deleted while it is away.
	Replicas int `json:"replicas" default:"2" minimum:"2"`
	// Resources are those of each pod. It needs 1m of CPU and 2Mi of memory more for each node.
	Resources kube.Resources `json:"resources" default:"cpu=100m memory=128Mi"`
	// Resolution is how often the kubelets are asked, in seconds. A figure is that old at most, and so is what pods are scaled by.
	Resolution int `json:"resolution" default:"15" minimum:"10" maximum:"120"`
	// Certificate is the source of the serving certificate, for the host metrics-server.journal-metrics-server.svc.
	Certificate CertificateArgs `json:"certificate"`

	// Namespace is the namespace that is created for the pods.
	Namespace string `json:"-" default:"journal-metrics-server"`
	// PriorityClass is the name of the PriorityClass of the pods. The default is the cluster's.
	PriorityClass pulumi.StringInput `json:"-"`
	// APIServerPorts are the ports on which the pods connect to the API server: its Service's and its own. The default is 443
	// and 6443.
	APIServerPorts []int `json:"-" minimum:"1" maximum:"65535"`
}

// ResourceMetrics serves the resource metrics of the cluster's pods and nodes, as the API group metrics.k8s.io. RBAC decides who
// reads what: the tenants' viewers may read those of the pods in their namespaces.
//
// The API server forwards the group to the pods. While none of them answers, no namespace of the cluster can be deleted, since
// the API server cannot know whether the group has objects in it. So there are two pods, which evictions leave one of and
// tenants' pods do not displace, and the engine deletes the API group before everything that serves it.
type ResourceMetrics struct {
	pulumi.ResourceState

	// Ready exists once the API group is served.
	Ready pulumi.Resource
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *ResourceMetricsArgs) withDefaults() ResourceMetricsArgs {
	var a ResourceMetricsArgs
	if args != nil {
		a = *args
	}
	rules.SetDefaults(&a)
	a.Resources = a.Resources.WithLimits()
	a.Certificate = a.Certificate.withDefaults()
	a.APIServerPorts = apiServerPorts(a.APIServerPorts)
	return a
}

// Namespaces returns the namespaces that the component creates.
func (args *ResourceMetricsArgs) Namespaces() []string {
	return []string{args.withDefaults().Namespace}
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *ResourceMetricsArgs) Check() rules.Faults {
	a := args.withDefaults()
	f := rules.CheckTags(a)
	f.Check("image", a.Image, kube.CheckImage(a.Image, rules.ForeignImage))
	f = append(f, a.Resources.Check().In("resources")...)
	f = append(f, a.Certificate.check().In("certificate")...)
	f.Check("namespace", a.Namespace, kube.CheckNewNamespace(a.Namespace, "the metrics server", (*ResourceMetricsArgs)(nil).withDefaults().Namespace))
	return f
}

// NewResourceMetrics declares the resource metrics. The error names every argument that breaks a rule. There is one in a
// cluster: where something else serves the API group, the API server refuses to let this one take it over.
func NewResourceMetrics(ctx *pulumi.Context, name string, args *ResourceMetricsArgs, opts ...pulumi.ResourceOption) (*ResourceMetrics, error) {
	if err := args.Check().Err(); err != nil {
		return nil, fmt.Errorf("resource metrics %q: %w", name, err)
	}
	a := args.withDefaults()
	a.Image = kube.CheckedImage(fmt.Sprintf("resource metrics %q", name), a.Image, rules.ForeignImage)
	s := &ResourceMetrics{}
	if err := ctx.RegisterComponentResourceV2(resourceMetricsType, name, pulumi.Map{
		"image":    a.Image,
		"replicas": pulumi.Int(a.Replicas),
	}, s, opts...); err != nil {
		return nil, err
	}
	if err := s.declare(ctx, name, a); err != nil {
		return nil, fmt.Errorf("resource metrics %q: %w", name, err)
	}
	return s, ctx.RegisterResourceOutputs(s, pulumi.Map{})
}

// declare creates the children.
func (s *ResourceMetrics) declare(ctx *pulumi.Context, name string, a ResourceMetricsArgs) (err error) {
	s.Ready, err = apiServer{
		server: metricsServer,
		part:   kube.Part{App: metricsServerApp, PartOf: partOf, Component: "metrics", Instance: name, Image: a.Image},
		in:     a.Namespace, group: "metrics.k8s.io", version: "v1beta1", rules: resourceMetricsRules(),
		replicas: a.Replicas, resources: a.Resources, certificate: a.Certificate, priorityClass: a.PriorityClass,
		listen: "--secure-port=" + strconv.Itoa(servingPort),
		args: pulumi.ToStringArray([]string{
			"--kubelet-certificate-authority=" + clusterAuthority,
			"--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
			"--kubelet-use-node-status-port",
			"--metric-resolution=" + strconv.Itoa(a.Resolution) + "s",
			// The kubelets must answer before they are asked again.
			"--kubelet-request-timeout=" + strconv.Itoa(a.Resolution-5) + "s",
		}),
		probe: httpsProbe, // it is ready once it has figures
		// Kubelets and the API server are no pods, so no selector matches them.
		egress: networkingv1.NetworkPolicyEgressRuleArray{networkingv1.NetworkPolicyEgressRuleArgs{
			Ports: tcp(append([]int{kubeletPort}, a.APIServerPorts...)...),
		}},
		rolloutTimeout: metricsRolloutTimeout,
	}.declare(ctx, name, s)
	return err
}

// httpsProbe is kube.HTTPProbe over TLS. The kubelet does not check the certificate.
func httpsProbe(path string, period, failures int) corev1.ProbeArgs {
	probe := kube.HTTPProbe(httpsPort, path, period, failures)
	probe.HttpGet = corev1.HTTPGetActionArgs{Path: pulumi.String(path), Port: pulumi.String(httpsPort), Scheme: pulumi.String("HTTPS")}
	return probe
}
