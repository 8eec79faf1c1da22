//go:build e2e

package observe

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryAlertIsWithinTheBoundsOfAQueryInALargeCluster asks the store, with the memory that it has by default, what the alerts ask
// it, of 3000 pods.
func TestEveryAlertIsWithinTheBoundsOfAQueryInALargeCluster(t *testing.T) {
	s := startMetrics(t, leastMetrics().withDefaults(), "kubernetes_sd_configs:", "static_configs: [] #")
	var text strings.Builder
	at := time.Now().Add(-time.Minute).UnixMilli()
	for i := range 3000 {
		pod := fmt.Sprintf(`namespace="tenant-%d",pod="pod-%d",job="kube-state-metrics"`, i/20, i)
		for _, phase := range []string{"Pending", "Running", "Succeeded", "Failed", "Unknown"} {
			_, _ = fmt.Fprintf(&text, "kube_pod_status_phase{%s,phase=%q} 1 %d\n", pod, phase, at)
		}
		_, _ = fmt.Fprintf(&text, "kube_pod_container_status_restarts_total{%s,container=\"c\"} 50 %d\n", pod, at)
		_, _ = fmt.Fprintf(&text, "kube_pod_container_status_waiting_reason{%s,container=\"c\",reason=\"CrashLoopBackOff\"} 1 %d\n", pod, at)
		_, _ = fmt.Fprintf(&text, "scrape_series_current{namespace=\"tenant-%d\",pod=\"pod-%d\",job=\"pods\"} 1 %d\n", i/20, i, at)
		// 20 agents count for each tenant.
		agent := fmt.Sprintf(`job="platform",app="log-agent",pod="agent-%d"`, i%20)
		_, _ = fmt.Fprintf(&text, "journal_log_dropped_lines_total{%s,namespace=\"tenant-%d\"} 1 %d\n", agent, i/20, at)
		_, _ = fmt.Fprintf(&text, "otelcol_process_uptime_seconds_total{%s,namespace=\"journal-log-agent\"} 60 %d\n", agent, at)
		for _, kind := range []string{"available", "capacity"} {
			_, _ = fmt.Fprintf(&text, "kubelet_volume_stats_%s_bytes{namespace=\"tenant-%d\",persistentvolumeclaim=\"data-%d\",job=\"kubelet\"} 1 %d\n", kind, i/20, i, at)
		}
	}
	response, err := http.Post(s.url+"/api/v1/import/prometheus", "text/plain", strings.NewReader(text.String()))
	require.NoError(t, err)
	_ = response.Body.Close()
	require.Equal(t, http.StatusNoContent, response.StatusCode)
	s.get("/internal/force_flush", nil)
	// What FiguresDropped says to ask.
	require.Contains(t, s.get("/api/v1/query", url.Values{"query": {`topk(10, scrape_series_current{job="pods"})`}}), "tenant-")
	for _, rule := range alertRules(t) {
		s.get("/api/v1/query", url.Values{"query": {rule.Expr}})
	}
}

// TestAKubeletThatNobodyKnowsOfIsMissed writes what there is when the store finds no node, such as without the right to.
func TestAKubeletThatNobodyKnowsOfIsMissed(t *testing.T) {
	s := startMetrics(t, leastMetrics().withDefaults(), "kubernetes_sd_configs:", "static_configs: [] #")
	start := time.Now().Truncate(time.Minute).Add(-time.Hour)
	s.write(`up{job="kube-state-metrics",namespace="journal-metrics"}`, start, start.Add(20*time.Minute), constant(1))
	assert.Equal(t, []string{"FiguresMissing journal-metrics"}, s.replay(start.Add(2*time.Minute), start.Add(15*time.Minute)))
}
