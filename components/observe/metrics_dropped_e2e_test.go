//go:build e2e

package observe

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fires returns the namespaces in which an alert fires within a time, each with how long after its start it does for the first time.
// It asks at each step for one moment, as vmalert does. A replay asks for all of the time at once, and the store then knows what was
// before a gap.
func (s *realMetrics) fires(alert string, start, end time.Time) map[string]time.Duration {
	s.t.Helper()
	s.get("/internal/force_flush", nil)
	rules := alertRules(s.t)
	i := slices.IndexFunc(rules, func(rule alertRule) bool { return rule.Alert == alert })
	require.NotEqual(s.t, -1, i, alert)
	first := map[string]time.Duration{}
	for at := start; at.Before(end); at = at.Add(step) {
		for _, labels := range s.at(at, rules[i].Expr) {
			if _, before := first[labels["namespace"]]; !before {
				first[labels["namespace"]] = at.Sub(start)
			}
		}
	}
	return first
}

// agent writes the figures that the store has of an agent of the logs on a node, which it has read from start to end, and which had been
// running before for a while.
func (s *realMetrics) agent(pod string, start, end time.Time, before time.Duration) {
	s.t.Helper()
	s.write(fmt.Sprintf(`up{job="platform",app="log-agent",namespace="journal-log-agent",pod=%q}`, pod), start, end, constant(1))
	s.write(fmt.Sprintf(`otelcol_process_uptime_seconds_total{job="platform",app="log-agent",namespace="journal-log-agent",pod=%q}`, pod), start, end,
		func(i int) float64 { return (before + time.Duration(i)*step).Seconds() })
}

// dropped is the counter of a namespace in an agent.
func dropped(pod, namespace string) string {
	return fmt.Sprintf(`journal_log_dropped_lines_total{job="platform",app="log-agent",pod=%q,namespace=%q}`, pod, namespace)
}

func TestTheAlertOfDroppedLinesFiresForTheFirstOnesOfANamespace(t *testing.T) {
	s := startMetrics(t, leastMetrics().withDefaults(), "kubernetes_sd_configs:", "static_configs: [] #")
	start := time.Now().Truncate(time.Minute).Add(-3 * time.Hour)
	end := start.Add(40 * time.Minute)
	burst := start.Add(20 * time.Minute)
	s.agent("old", start, end, 48*time.Hour)
	s.write(dropped("old", "first"), burst, end, constant(20))
	s.write(dropped("old", "again"), start, burst, constant(1000))
	s.write(dropped("old", "again"), burst, end, constant(1001))
	s.write(dropped("old", "long-ago"), start, end, constant(1000))
	s.agent("young", burst, end, 10*time.Second)
	s.write(dropped("young", "at-its-start"), burst, end, constant(20))
	s.write(dropped("young", "later"), burst.Add(7*time.Minute), end, constant(20))
	assert.Equal(t, map[string]time.Duration{"first": 0, "again": 0, "at-its-start": 0, "later": 7 * time.Minute},
		s.fires("LogLinesDropped", burst, end), "how long after the burst")
	assert.Empty(t, s.fires("LogLinesDropped", start, burst), "what an old agent has counted long ago")
	assert.Empty(t, s.fires("LogLinesDropped", burst.Add(13*time.Minute), end), "it ends")
}

func TestTheAlertOfDroppedLinesIsSilentWhenTheStoreComesBack(t *testing.T) {
	s := startMetrics(t, leastMetrics().withDefaults(), "kubernetes_sd_configs:", "static_configs: [] #")
	start := time.Now().Truncate(time.Minute).Add(-5 * time.Hour)
	leave := start.Add(20 * time.Minute)
	var last time.Time
	for _, away := range []time.Duration{time.Minute, 4 * time.Minute, 5 * time.Minute, 6 * time.Minute, 9 * time.Minute, 10 * time.Minute, 11 * time.Minute, 2 * time.Hour} {
		pod, back := "away-"+away.String(), leave.Add(away)
		last = back.Add(30 * time.Minute)
		s.agent(pod, start, leave, 48*time.Hour)
		s.agent(pod, back, last, 49*time.Hour)
		s.write(dropped(pod, "quiet-"+away.String()), start, leave, constant(1000))
		s.write(dropped(pod, "quiet-"+away.String()), back, last, constant(1000))
		// Lines that are dropped once it is back.
		s.write(dropped(pod, "busy-"+away.String()), start, leave, constant(1000))
		s.write(dropped(pod, "busy-"+away.String()), back, back.Add(time.Minute), constant(1000))
		s.write(dropped(pod, "busy-"+away.String()), back.Add(time.Minute), last, constant(1001))
		s.write(dropped(pod, "first-"+away.String()), back.Add(time.Minute), last, constant(20))

		fires := s.fires("LogLinesDropped", back, back.Add(7*time.Minute))
		assert.Contains(t, fires, "busy-"+away.String())
		assert.Contains(t, fires, "first-"+away.String())
		t.Logf("away for %s: it fires %s and %s after the lines", away, fires["busy-"+away.String()]-time.Minute, fires["first-"+away.String()]-time.Minute)
	}
	s.agent("new-store", leave, last, 48*time.Hour)
	s.write(dropped("new-store", "quiet-new-store"), leave, last, constant(1000))
	// An agent that does not answer for a while.
	s.agent("unreachable", start, leave, 48*time.Hour)
	s.write(`up{job="platform",app="log-agent",namespace="journal-log-agent",pod="unreachable"}`, leave, leave.Add(30*time.Minute), constant(0))
	s.agent("unreachable", leave.Add(30*time.Minute), last, 49*time.Hour)
	s.write(dropped("unreachable", "quiet-unreachable"), start, leave, constant(1000))
	s.write(dropped("unreachable", "quiet-unreachable"), leave.Add(30*time.Minute), last, constant(1000))
	for namespace := range s.fires("LogLinesDropped", start.Add(time.Minute), last) {
		assert.NotContains(t, namespace, "quiet")
	}
}

func TestTheAlertOfDroppedLinesEndsSoonAfterItsNamespace(t *testing.T) {
	s := startMetrics(t, leastMetrics().withDefaults(), "kubernetes_sd_configs:", "static_configs: [] #")
	start := time.Now().Truncate(time.Minute).Add(-time.Hour)
	burst, gone := start.Add(15*time.Minute), start.Add(17*time.Minute)
	s.agent("agent", start, start.Add(40*time.Minute), 48*time.Hour)
	s.write(dropped("agent", "alice"), burst, gone, constant(20))
	assert.Contains(t, s.fires("LogLinesDropped", burst, gone), "alice")
	assert.Empty(t, s.fires("LogLinesDropped", gone.Add(time.Minute), start.Add(40*time.Minute)))
}
