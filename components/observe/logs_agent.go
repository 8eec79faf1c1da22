package observe

import (
	"fmt"
	"slices"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

const (
	// agentApp is the name of everything of the agents.
	agentApp = "log-agent"
	// agentPrepare is the name of the container that prepares stateDir.
	agentPrepare = "prepare"
	// logsDir is the folder of the node in which the kubelet keeps the lines. Its files are readable for the group 0.
	logsDir = "/var/log/pods"
	// stateDir is the folder of the node in which an agent keeps how far it has read, and what the store has not taken yet.
	stateDir = "/var/lib/journal-log-agent"
	// agentMetricsPort is the port of the agents' own metrics, and agentMetricsPortName its name.
	agentMetricsPort, agentMetricsPortName = 8888, "metrics"
)

// agentPrepareCommand makes stateDir writable for the group of the agent.
var agentPrepareCommand = []string{"/log-agent", agentPrepare, stateDir}

// agentReasons are the annotations that say why the namespace of the agents is privileged.
var agentReasons = map[string]string{
	"journal.example.com/pod-security-reason": "the agents read " + logsDir + " of their node, read-only, and keep their positions and their buffer in " + stateDir +
		"; a container without capabilities makes that folder writable as root. Any other folder, and any other pod, is refused by the policy " + agentPolicyName,
}

// agentPart is the part of the agents.
func agentPart(name string, image pulumi.StringInput) kube.Part {
	return kube.Part{App: agentApp, PartOf: partOf, Component: "logs", Instance: name, Image: image}
}

// declareAgent declares the agents in a namespace of their own, in which nothing else may run.
func (s *LogService) declareAgent(ctx *pulumi.Context, name string, a LogServiceArgs) error {
	part := agentPart(name, a.Agent.Image)
	name += "-agent"
	own, err := newWorkload(ctx, name, part, a.AgentNamespace, kube.PrivilegedPods, agentReasons, s)
	if err != nil {
		return err
	}
	rights, err := own.rights(ctx, name, agentRules())
	if err != nil {
		return err
	}
	policies, err := own.networkPolicies(ctx, name, kube.NetworkPolicyArgs{Ingress: scraped(a.MetricsNamespace, agentMetricsPort), Egress: networkingv1.NetworkPolicyEgressRuleArray{
		a.DNS.Rule(),
		networkingv1.NetworkPolicyEgressRuleArgs{To: s.Store.Peers, Ports: tcp(s.Store.Port)},
		networkingv1.NetworkPolicyEgressRuleArgs{Ports: tcp(a.APIServerPorts...)}, // it is no pod, so no selector matches it
	}})
	if err != nil {
		return err
	}
	admission, err := agentAdmission(ctx, a, s)
	if err != nil {
		return err
	}
	pod := s.agentPod(own, a)
	_, err = appsv1.NewDaemonSet(ctx, name, &appsv1.DaemonSetArgs{
		Metadata: own.part.WorkloadMeta(own.namespace),
		Spec: appsv1.DaemonSetSpecArgs{
			Selector: metav1.LabelSelectorArgs{MatchLabels: own.part.Selector()},
			// An agent that is away for a moment reads on where it was.
			UpdateStrategy: appsv1.DaemonSetUpdateStrategyArgs{
				Type:          pulumi.String("RollingUpdate"),
				RollingUpdate: appsv1.RollingUpdateDaemonSetArgs{MaxUnavailable: pulumi.String("25%")},
			},
			Template: pod.Template(),
		},
	}, own.with(pulumi.DependsOn(slices.Concat(rights, policies, admission)), kube.Rollout(logsRolloutTimeout))...)
	if err != nil {
		return fmt.Errorf("daemon set: %w", err)
	}
	return nil
}

// agentPod returns the pod of an agent. What may stand in it, the policy agentPolicyName says.
func (s *LogService) agentPod(own workload, a LogServiceArgs) kube.Pod {
	folder := func(name, path, kind string, readOnly bool) (corev1.VolumeArgs, corev1.VolumeMountArgs) {
		return corev1.VolumeArgs{
			Name:     pulumi.String(name),
			HostPath: corev1.HostPathVolumeSourceArgs{Path: pulumi.String(path), Type: pulumi.String(kind)},
		}, corev1.VolumeMountArgs{Name: pulumi.String(name), MountPath: pulumi.String(path), ReadOnly: pulumi.Bool(readOnly)}
	}
	logs, logsMount := folder("pods", logsDir, "Directory", true)
	state, stateMount := folder("state", stateDir, "DirectoryOrCreate", false)
	token, tokenMount := kube.APIToken() // it watches pods, and reads namespaces
	env := func(name string, value pulumi.StringInput) corev1.EnvVarArgs {
		return corev1.EnvVarArgs{Name: pulumi.String(name), Value: value}
	}
	number := func(name, quantity string) corev1.EnvVarArgs {
		return env(name, pulumi.String(rules.WholeNumber(quantity)))
	}
	return kube.Pod{
		Part:                   own.part,
		ServiceAccount:         own.account,
		TerminationGracePeriod: 30,
		PriorityClass:          a.PriorityClass,
		FiguresPort:            figuresPort(a.MetricsNamespace, agentMetricsPort),
		Group:                  new(0), // of the kubelet's files
		Volumes:                corev1.VolumeArray{logs, state, token},
		// Every node has pods that write, whatever keeps other pods away from it.
		Tolerations: corev1.TolerationArray{corev1.TolerationArgs{Operator: pulumi.String("Exists")}},
		Prepare: &corev1.ContainerArgs{
			Name:         pulumi.String(agentPrepare),
			Image:        own.part.Image,
			Command:      pulumi.ToStringArray(agentPrepareCommand),
			Resources:    a.Agent.Resources.Requirements(),
			VolumeMounts: corev1.VolumeMountArray{stateMount},
		},
		Container: corev1.ContainerArgs{
			Name:  pulumi.String(agentApp),
			Image: own.part.Image,
			Env: corev1.EnvVarArray{
				corev1.EnvVarArgs{Name: pulumi.String("NODE_NAME"), ValueFrom: corev1.EnvVarSourceArgs{
					FieldRef: corev1.ObjectFieldSelectorArgs{FieldPath: pulumi.String("spec.nodeName")},
				}},
				env("NAMESPACE", own.namespace),
				env("STORE_URL", s.Store.URL),
				number("BUFFER_BYTES", a.Agent.Buffer),
				number("PLATFORM_RATE", a.PlatformShare.Rate),
				number("PLATFORM_BURST", a.PlatformShare.Burst),
			},
			Ports:        corev1.ContainerPortArray{corev1.ContainerPortArgs{Name: pulumi.String(agentMetricsPortName), ContainerPort: pulumi.Int(agentMetricsPort)}},
			Resources:    a.Agent.Resources.Requirements(),
			VolumeMounts: corev1.VolumeMountArray{logsMount, stateMount, tokenMount},
			// No Service leads to it, so it is ready once it has started.
			StartupProbe:  kube.HTTPProbe(agentMetricsPortName, "/metrics", 2, 60),
			LivenessProbe: kube.HTTPProbe(agentMetricsPortName, "/metrics", 10, 6),
		},
	}
}
