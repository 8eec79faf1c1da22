package main

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"example.com/journal/services/namespace-controller/api"
)

// tenantSuspended says that the tenant is suspended, and namespaceSuspended that the claimed namespace has its label.
func tenantSuspended(s *situation) { s.home.Labels[api.LabelSuspended] = "true" }

func namespaceSuspended(s *situation) { s.namespace.Labels[api.LabelSuspended] = "true" }

func TestAClaimOfASuspendedTenantNeitherBeginsNorEnds(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	tests := map[string]struct {
		given   []func(*situation)
		action  action
		phase   api.Phase
		message string
		expires time.Duration
	}{
		"a new claim is refused":                {[]func(*situation){tenantSuspended}, wait, api.Refused, `tenant "team-a": is suspended, so it gets no namespace; ask who runs the cluster`, 0},
		"an admitted claim gets its namespace":  {[]func(*situation){admitted, tenantSuspended}, create, api.Pending, "is made", 8 * hour},
		"a namespace is stopped":                {[]func(*situation){active, tenantSuspended}, enforce, api.Active, "is suspended with tenant team-a: nothing runs in it", 8 * hour},
		"no warning is given":                   {[]func(*situation){active, tenantSuspended, namespaceSuspended, at(7 * hour)}, enforce, api.Active, "it does not end", 8 * hour},
		"the end passes":                        {[]func(*situation){active, tenantSuspended, namespaceSuspended, at(80 * hour)}, enforce, api.Active, "it does not end", 8 * hour},
		"the end passes before it is stopped":   {[]func(*situation){active, tenantSuspended, at(80 * hour)}, enforce, api.Active, "it does not end", 8 * hour},
		"the end passes without its class":      {[]func(*situation){active, classVanished, tenantSuspended, namespaceSuspended, at(80 * hour)}, bind, api.Active, "its policy objects stay as they are", 8 * hour},
		"a deleted claim goes":                  {[]func(*situation){active, tenantSuspended, namespaceSuspended, claimDeleted}, remove, api.Deleting, "the claim was deleted", 8 * hour},
		"a deleted claim goes after its end":    {[]func(*situation){active, tenantSuspended, at(80 * hour), claimDeleted}, remove, api.Deleting, "the claim was deleted", 8 * hour},
		"nothing is stopped in a dry run":       {[]func(*situation){dryRun, active, tenantSuspended}, wait, api.Active, "", 8 * hour},
		"it is resumed long before its end":     {[]func(*situation){active, namespaceSuspended, at(2 * hour)}, enforce, api.Active, "is there until 2030-01-01T16:00:00Z", 8 * hour},
		"it is resumed long after its end":      {[]func(*situation){active, namespaceSuspended, at(80 * hour)}, resume, api.Active, "the tenant is resumed; namespace claim-team-a-try", 81*hour + time.Second},
		"it is resumed a moment before its end": {[]func(*situation){active, namespaceSuspended, at(8*hour - time.Second)}, resume, api.Active, "is resumed", 9 * hour},
		"it is resumed with most of a warning":  {[]func(*situation){active, namespaceSuspended, at(7*hour + 10*time.Minute)}, enforce, api.Expiring, "is deleted with all that it holds", 8 * hour},
		"it is resumed and extended meanwhile":  {[]func(*situation){active, namespaceSuspended, at(9 * hour), ttl("24h")}, enforce, api.Active, "is there until", 24 * hour},
		"a deleted claim goes when resumed":     {[]func(*situation){active, namespaceSuspended, at(80 * hour), claimDeleted}, remove, api.Deleting, "the claim was deleted", 8 * hour},
		"a foreign namespace is not resumed": {[]func(*situation){active, namespaceSuspended, at(80 * hour), func(s *situation) { s.namespace.UID = "forged" }},
			finish, api.Deleting, "its namespace is gone", 8 * hour},
		"a namespace whose tenant is gone is not resumed": {[]func(*situation){active, namespaceSuspended, at(80 * hour), func(s *situation) { s.home = nil }},
			remove, api.Deleting, "time was over", 8 * hour},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSituation(test.given...)
			p := decide(s)
			if p.action != test.action || p.status.Phase != test.phase || !strings.Contains(p.status.Message, test.message) {
				t.Errorf("decided %s %s %q, want %s %s %q", p.action, p.status.Phase, p.status.Message, test.action, test.phase, test.message)
			}
			if p.status.ExpiresAt == nil && test.expires != 0 || p.status.ExpiresAt != nil && sinceCreated(p.status.ExpiresAt.Time) != test.expires {
				t.Errorf("expires at %v, want %v after the creation", p.status.ExpiresAt, test.expires)
			}
			if isSuspended(s.home) && !p.next.IsZero() {
				t.Errorf("looks again at %v; it would look without end once that has passed", p.next)
			}
		})
	}
}

// However long a tenant was suspended, its claims end only after a warning, and the end is moved once.
func TestAResumedClaimIsWarnedBeforeItEnds(t *testing.T) {
	t.Parallel()
	s := newSituation(active, namespaceSuspended, at(500*time.Hour))
	p := decide(s)
	if p.action != resume {
		t.Fatalf("decided %s", p.action)
	}
	s.claim.Status = *p.status
	for _, later := range []time.Duration{time.Millisecond, time.Second, 20 * time.Minute} {
		at(500*time.Hour + later)(&s)
		if p = decide(s); p.action != enforce || p.status.Phase != api.Expiring {
			t.Errorf("after %v: %s %s", later, p.action, p.status.Phase)
		}
	}
	delete(s.namespace.Labels, api.LabelSuspended) // enforced
	at(501*time.Hour - time.Second)(&s)
	if p = decide(s); p.action != enforce {
		t.Errorf("before the warning was over: %s", p.action)
	}
	at(501*time.Hour + 2*time.Second)(&s)
	if p = decide(s); p.action != remove {
		t.Errorf("when the warning is over: %s", p.action)
	}
}

// lowered are the members as the stack binds them in a suspended tenant: alice owned it, and bob developed there.
func lowered(s *situation) {
	alice, bob := userNamed("alice"), userNamed("bob")
	s.members = &members{viewers: []rbacv1.Subject{alice, bob, userNamed("vera")}, lowered: []rbacv1.Subject{alice, bob}}
}

func ownedBy(user string) func(*situation) { return func(s *situation) { s.claim.Spec.Owner = user } }

func TestASuspendedNamespaceIsReadByWhoHadIt(t *testing.T) {
	t.Parallel()
	team := membersAre(members{owners: []rbacv1.Subject{userNamed("alice"), groupNamed("leads")}, developers: []rbacv1.Subject{userNamed("bob")}})
	const hers, everybody = "owners User alice, secrets User alice", "viewers User alice, viewers User bob, viewers User vera"
	tests := map[string]struct {
		given []func(*situation)
		want  string
	}{
		"one that stands":                                 {[]func(*situation){active}, hers},
		"one that is suspended":                           {[]func(*situation){active, tenantSuspended, lowered}, "viewers User alice"},
		"a developer's":                                   {[]func(*situation){active, tenantSuspended, lowered, ownedBy("bob")}, "viewers User bob"},
		"of somebody who was a viewer before":             {[]func(*situation){active, tenantSuspended, lowered, ownedBy("vera")}, ""},
		"of somebody who has left":                        {[]func(*situation){active, tenantSuspended, lowered, ownedBy("mallory")}, ""},
		"the tenant's":                                    {[]func(*situation){active, tenantSuspended, lowered, forTenant}, everybody},
		"before the tenant's bindings say so":             {[]func(*situation){active, tenantSuspended, team}, "viewers User alice"},
		"the tenant's, before its bindings say so":        {[]func(*situation){active, tenantSuspended, team, forTenant}, "viewers User alice, viewers User bob, viewers Group leads"},
		"while the class is gone":                         {[]func(*situation){active, tenantSuspended, lowered, classVanished}, "viewers User alice"},
		"while the limits cannot be read":                 {[]func(*situation){active, tenantSuspended, lowered, limitsBroken}, "viewers User alice"},
		"one that is resumed":                             {[]func(*situation){active, namespaceSuspended}, hers},
		"one that is resumed, before the bindings say so": {[]func(*situation){active, namespaceSuspended, lowered}, "viewers User alice"},
		"one whose claim is deleted":                      {[]func(*situation){active, tenantSuspended, lowered, claimDeleted}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if p := decide(newSituation(test.given...)); p.rights.written() != test.want || !p.takeAway {
				t.Errorf("rights are %q, and all others' are taken away %t; want %q", p.rights.written(), p.takeAway, test.want)
			}
		})
	}
}

func TestASuspendedNamespaceThatIsNobodysIsTakenOverWhenItIsResumed(t *testing.T) {
	t.Parallel()
	const want = "so nobody has rights in this one; an owner of namespace \"team-a\" may take it over when the tenant is resumed: write spec.owner"
	if says := decide(newSituation(active, tenantSuspended, lowered, ownedBy("mallory"))).status.Message; !strings.Contains(says, want) {
		t.Error(says)
	}
	if says := decide(newSituation(active, tenantSuspended, lowered)).status.Message; strings.Contains(says, "nobody") {
		t.Error(says)
	}
}

// The admission policies let nobody become the owner meanwhile, and a namespace that cannot be written would not be stopped.
func TestASuspendedNamespaceKeepsTheOwnerThatItSays(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		given []func(*situation)
		want  string
	}{
		"suspended":                       {[]func(*situation){active, tenantSuspended}, "alice"},
		"resumed":                         {[]func(*situation){active, namespaceSuspended}, "bob"},
		"suspended before it is made":     {[]func(*situation){admitted, tenantSuspended}, "bob"},
		"suspended, and it says no owner": {[]func(*situation){active, tenantSuspended, func(s *situation) { delete(s.namespace.Annotations, api.AnnotationOwner) }}, "bob"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSituation(ownedBy("bob"))
			for _, change := range test.given {
				change(&s)
				if s.namespace != nil && s.namespace.Annotations == nil {
					s.namespace.Annotations = map[string]string{api.AnnotationOwner: "alice"}
				}
			}
			if got := namespaceOf(&s, decide(s)).GetAnnotations()[api.AnnotationOwner]; got != test.want {
				t.Errorf("it says %q, want %q", got, test.want)
			}
		})
	}
}

func TestTheQuotaOfASuspendedNamespaceHasNoPods(t *testing.T) {
	t.Parallel()
	quota := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ResourceQuota", "metadata": map[string]any{"name": "tenant"},
		"spec": map[string]any{"hard": map[string]any{"pods": "20", "count/pods": "40", "services": "10"}},
	}}
	hardOf := func(s situation) map[string]string {
		s.stopped = map[string]any{"pods": "0", "count/pods": "0"}
		hard, _, _ := unstructured.NestedStringMap(s.inNamespace(quota).Object, "spec", "hard")
		return hard
	}
	if hard := hardOf(newSituation(active, tenantSuspended)); hard["pods"] != "0" || hard["count/pods"] != "0" || hard["services"] != "10" {
		t.Errorf("suspended: %v", hard)
	}
	if hard := hardOf(newSituation(active, namespaceSuspended)); hard["pods"] != "20" || hard["count/pods"] != "40" {
		t.Errorf("resumed: %v", hard)
	}
}

func TestAQuotaIsStoppedWhenItHasNoPods(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		spec, status string
		want         bool
	}{{"0", "0", true}, {"0", "20", false}, {"20", "0", false}, {"", "", false}, {"0", "", false}, {"20", "20", false}} {
		t.Run(test.spec+" of which the API server knows "+test.status, func(t *testing.T) {
			t.Parallel()
			list := func(text string) corev1.ResourceList {
				if text == "" {
					return nil
				}
				return corev1.ResourceList{corev1.ResourcePods: resource.MustParse(text)}
			}
			quota := &corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: list(test.spec)}, Status: corev1.ResourceQuotaStatus{Hard: list(test.status)}}
			if got := isStopped(quota); got != test.want {
				t.Errorf("%t, want %t", got, test.want)
			}
		})
	}
}

// The names that the controller and the stack must share.
func TestTheStackSuspendsWithTheNamesThatTheControllerReads(t *testing.T) {
	t.Parallel()
	config := declaredAs[corev1.ConfigMap](t, "ConfigMap", limitsName)
	stopped, err := parseSuspended(config)
	if err != nil || stopped["pods"] != "0" || len(stopped) < 2 {
		t.Errorf("a suspended namespace has %v, %v", stopped, err)
	}
	for _, policy := range []string{"journal-controller-namespaces", "journal-controller-pods"} {
		if says := expressionsOf(t, policy); !strings.Contains(says, `"`+api.LabelSuspended+`"`) {
			t.Errorf("policy %s does not know the label", policy)
		}
	}
	bindings := map[string]bool{}
	for name := range declared(t, "RoleBinding") {
		bindings[name] = true
	}
	if !bindings["owners"] || !bindings["developers"] || declared(t, "ClusterRole")[viewerRole] == nil || declared(t, "ResourceQuota")[quotaName] == nil {
		t.Errorf("the stack has the bindings %v", bindings)
	}
}
