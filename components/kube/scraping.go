package kube

import (
	"strconv"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// The annotations by which a pod says that the metric store reads its figures, and where.
const (
	ScrapeAnnotation     = "prometheus.io/scrape"
	ScrapePortAnnotation = "prometheus.io/port"
)

const (
	// AppLabel is the label with the name of a pod's part.
	AppLabel = "app.kubernetes.io/name"
	// ScraperApp is the value of AppLabel of the metric store's pods, which read the figures of all others.
	ScraperApp = "metrics-store"
)

// ScrapeAnnotations are the annotations of pods that serve figures at the path /metrics of a port.
func ScrapeAnnotations(port int) map[string]string {
	return map[string]string{ScrapeAnnotation: "true", ScrapePortAnnotation: strconv.Itoa(port)}
}

// Scraper is the metric store, in its namespace, as a peer of a NetworkPolicy in any namespace.
func Scraper(namespace string) networkingv1.NetworkPolicyPeerArgs {
	return networkingv1.NetworkPolicyPeerArgs{
		NamespaceSelector: NamespaceSelector(namespace),
		PodSelector:       metav1.LabelSelectorArgs{MatchLabels: pulumi.StringMap{AppLabel: pulumi.String(ScraperApp)}},
	}
}
