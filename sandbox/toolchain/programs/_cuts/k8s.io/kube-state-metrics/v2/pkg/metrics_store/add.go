package metricsstore

// Bookmark and LastStoreSyncResourceVersion are methods that client-go asks of a store since v0.37, later than this version of
// kube-state-metrics. Its store keeps no resource version.

// Bookmark is without effect.
func (*MetricsStore) Bookmark(string) {}

// LastStoreSyncResourceVersion knows none.
func (*MetricsStore) LastStoreSyncResourceVersion() string { return "" }
