package kube

import (
	"fmt"
	"strconv"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Rollout returns the option that fails an update of a workload whose rollout takes longer than this, in seconds. The engine
// waits a little longer than Kubernetes, so that it receives the reason.
func Rollout(seconds int) pulumi.ResourceOption {
	limit := fmt.Sprintf("%ds", seconds+15)
	return pulumi.Timeouts(&pulumi.CustomTimeouts{Create: limit, Update: limit})
}

// surge is how many pods an update adds before it takes one away.
const surge = 1

// RollingUpdate returns the strategy of a Deployment whose update costs no capacity: a new pod is ready before an old one goes.
func RollingUpdate() appsv1.DeploymentStrategyArgs {
	return appsv1.DeploymentStrategyArgs{
		Type:          pulumi.String("RollingUpdate"),
		RollingUpdate: appsv1.RollingUpdateDeploymentArgs{MaxSurge: pulumi.Int(surge), MaxUnavailable: pulumi.Int(0)},
	}
}

// SkipAwait is the annotation of an object that the engine does not wait for. Services have it: the engine would wait until
// all of their pods are ready, up to ten minutes, even after the rollout of the workload has failed.
const SkipAwait = "pulumi.com/skipAwait"

// PatchForce is the annotation of a patch that takes over the fields it sets, whichever manager owns them.
const PatchForce = "pulumi.com/patchForce"

// rolledOutAnnotation records the last generation of a StatefulSet whose rollout an update waited for.
const rolledOutAnnotation = "journal.example.com/rolled-out-generation"

// AwaitArgs are the parameters of waiting for a rollout.
type AwaitArgs struct {
	// Timeout is how long, in seconds, the rollout may take.
	Timeout int
	// After are the resources to wait for first.
	After []pulumi.Resource
}

// AwaitRollout returns a resource that exists once every pod of the StatefulSet has the declared revision and is ready, and
// the resources in After exist. It fails with the pods' own reason if that takes too long.
//
// The engine's own wait for the StatefulSet is not enough. It begins with the current status, and until the controller has
// seen an update, that is the status of the previous revision, all of whose pods are ready. AwaitRollout therefore writes the
// generation of each update into an annotation, and the engine waits again for the object that it has changed.
func AwaitRollout(ctx *pulumi.Context, name string, set *appsv1.StatefulSet, args AwaitArgs, parent pulumi.Resource) (pulumi.CustomResource, error) {
	generation := set.Metadata.Generation().ApplyT(func(generation *int) pulumi.StringOutput {
		if generation == nil && ctx.DryRun() {
			// The set's namespace is not there yet, so that the preview has asked no API server. A plan must leave room for what comes.
			return pulumi.UnsafeUnknownOutput([]pulumi.Resource{set}).ApplyT(func(any) string { return "" }).(pulumi.StringOutput)
		}
		if generation == nil {
			return pulumi.String("").ToStringOutput()
		}
		return pulumi.String(strconv.Itoa(*generation)).ToStringOutput()
	}).(pulumi.StringOutput)
	return appsv1.NewStatefulSetPatch(ctx, name, &appsv1.StatefulSetPatchArgs{
		Metadata: metav1.ObjectMetaPatchArgs{
			Name:      set.Metadata.Name(),
			Namespace: set.Metadata.Namespace(),
			Annotations: pulumi.StringMap{
				rolledOutAnnotation: generation,
				// A patch has its own field manager, with a name that only the state has. If the state was lost, the next
				// patch takes the annotation over.
				PatchForce: pulumi.String("true"),
			},
		},
	}, pulumi.Parent(parent), pulumi.DependsOn(append([]pulumi.Resource{set}, args.After...)), pulumi.DeletedWith(set), Rollout(args.Timeout))
}
