package kube

import (
	"fmt"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/rules"
)

// DataVolume is the name of the volume that each pod of a StatefulSet has of its own.
const DataVolume = "data"

// Storage are the parameters of the volume of each pod of a StatefulSet.
type Storage struct {
	// Size is the size of each pod's volume. It can grow if the StorageClass allows it, and never shrink.
	Size string `json:"size" format:"quantity" example:"1Gi"`
	// Class is the StorageClass of the volumes. It cannot be changed later. The default is the cluster's.
	Class string `json:"class"`
}

// Check returns the faults of the parameters.
func (s Storage) Check() (f rules.Faults) {
	f.Check("size", s.Size, rules.CheckBytes(s.Size))
	if s.Class != "" {
		f.Check("class", s.Class, rules.CheckObjectName(s.Class))
	}
	return f
}

// CheckAfter returns the rules that the parameters break as an update after others. Otherwise says how to get another class.
func (s Storage) CheckAfter(had Storage, otherwise string) (f rules.Faults) {
	if rules.CompareQuantities(s.Size, had.Size) < 0 {
		f.Refuse("size", s.Size, "the volumes have %s, and Kubernetes shrinks none; write %s or more", had.Size, had.Size)
	}
	if s.Class != had.Class {
		f.Refuse("class", s.Class, "the volumes are of class %q, and a volume stays in its class; write that again, or %s", had.Class, otherwise)
	}
	return f
}

// Claims returns the volume claims of a StatefulSet of a part.
func (s Storage) Claims(part Part) corev1.PersistentVolumeClaimTypeArray {
	claim := corev1.PersistentVolumeClaimSpecArgs{
		AccessModes: pulumi.ToStringArray([]string{"ReadWriteOnce"}),
		Resources:   corev1.VolumeResourceRequirementsArgs{Requests: pulumi.StringMap{"storage": pulumi.String(s.Size)}},
	}
	if s.Class != "" {
		claim.StorageClassName = pulumi.String(s.Class)
	}
	return corev1.PersistentVolumeClaimTypeArray{corev1.PersistentVolumeClaimTypeArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(DataVolume), Labels: part.Labels()},
		Spec:     claim,
	}}
}

// KeepClaims is the option of a StatefulSet whose volumes Resize sizes. A StatefulSet's templates are immutable, and replacing
// it would be an outage, so its template stays as first declared.
func KeepClaims() pulumi.ResourceOption {
	return pulumi.IgnoreChanges([]string{"spec.volumeClaimTemplates"})
}

// Resize declares the size of each replica's volume, as patches of the claims. If the class cannot grow volumes, the API server
// refuses the patch.
func (s Storage) Resize(ctx *pulumi.Context, name string, set *appsv1.StatefulSet, replicas int, parent pulumi.Resource) (claims []pulumi.Resource, err error) {
	for i := range replicas {
		claim, err := corev1.NewPersistentVolumeClaimPatch(ctx, fmt.Sprintf("%s-%d", name, i), &corev1.PersistentVolumeClaimPatchArgs{
			Metadata: metav1.ObjectMetaPatchArgs{
				Name:      pulumi.Sprintf("%s-%s-%d", DataVolume, set.Metadata.Name().Elem(), i),
				Namespace: set.Metadata.Namespace(),
				Annotations: pulumi.StringMap{
					// The StatefulSet's controller owns the size with which it created the claim.
					PatchForce: pulumi.String("true"),
					// The engine would wait for a pending claim if its class binds it only with its first pod.
					SkipAwait: pulumi.String("true"),
				},
			},
			Spec: corev1.PersistentVolumeClaimSpecPatchArgs{Resources: corev1.VolumeResourceRequirementsPatchArgs{
				Requests: pulumi.StringMap{"storage": pulumi.String(s.Size)},
			}},
			// A claim outlives its replica, and must always have a size.
		}, pulumi.Parent(parent), pulumi.DependsOn([]pulumi.Resource{set}), pulumi.RetainOnDelete(true))
		if err != nil {
			return nil, err
		}
		claims = append(claims, claim)
	}
	return claims, nil
}
