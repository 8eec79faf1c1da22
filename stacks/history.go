package stacks

import (
	"encoding/json"
	"fmt"

	"example.com/journal/components/journal"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"
)

// historyOutput is the output that one update leaves for the next: the versions of configurations and passwords, as JSON.
const historyOutput = "history"

// lastHistory reads what the stack's last update has left, through a reference of the stack to itself. A first update finds
// nothing, and neither does one after a state of another shape: then the versions that are declared now are all there are.
// An update that fails before the API has rolled out leaves the outputs as they were.
func lastHistory(ctx *pulumi.Context) (journal.History, error) {
	var history journal.History
	name := fmt.Sprintf("%s/%s/%s", ctx.Organization(), ctx.Project(), ctx.Stack())
	stack, err := pulumi.NewStackReference(ctx, name, nil)
	if err != nil {
		return history, fmt.Errorf("the stack's own last outputs: %w", err)
	}
	output, err := stack.GetOutputDetails(historyOutput)
	if err != nil {
		return history, fmt.Errorf("the stack's own last outputs: %w", err)
	}
	text, _ := output.SecretValue.(string)
	if json.Unmarshal([]byte(text), &history) != nil {
		return journal.History{}, nil
	}
	return history, nil
}

// exportHistory leaves the versions for the next update. It is marked as a secret, though it holds none: the contents of all
// configurations are nothing that a person wants to see among the outputs.
func exportHistory(ctx *pulumi.Context, history pulumix.Output[journal.History]) {
	text := pulumix.ApplyErr(history, func(history journal.History) (string, error) {
		text, err := json.Marshal(history)
		return string(text), err
	})
	ctx.Export(historyOutput, pulumi.ToSecret(pulumix.Cast[pulumi.StringOutput](text)))
}
