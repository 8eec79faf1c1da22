package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"

	"example.com/journal/services/namespace-controller/api"
)

func groupNamed(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}
}

// membersAre says who has a role in the claim's namespace.
func membersAre(m members) func(*situation) { return func(s *situation) { s.members = &m } }

// forTenant says that the claim is for the tenant.
func forTenant(s *situation) { s.claim.Spec.Access = api.AccessTenant }

// written is how the tests write rights.
func (g rights) written() string {
	var parts []string
	for _, binding := range claimedBindings {
		for _, subject := range g[binding.name] {
			parts = append(parts, fmt.Sprintf("%s %s %s", binding.name, subject.Kind, subject.Name))
		}
	}
	return strings.Join(parts, ", ")
}

func TestWhoHasRightsInAClaimedNamespace(t *testing.T) {
	t.Parallel()
	alice, bob, vera, leads, devs := userNamed("alice"), userNamed("bob"), userNamed("vera"), groupNamed("leads"), groupNamed("devs")
	list := func(subjects ...rbacv1.Subject) []rbacv1.Subject { return subjects }
	team := members{owners: list(alice, leads), developers: list(bob, devs), viewers: list(vera)}
	const ofAlice = "owners User alice, secrets User alice"
	tests := map[string]struct {
		members *members
		owner   string
		access  api.Access
		want    string
	}{
		"an owner":                            {&team, "alice", api.AccessOwner, ofAlice},
		"a developer":                         {&team, "bob", api.AccessOwner, "owners User bob, secrets User bob"},
		"an owner of a claim before access":   {&team, "alice", "", ofAlice},
		"a viewer":                            {&team, "vera", api.AccessOwner, ""},
		"somebody who left":                   {&team, "mallory", api.AccessOwner, ""},
		"a user with the name of a group":     {&team, "leads", api.AccessOwner, ""},
		"members that nobody asked for":       {nil, "alice", api.AccessTenant, ""},
		"nobody is left":                      {&members{}, "alice", api.AccessTenant, ""},
		"the tenant, by one of its owners":    {&team, "alice", api.AccessTenant, "owners User alice, owners Group leads, developers User bob, developers Group devs, viewers User vera, secrets User alice, secrets User bob, secrets Group devs, secrets Group leads"},
		"the tenant, by one of a group":       {&team, "carol", api.AccessTenant, "owners User alice, owners Group leads, developers User bob, developers Group devs, viewers User vera, secrets User alice, secrets User bob, secrets Group devs, secrets Group leads"},
		"the tenant, by a developer":          {&team, "bob", api.AccessTenant, "owners User alice, owners User bob, owners Group leads, developers Group devs, viewers User vera, secrets User alice, secrets User bob, secrets Group devs, secrets Group leads"},
		"the tenant, by a viewer":             {&team, "vera", api.AccessTenant, "owners User alice, owners Group leads, developers User bob, developers Group devs, viewers User vera, secrets User alice, secrets User bob, secrets Group devs, secrets Group leads"},
		"a tenant that is suspended":          {&members{viewers: list(alice, bob)}, "alice", api.AccessTenant, "viewers User alice, viewers User bob"},
		"a member who is named twice":         {&members{owners: list(alice, alice), developers: list(bob, bob)}, "alice", api.AccessTenant, "owners User alice, developers User bob, secrets User alice, secrets User bob"},
		"an owner who is a developer as well": {&members{owners: list(alice), developers: list(alice)}, "alice", api.AccessTenant, ofAlice},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claim := newSituation().claim
			claim.Spec.Owner, claim.Spec.Access = test.owner, test.access
			for range 2 { // what was read is not changed
				if got := test.members.rightsOf(claim).written(); got != test.want {
					t.Errorf("they are\n%s, want\n%s", got, test.want)
				}
			}
		})
	}
}

func TestWhoeverIsOutIsLockedOutFirst(t *testing.T) {
	t.Parallel()
	leaves := membersAre(members{})
	grouped := membersAre(members{owners: []rbacv1.Subject{groupNamed("oidc:team-a")}})
	handedOver := func(s *situation) {
		s.claim.Spec.Owner = "bob"
		s.members.developers = []rbacv1.Subject{userNamed("bob")}
	}
	const alice, bob, group = "owners User alice, secrets User alice", "owners User bob, secrets User bob", "owners Group oidc:team-a, secrets Group oidc:team-a"
	tests := map[string]struct {
		given    []func(*situation)
		takeAway bool
		rights   string
		action   action
	}{
		"an owner of a namespace that stands":                {[]func(*situation){active}, true, alice, enforce},
		"a claim that was given away":                        {[]func(*situation){active, handedOver}, true, bob, enforce},
		"a claim that was given away and its class is gone":  {[]func(*situation){active, handedOver, classVanished}, true, bob, bind},
		"a claim that was given away, without limits":        {[]func(*situation){active, handedOver, limitsBroken}, true, bob, wait},
		"a group, with access for the tenant":                {[]func(*situation){active, grouped, forTenant}, true, group, enforce},
		"a group, with access for the owner":                 {[]func(*situation){active, grouped}, true, "", enforce},
		"nobody is left":                                     {[]func(*situation){active, leaves}, true, "", enforce},
		"nobody is left and the class is gone":               {[]func(*situation){active, leaves, classVanished}, true, "", bind},
		"nobody is left and the limits cannot be read":       {[]func(*situation){active, leaves, limitsBroken}, true, "", wait},
		"the time is over":                                   {[]func(*situation){active, at(8 * time.Hour)}, true, "", remove},
		"the time of the tenant is over":                     {[]func(*situation){active, grouped, forTenant, at(8 * time.Hour)}, true, "", remove},
		"the claim is deleted":                               {[]func(*situation){active, claimDeleted}, true, "", remove},
		"the namespace is being deleted at its end":          {[]func(*situation){active, claimDeleted, namespaceTerminating}, true, "", wait},
		"the namespace is being deleted by somebody else":    {[]func(*situation){active, namespaceTerminating}, true, "", wait},
		"it is being deleted and the limits cannot be read":  {[]func(*situation){active, namespaceTerminating, limitsBroken}, true, "", wait},
		"in a dry run everybody stays":                       {[]func(*situation){dryRun, active, leaves, claimDeleted}, false, "", wait},
		"a foreign namespace is left alone":                  {[]func(*situation){active, leaves, func(s *situation) { s.namespace.UID = "forged" }}, false, "", wait},
		"a foreign namespace is left alone at the end":       {[]func(*situation){active, claimDeleted, func(s *situation) { s.namespace.UID = "forged" }}, false, "", finish},
		"a namespace that is gone":                           {[]func(*situation){active, claimDeleted, namespaceGone}, false, "", finish},
		"a namespace without its uid is adopted before that": {[]func(*situation){made}, true, alice, adopt},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := decide(newSituation(test.given...))
			if p.takeAway != test.takeAway || p.rights.written() != test.rights || p.action != test.action {
				t.Errorf("%s, takes rights away %t but of %q; want %s, %t, %q", p.action, p.takeAway, p.rights.written(), test.action, test.takeAway, test.rights)
			}
		})
	}
}

func TestAClaimThatIsNobodysSaysWhoCanTakeItOver(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*situation){
		"a member who was removed": membersAre(members{owners: []rbacv1.Subject{userNamed("carol")}}),
		"a member of a group only": membersAre(members{owners: []rbacv1.Subject{groupNamed("leads")}}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const want = `; alice is neither an owner nor a developer of namespace "team-a" by name, so nobody has rights in this one; ` +
				`an owner of namespace "team-a" may take it over: write spec.owner, or access: Tenant`
			if message := decide(newSituation(active, change)).status.Message; !strings.HasSuffix(message, want) {
				t.Error(message)
			}
			if message := decide(newSituation(active, change, forTenant)).status.Message; strings.Contains(message, "nobody") {
				t.Error(message)
			}
		})
	}
}
