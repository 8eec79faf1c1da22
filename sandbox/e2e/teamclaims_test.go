//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// mayIn waits until a user may do something in a namespace, or may not any more. Without a kubeconfig of their own, the
// administrator asks for them.
func mayIn(t *testing.T, user, namespace string, may bool, args ...string) {
	t.Helper()
	args = append(args, "--namespace", namespace)
	eventually(t, func() error {
		var text string
		var err error
		if tenancy.config[user] != "" {
			text, err = as(t, user, "", args...)
		} else {
			text, err = tryKubectl("", append(args, "--as", user)...)
		}
		if may && err != nil || !may && (err == nil || !strings.Contains(strings.ToLower(text), "forbidden")) {
			return fmt.Errorf("%s, may %t: kubectl %s says %q", user, may, strings.Join(args, " "), text)
		}
		return nil
	})
}

// teamClaims are claims for the tenant, the Secrets in them, and claims that are taken over.
func teamClaims(t *testing.T) {
	team := strings.Replace(claimManifest("bob", "e2e-team", "30m"), "class:", "access: Tenant, class:", 1)
	mustAs(t, "bob", team, "apply", "--filename", "-")
	applyClaim(t, "bob", "e2e-mine", "30m")
	shared, mine := claimedNamespace(t, "e2e-team"), claimedNamespace(t, "e2e-mine")
	t.Cleanup(func() {
		kubectl(t, "delete", "namespaceclaim", "e2e-team", "e2e-mine", "--namespace", "team-a", "--ignore-not-found", "--timeout=3m")
	})

	t.Run("the members of the tenant use a claim that one of them has made", func(t *testing.T) {
		mustAs(t, "alice", "", "create", "configmap", "e2e-hers", "--namespace", shared)
		mustAs(t, "bob", "", "get", "configmap", "e2e-hers", "--namespace", shared)
		mayIn(t, "mallory", shared, false, "get", "pods")
		compare(t, []persona{{name: "bob", kubeconfig: tenancy.config["bob"], roles: map[string]string{shared: claimOwner, mine: claimOwner}, declared: true},
			{name: "alice", kubeconfig: tenancy.config["alice"], roles: map[string]string{shared: claimOwner}, declared: true}}, []string{shared, mine})
	})
	t.Run("owners have the Secrets of a claimed namespace, and neither a viewer nor the controller has", func(t *testing.T) {
		mustAs(t, "bob", "", "create", "secret", "generic", "e2e-release", "--from-literal=text=helm", "--namespace", shared)
		if text := mustAs(t, "alice", "", "get", "secret", "e2e-release", "--namespace", shared, "--output", "jsonpath={.data.text}"); text != "aGVsbQ==" {
			t.Errorf("alice reads %q", text)
		}
		mayIn(t, controllerUser, shared, false, "get", "secrets")
		mayIn(t, "alice", mine, false, "get", "secrets")

		// The claim follows the tenant: vera joins it, and leaves it at the end.
		t.Cleanup(func() { mustSandbox(t, "up", "--stack", stack) })
		if _, err := upFrom(t.Context(), changedStack(t, func(config map[string]any) {
			tenants, _ := config["journal:tenants"].([]any)
			for _, tenant := range tenants {
				if tenant := tenant.(map[string]any); tenant["name"] == "team-a" {
					tenant["members"] = map[string]any{"developers": []any{"user:bob"}, "viewers": []any{"user:vera"}}
				}
			}
		})); err != nil {
			t.Fatal(err)
		}
		mayIn(t, "vera", shared, true, "get", "pods")
		mayIn(t, "vera", shared, false, "get", "secrets")
		mayIn(t, "vera", shared, false, "create", "configmap", "e2e-veras")
		mayIn(t, "vera", mine, false, "get", "pods")
	})
	mayIn(t, "vera", shared, false, "get", "pods")
	t.Run("an owner of the tenant takes a claim over, and its owner loses it", func(t *testing.T) {
		give := func(to string) []string {
			return []string{"patch", "namespaceclaim", "e2e-mine", "--namespace", "team-a", "--type=merge", "--patch", fmt.Sprintf(`{"spec":{"owner":%q}}`, to)}
		}
		refused(t, "bob", "", []string{"only an owner of the namespace gives a claim to somebody else"}, give("alice")...)
		refused(t, "alice", "", []string{`spec.owner "mallory": the stack names no such owner or developer of the tenant; write one of: alice, bob`}, give("mallory")...)
		mayIn(t, "alice", mine, false, "get", "pods")
		mustAs(t, "alice", "", give("alice")...)
		mayIn(t, "alice", mine, true, "get", "secrets")
		for _, kind := range []string{"pods", "secrets"} {
			mayIn(t, "bob", mine, false, "get", kind)
		}
		eventually(t, func() error {
			if owner := kubectl(t, "get", "namespace", mine, "--output", `jsonpath={.metadata.annotations.journal\.example\.com/owner}`); owner != "alice" {
				return fmt.Errorf("the namespace says that its owner is %q", owner)
			}
			return nil
		})
	})
}

// takenOver checks that the claim of a member who was removed is nobody's, that it says what to do, and that alice can do it.
func takenOver(t *testing.T, claim, namespace string) {
	t.Helper()
	eventually(t, func() error {
		if message := readClaim(t, claim).Status.Message; !strings.Contains(message, `so nobody has rights in this one; an owner of namespace "team-a" may take it over: write spec.owner`) {
			return fmt.Errorf("the claim of somebody who was removed says %q", message)
		}
		return nil
	})
	mustAs(t, "alice", "", "patch", "namespaceclaim", claim, "--namespace", "team-a", "--type=merge", "--patch", `{"spec":{"owner":"alice"}}`)
	mayIn(t, "alice", namespace, true, "get", "pods")
}
