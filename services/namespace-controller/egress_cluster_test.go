//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"example.com/journal/services/namespace-controller/api"
)

// waysOf returns the rules of the policy for the ways out of a namespace.
func waysOf(t *testing.T, namespace string) string {
	t.Helper()
	policy := &networkingv1.NetworkPolicy{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: egressPolicy}, policy); err != nil {
		return err.Error()
	}
	var blocks []string
	for _, rule := range policy.Spec.Egress {
		for _, peer := range rule.To {
			blocks = append(blocks, fmt.Sprintf("%s without %d", peer.IPBlock.CIDR, len(peer.IPBlock.Except)))
		}
	}
	return strings.Join(blocks, ", ")
}

// The stack changes the policy that bounds the controller, and then what the controller reads.
func TestAChangeOfTheWaysOutReachesClaimsThatAreThereWithinAMinute(t *testing.T) {
	startReplica(t)
	newTenant(t, "outward")
	claim := claimFor("outward", "try", "1h")
	apply(t, claim)
	inPhase(t, claim, api.Active)
	const internet = "0.0.0.0/0 without 13, 2000::/3 without 2"
	if got := waysOf(t, claim.Status.Namespace); got != "" {
		t.Fatalf("a claim of a tenant without ways out reaches %q", got)
	}
	before := cluster.network
	bind := func(literal string) (last string) {
		bound := &admissionregistrationv1.ValidatingAdmissionPolicy{}
		if err := cluster.Get(context.Background(), client.ObjectKey{Name: "journal-controller-policy-objects"}, bound); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(bound.Spec.Variables, func(v admissionregistrationv1.Variable) bool { return v.Name == "egress0" })
		last, bound.Spec.Variables[i].Expression = bound.Spec.Variables[i].Expression, literal
		if err := cluster.Update(context.Background(), bound); err != nil {
			t.Fatal(err)
		}
		return last
	}
	var stacks []string
	t.Cleanup(func() {
		bind(stacks[0])
		cluster.network = before
		_ = cluster.Update(context.Background(), limitsWith(nil))
	})
	for ways, want := range map[string]string{`"10.20.0.0/16"`: "10.20.0.0/16 without 0", `"internet", "10.20.0.0/16"`: internet + ", 10.20.0.0/16 without 0", "": "", `"internet"`: internet} {
		start := time.Now()
		stacks = append(stacks, bind(`{"outward": [`+ways+`]}`))
		var n map[string]any
		if err := json.Unmarshal([]byte(before), &n); err != nil {
			t.Fatal(err)
		}
		n["egress"] = json.RawMessage(`{"outward": [` + ways + `]}`)
		text, _ := json.Marshal(n)
		cluster.network = string(text)
		if err := cluster.Update(t.Context(), limitsWith(nil)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the claim reaches "+want, func() bool { return waysOf(t, claim.Status.Namespace) == want })
		t.Logf("%q after %s", want, time.Since(start).Round(time.Millisecond))
	}
}

// owner is an owner of a tenant or of a claimed namespace.
func owner(t *testing.T, namespace string) client.Client {
	t.Helper()
	config := rest.CopyConfig(cluster.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "olga", Groups: []string{"system:authenticated"}}
	c, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	// Nothing aggregates roles here, so it is bound to the part that has the owners' own rights.
	apply(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "olga"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: ownerRole + "-base"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "olga"}}})
	return c
}

// What the policy on owners' NetworkPolicies says.
const (
	fromBob       = "from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: bob}}}]"
	ofTheStack    = "the stack's own, by its name or its labels"
	inwardOnly    = "write policyTypes: [Ingress] without egress"
	fromEverybody = "a rule without from is for everybody"
	tooMany       = "write at most 10 rules, each with at most 10"
)

// inward is the specification of a NetworkPolicy with these rules.
func inward(rules string) string {
	return "spec: {podSelector: {}, policyTypes: [Ingress], ingress: [" + rules + "]}"
}

func TestOwnersOpenTheirPodsAndNothingElse(t *testing.T) {
	newTenant(t, "inward")
	claimed := claimedNamespace("claim-inward-try-abcde", "inward")
	apply(t, claimed)
	if err := cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "of-nobody"}}); err != nil {
		t.Fatal(err)
	}
	owners := map[string]client.Client{"inward": owner(t, "inward"), claimed.Name: owner(t, claimed.Name), "of-nobody": owner(t, "of-nobody")}
	many := func(count int, text string) string { return strings.TrimSuffix(strings.Repeat(text+", ", count), ", ") }
	created := map[string]struct{ name, spec, says string }{
		"from a colleague":                {"mine", inward("{" + fromBob + ", ports: [{port: 8080}]}"), ""},
		"without the type of policy":      {"mine", "spec: {podSelector: {matchLabels: {app: web}}, ingress: [{" + fromBob + "}]}", ""},
		"to nobody":                       {"mine", inward(""), ""},
		"from everybody, by its block":    {"mine", inward("{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}"), ""},
		"as many as there may be":         {"mine", inward(many(10, "{"+fromBob+"}")), ""},
		"from everybody":                  {"mine", inward("{}"), fromEverybody},
		"from everybody to one port":      {"mine", inward("{ports: [{port: 8080}]}"), fromEverybody},
		"from everybody in a second rule": {"mine", inward("{" + fromBob + "}, {from: []}"), fromEverybody},
		"to everybody":                    {"mine", "spec: {podSelector: {}, policyTypes: [Egress], egress: [{}]}", inwardOnly},
		"to everybody without the type":   {"mine", "spec: {podSelector: {}, egress: [{}]}", inwardOnly},
		"both ways":                       {"mine", "spec: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{" + fromBob + "}]}", inwardOnly},
		"Ingress twice":                   {"mine", "spec: {podSelector: {}, policyTypes: [Ingress, Ingress]}", inwardOnly},
		"egress in spite of the type":     {"mine", "spec: {podSelector: {}, policyTypes: [Ingress], egress: [{}]}", inwardOnly},
		"more rules than that":            {"mine", inward(many(11, "{"+fromBob+"}")), tooMany},
		"more peers than that":            {"mine", inward("{from: [" + many(11, "{podSelector: {}}") + "]}"), tooMany},
		"more ports than that":            {"mine", inward("{" + fromBob + ", ports: [" + many(11, "{port: 80}") + "]}"), tooMany},
		"more exceptions than that":       {"mine", inward("{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [" + many(11, "10.0.0.0/8") + "]}}]}"), tooMany},
		"with the labels of the stack":    {"mine, labels: {app.kubernetes.io/managed-by: pulumi, app.kubernetes.io/part-of: journal}", inward("{" + fromBob + "}"), ofTheStack},
		"with a label of the stack":       {"mine, labels: {app.kubernetes.io/managed-by: pulumi}", inward("{" + fromBob + "}"), ""},
		"for a network plugin":            {"mine, annotations: {kube-router.io/service.hairpin: ''}", inward("{" + fromBob + "}"), "an order to a controller that all tenants share"},
		"with a name that is made later":  {"'', generateName: mine-", inward("{" + fromBob + "}"), ""},
		"with a made name, to everybody":  {"'', generateName: mine-", "spec: {podSelector: {}, egress: [{}]}", inwardOnly},
	}
	for _, name := range []string{"default-deny", "allow-dns", "allow-same-tenant", "allow-egress", "allow-monitoring", "allow-tenants", "allow-ingress-controller"} {
		created["as "+name] = struct{ name, spec, says string }{name, inward("{" + fromBob + "}"), ofTheStack}
	}
	for _, namespace := range []string{"inward", claimed.Name} {
		for _, name := range slices.Sorted(maps.Keys(created)) {
			t.Run(namespace+" "+name, func(t *testing.T) {
				test := created[name]
				judge(t, owners[namespace].Create(t.Context(), within(t, namespace, "NetworkPolicy", test.name, test.spec), client.DryRunAll), test.says)
			})
		}
	}
	judge(t, owners["of-nobody"].Create(t.Context(), within(t, "of-nobody", "NetworkPolicy", "default-deny", "spec: {podSelector: {}, egress: [{}]}"), client.DryRunAll), "")
}

// policyOf reads a NetworkPolicy.
func policyOf(t *testing.T, namespace, name string) *networkingv1.NetworkPolicy {
	t.Helper()
	policy := &networkingv1.NetworkPolicy{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, policy); err != nil {
		t.Fatal(err)
	}
	return policy
}

// patched changes a NetworkPolicy as somebody.
func patched(t *testing.T, who client.Client, namespace, name string, change func(*networkingv1.NetworkPolicy)) error {
	t.Helper()
	policy := policyOf(t, namespace, name)
	before := policy.DeepCopy()
	change(policy)
	return who.Patch(t.Context(), policy, client.MergeFrom(before), client.DryRunAll)
}

// The changes of a NetworkPolicy.
var (
	open  = func(p *networkingv1.NetworkPolicy) { p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}} }
	label = func(p *networkingv1.NetworkPolicy) { p.Labels = map[string]string{"a": "b"} }
	out   = func(p *networkingv1.NetworkPolicy) {
		p.Spec.Egress, p.Spec.PolicyTypes = []networkingv1.NetworkPolicyEgressRule{{}}, []networkingv1.PolicyType{"Egress"}
	}
	adopting = func(p *networkingv1.NetworkPolicy) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "none", UID: "uid"}}
	}
	disguise = func(p *networkingv1.NetworkPolicy) {
		p.Labels = map[string]string{"app.kubernetes.io/managed-by": "pulumi", "app.kubernetes.io/part-of": "journal"}
	}
)

// furnish makes a tenant with a NetworkPolicy of the stack by its name, one by its labels, one of an administrator and one of
// the owner.
func furnish(t *testing.T, tenant string) {
	t.Helper()
	newTenant(t, tenant)
	for _, name := range []string{"default-deny", "part, labels: {app.kubernetes.io/managed-by: pulumi, app.kubernetes.io/part-of: journal}", "admins", "owners"} {
		spec := "spec: {podSelector: {}, policyTypes: [Ingress, Egress]}"
		if name == "owners" {
			spec = inward("{" + fromBob + "}")
		}
		apply(t, within(t, tenant, "NetworkPolicy", name, spec))
	}
}

func TestOwnersNeitherChangeNorDeleteWhatTheStackDeclares(t *testing.T) {
	const tenant = "furnished"
	furnish(t, tenant)
	olga := owner(t, tenant)
	for _, name := range []string{"default-deny", "part"} {
		for what, change := range map[string]func(*networkingv1.NetworkPolicy){"opened": open, "labelled": label, "adopted": adopting} {
			t.Run(name+" "+what, func(t *testing.T) { judge(t, patched(t, olga, tenant, name, change), ofTheStack) })
		}
		t.Run(name+" deleted", func(t *testing.T) {
			judge(t, olga.Delete(t.Context(), policyOf(t, tenant, name), client.DryRunAll), ofTheStack)
			judge(t, olga.DeleteAllOf(t.Context(), &networkingv1.NetworkPolicy{}, client.InNamespace(tenant), client.MatchingFields{"metadata.name": name}, client.DryRunAll), ofTheStack)
		})
	}
	for _, c := range []struct {
		sentence, name string
		change         func(*networkingv1.NetworkPolicy)
		says           string
	}{
		{"one's own labelled", "owners", label, ""},
		{"one's own opened to everybody", "owners", open, fromEverybody},
		{"one's own opened outward", "owners", out, inwardOnly},
		{"one's own disguised as the stack's", "owners", disguise, ofTheStack},
		{"an administrator's that opens outward labelled", "admins", label, inwardOnly},
	} {
		t.Run(c.sentence, func(t *testing.T) { judge(t, patched(t, olga, tenant, c.name, c.change), c.says) })
	}
	judge(t, olga.Delete(t.Context(), policyOf(t, tenant, "owners"), client.DryRunAll), "")
}

func TestAdministratorsAndWhatCleansUpAreNotHeldToTheRulesOfOwners(t *testing.T) {
	const tenant = "cleaned"
	furnish(t, tenant)
	judge(t, patched(t, cluster.Client, tenant, "default-deny", out), "")
	judge(t, cluster.Delete(t.Context(), policyOf(t, tenant, "default-deny"), client.DryRunAll), "")
	for _, account := range []string{"namespace-controller", "generic-garbage-collector"} {
		config := rest.CopyConfig(cluster.config)
		config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:kube-system:" + account,
			Groups: []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"}}
		cleaner, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
		if err != nil {
			t.Fatal(err)
		}
		judge(t, cleaner.Delete(t.Context(), policyOf(t, tenant, "default-deny"), client.DryRunAll), "")
	}
}
