//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// writers write entries until they are stopped, and remember those that the API has acknowledged.
type writers struct {
	mu      sync.Mutex
	acked   []string
	retries int
	last    time.Time
	gap     time.Duration // the longest time without an acknowledgement since the last call of silence
}

// write repeats each entry, under one Idempotency-Key, until it is acknowledged.
func (w *writers) write(ctx context.Context, writer int) {
	for number := 0; ctx.Err() == nil; number++ {
		key := rand.Text()
		for {
			var created entry
			status, err := ask(http.MethodPost, "api/entries", map[string]string{"text": fmt.Sprintf("e2e writer %d, entry %d", writer, number)},
				&created, "Idempotency-Key", key)
			w.mu.Lock()
			done := err == nil && status == http.StatusCreated
			if done {
				w.acked = append(w.acked, created.ID)
				w.gap = max(w.gap, time.Since(w.last))
				w.last = time.Now()
			} else {
				w.retries++
			}
			w.mu.Unlock()
			if done || ctx.Err() != nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// silence returns the longest time without an acknowledgement since the last call.
func (w *writers) silence() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	gap := max(w.gap, time.Since(w.last))
	w.gap = 0
	return gap
}

// goOn returns an error unless a write was acknowledged after a given time.
func (w *writers) goOn(since time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last.Before(since) {
		return fmt.Errorf("nothing was acknowledged for %s", time.Since(w.last).Round(time.Millisecond))
	}
	return nil
}

func everyPodDies(t *testing.T) {
	needsNode(t, "kills its processes")
	w := &writers{last: time.Now()}
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() { w.write(ctx, i) })
	}
	t.Cleanup(func() {
		stop()
		group.Wait()
		erase(t, w.acked)
	})

	// A deletion gives a program one second, and another pod takes over. A crash gives it none. Crashes come second: Kubernetes
	// delays the restart of containers that restarted lately, and the pods from the deletions are new.
	for _, way := range []struct {
		name string
		kill func(*testing.T, object)
	}{{"deletion", remove}, {"crash", crash}} {
		for _, app := range []string{"frontend", "api", "redis"} {
			t.Run(way.name+" of "+app, func(t *testing.T) {
				targets := pods(t, app)
				slices.Reverse(targets) // the primary is the last to die
				for _, target := range targets {
					start := time.Now()
					w.silence()
					way.kill(t, target)
					eventuallyWithin(t, 2*time.Minute, func() error { return replaced(t, target, len(targets)) })
					ready := time.Since(start)
					eventually(t, func() error { return w.goOn(start.Add(ready)) })
					t.Logf("%s of %s: all ready after %s, longest time without an acknowledged write %s", way.name, target.Metadata.Name,
						ready.Round(100*time.Millisecond), w.silence().Round(10*time.Millisecond))
				}
			})
		}
	}
	stop()
	group.Wait()

	if len(w.acked) < 100 {
		t.Errorf("only %d entries were acknowledged: the test shows little", len(w.acked))
	}
	all, err := list()
	if err != nil {
		t.Fatal(err)
	}
	if missing := missingFrom(w.acked, func(id string) bool { return all[id].ID != "" }); len(missing) > 0 {
		t.Errorf("the API has lost %d of %d acknowledged entries, such as %s", len(missing), len(w.acked), missing[0])
	}
	found := map[string]int{}
	for _, pod := range pods(t, "redis") {
		eventually(t, func() error {
			ids := strings.Fields(redis(t, pod.Metadata.Name, "ZRANGE {journal}:entries 0 -1"))
			has := map[string]bool{}
			for _, id := range ids {
				has[id] = true
			}
			found[pod.Metadata.Name] = len(ids)
			if missing := missingFrom(w.acked, func(id string) bool { return has[id] }); len(missing) > 0 {
				return fmt.Errorf("%s has lost %d of %d acknowledged entries, such as %s", pod.Metadata.Name, len(missing), len(w.acked), missing[0])
			}
			return nil
		})
	}
	t.Logf("%d entries acknowledged, %d requests repeated, none lost; entries in the API: %d, in each Redis: %v",
		len(w.acked), w.retries, len(all), found)
}

func missingFrom(ids []string, has func(string) bool) (missing []string) {
	for _, id := range ids {
		if !has(id) {
			missing = append(missing, id)
		}
	}
	return missing
}

// crash kills every process of a pod's containers at once, as the kernel does when memory runs out.
func crash(t *testing.T, pod object) {
	t.Helper()
	killed := 0
	for pid, name := range processesOf(t, pod) {
		if name != "pause" && syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	if killed == 0 {
		t.Fatalf("pod %s has no process", pod.Metadata.Name)
	}
}

// processesOf returns the names of a pod's processes on the sandbox's own node, by PID.
func processesOf(t *testing.T, pod object) map[int]string {
	t.Helper()
	names := map[int]string{}
	for _, pid := range ourProcesses(t) {
		groups, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if strings.Contains(string(groups), pod.Metadata.UID) {
			names[pid] = strings.TrimSpace(string(name))
		}
	}
	return names
}

// processOf returns the process of a pod that has this name.
func processOf(t *testing.T, pod object, name string) int {
	t.Helper()
	for pid, found := range processesOf(t, pod) {
		if found == name {
			return pid
		}
	}
	t.Fatalf("pod %s has no process %s", pod.Metadata.Name, name)
	return 0
}

func remove(t *testing.T, pod object) {
	t.Helper()
	kubectl(t, "delete", "pod", pod.Metadata.Name, "--namespace", pod.Metadata.Namespace, "--now", "--wait=false")
}

// replaced returns an error unless a pod has restarted or has a successor, and all pods of its kind are ready.
func replaced(t *testing.T, old object, count int) error {
	t.Helper()
	ready := 0
	for _, pod := range pods(t, old.Metadata.Labels["app"]) {
		if pod.Metadata.UID == old.Metadata.UID && restarts(pod) == restarts(old) {
			return fmt.Errorf("pod %s is not gone yet", old.Metadata.Name)
		}
		if pod.ready() {
			ready++
		}
	}
	if ready < count {
		return fmt.Errorf("%d of %d pods of %s are ready", ready, count, old.Metadata.Labels["app"])
	}
	return nil
}

func restarts(pod object) (count int) {
	for _, container := range pod.Status.ContainerStatuses {
		count += container.RestartCount
	}
	return count
}
