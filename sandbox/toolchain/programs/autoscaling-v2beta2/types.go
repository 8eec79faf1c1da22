// Package v2beta2 stands for an API version that Kubernetes took out of k8s.io/api in 1.37. A library of Pulumi's Kubernetes
// plugin still names its HorizontalPodAutoscaler in a type switch, where no object of today's API servers ever arrives.
package v2beta2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// HorizontalPodAutoscaler is as much of it as the type switch looks at, and what makes it an object.
type HorizontalPodAutoscaler struct {
	metav1.PartialObjectMetadata
	Spec struct{ Metrics []MetricSpec }
}

// MetricSpec is one metric.
type MetricSpec struct{ Type string }
