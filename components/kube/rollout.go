package kube

import (
	"fmt"
	"strconv"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// DefaultRolloutTimeout is how long, in seconds, a rollout may go on without progress: pods of an image of a few hundred
// megabytes are up by then, and a person still waits for the answer.
const DefaultRolloutTimeout = 180

// Rollout returns the option that ends an update of a workload whose rollout takes longer than this, in seconds. The engine
// waits a little longer than Kubernetes, so that it hears the reason.
func Rollout(seconds int) pulumi.ResourceOption {
	limit := fmt.Sprintf("%ds", seconds+15)
	return pulumi.Timeouts(&pulumi.CustomTimeouts{Create: limit, Update: limit})
}

// RollingUpdate returns the strategy of a Deployment whose update costs no capacity: a new pod is ready before an old one goes.
func RollingUpdate() appsv1.DeploymentStrategyArgs {
	return appsv1.DeploymentStrategyArgs{
		Type:          pulumi.String("RollingUpdate"),
		RollingUpdate: appsv1.RollingUpdateDeploymentArgs{MaxSurge: pulumi.Int(1), MaxUnavailable: pulumi.Int(0)},
	}
}

// SkipAwait is the annotation of an object that the engine does not wait for. Services have it: one is ready for the engine
// when all of its pods are, so it would wait, for ten minutes, for a pod that its workload has long given up.
const SkipAwait = "pulumi.com/skipAwait"

// generationAnnotation is the generation of a workload whose rollout was waited for.
const generationAnnotation = "journal.example.com/rolled-out-generation"

// AwaitRollout returns what is there when every pod of the StatefulSet is of the declared revision and ready, and fails with the
// pods' own reason when that takes longer than this, in seconds.
//
// The engine's wait for the StatefulSet itself is not enough: it begins with the status that is there, and before the
// controller has seen an update, that is the status of the revision before, all of whose pods are ready. So the generation of
// each update is noted at the StatefulSet, and the engine waits again for the object that it has changed.
func AwaitRollout(ctx *pulumi.Context, name string, set *appsv1.StatefulSet, seconds int, parent pulumi.Resource) (pulumi.Resource, error) {
	generation := set.Metadata.Generation().ApplyT(func(generation *int) string {
		if generation == nil {
			return ""
		}
		return strconv.Itoa(*generation)
	}).(pulumi.StringOutput)
	return appsv1.NewStatefulSetPatch(ctx, name, &appsv1.StatefulSetPatchArgs{
		Metadata: metav1.ObjectMetaPatchArgs{
			Name:      set.Metadata.Name(),
			Namespace: set.Metadata.Namespace(),
			Annotations: pulumi.StringMap{
				generationAnnotation: generation,
				// A patch has a field manager of its own, with a name that only the state knows. When that was lost, the next
				// one takes the annotation over.
				"pulumi.com/patchForce": pulumi.String("true"),
			},
		},
	}, pulumi.Parent(parent), pulumi.DependsOn([]pulumi.Resource{set}), pulumi.DeletedWith(set), Rollout(seconds))
}
