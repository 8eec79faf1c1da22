package stacks

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/observe"
	"example.com/journal/components/rules"
	"example.com/journal/components/tenancy"
)

// logsName is the name of the logs in the program.
const logsName = "logs"

// completeLogs gives the logs the tenants' shares, and lets the reader read them.
func (c *Config) completeLogs() {
	if c.Reader != nil {
		c.Reader.DNS, c.Reader.ViewerLabel = c.Cluster.DNS, tenancy.AggregateToViewer
	}
	if c.Logs == nil {
		return
	}
	c.Logs.DNS, c.Logs.Readers = c.Cluster.DNS, c.Reader.Peers()
	c.Logs.Shares = map[string]observe.LogShare{}
	for _, tenant := range c.tenants() {
		if size := tenant.Size(); len(size.Check()) == 0 { // a class that is itself wrong is reported with the classes
			c.Logs.Shares[tenant.Name] = observe.LogShare{Rate: size.LogRate, Burst: size.LogBurst}
		}
	}
}

// checkLogs returns every rule that the completed logs and their reader break within the whole configuration.
func (c *Config) checkLogs() (f rules.Faults) {
	switch {
	case c.Logs == nil && c.Reader == nil:
		return nil
	case c.Reader == nil:
		f.Refuse("reader", "", "it is missing, and nobody could read the logs; add it, or remove the key logs")
	case c.Logs == nil:
		f.Refuse("logs", "", "it is missing, and the reader has nothing to read; add it, or remove the key reader")
	}
	if c.Logs != nil {
		f = append(f, c.Logs.Check().In("logs")...)
	}
	if c.Reader != nil {
		f = append(f, c.Reader.Check().In("reader")...)
	}
	return f
}

// observed are the namespaces of the components that observe the cluster, and the keys that bring them.
func (c *Config) observed() map[string]string {
	taken := map[string]string{}
	if c.ResourceMetrics != nil {
		for _, name := range c.ResourceMetrics.Namespaces() {
			taken[name] = "resourceMetrics"
		}
	}
	if c.Logs != nil {
		for _, name := range c.Logs.Namespaces() {
			taken[name] = "logs"
		}
	}
	if c.Reader != nil {
		for _, name := range c.Reader.Namespaces() {
			taken[name] = "reader"
		}
	}
	return taken
}

// checkNamespaces refuses the namespaces of these components for the journal and for the Ingress controller.
func (c *Config) checkNamespaces() (f rules.Faults) {
	taken := c.observed()
	if key := taken[c.Namespace]; key != "" {
		f.Refuse("namespace", c.Namespace, "the namespace of the key %s; write another name, such as journal", key)
	}
	if a := c.IngressController; a != nil && taken[a.Namespace] != "" {
		f.Refuse("ingressController.namespace", a.Namespace, "the namespace of the key %s; write another name, such as ingress", taken[a.Namespace])
	}
	return f
}

// deployLogs declares the logs and their reader, if the stack has them, with the priority of what serves all tenants.
func (c *Config) deployLogs(ctx *pulumi.Context, platform *tenancy.Platform, opts ...pulumi.ResourceOption) error {
	if c.Logs == nil {
		return nil
	}
	logs := *c.Logs
	logs.PriorityClass = platform.PriorityClass
	service, err := observe.NewLogService(ctx, logsName, &logs, opts...)
	if err != nil {
		return err
	}
	reader := *c.Reader
	reader.PriorityClass, reader.Logs = platform.PriorityClass, service.Store
	_, err = observe.NewReader(ctx, "reader", &reader, opts...)
	return err
}
