// Package observe declares what shows how the namespaces of a cluster are used. For now it is MetricsService, the resource
// metrics that `kubectl top` shows and that HorizontalPodAutoscalers scale by.
//
// As in the other packages, arguments are plain Go values that are checked before anything is created, and nothing here reads
// configuration.
package observe

// metricsType is the type of the component, as `pulumi stack` shows it.
const metricsType = "journal:components:MetricsService"

// partOf is the value of app.kubernetes.io/part-of.
const partOf = "journal"
