package journal

import (
	"errors"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// services are the Services of Redis.
type services struct {
	peers *corev1.Service // headless: it names each pod
	write *corev1.Service // the primary
	read  *corev1.Service // all replicas in sync
}

// services declares the Services. The primary has its own, whose address stays when its pod returns with another one: the
// cluster's DNS caches a name of the pod itself for up to half a minute.
func (r *Redis) services(ctx *pulumi.Context, name string, a RedisArgs) (s services, err error) {
	declare := func(suffix string, spec corev1.ServiceSpecArgs) *corev1.Service {
		annotations := pulumi.StringMap{kube.SkipAwait: pulumi.String("true")}
		if spec.Selector == nil {
			spec.Selector = r.part.Selector()
		} else {
			// kube-score does not know the label, since the StatefulSet's controller adds it to the pods.
			annotations[kube.ScoreIgnore] = pulumi.String("service-targets-pod")
		}
		spec.Ports = corev1.ServicePortArray{corev1.ServicePortArgs{
			Name: pulumi.String("redis"), Port: pulumi.Int(redisPort), TargetPort: pulumi.String("redis"),
		}}
		service, failed := corev1.NewService(ctx, name+suffix, &corev1.ServiceArgs{
			Metadata: metav1.ObjectMetaArgs{
				Name: pulumi.String(a.App + suffix), Namespace: a.Namespace, Labels: r.part.Labels(), Annotations: annotations,
			},
			Spec: spec,
		}, pulumi.Parent(r), pulumi.DeleteBeforeReplace(true))
		err = errors.Join(err, failed)
		return service
	}
	// A replica must resolve the primary before the primary is ready, or nothing would ever start. Redis itself reports when
	// it cannot serve yet.
	const notReadyToo = pulumi.Bool(true)
	s.peers = declare("", corev1.ServiceSpecArgs{ClusterIP: pulumi.String("None"), PublishNotReadyAddresses: notReadyToo})
	s.write = declare("-write", corev1.ServiceSpecArgs{
		Selector:                 pulumi.StringMap{podNameLabel: pulumi.String(a.App + "-0")},
		PublishNotReadyAddresses: notReadyToo,
	})
	s.read = declare("-read", corev1.ServiceSpecArgs{})
	return s, err
}

// networkPolicy lets the clients and the other replicas connect, and lets replicas connect to each other. The metric store may
// connect to the exporters. In a namespace that is fenced there is none.
func (r *Redis) networkPolicy(ctx *pulumi.Context, name string, a RedisArgs) error {
	if a.Fenced {
		return nil
	}
	self := kube.Pods(r.part.Selector())
	from := networkingv1.NetworkPolicyPeerArray{self}
	for _, client := range a.Clients {
		from = append(from, kube.Pods(pulumi.StringMap{"app": pulumi.String(client)}))
	}
	ingress := networkingv1.NetworkPolicyIngressRuleArray{networkingv1.NetworkPolicyIngressRuleArgs{From: from, Ports: kube.TCP(redisPort)}}
	if a.Exporter != nil && a.MetricsNamespace != "" {
		ingress = append(ingress, exporterRule(a.MetricsNamespace))
	}
	return kube.NewNetworkPolicy(ctx, name, r.part, a.Namespace, kube.NetworkPolicyArgs{
		Ingress: ingress,
		Egress: networkingv1.NetworkPolicyEgressRuleArray{a.DNS.Rule(), networkingv1.NetworkPolicyEgressRuleArgs{
			To: networkingv1.NetworkPolicyPeerArray{self}, Ports: kube.TCP(redisPort),
		}},
	}, r)
}
