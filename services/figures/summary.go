package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"example.com/journal/services/internal/observe"
)

// figureLabel says in the result of the summary which figure a series is.
const figureLabel = "figure"

// The figures of the summary, and the expressions that give them. The job is told, since a pod may serve figures of the same names.
var expressions = []struct{ figure, expression string }{
	{"cpu", `sum(rate(container_cpu_usage_seconds_total{job="kubelet"}[2m])) by (namespace)`},
	{"memory", `sum(container_memory_working_set_bytes{job="kubelet"}) by (namespace)`},
	{"quota", `max(100 * kube_resourcequota{job="kube-state-metrics",resource=~"requests.cpu|requests.memory|pods",type="used"}` +
		` / ignoring(type) kube_resourcequota{job="kube-state-metrics",type="hard"}) by (namespace, resource)`},
	{"volume", `topk(1, 100 - 100 * kubelet_volume_stats_available_bytes{job="kubelet"} / kubelet_volume_stats_capacity_bytes{job="kubelet"}) by (namespace)`},
	// A series that begins is no restart: kube-state-metrics may be new, and the containers old.
	{"restarts", `sum(increase_prometheus(kube_pod_container_status_restarts_total{job="kube-state-metrics"}[1h])) by (namespace)`},
	// These counters begin with the first dropped line, so their first value is an increase as well.
	{"dropped", `sum(increase_pure(journal_log_dropped_lines_total{job="platform"}[1h])) by (namespace)`},
	{"end", `min(journal_claim_end_timestamp_seconds{job="platform"}) by (namespace)`},
	{"alert", `ALERTS{alertstate="firing",job!="pods"}`},
}

// summary are two queries for all figures: the reader bounds the length of one.
var summary = func() (queries []string) {
	var parts []string
	for _, e := range expressions {
		parts = append(parts, fmt.Sprintf("label_set(%s, %q, %q)", e.expression, figureLabel, e.figure))
	}
	for half := range slices.Chunk(parts, (len(parts)+1)/2) {
		queries = append(queries, "union("+strings.Join(half, ",\n")+")")
	}
	return queries
}()

// figures are those of one namespace. What the store does not have is nil.
type figures struct {
	Namespace string `json:"namespace"`
	// CPUCores is the mean of the last two minutes.
	CPUCores *float64 `json:"cpuCores,omitempty"`
	// MemoryBytes is the working set.
	MemoryBytes *float64 `json:"memoryBytes,omitempty"`
	// QuotaPercent is the used part of the quota, by resource: of several quotas, the fullest.
	QuotaPercent map[string]float64 `json:"quotaPercent,omitempty"`
	// FullestVolume is the PersistentVolumeClaim with the least room left.
	FullestVolume *volume `json:"fullestVolume,omitempty"`
	// Restarts of containers and DroppedLines of logs are those of the last hour.
	Restarts     *float64 `json:"restarts,omitempty"`
	DroppedLines *float64 `json:"droppedLines,omitempty"`
	// ClaimEnd is when a claimed namespace is deleted.
	ClaimEnd *time.Time `json:"claimEnd,omitempty"`
	Alerts   []alert    `json:"alerts,omitempty"`
}

type volume struct {
	Claim   string  `json:"claim"`
	Percent float64 `json:"percent"`
}

// alert is one that fires.
type alert struct {
	Name     string            `json:"alert"`
	Severity string            `json:"severity,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Meaning  string            `json:"meaning,omitempty"`
}

// collect puts the series of the summary together by namespace. A namespace that was read has figures, also if it has none.
func collect(readable []observe.Source, all []series) []*figures {
	found := map[string]*figures{}
	of := func(namespace string) *figures {
		if found[namespace] == nil {
			found[namespace] = &figures{Namespace: namespace}
		}
		return found[namespace]
	}
	for _, from := range readable {
		if from.Namespace != "" {
			of(from.Namespace)
		}
	}
	for _, s := range all {
		number, err := strconv.ParseFloat(s.Value.text, 64)
		if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
			continue // as if it were not there
		}
		f := of(s.Metric[namespaceLabel])
		switch s.Metric[figureLabel] {
		case "cpu":
			f.CPUCores = &number
		case "memory":
			f.MemoryBytes = &number
		case "quota":
			if f.QuotaPercent == nil {
				f.QuotaPercent = map[string]float64{}
			}
			f.QuotaPercent[s.Metric["resource"]] = number
		case "volume":
			f.FullestVolume = &volume{s.Metric["persistentvolumeclaim"], number}
		case "restarts":
			f.Restarts = &number
		case "dropped":
			f.DroppedLines = &number
		case "end":
			end := time.Unix(int64(number), 0).UTC()
			f.ClaimEnd = &end
		case "alert":
			f.Alerts = append(f.Alerts, newAlert(s.Metric))
		}
	}
	sorted := slices.Collect(maps.Values(found))
	slices.SortFunc(sorted, func(a, b *figures) int { return strings.Compare(a.Namespace, b.Namespace) })
	for _, f := range sorted {
		slices.SortFunc(f.Alerts, func(a, b alert) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.about(), b.about())) })
	}
	return sorted
}

// showSummary shows the figures of each namespace, and below them the alerts that fire.
func (v *viewer) showSummary(readable []observe.Source, all []series) error {
	namespaces := collect(readable, all)
	if v.output == "json" {
		for _, f := range namespaces {
			if err := v.writeJSON(f); err != nil {
				return err
			}
		}
		return nil
	}
	rows := [][]string{{"NAMESPACE", "CPU", "CPU QUOTA", "MEMORY", "MEMORY QUOTA", "POD QUOTA", "FULLEST VOLUME", "RESTARTS", "DROPPED", "CLAIM ENDS"}}
	alerts := [][]string{{"NAMESPACE", "ALERT", "SEVERITY", "ABOUT", "MEANING"}}
	for _, f := range namespaces {
		rows = append(rows, f.cells(v.now()))
		for _, a := range f.Alerts {
			alerts = append(alerts, []string{orAbsent(f.Namespace), a.Name, orAbsent(a.Severity), orAbsent(a.about()), orAbsent(a.Meaning)})
		}
	}
	if err := v.writeTable(rows); err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Fprintln(v.stderr, "the store has no figure yet; a new namespace has its first ones after a minute or two")
	}
	if len(alerts) == 1 {
		return nil
	}
	if _, err := fmt.Fprintln(v.stdout); err != nil {
		return err
	}
	return v.writeTable(alerts)
}

// cells returns the row of a namespace.
func (f *figures) cells(now time.Time) []string {
	number := func(value *float64, text func(float64) string) string {
		if value == nil {
			return "-"
		}
		return text(*value)
	}
	count := func(n float64) string { return strconv.FormatFloat(math.Round(n), 'f', -1, 64) }
	percent := func(n float64) string { return fmt.Sprintf("%d%%", int(n)) } // 100 % is full, and 99.9 % is not
	quota := func(resource string) string {
		used, isThere := f.QuotaPercent[resource]
		if !isThere {
			return "-"
		}
		return percent(used)
	}
	fullest, end := "-", "-"
	if f.FullestVolume != nil {
		fullest = percent(f.FullestVolume.Percent) + " " + f.FullestVolume.Claim
	}
	if f.ClaimEnd != nil {
		if end = "now"; f.ClaimEnd.After(now) {
			end = "in " + duration.HumanDuration(f.ClaimEnd.Sub(now))
		}
	}
	return []string{
		orAbsent(f.Namespace),
		number(f.CPUCores, func(n float64) string { return fmt.Sprintf("%.0fm", math.Ceil(n*1000)) }), quota("requests.cpu"),
		number(f.MemoryBytes, func(n float64) string { return fmt.Sprintf("%.0fMi", math.Ceil(n/(1<<20))) }), quota("requests.memory"),
		quota("pods"),
		fullest, number(f.Restarts, count), number(f.DroppedLines, count), end,
	}
}
