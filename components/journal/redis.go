package journal

import (
	"cmp"
	"crypto/hkdf"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"example.com/journal/components/kube"
	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"
)

const (
	redisPort = 6379
	// redisSecretDir is where the password is mounted; the kubelet keeps it on a tmpfs.
	redisSecretDir = "/run/secrets/redis"
	redisConfigDir = "/etc/redis"
	// redisMaxReplicas is how many pods start.sh looks at before it lets an empty primary start.
	redisMaxReplicas = 9
	// redisGracePeriod is how long Redis may take, in seconds, to hand its writes to the replicas and close its files.
	redisGracePeriod = 30
	// podNameLabel is the label by which the StatefulSet's controller names each pod.
	podNameLabel = "statefulset.kubernetes.io/pod-name"
	// passwordKey is the key of a password in its Secret, and so the name of its file. previousFile is the file of the one
	// before.
	passwordKey  = "password"
	previousFile = "previous"
)

var (
	//go:embed redis.conf
	redisConf string
	//go:embed start.sh
	redisStart string
	//go:embed ready.sh
	redisReady string
	//go:embed lib.sh
	redisLib string
)

// RedisArgs are the parameters of Redis.
type RedisArgs struct {
	// App is the name of the StatefulSet and of the headless Service, and the value of the label `app`. The default is
	// the component's name.
	App string
	// Namespace is where Redis runs. The default is the provider's namespace.
	Namespace pulumi.StringInput
	// Image is the Redis image, by an exact version or a digest. Required. It brings redis-server, redis-cli and sh.
	Image string
	// Replicas is the number of pods, the primary among them: 1 to 9. The default is 3.
	Replicas int
	// Quorum makes the primary refuse a write unless it and the replicas that are in sync are a majority, so that an
	// acknowledged entry is on more than one volume. It asks for an odd number of replicas. Off by default.
	Quorum bool
	// Resources are those of each pod. The default is 100m CPU and 192Mi of memory. Writes wait while a restarted primary reads
	// its log, as fast as the CPU limit lets it.
	Resources kube.Resources
	// MaxMemory is how large the data may grow before writes are refused. It must fit into the memory limit, with room
	// for the buffers of replicas and for rewriting the log. The default is 128Mi.
	MaxMemory string
	// StorageSize is the size of each replica's volume. The default is 1Gi.
	StorageSize string
	// StorageClass is the volumes' StorageClass. The default is the cluster's own.
	StorageClass string
	// PasswordVersion is the number of the password, 1 or more; another number is another password. The default is 1.
	// Redis accepts the password before as well, so that its clients can move over.
	PasswordVersion int
	// RolloutTimeout is how long, in seconds, an update of the pods may take, all of them together, before it fails. The
	// default is kube.DefaultRolloutTimeout; a large log takes a pod longer to read.
	RolloutTimeout int
	// Versions is how many versions of the configuration and of the password are kept. The default is kube.DefaultVersions.
	Versions int
	// History are the configurations of earlier updates and PasswordHistory the numbers of their passwords, the last first.
	History         []map[string]string
	PasswordHistory []int
	// Clients are the labels of the pods in the same namespace that may connect, by the value of `app`. The default is
	// api.
	Clients []string
}

// Redis is a StatefulSet whose pod 0 is the primary and whose other pods replicate from it, each on its own volume.
//
// Every write is on the primary's disk before it is acknowledged. A pod is ready while it is in sync: a replica that
// loses the primary refuses reads at once, so that nobody reads old data, and leaves the read Service when that lasts
// longer than a restart of the primary does, half a minute.
type Redis struct {
	pulumi.ResourceState

	// WriteAddress is host:port of the Service that leads to the primary.
	WriteAddress pulumi.StringOutput `pulumi:"writeAddress"`
	// ReadAddress is host:port of the Service over all replicas that are in sync.
	ReadAddress pulumi.StringOutput `pulumi:"readAddress"`
	// SecretName is the name of the Secret that holds the current password under the key `password`.
	SecretName pulumi.StringOutput `pulumi:"secretName"`
	// Versions are the configurations that are kept and Passwords the numbers of the passwords, the current ones first.
	Versions  []map[string]string
	Passwords []int

	rollout pulumi.Resource // it is there when all pods are as declared
	part    kube.Part
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *RedisArgs) withDefaults(name string) RedisArgs {
	var a RedisArgs
	if args != nil {
		a = *args
	}
	a.App = cmp.Or(a.App, name)
	a.Replicas = cmp.Or(a.Replicas, 3)
	a.Resources = a.Resources.WithDefaults(kube.Resources{CPU: "100m", Memory: "192Mi"})
	a.MaxMemory = cmp.Or(a.MaxMemory, "128Mi")
	a.StorageSize = cmp.Or(a.StorageSize, "1Gi")
	a.PasswordVersion = cmp.Or(a.PasswordVersion, 1)
	a.RolloutTimeout = cmp.Or(a.RolloutTimeout, kube.DefaultRolloutTimeout)
	if len(a.Clients) == 0 {
		a.Clients = []string{"api"}
	}
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *RedisArgs) Check(name string) kube.Faults {
	a := args.withDefaults(name)
	var f kube.Faults
	f.Check("app", a.App, kube.CheckName(a.App))
	f.Check("image", a.Image, kube.CheckImage(a.Image, kube.ForeignImage))
	if a.Replicas < 1 || a.Replicas > redisMaxReplicas {
		f.Refuse("replicas", a.Replicas, "it must be 1 to %d, the primary among them; write for example 3", redisMaxReplicas)
	}
	if a.Quorum && a.Replicas%2 == 0 {
		f.Refuse("replicas", a.Replicas, "a quorum needs an odd number, since an even one survives no more failures than one less; write %d", a.Replicas+1)
	}
	if a.PasswordVersion < 1 {
		f.Refuse("passwordVersion", a.PasswordVersion, "no number of a password; write 1 or more")
	}
	a.Resources.Check(&f)
	f.Check("maxMemory", a.MaxMemory, kube.CheckBytes(a.MaxMemory))
	if kube.CompareQuantities(a.Resources.MemoryLimit, a.MaxMemory) < 0 {
		f.Refuse("memoryLimit", a.Resources.MemoryLimit, "below the dataset limit maxMemory of %s, so the kernel would kill Redis before it refuses a write; raise the limit or lower maxMemory", a.MaxMemory)
	}
	f.Check("storageSize", a.StorageSize, kube.CheckBytes(a.StorageSize))
	if a.StorageClass != "" {
		f.Check("storageClass", a.StorageClass, kube.CheckObjectName(a.StorageClass))
	}
	return f
}

// NewRedis declares Redis. The error names every argument that breaks a rule.
func NewRedis(ctx *pulumi.Context, name string, args *RedisArgs, opts ...pulumi.ResourceOption) (*Redis, error) {
	if err := args.Check(name).Err(); err != nil {
		return nil, fmt.Errorf("redis %q: %w", name, err)
	}
	a := args.withDefaults(name)
	r := &Redis{part: kube.Part{App: a.App, Component: "database", Instance: name, Image: a.Image}}
	if err := ctx.RegisterComponentResourceV2(redisType, name, pulumi.Map{
		"image":    pulumi.String(a.Image),
		"replicas": pulumi.Int(a.Replicas),
	}, r, opts...); err != nil {
		return nil, err
	}
	if err := r.declare(ctx, name, a); err != nil {
		return nil, fmt.Errorf("redis %q: %w", name, err)
	}
	return r, ctx.RegisterResourceOutputs(r, pulumi.Map{
		"writeAddress": r.WriteAddress,
		"readAddress":  r.ReadAddress,
		"secretName":   r.SecretName,
	})
}

// declare creates the children and sets the outputs.
func (r *Redis) declare(ctx *pulumi.Context, name string, a RedisArgs) error {
	child := pulumi.Parent(r)
	secrets, err := r.passwords(ctx, name, a)
	if err != nil {
		return err
	}
	config, err := kube.NewConfig(ctx, name, kube.ConfigArgs{
		Part: r.part, Namespace: a.Namespace, History: a.History, Keep: a.Versions,
		Data: map[string]string{"redis.conf": redisConf, "start.sh": redisStart, "ready.sh": redisReady, "lib.sh": redisLib},
	}, r)
	if err != nil {
		return err
	}
	r.Versions = config.Versions
	services, err := r.services(ctx, name, a)
	if err != nil {
		return err
	}
	if err := r.fence(ctx, name, a); err != nil {
		return err
	}
	if err := kube.NewDisruptionBudget(ctx, name, r.part, a.Namespace, r); err != nil {
		return err
	}
	account, err := corev1.NewServiceAccount(ctx, name, &corev1.ServiceAccountArgs{
		Metadata:                     r.part.Meta(a.Namespace),
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, child)
	if err != nil {
		return err
	}

	peersHost, primaryHost := serviceHost(services.peers), serviceHost(services.write)
	files := []kube.SecretFile{{Secret: secrets[0].Metadata.Name().Elem(), Key: passwordKey, File: passwordKey}}
	if len(secrets) > 1 {
		files = append(files, kube.SecretFile{Secret: secrets[1].Metadata.Name().Elem(), Key: passwordKey, File: previousFile})
	}
	passwordVolume, passwordMount := kube.SecretFiles("password", redisSecretDir, files...)
	ready := corev1.ProbeArgs{
		Exec:             corev1.ExecActionArgs{Command: pulumi.ToStringArray([]string{"sh", redisConfigDir + "/ready.sh"})},
		PeriodSeconds:    pulumi.Int(5),
		TimeoutSeconds:   pulumi.Int(5),
		FailureThreshold: pulumi.Int(6), // half a minute: a restart of the primary does not empty the Service
	}
	alive := func(period, failures int) corev1.ProbeArgs {
		return corev1.ProbeArgs{
			TcpSocket:        corev1.TCPSocketActionArgs{Port: pulumi.String("redis")},
			PeriodSeconds:    pulumi.Int(period),
			TimeoutSeconds:   pulumi.Int(3),
			FailureThreshold: pulumi.Int(failures),
		}
	}
	pod := kube.Pod{
		Part:                   r.part,
		ServiceAccount:         account.Metadata.Name().Elem(),
		TerminationGracePeriod: redisGracePeriod,
		Volumes: corev1.VolumeArray{passwordVolume, corev1.VolumeArgs{
			Name:      pulumi.String("config"),
			ConfigMap: corev1.ConfigMapVolumeSourceArgs{Name: config.Name, DefaultMode: pulumi.Int(0o444)},
		}},
		Container: corev1.ContainerArgs{
			Name:    pulumi.String("redis"),
			Image:   pulumi.String(a.Image),
			Command: pulumi.ToStringArray([]string{"sh", redisConfigDir + "/start.sh"}),
			Env: corev1.EnvVarArray{
				env("PEERS", peersHost),
				env("PRIMARY", primaryHost),
				env("MAX_MEMORY", pulumi.String(redisBytes(a.MaxMemory))),
				env("MIN_REPLICAS_TO_WRITE", pulumi.String(strconv.Itoa(minReplicasToWrite(a)))),
			},
			Ports:          corev1.ContainerPortArray{corev1.ContainerPortArgs{Name: pulumi.String("redis"), ContainerPort: pulumi.Int(redisPort)}},
			Resources:      a.Resources.Requirements(),
			StartupProbe:   alive(1, 300), // five minutes for reading a large log
			ReadinessProbe: ready,
			LivenessProbe:  alive(5, 6),
			VolumeMounts: corev1.VolumeMountArray{passwordMount,
				corev1.VolumeMountArgs{Name: pulumi.String("config"), MountPath: pulumi.String(redisConfigDir), ReadOnly: pulumi.Bool(true)},
				corev1.VolumeMountArgs{Name: pulumi.String("data"), MountPath: pulumi.String("/data")},
			},
		},
	}
	claim := corev1.PersistentVolumeClaimSpecArgs{
		AccessModes: pulumi.ToStringArray([]string{"ReadWriteOnce"}),
		Resources:   corev1.VolumeResourceRequirementsArgs{Requests: pulumi.StringMap{"storage": pulumi.String(a.StorageSize)}},
	}
	if a.StorageClass != "" {
		claim.StorageClassName = pulumi.String(a.StorageClass)
	}
	set, err := appsv1.NewStatefulSet(ctx, name, &appsv1.StatefulSetArgs{
		Metadata: r.part.WorkloadMeta(a.Namespace), // the pods' DNS names begin with its name
		Spec: appsv1.StatefulSetSpecArgs{
			Replicas: pulumi.Int(a.Replicas),
			// Replicas wait for the primary by themselves. Updates still take one pod at a time.
			PodManagementPolicy: pulumi.String("Parallel"),
			ServiceName:         services.peers.Metadata.Name().Elem(),
			Selector:            metav1.LabelSelectorArgs{MatchLabels: r.part.Selector()},
			Template:            pod.Template(),
			VolumeClaimTemplates: corev1.PersistentVolumeClaimTypeArray{corev1.PersistentVolumeClaimTypeArgs{
				Metadata: metav1.ObjectMetaArgs{Name: pulumi.String("data"), Labels: r.part.Labels()},
				Spec:     claim,
			}},
		},
	}, child, kube.Rollout(a.RolloutTimeout))
	if err != nil {
		return err
	}
	if r.rollout, err = kube.AwaitRollout(ctx, name, set, a.RolloutTimeout, r); err != nil {
		return err
	}

	r.WriteAddress = pulumi.Sprintf("%s:%d", primaryHost, redisPort)
	r.ReadAddress = pulumi.Sprintf("%s:%d", serviceHost(services.read), redisPort)
	r.SecretName = secrets[0].Metadata.Name().Elem()
	return nil
}

// passwords declares the passwords that are kept, each in a Secret of its own that never changes, the current one first.
//
// They all come from one random secret, by HKDF (RFC 5869) with the number: so a rotation makes nothing that only the state
// knows, and none of them tells anything of another. The secret is no child of Redis, so that it can be the one target of an
// update that makes it first: a target's children are not left alone.
func (r *Redis) passwords(ctx *pulumi.Context, name string, a RedisArgs) ([]*corev1.Secret, error) {
	source, err := random.NewRandomPassword(ctx, name, &random.RandomPasswordArgs{Length: pulumi.Int(64), Special: pulumi.Bool(false)})
	if err != nil {
		return nil, err
	}
	r.Passwords = passwords(a.PasswordVersion, a.PasswordHistory, a.Versions)
	var secrets []*corev1.Secret
	for _, number := range r.Passwords {
		password := pulumix.Cast[pulumi.StringOutput](pulumix.ApplyErr(source.Result, func(source string) (string, error) {
			return derivePassword(source, number)
		}))
		meta := r.part.Meta(a.Namespace)
		// 192 random bits cannot be guessed from a few digits of their hash.
		meta.Name = pulumix.Cast[pulumi.StringOutput](pulumix.Apply(pulumi.Unsecret(password).(pulumi.StringOutput), func(password string) string {
			return kube.ContentName(r.part.App+"-password", map[string]string{passwordKey: password})
		}))
		secret, err := corev1.NewSecret(ctx, fmt.Sprintf("%s-%d", name, number), &corev1.SecretArgs{
			Metadata:   meta,
			StringData: pulumi.StringMap{passwordKey: password},
			Immutable:  pulumi.Bool(true),
		}, pulumi.Parent(r))
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// derivePassword returns the password of a number: 32 characters that mean nothing to a shell or to Redis's configuration.
func derivePassword(source string, number int) (string, error) {
	bits, err := hkdf.Key(sha256.New, []byte(source), nil, fmt.Sprintf("journal redis password %d", number), 24)
	return base64.RawURLEncoding.EncodeToString(bits), err
}

// services are the ways to Redis.
type services struct {
	peers *corev1.Service // headless: it names each pod
	write *corev1.Service // the primary
	read  *corev1.Service // all replicas in sync
}

// services declares the Services. The primary has one of its own, whose address stays when its pod comes back with another
// one: a name that leads to the pod itself is remembered by the cluster's DNS for up to half a minute.
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
	// A replica must find the primary before the primary is ready, or nothing would ever start. Redis itself says when it
	// cannot serve yet.
	const notReadyToo = pulumi.Bool(true)
	s.peers = declare("", corev1.ServiceSpecArgs{ClusterIP: pulumi.String("None"), PublishNotReadyAddresses: notReadyToo})
	s.write = declare("-write", corev1.ServiceSpecArgs{
		Selector:                 pulumi.StringMap{podNameLabel: pulumi.String(a.App + "-0")},
		PublishNotReadyAddresses: notReadyToo,
	})
	s.read = declare("-read", corev1.ServiceSpecArgs{})
	return s, err
}

// fence lets the clients and the other replicas connect, and lets replicas connect to each other.
func (r *Redis) fence(ctx *pulumi.Context, name string, a RedisArgs) error {
	self := kube.Pods(r.part.Selector())
	from := networkingv1.NetworkPolicyPeerArray{self}
	for _, client := range a.Clients {
		from = append(from, kube.Pods(pulumi.StringMap{"app": pulumi.String(client)}))
	}
	return kube.NewFence(ctx, name, r.part, a.Namespace, kube.FenceArgs{
		Ingress: networkingv1.NetworkPolicyIngressRuleArray{networkingv1.NetworkPolicyIngressRuleArgs{
			From: from, Ports: kube.TCP(redisPort),
		}},
		Egress: networkingv1.NetworkPolicyEgressRuleArray{kube.DNS(), networkingv1.NetworkPolicyEgressRuleArgs{
			To: networkingv1.NetworkPolicyPeerArray{self}, Ports: kube.TCP(redisPort),
		}},
	}, r)
}

// minReplicasToWrite is how many replicas must be in sync for the primary to take a write: with the primary itself a
// majority, or none where no quorum is asked for.
func minReplicasToWrite(a RedisArgs) int {
	if !a.Quorum {
		return 0
	}
	return a.Replicas / 2
}

// redisBytes is a checked quantity in bytes: Redis reads Mi as an error and M as 1000 squared.
func redisBytes(quantity string) string {
	bytes, err := kube.ParseQuantity(quantity)
	if err != nil {
		return quantity
	}
	return bytes.FloatString(0)
}
