package journal

import (
	_ "embed"
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

const (
	exporterPort, exporterPortName = 9121, "metrics"
	// exporterDir is where the exporter and Redis find the password of the user monitor. It is in memory.
	exporterDir = "/run/exporter"
	// exporterPasswords is the file that the exporter reads.
	exporterPasswords = exporterDir + "/passwords.json"
	// exporterVolume is the volume there.
	exporterVolume = "exporter"
	// exporterConf is the end of the configuration of a Redis with an exporter.
	exporterConf = "# The user of this pod's exporter, made by exporter.sh.\ninclude " + exporterDir + "/monitor.conf\n"
)

var (
	//go:embed exporter.sh
	exporterScript string
	// monitorRules are what the user monitor may do.
	//
	//go:embed monitor
	monitorRules string
)

// RedisExporterArgs are the parameters of the exporter in each Redis pod, which asks its Redis for its state and serves that as
// figures.
type RedisExporterArgs struct {
	// Image is the image of redis_exporter, by an exact version or a digest. Required.
	Image pulumi.StringInput `json:"image" required:"true" example:"docker.io/oliver006/redis_exporter:v1.67.0"`
	// Resources are those of each exporter. Limits above the requests would take the Guaranteed quality of service from Redis,
	// which is in the same pod.
	Resources kube.Resources `json:"resources" default:"cpu=5m memory=24Mi"`
}

// check returns the broken rules, except those of the tags.
func (args *RedisExporterArgs) check() (f rules.Faults) {
	if args == nil {
		return nil
	}
	f.Check("image", args.Image, kube.CheckImage(args.Image, rules.ForeignImage))
	return append(f, args.Resources.Check().In("resources")...)
}

// withDefaults returns a copy with the defaults in place, or nil for none.
func (args *RedisExporterArgs) withDefaults() *RedisExporterArgs {
	if args == nil {
		return nil
	}
	a := *args
	rules.SetDefaults(&a)
	a.Resources = a.Resources.WithLimits()
	return &a
}

// exporterMount mounts the password of the user monitor.
func exporterMount(readOnly bool) corev1.VolumeMountArgs {
	return corev1.VolumeMountArgs{Name: pulumi.String(exporterVolume), MountPath: pulumi.String(exporterDir), ReadOnly: pulumi.Bool(readOnly)}
}

// addTo adds the exporter to the pod of Redis. It is an ordinary container without probes: nothing waits for it, and Redis goes
// on while it is ill. It ends at once when it is told to, so that Redis has all the time for its last writes.
//
// Both programs that are called redis_exporter, that of the image and that of Debian, read these variables.
func (args *RedisExporterArgs) addTo(pod *kube.Pod) {
	address := fmt.Sprintf("redis://127.0.0.1:%d", redisPort)
	pod.Volumes = append(pod.Volumes, corev1.VolumeArgs{
		Name:     pulumi.String(exporterVolume),
		EmptyDir: corev1.EmptyDirVolumeSourceArgs{Medium: pulumi.String("Memory"), SizeLimit: pulumi.String("1Mi")},
	})
	// An init container would hide from Pulumi why a pod of Redis does not start, such as an image that is not there.
	pod.Container.Command = pulumi.ToStringArray([]string{"sh", "-c",
		fmt.Sprintf("sh %[1]s/exporter.sh %[2]s && exec sh %[1]s/start.sh", redisConfigDir, address)})
	// The kubelet starts the exporter after this has ended.
	pod.Container.Lifecycle = corev1.LifecycleArgs{PostStart: corev1.LifecycleHandlerArgs{Exec: corev1.ExecActionArgs{
		Command: pulumi.ToStringArray([]string{"sh", "-c", "until [ -s " + exporterPasswords + " ]; do sleep 1; done"}),
	}}}
	pod.Beside = append(pod.Beside, corev1.ContainerArgs{
		Name:  pulumi.String("exporter"),
		Image: args.Image,
		Env: corev1.EnvVarArray{
			env("REDIS_ADDR", pulumi.String(address)),
			env("REDIS_USER", pulumi.String("monitor")),
			env("REDIS_PASSWORD_FILE", pulumi.String(exporterPasswords)),
			env("REDIS_EXPORTER_WEB_LISTEN_ADDRESS", pulumi.String(fmt.Sprintf(":%d", exporterPort))),
			// A Redis that hangs is reported before the metric store gives up on the answer.
			env("REDIS_EXPORTER_CONNECTION_TIMEOUT", pulumi.String("5s")),
			// The user may not ask for these, and INFO says what is needed. Debian's version tries some of them even so.
			env("REDIS_EXPORTER_CONFIG_COMMAND", pulumi.String("-")),
			env("REDIS_EXPORTER_EXCLUDE_LATENCY_HISTOGRAM_METRICS", pulumi.String("true")),
			env("REDIS_EXPORTER_SET_CLIENT_NAME", pulumi.String("false")),
			// The exporter's own memory and garbage are no figures of Redis.
			env("REDIS_EXPORTER_REDIS_ONLY_METRICS", pulumi.String("true")),
		},
		Ports:        corev1.ContainerPortArray{corev1.ContainerPortArgs{Name: pulumi.String(exporterPortName), ContainerPort: pulumi.Int(exporterPort)}},
		Resources:    args.Resources.Requirements(),
		VolumeMounts: corev1.VolumeMountArray{exporterMount(true)},
	})
	pod.FiguresPort = exporterPort
}

// exporterRule lets the metric store connect to the exporter, and nobody else: at another path than that of the figures an
// exporter connects to where it is told.
func exporterRule(metricsNamespace string) networkingv1.NetworkPolicyIngressRuleArgs {
	return networkingv1.NetworkPolicyIngressRuleArgs{
		From: networkingv1.NetworkPolicyPeerArray{kube.Scraper(metricsNamespace)}, Ports: kube.TCP(exporterPort),
	}
}
