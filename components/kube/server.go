package kube

import (
	"cmp"
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
	// endpointsDelay is how long, in seconds, a pod goes on serving after it was told to stop: the time until every
	// proxy and Ingress controller has learned that it is no endpoint any more.
	endpointsDelay = 5
	// minReadySeconds is how long, in seconds, a new pod has to stay ready before it counts and an old one goes: one that
	// ends with its first requests takes nobody's place.
	minReadySeconds = 2
	// terminationGracePeriod is how long, in seconds, open requests then have to end.
	terminationGracePeriod = 30
)

// ServerArgs describe a stateless HTTP server of any number of equal replicas.
type ServerArgs struct {
	// Part says which part of the application the server is.
	Part Part
	// Namespace is where everything is created.
	Namespace pulumi.StringInput
	// Replicas is how many pods serve.
	Replicas int
	// Resources are what each pod is given.
	Resources Resources
	// Env are the container's environment variables. Secrets never go here.
	Env corev1.EnvVarArray
	// EnvFrom are ConfigMaps with further variables.
	EnvFrom corev1.EnvFromSourceArray
	// Volumes and Mounts are what the container mounts.
	Volumes corev1.VolumeArray
	Mounts  corev1.VolumeMountArray
	// ReadyPath and LivePath are the URL paths of the probes: may the pod be sent requests, and does it live.
	ReadyPath, LivePath string
	// IngressNamespace is the namespace of the Ingress controller, the only one that may connect. Empty lets pods of
	// every namespace connect, for controllers whose namespace is not known.
	IngressNamespace string
	// RolloutTimeout is how long, in seconds, an update may go on without progress before it fails; the old pods go on. The
	// default is DefaultRolloutTimeout.
	RolloutTimeout int
	// After are what has to be there, rolled out, before the pods are replaced.
	After []pulumi.Resource
	// Egress is where the pods may connect to; empty forbids every connection.
	Egress networkingv1.NetworkPolicyEgressRuleArray
}

// Server is a server's Service, and the Deployment of its pods.
type Server struct {
	Service    *corev1.Service
	Deployment *appsv1.Deployment
}

// NewServer declares a stateless HTTP server as children of a component: a Deployment that updates without losing
// capacity, its Service, its ServiceAccount without rights or token, a PodDisruptionBudget and the NetworkPolicy that
// fences its pods.
func NewServer(ctx *pulumi.Context, name string, args ServerArgs, parent pulumi.Resource) (*Server, error) {
	child := pulumi.Parent(parent)

	account, err := corev1.NewServiceAccount(ctx, name, &corev1.ServiceAccountArgs{
		Metadata:                     args.Part.Meta(args.Namespace),
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, child)
	if err != nil {
		return nil, fmt.Errorf("service account: %w", err)
	}

	pod := Pod{
		Part:                   args.Part,
		ServiceAccount:         account.Metadata.Name().Elem(),
		Volumes:                args.Volumes,
		TerminationGracePeriod: terminationGracePeriod + endpointsDelay,
		Container: corev1.ContainerArgs{
			Name:         pulumi.String(args.Part.App),
			Image:        pulumi.String(args.Part.Image),
			Env:          args.Env,
			EnvFrom:      args.EnvFrom,
			Ports:        corev1.ContainerPortArray{corev1.ContainerPortArgs{Name: pulumi.String(httpPortName), ContainerPort: pulumi.Int(HTTPPort)}},
			Resources:    args.Resources.Requirements(),
			VolumeMounts: args.Mounts,
			// Starting may take 30 s; until then the other two probes wait.
			StartupProbe:   HTTPProbe(httpPortName, args.LivePath, 1, 30),
			ReadinessProbe: HTTPProbe(httpPortName, args.ReadyPath, 2, 3),
			LivenessProbe:  HTTPProbe(httpPortName, args.LivePath, 10, 3),
			Lifecycle: corev1.LifecycleArgs{
				PreStop: corev1.LifecycleHandlerArgs{Sleep: corev1.SleepActionArgs{Seconds: pulumi.Int(endpointsDelay)}},
			},
		},
	}
	timeout := cmp.Or(args.RolloutTimeout, DefaultRolloutTimeout)
	deployment, err := appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: args.Part.WorkloadMeta(args.Namespace),
		Spec: appsv1.DeploymentSpecArgs{
			Replicas:                pulumi.Int(args.Replicas),
			MinReadySeconds:         pulumi.Int(minReadySeconds),
			ProgressDeadlineSeconds: pulumi.Int(timeout),
			Selector:                metav1.LabelSelectorArgs{MatchLabels: args.Part.Selector()},
			Strategy:                RollingUpdate(),
			Template:                pod.Template(),
		},
	}, child, pulumi.DependsOn(args.After), Rollout(timeout))
	if err != nil {
		return nil, fmt.Errorf("deployment: %w", err)
	}

	if err := NewDisruptionBudget(ctx, name, args.Part, args.Namespace, parent); err != nil {
		return nil, err
	}

	from := networkingv1.NetworkPolicyPeerArgs{NamespaceSelector: metav1.LabelSelectorArgs{}}
	if args.IngressNamespace != "" {
		from.NamespaceSelector = NamespaceSelector(args.IngressNamespace)
	}
	if err := NewFence(ctx, name, args.Part, args.Namespace, FenceArgs{
		Ingress: networkingv1.NetworkPolicyIngressRuleArray{networkingv1.NetworkPolicyIngressRuleArgs{
			From:  networkingv1.NetworkPolicyPeerArray{from},
			Ports: TCP(HTTPPort),
		}},
		Egress: args.Egress,
	}, parent); err != nil {
		return nil, err
	}

	meta := args.Part.Meta(args.Namespace)
	meta.Annotations = pulumi.StringMap{SkipAwait: pulumi.String("true")}
	service, err := corev1.NewService(ctx, name, &corev1.ServiceArgs{
		Metadata: meta,
		Spec: corev1.ServiceSpecArgs{
			Selector: args.Part.Selector(),
			Ports: corev1.ServicePortArray{corev1.ServicePortArgs{
				Name: pulumi.String(httpPortName), Port: pulumi.Int(ServicePort), TargetPort: pulumi.String(httpPortName),
			}},
		},
	}, child, pulumi.DeleteBeforeReplace(true)) // its name is fixed, so the new one needs the old one gone
	if err != nil {
		return nil, fmt.Errorf("service: %w", err)
	}
	return &Server{Service: service, Deployment: deployment}, nil
}

// NewDisruptionBudget declares that a node drain or an upgrade may take one pod of the part at a time.
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
