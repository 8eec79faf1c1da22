// Command pulumi-resource-kubernetes is Pulumi's own Kubernetes provider, built from its published module.
//
// The module leaves out the generated schema-embed.json that the provider's main embeds, so this main reads the
// module's schema.json and terraform-mapping.json, which the toolchain puts beside the executable, and stamps the
// version that the schema lacks.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

// version is the provider release that the pinned module revision belongs to.
const version = "4.25.0"

func main() {
	schema, mapping, err := load()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-resource-kubernetes:", err)
		os.Exit(1)
	}
	provider.Serve("kubernetes", version, schema, mapping)
}

// load returns the schema, stamped with the version, and the Terraform mapping.
func load() (schema, mapping []byte, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	dir := filepath.Join(filepath.Dir(exe), "pulumi-resource-kubernetes.d")
	if schema, err = os.ReadFile(filepath.Join(dir, "schema.json")); err != nil {
		return nil, nil, err
	}
	if mapping, err = os.ReadFile(filepath.Join(dir, "terraform-mapping.json")); err != nil {
		return nil, nil, err
	}
	stamp, err := json.Marshal(version)
	if err != nil {
		return nil, nil, err
	}
	// The schema is one JSON object of many megabytes: put the version in front instead of decoding all of it.
	body := bytes.TrimPrefix(bytes.TrimSpace(schema), []byte("{"))
	schema = append([]byte(`{"version":`+string(stamp)+`,`), body...)
	return schema, mapping, nil
}
