package kube

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// APIToken returns the volume and the mount that let a pod call the API server as its ServiceAccount. Pods have no token by
// default; only programs that need the API mount it, and say why. The token is bound to the pod and valid for an hour; the
// kubelet renews it.
func APIToken() (corev1.VolumeArgs, corev1.VolumeMountArgs) {
	const volume = "api-token"
	file := func(name string) corev1.KeyToPathArray {
		return corev1.KeyToPathArray{corev1.KeyToPathArgs{Key: pulumi.String(name), Path: pulumi.String(name)}}
	}
	return corev1.VolumeArgs{
			Name: pulumi.String(volume),
			Projected: corev1.ProjectedVolumeSourceArgs{
				DefaultMode: pulumi.Int(0o440),
				Sources: corev1.VolumeProjectionArray{
					corev1.VolumeProjectionArgs{ServiceAccountToken: corev1.ServiceAccountTokenProjectionArgs{
						Path: pulumi.String("token"), ExpirationSeconds: pulumi.Int(3600),
					}},
					corev1.VolumeProjectionArgs{ConfigMap: corev1.ConfigMapProjectionArgs{
						Name: pulumi.String("kube-root-ca.crt"), Items: file("ca.crt"), // Kubernetes puts it into every namespace
					}},
					corev1.VolumeProjectionArgs{DownwardAPI: corev1.DownwardAPIProjectionArgs{
						Items: corev1.DownwardAPIVolumeFileArray{corev1.DownwardAPIVolumeFileArgs{
							Path: pulumi.String("namespace"), FieldRef: corev1.ObjectFieldSelectorArgs{FieldPath: pulumi.String("metadata.namespace")},
						}},
					}},
				},
			},
		}, corev1.VolumeMountArgs{
			Name:      pulumi.String(volume),
			MountPath: pulumi.String("/var/run/secrets/kubernetes.io/serviceaccount"),
			ReadOnly:  pulumi.Bool(true),
		}
}
