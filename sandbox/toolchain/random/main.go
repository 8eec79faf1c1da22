// Command pulumi-resource-random is the provider behind pulumi-random: HashiCorp's random provider served to Pulumi
// through Pulumi's Terraform bridge.
//
// The module's path lies below the provider's own, which is what lets it import the provider's internal package.
package main

import (
	"context"
	"fmt"
	"os"

	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfgen"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/terraform-providers/terraform-provider-random/internal/provider"
)

// version is the release of pulumi-random's SDK that the program uses, so that the engine takes this plugin for it.
const version = "4.19.2"

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-resource-random:", err)
		os.Exit(1)
	}
}

// run serves the provider on the address that the engine reads from standard output.
func run(ctx context.Context) error {
	info := tfbridge.ProviderInfo{
		P:            pf.ShimProvider(provider.New()),
		Name:         "random",
		Version:      version,
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
	}
	// random_password becomes random:index/randomPassword:RandomPassword.
	makeToken := tokens.MakeStandard(info.Name)
	info.MustComputeTokens(tokens.SingleModule("random_", "index", func(module, name string) (string, error) {
		return makeToken(module, "Random"+name)
	}))
	schema, err := tfgen.GenerateSchema(ctx, tfgen.GenerateSchemaOptions{
		ProviderInfo:    info,
		DiagnosticsSink: diag.DefaultSink(os.Stderr, os.Stderr, diag.FormatOptions{Color: colors.Never}),
		XInMemoryDocs:   true, // or it looks for the provider's documentation on the disk
	})
	if err != nil {
		return err
	}
	pf.Main(ctx, info.Name, info, schema.ProviderMetadata)
	return nil
}
