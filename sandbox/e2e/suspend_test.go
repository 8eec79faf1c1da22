//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// runningIn returns the names of the pods of a namespace that have not finished.
func runningIn(t *testing.T, namespace string) string {
	t.Helper()
	return kubectl(t, "get", "pods", "--namespace", namespace, "--field-selector", "status.phase!=Succeeded,status.phase!=Failed", "--output", "name")
}

// sleeper is a Deployment of one pod that runs until it is stopped.
func sleeper(name string) string {
	text := pod(name, tenancy.image, "{}")
	_, spec, _ := strings.Cut(text, "\nspec:\n")
	return fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %[1]s}\nspec:\n  selector: {matchLabels: {app: %[1]s}}\n  template:\n    metadata: {labels: {app: %[1]s}}\n    spec:\n      %s\n",
		name, strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n    "))
}

// suspension suspends team-a by an update of the stack and resumes it by another one. It takes what other tests have left in
// team-a along.
func suspension(t *testing.T) {
	original := originalStack(t)
	applyClaim(t, "bob", "e2e-sleeps", "1h")
	claimed := claimedNamespace(t, "e2e-sleeps")
	namespaces := []string{"team-a", claimed}
	for _, namespace := range namespaces {
		mustAs(t, "bob", sleeper("e2e-web"), "apply", "--namespace", namespace, "--filename", "-")
		mustAs(t, "bob", "", "rollout", "status", "deployment/e2e-web", "--namespace", namespace, "--timeout=3m")
	}
	mustAs(t, "bob", "{apiVersion: v1, kind: ConfigMap, metadata: {name: e2e-kept}, data: {a: b}}", "apply", "--namespace", "team-a", "--filename", "-")
	t.Cleanup(func() {
		kubectl(t, "delete", "deployment/e2e-web", "--namespace", "team-a", "--ignore-not-found")
		kubectl(t, "delete", "namespaceclaim/e2e-sleeps", "--namespace", "team-a", "--ignore-not-found", "--timeout=3m")
	})

	repo := changedStackOf(t, original, func(config map[string]any) {
		tenants, _ := config["journal:tenants"].([]any)
		for _, tenant := range tenants {
			if tenant := tenant.(map[string]any); tenant["name"] == "team-a" {
				tenant["suspended"] = true
			}
		}
	})
	if _, err := upFrom(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	eventuallyWithin(t, 90*time.Second, func() error {
		for _, namespace := range namespaces {
			if running := runningIn(t, namespace); running != "" {
				return fmt.Errorf("in %s still runs: %s", namespace, running)
			}
		}
		return nil
	})
	t.Logf("all pods are gone %s after the update", time.Since(start).Round(100*time.Millisecond))

	// Everything can be read, and nothing written.
	eventually(t, func() error {
		if said := readClaim(t, "e2e-sleeps").Status.Message; !strings.Contains(said, "is suspended with tenant team-a: nothing runs in it") {
			return fmt.Errorf("the claim says %q", said)
		}
		return nil
	})
	for _, namespace := range namespaces {
		mustAs(t, "bob", "", "get", "deployment/e2e-web", "--namespace", namespace)
		refused(t, "bob", "", []string{"cannot delete resource"}, "delete", "deployment/e2e-web", "--namespace", namespace)
		refused(t, "bob", "", []string{"cannot create resource"}, "create", "configmap", "e2e-new", "--namespace", namespace)
		refused(t, "bob", "", []string{"cannot create resource"}, "create", "deployment", "e2e-new", "--image", tenancy.image, "--namespace", namespace)
	}
	refused(t, "alice", "", []string{"cannot patch resource"}, "label", "configmap/e2e-kept", "a=b", "--namespace", "team-a")
	refused(t, "bob", claimManifest("bob", "e2e-more", "1h"), []string{"cannot create resource"}, "create", "--filename", "-")
	eventually(t, func() error {
		if pods := mustAs(t, "bob", "", "get", "budget", "--namespace", "team-a", "--output", "jsonpath={.items[0].status.pods} {.items[0].status.suspended}"); pods != "0/0 true" {
			return fmt.Errorf("the budget has %s", pods)
		}
		return nil
	})

	if _, err := upFrom(t.Context(), original); err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	// A ReplicaSet tries again ever less often, so this takes as long again as the tenant was suspended.
	eventuallyWithin(t, 5*time.Minute, func() error {
		for _, namespace := range namespaces {
			if runningIn(t, namespace) == "" {
				return fmt.Errorf("nothing runs in %s", namespace)
			}
		}
		return nil
	})
	t.Logf("the pods are back %s after the update", time.Since(start).Round(100*time.Millisecond))
	eventually(t, func() error {
		for _, namespace := range namespaces {
			if text, err := as(t, "bob", "", "rollout", "restart", "deployment/e2e-web", "--namespace", namespace); err != nil {
				return errors.New(text)
			}
		}
		return nil
	})
	if kept := mustAs(t, "bob", "", "get", "configmap/e2e-kept", "--namespace", "team-a", "--output", "jsonpath={.data.a}"); kept != "b" {
		t.Errorf("the ConfigMap has %q", kept)
	}
}
