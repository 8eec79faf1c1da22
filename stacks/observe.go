package stacks

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/observe"
	"example.com/journal/components/rules"
	"example.com/journal/components/tenancy"
)

// checkResourceMetrics returns every rule that the resource metrics, and what scales by them, break.
func (c *Config) checkResourceMetrics() (f rules.Faults) {
	if c.ResourceMetrics != nil {
		f = c.ResourceMetrics.Check().In("resourceMetrics")
		if c.Cluster.ResourceMetrics {
			f.Refuse("cluster.resourceMetrics", true, "the cluster serves resource metrics itself, and the key resourceMetrics brings others; remove one of the two")
		}
	}
	if c.ResourceMetrics != nil || c.Cluster.ResourceMetrics {
		return f
	}
	for _, part := range []struct {
		name        string
		autoscaling *kube.Autoscaling
	}{{"api", c.Journal.API.Autoscaling}, {"frontend", c.Journal.Frontend.Autoscaling}} {
		if part.autoscaling != nil && part.autoscaling.MaxReplicas != 0 { // otherwise it is missing
			f.Refuse(part.name+".autoscaling.maxReplicas", part.autoscaling.MaxReplicas,
				"nothing can be scaled by load without resource metrics; add the key resourceMetrics, or write cluster: {resourceMetrics: true} if the cluster serves them")
		}
	}
	return f
}

// deployResourceMetrics declares the resource metrics, if the stack has them, with the priority of what serves all tenants.
func (c *Config) deployResourceMetrics(ctx *pulumi.Context, platform *tenancy.Platform, opts ...pulumi.ResourceOption) error {
	if c.ResourceMetrics == nil {
		return nil
	}
	args := *c.ResourceMetrics
	args.PriorityClass = platform.PriorityClass
	_, err := observe.NewResourceMetrics(ctx, "resource-metrics", &args, opts...)
	return err
}
