package journal

import (
	_ "embed"
	"fmt"
	"strconv"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
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
	//go:embed users
	redisRules string
)

// declare creates the children and sets the outputs.
func (r *Redis) declare(ctx *pulumi.Context, name string, a RedisArgs, last redisHistory) error {
	secrets, err := r.passwordSecrets(ctx, name, a)
	if err != nil {
		return err
	}
	data := map[string]string{"redis.conf": redisConf, "start.sh": redisStart, "ready.sh": redisReady, "lib.sh": redisLib, "users": redisRules}
	if a.Exporter != nil {
		data["exporter.sh"], data["monitor"], data["redis.conf"] = exporterScript, monitorRules, redisConf+exporterConf
	}
	config, err := kube.NewConfig(ctx, name, kube.ConfigArgs{
		Part: r.part, Namespace: a.Namespace, History: last.Configs, Keep: a.ConfigVersions, Data: data,
	}, r)
	if err != nil {
		return err
	}
	r.history = redisHistory{Configs: config.Versions, Passwords: a.Passwords, PasswordSecret: a.PasswordSecret, Storage: &a.Storage}
	services, err := r.services(ctx, name, a)
	if err != nil {
		return err
	}
	if err := r.networkPolicy(ctx, name, a); err != nil {
		return err
	}
	if err := kube.NewDisruptionBudget(ctx, name, r.part, a.Namespace, r); err != nil {
		return err
	}
	account, err := kube.NewServiceAccount(ctx, name, r.part, a.Namespace, r)
	if err != nil {
		return err
	}

	r.WriteAddress = pulumi.Sprintf("%s:%d", serviceHost(services.write), redisPort)
	r.ReadAddress = pulumi.Sprintf("%s:%d", serviceHost(services.read), redisPort)
	r.SecretName = secrets[0]

	pod := r.pod(a, account, config, secrets)
	pod.Container.Env = corev1.EnvVarArray{
		env("PEERS", serviceHost(services.peers)),
		env("PRIMARY", serviceHost(services.write)),
		env("MAX_MEMORY", pulumi.String(rules.WholeNumber(a.MaxMemory))),
		env("MIN_REPLICAS_TO_WRITE", pulumi.String(strconv.Itoa(r.MinReplicas))),
	}
	return r.statefulSet(ctx, name, a, services, pod)
}

// pod returns the pod of every replica, without environment: start.sh makes one the primary and the others its replicas.
func (r *Redis) pod(a RedisArgs, account pulumi.StringInput, config kube.Config, secrets []pulumi.StringOutput) kube.Pod {
	var files []kube.SecretKeys
	for i, secret := range secrets {
		keys := kube.SecretKeys{Secret: secret, Keys: redisUsers}
		if i > 0 { // by these names lib.sh finds them
			keys.Prefix = fmt.Sprintf("previous-%d-", i)
		}
		files = append(files, keys)
	}
	passwordVolume, passwordMount := kube.SecretFiles("password", redisSecretDir, files...)
	configMount := corev1.VolumeMountArgs{Name: pulumi.String("config"), MountPath: pulumi.String(redisConfigDir), ReadOnly: pulumi.Bool(true)}
	mounts := corev1.VolumeMountArray{passwordMount, configMount,
		corev1.VolumeMountArgs{Name: pulumi.String(kube.DataVolume), MountPath: pulumi.String("/data")},
	}
	if a.Exporter != nil {
		mounts = append(mounts, exporterMount(false))
	}
	pod := kube.Pod{
		Part:                   r.part,
		ServiceAccount:         account,
		TerminationGracePeriod: redisGracePeriod,
		Apart:                  a.Quorum && !a.SharedNodes,
		PriorityClass:          a.PriorityClass,
		Fenced:                 a.Fenced,
		Volumes: corev1.VolumeArray{passwordVolume, corev1.VolumeArgs{
			Name:      pulumi.String("config"),
			ConfigMap: corev1.ConfigMapVolumeSourceArgs{Name: config.Name, DefaultMode: pulumi.Int(0o444)},
		}},
		Container: corev1.ContainerArgs{
			Name:         pulumi.String("redis"),
			Image:        a.Image,
			Command:      pulumi.ToStringArray([]string{"sh", redisConfigDir + "/start.sh"}),
			Ports:        corev1.ContainerPortArray{corev1.ContainerPortArgs{Name: pulumi.String("redis"), ContainerPort: pulumi.Int(redisPort)}},
			Resources:    a.Resources.Requirements(),
			StartupProbe: redisAlive(1, 300), // five minutes for reading a large log
			ReadinessProbe: corev1.ProbeArgs{
				Exec:             corev1.ExecActionArgs{Command: pulumi.ToStringArray([]string{"sh", redisConfigDir + "/ready.sh"})},
				PeriodSeconds:    pulumi.Int(5),
				TimeoutSeconds:   pulumi.Int(5),
				FailureThreshold: pulumi.Int(6), // half a minute: a restart of the primary does not empty the Service
			},
			LivenessProbe: redisAlive(5, 6),
			VolumeMounts:  mounts,
		},
	}
	if a.Exporter != nil {
		a.Exporter.addTo(&pod)
	}
	return pod
}

// redisAlive returns a probe that succeeds while Redis accepts connections.
func redisAlive(period, failures int) corev1.ProbeArgs {
	return corev1.ProbeArgs{
		TcpSocket:        corev1.TCPSocketActionArgs{Port: pulumi.String("redis")},
		PeriodSeconds:    pulumi.Int(period),
		TimeoutSeconds:   pulumi.Int(3),
		FailureThreshold: pulumi.Int(failures),
	}
}

// statefulSet declares the replicas and waits for them.
func (r *Redis) statefulSet(ctx *pulumi.Context, name string, a RedisArgs, services services, pod kube.Pod) error {
	set, err := appsv1.NewStatefulSet(ctx, name, &appsv1.StatefulSetArgs{
		Metadata: r.part.WorkloadMeta(a.Namespace), // the pods' DNS names begin with its name
		Spec: appsv1.StatefulSetSpecArgs{
			Replicas: pulumi.Int(a.Replicas),
			// Replicas wait for the primary by themselves. Updates still replace one pod at a time.
			PodManagementPolicy:  pulumi.String("Parallel"),
			ServiceName:          services.peers.Metadata.Name().Elem(),
			Selector:             metav1.LabelSelectorArgs{MatchLabels: r.part.Selector()},
			Template:             pod.Template(),
			VolumeClaimTemplates: a.Storage.Claims(r.part),
		},
	}, pulumi.Parent(r), kube.Rollout(a.RolloutTimeout), kube.KeepClaims())
	if err != nil {
		return err
	}
	volumes, err := a.Storage.Resize(ctx, name, set, a.Replicas, r)
	if err != nil {
		return err
	}
	// After the volumes, so that the history has a new size only once all volumes have it.
	r.rollout, err = kube.AwaitRollout(ctx, name, set, kube.AwaitArgs{Timeout: a.RolloutTimeout, After: volumes}, r)
	return err
}
