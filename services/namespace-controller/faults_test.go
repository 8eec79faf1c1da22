//go:build e2e

package main

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"example.com/journal/services/namespace-controller/api"
)

func TestForeignNamespacesWithForgedLabelsSurvive(t *testing.T) {
	startReplica(t)
	newTenant(t, "forged")
	claim := claimFor("forged", "try", "")
	apply(t, claim)
	inPhase(t, claim, api.Active)
	labels := namespaceOfCluster(t, claim.Status.Namespace).Labels
	apply(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "forged-elsewhere", Labels: labels}})

	// The namespace itself is deleted by hand while no controller runs, and one with its name and labels takes its place.
	other := claimFor("forged", "replaced", "")
	apply(t, other)
	inPhase(t, other, api.Active)
	name := other.Status.Namespace
	stolen := namespaceOfCluster(t, name).Labels
	if err := cluster.Update(t.Context(), limitsWith(map[string]any{"dryRun": true})); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Delete(t.Context(), namespaceOfCluster(t, name)); err != nil {
		t.Fatal(err)
	}
	deleted(t, name)
	apply(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: stolen}})
	if err := cluster.Update(t.Context(), limitsWith(nil)); err != nil {
		t.Fatal(err)
	}

	for _, c := range []*api.NamespaceClaim{claim, other} {
		if err := cluster.Delete(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	deleted(t, claim.Status.Namespace)
	gone(t, claim)
	for _, name := range []string{"forged-elsewhere", name} {
		if stamp := namespaceOfCluster(t, name).DeletionTimestamp; stamp != nil {
			t.Errorf("namespace %s was deleted at %v", name, stamp)
		}
	}
}

func TestTheDefinitionRefusesBadClaims(t *testing.T) {
	newTenant(t, "rules")
	good := claimFor("rules", "good", "1h30m")
	apply(t, good)
	for name, test := range map[string]struct {
		change func(*api.NamespaceClaim)
		want   string
	}{
		"no owner":       {func(c *api.NamespaceClaim) { c.Spec.Owner = "" }, "spec.owner"},
		"no class":       {func(c *api.NamespaceClaim) { c.Spec.Class = "" }, "spec.class"},
		"no purpose":     {func(c *api.NamespaceClaim) { c.Spec.Purpose = "" }, "spec.purpose"},
		"no duration":    {func(c *api.NamespaceClaim) { c.Spec.TTL = "tomorrow" }, `not a duration above zero in hours, minutes and seconds; write "8h" or "1h30m"`},
		"another access": {func(c *api.NamespaceClaim) { c.Spec.Access = "Everybody" }, "spec.access"},
		"zero":           {func(c *api.NamespaceClaim) { c.Spec.TTL = "0h" }, "not a duration above zero"},
		"negative":       {func(c *api.NamespaceClaim) { c.Spec.TTL = "-8h" }, "not a duration above zero"},
		"a long name":    {func(c *api.NamespaceClaim) { c.Name = strings.Repeat("a", 41) }, "not a short DNS label"},
		"a dotted one":   {func(c *api.NamespaceClaim) { c.Name = "a.b" }, "not a short DNS label"},
	} {
		t.Run(name, func(t *testing.T) {
			claim := claimFor("rules", "bad", "8h")
			test.change(claim)
			if err := cluster.Create(t.Context(), claim); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("says %v, want %q in it", err, test.want)
			}
		})
	}
	for name, change := range map[string]func(*api.NamespaceClaim){
		"class": func(c *api.NamespaceClaim) { c.Spec.Class = "large" },
	} {
		t.Run("another "+name, func(t *testing.T) {
			claim := good.DeepCopy()
			change(claim)
			if err := cluster.Patch(t.Context(), claim, client.MergeFrom(good)); err == nil || !strings.Contains(err.Error(), "spec."+name) ||
				!strings.Contains(err.Error(), "cannot be changed; delete the claim") {
				t.Errorf("says %v", err)
			}
		})
	}
}

func TestTwoReplicasDoNotFightAndAKilledLeaderLosesNothing(t *testing.T) {
	first := startReplica(t)
	newTenant(t, "crash")
	leads := func(r *replica) bool { return strings.Contains(r.text(), "Starting workers") }
	eventually(t, "the first leads", func() bool { return leads(first) })
	second := startReplica(t)

	const claims = 20
	for i := range claims {
		apply(t, claimFor("crash", fmt.Sprintf("try-%d", i), ""))
		if i == claims/2 {
			if leads(second) {
				t.Error("both lead")
			}
			_ = first.end(syscall.SIGKILL)
		}
	}
	owned := map[string]string{}
	eventually(t, "every claim has its namespace", func() bool {
		list := &api.NamespaceClaimList{}
		if err := cluster.List(t.Context(), list, client.InNamespace("crash")); err != nil {
			t.Fatal(err)
		}
		clear(owned)
		for _, claim := range list.Items {
			if claim.Status.Phase == api.Active {
				owned[claim.Status.Namespace] = claim.Status.NamespaceUID
			}
		}
		return len(owned) == claims
	})
	namespaces := &corev1.NamespaceList{}
	if err := cluster.List(t.Context(), namespaces, client.MatchingLabels{api.LabelTenant: "crash"}, client.HasLabels{api.LabelClaimUID}); err != nil {
		t.Fatal(err)
	}
	if len(namespaces.Items) != claims {
		t.Errorf("%d namespaces for %d claims", len(namespaces.Items), claims)
	}
	for _, namespace := range namespaces.Items {
		if owned[namespace.Name] != string(namespace.UID) {
			t.Errorf("namespace %s is nobody's", namespace.Name)
		}
	}
	t.Logf("the leader was killed with %d claims decided", strings.Count(first.text(), `"action":"enforce"`))
}

func TestItIsHealthyAndGivesTheLeaseBack(t *testing.T) {
	const address = "127.0.0.1:18481"
	r := startReplica(t, "--health-address="+address)
	for _, path := range []string{"/healthz", "/readyz"} {
		eventually(t, path+" is 200", func() bool {
			response, err := http.Get("http://" + address + path)
			if err != nil {
				return false
			}
			_ = response.Body.Close()
			return response.StatusCode == http.StatusOK
		})
	}
	eventually(t, "it leads", func() bool { return strings.Contains(r.text(), "Starting workers") })
	if err := r.end(syscall.SIGTERM); err != nil {
		t.Errorf("ended with %v", err)
	}
	lease := &coordinationv1.Lease{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: platform, Name: controllerName}, lease); err != nil {
		t.Fatal(err)
	}
	if lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "" {
		t.Errorf("%s still holds the lease", *lease.Spec.HolderIdentity)
	}
}
