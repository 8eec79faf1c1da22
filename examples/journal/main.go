// Command journal declares the whole journal by its component. Copy it to start a project of your own.
//
//	pulumi -C examples/journal stack init dev
//	pulumi -C examples/journal config set apiImage registry.example.com/journal/journal-api:v0.1.0-0a1b2c3
//	pulumi -C examples/journal config set frontendImage registry.example.com/journal/journal-web:v0.1.0-0a1b2c3
//	pulumi -C examples/journal up
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
	namespace, err := corev1.NewNamespace(ctx, "journal", &corev1.NamespaceArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String("journal")},
	})
	if err != nil {
		return err
	}
	image := func(key string) pulumi.StringInput {
		reference, _ := ctx.GetConfig(ctx.Project() + ":" + key) // the component refuses one that is missing
		return pulumi.String(reference)
	}
	app, err := journal.New(ctx, "journal", &journal.Args{
		Namespace: namespace.Metadata.Name().Elem(),
		Redis:     journal.RedisArgs{Image: pulumi.String("docker.io/library/redis:7.4.2")},
		API:       journal.APIArgs{Image: image("apiImage")},
		Frontend:  journal.FrontendArgs{Image: image("frontendImage")},
	}, kube.FieldManager("example"))
	if err != nil {
		return err
	}
	ctx.Export("url", app.Exposure.URL)
	return nil
}
