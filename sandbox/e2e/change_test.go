//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// load is a constant number of readers and writers who take every answer as it comes: nothing is repeated.
type load struct {
	mu       sync.Mutex
	requests int
	failures []string
	times    []time.Duration
	last     time.Time
	gap      time.Duration // the longest time without a good answer
	acked    []string      // ids, over all changes
}

// startLoad runs until the test ends, and then wants every acknowledged entry back.
func startLoad(t *testing.T) *load {
	l := &load{last: time.Now()}
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	run := func(every time.Duration, request func() (int, string, error)) {
		group.Go(func() {
			for tick := time.NewTicker(every); ctx.Err() == nil; <-tick.C {
				start := time.Now()
				status, id, err := request()
				l.count(start, status, id, err)
			}
		})
	}
	for i := range 4 {
		run(100*time.Millisecond, func() (int, string, error) {
			var created entry
			status, err := ask(http.MethodPost, "api/entries", map[string]string{"text": fmt.Sprintf("e2e change, writer %d", i)}, &created)
			return status, created.ID, err
		})
		run(50*time.Millisecond, func() (int, string, error) {
			status, err := ask(http.MethodGet, []string{"api/entries?limit=5", ""}[i%2], nil, nil)
			return status, "", err
		})
	}
	t.Cleanup(func() {
		stop()
		group.Wait()
		all, err := list()
		if err != nil {
			t.Fatal(err)
		}
		if missing := missingFrom(l.acked, func(id string) bool { return all[id].ID != "" }); len(missing) > 0 {
			t.Errorf("%d of %d acknowledged entries are lost, such as %s", len(missing), len(l.acked), missing[0])
		} else {
			t.Logf("%d entries acknowledged, none lost", len(l.acked))
		}
		erase(t, l.acked)
	})
	return l
}

func (l *load) count(start time.Time, status int, id string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	l.times = append(l.times, time.Since(start))
	if err != nil || status >= 300 {
		l.failures = append(l.failures, fmt.Sprintf("%s: status %d (%v)", start.Format("15:04:05.0"), status, err))
		return
	}
	l.gap = max(l.gap, time.Since(l.last))
	l.last = time.Now()
	if id != "" {
		l.acked = append(l.acked, id)
	}
}

// during runs a change under the load, reports what it was like, and wants that nobody has noticed.
func (l *load) during(t *testing.T, what string, change func()) {
	t.Helper()
	l.mu.Lock()
	l.requests, l.failures, l.times, l.gap = 0, nil, nil, 0
	l.mu.Unlock()
	start := time.Now()
	change()
	took := time.Since(start)
	time.Sleep(2 * time.Second) // what was under way comes back
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.times)
	at := func(share float64) time.Duration {
		return l.times[int(share*float64(len(l.times)-1))].Round(time.Millisecond)
	}
	t.Logf("%s: %s; %d requests, %d failed, p50 %s, p99 %s, longest gap %s", what, took.Round(100*time.Millisecond), l.requests,
		len(l.failures), at(0.5), at(0.99), l.gap.Round(time.Millisecond))
	if len(l.failures) > 0 {
		t.Errorf("%s: %d of %d requests failed: %s", what, len(l.failures), l.requests, strings.Join(l.failures[:min(5, len(l.failures))], "; "))
	}
	if l.requests < 20 {
		t.Errorf("%s: %d requests show little", what, l.requests)
	}
}

// TestChange is one test, since each change begins where the last one ended.
func TestChange(t *testing.T) {
	original := changedStack(t, func(map[string]any) {})
	t.Cleanup(func() {
		if _, err := upFrom(context.Background(), original); err != nil {
			t.Error(err)
		}
		rolledOut(t)
	})
	l := startLoad(t)
	l.during(t, "nothing", func() { time.Sleep(5 * time.Second) })

	l.during(t, "configuration of the page", func() { change(t, original, map[string]any{"pageTitle": "Changed"}) })
	if text := settings(t); !strings.Contains(text, `"title":"Changed"`) {
		t.Errorf("the page's settings are %s", text)
	}
	l.during(t, "kubectl rollout undo of the page", func() {
		kubectl(t, "rollout", "undo", "deployment/frontend", "--namespace", world.outputs.Namespace)
		rolledOut(t)
	})
	if text := settings(t); strings.Contains(text, "Changed") {
		t.Errorf("the page's settings are still %s", text)
	}
	l.during(t, "configuration of the API", func() { change(t, original, map[string]any{"apiLogLevel": "warn", "pageTitle": "Changed"}) })
	l.during(t, "resources of all parts", func() {
		change(t, original, map[string]any{"apiMemory": "72Mi", "frontendMemory": "40Mi", "redisMemory": "112Mi"})
	})
	first := secretName(t)
	l.during(t, "another password", func() { change(t, original, map[string]any{"redisPasswordVersion": 2}) })
	second := secretName(t)
	if second == first {
		t.Errorf("the API still has the password of %s", first)
	}
	if !accepted(t, first) || !accepted(t, second) {
		t.Error("Redis does not accept the password before and the current one")
	}
	l.during(t, "a third password", func() { change(t, original, map[string]any{"redisPasswordVersion": 3}) })
	if accepted(t, first) || !accepted(t, second) {
		t.Error("Redis accepts the password before the last one, or not the last one")
	}
	l.during(t, "a page of an image that does not exist", func() {
		start := time.Now()
		_, err := upFrom(t.Context(), with(t, original, map[string]any{
			"frontendImage": "journal.example.com/journal-web:v9.9.9-0000000", "rolloutTimeout": 30, "redisPasswordVersion": 3,
		}))
		if err == nil || !strings.Contains(err.Error(), "ImagePull") {
			t.Errorf("up says %v", err)
		}
		t.Logf("up failed after %s: %v", time.Since(start).Round(100*time.Millisecond), err)
	})
	l.during(t, "a Redis of an image that does not exist", func() {
		start := time.Now()
		_, err := upFrom(t.Context(), with(t, original, map[string]any{
			"redisImage": "journal.example.com/redis:9.9.9", "rolloutTimeout": 30, "redisPasswordVersion": 3,
		}))
		// The plugin may take the StatefulSet for rolled out, so it is the pod that tells.
		t.Logf("up ended after %s: %v", time.Since(start).Round(100*time.Millisecond), err)
		eventually(t, time.Minute, func() error {
			state := kubectl(t, "get", "pod", "redis-2", "--namespace", world.outputs.Namespace, "--output", "jsonpath={.status.containerStatuses[0].state}")
			if !strings.Contains(state, "ImagePull") {
				return fmt.Errorf("redis-2 is %s", state)
			}
			return nil
		})
	})
	l.during(t, "everything as it was at first", func() {
		if _, err := upFrom(t.Context(), original); err != nil {
			t.Error(err)
		}
		rolledOut(t)
	})
}

// with returns a folder with a stack whose keys have these values.
func with(t *testing.T, original string, values map[string]any) string {
	t.Helper()
	return changedStackOf(t, original, func(config map[string]any) {
		for key, value := range values {
			config["journal:"+key] = value
		}
	})
}

// change brings up the stack with other values, and waits until all pods have them.
func change(t *testing.T, original string, values map[string]any) {
	t.Helper()
	if _, err := upFrom(t.Context(), with(t, original, values)); err != nil {
		t.Error(err)
	}
	rolledOut(t)
}

// rolledOut returns when the pods are those that are declared.
func rolledOut(t *testing.T) {
	t.Helper()
	for _, workload := range []string{"statefulset/redis", "deployment/api", "deployment/frontend"} {
		kubectl(t, "rollout", "status", workload, "--namespace", world.outputs.Namespace, "--timeout=150s")
	}
}

// settings are the page's, as a browser reads them.
func settings(t *testing.T) string {
	t.Helper()
	response, err := world.client.Get(world.outputs.URL + "config.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// secretName is the Secret whose password the API has.
func secretName(t *testing.T) string {
	t.Helper()
	return kubectl(t, "get", "deployment", "api", "--namespace", world.outputs.Namespace, "--output",
		"jsonpath={.spec.template.spec.volumes[*].projected.sources[0].secret.name}")
}

// accepted says whether the primary accepts the password of a Secret. It goes in by standard input.
func accepted(t *testing.T, secret string) bool {
	t.Helper()
	encoded := kubectl(t, "get", "secret", secret, "--namespace", world.outputs.Namespace, "--output", "jsonpath={.data.password}")
	answer, err := tryKubectl(encoded, "exec", "--stdin", "redis-0", "--namespace", world.outputs.Namespace, "--", "sh", "-c",
		`printf 'AUTH %s\nPING\n' "$(base64 -d)" | redis-cli`)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(answer, "PONG")
}
