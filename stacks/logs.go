package stacks

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/observe"
	"example.com/journal/components/rules"
	"example.com/journal/components/tenancy"
)

// logsName is the name of the logs in the program.
const logsName = "logs"

// completeLogs gives the logs the tenants' shares, and lets the reader and the metric store read.
func (c *Config) completeLogs() {
	if c.Logs == nil {
		return
	}
	c.Logs.DNS, c.Logs.Readers, c.Logs.MetricsNamespace = c.Cluster.DNS, c.Reader.Peers(), c.metricsNamespace()
	c.Logs.Shares = map[string]observe.LogShare{}
	for _, tenant := range c.tenants() {
		if size := tenant.Size(); len(size.Check()) == 0 { // a class that is itself wrong is reported with the classes
			c.Logs.Shares[tenant.Name] = observe.LogShare{Rate: size.LogRate, Burst: size.LogBurst}
		}
	}
}

// checkLogs returns every rule that the completed logs break.
func (c *Config) checkLogs() rules.Faults {
	if c.Logs == nil {
		return nil
	}
	return c.Logs.Check().In("logs")
}

// deployLogs declares the logs, if the stack has them, with the priority of what serves all tenants. It returns their store.
func (c *Config) deployLogs(ctx *pulumi.Context, platform *tenancy.Platform, opts ...pulumi.ResourceOption) (observe.Store, error) {
	if c.Logs == nil {
		return observe.Store{}, nil
	}
	args := *c.Logs
	args.PriorityClass = platform.PriorityClass
	service, err := observe.NewLogService(ctx, logsName, &args, opts...)
	if err != nil {
		return observe.Store{}, err
	}
	return service.Store, nil
}
