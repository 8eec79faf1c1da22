package kube

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// UserID is the user and group that every container runs as: above 10000, so that it is nobody on the node.
const UserID = 10001

// ScoreIgnore is the annotation that names the checks of kube-score which do not hold for an object.
const ScoreIgnore = "kube-score/ignore"

// ignoredChecks are kube-score's checks that do not hold here. It asks for the pull policy Always, so that an image
// whose tag was moved is noticed; every image here is named by a tag that cannot move, and a node that has it can start
// a pod while the registry is away.
const ignoredChecks = "container-image-pull-policy"

// Pod is what differs between the pods of two parts. The rest is the same for all: see Template.
type Pod struct {
	// Part says whose pod it is.
	Part Part
	// ServiceAccount is the name of the account the pod runs under; its token is never mounted.
	ServiceAccount pulumi.StringInput
	// Container is the pod's one container, without security context: Template sets it.
	Container corev1.ContainerArgs
	// Volumes are the volumes that the container mounts, besides the writable /tmp that every pod has.
	Volumes corev1.VolumeArray
	// TerminationGracePeriod is how long the pod may take to stop, in seconds.
	TerminationGracePeriod int
}

// Template returns a pod template that satisfies the "restricted" Pod Security Standard: it runs as an ordinary user
// on a read-only root file system, without capabilities, privilege escalation or an API token, under the runtime's
// seccomp profile. Pods of one part are spread over the nodes.
// https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
func (p Pod) Template() corev1.PodTemplateSpecArgs {
	container := p.Container
	container.ImagePullPolicy = pulumi.String("IfNotPresent")
	container.SecurityContext = corev1.SecurityContextArgs{
		AllowPrivilegeEscalation: pulumi.Bool(false),
		Capabilities:             corev1.CapabilitiesArgs{Drop: pulumi.ToStringArray([]string{"ALL"})},
		Privileged:               pulumi.Bool(false),
		ReadOnlyRootFilesystem:   pulumi.Bool(true),
		RunAsGroup:               pulumi.Int(UserID),
		RunAsNonRoot:             pulumi.Bool(true),
		RunAsUser:                pulumi.Int(UserID),
		SeccompProfile:           corev1.SeccompProfileArgs{Type: pulumi.String("RuntimeDefault")},
	}
	mounts, _ := container.VolumeMounts.(corev1.VolumeMountArray)
	container.VolumeMounts = append(corev1.VolumeMountArray{
		corev1.VolumeMountArgs{Name: pulumi.String("tmp"), MountPath: pulumi.String("/tmp")},
	}, mounts...)

	return corev1.PodTemplateSpecArgs{
		Metadata: metav1.ObjectMetaArgs{
			Labels:      p.Part.WorkloadLabels(),
			Annotations: pulumi.StringMap{ScoreIgnore: pulumi.String(ignoredChecks)},
		},
		Spec: corev1.PodSpecArgs{
			AutomountServiceAccountToken: pulumi.Bool(false),
			Containers:                   corev1.ContainerArray{container},
			EnableServiceLinks:           pulumi.Bool(false), // addresses come from configuration, not from neighbours' names
			SecurityContext: corev1.PodSecurityContextArgs{
				FsGroup:             pulumi.Int(UserID),
				FsGroupChangePolicy: pulumi.String("OnRootMismatch"),
				RunAsGroup:          pulumi.Int(UserID),
				RunAsNonRoot:        pulumi.Bool(true),
				RunAsUser:           pulumi.Int(UserID),
				SeccompProfile:      corev1.SeccompProfileArgs{Type: pulumi.String("RuntimeDefault")},
			},
			ServiceAccountName:            p.ServiceAccount,
			TerminationGracePeriodSeconds: pulumi.Int(p.TerminationGracePeriod),
			TopologySpreadConstraints: corev1.TopologySpreadConstraintArray{corev1.TopologySpreadConstraintArgs{
				LabelSelector:     metav1.LabelSelectorArgs{MatchLabels: p.Part.Selector()},
				MaxSkew:           pulumi.Int(1),
				TopologyKey:       pulumi.String("kubernetes.io/hostname"),
				WhenUnsatisfiable: pulumi.String("ScheduleAnyway"), // a cluster of one node still runs all replicas
			}},
			Volumes: append(corev1.VolumeArray{corev1.VolumeArgs{
				Name:     pulumi.String("tmp"),
				EmptyDir: corev1.EmptyDirVolumeSourceArgs{SizeLimit: pulumi.String(ephemeralStorage)},
			}}, p.Volumes...),
		},
	}
}

// SecretFile is one key of a Secret as a file.
type SecretFile struct {
	// Secret is the Secret's name.
	Secret pulumi.StringInput
	// Key is the key in the Secret and File the name of its file.
	Key, File string
}

// SecretFiles mounts keys of Secrets as files of one folder. The kubelet keeps it in memory (tmpfs), readable by the
// container's group alone.
func SecretFiles(volume, dir string, files ...SecretFile) (corev1.VolumeArgs, corev1.VolumeMountArgs) {
	sources := corev1.VolumeProjectionArray{}
	for _, file := range files {
		sources = append(sources, corev1.VolumeProjectionArgs{Secret: corev1.SecretProjectionArgs{
			Name:  file.Secret,
			Items: corev1.KeyToPathArray{corev1.KeyToPathArgs{Key: pulumi.String(file.Key), Path: pulumi.String(file.File)}},
		}})
	}
	return corev1.VolumeArgs{
			Name:      pulumi.String(volume),
			Projected: corev1.ProjectedVolumeSourceArgs{DefaultMode: pulumi.Int(0o440), Sources: sources},
		}, corev1.VolumeMountArgs{
			Name:      pulumi.String(volume),
			MountPath: pulumi.String(dir),
			ReadOnly:  pulumi.Bool(true),
		}
}

// HTTPProbe returns a probe that asks for a path at a port of the container, by the port's name, every so many seconds. An
// answer may take 3 s; after this many failures one after the other the probe has failed.
func HTTPProbe(port, path string, period, failures int) corev1.ProbeArgs {
	return corev1.ProbeArgs{
		HttpGet:          corev1.HTTPGetActionArgs{Path: pulumi.String(path), Port: pulumi.String(port)},
		PeriodSeconds:    pulumi.Int(period),
		TimeoutSeconds:   pulumi.Int(3),
		FailureThreshold: pulumi.Int(failures),
	}
}
