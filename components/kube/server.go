package kube

import (
	"fmt"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	policyv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/policy/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const (
	// ServicePort is the port of every HTTP Service.
	ServicePort = 80
	// HTTPPort is the port of every HTTP container: above 1024, since no container runs as root.
	HTTPPort = 8080

	httpPortName = "http"
	// endpointsDelay is how long, in seconds, a terminating pod continues to serve, until every proxy and Ingress controller
	// has removed it from its endpoints.
	endpointsDelay = 5
	// minReadySeconds is how long, in seconds, a new pod must stay ready before an old one is stopped, so that a pod that
	// fails at its first requests replaces none.
	minReadySeconds = 2
	// terminationGracePeriod is how long, in seconds, open requests then have to finish.
	terminationGracePeriod = 30
)

// ServerArgs describe a stateless HTTP server of any number of equal replicas.
type ServerArgs struct {
	// Part says which part of the application the server is.
	Part Part
	// Namespace is where everything is created.
	Namespace pulumi.StringInput
	// Replicas is how many pods serve, or with Autoscaling the least of them.
	Replicas int
	// Autoscaling lets the cluster add pods by their load. By default it adds none.
	Autoscaling *Autoscaling
	// Resources are those of each pod.
	Resources Resources
	// Env are the container's environment variables. Secrets never go here.
	Env corev1.EnvVarArray
	// EnvFrom are ConfigMaps with further variables.
	EnvFrom corev1.EnvFromSourceArray
	// Volumes and Mounts are what the container mounts.
	Volumes corev1.VolumeArray
	Mounts  corev1.VolumeMountArray
	// ReadyPath and LivePath are the URL paths of the readiness probe and of the liveness probe.
	ReadyPath, LivePath string
	// IngressNamespace is the namespace of the Ingress controller, the only one that may connect. If it is empty, pods of
	// every namespace may connect: for controllers whose namespace is not known.
	IngressNamespace string
	// MetricsNamespace is the namespace of the metric store. If it is set, the server serves figures at /metrics of its port, and the
	// store's pods may connect too.
	MetricsNamespace string
	// Fenced says that the NetworkPolicies of the namespace fence the pods, so that the server declares none.
	Fenced bool
	// RolloutTimeout is how long, in seconds, an update may make no progress before it fails. The old pods stay.
	RolloutTimeout int
	// After are resources that must exist, rolled out, before the pods are replaced.
	After []pulumi.Resource
	// PriorityClass is the name of the pods' PriorityClass. The default is the cluster's.
	PriorityClass pulumi.StringInput
	// Egress is where the pods may connect to. If it is empty, they may connect to nothing.
	Egress networkingv1.NetworkPolicyEgressRuleArray
}

// Server is a server's Service, and the Deployment of its pods.
type Server struct {
	Service    *corev1.Service
	Deployment *appsv1.Deployment
}

// NewServer declares a stateless HTTP server as children of a component: a Deployment that updates without losing
// capacity, its Service, its ServiceAccount without rights or token, its PodDisruptionBudget and its NetworkPolicy, unless the
// namespace is fenced.
func NewServer(ctx *pulumi.Context, name string, args ServerArgs, parent pulumi.Resource) (*Server, error) {
	account, err := NewServiceAccount(ctx, name, args.Part, args.Namespace, parent)
	if err != nil {
		return nil, err
	}
	deployment, err := args.deployment(ctx, name, account, parent)
	if err != nil {
		return nil, fmt.Errorf("deployment: %w", err)
	}
	if args.Autoscaling != nil {
		if err := args.Autoscaling.declare(ctx, name, args, deployment.Metadata.Name(), parent); err != nil {
			return nil, err
		}
	}
	if err := NewDisruptionBudget(ctx, name, args.Part, args.Namespace, parent); err != nil {
		return nil, err
	}
	if !args.Fenced {
		if err := args.networkPolicy(ctx, name, parent); err != nil {
			return nil, err
		}
	}
	service, err := args.service(ctx, name, parent)
	if err != nil {
		return nil, fmt.Errorf("service: %w", err)
	}
	return &Server{Service: service, Deployment: deployment}, nil
}

// deployment declares the pods.
func (args ServerArgs) deployment(ctx *pulumi.Context, name string, account pulumi.StringInput, parent pulumi.Resource) (*appsv1.Deployment, error) {
	pod := Pod{
		Part:                   args.Part,
		ServiceAccount:         account,
		Volumes:                args.Volumes,
		PriorityClass:          args.PriorityClass,
		Fenced:                 args.Fenced,
		FiguresPort:            args.figuresPort(),
		TerminationGracePeriod: terminationGracePeriod + endpointsDelay,
		Container: corev1.ContainerArgs{
			Name:         pulumi.String(args.Part.App),
			Image:        args.Part.Image,
			Env:          args.Env,
			EnvFrom:      args.EnvFrom,
			Ports:        corev1.ContainerPortArray{corev1.ContainerPortArgs{Name: pulumi.String(httpPortName), ContainerPort: pulumi.Int(HTTPPort)}},
			Resources:    args.Resources.Requirements(),
			VolumeMounts: args.Mounts,
			// Starting may take 30 s. Until then the other two probes do not run.
			StartupProbe:   HTTPProbe(httpPortName, args.LivePath, 1, 30),
			ReadinessProbe: HTTPProbe(httpPortName, args.ReadyPath, 2, 3),
			LivenessProbe:  HTTPProbe(httpPortName, args.LivePath, 10, 3),
			Lifecycle: corev1.LifecycleArgs{
				PreStop: corev1.LifecycleHandlerArgs{Sleep: corev1.SleepActionArgs{Seconds: pulumi.Int(endpointsDelay)}},
			},
		},
	}
	meta, opts := args.scaling(pulumi.Parent(parent), pulumi.DependsOn(args.After), Rollout(args.RolloutTimeout))
	return appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: meta,
		Spec: appsv1.DeploymentSpecArgs{
			Replicas:                pulumi.Int(args.Replicas),
			MinReadySeconds:         pulumi.Int(minReadySeconds),
			ProgressDeadlineSeconds: pulumi.Int(args.RolloutTimeout),
			Selector:                metav1.LabelSelectorArgs{MatchLabels: args.Part.Selector()},
			Strategy:                RollingUpdate(),
			Template:                pod.Template(),
		},
	}, opts...)
}

// scaling returns the metadata of the Deployment and its options, which say who decides the number of pods.
//
// Without Autoscaling it is the update, which takes it back from everybody else: an autoscaler that is no longer declared, or
// `kubectl scale`. With Autoscaling an update sets it only when it creates the Deployment, so the pods that there must be are
// there from the start. The plugin then leaves the ignored field to whoever last wrote it in the cluster, also when it updates
// the Deployment. The annotation makes an update of the Deployment out of turning it on or off.
func (args ServerArgs) scaling(opts ...pulumi.ResourceOption) (metav1.ObjectMetaArgs, []pulumi.ResourceOption) {
	meta := args.Part.WorkloadMeta(args.Namespace)
	annotations := pulumi.StringMap{PatchForce: pulumi.String("true")}
	if args.Autoscaling != nil {
		annotations[ScaledByAnnotation] = pulumi.String("load")
		opts = append(opts, pulumi.IgnoreChanges([]string{"spec.replicas"}))
	}
	meta.Annotations = annotations
	return meta, opts
}

// figuresPort is the port of the figures, or 0 if nobody reads them.
func (args ServerArgs) figuresPort() int {
	if args.MetricsNamespace == "" {
		return 0
	}
	return HTTPPort
}

// networkPolicy lets the Ingress controller connect, and the metric store.
func (args ServerArgs) networkPolicy(ctx *pulumi.Context, name string, parent pulumi.Resource) error {
	controller := networkingv1.NetworkPolicyPeerArgs{NamespaceSelector: metav1.LabelSelectorArgs{}}
	if args.IngressNamespace != "" {
		controller.NamespaceSelector = NamespaceSelector(args.IngressNamespace)
	}
	from := networkingv1.NetworkPolicyPeerArray{controller}
	if args.MetricsNamespace != "" {
		from = append(from, Scraper(args.MetricsNamespace))
	}
	return NewNetworkPolicy(ctx, name, args.Part, args.Namespace, NetworkPolicyArgs{
		Ingress: networkingv1.NetworkPolicyIngressRuleArray{networkingv1.NetworkPolicyIngressRuleArgs{
			From:  from,
			Ports: TCP(HTTPPort),
		}},
		Egress: args.Egress,
	}, parent)
}

// service declares the Service.
func (args ServerArgs) service(ctx *pulumi.Context, name string, parent pulumi.Resource) (*corev1.Service, error) {
	meta := args.Part.Meta(args.Namespace)
	meta.Annotations = pulumi.StringMap{SkipAwait: pulumi.String("true")}
	return corev1.NewService(ctx, name, &corev1.ServiceArgs{
		Metadata: meta,
		Spec: corev1.ServiceSpecArgs{
			Selector: args.Part.Selector(),
			Ports: corev1.ServicePortArray{corev1.ServicePortArgs{
				Name: pulumi.String(httpPortName), Port: pulumi.Int(ServicePort), TargetPort: pulumi.String(httpPortName),
			}},
		},
	}, pulumi.Parent(parent), pulumi.DeleteBeforeReplace(true)) // its name is fixed, so the new one needs the old one gone
}

// NewServiceAccount declares an account for a part's pods that has no rights and gives them no token. It returns the account's
// name.
func NewServiceAccount(ctx *pulumi.Context, name string, part Part, namespace pulumi.StringInput, parent pulumi.Resource) (pulumi.StringInput, error) {
	account, err := corev1.NewServiceAccount(ctx, name, &corev1.ServiceAccountArgs{
		Metadata:                     part.Meta(namespace),
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, pulumi.Parent(parent))
	if err != nil {
		return nil, fmt.Errorf("service account: %w", err)
	}
	return account.Metadata.Name().Elem(), nil
}

// NewDisruptionBudget declares a PodDisruptionBudget: a node drain or an upgrade may evict one pod of the part at a time.
func NewDisruptionBudget(ctx *pulumi.Context, name string, part Part, namespace pulumi.StringInput, parent pulumi.Resource) error {
	_, err := policyv1.NewPodDisruptionBudget(ctx, name, &policyv1.PodDisruptionBudgetArgs{
		Metadata: part.Meta(namespace),
		Spec: policyv1.PodDisruptionBudgetSpecArgs{
			MaxUnavailable: pulumi.Int(1),
			Selector:       metav1.LabelSelectorArgs{MatchLabels: part.Selector()},
		},
	}, pulumi.Parent(parent))
	if err != nil {
		return fmt.Errorf("pod disruption budget: %w", err)
	}
	return nil
}
