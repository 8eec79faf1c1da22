package observe

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

const (
	// objectsApp is the name of everything of kube-state-metrics.
	objectsApp = "kube-state-metrics"
	// objectsPort is the port of its figures, and objectsHealthPort that of its readiness.
	objectsPort, objectsHealthPort         = 8080, 8081
	objectsPortName, objectsHealthPortName = "http", "health"
)

// objectFigures are the figures of objects that are kept. They hold no label, annotation or content of an object but its names.
var objectFigures = []string{
	"kube_resourcequota",
	"kube_pod_status_phase",
	"kube_pod_container_resource_requests",
	"kube_pod_container_resource_limits",
	"kube_pod_container_status_ready",
	"kube_pod_container_status_restarts_total",
	"kube_pod_container_status_waiting_reason",
	"kube_pod_container_status_last_terminated_reason",
	"kube_persistentvolumeclaim_resource_requests_storage_bytes",
	"kube_persistentvolumeclaim_status_phase",
	"kube_deployment_spec_replicas",
	"kube_deployment_status_replicas_available",
	"kube_statefulset_replicas",
	"kube_statefulset_status_replicas_ready",
	"kube_daemonset_status_desired_number_scheduled",
	"kube_daemonset_status_number_ready",
	"kube_horizontalpodautoscaler_spec_min_replicas",
	"kube_horizontalpodautoscaler_spec_max_replicas",
	"kube_horizontalpodautoscaler_status_current_replicas",
	"kube_horizontalpodautoscaler_status_desired_replicas",
}

// declareObjects declares kube-state-metrics beside the store.
func (args MetricsServiceArgs) declareObjects(ctx *pulumi.Context, name string, store workload) error {
	part := metricsPart(objectsApp, name, args.Objects.Image)
	name += "-objects"
	own, err := store.beside(ctx, name, part)
	if err != nil {
		return err
	}
	needs, err := own.rights(ctx, name, objectsRules())
	if err != nil {
		return err
	}
	policy, err := own.allow(ctx, name, kube.NetworkPolicyArgs{
		Ingress: scraped(args.Namespace, objectsPort),
		Egress: networkingv1.NetworkPolicyEgressRuleArray{
			networkingv1.NetworkPolicyEgressRuleArgs{Ports: tcp(args.APIServerPorts...)}, // it is no pod, so no selector matches it
		},
	})
	if err != nil {
		return err
	}
	if err := kube.NewDisruptionBudget(ctx, name, own.part, own.namespace, own.parent); err != nil {
		return err
	}
	pod := args.objectsPod(own)
	_, err = appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: own.part.WorkloadMeta(own.namespace),
		Spec: appsv1.DeploymentSpecArgs{
			Replicas:                pulumi.Int(1), // two would say everything twice
			ProgressDeadlineSeconds: pulumi.Int(metricsRolloutSeconds),
			Selector:                metav1.LabelSelectorArgs{MatchLabels: own.part.Selector()},
			Strategy:                kube.RollingUpdate(),
			Template:                pod.Template(),
		},
	}, own.with(pulumi.DependsOn(append(needs, policy)), kube.Rollout(metricsRolloutSeconds))...)
	if err != nil {
		return fmt.Errorf("deployment: %w", err)
	}
	return nil
}

// objectsPod returns the pod of kube-state-metrics.
func (args MetricsServiceArgs) objectsPod(own workload) kube.Pod {
	token, tokenMount := kube.APIToken() // it watches objects
	var resources []string
	for _, watched := range watchedObjects {
		resources = append(resources, watched.resources...)
	}
	slices.Sort(resources)
	return kube.Pod{
		Part:                   own.part,
		ServiceAccount:         own.account,
		TerminationGracePeriod: 30,
		PriorityClass:          args.PriorityClass,
		Volumes:                corev1.VolumeArray{token},
		Container: corev1.ContainerArgs{
			Name:  pulumi.String(objectsApp),
			Image: args.Objects.Image,
			Args: pulumi.ToStringArray([]string{
				fmt.Sprintf("--port=%d", objectsPort),
				fmt.Sprintf("--telemetry-port=%d", objectsHealthPort),
				"--resources=" + strings.Join(resources, ","),
				"--metric-allowlist=" + strings.Join(objectFigures, ","),
			}),
			Ports: corev1.ContainerPortArray{
				corev1.ContainerPortArgs{Name: pulumi.String(objectsPortName), ContainerPort: pulumi.Int(objectsPort)},
				corev1.ContainerPortArgs{Name: pulumi.String(objectsHealthPortName), ContainerPort: pulumi.Int(objectsHealthPort)},
			},
			Resources:    args.Objects.Resources.Requirements(),
			VolumeMounts: corev1.VolumeMountArray{tokenMount},
			// Its own path for liveness asks the API server, which a restart does not bring back.
			StartupProbe:   kube.HTTPProbe(objectsPortName, "/healthz", 2, 60),
			ReadinessProbe: kube.HTTPProbe(objectsHealthPortName, "/readyz", 5, 3),
			LivenessProbe:  kube.HTTPProbe(objectsPortName, "/healthz", 10, 6),
		},
	}
}
