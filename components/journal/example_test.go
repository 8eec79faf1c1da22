package journal_test

import (
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/journal"
	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
)

// The whole journal in one program. Everything but the namespace and the images has a default.
func Example() {
	program := func(ctx *pulumi.Context) error {
		namespace, err := corev1.NewNamespace(ctx, "journal", &corev1.NamespaceArgs{
			Metadata: metav1.ObjectMetaArgs{Name: pulumi.String("journal")},
		})
		if err != nil {
			return err
		}
		app, err := journal.New(ctx, "journal", &journal.Args{
			Namespace: namespace.Metadata.Name().Elem(),
			Redis:     journal.RedisArgs{Image: pulumi.String("docker.io/library/redis:7.4.2"), Passwords: []int{2, 1}},
			API:       journal.APIArgs{Image: pulumi.String("registry.example.com/journal/journal-api:v0.1.0-0a1b2c3"), LogLevel: "debug"},
			Frontend:  journal.FrontendArgs{Image: pulumi.String("registry.example.com/journal/journal-web:v0.1.0-0a1b2c3")},
			Exposure:  journal.ExposureArgs{Host: "journal.example.com", TLS: journal.TLSArgs{Issuer: "ClusterIssuer/letsencrypt"}},
		}, kube.FieldManager("journal"))
		if err != nil {
			return err
		}
		ctx.Export("url", app.Exposure.URL)
		return nil
	}

	// A program calls pulumi.Run(program). Here it runs without an engine.
	g, err := graph.Run(program)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(g.Outputs()["url"])
	// Output: https://journal.example.com/
}
