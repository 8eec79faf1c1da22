// Command redis declares Redis alone: three pods, of which one is the primary, in a namespace of their own.
//
//	pulumi -C examples/redis stack init dev
//	pulumi -C examples/redis up
package main

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/journal"
	"example.com/journal/components/kube"
)

func main() { pulumi.Run(program) }

func program(ctx *pulumi.Context) error {
	namespace, err := corev1.NewNamespace(ctx, "cache", &corev1.NamespaceArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String("cache")},
	})
	if err != nil {
		return err
	}
	redis, err := journal.NewRedis(ctx, "cache", &journal.RedisArgs{
		Namespace: namespace.Metadata.Name().Elem(),
		Image:     pulumi.String("docker.io/library/redis:7.4.2"),
		// Clients sign in with password 2. Redis accepts password 1 too, until an update that leaves it out.
		Passwords: []int{2, 1},
		// Only pods with the label app=worker may connect.
		Clients: []string{"worker"},
	}, kube.FieldManager("example"))
	if err != nil {
		return err
	}
	ctx.Export("writeAddress", redis.WriteAddress)
	ctx.Export("readAddress", redis.ReadAddress)
	ctx.Export("secretName", redis.SecretName)
	return nil
}
