package observe

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"

	apiregistrationv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiregistration/v1"
	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

const (
	// metricsApp is the name of everything in the namespace.
	metricsApp = "metrics-server"
	// apiGroup and apiVersion are the API that the metrics server serves.
	apiGroup, apiVersion = "metrics.k8s.io", "v1beta1"
	// servingPort is the port of the pods. Firewalls between a managed API server and its nodes let this port pass, since it is
	// the kubelets' too.
	servingPort = 10250
	// kubeletPort is the port at which kubelets serve their figures.
	kubeletPort = 10250
	// portName is the name of servingPort.
	portName = "https"
	// certificateDir is where a pod finds its certificate.
	certificateDir = "/etc/metrics-server"
	// clusterAuthority is the certificate authority of the cluster, which signs the kubelets' serving certificates.
	clusterAuthority = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
	// rolloutTimeout is how long, in seconds, the pods may make no progress. A pod is ready after its second look at the kubelets.
	rolloutTimeout = 300
)

// MetricsServiceArgs are the parameters of the resource metrics.
type MetricsServiceArgs struct {
	// Image is the image of metrics-server, with an exact version. Required.
	Image pulumi.StringInput `json:"image" required:"true" example:"registry.k8s.io/metrics-server/metrics-server:v0.9.0"`
	// Replicas is the number of pods. With less than 2, an update or a lost node stops the API group, and no namespace can be
	// deleted while it is away.
	Replicas int `json:"replicas" default:"2" minimum:"2"`
	// Resources are those of each pod. It needs 1m of CPU and 2Mi of memory more for each node.
	Resources kube.Resources `json:"resources" default:"cpu=100m memory=128Mi"`
	// Resolution is how often the kubelets are asked, in seconds. A figure is that old at most, and so is what pods are scaled by.
	Resolution int `json:"resolution" default:"15" minimum:"10" maximum:"120"`
	// Certificate is the number of the serving certificate. To replace its key, write the next number: the pods take the new
	// one after each other, without a gap.
	Certificate int `json:"certificate" default:"1" minimum:"1"`

	// Namespace is the namespace that is created for the pods.
	Namespace string `json:"-" default:"journal-observe"`
	// PriorityClass is the name of the PriorityClass of the pods. The default is the cluster's.
	PriorityClass pulumi.StringInput `json:"-"`
	// APIServerPorts are the ports on which the pods connect to the API server: its Service's and its own. The default is 443
	// and 6443.
	APIServerPorts []int `json:"-" minimum:"1" maximum:"65535"`
}

// MetricsService serves the resource metrics of the cluster's pods and nodes, as the API group metrics.k8s.io. RBAC decides who
// reads what: the tenants' viewers may read those of the pods in their namespaces.
//
// The API server forwards the group to the pods. While none of them answers, no namespace of the cluster can be deleted, since
// the API server cannot know whether the group has objects in it. So there are two pods, which evictions leave one of and
// tenants' pods do not displace, and the engine deletes the API group before everything that serves it.
type MetricsService struct {
	pulumi.ResourceState

	// Ready exists once the API group is served.
	Ready pulumi.Resource
}

// Defaults returns the arguments of a service with all defaults.
func Defaults() MetricsServiceArgs { return (*MetricsServiceArgs)(nil).withDefaults() }

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *MetricsServiceArgs) withDefaults() MetricsServiceArgs {
	var a MetricsServiceArgs
	if args != nil {
		a = *args
	}
	rules.SetDefaults(&a)
	a.Resources = a.Resources.WithLimits()
	if len(a.APIServerPorts) == 0 {
		a.APIServerPorts = []int{443, 6443}
	}
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *MetricsServiceArgs) Check() rules.Faults {
	a := args.withDefaults()
	f := rules.CheckTags(a)
	f.Check("image", a.Image, kube.CheckImage(a.Image, rules.ForeignImage))
	f = append(f, a.Resources.Check().In("resources")...)
	f.Check("namespace", a.Namespace, kube.CheckNewNamespace(a.Namespace, "the metrics server", Defaults().Namespace))
	return f
}

// NewMetricsService declares the resource metrics. The error names every argument that breaks a rule. There is one in a
// cluster: where something else serves the API group, the API server refuses to let this one take it over.
func NewMetricsService(ctx *pulumi.Context, name string, args *MetricsServiceArgs, opts ...pulumi.ResourceOption) (*MetricsService, error) {
	if err := args.Check().Err(); err != nil {
		return nil, fmt.Errorf("metrics service %q: %w", name, err)
	}
	a := args.withDefaults()
	a.Image = kube.CheckedImage(fmt.Sprintf("metrics service %q", name), a.Image, rules.ForeignImage)
	s := &MetricsService{}
	if err := ctx.RegisterComponentResourceV2(metricsType, name, pulumi.Map{
		"image":    a.Image,
		"replicas": pulumi.Int(a.Replicas),
	}, s, opts...); err != nil {
		return nil, err
	}
	if err := s.declare(ctx, name, a); err != nil {
		return nil, fmt.Errorf("metrics service %q: %w", name, err)
	}
	return s, ctx.RegisterResourceOutputs(s, pulumi.Map{})
}

// declare creates the children.
func (s *MetricsService) declare(ctx *pulumi.Context, name string, a MetricsServiceArgs) error {
	part := kube.Part{App: metricsApp, PartOf: partOf, Component: "metrics", Instance: name, Image: a.Image}
	labels := kube.ManagedLabels(partOf)
	maps.Copy(labels, kube.PodSecurityLabels(kube.RestrictedPods))
	namespace, err := corev1.NewNamespace(ctx, name, &corev1.NamespaceArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(a.Namespace), Labels: pulumi.ToStringMap(labels)},
	}, pulumi.Parent(s))
	if err != nil {
		return err
	}
	own := workload{part: part, namespace: namespace.Metadata.Name().Elem(), opts: []pulumi.ResourceOption{pulumi.Parent(s), pulumi.DeletedWith(namespace)}}

	rights, err := s.declareRights(ctx, name, part, a)
	if err != nil {
		return err
	}
	account, err := kube.NewServiceAccount(ctx, name, part, own.namespace, s)
	if err != nil {
		return err
	}
	if err := kube.NewDisruptionBudget(ctx, name, part, own.namespace, s); err != nil {
		return err
	}
	policies, err := own.networkPolicies(ctx, name, a)
	if err != nil {
		return fmt.Errorf("network policy: %w", err)
	}
	secret, authority, err := own.certificate(ctx, name, a)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	deployment, err := own.deployment(ctx, name, a, account, secret, slices.Concat(rights, policies))
	if err != nil {
		return fmt.Errorf("deployment: %w", err)
	}
	service, err := own.service(ctx, name)
	if err != nil {
		return fmt.Errorf("service: %w", err)
	}
	// What serves the group is there before it, and longer.
	s.Ready, err = apiregistrationv1.NewAPIService(ctx, name, &apiregistrationv1.APIServiceArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(apiVersion + "." + apiGroup), Labels: part.Labels()},
		Spec: apiregistrationv1.APIServiceSpecArgs{
			Group: pulumi.String(apiGroup), Version: pulumi.String(apiVersion),
			GroupPriorityMinimum: pulumi.Int(100), VersionPriority: pulumi.Int(100),
			Service:  apiregistrationv1.ServiceReferenceArgs{Name: pulumi.String(metricsApp), Namespace: own.namespace, Port: pulumi.Int(443)},
			CaBundle: authority,
		},
	}, pulumi.Parent(s), pulumi.DependsOn(slices.Concat(rights, policies, []pulumi.Resource{deployment, service})))
	return err
}

// workload are the objects in the namespace.
type workload struct {
	part      kube.Part
	namespace pulumi.StringOutput
	opts      []pulumi.ResourceOption
}

// with returns the options of an object in the namespace, and more.
func (w workload) with(more ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return slices.Concat(w.opts, more)
}

// networkPolicies deny every connection but those of the pods: the API server's to them, and theirs to the kubelets and to the
// API server. These are no pods, so no selector matches them.
func (w workload) networkPolicies(ctx *pulumi.Context, name string, a MetricsServiceArgs) ([]pulumi.Resource, error) {
	both := pulumi.ToStringArray([]string{"Ingress", "Egress"})
	deny, err := networkingv1.NewNetworkPolicy(ctx, name+"-default-deny", &networkingv1.NetworkPolicyArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String("default-deny"), Namespace: w.namespace, Labels: pulumi.ToStringMap(kube.ManagedLabels(partOf))},
		Spec:     networkingv1.NetworkPolicySpecArgs{PodSelector: metav1.LabelSelectorArgs{}, PolicyTypes: both},
	}, w.opts...)
	if err != nil {
		return nil, err
	}
	out := kube.TCP(kubeletPort)
	for _, port := range a.APIServerPorts {
		out = append(out, kube.TCP(port)...)
	}
	allow, err := networkingv1.NewNetworkPolicy(ctx, name, &networkingv1.NetworkPolicyArgs{
		Metadata: w.part.Meta(w.namespace),
		Spec: networkingv1.NetworkPolicySpecArgs{
			PodSelector: metav1.LabelSelectorArgs{MatchLabels: w.part.Selector()},
			PolicyTypes: both,
			Ingress:     networkingv1.NetworkPolicyIngressRuleArray{networkingv1.NetworkPolicyIngressRuleArgs{Ports: kube.TCP(servingPort)}},
			Egress:      networkingv1.NetworkPolicyEgressRuleArray{networkingv1.NetworkPolicyEgressRuleArgs{Ports: out}},
		},
	}, w.opts...)
	return []pulumi.Resource{deny, allow}, err
}

// certificate declares the Secret with the serving certificate. It returns the Secret's name, and the authority in the form of
// an APIService. The secret from which both derive is not a child, so that an update can target it alone.
func (w workload) certificate(ctx *pulumi.Context, name string, a MetricsServiceArgs) (pulumi.StringInput, pulumi.StringPtrInput, error) {
	source, err := random.NewRandomPassword(ctx, name, &random.RandomPasswordArgs{Length: pulumi.Int(64), Special: pulumi.Bool(false)})
	if err != nil {
		return nil, nil, err
	}
	host := fmt.Sprintf("%s.%s.svc", metricsApp, a.Namespace)
	derived := pulumix.Cast[pulumi.StringMapOutput](pulumix.ApplyErr(source.Result, func(source string) (map[string]string, error) {
		c, err := deriveCertificates(source, a.Certificate, host)
		return map[string]string{"ca.crt": c.authority, "tls.crt": c.certificate, "tls.key": c.key}, err
	}))
	public := pulumi.Unsecret(derived).(pulumi.StringMapOutput) // only for what nobody can derive the key from
	meta := w.part.Meta(w.namespace)
	meta.Name = pulumix.Cast[pulumi.StringOutput](pulumix.Apply(public, func(c map[string]string) string {
		return kube.ContentName(metricsApp+"-tls", map[string]string{"ca.crt": c["ca.crt"], "tls.crt": c["tls.crt"]})
	}))
	secret, err := corev1.NewSecret(ctx, name+"-"+strconv.Itoa(a.Certificate), &corev1.SecretArgs{
		Metadata: meta, Type: pulumi.String("kubernetes.io/tls"), StringData: derived, Immutable: pulumi.Bool(true),
	}, w.opts...)
	if err != nil {
		return nil, nil, err
	}
	authority := pulumix.Cast[pulumi.StringPtrOutput](pulumix.Apply(public, func(c map[string]string) *string {
		text := base64.StdEncoding.EncodeToString([]byte(c["ca.crt"]))
		return &text
	}))
	return secret.Metadata.Name().Elem(), authority, nil
}

// deployment declares the pods. The engine waits for them, so the API group is never declared before it is served.
func (w workload) deployment(ctx *pulumi.Context, name string, a MetricsServiceArgs, account, secret pulumi.StringInput, needs []pulumi.Resource) (*appsv1.Deployment, error) {
	token, tokenMount := kube.APIToken() // it watches pods and nodes
	certificate, certificateMount := kube.SecretFiles("certificate", certificateDir, kube.SecretKeys{Secret: secret, Keys: []string{"tls.crt", "tls.key"}})
	pod := kube.Pod{
		Part:                   w.part,
		ServiceAccount:         account,
		TerminationGracePeriod: 30,
		PriorityClass:          a.PriorityClass,
		Volumes:                corev1.VolumeArray{token, certificate},
		Container: corev1.ContainerArgs{
			Name:  pulumi.String(metricsApp),
			Image: a.Image,
			Args: pulumi.ToStringArray([]string{
				"--secure-port=" + strconv.Itoa(servingPort),
				"--tls-cert-file=" + certificateDir + "/tls.crt",
				"--tls-private-key-file=" + certificateDir + "/tls.key",
				"--kubelet-certificate-authority=" + clusterAuthority,
				"--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
				"--kubelet-use-node-status-port",
				"--metric-resolution=" + strconv.Itoa(a.Resolution) + "s",
				// The kubelets must answer before they are asked again.
				"--kubelet-request-timeout=" + strconv.Itoa(a.Resolution-5) + "s",
			}),
			Ports:        corev1.ContainerPortArray{corev1.ContainerPortArgs{Name: pulumi.String(portName), ContainerPort: pulumi.Int(servingPort)}},
			Resources:    a.Resources.Requirements(),
			VolumeMounts: corev1.VolumeMountArray{tokenMount, certificateMount},
			StartupProbe: httpsProbe("/livez", 2, 30),
			// It is ready once it has figures.
			ReadinessProbe: httpsProbe("/readyz", 3, 3),
			LivenessProbe:  httpsProbe("/livez", 10, 3),
			Lifecycle: corev1.LifecycleArgs{ // until the API server no longer connects to it
				PreStop: corev1.LifecycleHandlerArgs{Sleep: corev1.SleepActionArgs{Seconds: pulumi.Int(5)}},
			},
		},
	}
	return appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: w.part.WorkloadMeta(w.namespace),
		Spec: appsv1.DeploymentSpecArgs{
			Replicas:                pulumi.Int(a.Replicas),
			ProgressDeadlineSeconds: pulumi.Int(rolloutTimeout),
			Selector:                metav1.LabelSelectorArgs{MatchLabels: w.part.Selector()},
			Strategy:                kube.RollingUpdate(),
			Template:                pod.Template(),
		},
	}, w.with(pulumi.DependsOn(needs), kube.Rollout(rolloutTimeout))...)
}

// service declares the Service to which the API server connects.
func (w workload) service(ctx *pulumi.Context, name string) (*corev1.Service, error) {
	meta := w.part.Meta(w.namespace)
	meta.Annotations = pulumi.StringMap{kube.SkipAwait: pulumi.String("true")}
	return corev1.NewService(ctx, name, &corev1.ServiceArgs{
		Metadata: meta,
		Spec: corev1.ServiceSpecArgs{
			Selector: w.part.Selector(),
			Ports: corev1.ServicePortArray{corev1.ServicePortArgs{
				Name: pulumi.String(portName), Port: pulumi.Int(443), TargetPort: pulumi.String(portName),
			}},
		},
	}, w.opts...)
}

// httpsProbe is kube.HTTPProbe over TLS. The kubelet does not check the certificate.
func httpsProbe(path string, period, failures int) corev1.ProbeArgs {
	probe := kube.HTTPProbe(portName, path, period, failures)
	probe.HttpGet = corev1.HTTPGetActionArgs{Path: pulumi.String(path), Port: pulumi.String(portName), Scheme: pulumi.String("HTTPS")}
	return probe
}
