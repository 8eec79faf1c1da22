package journal

import (
	"cmp"
	"fmt"
	"slices"

	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

const (
	redisPort = 6379
	// redisSecretDir is where the password is mounted. The kubelet keeps it on a tmpfs.
	redisSecretDir = "/run/secrets/redis"
	redisConfigDir = "/etc/redis"
	// maxPasswords is the maximum number of passwords of each user of Redis.
	maxPasswords = 8
	// redisGracePeriod is how long, in seconds, Redis may take to send its writes to the replicas and close its files.
	redisGracePeriod = 30
	// podNameLabel is the label with the pod's name that the StatefulSet's controller sets on each pod.
	podNameLabel = "statefulset.kubernetes.io/pod-name"
	// apiUser is the user of Redis that reads and writes entries.
	apiUser = "api"
)

// RedisArgs are the parameters of Redis.
type RedisArgs struct {
	// App is the name of the StatefulSet and of the headless Service, and the value of the label `app`. The default is
	// the component's name.
	App string `json:"-"`
	// Namespace is the namespace of Redis. Required.
	Namespace pulumi.StringInput `json:"-"`
	// PriorityClass is the name of the pods' PriorityClass. The default is the cluster's.
	PriorityClass pulumi.StringInput `json:"-"`
	// Image is the Redis image, by an exact version or a digest. It must have redis-server, redis-cli and sh. Required.
	Image pulumi.StringInput `json:"image" required:"true"`
	// Replicas is the number of pods, including the primary.
	Replicas int `json:"replicas" default:"3" minimum:"1" maximum:"9"`
	// Quorum acknowledges a write only when a majority of the pods, including the primary, has it on its volume. Each pod then
	// needs its own node, and the number of replicas must be odd. Off by default: a write is acknowledged when the primary has
	// it on its volume, and every replica in sync has it too unless that takes more than a second.
	Quorum bool `json:"quorum"`
	// SharedNodes lets the pods of a quorum share a node, for a cluster with too few nodes. The loss of one node may then cost
	// the majority. Without a quorum the field has no effect: pods share nodes if there are too few.
	SharedNodes bool `json:"sharedNodes"`
	// Resources are those of each pod. A restarted primary accepts writes once it has read its log, as fast as its CPU allows.
	Resources kube.Resources `json:"resources" default:"cpu=100m memory=192Mi"`
	// MaxMemory is the size of the data at which Redis refuses writes. It must fit into the memory limit, with room for the
	// buffers of replicas and for rewriting the log.
	MaxMemory string `json:"maxMemory" default:"128Mi" format:"quantity"`
	// Storage are the parameters of each pod's volume.
	Storage kube.Storage `json:"storage" default:"size=1Gi"`
	// Passwords are the numbers of the passwords that Redis accepts, the current one first. Each number stands for one password of
	// every user. To rotate, write a new number in front of the current one: Redis accepts both while its clients move over. A later
	// update may leave the old one out.
	Passwords []int `json:"passwords" default:"1" minimum:"1"`
	// PasswordSecret takes the passwords from Secrets that another program fills, such as External Secrets: number 1 from the Secret
	// <passwordSecret>-1 in the namespace of Redis, number 2 from <passwordSecret>-2. Each has the keys api, replica and probe, with
	// a password of letters, digits, - and _, and never changes. By default the passwords are generated, and the component declares
	// the Secrets. Copy those under the new names before you set it, or Redis has other passwords. It stays set: generated passwords
	// would be others.
	PasswordSecret string `json:"passwordSecret" example:"redis-password"`
	// RolloutTimeout is how long, in seconds, an update of all pods together may take before it fails. A pod with a large log
	// takes longer to start.
	RolloutTimeout int `json:"rolloutTimeout" default:"180" minimum:"30"`
	// ConfigVersions is how many versions of the configuration are kept, including the current one.
	ConfigVersions int `json:"configVersions" default:"3" minimum:"2" maximum:"20"`
	// DNS are address ranges of the cluster's DNS, besides its pods in kube-system.
	DNS kube.DNS `json:"-"`
	// Exporter is in each pod beside Redis, and serves its figures. By default there is none.
	Exporter *RedisExporterArgs `json:"exporter"`
	// MetricsNamespace is the namespace of the metric store, whose pods may connect to the exporters. By default nobody may.
	MetricsNamespace string `json:"-"`
	// Fenced says that the NetworkPolicies of the namespace fence the pods, so that the part declares none. Off by default.
	Fenced bool `json:"-"`
	// Clients are the values of the label `app` of the pods in the same namespace that may connect. The default is api.
	Clients []string `json:"-"`
}

// Redis is a StatefulSet whose pod 0 is the primary and whose other pods replicate from it, each on its own volume.
//
// Every write is on the primary's disk before it is acknowledged. A pod is ready while it is in sync. A replica that loses the
// primary refuses reads at once, so that nobody reads old data. It leaves the read Service if that lasts longer than a restart
// of the primary, half a minute.
type Redis struct {
	pulumi.ResourceState

	// WriteAddress is host:port of the Service of the primary.
	WriteAddress pulumi.StringOutput `pulumi:"writeAddress"`
	// ReadAddress is host:port of the Service over all replicas that are in sync.
	ReadAddress pulumi.StringOutput `pulumi:"readAddress"`
	// MinReplicas is how many replicas must have a write, besides the primary, before it is acknowledged.
	MinReplicas int
	// SecretName is the name of the Secret that holds the current passwords: the API's under the key `api`.
	SecretName pulumi.StringOutput `pulumi:"secretName"`

	history redisHistory          // of this update
	rollout pulumi.CustomResource // it is there when all pods are as declared
	part    kube.Part
}

// RedisClient is what a client needs to know about a Redis. The method Client returns it for a Redis of this package. For
// another Redis the caller writes it.
type RedisClient struct {
	// WriteAddress is host:port of the primary, and ReadAddress host:port of the replicas in sync. Required.
	WriteAddress, ReadAddress pulumi.StringInput
	// SecretName is the name of a Secret in the client's namespace. Its key api holds the password of the user api. Required.
	SecretName pulumi.StringInput
	// MinReplicas is how many replicas must have a write, besides the primary, before it is acknowledged.
	MinReplicas int
	// Peers are the peers of Redis in a NetworkPolicy, and Port is the port of both addresses. Required.
	Peers networkingv1.NetworkPolicyPeerArray
	Port  int
	// DependsOn must exist before a client is updated. Until then some Redis pods refuse the password in the Secret.
	DependsOn []pulumi.Resource
}

// given says whether a caller has set anything.
func (c RedisClient) given() bool {
	return c.WriteAddress != nil || c.ReadAddress != nil || c.SecretName != nil || len(c.Peers) > 0 || c.Port != 0
}

// check returns a fault for each missing field.
func (c RedisClient) check() rules.Faults {
	var f rules.Faults
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"writeAddress", c.WriteAddress != nil}, {"readAddress", c.ReadAddress != nil}, {"secretName", c.SecretName != nil},
		{"peers", len(c.Peers) > 0}, {"port", c.Port != 0},
	} {
		if !field.set {
			f.Refuse(field.name, "", "it is missing; pass what the method Client of a Redis returns, or what is true of another one")
		}
	}
	return f
}

// Client returns what clients need to know.
func (r *Redis) Client() RedisClient {
	return RedisClient{
		WriteAddress: r.WriteAddress, ReadAddress: r.ReadAddress, SecretName: r.SecretName, MinReplicas: r.MinReplicas,
		Peers: networkingv1.NetworkPolicyPeerArray{kube.Pods(r.part.Selector())}, Port: redisPort,
		DependsOn: []pulumi.Resource{r.rollout},
	}
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *RedisArgs) withDefaults(name string) RedisArgs {
	var a RedisArgs
	if args != nil {
		a = *args
	}
	a.App, a.Exporter = cmp.Or(a.App, name), a.Exporter.withDefaults()
	rules.SetDefaults(&a)
	a.Resources = a.Resources.WithLimits()
	if len(a.Clients) == 0 {
		a.Clients = []string{"api"}
	}
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *RedisArgs) Check(name string) rules.Faults {
	a := args.withDefaults(name)
	return append(rules.CheckTags(a), a.check()...)
}

// check returns the broken rules, except those of the tags.
func (args RedisArgs) check() rules.Faults {
	var f rules.Faults
	f.Check("app", args.App, rules.CheckName(args.App))
	f.Check("image", args.Image, kube.CheckImage(args.Image, rules.ForeignImage))
	if args.Quorum && args.Replicas > 0 && args.Replicas%2 == 0 {
		f.Refuse("replicas", args.Replicas, "a quorum needs an odd number, since an even one survives no more failures than one less; write %d", args.Replicas+1)
	}
	f = append(f, checkPasswords(args.Passwords).In("passwords")...)
	if args.PasswordSecret != "" {
		f.Check("passwordSecret", args.PasswordSecret, rules.CheckName(args.PasswordSecret))
	}
	f = append(f, args.Resources.Check().In("resources")...)
	f.Check("maxMemory", args.MaxMemory, rules.CheckBytes(args.MaxMemory))
	if rules.CompareQuantities(args.Resources.MemoryLimit, args.MaxMemory) < 0 {
		f.Refuse("resources.memoryLimit", args.Resources.MemoryLimit, "below the dataset limit maxMemory of %s, so the kernel would kill Redis before it refuses a write; raise the limit or lower maxMemory", args.MaxMemory)
	}
	f = append(f, args.Exporter.check().In("exporter")...)
	f = append(f, checkMetricsNamespace(args.MetricsNamespace)...)
	return append(f, args.Storage.Check().In("storage")...)
}

// checkPasswords refuses a number that is listed twice, and too many numbers.
func checkPasswords(numbers []int) (f rules.Faults) {
	for i, number := range numbers {
		if slices.Contains(numbers[:i], number) {
			f.Refuse(fmt.Sprintf("[%d]", i), number, "it is listed before; remove this one")
		}
	}
	if len(numbers) > maxPasswords {
		f.Refuse("", numbers, "at most %d numbers; remove the last ones, which no client has any more", maxPasswords)
	}
	return f
}

// Demand returns the most that Redis takes of its namespace's quota. An update adds no pod: it replaces each by one of the
// same name.
func (args *RedisArgs) Demand(name string) kube.Demand {
	a := args.withDefaults(name)
	d := kube.Demand{
		Part: a.App, Replicas: a.Replicas, Resources: a.Resources, Volumes: a.Replicas, VolumeSize: a.Storage.Size,
		Services: 3, // see services
	}
	if a.Exporter != nil {
		d.Beside = &a.Exporter.Resources
	}
	return d
}

// NewRedis declares Redis. The error names every argument that breaks a rule.
func NewRedis(ctx *pulumi.Context, name string, args *RedisArgs, opts ...pulumi.ResourceOption) (*Redis, error) {
	last, err := kube.LastOutput[redisHistory](ctx, historyOutput(name))
	if err != nil {
		return nil, fmt.Errorf("redis %q: %w", name, err)
	}
	r, err := newRedis(ctx, name, args, last, opts...)
	if err != nil {
		return nil, err
	}
	return r, kube.KeepOutput(ctx, historyOutput(name), r.history, r.rollout)
}

// newRedis declares Redis after an update that kept this history.
func newRedis(ctx *pulumi.Context, name string, args *RedisArgs, last redisHistory, opts ...pulumi.ResourceOption) (*Redis, error) {
	a := args.withDefaults(name)
	if err := slices.Concat(checkNamespace(a.Namespace), rules.CheckTags(a), a.check(), a.checkAfter(last)).Err(); err != nil {
		return nil, fmt.Errorf("redis %q: %w", name, err)
	}
	a.Image = kube.CheckedImage(fmt.Sprintf("redis %q", name), a.Image, rules.ForeignImage)
	if a.Exporter != nil {
		a.Exporter.Image = kube.CheckedImage(fmt.Sprintf("redis %q: exporter", name), a.Exporter.Image, rules.ForeignImage)
	}
	r := &Redis{part: kube.Part{App: a.App, PartOf: partOf, Component: "database", Instance: name, Image: a.Image}, MinReplicas: a.minReplicas()}
	if err := ctx.RegisterComponentResourceV2(redisType, name, pulumi.Map{
		"image":    a.Image,
		"replicas": pulumi.Int(a.Replicas),
	}, r, opts...); err != nil {
		return nil, err
	}
	if err := r.declare(ctx, name, a, last); err != nil {
		return nil, fmt.Errorf("redis %q: %w", name, err)
	}
	return r, ctx.RegisterResourceOutputs(r, pulumi.Map{
		"writeAddress": r.WriteAddress,
		"readAddress":  r.ReadAddress,
		"secretName":   r.SecretName,
	})
}

// minReplicas is how many replicas must have a write before it is acknowledged: with the primary a majority, or 0 without a
// quorum.
func (args *RedisArgs) minReplicas() int {
	if !args.Quorum {
		return 0
	}
	return args.Replicas / 2
}
