package journal

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// APIArgs are the parameters of the REST API.
type APIArgs struct {
	// App is the name of the Service and the value of the label `app`. The default is the component's name.
	App string `json:"-"`
	// Namespace is where the API runs, the namespace of its Redis. Required.
	Namespace pulumi.StringInput `json:"-"`
	// PriorityClass is the name of the pods' PriorityClass. The default is the cluster's.
	PriorityClass pulumi.StringInput `json:"-"`
	// Image is the journal-api image, tagged v<semver>-<git sha>. Required.
	Image pulumi.StringInput `json:"image" required:"true"`
	// Replicas is the number of pods. With less than 2 an update or a lost node is an outage.
	Replicas int `json:"replicas" default:"2" minimum:"2"`
	// Autoscaling adds pods by their load, and never has fewer than the replicas. By default there are always as many as the
	// replicas.
	Autoscaling *kube.Autoscaling `json:"autoscaling"`
	// Resources are those of each pod.
	Resources kube.Resources `json:"resources" default:"cpu=100m memory=64Mi"`
	// LogLevel is the least severe level that is logged.
	LogLevel string `json:"logLevel" default:"info" enum:"debug,info,warn,error"`
	// MaxInFlight is how many requests for entries each pod serves at a time. It answers further ones with 503 and a
	// Retry-After. The default fits into the default memory.
	MaxInFlight int `json:"maxInFlight" default:"100" minimum:"1" maximum:"10000"`
	// ReadOnly makes the API refuse every change of an entry. The default is false.
	ReadOnly *bool `json:"readOnly"`
	// RolloutTimeout is how long, in seconds, an update of the pods may make no progress before it fails.
	RolloutTimeout int `json:"rolloutTimeout" default:"180" minimum:"30"`
	// ConfigVersions is how many versions of the configuration are kept, including the current one.
	ConfigVersions int `json:"configVersions" default:"3" minimum:"2" maximum:"20"`
	// IngressNamespace is the namespace of the Ingress controller, the only one that may connect. By default pods of every
	// namespace may connect.
	IngressNamespace string `json:"-"`
	// MetricsNamespace is the namespace of the metric store, whose pods may read the API's figures. None by default.
	MetricsNamespace string `json:"-"`
	// DNS are address ranges of the cluster's DNS, besides its pods in kube-system.
	DNS kube.DNS `json:"-"`
	// Fenced says that the NetworkPolicies of the namespace fence the pods, so that the part declares none. Off by default.
	Fenced bool `json:"-"`
	// Redis describes the Redis with the entries. The method Client of a Redis returns it; for another Redis, write it. Required.
	Redis RedisClient `json:"-"`
}

// API is the journal's REST API: a Deployment behind a Service. It writes to the primary of Redis and reads from every
// replica in sync.
type API struct {
	pulumi.ResourceState

	// ServiceName is the name of the Service. Its port is kube.ServicePort.
	ServiceName pulumi.StringOutput `pulumi:"serviceName"`

	configs configs
	rollout pulumi.CustomResource // it is there when all pods are as declared
}

// Backend returns the API as the target of routes.
func (api *API) Backend() Backend { return Backend{Service: api.ServiceName, Port: kube.ServicePort} }

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *APIArgs) withDefaults(name string) APIArgs {
	var a APIArgs
	if args != nil {
		a = *args
	}
	a.App = cmp.Or(a.App, name)
	rules.SetDefaults(&a)
	a.Resources = a.Resources.WithLimits()
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *APIArgs) Check(name string) rules.Faults {
	a := args.withDefaults(name)
	return append(rules.CheckTags(a), a.check()...)
}

// check returns the broken rules, except those of the tags.
func (args APIArgs) check() rules.Faults {
	f := checkServer(args.App, args.Image, args.Resources, args.IngressNamespace)
	f = append(f, checkMetricsNamespace(args.MetricsNamespace)...)
	return append(f, args.Autoscaling.Check(args.Replicas).In("autoscaling")...)
}

// Demand returns the most that the API takes of its namespace's quota.
func (args *APIArgs) Demand(name string) kube.Demand {
	a := args.withDefaults(name)
	return kube.ServerDemand(a.App, a.Replicas, a.Autoscaling, a.Resources)
}

// checkServer returns the rules that the arguments shared by the API and the Frontend break.
func checkServer(app string, image pulumi.StringInput, resources kube.Resources, ingressNamespace string) rules.Faults {
	var f rules.Faults
	f.Check("app", app, rules.CheckName(app))
	f.Check("image", image, kube.CheckImage(image, rules.OwnImage))
	f = append(f, resources.Check().In("resources")...)
	if ingressNamespace != "" {
		f.Check("ingressNamespace", ingressNamespace, rules.CheckName(ingressNamespace))
	}
	return f
}

// checkMetricsNamespace is a rule of the parts that serve figures.
func checkMetricsNamespace(namespace string) (f rules.Faults) {
	if namespace != "" {
		f.Check("metricsNamespace", namespace, rules.CheckName(namespace))
	}
	return f
}

// checkNamespace is a rule of every constructor. It is not part of Check, because a stack checks its configuration before it
// declares the namespace.
func checkNamespace(namespace pulumi.StringInput) (f rules.Faults) {
	shown := ""
	if plain, isPlain := namespace.(pulumi.String); isPlain {
		shown = string(plain)
	}
	f.Check("namespace", shown, kube.CheckNamespace(namespace))
	return f
}

// NewAPI declares the REST API. The error names every argument that breaks a rule.
func NewAPI(ctx *pulumi.Context, name string, args *APIArgs, opts ...pulumi.ResourceOption) (*API, error) {
	last, err := kube.LastOutput[configs](ctx, historyOutput(name))
	if err != nil {
		return nil, fmt.Errorf("api %q: %w", name, err)
	}
	api, err := newAPI(ctx, name, args, last, opts...)
	if err != nil {
		return nil, err
	}
	return api, kube.KeepOutput(ctx, historyOutput(name), api.configs, api.rollout)
}

// newAPI declares the REST API. The parameter last is the configurations that the last update kept.
func newAPI(ctx *pulumi.Context, name string, args *APIArgs, last configs, opts ...pulumi.ResourceOption) (*API, error) {
	a := args.withDefaults(name)
	if err := slices.Concat(checkNamespace(a.Namespace), rules.CheckTags(a), a.check(), a.Redis.check().In("redis")).Err(); err != nil {
		return nil, fmt.Errorf("api %q: %w", name, err)
	}
	a.Image = kube.CheckedImage(fmt.Sprintf("api %q", name), a.Image, rules.OwnImage)
	api := &API{}
	if err := ctx.RegisterComponentResourceV2(apiType, name, pulumi.Map{
		"image":    a.Image,
		"replicas": pulumi.Int(a.Replicas),
	}, api, opts...); err != nil {
		return nil, err
	}

	part := kube.Part{App: a.App, PartOf: partOf, Component: "api", Instance: name, Image: a.Image}
	config, err := kube.NewConfig(ctx, name, kube.ConfigArgs{
		Part: part, Namespace: a.Namespace, History: last, Keep: a.ConfigVersions,
		Data: map[string]string{
			"JOURNAL_LOG_LEVEL":          a.LogLevel,
			"JOURNAL_MAX_IN_FLIGHT":      strconv.Itoa(a.MaxInFlight),
			"JOURNAL_READ_ONLY":          strconv.FormatBool(a.ReadOnly != nil && *a.ReadOnly),
			"JOURNAL_REDIS_MIN_REPLICAS": strconv.Itoa(a.Redis.MinReplicas),
		},
	}, api)
	if err != nil {
		return nil, fmt.Errorf("api %q: %w", name, err)
	}
	api.configs = config.Versions
	volume, mount := kube.SecretFiles("redis-password", redisSecretDir,
		kube.SecretKeys{Secret: a.Redis.SecretName, Keys: []string{apiUser}})
	server, err := kube.NewServer(ctx, name, kube.ServerArgs{
		Part:        part,
		Namespace:   a.Namespace,
		Replicas:    a.Replicas,
		Autoscaling: a.Autoscaling,
		Resources:   a.Resources,
		Env: corev1.EnvVarArray{
			env("JOURNAL_REDIS_WRITE_ADDRESS", a.Redis.WriteAddress),
			env("JOURNAL_REDIS_READ_ADDRESS", a.Redis.ReadAddress),
			env("JOURNAL_REDIS_USER", pulumi.String(apiUser)),
			env("JOURNAL_REDIS_PASSWORD_FILE", pulumi.String(redisSecretDir+"/"+apiUser)),
		},
		EnvFrom:          corev1.EnvFromSourceArray{corev1.EnvFromSourceArgs{ConfigMapRef: corev1.ConfigMapEnvSourceArgs{Name: config.Name}}},
		RolloutTimeout:   a.RolloutTimeout,
		After:            a.Redis.DependsOn,
		Volumes:          corev1.VolumeArray{volume},
		Mounts:           corev1.VolumeMountArray{mount},
		ReadyPath:        "/readyz",
		LivePath:         "/healthz",
		IngressNamespace: a.IngressNamespace,
		MetricsNamespace: a.MetricsNamespace,
		Fenced:           a.Fenced,
		PriorityClass:    a.PriorityClass,
		Egress: networkingv1.NetworkPolicyEgressRuleArray{a.DNS.Rule(), networkingv1.NetworkPolicyEgressRuleArgs{
			To:    a.Redis.Peers,
			Ports: kube.TCP(a.Redis.Port),
		}},
	}, api)
	if err != nil {
		return nil, fmt.Errorf("api %q: %w", name, err)
	}
	api.rollout = server.Deployment
	api.ServiceName = server.Service.Metadata.Name().Elem()
	return api, ctx.RegisterResourceOutputs(api, pulumi.Map{"serviceName": api.ServiceName})
}
