//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// apiServices are the API groups that pods of the cluster serve, by the Deployment and its namespace.
var apiServices = map[string][2]string{
	"v1beta1.metrics.k8s.io": {"metrics-server", "journal-metrics-server"},
	"v1alpha1." + logsGroup:  {"reader", "journal-reader"},
}

// TestObserve runs what docs/observe.md shows, and checks what it says.
func TestObserve(t *testing.T) {
	needsNode(t, "scales its own stack")
	prepareOnboarding(t)
	for _, user := range []string{"alice", "bob"} {
		if text, err := onboard(t, user); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	t.Cleanup(func() { sweep(t) })
	for _, part := range []struct {
		sentence string
		test     func(*testing.T)
	}{
		{"a tenant sees what its own pods use, and of no others", resourceMetrics},
		{"load adds pods and takes them away, and an update in between does not", scaling},
		{"a tenant reads the lines of its own pods, and of no others", logs},
		{"a tenant reads the figures of its own pods, and of no others", figures},
		{"a claim still ends once the API groups are back", deadAPI},
	} {
		sweep(t) // the node has not enough CPUs for the pods of all of them
		t.Run(part.sentence, part.test)
	}
}

// resourceMetrics waits for the figures of a pod: they are there after it was looked at twice.
func resourceMetrics(t *testing.T) {
	mustAs(t, "alice", pod("e2e-top", tenancy.image, "{}"), "apply", "--namespace", "alice", "--filename", "-")
	start := time.Now()
	eventuallyWithin(t, 90*time.Second, func() error {
		text, err := as(t, "alice", "", "top", "pods", "--namespace", "alice")
		if err != nil { // kubectl keeps for hours which groups there are, and may have asked too early
			return errors.Join(err, os.RemoveAll(os.Getenv("KUBECACHEDIR")))
		}
		if !strings.Contains(text, "e2e-top") {
			err = fmt.Errorf("kubectl top has no line of the pod: %s", text)
		}
		return err
	})
	mustAs(t, "alice", "", "top", "pods", "--containers", "--sort-by=memory")
	t.Logf("kubectl top has a new pod's figures after %s", time.Since(start).Round(time.Second))
	says := []string{"forbidden", "pods.metrics.k8s.io", `in the namespace "bob"`}
	refused(t, "alice", "", says, "top", "pods", "--namespace", "bob")
	refused(t, "bob", "", []string{"forbidden"}, "top", "pods", "--namespace", "alice")
	refused(t, "alice", "", []string{"forbidden"}, "top", "pods", "--all-namespaces")
	refused(t, "alice", "", []string{"forbidden"}, "top", "nodes")
	kubectl(t, "top", "nodes")
	// The pods are in a namespace whose objects are the platform's.
	refused(t, "alice", "", []string{"forbidden"}, "get", "secrets", "--namespace", "journal-metrics-server")
}

// busy is the load, in percent of the CPU request, above which a pod is added. A machine that is itself busy leaves the pods less than
// the default of 70, and idle pods use less than a third of it.
const busy = 30

// scaling is one test, since each part starts from what the previous one leaves.
func scaling(t *testing.T) {
	original := originalStack(t)
	autoscaling := func(window int, level string) map[string]any {
		return map[string]any{
			"api.autoscaling": map[string]any{"maxReplicas": 4, "scaleDownWindow": window, "targetCPU": busy},
			"api.logLevel":    level,
		}
	}
	// The stack's own level is debug, so that most of these updates leave the Deployment alone.
	// As long as a pod that is not needed stays, no fewer pods than before are the work of an update.
	const long, short = 600, 15
	change(t, original, autoscaling(long, "debug"))
	if got := replicas(t); got != 2 {
		t.Errorf("%d replicas without load, want 2", got)
	}

	stop := burn(t)
	start := time.Now()
	atLeast := func(want int) func() error {
		return func() error {
			if got := replicas(t); got < want {
				return fmt.Errorf("%d replicas: %s", got, kubectl(t, "get", "hpa", "api", "--namespace", world.outputs.Namespace))
			}
			return nil
		}
	}
	eventuallyWithin(t, 4*time.Minute, atLeast(3))
	t.Logf("a pod is added after %s", time.Since(start).Round(time.Second))

	// One update that leaves the Deployment alone, and one that changes it.
	for _, level := range []string{"debug", "info"} {
		change(t, original, autoscaling(long, level))
		if got := replicas(t); got < 3 {
			t.Errorf("an update with the log level %s has scaled back to %d", level, got)
		}
	}
	if managers := kubectl(t, "get", "deployment", "api", "--namespace", world.outputs.Namespace, "--show-managed-fields",
		"--output", `jsonpath={range .metadata.managedFields[?(@.subresource=="scale")]}{.manager}{end}`); managers != "kube-controller-manager" {
		t.Errorf("the replicas are %q's", managers)
	}

	// Without autoscaling the number is the stack's, at once. The load ends before, since an autoscaler that sees it adds pods until it
	// is deleted, after the update of the Deployment.
	stop()
	eventuallyWithin(t, 4*time.Minute, func() error {
		percent := kubectl(t, "get", "hpa", "api", "--namespace", world.outputs.Namespace,
			"--output", "jsonpath={.status.currentMetrics[0].resource.current.averageUtilization}")
		if number, err := strconv.Atoi(percent); err != nil || number > busy/2 {
			return fmt.Errorf("the autoscaler still sees a load of %q%%", percent)
		}
		return nil
	})
	if got := replicas(t); got < 3 {
		t.Errorf("%d replicas before the window is over", got)
	}
	change(t, original, nil)
	if got := replicas(t); got != 2 {
		t.Errorf("%d replicas after autoscaling is turned off, want 2", got)
	}

	// A pod that is not needed any more is taken away.
	change(t, original, autoscaling(long, "debug"))
	stop = burn(t)
	eventuallyWithin(t, 4*time.Minute, atLeast(3))
	stop()
	change(t, original, autoscaling(short, "debug"))
	start = time.Now()
	eventuallyWithin(t, 4*time.Minute, func() error {
		if got := replicas(t); got != 2 {
			return fmt.Errorf("still %d replicas", got)
		}
		return nil
	})
	t.Logf("they are taken away after %s", time.Since(start).Round(time.Second))
}

// replicas is how many pods the API is to have.
func replicas(t *testing.T) int {
	t.Helper()
	text := kubectl(t, "get", "deployment", "api", "--namespace", world.outputs.Namespace, "--output", "jsonpath={.spec.replicas}")
	number, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// burn reads entries without a pause, until the returned function is called.
func burn(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for ctx.Err() == nil {
				request, err := http.NewRequestWithContext(ctx, http.MethodGet, world.outputs.URL+"api/entries?limit=20", nil)
				if err != nil {
					return
				}
				response, err := world.client.Do(request)
				if err != nil {
					continue
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		})
	}
	return func() {
		cancel()
		group.Wait()
	}
}

// deadAPI stops the metrics server and the reader of logs. The API server then cannot list the objects of a namespace, and so
// deletes none.
func deadAPI(t *testing.T) {
	applyClaim(t, "bob", "e2e-dead-api", "1h")
	namespace := claimedNamespace(t, "e2e-dead-api")
	scale := func(replicas string) {
		for _, deployment := range apiServices {
			kubectl(t, "scale", "deployment", deployment[0], "--namespace", deployment[1], "--replicas", replicas)
		}
	}
	available := func(want string) func() error {
		return func() error {
			for name := range apiServices {
				text := kubectl(t, "get", "apiservice", name, "--output", `jsonpath={.status.conditions[?(@.type=="Available")].status}`)
				if text != want {
					return fmt.Errorf("%s, available: %q", name, text)
				}
			}
			return nil
		}
	}
	t.Cleanup(func() { scale("2") })
	scale("0")
	eventually(t, available("False"))
	if _, err := readLogs("bob", "--namespace", "bob"); err == nil || !strings.Contains(err.Error(), "the logs cannot be read now") {
		t.Errorf("without a reader bob is told %v", err)
	}
	// Kubernetes' namespace controller asks anew every 30 seconds which groups there are, and the API server may answer with what it
	// knew half a minute before. Until then it would not notice.
	time.Sleep(75 * time.Second)
	mustAs(t, "bob", "", "delete", "namespaceclaim", "e2e-dead-api", "--namespace", "team-a", "--wait=false")
	eventually(t, func() error {
		reasons := kubectl(t, "get", "namespace", namespace, "--output", `jsonpath={.status.conditions[?(@.status=="True")].reason}`)
		if !strings.Contains(reasons, "DiscoveryFailed") {
			return fmt.Errorf("the namespace does not wait for the API group: %q", reasons)
		}
		return nil
	})
	scale("2")
	start := time.Now()
	eventuallyWithin(t, 2*time.Minute, available("True"))
	eventually(t, func() error {
		if text := kubectl(t, "get", "namespace", namespace, "--ignore-not-found", "--output", "name"); text != "" {
			return fmt.Errorf("%s is still there", text)
		}
		return nil
	})
	t.Logf("the claimed namespace is gone %s after the pods were started", time.Since(start).Round(time.Second))
}
