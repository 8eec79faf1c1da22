package stacks

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/observe"
	"example.com/journal/components/rules"
	"example.com/journal/components/tenancy"
)

// metricsName is the name of the figures in the program.
const metricsName = "metrics"

// metricsNamespace is the namespace of the metric store, or nothing without one.
func (c *Config) metricsNamespace() string {
	if c.Metrics == nil {
		return ""
	}
	return c.Metrics.Namespaces()[0]
}

// completeMetrics lets the metric store read what pods serve, and the reader read the store.
func (c *Config) completeMetrics() {
	if c.Metrics == nil {
		return
	}
	store := c.metricsNamespace()
	c.Journal.MetricsNamespace = store
	for _, tenant := range c.tenants() {
		tenant.MetricsNamespace = store
	}
	c.Metrics.DNS, c.Metrics.Readers = c.Cluster.DNS, c.Reader.Peers()
	// No tenant has pods in these.
	c.Metrics.Platform = append(c.Reader.Namespaces(), tenancy.PlatformNamespace)
	if c.Logs != nil {
		c.Metrics.Platform = append(c.Metrics.Platform, c.Logs.Namespaces()...)
	}
}

// checkMetrics returns every rule that the completed figures break.
func (c *Config) checkMetrics() rules.Faults {
	if c.Metrics == nil {
		return nil
	}
	return c.Metrics.Check().In("metrics")
}

// deployMetrics declares the figures, if the stack has them, with the priority of what serves all tenants. It returns their store.
func (c *Config) deployMetrics(ctx *pulumi.Context, platform *tenancy.Platform, opts ...pulumi.ResourceOption) (observe.Store, error) {
	if c.Metrics == nil {
		return observe.Store{}, nil
	}
	args := *c.Metrics
	args.PriorityClass = platform.PriorityClass
	service, err := observe.NewMetricsService(ctx, metricsName, &args, opts...)
	if err != nil {
		return observe.Store{}, err
	}
	return service.Store, nil
}
