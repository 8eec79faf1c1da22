package observe

import (
	"errors"
	"fmt"
	"slices"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// storePortName is the name of the port of a store.
const storePortName = "http"

// storeDir is where the volume of a store is.
const storeDir = "/data"

// bothFamilies is a flag of all of VictoriaMetrics' programs. Without it they neither listen nor connect by IPv6.
const bothFamilies = "-enableTCP6"

// Store is what a Reader needs to know about a store.
type Store struct {
	// URL is the address of the store. Required.
	URL pulumi.StringInput
	// Peers are the pods of the store as peers of a NetworkPolicy, and Port is their port. Required.
	Peers networkingv1.NetworkPolicyPeerArray
	Port  int
}

// given says whether anything of the store is set.
func (s Store) given() bool { return s.URL != nil || len(s.Peers) > 0 || s.Port != 0 }

// check refuses a store of which something is missing.
func (s Store) check(service string) error {
	if s.URL == nil || len(s.Peers) == 0 || s.Port == 0 {
		return fmt.Errorf("something of it is missing; pass the field Store of a %s, or the URL, Peers and Port of another store", service)
	}
	return nil
}

// errNoStore is the fault of a reader without any store.
var errNoStore = errors.New("it is missing; pass the field Store of a LogService or a MetricsService")

// storeSet is one pod with a volume, in a namespace of its own, which answers queries at one port.
type storeSet struct {
	own     workload
	port    int
	storage kube.Storage
	// ingress and egress are the connections that are allowed. All others are forbidden.
	ingress networkingv1.NetworkPolicyIngressRuleArray
	egress  networkingv1.NetworkPolicyEgressRuleArray
	// needs are what must exist before the pod starts.
	needs []pulumi.Resource
	pod   kube.Pod
	// rolloutTimeout is how long, in seconds, the rollout may take.
	rolloutTimeout int
}

// declare declares the store. It returns what a Reader needs to know, and what exists once the pod is as declared.
func (s storeSet) declare(ctx *pulumi.Context, name string) (Store, pulumi.CustomResource, error) {
	own := s.own
	policies, err := own.networkPolicies(ctx, name, kube.NetworkPolicyArgs{Ingress: s.ingress, Egress: s.egress})
	if err != nil {
		return Store{}, nil, err
	}
	if err := kube.NewDisruptionBudget(ctx, name, own.part, own.namespace, own.parent); err != nil {
		return Store{}, nil, err
	}
	service, err := own.service(ctx, name, storePortName, s.port)
	if err != nil {
		return Store{}, nil, err
	}
	meta := own.part.WorkloadMeta(own.namespace)
	// One pod needs no name of its own in DNS, which a Service without an address would give it: whoever connects finds the next
	// pod at the same address at once.
	meta.Annotations = pulumi.StringMap{kube.ScoreIgnore: pulumi.String("statefulset-has-servicename")}
	set, err := appsv1.NewStatefulSet(ctx, name, &appsv1.StatefulSetArgs{
		Metadata: meta,
		Spec: appsv1.StatefulSetSpecArgs{
			Replicas: pulumi.Int(1),
			// With the default, a pod that never becomes ready would block the update that repairs it.
			PodManagementPolicy:  pulumi.String("Parallel"),
			ServiceName:          service.Metadata.Name().Elem(),
			Selector:             metav1.LabelSelectorArgs{MatchLabels: own.part.Selector()},
			Template:             s.pod.Template(),
			VolumeClaimTemplates: s.storage.Claims(own.part),
		},
	}, own.with(pulumi.DependsOn(slices.Concat(policies, s.needs)), kube.Rollout(s.rolloutTimeout), kube.KeepClaims())...)
	if err != nil {
		return Store{}, nil, fmt.Errorf("stateful set: %w", err)
	}
	volumes, err := s.storage.Resize(ctx, name, set, 1, own.parent)
	if err != nil {
		return Store{}, nil, fmt.Errorf("volume: %w", err)
	}
	// After the volume, so that the history has a new size only once the volume has it.
	rollout, err := kube.AwaitRollout(ctx, name, set, kube.AwaitArgs{Timeout: s.rolloutTimeout, After: volumes}, own.parent)
	if err != nil {
		return Store{}, nil, fmt.Errorf("rollout: %w", err)
	}
	return Store{
		URL:   pulumi.Sprintf("http://%s.%s.svc:%d", service.Metadata.Name().Elem(), own.namespace, s.port),
		Peers: networkingv1.NetworkPolicyPeerArray{peer(own.part, own.in)}, Port: s.port,
	}, rollout, nil
}

// storeContainerPort is the port of a store's container.
func storeContainerPort(number int) corev1.ContainerPortArray {
	return corev1.ContainerPortArray{corev1.ContainerPortArgs{Name: pulumi.String(storePortName), ContainerPort: pulumi.Int(number)}}
}

// storeVolume mounts the volume of a store.
func storeVolume() corev1.VolumeMountArgs {
	return corev1.VolumeMountArgs{Name: pulumi.String(kube.DataVolume), MountPath: pulumi.String(storeDir)}
}

// storeProbes are the probes of a store at the path /health: it has five minutes to open a large volume, and is restarted only
// if nothing listens.
func storeProbes(c *corev1.ContainerArgs) {
	c.StartupProbe = kube.HTTPProbe(storePortName, "/health", 2, 150)
	c.ReadinessProbe = kube.HTTPProbe(storePortName, "/health", 5, 3)
	c.LivenessProbe = corev1.ProbeArgs{
		TcpSocket:        corev1.TCPSocketActionArgs{Port: pulumi.String(storePortName)},
		PeriodSeconds:    pulumi.Int(10),
		TimeoutSeconds:   pulumi.Int(3),
		FailureThreshold: pulumi.Int(6),
	}
}
