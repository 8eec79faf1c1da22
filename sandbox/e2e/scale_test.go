//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/journal/sandbox/deploy"
)

// manyTenants is how many tenants the test adds to the stack.
const manyTenants = 100

// TestScale is one test, since its parts start from what the first one leaves.
func TestScale(t *testing.T) {
	t.Cleanup(func() { mustSandbox(t, "up", "--stack", stack) }) // whatever happened, the stack's own tenants alone are left
	before := kubectl(t, "get", "secrets,persistentvolumeclaims", "--namespace", world.outputs.Namespace, "--output", "name")

	all, fewer := withTenants(t, 0), withTenants(t, 10)
	up := exec.Command(os.Args[0])
	up.Env = append(os.Environ(), upOnly+"="+all)
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if made := len(scaleNamespaces(t)); made < manyTenants/3 {
			return fmt.Errorf("%d namespaces are made", made)
		}
		return nil
	})
	for _, pid := range processesBelow(t, up.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err := up.Wait(); err == nil {
		t.Fatal("up had finished before it was killed")
	}
	made := scaleNamespaces(t)
	t.Logf("up was killed when %d of %d namespaces were there", len(made), manyTenants)

	// The state has none of these objects, so destroy must not rely on it.
	if _, log, err := sandbox("destroy", "--yes", "--stack", stack); err == nil || !strings.Contains(log, "run up first") {
		t.Errorf("destroy after a killed up: %v\n%s", err, log)
	}
	measure := func(what, repo string) deploy.Result {
		start := time.Now()
		result, err := upFrom(t.Context(), repo)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		t.Logf("%s: %v in %s", what, result.Changes, time.Since(start).Round(100*time.Millisecond))
		return result
	}
	measure("the next up finishes it, without the first ten tenants", fewer)
	var want []string
	for i := 10; i < manyTenants; i++ {
		want = append(want, scaleName(i))
	}
	eventually(t, func() error { // a namespace ends only after the objects in it
		if got := scaleNamespaces(t); !slices.Equal(got, want) {
			return fmt.Errorf("the namespaces are %v", got)
		}
		return nil
	})
	for _, kind := range []string{"resourcequotas", "limitranges", "rolebindings"} {
		if got := strings.Count(kubectl(t, "get", kind, "--all-namespaces", "--output", "jsonpath={.items[*].metadata.namespace}"), "e2e-scale-"); got != len(want) {
			t.Errorf("%d %s, want one in each of %d namespaces", got, kind, len(want))
		}
	}
	if after := kubectl(t, "get", "secrets,persistentvolumeclaims", "--namespace", world.outputs.Namespace, "--output", "name"); after != before {
		t.Errorf("the journal had\n%sand has\n%s", before, after)
	}
	if result := measure("up again", fewer); len(result.Changes) > 0 {
		t.Errorf("up again changes %v", result.Changes)
	}
	measure("up with all tenants", all)
	start := time.Now()
	mustSandbox(t, "up", "--stack", stack)
	t.Logf("up without the tenants: %s", time.Since(start).Round(100*time.Millisecond))
	if _, log := mustSandbox(t, "up", "--stack", stack); !strings.Contains(log, "nothing changed") {
		t.Errorf("up at the end:\n%s", log)
	}
}

func scaleName(i int) string { return fmt.Sprintf("e2e-scale-%03d", i) }

// scaleNamespaces lists the namespaces of the tests' tenants by name, without those that are terminating.
func scaleNamespaces(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, n := range objects(t, "namespaces") {
		if strings.HasPrefix(n.Metadata.Name, "e2e-scale-") {
			names = append(names, n.Metadata.Name)
		}
	}
	return names
}

// withTenants returns a folder with the stack as it was last brought up, and with the tenants from number first to manyTenants.
func withTenants(t *testing.T, first int) string {
	return changedStack(t, func(config map[string]any) {
		tenants, _ := config["journal:tenants"].([]any)
		for i := first; i < manyTenants; i++ {
			tenants = append(tenants, map[string]any{"name": scaleName(i), "owner": "user:alice", "contact": "alice@example.com", "unprotected": true})
		}
		config["journal:tenants"] = tenants
	})
}

// upFrom brings up the stack of a folder, with the images that it names.
func upFrom(ctx context.Context, repo string) (deploy.Result, error) {
	return upCalled(ctx, stack, repo)
}

// upCalled is upFrom for a stack by its name.
func upCalled(ctx context.Context, stack, repo string) (deploy.Result, error) {
	if err := world.cluster.Connect(ctx); err != nil {
		return deploy.Result{}, err
	}
	changed, err := deploy.Open(deploy.Config{Repo: repo, Stack: stack, Dir: world.dir, State: world.cluster.State(), Kubeconfig: world.cluster.Kubeconfig(), Progress: io.Discard})
	if err != nil {
		return deploy.Result{}, err
	}
	return changed.Up(ctx)
}
