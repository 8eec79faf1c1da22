// Command pulumi-resource-kubernetes is Pulumi's own Kubernetes provider, built from its published module.
//
// The module leaves out the generated schema-embed.json that the provider's main embeds, so this main reads the
// module's schema.json and terraform-mapping.json, which the toolchain puts beside the executable.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

// version is the provider release that the pinned module revision belongs to.
const version = "4.25.0"

func main() {
	executable, err := os.Executable()
	schema, schemaErr := os.ReadFile(executable + ".d/schema.json")
	mapping, mappingErr := os.ReadFile(executable + ".d/terraform-mapping.json")
	if err := errors.Join(err, schemaErr, mappingErr); err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-resource-kubernetes:", err)
		os.Exit(1)
	}
	// The schema lacks the version. Prepending it saves decoding one JSON object of many megabytes.
	schema = bytes.Replace(schema, []byte("{"), []byte(`{"version":"`+version+`",`), 1)
	provider.Serve("kubernetes", version, schema, mapping)
}
