//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

const (
	// forged is a namespace whose labels say that it belongs to a claim.
	forged = "e2e-forged"
	// controllerUser is the ServiceAccount of the claims controller.
	controllerUser = "system:serviceaccount:journal-platform:namespace-controller"
	// shortLife is a TTL that leaves a new leader time to take over.
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

// readClaim returns a claim of team-a, or nothing if there is none.
func readClaim(t *testing.T, name string) (claim namespaceClaim) {
	t.Helper()
	if text := kubectl(t, "get", "namespaceclaim", name, "--namespace", "team-a", "--ignore-not-found", "--output", "json"); text != "" {
		if err := json.Unmarshal([]byte(text), &claim); err != nil {
			t.Fatal(err)
		}
	}
	return claim
}

// claimedNamespace waits until a claim is ready, and returns its namespace.
func claimedNamespace(t *testing.T, name string) string {
	t.Helper()
	mustAs(t, "bob", "", "wait", "--for=condition=Ready", "namespaceclaim/"+name, "--namespace", "team-a", "--timeout=3m")
	return readClaim(t, name).Status.Namespace
}

// policyObjectsOf returns the specs of a namespace's policies, quota and bindings, and the Pod Security level of its labels, by name.
func policyObjectsOf(t *testing.T, namespace string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, o := range objects(t, "resourcequotas,limitranges,networkpolicies", "--namespace", namespace) {
		found[o.Kind+" "+o.Metadata.Name] = string(o.Spec)
	}
	found["role of the owners"] = kubectl(t, "get", "rolebinding", "owners", "--namespace", namespace, "--output", "jsonpath={.roleRef}")
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
	// alice is a tenant of the class small. The network policies are those of the claim's own tenant, without other tenants.
	want := policyObjectsOf(t, "alice")
	maps.DeleteFunc(want, func(name, _ string) bool { return strings.HasPrefix(name, "NetworkPolicy ") })
	for name, spec := range policyObjectsOf(t, "team-a") {
		if strings.HasPrefix(name, "NetworkPolicy ") && name != "NetworkPolicy allow-tenants" {
			want[name] = spec
		}
	}
	// No claims are made in a claimed namespace.
	const claimsOfATenant, claimsOfAClaim = `"count/namespaceclaims.journal.example.com": "20"`, `"count/namespaceclaims.journal.example.com": "0"`
	if quota := want["ResourceQuota tenant"]; !strings.Contains(quota, claimsOfATenant) {
		t.Errorf("the quota of a tenant is %s", quota)
	}
	want["ResourceQuota tenant"] = strings.Replace(want["ResourceQuota tenant"], claimsOfATenant, claimsOfAClaim, 1)
	if len(want) != 7+1+5 {
		t.Errorf("the policy objects of a tenant are %v", want)
	}
	if err := difference(policyObjectsOf(t, namespace), want); err != nil {
		t.Errorf("the policy objects of a claim are not those of a tenant of the same class: %v", err)
	}
	// By the same table, its owner has the rights of a tenant's owner there, and the Secrets.
	compare(t, []persona{{name: "bob", kubeconfig: tenancy.config["bob"], roles: map[string]string{namespace: claimOwner}, declared: true},
		{name: "alice", kubeconfig: tenancy.config["alice"], declared: true}}, []string{namespace})
	refused(t, "bob", strings.ReplaceAll(claimManifest("bob", "e2e-within", "1h"), "team-a", namespace), []string{"forbidden", "count/namespaceclaims.journal.example.com"},
		"apply", "--filename", "-")
	// team-a is of the class medium.
	mustAs(t, "bob", strings.ReplaceAll(claimManifest("bob", "e2e-large", "1h"), "class: small", "class: large"), "apply", "--filename", "-")
	eventually(t, func() error {
		if status := readClaim(t, "e2e-large").Status; status.Phase != "Refused" ||
			!strings.Contains(status.Message, `spec.class "large": tenant team-a may not claim it; delete the claim and apply one of class medium or small`) {
			return fmt.Errorf("a claim that is larger than its tenant says %+v", status)
		}
		return nil
	})
	if hosts := kubectl(t, "get", "namespace", namespace, "--output", `jsonpath={.metadata.annotations.journal\.example\.com/hosts}`); hosts != "*."+namespace+".localhost" {
		t.Errorf("the hosts of %s are %q", namespace, hosts)
	}

	// Nobody gets more than their share of two claims.
	applyClaim(t, "bob", "e2e-second", "1h")
	applyClaim(t, "bob", "e2e-third", "1h")
	eventually(t, func() error {
		second, third := readClaim(t, "e2e-second").Status, readClaim(t, "e2e-third").Status
		if second.Namespace == "" && third.Namespace == "" || second.Phase != "Refused" && third.Phase != "Refused" {
			return fmt.Errorf("the second claim says %+v, the third %+v", second, third)
		}
		if message := second.Message + third.Message; !strings.Contains(message, "the number of claims of bob") {
			return errors.New(message)
		}
		return nil
	})
	mustAs(t, "bob", "", "delete", "namespaceclaim", "e2e-large", "e2e-second", "e2e-third", "--namespace", "team-a", "--timeout=3m")
	refused(t, "bob", "", []string{"cannot be changed"}, "patch", "namespaceclaim", "e2e-kept", "--namespace", "team-a", "--type=merge", "--patch", `{"spec":{"class":"large"}}`)
}

func claimsEnd(t *testing.T) {
	kept := claimedNamespace(t, "e2e-kept")
	mustAs(t, "bob", "", "delete", "namespaceclaim", "e2e-kept", "--namespace", "team-a", "--timeout=3m")
	if text := kubectl(t, "get", "namespace", kept, "--ignore-not-found", "--output", "name"); text != "" {
		t.Errorf("the claim is deleted and %s is there", text)
	}

	// The test kills the leader, which then cannot release its lease, after it was asked for two namespaces and before it can
	// have finished both.
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

	eventuallyWithin(t, shortLife+30*time.Second, func() error {
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
	eventually(t, func() error {
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
	mustAs(t, "bob", "", "delete", "namespaceclaim", "e2e-extended", "--namespace", "team-a", "--timeout=3m")
}

// leadingPod returns the controller's pod that holds the lease.
func leadingPod(t *testing.T) string {
	t.Helper()
	pod, _, _ := strings.Cut(kubectl(t, "get", "lease", "namespace-controller", "--namespace", "journal-platform",
		"--output", "jsonpath={.spec.holderIdentity}"), "_")
	return pod
}

func controllerIsBound(t *testing.T) {
	only := `the controller touches only namespaces with the label journal.example.com/claim-uid`
	for _, namespace := range []string{"alice", world.outputs.Namespace, "journal-platform"} {
		t.Run("the controller does not delete namespace "+namespace, func(t *testing.T) {
			// A dry run, so that nothing is deleted if the rule fails.
			if text, err := tryKubectl("", "delete", "namespace", namespace, "--dry-run=server", "--as", controllerUser); err == nil || !strings.Contains(text, only) {
				t.Errorf("says %s", text)
			}
		})
	}
	if text, err := tryKubectl("", "label", "namespace", "alice", "journal.example.com/claim-uid=mine", "--dry-run=server", "--as", controllerUser); err == nil || !strings.Contains(text, only) {
		t.Errorf("the controller labels a namespace that is not its own: %s", text)
	}
	for _, object := range []string{
		`{apiVersion: v1, kind: ResourceQuota, metadata: {name: e2e-quota, namespace: alice}, spec: {hard: {pods: "1000"}}}`,
		`{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: e2e-binding, namespace: alice},
			roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: journal-tenant-owner}}`,
		`{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: e2e-allow, namespace: alice}, spec: {podSelector: {}, ingress: [{}]}}`,
	} {
		if text, err := tryKubectl(object, "create", "--dry-run=server", "--as", controllerUser, "--filename", "-"); err == nil ||
			!strings.Contains(text, "the controller writes only in namespaces with the label") {
			t.Errorf("the controller writes a tenant's policy objects: %s", text)
		}
	}
	// A regression: a namespace made this way allows pods that are root on the node.
	if text, err := tryKubectl(`{apiVersion: v1, kind: Namespace, metadata: {name: claim-team-a-root-abcde, labels: {journal.example.com/claim-uid: x, journal.example.com/claim: root,
		journal.example.com/tenant: team-a, pod-security.kubernetes.io/enforce: privileged}}}`, "create", "--dry-run=server", "--as", controllerUser, "--filename", "-"); err == nil ||
		!strings.Contains(text, "a claimed namespace enforces the Pod Security Standard restricted") {
		t.Errorf("the controller makes a privileged namespace: %s", text)
	}
	for _, args := range [][]string{{"get", "secrets/none", "-n", "alice"}, {"get", "pods/none", "-n", "alice"}, {"create", "configmap", "e2e", "-n", "journal-platform"}} {
		t.Run("the controller may not "+strings.Join(args, " "), func(t *testing.T) {
			if text, err := tryKubectl("", append(args, "--as", controllerUser)...); err == nil || !strings.Contains(text, "cannot "+args[0]+" resource") {
				t.Errorf("says %s", text)
			}
		})
	}
}
