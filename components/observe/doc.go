// Package observe declares what shows how the namespaces of a cluster are used: ResourceMetrics, the resource metrics that
// `kubectl top` shows and that HorizontalPodAutoscalers scale by; LogService, which keeps what the pods write; MetricsService, which
// keeps their figures and raises alerts; and Reader, by which people read both with the rights that they have in the namespace.
//
// As in the other packages, arguments are plain Go values that are checked before anything is created, and nothing here reads
// configuration.
package observe

// The types of the components, as `pulumi stack` shows them.
const (
	resourceMetricsType = "journal:components:ResourceMetrics"
	logsType            = "journal:components:LogService"
	metricsType         = "journal:components:MetricsService"
	readerType          = "journal:components:Reader"
)

// partOf is the value of app.kubernetes.io/part-of.
const partOf = "journal"

// httpsPort is the name of the port of an API server.
const httpsPort = "https"
