package observe

import (
	"fmt"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

const (
	// storeApp is the name of everything of the store.
	storeApp = "log-store"
	// storePort is the port at which the store takes lines and answers queries, and storePortName its name.
	storePort, storePortName = 9428, "http"
	// storeDir is where the volume is.
	storeDir = "/data"
)

// storePart is the part of the store.
func storePart(name string, image pulumi.StringInput) kube.Part {
	return kube.Part{App: storeApp, PartOf: partOf, Component: "logs", Instance: name, Image: image}
}

// declareStore declares the store in a namespace of its own, and returns what exists once its pod is as declared.
func (s *LogService) declareStore(ctx *pulumi.Context, name string, a LogServiceArgs) (pulumi.CustomResource, error) {
	part := storePart(name, a.Store.Image)
	name += "-store"
	own, err := newWorkload(ctx, name, part, a.Namespace, kube.RestrictedPods, nil, s)
	if err != nil {
		return nil, err
	}
	// It connects to nothing.
	agents := peer(agentPart(name, nil), a.AgentNamespace)
	policies, err := own.networkPolicies(ctx, name, kube.NetworkPolicyArgs{Ingress: networkingv1.NetworkPolicyIngressRuleArray{
		networkingv1.NetworkPolicyIngressRuleArgs{From: append(networkingv1.NetworkPolicyPeerArray{agents}, a.Readers...), Ports: tcp(storePort)},
	}})
	if err != nil {
		return nil, err
	}
	if err := kube.NewDisruptionBudget(ctx, name, own.part, own.namespace, s); err != nil {
		return nil, err
	}
	service, err := own.service(ctx, name, storePortName, storePort)
	if err != nil {
		return nil, err
	}
	s.Store = LogStore{
		URL:   pulumi.Sprintf("http://%s.%s.svc:%d", service.Metadata.Name().Elem(), own.namespace, storePort),
		Peers: networkingv1.NetworkPolicyPeerArray{peer(own.part, a.Namespace)}, Port: storePort,
	}
	meta := own.part.WorkloadMeta(own.namespace)
	// One pod needs no name of its own in DNS, which a Service without an address would give it: the agents find the next pod at
	// the same address at once.
	meta.Annotations = pulumi.StringMap{kube.ScoreIgnore: pulumi.String("statefulset-has-servicename")}
	pod := a.storePod(own)
	set, err := appsv1.NewStatefulSet(ctx, name, &appsv1.StatefulSetArgs{
		Metadata: meta,
		Spec: appsv1.StatefulSetSpecArgs{
			Replicas: pulumi.Int(1),
			// With the default, a pod that never becomes ready would block the update that repairs it.
			PodManagementPolicy:  pulumi.String("Parallel"),
			ServiceName:          service.Metadata.Name().Elem(),
			Selector:             metav1.LabelSelectorArgs{MatchLabels: own.part.Selector()},
			Template:             pod.Template(),
			VolumeClaimTemplates: a.Store.Storage.Claims(own.part),
		},
	}, own.with(pulumi.DependsOn(policies), kube.Rollout(logsRolloutTimeout), kube.KeepClaims())...)
	if err != nil {
		return nil, fmt.Errorf("stateful set: %w", err)
	}
	volumes, err := a.Store.Storage.Resize(ctx, name, set, 1, s)
	if err != nil {
		return nil, fmt.Errorf("volume: %w", err)
	}
	// After the volume, so that the history has a new size only once the volume has it.
	rollout, err := kube.AwaitRollout(ctx, name, set, kube.AwaitArgs{Timeout: logsRolloutTimeout, After: volumes}, s)
	if err != nil {
		return nil, fmt.Errorf("rollout: %w", err)
	}
	return rollout, nil
}

// storePod returns the pod of the store.
func (args LogServiceArgs) storePod(own workload) kube.Pod {
	store := args.Store
	return kube.Pod{
		Part:                   own.part,
		ServiceAccount:         own.account,
		TerminationGracePeriod: 60, // it writes what it has in memory
		PriorityClass:          args.PriorityClass,
		Container: corev1.ContainerArgs{
			Name:  pulumi.String(storeApp),
			Image: store.Image,
			Args: pulumi.ToStringArray([]string{
				"-storageDataPath=" + storeDir,
				fmt.Sprintf("-httpListenAddr=:%d", storePort),
				fmt.Sprintf("-retentionPeriod=%dd", args.Retention.Days),
				"-retention.maxDiskSpaceUsageBytes=" + bytesOf(args.Retention.Size).FloatString(0),
				// It refuses lines before the volume is full, and the agents keep them.
				"-storage.minFreeDiskSpaceBytes=" + times(bytesOf(store.Storage.Size), 1, 20).FloatString(0),
				"-memory.allowedBytes=" + times(bytesOf(store.Resources.MemoryLimit), 1, 4).FloatString(0),
				"-search.maxQueryDuration=30s", // the API server ends a read after 60 s
				// More than a few people have at once: each has two in each reader, and the default for one CPU is two in all.
				"-search.maxConcurrentRequests=16",
				// A store that is killed loses up to two of these and a second more. The agents do not send again what it has taken.
				"-inmemoryDataFlushInterval=1s",
				"-loggerFormat=json",
			}),
			Ports:        corev1.ContainerPortArray{corev1.ContainerPortArgs{Name: pulumi.String(storePortName), ContainerPort: pulumi.Int(storePort)}},
			Resources:    store.Resources.Requirements(),
			VolumeMounts: corev1.VolumeMountArray{corev1.VolumeMountArgs{Name: pulumi.String(kube.DataVolume), MountPath: pulumi.String(storeDir)}},
			// Five minutes for opening a large volume.
			StartupProbe:   kube.HTTPProbe(storePortName, "/health", 2, 150),
			ReadinessProbe: kube.HTTPProbe(storePortName, "/health", 5, 3),
			LivenessProbe: corev1.ProbeArgs{
				TcpSocket:        corev1.TCPSocketActionArgs{Port: pulumi.String(storePortName)},
				PeriodSeconds:    pulumi.Int(10),
				TimeoutSeconds:   pulumi.Int(3),
				FailureThreshold: pulumi.Int(6),
			},
		},
	}
}
