package kube

import (
	"maps"
	"slices"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// UserID is the user and group that every container runs as: above 10000, so that no user of the node has the same.
const UserID = 10001

// ScoreIgnore is the annotation that names the checks of kube-score that do not apply to an object.
const ScoreIgnore = "kube-score/ignore"

// ignoredChecks are kube-score's checks that do not apply here. It demands the pull policy Always, in case a tag was moved.
// Every image here has a tag that cannot move, so a node that has the image can start a pod while the registry is down.
const ignoredChecks = "container-image-pull-policy"

// ignoredFence is another one, for pods that the NetworkPolicies of their namespace fence, which are no part of the stack.
const ignoredFence = "pod-networkpolicy"

// ignoredGroup is another one, for pods with Prepare or Group: it demands a user and a group above 10000.
const ignoredGroup = ignoredChecks + ",container-security-context-user-group-id"

// Pod is what differs between the pods of two parts. Template sets the rest.
type Pod struct {
	// Part says whose pod it is.
	Part Part
	// ServiceAccount is the name of the account that the pod runs as. Its token is not mounted.
	ServiceAccount pulumi.StringInput
	// Container is the pod's main container, without a security context: Template sets that.
	Container corev1.ContainerArgs
	// Beside are further containers, which run as the main one does, but mount no /tmp unless they say so. None by default.
	Beside []corev1.ContainerArgs
	// FiguresPort is the port at which the pod serves figures, at the path /metrics. The pod's annotations name it to the metric
	// store. By default there are no annotations, and nobody reads figures.
	FiguresPort int
	// Volumes are the volumes that the containers mount, besides the writable /tmp that every pod has.
	Volumes corev1.VolumeArray
	// Apart puts each pod of the part on a node of its own; a pod without a free node stays pending. By default the pods are
	// spread over the nodes as far as possible.
	Apart bool
	// Fenced says that the part has no NetworkPolicy of its own, since those of the namespace fence the pod.
	Fenced bool
	// TerminationGracePeriod is how long the pod may take to stop, in seconds.
	TerminationGracePeriod int
	// PriorityClass is the name of the pod's PriorityClass. The default is the cluster's.
	PriorityClass pulumi.StringInput
	// Group is the group that the containers run as. The default is UserID.
	Group *int
	// Prepare runs to its end before all others, as root without any capability: it may change what belongs to root, and
	// nothing else. By default there is none. A namespace that is not privileged refuses the pod.
	Prepare *corev1.ContainerArgs
	// Tolerations are the taints that the pod tolerates. None by default.
	Tolerations corev1.TolerationArrayInput
}

// Template returns a pod template that satisfies the "restricted" Pod Security Standard, without Prepare: it runs as an ordinary user
// on a read-only root file system, without capabilities, privilege escalation or an API token, under the runtime's
// seccomp profile. Pods of one part are spread over the nodes.
// https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
func (p Pod) Template() corev1.PodTemplateSpecArgs {
	group, ignored := UserID, ignoredChecks
	if p.Group != nil {
		group, ignored = *p.Group, ignoredGroup
	}
	container := hardened(p.Container, UserID, group)
	var before corev1.ContainerArray
	if p.Prepare != nil {
		before, ignored = append(before, hardened(*p.Prepare, 0, 0)), ignoredGroup
	}
	var affinity corev1.AffinityPtrInput
	if p.Apart {
		affinity = corev1.AffinityArgs{PodAntiAffinity: corev1.PodAntiAffinityArgs{
			RequiredDuringSchedulingIgnoredDuringExecution: corev1.PodAffinityTermArray{corev1.PodAffinityTermArgs{
				LabelSelector: metav1.LabelSelectorArgs{MatchLabels: p.Part.Selector()},
				TopologyKey:   pulumi.String("kubernetes.io/hostname"),
			}},
		}}
	}
	tmp := corev1.VolumeMountArray{corev1.VolumeMountArgs{Name: pulumi.String("tmp"), MountPath: pulumi.String("/tmp")}}
	switch mounts := container.VolumeMounts.(type) {
	case nil:
		container.VolumeMounts = tmp
	case corev1.VolumeMountArray:
		container.VolumeMounts = slices.Concat(tmp, mounts)
	default: // an output
		container.VolumeMounts = pulumi.All(tmp, mounts).ApplyT(func(all []any) []corev1.VolumeMount {
			return slices.Concat(all[0].([]corev1.VolumeMount), all[1].([]corev1.VolumeMount))
		}).(corev1.VolumeMountArrayOutput)
	}
	containers := corev1.ContainerArray{container}
	for _, beside := range p.Beside {
		containers = append(containers, hardened(beside, UserID, group))
	}
	if p.Fenced {
		ignored += "," + ignoredFence
	}
	annotations := map[string]string{ScoreIgnore: ignored}
	if p.FiguresPort != 0 {
		maps.Copy(annotations, ScrapeAnnotations(p.FiguresPort))
	}

	return corev1.PodTemplateSpecArgs{
		Metadata: metav1.ObjectMetaArgs{
			Labels:      p.Part.WorkloadLabels(),
			Annotations: pulumi.ToStringMap(annotations),
		},
		Spec: corev1.PodSpecArgs{
			Affinity:                     affinity,
			AutomountServiceAccountToken: pulumi.Bool(false),
			Containers:                   containers,
			InitContainers:               before,
			EnableServiceLinks:           pulumi.Bool(false), // addresses come from configuration, not from neighbours' names
			SecurityContext: corev1.PodSecurityContextArgs{
				FsGroup:             pulumi.Int(UserID),
				FsGroupChangePolicy: pulumi.String("OnRootMismatch"),
				RunAsGroup:          pulumi.Int(group),
				RunAsNonRoot:        pulumi.Bool(true),
				RunAsUser:           pulumi.Int(UserID),
				SeccompProfile:      corev1.SeccompProfileArgs{Type: pulumi.String("RuntimeDefault")},
			},
			PriorityClassName:             p.PriorityClass,
			ServiceAccountName:            p.ServiceAccount,
			TerminationGracePeriodSeconds: pulumi.Int(p.TerminationGracePeriod),
			Tolerations:                   p.Tolerations,
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

// hardened returns the container without privileges, as this user and group of a read-only root file system.
func hardened(container corev1.ContainerArgs, user, group int) corev1.ContainerArgs {
	container.ImagePullPolicy = pulumi.String("IfNotPresent")
	container.SecurityContext = corev1.SecurityContextArgs{
		AllowPrivilegeEscalation: pulumi.Bool(false),
		Capabilities:             corev1.CapabilitiesArgs{Drop: pulumi.ToStringArray([]string{"ALL"})},
		Privileged:               pulumi.Bool(false),
		ReadOnlyRootFilesystem:   pulumi.Bool(true),
		RunAsGroup:               pulumi.Int(group),
		RunAsNonRoot:             pulumi.Bool(user != 0),
		RunAsUser:                pulumi.Int(user),
		SeccompProfile:           corev1.SeccompProfileArgs{Type: pulumi.String("RuntimeDefault")},
	}
	return container
}

// SecretKeys are keys of a Secret as files.
type SecretKeys struct {
	// Secret is the Secret's name.
	Secret pulumi.StringInput
	// Keys are the keys. Each is the name of its file, after Prefix.
	Keys   []string
	Prefix string
}

// SecretFiles mounts keys of Secrets as files of one directory. The kubelet keeps them in memory (tmpfs). Only the container's
// group can read them.
func SecretFiles(volume, dir string, secrets ...SecretKeys) (corev1.VolumeArgs, corev1.VolumeMountArgs) {
	sources := corev1.VolumeProjectionArray{}
	for _, secret := range secrets {
		items := corev1.KeyToPathArray{}
		for _, key := range secret.Keys {
			items = append(items, corev1.KeyToPathArgs{Key: pulumi.String(key), Path: pulumi.String(secret.Prefix + key)})
		}
		sources = append(sources, corev1.VolumeProjectionArgs{Secret: corev1.SecretProjectionArgs{Name: secret.Secret, Items: items}})
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

// HTTPProbe returns a probe that requests a path at a named port of the container every period seconds. An answer may take 3
// s. The probe fails after this many consecutive failures.
func HTTPProbe(port, path string, period, failures int) corev1.ProbeArgs {
	return corev1.ProbeArgs{
		HttpGet:          corev1.HTTPGetActionArgs{Path: pulumi.String(path), Port: pulumi.String(port)},
		PeriodSeconds:    pulumi.Int(period),
		TimeoutSeconds:   pulumi.Int(3),
		FailureThreshold: pulumi.Int(failures),
	}
}
