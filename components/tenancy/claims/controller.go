package claims

import (
	"fmt"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/tenancy"
)

// controller declares the controller's workload. The stack does not wait for its rollout: nothing else depends on it, and a
// claim that is created earlier is served once it runs.
func (c *Claims) controller(ctx *pulumi.Context, name string, a Args, needs []pulumi.Resource) error {
	part := kube.Part{App: controllerAccount, PartOf: "journal", Component: "controller", Instance: name, Image: a.Image}
	child := pulumi.Parent(c)

	policy, err := a.controllerPolicy(ctx, name, part, child)
	if err != nil {
		return fmt.Errorf("network policy: %w", err)
	}
	if err := kube.NewDisruptionBudget(ctx, name, part, a.Platform.Name, c); err != nil {
		return err
	}
	account, err := corev1.NewServiceAccount(ctx, name, &corev1.ServiceAccountArgs{
		Metadata:                     part.Meta(a.Platform.Name), // the policies know it by its name, which is controllerAccount
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, child)
	if err != nil {
		return fmt.Errorf("service account: %w", err)
	}

	token, tokenMount := kube.APIToken() // namespaces are made by the API: this is what the program is for
	pod := kube.Pod{
		Part:                   part,
		ServiceAccount:         account.Metadata.Name().Elem(),
		TerminationGracePeriod: 30,
		PriorityClass:          a.Platform.PriorityClass,
		Volumes:                corev1.VolumeArray{token},
		Container: corev1.ContainerArgs{
			Name:  pulumi.String(controllerAccount),
			Image: a.Image,
			Args:  pulumi.ToStringArray([]string{"--namespace=" + tenancy.PlatformNamespace}),
			Ports: corev1.ContainerPortArray{
				corev1.ContainerPortArgs{Name: pulumi.String("metrics"), ContainerPort: pulumi.Int(metricsPort)},
				corev1.ContainerPortArgs{Name: pulumi.String("health"), ContainerPort: pulumi.Int(healthPort)},
			},
			Resources:      a.Resources.Requirements(),
			VolumeMounts:   corev1.VolumeMountArray{tokenMount},
			StartupProbe:   kube.HTTPProbe("health", "/healthz", 2, 30),
			ReadinessProbe: kube.HTTPProbe("health", "/readyz", 5, 3),
			LivenessProbe:  kube.HTTPProbe("health", "/healthz", 10, 3),
		},
	}
	if a.MetricsNamespace != "" {
		pod.FiguresPort = metricsPort
	}
	deployment := part.WorkloadMeta(a.Platform.Name)
	deployment.Annotations = pulumi.StringMap{kube.SkipAwait: pulumi.String("true")}
	c.Controller, err = appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: deployment,
		Spec: appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(a.Replicas),
			Selector: metav1.LabelSelectorArgs{MatchLabels: part.Selector()},
			Strategy: kube.RollingUpdate(),
			Template: pod.Template(),
		},
	}, child, pulumi.DependsOn(append(needs, policy)))
	if err != nil {
		return fmt.Errorf("deployment: %w", err)
	}
	return nil
}

// controllerPolicy declares the NetworkPolicy of the controller: it connects to the API server, and the metric store reads its
// figures. Nobody else connects; the kubelet's probes need no policy.
func (args *Args) controllerPolicy(ctx *pulumi.Context, name string, part kube.Part, parent pulumi.ResourceOption) (*networkingv1.NetworkPolicy, error) {
	ports := networkingv1.NetworkPolicyPortArray{}
	for _, port := range args.APIServerPorts {
		ports = append(ports, kube.TCP(port)...)
	}
	var ingress networkingv1.NetworkPolicyIngressRuleArray
	if args.MetricsNamespace != "" {
		ingress = append(ingress, networkingv1.NetworkPolicyIngressRuleArgs{
			From: networkingv1.NetworkPolicyPeerArray{kube.Scraper(args.MetricsNamespace)}, Ports: kube.TCP(metricsPort),
		})
	}
	return networkingv1.NewNetworkPolicy(ctx, name, &networkingv1.NetworkPolicyArgs{
		Metadata: part.Meta(args.Platform.Name),
		Spec: networkingv1.NetworkPolicySpecArgs{
			PodSelector: metav1.LabelSelectorArgs{MatchLabels: part.Selector()},
			PolicyTypes: pulumi.ToStringArray([]string{"Ingress", "Egress"}),
			Ingress:     ingress,
			// The API server is not a pod, so no selector matches it.
			Egress: networkingv1.NetworkPolicyEgressRuleArray{networkingv1.NetworkPolicyEgressRuleArgs{Ports: ports}},
		},
	}, parent)
}
