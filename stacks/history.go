package stacks

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// recordOutput is the stack output that one update keeps for the next.
const recordOutput = "stack-history"

// record is what one update keeps for the next.
type record struct {
	// Protected are the namespaces that the engine refuses to delete.
	Protected []string `json:"protected,omitempty"`
	// Demand is what the journal's parts take of their quota.
	Demand []kube.Demand `json:"demand,omitempty"`
}

// record returns what this update keeps.
func (c *Config) record() record {
	return record{Protected: c.protected(), Demand: c.Journal.Demand()}
}

// checkUpdate returns every rule that the stack breaks as the update after the last one, before anything is declared.
func (c *Config) checkUpdate(ctx *pulumi.Context) (rules.Faults, error) {
	last, err := kube.LastOutput[record](ctx, recordOutput)
	if err != nil {
		return nil, err
	}
	faults, err := c.Journal.CheckUpdate(ctx, JournalName)
	if err != nil {
		return nil, err
	}
	if c.Logs != nil {
		after, err := c.Logs.CheckUpdate(ctx, logsName)
		if err != nil {
			return nil, err
		}
		faults = append(faults, after.In("logs")...)
	}
	if c.Metrics != nil {
		after, err := c.Metrics.CheckUpdate(ctx, metricsName)
		if err != nil {
			return nil, err
		}
		faults = append(faults, after.In("metrics")...)
	}
	return append(faults, c.checkAfter(last)...), nil
}

// checkAfter returns every rule that the stack breaks as the next update after another.
func (c *Config) checkAfter(last record) (f rules.Faults) {
	var names []string
	for _, tenant := range c.tenants() {
		names = append(names, tenant.Name)
	}
	for _, name := range last.Protected {
		if !slices.Contains(names, name) {
			f.Refuse("tenants", name, "it is protected, and without it here its namespace would be deleted with all that it holds; "+
				"put it back, with unprotected: true if all of it may go, and take it out in the update after that one")
		}
	}
	if c.ExistingNamespace { // whose quota is not the stack's
		return f
	}
	// An update needs quota for a new pod beside the old ones, which keep their resources. Without it, no pod of either kind
	// would ever end.
	var parts []kube.Demand
	for _, part := range c.Journal.Demand() {
		for _, before := range last.Demand {
			if before.Part == part.Part {
				part.Resources = part.Resources.Larger(before.Resources)
			}
		}
		parts = append(parts, part)
	}
	for _, fault := range c.Tenant.Size().Fits("while pods of the last update run, the journal's", parts).In("tenant.overrides") {
		switch fault.Path {
		case "tenant.overrides.cpu", "tenant.overrides.burst", "tenant.overrides.memory":
			written := fmt.Sprint(fault.Value)
			if text, quoted := fault.Value.(string); quoted {
				written = strconv.Quote(text)
			}
			f.Refuse(fault.Path, fault.Value, "%w; a later update may write %s", fault.Rule, written)
		}
	}
	return f
}
