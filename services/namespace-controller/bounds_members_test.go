//go:build e2e

package main

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The stack dev has alice as the owner of team-a and bob as a developer, and the group platform as the owner of the journal.
func TestWhoeverTakesTheControllerOverGivesRightsToMembersOfTheTenantOnly(t *testing.T) {
	team, journal, nobodys := claimedNamespace("claim-team-a-given-abcde", "team-a"), claimedNamespace("claim-journal-given-abcde", "journal"), claimedNamespace("claim-unknown-given-abcde", "unknown")
	apply(t, team)
	apply(t, journal)
	apply(t, nobodys)
	apply(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: team.Name, Name: ownerRole}})
	const outside, other = "the controller gives rights to members of the tenant by their roles in the stack", "the controller writes the bindings owners, developers, viewers, secrets, each of its own role, and no other"
	roles := map[string]string{"more": ownerRole, "cluster-admin": "cluster-admin"}
	for _, binding := range claimedBindings {
		roles[binding.name] = binding.role
	}
	const alice, bob, carol = "User alice", "User bob", "User carol"
	for name, test := range map[string]struct{ namespace, binding, kind, role, subjects, says string }{
		"nobody":                             {team.Name, "owners", "", "", "", ""},
		"an owner as owner":                  {team.Name, "owners", "", "", alice, ""},
		"a developer as owner":               {team.Name, "owners", "", "", bob, ""},
		"an owner and a developer as owners": {team.Name, "owners", "", "", alice + ", " + bob, ""},
		"the group of the owners":            {journal.Name, "owners", "", "", "Group platform", ""},
		"an owner as developer":              {team.Name, "developers", "", "", alice + ", " + bob, ""},
		"members as viewers":                 {team.Name, "viewers", "", "", alice + ", " + bob, ""},
		"members with Secrets":               {team.Name, "secrets", "", "", alice + ", " + bob, ""},
		"a group with Secrets":               {journal.Name, "secrets", "", "", "Group platform", ""},

		"somebody else":                              {team.Name, "owners", "", "", carol, outside + "; take away, or add to the stack's tenant: User carol"},
		"somebody else beside an owner":              {team.Name, "owners", "", "", alice + ", " + carol, outside},
		"a stranger as viewer":                       {team.Name, "viewers", "", "", carol, outside},
		"a stranger with Secrets":                    {team.Name, "secrets", "", "", carol, outside},
		"another tenant's group":                     {team.Name, "owners", "", "", "Group platform", outside},
		"an owner's name as a group":                 {team.Name, "owners", "", "", "Group alice", outside},
		"a group's name as a user":                   {journal.Name, "owners", "", "", "User platform", outside},
		"everybody":                                  {team.Name, "viewers", "", "", "Group system:authenticated", outside},
		"the controller as a user":                   {team.Name, "owners", "", "", "User " + controllerAccount, outside},
		"a service account":                          {team.Name, "developers", "", "", "ServiceAccount alice", outside},
		"in a tenant that the stack does not have":   {nobodys.Name, "viewers", "", "", "User bob", outside},
		"a binding of another name":                  {team.Name, "more", "", "", alice, other},
		"a binding with a role of the cluster":       {team.Name, "cluster-admin", "", "", alice, "attempting to grant RBAC permissions not currently held"},
		"the viewers' binding with the owners' role": {team.Name, "viewers", "", ownerRole, alice, other},
		"a binding without a name":                   {team.Name, "", "", ownerRole, alice, other},
		"a Role of the same name":                    {team.Name, "owners", "Role", ownerRole, alice, other},
		"in a tenant's namespace":                    {"default", "owners", "", "", alice, "writes only in namespaces with the label"},
	} {
		t.Run(name, func(t *testing.T) {
			role, kind := test.role, test.kind
			if role == "" {
				role = roles[test.binding]
			}
			if kind == "" {
				kind = "ClusterRole"
			}
			binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: test.namespace, Name: test.binding},
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role}}
			if test.binding == "" {
				binding.GenerateName = "owners"
			}
			for text := range strings.SplitSeq(test.subjects, ", ") {
				kind, name, written := strings.Cut(text, " ")
				if !written {
					continue
				}
				subject := rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
				if kind == rbacv1.ServiceAccountKind {
					subject.APIGroup, subject.Namespace = "", test.namespace
				}
				binding.Subjects = append(binding.Subjects, subject)
			}
			judge(t, cluster.controller.Create(t.Context(), binding, client.DryRunAll), test.says)
		})
	}
}

// Two developers, neither of whom is an owner of the tenant, are more than the owner of one claim.
func TestWhoeverTakesTheControllerOverMakesOneDeveloperAnOwner(t *testing.T) {
	namespace := claimedNamespace("claim-bob-given-abcde", "bob") // alice is a developer there for the tests
	apply(t, namespace)
	for subjects, says := range map[string]string{"alice": "", "alice alice": "gives rights to members", "bob alice": ""} {
		t.Run(subjects, func(t *testing.T) {
			binding := bindingIn(namespace.Name, ownersBinding, ownerRole, nil)
			var list []any
			for name := range strings.FieldsSeq(subjects) {
				list = append(list, map[string]any{"apiGroup": rbacv1.GroupName, "kind": "User", "name": name})
			}
			binding.Object["subjects"] = list
			judge(t, cluster.controller.Create(t.Context(), binding, client.DryRunAll), says)
		})
	}
}
