//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/journal/sandbox/deploy"
	"example.com/journal/stacks"
)

// prod is the stack that this group brings up instead of the other.
const prod = "prod"

// TestProd brings up the repository's production stack, and does to it what must not harm it. It is one test, since each part
// starts from what the previous one left.
func TestProd(t *testing.T) {
	needsNode(t, "has one place for a stack")
	decided, err := stacks.Read(repository(t), prod)
	if err != nil {
		t.Fatal(err)
	}
	makeRoom(t)
	t.Cleanup(func() { throwAway(t) }) // before the original stack comes back
	start := time.Now()
	_, log := mustSandbox(t, "up", "--stack", prod)
	t.Logf("the production stack is up after %s", time.Since(start).Round(100*time.Millisecond))
	if err := connectTo(prod); err != nil {
		t.Fatal(err)
	}
	rolledOut(t)
	limitsAsDeclared(t, decided, log)
	kept := write(t, unique("Written to the production stack."))

	t.Run("an update without room", noRoom)
	t.Run("destroy", destroyNothing)
	mustAsk(t, http.StatusOK, http.MethodGet, "api/entries/"+kept.ID, nil, nil)
}

// limitsAsDeclared checks that the pods have the stack's number and limits. Only their requests may be smaller, and then the
// sandbox must have said so.
func limitsAsDeclared(t *testing.T, decided stacks.Config, log string) {
	t.Helper()
	smaller := strings.Contains(log, "this machine is smaller than the stack")
	for _, part := range decided.Journal.Demand() {
		field := func(path string) []string {
			return strings.Fields(kubectl(t, "get", "pods", "--namespace", world.outputs.Namespace, "--selector", "app="+part.Part,
				"--output", "jsonpath={.items[*].spec.containers[0].resources."+path+"}"))
		}
		if got, want := field("limits.cpu"), slices.Repeat([]string{part.Resources.CPULimit}, part.Replicas); !slices.Equal(got, want) {
			t.Errorf("the pods of %s may use %v CPUs, not %v", part.Part, got, want)
		}
		if got, want := field("limits.memory"), slices.Repeat([]string{part.Resources.MemoryLimit}, part.Replicas); !slices.Equal(got, want) {
			t.Errorf("the pods of %s may use %v of memory, not %v", part.Part, got, want)
		}
		if got := field("requests.cpu"); !smaller && got[0] != part.Resources.CPU {
			t.Errorf("the pods of %s request %v CPUs, and nobody said so", part.Part, got)
		}
	}
}

// noRoom updates the API while the quota has no room for one more pod. The update fails at once with the reason, and the old pods
// go on. The next update raises the quota and adds pods that need it, and succeeds at once.
func noRoom(t *testing.T) {
	namespace := world.outputs.Namespace
	image := kubectl(t, "get", "deployment", "api", "--namespace", namespace, "--output", "jsonpath={.spec.template.spec.containers[0].image}")
	hog := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "e2e-hog", "namespace": %q}, "spec": {
		"securityContext": {"runAsNonRoot": true, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}, "automountServiceAccountToken": false,
		"containers": [{"name": "hog", "image": %q, "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
			"resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "2500m", "memory": "16Mi"}}}]}}`, namespace, image)
	// Without burst, the CPU limits count like requests, and there is room for one more pod of each part.
	up := func(cpu string, change func(config map[string]any)) (time.Duration, error) {
		changed := changedStackCalled(t, prod, workOf(prod), func(config map[string]any) {
			deploy.Override(config, "journal:tenant.overrides.cpu", cpu)
			deploy.Override(config, "journal:tenant.overrides.burst", 1)
			change(config)
		})
		start := time.Now()
		_, err := upCalled(t.Context(), prod, changed)
		return time.Since(start).Round(100 * time.Millisecond), err
	}
	if took, err := up("12", func(map[string]any) {}); err != nil {
		t.Fatalf("with a smaller quota, up says after %s: %v", took, err)
	}
	if _, err := tryKubectl(hog, "apply", "--filename", "-"); err != nil {
		t.Fatal(err)
	}
	took, err := up("12", func(config map[string]any) { deploy.Override(config, "journal:api.logLevel", "debug") })
	if err == nil || !strings.Contains(err.Error(), "exceeded quota tenant: with the pods of api") || took > time.Minute {
		t.Errorf("up says after %s: %v", took, err)
	}
	t.Logf("an update without room fails after %s: %v", took, err)
	for _, pod := range pods(t, "api") {
		if !pod.ready() {
			t.Errorf("%s does not go on", pod.Metadata.Name)
		}
	}

	kubectl(t, "delete", "pod", "e2e-hog", "--namespace", namespace, "--now")
	// More pods than the old quota allowed: the update raises it before it creates them.
	took, err = up("13", func(config map[string]any) { deploy.Override(config, "journal:api.replicas", 5) })
	if err != nil {
		t.Errorf("with room, up says after %s: %v", took, err)
	}
	t.Logf("with room it comes up in %s", took)
	rolledOut(t)
}

// destroyNothing has the engine destroy the protected stack, without the preview that would refuse it and without the sandbox,
// which would also refuse.
func destroyNothing(t *testing.T) {
	before := stackObjects(t)
	state := world.cluster.State()
	passphrase, err := os.ReadFile(filepath.Join(state, "passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(world.dir.Bin(), "pulumi"), "destroy", "--yes", "--skip-preview", "--stack", prod)
	cmd.Dir = workOf(prod)
	cmd.Env = append(os.Environ(), "PULUMI_HOME="+filepath.Join(state, "home"), "PULUMI_BACKEND_URL=file://"+filepath.Join(state, "backend"),
		"PULUMI_CONFIG_PASSPHRASE="+strings.TrimSpace(string(passphrase)), "KUBECONFIG="+world.cluster.Kubeconfig(), "PULUMI_SKIP_UPDATE_CHECK=1",
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true", "PATH="+world.dir.Bin()+":"+os.Getenv("PATH"))
	said, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "Protection::lifted-by-the-key-unprotected") {
		t.Errorf("pulumi destroy: %v\n%s", err, said)
	}
	if after := stackObjects(t); !slices.Equal(before, after) {
		t.Errorf("pulumi destroy has left %d of %d objects\n%s", len(after), len(before), said)
	}
	if _, log, err := sandbox("destroy", "--yes", "--stack", prod); err == nil || !strings.Contains(log, "journal:cluster: {unprotected: true}") {
		t.Errorf("destroy says %v\n%s", err, log)
	}
}

// throwAway destroys the stack as the error of destroy says to.
func throwAway(t *testing.T) {
	unprotected := changedStackCalled(t, prod, workOf(prod), func(config map[string]any) { deploy.Override(config, "journal:cluster.unprotected", true) })
	if _, err := upCalled(context.Background(), prod, unprotected); err != nil { // the test's own context has ended
		t.Error(err)
	}
	if _, log, err := sandbox("destroy", "--yes", "--stack", prod); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
}

// workOf returns the folder with a stack as it was last brought up.
func workOf(stack string) string { return filepath.Join(world.cluster.State(), "work", stack) }
