package kube

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/utilities"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Object is a Kubernetes object as plain values, in the form that its JSON has. It is for objects that are data before
// they are resources, such as those that a program in the cluster applies as well, or a file that others read too.
// Everything else is declared with the SDK's types.
type Object map[string]any

// Name returns metadata.name.
func (o Object) Name() string {
	metadata, _ := o["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	return name
}

// Declare registers a plain object as the resource that the SDK's type of the same kind would be: same token, same
// provider, same preview. A namespace that is not nil becomes its metadata.namespace.
func Declare(ctx *pulumi.Context, name string, object Object, namespace pulumi.StringInput, opts ...pulumi.ResourceOption) (pulumi.CustomResource, error) {
	// Through JSON, so that whatever plain types the object was written with, the engine sees those of JSON.
	text, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var plain struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Metadata   map[string]any `json:"metadata"`
	}
	fields := map[string]any{}
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	metadata := pulumi.ToMap(plain.Metadata)
	if namespace != nil {
		metadata["namespace"] = namespace
	}
	inputs := pulumi.ToMap(fields)
	inputs["metadata"] = metadata

	group := plain.APIVersion
	if !strings.Contains(group, "/") {
		group = "core/" + group
	}
	var resource pulumi.CustomResourceState
	if err := ctx.RegisterResource(fmt.Sprintf("kubernetes:%s:%s", group, plain.Kind), name, inputs, &resource,
		utilities.PkgResourceDefaultOpts(opts)...); err != nil {
		return nil, fmt.Errorf("%s %s: %w", plain.Kind, name, err)
	}
	return &resource, nil
}
