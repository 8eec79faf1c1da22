package kube

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/utilities"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Object is a Kubernetes object as plain values, in the form of its JSON. Use it only for objects that are also data, such as
// those that a program in the cluster applies or a file that others read. Declare all other objects with the SDK's types.
type Object map[string]any

// Name returns metadata.name, or nothing for an object without one.
func (o Object) Name() string {
	var named struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	// Through JSON, since the metadata may be a map of any type.
	if text, err := json.Marshal(o); err != nil || json.Unmarshal(text, &named) != nil {
		return ""
	}
	return named.Metadata.Name
}

// Declare registers a plain object as the resource that the SDK's type of the same kind would be: same token, same
// provider, same preview. A namespace that is not nil becomes its metadata.namespace.
func Declare(ctx *pulumi.Context, name string, object Object, namespace pulumi.StringInput, opts ...pulumi.ResourceOption) (pulumi.CustomResource, error) {
	// Through JSON, so that the engine sees JSON's types, whatever plain types the object has.
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
	if annotations, ok := plain.Metadata["annotations"].(map[string]any); ok {
		metadata["annotations"] = pulumi.ToMap(annotations) // and no output, to which nobody could add one
	}
	if namespace != nil {
		metadata["namespace"] = namespace
	}
	inputs := pulumi.ToMap(fields)
	inputs["metadata"] = metadata
	return register(ctx, name, plain.APIVersion, plain.Kind, inputs, opts...)
}

// Custom describes an object of a kind that the SDK has no type for and whose specification refers to other resources.
type Custom struct {
	// APIVersion and Kind are the object's, such as gateway.networking.k8s.io/v1 and HTTPRoute.
	APIVersion, Kind string
	// Part is the part of the application that the object belongs to. Name is the object's name; the default is the part's App.
	Part Part
	Name string
	// Namespace is where the object is.
	Namespace pulumi.StringInput
	// Spec is the object's specification.
	Spec pulumi.Map
}

// Declare registers the object.
func (c Custom) Declare(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (pulumi.CustomResource, error) {
	metadata := pulumi.Map{"name": pulumi.String(cmp.Or(c.Name, c.Part.App)), "labels": c.Part.Labels()}
	if c.Namespace != nil {
		metadata["namespace"] = c.Namespace
	}
	return register(ctx, name, c.APIVersion, c.Kind, pulumi.Map{
		"apiVersion": pulumi.String(c.APIVersion), "kind": pulumi.String(c.Kind), "metadata": metadata, "spec": c.Spec,
	}, opts...)
}

// register registers the inputs under the token that the SDK's type would have.
func register(ctx *pulumi.Context, name, apiVersion, kind string, inputs pulumi.Map, opts ...pulumi.ResourceOption) (pulumi.CustomResource, error) {
	group := apiVersion
	if !strings.Contains(group, "/") {
		group = "core/" + group
	}
	var resource pulumi.CustomResourceState
	if err := ctx.RegisterResource(fmt.Sprintf("kubernetes:%s:%s", group, kind), name, inputs, &resource,
		utilities.PkgResourceDefaultOpts(opts)...); err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, name, err)
	}
	return &resource, nil
}
