package observe

import (
	"fmt"
	"slices"

	apiregistrationv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiregistration/v1"
	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// servingPort is the port of the pods of an API server. Firewalls between a managed API server and its nodes let this port pass,
// since it is the kubelets' too.
const servingPort = 10250

// apiServer is a server to which the cluster's API server forwards an API group. While none of its pods answers, no namespace of
// the cluster can be deleted, since the API server cannot know whether the group has objects in it. So there are two pods, which
// evictions leave one of and tenants' pods do not displace, and the engine deletes the API group before everything that serves it.
type apiServer struct {
	// server is what its certificate calls it, such as metrics server.
	server         string
	part           kube.Part
	in             string // the namespace
	group, version string
	rules          rbacv1.PolicyRuleArray
	replicas       int
	resources      kube.Resources
	certificate    CertificateArgs
	priorityClass  pulumi.StringInput
	// listen is the program's flag of its address, and args are its arguments besides that and those of its certificate.
	listen string
	args   pulumi.StringArray
	// ports are those of the container, besides the one of the API.
	ports corev1.ContainerPortArray
	// probe returns a probe of a path, as kube.HTTPProbe.
	probe func(path string, period, failures int) corev1.ProbeArgs
	// figuresPort is the port of ports at which the metric store in the namespace metrics reads figures. Without one nobody does.
	figuresPort int
	metrics     string
	// egress is where the pods may connect to.
	egress networkingv1.NetworkPolicyEgressRuleArray
	// rolloutTimeout is how long, in seconds, the pods may make no progress.
	rolloutTimeout int
}

// apiServerPorts are the default ports on which pods connect to the cluster's API server: its Service's and its own.
func apiServerPorts(ports []int) []int {
	if len(ports) == 0 {
		return []int{443, 6443}
	}
	return ports
}

// declare declares the server in a namespace of its own, and returns what exists once the API group is served.
func (s apiServer) declare(ctx *pulumi.Context, name string, parent pulumi.Resource) (pulumi.Resource, error) {
	own, err := newWorkload(ctx, name, s.part, s.in, kube.RestrictedPods, nil, parent)
	if err != nil {
		return nil, err
	}
	rights, err := own.rights(ctx, name, s.rules)
	if err != nil {
		return nil, err
	}
	frontProxy, err := own.frontProxyRights(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := kube.NewDisruptionBudget(ctx, name, s.part, own.namespace, parent); err != nil {
		return nil, err
	}
	// The API server is no pod, so no selector matches it.
	policies, err := own.networkPolicies(ctx, name, kube.NetworkPolicyArgs{
		Ingress: append(networkingv1.NetworkPolicyIngressRuleArray{networkingv1.NetworkPolicyIngressRuleArgs{Ports: tcp(servingPort)}},
			scraped(s.metrics, s.figuresPort)...),
		Egress: s.egress,
	})
	if err != nil {
		return nil, err
	}
	certificate, err := s.servingCertificate(ctx, name, own)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	needs := slices.Concat(rights, []pulumi.Resource{frontProxy}, policies, certificate.needs)
	deployment, err := s.deployment(ctx, name, own, certificate.secret, needs)
	if err != nil {
		return nil, fmt.Errorf("deployment: %w", err)
	}
	service, err := own.service(ctx, name, httpsPort, 443)
	if err != nil {
		return nil, err
	}
	meta := metav1.ObjectMetaArgs{Name: pulumi.String(s.version + "." + s.group), Labels: s.part.Labels()}
	if len(certificate.annotations) > 0 {
		meta.Annotations = certificate.annotations
	}
	// What serves the group is there before it, and longer.
	return apiregistrationv1.NewAPIService(ctx, name, &apiregistrationv1.APIServiceArgs{
		Metadata: meta,
		Spec: apiregistrationv1.APIServiceSpecArgs{
			Group: pulumi.String(s.group), Version: pulumi.String(s.version),
			GroupPriorityMinimum: pulumi.Int(100), VersionPriority: pulumi.Int(100),
			Service:  apiregistrationv1.ServiceReferenceArgs{Name: pulumi.String(s.part.App), Namespace: own.namespace, Port: pulumi.Int(443)},
			CaBundle: certificate.caBundle,
		},
	}, pulumi.Parent(parent), pulumi.DependsOn(append(needs, deployment, service)))
}

// deployment declares the pods. The engine waits for them, so the API group is never declared before it is served.
func (s apiServer) deployment(ctx *pulumi.Context, name string, own workload, secret pulumi.StringInput, needs []pulumi.Resource) (*appsv1.Deployment, error) {
	dir := "/etc/" + s.part.App
	token, tokenMount := kube.APIToken() // it watches objects
	certificate, certificateMount := kube.SecretFiles("certificate", dir, kube.SecretKeys{Secret: secret, Keys: []string{"tls.crt", "tls.key"}})
	pod := kube.Pod{
		Part:                   s.part,
		ServiceAccount:         own.account,
		TerminationGracePeriod: 30,
		PriorityClass:          s.priorityClass,
		FiguresPort:            figuresPort(s.metrics, s.figuresPort),
		Volumes:                corev1.VolumeArray{token, certificate},
		Container: corev1.ContainerArgs{
			Name:           pulumi.String(s.part.App),
			Image:          s.part.Image,
			Args:           append(pulumi.ToStringArray([]string{s.listen, "--tls-cert-file=" + dir + "/tls.crt", "--tls-private-key-file=" + dir + "/tls.key"}), s.args...),
			Ports:          append(corev1.ContainerPortArray{corev1.ContainerPortArgs{Name: pulumi.String(httpsPort), ContainerPort: pulumi.Int(servingPort)}}, s.ports...),
			Resources:      s.resources.Requirements(),
			VolumeMounts:   corev1.VolumeMountArray{tokenMount, certificateMount},
			StartupProbe:   s.probe("/livez", 2, 30),
			ReadinessProbe: s.probe("/readyz", 3, 3),
			LivenessProbe:  s.probe("/livez", 10, 3),
			Lifecycle: corev1.LifecycleArgs{ // until the API server no longer connects to it
				PreStop: corev1.LifecycleHandlerArgs{Sleep: corev1.SleepActionArgs{Seconds: pulumi.Int(5)}},
			},
		},
	}
	return appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: s.part.WorkloadMeta(own.namespace),
		Spec: appsv1.DeploymentSpecArgs{
			Replicas:                pulumi.Int(s.replicas),
			ProgressDeadlineSeconds: pulumi.Int(s.rolloutTimeout),
			Selector:                metav1.LabelSelectorArgs{MatchLabels: s.part.Selector()},
			Strategy:                kube.RollingUpdate(),
			Template:                pod.Template(),
		},
	}, own.with(pulumi.DependsOn(needs), kube.Rollout(s.rolloutTimeout))...)
}
