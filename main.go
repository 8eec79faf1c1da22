// Command journal is the Pulumi program: `pulumi up -s dev` deploys the stack that Pulumi.dev.yaml describes.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/stacks"
)

func main() {
	pulumi.Run(stacks.Deploy, stacks.FindRoot)
}
