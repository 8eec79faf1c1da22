//go:build e2e

package observe

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The store refuses a query that needs too much memory, and vmalert then evaluates nothing: not for alice either.
func TestManySeriesOfATenantSilenceNoAlertOfAnother(t *testing.T) {
	program(t, "VMALERT")
	s := startMetrics(t, leastMetrics().withDefaults(), "kubernetes_sd_configs:", "static_configs: [] #")
	end := time.Now().Truncate(time.Minute).Add(-time.Hour)
	start := end.Add(-4 * time.Minute)
	for series, value := range map[string]float64{
		`redis_instance_info{job="pods",namespace="alice",pod="redis-0",role="master"}`:                                                        1,
		`redis_connected_slaves{job="pods",namespace="alice",pod="redis-0"}`:                                                                   1,
		`kube_statefulset_replicas{job="kube-state-metrics",namespace="alice",statefulset="redis"}`:                                            3,
		`kube_pod_container_status_restarts_total{job="kube-state-metrics",namespace="carol",pod="p",container="c"}`:                           50,
		`kube_pod_container_status_waiting_reason{job="kube-state-metrics",namespace="carol",pod="p",container="c",reason="CrashLoopBackOff"}`: 1,
		`kube_pod_status_phase{job="kube-state-metrics",namespace="carol",pod="p",phase="Running"}`:                                            1,
		`kubelet_volume_stats_available_bytes{job="kubelet",namespace="alice",persistentvolumeclaim="data"}`:                                   9,
		`kubelet_volume_stats_capacity_bytes{job="kubelet",namespace="alice",persistentvolumeclaim="data"}`:                                    100,
	} {
		s.write(series, start, end, constant(value))
	}
	// Ten pods of bob's, each with as many series as it may serve at once, and a cluster of 2000 pods.
	var crowd strings.Builder
	for i := range 10_000 {
		for at := start; at.Before(end); at = at.Add(step) {
			for _, series := range []string{
				fmt.Sprintf(`redis_master_link_up{job="pods",namespace="bob",pod="p-%d",x="%d"}`, i/1000, i),
				fmt.Sprintf(`redis_connected_slaves{job="pods",namespace="bob",pod="p-%d",x="%d"}`, i/1000, i),
				fmt.Sprintf(`redis_instance_info{job="pods",namespace="bob",pod="p-%d",role="master",x="%d"}`, i/1000, i),
				fmt.Sprintf(`kube_pod_status_phase{job="kube-state-metrics",namespace="erin",pod="p-%d",phase="%d"}`, i/5, i%5),
			} {
				_, _ = fmt.Fprintf(&crowd, "%s 1 %d\n", series, at.UnixMilli())
			}
		}
	}
	s.imports(crowd.String())
	assert.Equal(t, []string{"ContainerRestarting carol", "FiguresMissing journal-metrics", "RedisReplicationBroken alice", "VolumeNearlyFull alice"},
		s.replay(start.Add(90*time.Second), end.Add(-step)))
}
