//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	// forged is a namespace that says of itself that it belongs to a claim.
	forged = "e2e-forged"
	// controllerUser is the account of the controller of claims.
	controllerUser = "system:serviceaccount:journal-platform:namespace-controller"
	// shortLife is long enough for a new leader to take over before it ends.
	shortLife = 45 * time.Second
)

// namespaceClaim is what the tests read of a NamespaceClaim.
type namespaceClaim struct {
	Metadata struct{ UID string }
	Status   struct {
		Namespace, NamespaceUID, Phase, Message string
		ExpiresAt                               time.Time
	}
}

// claimManifest is a claim of the class small, as a developer writes it.
func claimManifest(owner, name, ttl string) string {
	return fmt.Sprintf(`
apiVersion: journal.example.com/v1alpha1
kind: NamespaceClaim
metadata: {name: %s, namespace: team-a}
spec: {owner: %s, class: small, ttl: %s, purpose: end-to-end tests}
`, name, owner, ttl)
}

func applyClaim(t *testing.T, user, name, ttl string) {
	t.Helper()
	mustAs(t, user, claimManifest(user, name, ttl), "apply", "--filename", "-")
}

// readClaim returns a claim of team-a, and nothing when it is gone.
func readClaim(t *testing.T, name string) (claim namespaceClaim) {
	t.Helper()
	if text := kubectl(t, "get", "namespaceclaim", name, "--namespace", "team-a", "--ignore-not-found", "--output", "json"); text != "" {
		if err := json.Unmarshal([]byte(text), &claim); err != nil {
			t.Fatal(err)
		}
	}
	return claim
}

// claimedNamespace returns the namespace of a claim, once it is ready.
func claimedNamespace(t *testing.T, name string) string {
	t.Helper()
	mustAs(t, "bob", "", "wait", "--for=condition=Ready", "namespaceclaim/"+name, "--namespace", "team-a", "--timeout=60s")
	return readClaim(t, name).Status.Namespace
}

// fenceOf returns the specifications of the objects that fence a namespace in, and what its labels enforce, by name.
func fenceOf(t *testing.T, namespace string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, o := range objects(t, "resourcequotas,limitranges,networkpolicies", "--namespace", namespace) {
		found[o.Kind+" "+o.Metadata.Name] = string(o.Spec)
	}
	var binding struct{ RoleRef json.RawMessage }
	if err := json.Unmarshal([]byte(kubectl(t, "get", "rolebinding", "owners", "owner", "--namespace", namespace, "--ignore-not-found",
		"--output", "jsonpath={.items[0]}")), &binding); err != nil {
		t.Fatalf("role binding of the owners in %s: %v", namespace, err)
	}
	found["role of the owner"] = string(binding.RoleRef)
	var labels map[string]string
	if err := json.Unmarshal([]byte(kubectl(t, "get", "namespace", namespace, "--output", "jsonpath={.metadata.labels}")), &labels); err != nil {
		t.Fatal(err)
	}
	for key, value := range labels {
		if strings.HasPrefix(key, "pod-security") {
			found[key] = value
		}
	}
	return found
}

func claims(t *testing.T) {
	refused(t, "bob", claimManifest("alice", "e2e-other", "1h"), []string{`spec.owner "alice": nobody claims in another's name; write "bob"`}, "apply", "--filename", "-")

	start := time.Now()
	applyClaim(t, "bob", "e2e-kept", "1h")
	namespace := claimedNamespace(t, "e2e-kept")
	t.Logf("namespace %s is ready after %s", namespace, time.Since(start).Round(100*time.Millisecond))
	// alice is a tenant of the class small.
	want := fenceOf(t, "alice")
	if len(want) != 6+1+4 {
		t.Errorf("the fence of a tenant is %v", want)
	}
	if err := difference(fenceOf(t, namespace), want); err != nil {
		t.Errorf("the fence of a claim is not the one of a tenant of the same class: %v", err)
	}
	// Its owner may do there what the owner of a tenant may, by the same table.
	compare(t, []persona{{name: "bob", kubeconfig: tenancy.config["bob"], roles: map[string]string{namespace: owner}, declared: true},
		{name: "alice", kubeconfig: tenancy.config["alice"], declared: true}}, []string{namespace})
	// A claimed namespace is no place to claim from.
	mustAs(t, "bob", strings.ReplaceAll(claimManifest("bob", "e2e-within", "1h"), "team-a", namespace), "apply", "--filename", "-")
	eventually(t, 10*time.Second, func() error {
		said := kubectl(t, "get", "namespaceclaim", "e2e-within", "--namespace", namespace, "--output", "jsonpath={.status.phase} {.status.message}")
		if !strings.HasPrefix(said, "Refused ") || !strings.Contains(said, "was itself made for a claim") {
			return fmt.Errorf("a claim in a claimed namespace says %q", said)
		}
		return nil
	})

	// Nobody gets more than the share: two claims each.
	applyClaim(t, "bob", "e2e-second", "1h")
	applyClaim(t, "bob", "e2e-third", "1h")
	eventually(t, 20*time.Second, func() error {
		second, third := readClaim(t, "e2e-second").Status, readClaim(t, "e2e-third").Status
		if second.Namespace == "" && third.Namespace == "" || second.Phase != "Refused" && third.Phase != "Refused" {
			return fmt.Errorf("the second claim says %+v, the third %+v", second, third)
		}
		if message := second.Message + third.Message; !strings.Contains(message, "the number of claims of bob") {
			return errors.New(message)
		}
		return nil
	})
	mustAs(t, "bob", "", "delete", "namespaceclaim", "e2e-second", "e2e-third", "--namespace", "team-a", "--timeout=60s")
	refused(t, "bob", "", []string{"cannot be changed"}, "patch", "namespaceclaim", "e2e-kept", "--namespace", "team-a", "--type=merge", "--patch", `{"spec":{"class":"large"}}`)
}

func claimsEnd(t *testing.T) {
	kept := claimedNamespace(t, "e2e-kept")
	mustAs(t, "bob", "", "delete", "namespaceclaim", "e2e-kept", "--namespace", "team-a", "--timeout=60s")
	if text := kubectl(t, "get", "namespace", kept, "--ignore-not-found", "--output", "name"); text != "" {
		t.Errorf("the claim is deleted and %s is there", text)
	}

	// The leader is killed, and cannot give back its lease, after it was asked for two namespaces and before it can have
	// finished both.
	leader := leadingPod(t)
	ttl := fmt.Sprintf("%.0fs", shortLife.Seconds())
	mustAs(t, "bob", claimManifest("bob", "e2e-short", ttl)+"---"+claimManifest("bob", "e2e-extended", ttl), "apply", "--filename", "-")
	created := time.Now()
	kubectl(t, "delete", "pod", leader, "--namespace", "journal-platform", "--grace-period=0", "--force")
	short, extended := claimedNamespace(t, "e2e-short"), claimedNamespace(t, "e2e-extended")
	t.Logf("both namespaces are ready %s after the leader %s was killed", time.Since(created).Round(100*time.Millisecond), leader)
	mustAs(t, "bob", "", "patch", "namespaceclaim", "e2e-extended", "--namespace", "team-a", "--type=merge", "--patch", `{"spec":{"ttl":"20m"}}`)
	mustAs(t, "bob", pod("e2e-inside", tenancy.image, "{}"), "create", "--namespace", short, "--filename", "-")
	claim := readClaim(t, "e2e-short")
	kubectlApply(t, fmt.Sprintf(`{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {journal.example.com/claim: e2e-short, journal.example.com/claim-uid: %q,
		journal.example.com/tenant: team-a}, annotations: {journal.example.com/expires: "2020-01-01T00:00:00Z"}}}`, forged, claim.Metadata.UID))

	eventually(t, shortLife+30*time.Second, func() error {
		left := objects(t, "namespaces", "--selector", "journal.example.com/claim-uid="+claim.Metadata.UID)
		for _, namespace := range left {
			if namespace.Metadata.Name == short && namespace.Metadata.DeletionTimestamp == "" {
				return errors.New("the namespace is there after its end")
			}
		}
		return nil
	})
	if now := time.Now(); now.Before(claim.Status.ExpiresAt) || now.Before(created.Add(shortLife-2*time.Second)) {
		t.Errorf("the namespace is deleted at %s, before its end at %s", now.UTC(), claim.Status.ExpiresAt)
	}
	t.Logf("deleted %s after its end", time.Since(claim.Status.ExpiresAt).Round(100*time.Millisecond))
	eventually(t, 60*time.Second, func() error {
		if text := kubectl(t, "get", "namespace", short, "--ignore-not-found", "--output", "name"); text != "" {
			return fmt.Errorf("%s is not gone with what it holds", text)
		}
		if claim := readClaim(t, "e2e-short"); claim.Metadata.UID != "" {
			return fmt.Errorf("the ended claim is %+v", claim.Status)
		}
		return nil
	})
	if namespace := claimedNamespace(t, "e2e-extended"); namespace != extended {
		t.Errorf("the extended claim has %s, and had %s", namespace, extended)
	}
	for _, name := range []string{extended, forged} {
		if phase := kubectl(t, "get", "namespace", name, "--output", "jsonpath={.status.phase}"); phase != "Active" {
			t.Errorf("%s is %s", name, phase)
		}
	}
	if now := leadingPod(t); now == leader {
		t.Errorf("%s still leads", now)
	}
	mustAs(t, "bob", "", "delete", "namespaceclaim", "e2e-extended", "--namespace", "team-a", "--timeout=60s")
}

// leadingPod is the controller's pod that acts.
func leadingPod(t *testing.T) string {
	t.Helper()
	pod, _, _ := strings.Cut(kubectl(t, "get", "lease", "namespace-controller", "--namespace", "journal-platform",
		"--output", "jsonpath={.spec.holderIdentity}"), "_")
	return pod
}

func controllerIsBound(t *testing.T) {
	only := `the controller touches only namespaces with the label journal.example.com/claim-uid`
	for _, namespace := range []string{"alice", world.outputs.Namespace, "journal-platform"} {
		// As a dry run, so that a hole in the rule costs nothing.
		if text, err := tryKubectl("", "delete", "namespace", namespace, "--dry-run=server", "--as", controllerUser); err == nil || !strings.Contains(text, only) {
			t.Errorf("the controller deletes namespace %s: %s", namespace, text)
		}
	}
	if text, err := tryKubectl("", "label", "namespace", "alice", "journal.example.com/claim-uid=mine", "--dry-run=server", "--as", controllerUser); err == nil || !strings.Contains(text, only) {
		t.Errorf("the controller labels a namespace that is not its own: %s", text)
	}
	for _, object := range []string{
		`{apiVersion: v1, kind: ResourceQuota, metadata: {name: e2e-quota, namespace: alice}, spec: {hard: {pods: "1000"}}}`,
		`{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: e2e-binding, namespace: alice},
			roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: journal-tenant-owner}}`,
	} {
		if text, err := tryKubectl(object, "create", "--dry-run=server", "--as", controllerUser, "--filename", "-"); err == nil ||
			!strings.Contains(text, "the controller writes only in namespaces with the label") {
			t.Errorf("the controller writes a tenant's fence: %s", text)
		}
	}
	for _, args := range [][]string{{"get", "secrets/none", "-n", "alice"}, {"get", "pods/none", "-n", "alice"}, {"create", "configmap", "e2e", "-n", "journal-platform"}} {
		if text, err := tryKubectl("", append(args, "--as", controllerUser)...); err == nil || !strings.Contains(text, "cannot "+args[0]+" resource") {
			t.Errorf("the controller may kubectl %s: %s", strings.Join(args, " "), text)
		}
	}
}
