package tenancy

import (
	"fmt"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	schedulingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/scheduling/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// The PriorityClasses above the tenants'. On a full node the scheduler preempts a pod of a lower priority for one of a higher.
// Nodes do get full: the tenants' quotas together exceed what a node has.
const (
	// PlatformPriorityClass is for what serves all tenants.
	PlatformPriorityClass = "journal-platform"
	// JournalPriorityClass is for the application of the stack.
	JournalPriorityClass = "journal-application"

	platformPriority = 1_000_000
	journalPriority  = 900_000
)

// newPriorityClass declares a PriorityClass and returns its name, which is known once the class exists.
func newPriorityClass(ctx *pulumi.Context, name string, value int, what string, parent pulumi.Resource) (pulumi.StringOutput, error) {
	class, err := schedulingv1.NewPriorityClass(ctx, name, &schedulingv1.PriorityClassArgs{
		Metadata:    metav1.ObjectMetaArgs{Name: pulumi.String(name), Labels: pulumi.ToStringMap(kube.ManagedLabels("journal"))},
		Value:       pulumi.Int(value),
		Description: pulumi.String(what),
	}, pulumi.Parent(parent))
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("priority class %s: %w", name, err)
	}
	return class.Metadata.Name().Elem(), nil
}
