package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"example.com/journal/services/namespace-controller/api"
)

// created is when the claim of every test was made.
var created = time.Date(2030, 1, 1, 8, 0, 0, 0, time.UTC)

// newSituation is a claim for eight hours that was just made, in a tenant with room.
func newSituation(changes ...func(*situation)) situation {
	small := &template{
		size:    sizeOf("2", "4Gi"),
		objects: []*unstructured.Unstructured{{Object: map[string]any{}}},
	}
	large := &template{size: sizeOf("8", "16Gi")}
	s := situation{
		now: created.Add(time.Second),
		claim: &api.NamespaceClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "try", UID: "claim-1", Generation: 1, CreationTimestamp: metav1.NewTime(created)},
			Spec:       api.NamespaceClaimSpec{Owner: "alice", Class: "small", TTL: "8h", Purpose: "a try"},
		},
		home: namespaceNamed("team-a", "home-1", map[string]string{api.LabelTenant: "team-a"}),
		limits: limits{
			MaxTTL: metav1.Duration{Duration: 72 * time.Hour}, DefaultTTL: metav1.Duration{Duration: 4 * time.Hour},
			WarnBefore: metav1.Duration{Duration: time.Hour}, ClaimsPerOwner: 2,
			DefaultShare: share{Claims: 4, size: sizeOf("8", "16Gi"), Classes: []string{"large", "small"}},
		},
		members: &members{owners: []rbacv1.Subject{userNamed("alice")}},
		domain:  "localhost",
		classes: map[string]*template{"small": small, "large": large},
	}
	for _, change := range changes {
		change(&s)
	}
	return s
}

func sizeOf(cpu, memory string) size {
	return size{CPU: resource.MustParse(cpu), Memory: resource.MustParse(memory)}
}

func namespaceNamed(name, uid string, labels map[string]string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: types.UID("ns-" + uid), Labels: labels, CreationTimestamp: metav1.NewTime(created.Add(time.Second)),
	}}
}

// at sets the time, counted from the claim's creation.
func at(age time.Duration) func(*situation) { return func(s *situation) { s.now = created.Add(age) } }

// admitted says that the claim was counted, and its end announced.
func admitted(s *situation) {
	s.claim.Finalizers = []string{api.Finalizer}
	s.claim.Status.Namespace = namespaceName(s.claim)
	s.claim.Status.ExpiresAt = &metav1.Time{Time: created.Add(8 * time.Hour)}
	s.claim.Status.Phase = api.Pending
}

// made says that the namespace is there, and that its uid is not in the claim's status yet.
func made(s *situation) {
	admitted(s)
	s.namespace = namespaceNamed(s.claim.Status.Namespace, "1", map[string]string{
		api.LabelTenant: "team-a", api.LabelClaim: s.claim.Name, api.LabelClaimUID: string(s.claim.UID),
	})
}

// active says that the namespace is there and the claim knows it.
func active(s *situation) {
	made(s)
	s.claim.Status.NamespaceUID = string(s.namespace.UID)
	s.claim.Status.Phase = api.Active
}

func ttl(text string) func(*situation) {
	return func(s *situation) { s.claim.Spec.TTL = text }
}

func claimDeleted(s *situation) {
	s.claim.DeletionTimestamp = &metav1.Time{Time: s.now}
}

func namespaceTerminating(s *situation) { s.namespace.DeletionTimestamp = &metav1.Time{Time: s.now} }

func namespaceGone(s *situation) { s.namespace = nil }

func dryRun(s *situation) { s.limits.DryRun = true }

func classVanished(s *situation) { delete(s.classes, "small") }

func limitsBroken(s *situation) { s.limits, s.limitsFault = limits{}, errors.New("maxTTL is nonsense") }

func held(others ...holder) func(*situation) {
	return func(s *situation) { s.holders = append(s.holders, others...) }
}

func TestDecide(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	tests := map[string]struct {
		given   []func(*situation)
		action  action
		phase   api.Phase
		message string        // A part of the message.
		next    time.Duration // From the claim's creation; 0 is none.
		expires time.Duration // From the claim's creation; 0 is none.
	}{
		// The way to a namespace.
		"a claim with room is admitted":              {nil, admit, api.Pending, "is made", 0, 8 * hour},
		"a claim without a ttl gets the default":     {[]func(*situation){ttl("")}, admit, api.Pending, "", 0, 4 * hour},
		"a ttl above the maximum is cut":             {[]func(*situation){ttl("100h")}, admit, api.Pending, "", 0, 72 * hour},
		"an admitted claim gets a namespace":         {[]func(*situation){admitted}, create, api.Pending, "is made", 8 * hour, 8 * hour},
		"a namespace made before a crash is adopted": {[]func(*situation){made}, adopt, api.Pending, "is made", 0, 8 * hour},
		"a namespace gets its policy objects":        {[]func(*situation){active}, enforce, api.Active, "is there until 2030-01-01T16:00:00Z", 7 * hour, 8 * hour},

		// Refusals.
		"an unknown class":               {[]func(*situation){func(s *situation) { s.claim.Spec.Class = "huge" }}, wait, api.Refused, `spec.class "huge": is not one of the stack's classes; write one of: large, small`, 0, 0},
		"a class with a broken template": {[]func(*situation){classVanished, func(s *situation) { s.classFaults = map[string]error{"small": errors.New("ConfigMap x: broken")} }}, wait, api.Refused, "ConfigMap x: broken", 0, 0},
		"a ttl that is none":             {[]func(*situation){ttl("soon")}, wait, api.Refused, `spec.ttl "soon": not a duration`, 0, 0},
		"a ttl below zero":               {[]func(*situation){ttl("-1h")}, wait, api.Refused, `spec.ttl "-1h": not a duration above zero`, 0, 0},
		"a home without a tenant":        {[]func(*situation){func(s *situation) { s.home.Labels = nil }}, wait, api.Refused, `namespace "team-a": not a tenant's`, 0, 0},
		"a home that is gone":            {[]func(*situation){func(s *situation) { s.home = nil }}, wait, api.Refused, `namespace "team-a": not a tenant's`, 0, 0},
		"an owner whom home does not name": {[]func(*situation){membersAre(members{owners: []rbacv1.Subject{groupNamed("leads")}, viewers: []rbacv1.Subject{userNamed("alice")}})}, wait, api.Refused,
			`spec.access "Owner": alice is neither an owner nor a developer of namespace "team-a" by name; write access: Tenant`, 0, 0},
		"an owner whom home does not name, with the tenant": {[]func(*situation){membersAre(members{owners: []rbacv1.Subject{groupNamed("leads")}}), forTenant}, admit, api.Pending, "is made", 0, 8 * hour},
		"a developer whom home names":                       {[]func(*situation){membersAre(members{developers: []rbacv1.Subject{userNamed("alice")}})}, admit, api.Pending, "is made", 0, 8 * hour},
		"members that nobody has asked for yet":             {[]func(*situation){func(s *situation) { s.members = nil }}, admit, api.Pending, "is made", 0, 8 * hour},
		"a home that is claimed":                            {[]func(*situation){func(s *situation) { s.home.Labels[api.LabelClaimUID] = "x" }}, wait, api.Refused, "was itself made for a claim", 0, 0},
		"too many of the owner": {[]func(*situation){held(holder{"team-b/a", "alice", "small", "team-b"}, holder{"team-b/b", "alice", "small", "team-b"})},
			wait, api.Refused, "the number of claims of alice would be 3 with this claim, and the limit is 2", 0, 0},
		"too many of the tenant": {[]func(*situation){func(s *situation) {
			s.limits.Share = map[string]share{"team-a": {Claims: 1, size: sizeOf("99", "99Gi"), Classes: []string{"small"}}}
		},
			held(holder{"team-a/a", "bob", "small", "team-a"})}, wait, api.Refused, "the number of claims of tenant team-a would be 2", 0, 0},
		"too much cpu and memory": {[]func(*situation){held(holder{"team-a/a", "bob", "large", "team-a"})},
			wait, api.Refused, "the cpu of tenant team-a would be 10 with this claim, and the limit is 8; the memory of tenant team-a would be 20Gi", 0, 0},
		"a sum that cannot be made": {[]func(*situation){held(holder{"team-a/a", "bob", "old", "team-a"})},
			wait, api.Refused, `claim team-a/a is of class "old", which is not there any more`, 0, 0},
		"a time that was over before there was room": {[]func(*situation){at(9 * hour)}, wait, api.Refused, "was over at", 0, 0},
		"a refused claim is admitted once there is room": {[]func(*situation){func(s *situation) { s.claim.Status.Phase = api.Refused },
			held(holder{"team-b/a", "bob", "large", "team-b"})}, admit, api.Pending, "", 0, 8 * hour},
		"a share that is used up exactly is not exceeded": {[]func(*situation){func(s *situation) { s.claim.Spec.Class = "large" }}, admit, api.Pending, "", 0, 8 * hour},
		"a refused claim that is deleted goes": {[]func(*situation){func(s *situation) { s.claim.Status.Phase = api.Refused; s.claim.Finalizers = []string{api.Finalizer} }, claimDeleted},
			finish, api.Deleting, "holds no namespace", 0, 0},
		"a share that shrank takes nothing away": {[]func(*situation){active, func(s *situation) { s.limits.DefaultShare = share{}; s.limits.ClaimsPerOwner = 0 }},
			enforce, api.Active, "", 7 * hour, 8 * hour},

		// The end.
		"a moment before the warning":                        {[]func(*situation){active, at(7*hour - time.Nanosecond)}, enforce, api.Active, "", 7 * hour, 8 * hour},
		"at the warning":                                     {[]func(*situation){active, at(7 * hour)}, enforce, api.Expiring, "raise spec.ttl to keep it longer (at most 72h0m0s)", 8 * hour, 8 * hour},
		"a moment before the end it stands":                  {[]func(*situation){active, at(8*hour - time.Nanosecond)}, enforce, api.Expiring, "is deleted with all that it holds at", 8 * hour, 8 * hour},
		"at the end it is deleted":                           {[]func(*situation){active, at(8 * hour)}, remove, api.Deleting, "the claim's time was over at 2030-01-01T16:00:00Z", 0, 8 * hour},
		"long after the end it is deleted":                   {[]func(*situation){active, at(80 * hour)}, remove, api.Deleting, "", 0, 8 * hour},
		"while it ends it waits":                             {[]func(*situation){active, at(8 * hour), namespaceTerminating}, wait, api.Deleting, "is being deleted", 0, 8 * hour},
		"when the namespace is gone the claim goes":          {[]func(*situation){active, at(8 * hour), namespaceGone}, finish, api.Deleting, "its namespace is gone", 0, 8 * hour},
		"a clock that was not heard ends nothing":            {[]func(*situation){active, func(s *situation) { s.now = time.Time{} }}, enforce, api.Active, "", 7 * hour, 8 * hour},
		"a clock that went back ends nothing":                {[]func(*situation){active, at(-100 * hour)}, enforce, api.Active, "", 7 * hour, 8 * hour},
		"a namespace that is not known yet is adopted first": {[]func(*situation){made, at(9 * hour)}, adopt, api.Pending, "", 0, 8 * hour},
		"a claim that never got its namespace just goes":     {[]func(*situation){admitted, at(9 * hour)}, finish, api.Deleting, "", 0, 8 * hour},

		// Edits.
		"an extension moves the end":                   {[]func(*situation){active, at(7*hour + 30*time.Minute), ttl("24h")}, enforce, api.Active, "", 23 * hour, 24 * hour},
		"an extension after the end, before the act":   {[]func(*situation){active, at(9 * hour), ttl("24h")}, enforce, api.Active, "", 23 * hour, 24 * hour},
		"an extension stops at the maximum":            {[]func(*situation){active, at(7 * hour), ttl("1000h")}, enforce, api.Active, `spec.ttl "1000h" is more than the maximum "72h0m0s"`, 71 * hour, 72 * hour},
		"an extension comes too late":                  {[]func(*situation){active, at(9 * hour), ttl("24h"), namespaceTerminating}, wait, api.Deleting, "it is made again, empty", 0, 24 * hour},
		"a shorter ttl moves the end":                  {[]func(*situation){active, at(hour), ttl("4h")}, enforce, api.Active, "", 3 * hour, 4 * hour},
		"a ttl that is over leaves time for a warning": {[]func(*situation){active, at(3 * hour), ttl("1h")}, enforce, api.Expiring, "", 4 * hour, 4 * hour},
		"a ttl shortened near the end changes nothing": {[]func(*situation){active, at(7*hour + 30*time.Minute), ttl("1h")}, enforce, api.Expiring, "", 8 * hour, 8 * hour},
		"a lower maximum leaves time for a warning": {[]func(*situation){active, at(3 * hour), func(s *situation) { s.limits.MaxTTL.Duration = hour }},
			enforce, api.Expiring, "", 4 * hour, 4 * hour},
		"a ttl that became nonsense keeps the end": {[]func(*situation){active, at(3 * hour), ttl("soon")}, enforce, api.Active, "", 7 * hour, 8 * hour},

		// Deletions by others.
		"a deleted claim takes its namespace along":       {[]func(*situation){active, claimDeleted}, remove, api.Deleting, "the claim was deleted", 0, 8 * hour},
		"a deleted claim waits for its namespace":         {[]func(*situation){active, claimDeleted, namespaceTerminating}, wait, api.Deleting, "is being deleted", 0, 8 * hour},
		"a deleted claim goes when its namespace is gone": {[]func(*situation){active, claimDeleted, namespaceGone}, finish, api.Deleting, "", 0, 8 * hour},
		"a deleted claim adopts first":                    {[]func(*situation){made, claimDeleted}, adopt, api.Pending, "", 0, 8 * hour},
		"a deleted claim that others hold is left":        {[]func(*situation){active, claimDeleted, func(s *situation) { s.claim.Finalizers = nil }}, wait, api.Active, "", 0, 8 * hour},
		"a namespace deleted by hand is waited for":       {[]func(*situation){active, namespaceTerminating}, wait, api.Deleting, "is being deleted; it is made again", 0, 8 * hour},
		"a namespace deleted by hand is forgotten":        {[]func(*situation){active, namespaceGone}, forget, api.Pending, "was deleted by somebody else", 0, 8 * hour},

		// Foreign namespaces.
		"the name with another uid label": {[]func(*situation){made, func(s *situation) { s.namespace.Labels[api.LabelClaimUID] = "other" }},
			wait, api.Pending, "is not this claim's, so it is left alone", 8 * hour, 8 * hour},
		"the name without labels": {[]func(*situation){made, func(s *situation) { s.namespace.Labels = nil }}, wait, api.Pending, "left alone", 8 * hour, 8 * hour},
		"forged labels, another uid": {[]func(*situation){active, func(s *situation) { s.namespace.UID = "forged" }},
			wait, api.Pending, "left alone", 8 * hour, 8 * hour},
		"forged labels at the end":         {[]func(*situation){active, at(9 * hour), func(s *situation) { s.namespace.UID = "forged" }}, finish, api.Deleting, "", 0, 8 * hour},
		"forged labels, the claim deleted": {[]func(*situation){active, claimDeleted, func(s *situation) { s.namespace.UID = "forged" }}, finish, api.Deleting, "", 0, 8 * hour},
		"forged labels on another name":    {[]func(*situation){active, claimDeleted, func(s *situation) { s.namespace.Name = "other" }}, finish, api.Deleting, "", 0, 8 * hour},
		"forged labels, older than the claim": {[]func(*situation){made, claimDeleted, func(s *situation) { s.namespace.CreationTimestamp = metav1.NewTime(created.Add(-hour)) }},
			finish, api.Deleting, "", 0, 8 * hour},
		"a label that was taken off protects": {[]func(*situation){active, at(9 * hour), func(s *situation) { delete(s.namespace.Labels, api.LabelClaimUID) }},
			finish, api.Deleting, "", 0, 8 * hour},

		// The class vanishes.
		"a standing namespace stays without its class":    {[]func(*situation){active, classVanished}, bind, api.Active, "its policy objects stay as they are", 7 * hour, 8 * hour},
		"a namespace without a class ends in time":        {[]func(*situation){active, classVanished, at(8 * hour)}, remove, api.Deleting, "", 0, 8 * hour},
		"an admitted claim waits for its class":           {[]func(*situation){admitted, classVanished}, wait, api.Pending, "spec.class", 8 * hour, 8 * hour},
		"a namespace without a class goes with its claim": {[]func(*situation){active, classVanished, claimDeleted}, remove, api.Deleting, "", 0, 8 * hour},

		// Limits that cannot be read.
		"broken limits admit nothing":                 {[]func(*situation){limitsBroken}, wait, api.Pending, "nothing is made or deleted until the limits can be read: maxTTL is nonsense", 0, 0},
		"broken limits end nothing":                   {[]func(*situation){active, at(9 * hour), limitsBroken}, wait, api.Active, "maxTTL", 0, 8 * hour},
		"broken limits delete nothing with the claim": {[]func(*situation){active, claimDeleted, limitsBroken}, wait, api.Active, "", 0, 8 * hour},
		"broken limits do not hold an empty claim": {[]func(*situation){limitsBroken, func(s *situation) { s.claim.Finalizers = []string{api.Finalizer} }, claimDeleted},
			finish, api.Deleting, "", 0, 0},

		// A dry run.
		"a dry run admits nothing":       {[]func(*situation){dryRun}, wait, api.Pending, "dry run, would admit: namespace claim-team-a-try-", 0, 0},
		"a dry run makes nothing":        {[]func(*situation){dryRun, admitted}, wait, api.Pending, "dry run, would create", 8 * hour, 8 * hour},
		"a dry run applies nothing":      {[]func(*situation){dryRun, active}, wait, api.Active, "is there until", 7 * hour, 8 * hour},
		"a dry run deletes nothing":      {[]func(*situation){dryRun, active, at(9 * hour)}, wait, api.Expiring, "dry run, would remove: the claim's time was over", 0, 8 * hour},
		"a dry run keeps the claim":      {[]func(*situation){dryRun, active, at(9 * hour), namespaceGone}, wait, api.Expiring, "dry run, would finish", 0, 8 * hour},
		"a dry run keeps a deleted one":  {[]func(*situation){dryRun, active, claimDeleted}, wait, api.Expiring, "dry run, would remove: the claim was deleted", 0, 8 * hour},
		"a dry run still says who waits": {[]func(*situation){dryRun, ttl("soon")}, wait, api.Refused, "spec.ttl", 0, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSituation(test.given...)
			p := decide(s)
			if p.action != test.action || p.status.Phase != test.phase {
				t.Errorf("decided %s %s, want %s %s", p.action, p.status.Phase, test.action, test.phase)
			}
			if !strings.Contains(p.status.Message, test.message) {
				t.Errorf("says %q, want %q in it", p.status.Message, test.message)
			}
			if got := sinceCreated(p.next); got != test.next {
				t.Errorf("looks again %v after the creation, want %v", got, test.next)
			}
			var expires time.Time
			if p.status.ExpiresAt != nil {
				expires = p.status.ExpiresAt.Time
			}
			if got := sinceCreated(expires); got != test.expires {
				t.Errorf("expires %v after the creation, want %v", got, test.expires)
			}
			// What is decided once is decided again when nothing changed: a status does not flap.
			s.claim.Status = *p.status
			if again := decide(s); test.action == wait && (again.action != wait || again.status.Message != p.status.Message) {
				t.Errorf("decides %s %q on a second look, was %s %q", again.action, again.status.Message, p.action, p.status.Message)
			}
		})
	}
}

func sinceCreated(moment time.Time) time.Duration {
	if moment.IsZero() {
		return 0
	}
	return moment.Sub(created)
}

// TestNoMomentBeforeTheEndDeletes walks a claim through its life in steps, with edits, whatever the clock does.
func TestNoMomentBeforeTheEndDeletes(t *testing.T) {
	t.Parallel()
	s := newSituation(active)
	for _, minute := range []int{0, 60, -600, 419, 420, 479, 1, 300, 479} {
		s.now = created.Add(time.Duration(minute) * time.Minute)
		p := decide(s)
		if p.action != enforce {
			t.Errorf("minute %d: %s", minute, p.action)
		}
		s.claim.Status = *p.status
	}
	at(8 * time.Hour)(&s)
	if p := decide(s); p.action != remove {
		t.Errorf("at the end: %s", p.action)
	}
}

func TestConditionsFollowThePlan(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		given       []func(*situation)
		ready, soon bool
		reason      string
	}{
		"refused":  {[]func(*situation){ttl("soon")}, false, false, reasonRefused},
		"active":   {[]func(*situation){active}, true, false, reasonReady},
		"expiring": {[]func(*situation){active, at(7 * time.Hour)}, true, true, reasonExpiresSoon},
		"over":     {[]func(*situation){active, at(8 * time.Hour)}, false, true, reasonExpired},
		"class vanished under a ready one": {[]func(*situation){active, classVanished, func(s *situation) {
			s.claim.Status.Conditions = []metav1.Condition{{Type: api.ConditionReady, Status: metav1.ConditionTrue}}
		}}, true, false, reasonClassGone},
		"class vanished before the policy objects were applied": {[]func(*situation){active, classVanished}, false, false, reasonClassGone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSituation(test.given...)
			p := decide(s)
			p.conditions(s.now)
			ready := meta.FindStatusCondition(p.status.Conditions, api.ConditionReady)
			if got := ready.Status == metav1.ConditionTrue; got != test.ready || ready.Reason != test.reason {
				t.Errorf("Ready is %v because %s, want %v because %s", ready.Status, ready.Reason, test.ready, test.reason)
			}
			if got := meta.IsStatusConditionTrue(p.status.Conditions, api.ConditionExpiresSoon); got != test.soon {
				t.Errorf("ExpiresSoon is %v, want %v", got, test.soon)
			}
		})
	}
}

func TestNamespaceNames(t *testing.T) {
	t.Parallel()
	name := func(namespace, claim, uid string) string {
		return namespaceName(&api.NamespaceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: claim, UID: types.UID(uid)}})
	}
	first, second := name("team-a", "try", "1"), name("team-a", "try", "2")
	if first == second || !strings.HasPrefix(first, "claim-team-a-try-") || len(first) != len("claim-team-a-try-")+5 {
		t.Errorf("two claims of one name get %q and %q", first, second)
	}
	long := strings.Repeat("a", 63)
	if a, b := name(long, "try", "1"), name(long, "try", "2"); len(a) != 63 || a == b {
		t.Errorf("cut to %q and %q", a, b)
	}
	if got := name(strings.Repeat("a", 50), "try", "1"); strings.Contains(got, "--") {
		t.Errorf("%q has two hyphens where it was cut", got)
	}
}
