// Package stacks decides what runs in a stack and how big: it reads the configuration and puts components together.
// It declares no workload itself and knows no environment by name; two stacks differ in their configuration alone.
package stacks

import (
	"fmt"

	"example.com/journal/components/journal"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// defaultNamespace is where the journal runs unless the configuration says otherwise.
const defaultNamespace = "journal"

// Deploy is the Pulumi program: it declares everything that the stack's configuration asks for and exports where to
// find it. Nothing is declared when the configuration has a fault.
//
// Its outputs are url, namespace, redisWriteAddress, redisReadAddress and secretNames.
func Deploy(ctx *pulumi.Context) error {
	config, err := Load(ctx)
	if err != nil {
		return fmt.Errorf("the configuration of stack %q is refused, nothing was changed:\n%w", ctx.Stack(), err)
	}

	namespace, err := corev1.NewNamespace(ctx, "journal", &corev1.NamespaceArgs{
		Metadata: metav1.ObjectMetaArgs{
			Name: pulumi.String(config.Namespace),
			Labels: pulumi.StringMap{
				"app.kubernetes.io/managed-by":               pulumi.String("pulumi"),
				"app.kubernetes.io/part-of":                  pulumi.String("journal"),
				"pod-security.kubernetes.io/enforce":         pulumi.String("restricted"),
				"pod-security.kubernetes.io/enforce-version": pulumi.String("latest"),
				"pod-security.kubernetes.io/warn":            pulumi.String("restricted"),
			},
		},
	})
	if err != nil {
		return err
	}

	config.Journal.Namespace = namespace.Metadata.Name().Elem()
	app, err := journal.New(ctx, "journal", &config.Journal)
	if err != nil {
		return err
	}

	ctx.Export("url", app.Exposure.URL)
	ctx.Export("namespace", namespace.Metadata.Name().Elem())
	ctx.Export("redisWriteAddress", app.Redis.WriteAddress)
	ctx.Export("redisReadAddress", app.Redis.ReadAddress)
	ctx.Export("secretNames", pulumi.StringArray{app.Redis.SecretName})
	return nil
}
