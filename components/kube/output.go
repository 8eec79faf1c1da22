package kube

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// LastOutput returns the value that the stack's last update kept with KeepOutput under this name. It returns the zero value
// before the first update, and if the kept value has another shape.
//
// The engine reads the value from the stack's state. A StackReference would read it too, but it is a resource: a reference of
// a stack to itself changes with every update, and pulumi refresh reports the change.
func LastOutput[T any](ctx *pulumi.Context, name string) (last T, err error) {
	stack := map[string]any{"name": fmt.Sprintf("%s/%s/%s", ctx.Organization(), ctx.Project(), ctx.Stack())}
	var state struct {
		Outputs map[string]any `pulumi:"outputs"`
	}
	if _, err := ctx.InvokePackageRaw("pulumi:pulumi:readStackOutputs", stack, &state, ""); err != nil {
		return last, fmt.Errorf("the last outputs of the stack: %w", err)
	}
	text, _ := state.Outputs[name].(string)
	if json.Unmarshal([]byte(text), &last) != nil {
		var none T
		return none, nil
	}
	return last, nil
}

// KeepOutput keeps a value for the stack's next update, as a stack output. The value is kept once all of these resources are
// as declared. An update that fails earlier keeps the value of the update before.
//
// It is an output of the stack, not of a component: when an update changes the inputs of a component, the engine drops the
// component's outputs until new ones are registered. It is marked as a secret only so that it is not printed.
func KeepOutput(ctx *pulumi.Context, name string, value any, after ...pulumi.CustomResource) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("output %s: %w", name, err)
	}
	var there pulumi.StringArray
	for _, resource := range after {
		there = append(there, resource.ID().ToStringOutput())
	}
	ctx.Export(name, pulumi.ToSecret(there.ToStringArrayOutput().ApplyT(func([]string) string { return string(text) })))
	return nil
}
