package journal

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"example.com/journal/components/kube"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// logLevels are the levels that the API can log at.
var logLevels = []string{"debug", "info", "warn", "error"}

// APIArgs are the parameters of the REST API.
type APIArgs struct {
	// App is the name of the Service and the value of the label `app`. The default is the component's name.
	App string
	// Namespace is where the API runs, the namespace of its Redis. The default is the provider's namespace.
	Namespace pulumi.StringInput
	// Image is the journal-api image, tagged v<semver>-<git sha>. Required.
	Image string
	// Replicas is the number of pods, at least 2, so that an update or a lost node takes nothing away. The default is 2.
	Replicas int
	// Resources are those of each pod. The default is 100m CPU and 64Mi of memory.
	Resources kube.Resources
	// LogLevel is debug, info, warn or error. The default is info.
	LogLevel string
	// ReadOnly makes the API refuse every change of an entry. Off by default.
	ReadOnly bool
	// RolloutTimeout is how long, in seconds, an update of the pods may go on without progress before it fails. The default
	// is kube.DefaultRolloutTimeout.
	RolloutTimeout int
	// Versions is how many versions of the configuration are kept. The default is kube.DefaultVersions. History are the
	// configurations of earlier updates, the last first.
	Versions int
	History  []map[string]string
	// IngressNamespace is the namespace of the Ingress controller, the only one that may connect. By default pods of
	// every namespace may.
	IngressNamespace string
	// Redis is where the entries are. Required.
	Redis *Redis
}

// API is the journal's REST API: a Deployment behind a Service. It writes to the primary of Redis and reads from every
// replica in sync.
type API struct {
	pulumi.ResourceState

	// ServiceName is the name of the Service, whose port is kube.ServicePort.
	ServiceName pulumi.StringOutput `pulumi:"serviceName"`
	// Versions are the configurations that are kept, the current one first.
	Versions []map[string]string

	rollout pulumi.IDOutput // of the Deployment; it is there when all pods are as declared
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *APIArgs) withDefaults(name string) APIArgs {
	var a APIArgs
	if args != nil {
		a = *args
	}
	a.App = cmp.Or(a.App, name)
	a.Replicas = cmp.Or(a.Replicas, 2)
	a.Resources = a.Resources.WithDefaults(kube.Resources{CPU: "100m", Memory: "64Mi"})
	a.LogLevel = cmp.Or(a.LogLevel, "info")
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *APIArgs) Check(name string) kube.Faults {
	a := args.withDefaults(name)
	f := checkServer(a.App, a.Image, a.Replicas, a.Resources, a.IngressNamespace)
	if !slices.Contains(logLevels, a.LogLevel) {
		f.Refuse("logLevel", a.LogLevel, "no log level; write one of %s", strings.Join(logLevels, ", "))
	}
	return f
}

// checkServer returns the rules that the arguments shared by the API and the Frontend break.
func checkServer(app, image string, replicas int, resources kube.Resources, ingressNamespace string) kube.Faults {
	var f kube.Faults
	f.Check("app", app, kube.CheckName(app))
	f.Check("image", image, kube.CheckImage(image, kube.OwnImage))
	if replicas < 2 {
		f.Refuse("replicas", replicas, "with less than 2 an update or a lost node is an outage; write 2 or more")
	}
	resources.Check(&f)
	if ingressNamespace != "" {
		f.Check("ingressNamespace", ingressNamespace, kube.CheckName(ingressNamespace))
	}
	return f
}

// NewAPI declares the REST API. The error names every argument that breaks a rule.
func NewAPI(ctx *pulumi.Context, name string, args *APIArgs, opts ...pulumi.ResourceOption) (*API, error) {
	if err := args.Check(name).Err(); err != nil {
		return nil, fmt.Errorf("api %q: %w", name, err)
	}
	a := args.withDefaults(name)
	if a.Redis == nil {
		return nil, fmt.Errorf("api %q: %w", name, errors.New("redis is missing: the API needs one to store entries; pass what NewRedis returned"))
	}
	api := &API{}
	if err := ctx.RegisterComponentResourceV2(apiType, name, pulumi.Map{
		"image":    pulumi.String(a.Image),
		"replicas": pulumi.Int(a.Replicas),
	}, api, opts...); err != nil {
		return nil, err
	}

	part := kube.Part{App: a.App, Component: "api", Instance: name, Image: a.Image}
	config, err := kube.NewConfig(ctx, name, kube.ConfigArgs{
		Part: part, Namespace: a.Namespace, History: a.History, Keep: a.Versions,
		Data: map[string]string{"JOURNAL_LOG_LEVEL": a.LogLevel, "JOURNAL_READ_ONLY": strconv.FormatBool(a.ReadOnly)},
	}, api)
	if err != nil {
		return nil, fmt.Errorf("api %q: %w", name, err)
	}
	api.Versions = config.Versions
	volume, mount := kube.SecretFiles("redis-password", redisSecretDir,
		kube.SecretFile{Secret: a.Redis.SecretName, Key: passwordKey, File: passwordKey})
	server, err := kube.NewServer(ctx, name, kube.ServerArgs{
		Part:      part,
		Namespace: a.Namespace,
		Replicas:  a.Replicas,
		Resources: a.Resources,
		Env: corev1.EnvVarArray{
			env("JOURNAL_REDIS_WRITE_ADDRESS", a.Redis.WriteAddress),
			env("JOURNAL_REDIS_READ_ADDRESS", a.Redis.ReadAddress),
			env("JOURNAL_REDIS_PASSWORD_FILE", pulumi.String(redisSecretDir+"/"+passwordKey)),
		},
		EnvFrom:          corev1.EnvFromSourceArray{corev1.EnvFromSourceArgs{ConfigMapRef: corev1.ConfigMapEnvSourceArgs{Name: config.Name}}},
		RolloutTimeout:   a.RolloutTimeout,
		After:            []pulumi.Resource{a.Redis.rollout}, // until then not every Redis accepts the password of the new pods
		Volumes:          corev1.VolumeArray{volume},
		Mounts:           corev1.VolumeMountArray{mount},
		ReadyPath:        "/readyz",
		LivePath:         "/healthz",
		IngressNamespace: a.IngressNamespace,
		Egress: networkingv1.NetworkPolicyEgressRuleArray{kube.DNS(), networkingv1.NetworkPolicyEgressRuleArgs{
			To:    networkingv1.NetworkPolicyPeerArray{kube.Pods(a.Redis.part.Selector())},
			Ports: kube.TCP(redisPort),
		}},
	}, api)
	if err != nil {
		return nil, fmt.Errorf("api %q: %w", name, err)
	}
	api.rollout = server.Deployment.ID()
	api.ServiceName = server.Service.Metadata.Name().Elem()
	return api, ctx.RegisterResourceOutputs(api, pulumi.Map{"serviceName": api.ServiceName})
}
