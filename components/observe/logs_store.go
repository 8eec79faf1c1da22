package observe

import (
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

const (
	// logStoreApp is the name of everything of the store.
	logStoreApp = "log-store"
	// logStorePort is the port at which the store takes lines and answers queries.
	logStorePort = 9428
)

// declareStore declares the store in a namespace of its own, and returns what exists once its pod is as declared.
func (s *LogService) declareStore(ctx *pulumi.Context, name string, a LogServiceArgs) (pulumi.CustomResource, error) {
	part := kube.Part{App: logStoreApp, PartOf: partOf, Component: "logs", Instance: name, Image: a.Store.Image}
	agents := peer(agentPart(name, nil), a.AgentNamespace)
	name += "-store"
	own, err := newWorkload(ctx, name, part, a.Namespace, kube.RestrictedPods, nil, s)
	if err != nil {
		return nil, err
	}
	var rollout pulumi.CustomResource
	s.Store, rollout, err = storeSet{
		own: own, port: logStorePort, storage: a.Store.Storage, pod: a.storePod(own), rolloutTimeout: logsRolloutTimeout,
		ingress: append(networkingv1.NetworkPolicyIngressRuleArray{networkingv1.NetworkPolicyIngressRuleArgs{
			From: append(networkingv1.NetworkPolicyPeerArray{agents}, a.Readers...), Ports: tcp(logStorePort),
		}}, scraped(a.MetricsNamespace, logStorePort)...),
	}.declare(ctx, name) // it connects to nothing
	return rollout, err
}

// storePod returns the pod of the store.
func (args LogServiceArgs) storePod(own workload) kube.Pod {
	store := args.Store
	container := corev1.ContainerArgs{
		Name:  pulumi.String(logStoreApp),
		Image: store.Image,
		Args: pulumi.ToStringArray([]string{
			"-storageDataPath=" + storeDir,
			fmt.Sprintf("-httpListenAddr=:%d", logStorePort),
			bothFamilies,
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
		Ports:        storeContainerPort(logStorePort),
		Resources:    store.Resources.Requirements(),
		VolumeMounts: corev1.VolumeMountArray{storeVolume()},
	}
	storeProbes(&container)
	return kube.Pod{
		Part:                   own.part,
		ServiceAccount:         own.account,
		TerminationGracePeriod: 60, // it writes what it has in memory
		PriorityClass:          args.PriorityClass,
		FiguresPort:            figuresPort(args.MetricsNamespace, logStorePort),
		Container:              container,
	}
}
