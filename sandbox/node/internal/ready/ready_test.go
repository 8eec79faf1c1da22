package ready

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// newCluster returns a cluster whose API server gives these answers.
func newCluster(t *testing.T, answer func(*http.Request) any) *Cluster {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer(r))
	}))
	t.Cleanup(server.Close)
	cluster, err := NewCluster(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

func TestNodeIsReadyOnlyWhenTheKubeletHasSaidSoSinceTheStart(t *testing.T) {
	start := time.Now()
	for _, test := range []struct {
		name   string
		status corev1.ConditionStatus
		at     time.Time
		want   bool
	}{
		{"ready now", "True", start.Add(time.Second), true},
		{"in the same second", "True", start.Truncate(time.Second), true},
		{"before the stop", "True", start.Add(-time.Minute), false},
		{"not ready", "False", start.Add(time.Second), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cluster := newCluster(t, func(*http.Request) any {
				return corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
					{Type: corev1.NodeReady, Status: test.status, LastHeartbeatTime: metav1.NewTime(test.at)},
				}}}
			})
			err := cluster.Node(start)(t.Context())
			if (err == nil) != test.want || err != nil && !strings.HasPrefix(err.Error(), "node sandbox: ") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestPodsOfTheLastRunAreNotReady(t *testing.T) {
	pods := corev1.PodList{Items: []corev1.Pod{{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "one"},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: "True"}, {Type: corev1.ContainersReady, Status: "True"}, {Type: corev1.PodReady, Status: "True"},
		}},
	}}}
	var updated []corev1.Pod
	cluster := newCluster(t, func(r *http.Request) any {
		if r.Method == http.MethodGet {
			return pods
		}
		var p corev1.Pod
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil || r.Method != http.MethodPut || r.URL.Path != "/api/v1/namespaces/team-a/pods/one/status" {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		updated = append(updated, p)
		return p
	})
	if err := cluster.ForgetPods(t.Context()); err != nil || len(updated) != 1 {
		t.Fatalf("updated %d pods (%v)", len(updated), err)
	}
	for i, want := range []corev1.ConditionStatus{"True", "False", "False"} {
		if c := updated[0].Status.Conditions[i]; c.Status != want {
			t.Errorf("condition %s has become %s", c.Type, c.Status)
		}
	}
}

func TestWaitTellsTheLastReason(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	attempts := 0
	err := Wait(ctx, "etcd", func(context.Context) error {
		if attempts++; attempts == 2 {
			cancel()
		}
		return fmt.Errorf("no leader in attempt %d", attempts)
	})
	if err == nil || err.Error() != "not ready: etcd: no leader in attempt 2" {
		t.Errorf("after %d attempts the error is %v", attempts, err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if attempts--; attempts > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	attempts = 2
	if err := Wait(t.Context(), "etcd", At(server.URL)); err != nil {
		t.Error(err)
	}
}
