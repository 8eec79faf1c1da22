//go:build e2e

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/journal/services/internal/observe/observetest"
)

// startStore starts the program that VICTORIA_METRICS names, and returns its URL.
func startStore(t *testing.T) string {
	t.Helper()
	program := os.Getenv("VICTORIA_METRICS")
	if program == "" {
		t.Skip("VICTORIA_METRICS does not name the program victoria-metrics; the sandbox builds it for a stack with metrics")
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	var output bytes.Buffer
	command := exec.Command(program, "-httpListenAddr="+address, "-storageDataPath="+t.TempDir(), "-memory.allowedBytes=64MiB", "-search.latencyOffset=1s")
	command.Stdout, command.Stderr = &output, &output
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		stuck := time.AfterFunc(time.Minute, func() { _ = command.Process.Kill() })
		defer stuck.Stop()
		if err := command.Wait(); err != nil {
			t.Errorf("victoria-metrics ended with %v:\n%s", err, output.String())
		}
	})
	store := "http://" + address
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if response, err := http.Get(store + "/health"); err == nil {
			_ = response.Body.Close()
			return store
		}
	}
	t.Fatal("victoria-metrics does not answer")
	return ""
}

// samples are lines of series in Prometheus' format, with times.
type samples struct{ text strings.Builder }

// add writes a series every half minute of the time before now, with the value that it had so long before.
func (s *samples) add(series string, before time.Duration, value func(before time.Duration) float64) {
	for age := before; age >= 0; age -= 30 * time.Second {
		fmt.Fprintf(&s.text, "%s %g %d\n", series, value(age), time.Now().Add(-age).UnixMilli())
	}
}

func always(value float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return value }
}

// worldOf writes what the scraper would write of a namespace, in which everything is as many times as much as in another one.
func (s *samples) worldOf(namespace string, times float64, end time.Time) {
	labels := func(job, more string) string {
		return fmt.Sprintf(`{job=%q,instance="x",namespace=%q%s}`, job, namespace, more)
	}
	const short = 10 * time.Minute
	for _, pod := range []string{"a", "b"} {
		container := fmt.Sprintf(`,pod=%q,container="main"`, pod)
		s.add("container_cpu_usage_seconds_total"+labels("kubelet", container), short, func(before time.Duration) float64 {
			return 1000 - times*0.0502*before.Seconds()
		})
		s.add("container_memory_working_set_bytes"+labels("kubelet", container), short, always(times*(10<<20)))
		// Each has restarted once in the last hour, and seven times before anybody looked.
		s.add("kube_pod_container_status_restarts_total"+labels("kube-state-metrics", container), short, func(before time.Duration) float64 {
			if before > time.Minute {
				return 7
			}
			return 8
		})
		// A pod's own figures of these names count for nothing.
		s.add("kube_pod_container_status_restarts_total"+labels("pods", container), short, func(before time.Duration) float64 { return 1000 - before.Seconds() })
	}
	for _, quota := range []struct {
		resource   string
		used, hard float64
	}{{"requests.cpu", 1.8, 2}, {"requests.memory", 300, 1000}, {"pods", 19.9, 20}, {"limits.cpu", 8, 8}, {"services", 3, 3}} {
		for name, room := range map[string]float64{"narrow": 1, "wide": 2} {
			more := fmt.Sprintf(`,resourcequota=%q,resource=%q,type=`, name, quota.resource)
			s.add("kube_resourcequota"+labels("kube-state-metrics", more+`"used"`), short, always(quota.used/times))
			s.add("kube_resourcequota"+labels("kube-state-metrics", more+`"hard"`), short, always(quota.hard*room))
		}
	}
	for claim, left := range map[string]float64{"data-a": 60, "data-b": 29} {
		more := fmt.Sprintf(`,persistentvolumeclaim=%q`, claim)
		s.add("kubelet_volume_stats_available_bytes"+labels("kubelet", more), short, always(left))
		s.add("kubelet_volume_stats_capacity_bytes"+labels("kubelet", more), short, always(100))
	}
	s.add("journal_log_dropped_lines_total"+labels("platform", `,reason="share"`), short, always(5000*times))
	s.add("journal_claim_end_timestamp_seconds"+labels("platform", `,tenant="t",claim="c"`), short, always(float64(end.Unix())))
	fires := `,alertname="VolumeNearlyFull",severity="warning",persistentvolumeclaim="data-b",alertstate=`
	s.add(strings.Replace("ALERTS"+labels("", fires+`"firing"`), `job="",`, "", 1), short, always(1))
	s.add(strings.Replace("ALERTS"+labels("", strings.Replace(fires, "Volume", "Quota", 1)+`"pending"`), `job="",`, "", 1), short, always(1))
	s.add("ALERTS"+labels("pods", strings.Replace(fires, "Volume", "Forged", 1)+`"firing"`), short, always(1))
}

// TestTheSummaryIsWhatTheStoreHas asks the real store through a reader that only adds the namespace.
func TestTheSummaryIsWhatTheStoreHas(t *testing.T) {
	store := startStore(t)
	var world samples
	end := now.Add(26 * time.Hour)
	world.worldOf("alice", 1, end)
	world.worldOf("bob", 2, end)
	world.add(`container_memory_working_set_bytes{job="kubelet",namespace="quiet",pod="a"}`, time.Minute, always(1))
	response, err := http.Post(store+"/api/v1/import/prometheus", "text/plain", strings.NewReader(world.text.String()))
	if err != nil || response.StatusCode != http.StatusNoContent {
		t.Fatalf("import: %v, %v", err, response)
	}
	_ = response.Body.Close()
	if response, err = http.Get(store + "/internal/force_flush"); err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	time.Sleep(2 * time.Second) // the latency of queries

	server := observetest.Server{Namespaces: []string{"alice", "bob", "quiet", "empty"}, Served: []string{"metrics"},
		Read: func(w http.ResponseWriter, r *http.Request, namespace, rest string) {
			path, isPage := strings.CutPrefix(rest, "metrics/ui/proxy")
			if !isPage {
				path = "/api/v1/query"
			}
			form := url.Values{"query": r.URL.Query()["query"]}
			if namespace != "" {
				form.Set("extra_label", "namespace="+namespace)
			}
			answer, err := http.Get(store + path + "?" + form.Encode())
			if err != nil {
				observetest.Refuse(w, http.StatusServiceUnavailable, err.Error())
				return
			}
			defer func() { _ = answer.Body.Close() }()
			if answer.StatusCode != http.StatusOK {
				text, _ := io.ReadAll(answer.Body)
				observetest.Refuse(w, answer.StatusCode, string(text))
				return
			}
			_, _ = io.Copy(w, answer.Body)
		}}
	const (
		alice = "alice 101m 90% 20Mi 30% 99% 71% data-b 2 5000 in 26h"
		bob   = "bob 201m 45% 40Mi 15% 49% 71% data-b 2 10000 in 26h"
		quiet = "quiet - - 1Mi - - - - - -"
		empty = "empty - - - - - - - - -"
	)
	for _, test := range []struct {
		args []string
		rows []string
	}{
		{[]string{"--namespace", "alice"}, []string{alice}},
		{[]string{"--namespace", "bob"}, []string{bob}},
		{[]string{"--namespace", "quiet"}, []string{quiet}},
		{[]string{"--namespace", "empty"}, []string{empty}},
		{[]string{"--all-namespaces"}, []string{alice, bob, quiet}},
	} {
		stdout, _, err := typed(t, server, test.args...)
		if err != nil {
			t.Fatal(err)
		}
		table, alerts, _ := strings.Cut(stdout, "\n\n")
		if got := words(table)[1:]; !slices.Equal(got, test.rows) {
			t.Errorf("%v shows\n%s\nwant\n%s", test.args, strings.Join(got, "\n"), strings.Join(test.rows, "\n"))
		}
		if names := strings.Count(alerts, "VolumeNearlyFull"); strings.Contains(alerts, "Forged") || strings.Contains(alerts, "Quota") ||
			names != strings.Count(strings.Join(test.rows, "\n"), "data-b") {
			t.Errorf("%v shows the alerts\n%s", test.args, alerts)
		}
	}
	if stdout, _, err := typed(t, server, "--query", "sum(container_memory_working_set_bytes) by (pod)"); err != nil ||
		!slices.Equal(words(stdout), []string{"namespace pod value", "alice a 10485760", "alice b 10485760"}) {
		t.Errorf("%v, %s", err, stdout)
	}
	if _, _, err := typed(t, server, "--query", "sum("); err == nil || !strings.Contains(err.Error(), "unexpected token") {
		t.Errorf("%v", err)
	}
	if _, _, err := typed(t, server, "--query", "up[5m]"); err == nil || !strings.Contains(err.Error(), "gives a matrix") {
		t.Errorf("%v", err)
	}
}
