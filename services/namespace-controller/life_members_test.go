//go:build e2e

package main

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"example.com/journal/services/namespace-controller/api"
)

// boundTo returns the subjects of the owners' binding in the namespace of a claim.
func boundTo(t *testing.T, claim *api.NamespaceClaim) string {
	t.Helper()
	binding := &rbacv1.RoleBinding{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: claim.Status.Namespace, Name: ownersBinding}, binding); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, subject := range binding.Subjects {
		names = append(names, subject.Kind+" "+subject.Name)
	}
	return strings.Join(names, ", ")
}

func TestWhoeverLosesTheTenantLosesTheClaimedNamespace(t *testing.T) {
	startReplica(t)
	newTenant(t, "leaving")
	claim := claimFor("leaving", "try", "1h")
	apply(t, claim)
	inPhase(t, claim, api.Active)
	if got := boundTo(t, claim); got != "User alice" {
		t.Fatalf("her namespace belongs to %q to begin with", got)
	}
	if err := cluster.Delete(t.Context(), developersOf("leaving")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "alice has no rights any more", func() bool { return boundTo(t, claim) == "" })
	eventually(t, "the claim says so", func() bool {
		return cluster.Get(t.Context(), client.ObjectKeyFromObject(claim), claim) == nil && claim.Status.Phase == api.Active &&
			strings.Contains(claim.Status.Message, `alice is neither an owner nor a developer of namespace "leaving" by name, so nobody has rights in this one`)
	})
	apply(t, developersOf("leaving"))
	eventually(t, "alice has them again", func() bool { return boundTo(t, claim) == "User alice" })
}

// groupOf returns the binding by which the stack makes a group an owner of a tenant.
func groupOf(tenant, group string) *rbacv1.RoleBinding {
	binding := developersOf(tenant)
	binding.Name, binding.RoleRef.Name = "owners", ownerRole
	binding.Subjects[0].Kind, binding.Subjects[0].Name = rbacv1.GroupKind, group
	return binding
}

// The rules know the members of the tenants of the stack dev: the journal's own has the group platform.
func TestAClaimForTheTenantIsItsMembersAsTheyAre(t *testing.T) {
	startReplica(t)
	newTenant(t, "journal")
	apply(t, groupOf("journal", "platform"))
	claim := claimFor("journal", "try", "1h")
	apply(t, claim)
	inPhase(t, claim, api.Active)
	says := func(want string) func() bool {
		return func() bool { return rightsIn(t, claim) == want }
	}
	const hers, everybodys, theirs = "owners User alice, secrets User alice", "owners User alice, owners Group platform, secrets User alice, secrets Group platform", "owners Group platform, secrets Group platform"
	eventually(t, "it is hers", says(hers))
	guests := developersOf("journal")
	guests.Name, guests.Subjects[0].Name = "guests", "mallory"
	apply(t, guests) // by an administrator, and not in the stack
	change(t, claim, func() { claim.Spec.Access = api.AccessTenant })
	eventually(t, "it is the tenant's", says(everybodys))
	if err := cluster.Delete(t.Context(), developersOf("journal")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is the group's", says(theirs))
	change(t, claim, func() { claim.Spec.Access = api.AccessOwner })
	eventually(t, "it is nobody's", says(""))
	change(t, claim, func() { claim.Spec.Access = api.AccessTenant })
	eventually(t, "it is the group's again", says(theirs))
	if err := cluster.Delete(t.Context(), groupOf("journal", "platform")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is nobody's, since the group is gone", says(""))
}

func TestAClaimOfSomebodyWhomOnlyAGroupNamesIsForTheTenantOrRefused(t *testing.T) {
	startReplica(t)
	newTenant(t, "grouped")
	if err := cluster.Delete(t.Context(), developersOf("grouped")); err != nil {
		t.Fatal(err)
	}
	claim, waits := claimFor("grouped", "try", "1h"), claimFor("grouped", "waits", "1h")
	apply(t, claim)
	apply(t, waits)
	inPhase(t, claim, api.Refused)
	inPhase(t, waits, api.Refused)
	if want := `spec.access "Owner": alice is neither an owner nor a developer of namespace "grouped" by name; write access: Tenant`; !strings.Contains(claim.Status.Message, want) {
		t.Errorf("it says %q", claim.Status.Message)
	}
	change(t, claim, func() { claim.Spec.Access = api.AccessTenant })
	inPhase(t, claim, api.Active)
	apply(t, developersOf("grouped"))
	inPhase(t, waits, api.Active)
}

func TestAClaimIsTakenOver(t *testing.T) {
	startReplica(t)
	newTenant(t, "team-a") // the stack dev has alice as its owner and bob as a developer
	remove := developersOf("team-a")
	if err := cluster.Delete(t.Context(), remove); err != nil {
		t.Fatal(err)
	}
	bob := developersOf("team-a")
	bob.Subjects[0].Name = "bob"
	alice := groupOf("team-a", "alice")
	alice.Subjects[0].Kind = rbacv1.UserKind
	apply(t, bob)
	apply(t, alice)
	apply(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "manage"},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{api.GroupVersion.Group}, Resources: []string{"namespaceclaims"}, Verbs: []string{"get", "create", "patch", "delete"}}}})
	apply(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "more"},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{api.GroupVersion.Group}, Resources: []string{"namespaceclaims"}, Verbs: []string{"manage"}}}})
	bind := func(role string, users ...string) {
		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: role}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role}}
		for _, user := range users {
			binding.Subjects = append(binding.Subjects, userNamed(user))
		}
		apply(t, binding)
	}
	bind("manage", "alice", "bob", "carol")
	bind("more", "alice")
	policiesOf(t, "journal-claim-")

	claim, own, waits := claimFor("team-a", "try", "1h"), claimFor("team-a", "own", "1h"), claimFor("team-a", "waits", "1h")
	claim.Spec.Owner, waits.Spec.Owner = "bob", "bob"
	for _, c := range []*api.NamespaceClaim{claim, own} {
		if err := as(t, c.Spec.Owner).Create(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		inPhase(t, c, api.Active)
	}
	if err := cluster.Update(t.Context(), limitsWith(map[string]any{"claimsPerOwner": 1})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Update(context.Background(), limitsWith(nil)) })
	if err := as(t, "bob").Create(t.Context(), waits); err != nil {
		t.Fatal(err)
	}
	inPhase(t, waits, api.Refused)

	give := func(user, to string, options ...client.PatchOption) error {
		before := claim.DeepCopy()
		before.Spec.Owner = "bob"
		after := before.DeepCopy()
		after.Spec.Owner = to
		return as(t, user).Patch(t.Context(), after, client.MergeFrom(before), options...)
	}
	eventually(t, "the policy on new owners holds", func() bool {
		err := give("alice", "mallory", client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "the stack names no such owner")
	})
	for name, test := range map[string]struct{ user, to, says string }{
		"its owner gives it away":            {"bob", "alice", `spec.owner "alice": only an owner of the namespace gives a claim to somebody else; write "bob", or ask an owner`},
		"a colleague takes it":               {"carol", "carol", "is forbidden: ValidatingAdmissionPolicy"},
		"an owner gives it to somebody else": {"alice", "mallory", `spec.owner "mallory": the stack names no such owner or developer of the tenant; write one of: alice, bob`},
		"an owner gives it to a program":     {"alice", controllerAccount, "the stack names no such owner or developer"},
		"whoever took the controller over":   {"", "alice", "only an owner of the namespace gives a claim"},
		"an owner writes the owner it has":   {"alice", "bob", ""},
		"the owner writes the owner it has ": {"bob", "bob", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if test.user == "" {
				before := claim.DeepCopy()
				after := before.DeepCopy()
				after.Spec.Owner = test.to
				judge(t, cluster.controller.Patch(t.Context(), after, client.MergeFrom(before)), test.says)
				return
			}
			judge(t, give(test.user, test.to), test.says)
		})
	}
	if got := rightsIn(t, claim); got != "owners User bob, secrets User bob" {
		t.Fatalf("it is of %s", got)
	}

	// alice holds as many claims as she may already.
	if err := give("alice", "alice"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is alice's", func() bool { return rightsIn(t, claim) == "owners User alice, secrets User alice" })
	eventually(t, "the namespace says so", func() bool {
		return namespaceOfCluster(t, claim.Status.Namespace).Annotations[api.AnnotationOwner] == "alice"
	})
	inPhase(t, claim, api.Active)
	inPhase(t, waits, api.Active) // bob may have one again

	setSuspended(t, "team-a", "true")
	defer setSuspended(t, "team-a", "")
	judge(t, give("alice", "mallory", client.DryRunAll), `spec.owner "mallory": the tenant is suspended, and everybody a viewer; write "alice" until it is resumed`)
}

// The controller has no rights on Secrets.
func TestWhoeverMayRunPodsInAClaimedNamespaceHasItsSecrets(t *testing.T) {
	startReplica(t)
	newTenant(t, "bob")
	owners := groupOf("bob", "bob") // the stack dev has bob as its owner
	owners.Subjects[0].Kind = rbacv1.UserKind
	apply(t, owners)
	claim := claimFor("bob", "try", "1h")
	apply(t, claim)
	inPhase(t, claim, api.Active)
	secret := func() *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: claim.Status.Namespace, Name: "release"}}
	}
	try := func(user string) error { return as(t, user).Create(t.Context(), secret(), client.DryRunAll) }
	if err := as(t, "alice").Create(t.Context(), secret()); err != nil {
		t.Error(err)
	}
	if err := as(t, "alice").List(t.Context(), &corev1.SecretList{}, client.InNamespace(claim.Status.Namespace)); err != nil {
		t.Error(err)
	}
	for _, user := range []string{"bob", "mallory"} {
		if err := try(user); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v", user, err)
		}
	}
	if err := cluster.controller.Get(t.Context(), client.ObjectKeyFromObject(secret()), &corev1.Secret{}); !apierrors.IsForbidden(err) {
		t.Errorf("the controller: %v", err)
	}
	change(t, claim, func() { claim.Spec.Access = api.AccessTenant })
	eventually(t, "bob, an owner of the tenant, has its Secrets", func() bool { return try("bob") == nil || apierrors.IsAlreadyExists(try("bob")) })
}

// rightsIn returns the subjects of all bindings in the namespace of a claim.
func rightsIn(t *testing.T, claim *api.NamespaceClaim) string {
	t.Helper()
	list := &rbacv1.RoleBindingList{}
	if err := cluster.List(t.Context(), list, client.InNamespace(claim.Status.Namespace)); err != nil {
		t.Fatal(err)
	}
	found := rights{}
	for _, binding := range list.Items {
		found[binding.Name] = binding.Subjects
	}
	return found.written()
}

// change changes a claim that the test has.
func change(t *testing.T, claim *api.NamespaceClaim, how func()) {
	t.Helper()
	before := claim.DeepCopy()
	how()
	if err := cluster.Patch(t.Context(), claim, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// policiesOf applies the admission policies of the stack dev that begin with a prefix until the test ends, and waits until the
// API server has read them.
func policiesOf(t *testing.T, prefix string) {
	t.Helper()
	probe := claimFor("team-a", "probe", "1h")
	holds := func() bool {
		err := as(t, "bob").Create(context.Background(), probe.DeepCopy(), client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "nobody claims in another's name")
	}
	t.Cleanup(func() { eventually(t, "the policies hold no more", func() bool { return !holds() }) })
	for _, kind := range []string{"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"} {
		for name, object := range declared(t, kind) {
			if strings.HasPrefix(name, prefix) {
				apply(t, object)
				t.Cleanup(func() { _ = cluster.Delete(context.Background(), object) })
			}
		}
	}
	eventually(t, "the policies hold", holds)
}

func TestWhoeverLeavesIsLockedOutWhileTheControllerCanDoNothingElse(t *testing.T) {
	startReplica(t)
	newTenant(t, "stuck")
	claim := claimFor("stuck", "try", "1h")
	apply(t, claim)
	inPhase(t, claim, api.Active)
	broken := limitsWith(nil)
	broken.Data["limits.json"] = "nonsense"
	if err := cluster.Update(t.Context(), broken); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Update(context.Background(), limitsWith(nil)) })
	eventually(t, "the claim says so", func() bool {
		return cluster.Get(t.Context(), client.ObjectKeyFromObject(claim), claim) == nil && strings.Contains(claim.Status.Message, "nothing is made or deleted until the limits can be read")
	})
	change(t, claim, func() { claim.Spec.Owner = "bob" })
	eventually(t, "nobody has rights", func() bool { return rightsIn(t, claim) == "" })
}

func TestABindingOfAnAdministratorStaysAndKeepsNoClaimFromEnding(t *testing.T) {
	startReplica(t)
	newTenant(t, "beside")
	claim := claimFor("beside", "try", "1h")
	apply(t, claim)
	inPhase(t, claim, api.Active)
	apply(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: claim.Status.Namespace, Name: viewersBinding},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"}, Subjects: []rbacv1.Subject{userNamed("mallory")}})
	if err := cluster.Delete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the claim's owner is locked out", func() bool { return rightsIn(t, claim) == "viewers User mallory" })
	deleted(t, claim.Status.Namespace)
	gone(t, claim)
}

func TestWhoseTimeIsOverIsLockedOutWhileTheNamespaceIsBeingDeleted(t *testing.T) {
	startReplica(t)
	newTenant(t, "over")
	for name, end := range map[string]func(*api.NamespaceClaim) error{
		"claim": func(claim *api.NamespaceClaim) error { return cluster.Delete(t.Context(), claim) },
		"namespace": func(claim *api.NamespaceClaim) error {
			return cluster.Delete(t.Context(), namespaceOfCluster(t, claim.Status.Namespace))
		},
	} {
		claim := claimFor("over", name, "1h")
		apply(t, claim)
		inPhase(t, claim, api.Active)
		if got := boundTo(t, claim); got != "User alice" {
			t.Fatalf("the namespace belongs to %q", got)
		}
		if err := end(claim); err != nil {
			t.Fatal(err)
		}
		// Nothing finalizes it here, so it is being deleted for as long as this test takes.
		eventually(t, "nobody has rights in it, after its "+name+" was deleted", func() bool { return boundTo(t, claim) == "" })
		if namespaceOfCluster(t, claim.Status.Namespace).DeletionTimestamp == nil {
			inPhase(t, claim, api.Deleting)
		}
	}
}
