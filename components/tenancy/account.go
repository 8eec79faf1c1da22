package tenancy

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// defaultAccount declares the service account that pods have which name none, so that its token is not mounted.
//
// Kubernetes makes the account with the namespace, and AdmissionPolicies then fill it in. But the API server reads a new policy
// up to a second after it was created, and the first update creates namespaces before that. The account can also be older than
// the policy, or the cluster too old for it. Server-side apply takes over the account that is there.
func defaultAccount(ctx *pulumi.Context, name string, namespace pulumi.StringInput, opts ...pulumi.ResourceOption) error {
	_, err := corev1.NewServiceAccount(ctx, name+"-default", &corev1.ServiceAccountArgs{
		Metadata: metav1.ObjectMetaArgs{
			Name: pulumi.String("default"), Namespace: namespace,
			Annotations: pulumi.StringMap{kube.PatchForce: pulumi.String("true")}, // a developer may have written the field
		},
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, opts...)
	return err
}
