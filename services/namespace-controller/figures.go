package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"example.com/journal/services/namespace-controller/api"
)

// endFigure is the end of a claimed namespace. The labels say which namespace, whose it is, and by which claim.
var endFigure = prometheus.NewDesc("journal_claim_end_timestamp_seconds",
	"When a claimed namespace ends, in seconds since 1970. A claim of a suspended tenant has no end meanwhile.",
	[]string{"namespace", "tenant", "claim"}, nil)

// longestCollection is how long the answer to one scrape may wait for the cache, which is empty at the start.
const longestCollection = 2 * time.Second

// ends are the ends of all claimed namespaces, as the cache has them when somebody asks: a claim that is gone needs no clean-up.
// Every replica has them, so that they stay while the leader changes.
type ends struct{ cached client.Reader }

// Describe implements prometheus.Collector.
func (ends) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- endFigure }

// Collect implements prometheus.Collector. Until the cache is filled there are no figures of claims; the others are there.
func (e ends) Collect(figures chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), longestCollection)
	defer cancel()
	claims := &api.NamespaceClaimList{}
	if err := e.cached.List(ctx, claims, client.UnsafeDisableDeepCopy); err != nil {
		return
	}
	namespaces := listOf("Namespace")
	if err := e.cached.List(ctx, namespaces, client.UnsafeDisableDeepCopy); err != nil {
		return
	}
	homes := map[string]*metav1.PartialObjectMetadata{}
	for i := range namespaces.Items {
		homes[namespaces.Items[i].Name] = &namespaces.Items[i]
	}
	for i := range claims.Items {
		claim := &claims.Items[i]
		if home := homes[claim.Namespace]; hasEnd(claim, home) {
			figures <- prometheus.MustNewConstMetric(endFigure, prometheus.GaugeValue, float64(claim.Status.ExpiresAt.Unix()),
				claim.Status.Namespace, home.Labels[api.LabelTenant], claim.Name)
		}
	}
}

// hasEnd says whether a claim has a namespace that is there until an announced end. The parameter home is the claim's own
// namespace, or nil.
func hasEnd(claim *api.NamespaceClaim, home *metav1.PartialObjectMetadata) bool {
	status := claim.Status
	return home != nil && !isSuspended(home) && claim.DeletionTimestamp.IsZero() &&
		status.NamespaceUID != "" && status.ExpiresAt != nil && status.Phase != api.Deleting
}
