package answer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"example.com/journal/sandbox/objects"
)

func TestAPodSaysWhyItIsNotReady(t *testing.T) {
	for text, want := range map[string]string{
		`{"status": {"conditions": [{"type": "Ready", "status": "True"}]}}`:                                                                                                   "",
		`{"status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: Insufficient cpu."}]}}`: "Unschedulable: 0/1 nodes: Insufficient cpu.",
		`{"status": {"containerStatuses": [{"name": "api", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}}]}}`:                     "ImagePullBackOff Back-off pulling image",
		`{"status": {"containerStatuses": [{"name": "redis", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
			"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}}`: "CrashLoopBackOff (redis ended with 137, OOMKilled; restarts: 2)",
		`{"status": {"phase": "Unknown"}}`: "Unknown",
	} {
		var p corev1.Pod
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		if got := reasonOf(p); got != want {
			t.Errorf("%s:\ngot  %q\nwant %q", text, got, want)
		}
	}
}

// serve is a client of an API server that has these lists, by their kind.
func serve(t *testing.T, lists map[string]string) *objects.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"apiVersion": "v1", "kind": "List", "items": [%s]}`, lists[kind])
	}))
	t.Cleanup(server.Close)
	client, err := objects.New(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestARolloutLastsUntilAllPodsAreThoseThatAreDeclared(t *testing.T) {
	const apps = `"apiVersion": "apps/v1", `
	for _, c := range []struct{ sets, deployments, want string }{
		{"", "", ""},
		{`{` + apps + `"kind": "StatefulSet", "metadata": {"name": "redis", "generation": 2}, "spec": {"replicas": 3},
			"status": {"observedGeneration": 2, "readyReplicas": 3, "currentRevision": "a", "updateRevision": "a"}}`, "", ""},
		{`{` + apps + `"kind": "StatefulSet", "metadata": {"name": "redis"}, "spec": {"replicas": 3},
			"status": {"readyReplicas": 3, "currentRevision": "a", "updateRevision": "b"}}`, "", "StatefulSet redis"},
		{`{` + apps + `"kind": "StatefulSet", "metadata": {"name": "redis"}, "spec": {"replicas": 3}, "status": {"readyReplicas": 2}}`, "", "2 of 3"},
		{"", `{` + apps + `"kind": "Deployment", "metadata": {"name": "api", "generation": 1}, "spec": {"replicas": 2},
			"status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}}`, ""},
		{"", `{` + apps + `"kind": "Deployment", "metadata": {"name": "api", "generation": 2}, "spec": {"replicas": 2},
			"status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}}`, "Deployment api"},
		{"", `{` + apps + `"kind": "Deployment", "metadata": {"name": "api"}, "spec": {"replicas": 2},
			"status": {"replicas": 3, "updatedReplicas": 2, "availableReplicas": 2}}`, "1 old ones are left"},
		{"", `{` + apps + `"kind": "Deployment", "metadata": {"name": "api"}, "spec": {"replicas": 2},
			"status": {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}}`, "1 available"},
	} {
		got, err := unfinished(t.Context(), serve(t, map[string]string{"statefulsets": c.sets, "deployments": c.deployments}), "journal")
		if err != nil || c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s%s: got %q (%v), want %q", c.sets, c.deployments, got, err, c.want)
		}
	}
}

func TestTheLastWarningAboutAPodIsAddedToAnError(t *testing.T) {
	client := serve(t, map[string]string{
		"pods": `{"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "journal", "name": "api-0", "uid": "1"}, "status": {"phase": "Pending"}},
			{"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "journal", "name": "api-1", "uid": "2"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}`,
		"events": `{"apiVersion": "v1", "kind": "Event", "involvedObject": {"uid": "1"}, "lastTimestamp": "2026-01-02T00:00:02Z", "message": "no  room"},
			{"apiVersion": "v1", "kind": "Event", "involvedObject": {"uid": "1"}, "lastTimestamp": "2026-01-02T00:00:01Z", "message": "older"},
			{"apiVersion": "v1", "kind": "Event", "involvedObject": {"uid": "2"}, "lastTimestamp": "2026-01-02T00:00:03Z", "message": "of another"}`,
	})
	cause := errors.New("it failed")
	err := WithPods(t.Context(), client, cause)
	if !errors.Is(err, cause) || !strings.HasSuffix(err.Error(), ":\n  journal/api-0: Pending; no room") {
		t.Errorf("got %v", err)
	}
	if err := WithPods(t.Context(), client, nil); err != nil {
		t.Errorf("no error becomes %v", err)
	}
}

func TestOnlyAnErrorThatMayPassIsWaitedOut(t *testing.T) {
	calls := 0
	if err := within(t.Context(), time.Minute, func() error {
		if calls++; calls < 3 {
			return errNotYet
		}
		return nil
	}); err != nil || calls != 3 {
		t.Errorf("%d calls: %v", calls, err)
	}
	final := errors.New("for good")
	if err := within(t.Context(), time.Minute, func() error { return final }); !errors.Is(err, final) {
		t.Errorf("got %v", err)
	}
	if err := within(t.Context(), time.Millisecond, func() error { return fmt.Errorf("%w: no pods", errNotYet) }); !errors.Is(err, errNotYet) {
		t.Errorf("got %v", err)
	}
}
