package stacks

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/observe"
	"example.com/journal/components/rules"
	"example.com/journal/components/tenancy"
)

// completeReader lets the tenants' viewers read, and the metric store read the reader's own figures.
func (c *Config) completeReader() {
	if c.Reader != nil {
		c.Reader.DNS, c.Reader.ViewerLabel, c.Reader.MetricsNamespace = c.Cluster.DNS, tenancy.AggregateToViewer, c.metricsNamespace()
	}
}

// checkReader returns every rule that the completed reader breaks, and one for what nobody could read and for a reader without
// anything to read.
func (c *Config) checkReader() (f rules.Faults) {
	switch {
	case c.Logs == nil && c.Metrics == nil && c.Reader == nil:
		return nil
	case c.Reader == nil && c.Metrics == nil:
		f.Refuse("reader", "", "it is missing, and nobody could read the logs; add it, or remove the key logs")
	case c.Reader == nil && c.Logs == nil:
		f.Refuse("reader", "", "it is missing, and nobody could read the figures; add it, or remove the key metrics")
	case c.Reader == nil:
		f.Refuse("reader", "", "it is missing, and nobody could read the logs and the figures; add it, or remove the keys logs and metrics")
	case c.Logs == nil && c.Metrics == nil:
		f.Refuse("reader", "{...}", "it has nothing to read; add the key logs or the key metrics, or remove it")
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
	if c.Metrics != nil {
		for _, name := range c.Metrics.Namespaces() {
			taken[name] = "metrics"
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
	if key := taken[c.Namespace]; key != "" && c.Namespace != c.metricsNamespace() { // a tenant refuses that itself
		f.Refuse("namespace", c.Namespace, "the namespace of the key %s; write another name, such as journal", key)
	}
	if a := c.IngressController; a != nil && taken[a.Namespace] != "" {
		f.Refuse("ingressController.namespace", a.Namespace, "the namespace of the key %s; write another name, such as ingress", taken[a.Namespace])
	}
	return f
}

// deployObservers declares the logs, the figures, and the reader of both, as far as the stack has them.
func (c *Config) deployObservers(ctx *pulumi.Context, platform *tenancy.Platform, opts ...pulumi.ResourceOption) error {
	if c.Reader == nil { // then there is neither
		return nil
	}
	logs, err := c.deployLogs(ctx, platform, opts...)
	if err != nil {
		return err
	}
	metrics, err := c.deployMetrics(ctx, platform, opts...)
	if err != nil {
		return err
	}
	args := *c.Reader
	args.PriorityClass, args.Logs, args.Metrics = platform.PriorityClass, logs, metrics
	_, err = observe.NewReader(ctx, "reader", &args, opts...)
	return err
}
