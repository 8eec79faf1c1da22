//go:build e2e

package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"example.com/journal/services/namespace-controller/api"
)

// longestDelay is how long the claims of one tenant, however many, may delay one of another tenant, which takes so long alone. A slow
// machine takes longer for both.
func longestDelay(alone time.Duration) time.Duration { return 5*time.Second + 20*alone }

func TestManyClaimsOfOneTenantDoNotDelayAnothers(t *testing.T) {
	startReplica(t)
	newTenant(t, "quiet")
	newTenant(t, "noisy")
	warm := claimFor("quiet", "warm", "")
	apply(t, warm)
	inPhase(t, warm, api.Active)
	delay := func(name string) time.Duration {
		claim := claimFor("quiet", name, "")
		claim.Spec.Owner, claim.Spec.Access = name, api.AccessTenant
		start := time.Now()
		apply(t, claim)
		for claim.Status.Phase != api.Active {
			if time.Since(start) > 3*time.Minute {
				t.Fatalf("%s says %q", name, claim.Status.Message)
			}
			time.Sleep(20 * time.Millisecond)
			if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(claim), claim); err != nil {
				t.Fatal(err)
			}
		}
		return time.Since(start)
	}
	alone := max(delay("alone-1"), delay("alone-2"), delay("alone-3"))

	// All but a few are refused, and the end of one that is not lets the others hope.
	if err := cluster.Update(t.Context(), limitsWith(map[string]any{"claimsPerOwner": 2})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Update(context.Background(), limitsWith(nil)) })
	const many = 300
	for i := range many {
		claim := claimFor("noisy", fmt.Sprintf("try-%d", i), "")
		claim.Spec.Owner, claim.Spec.Access = "mallory", api.AccessTenant
		apply(t, claim)
	}
	during := delay("during")

	refused := func() (count int) {
		list := &api.NamespaceClaimList{}
		if err := cluster.List(t.Context(), list, client.InNamespace("noisy")); err != nil {
			t.Fatal(err)
		}
		for _, claim := range list.Items {
			if claim.Status.Phase == api.Refused {
				count++
			}
		}
		return count
	}
	start := time.Now()
	for refused() < many-2 {
		if time.Since(start) > 3*time.Minute {
			t.Fatalf("%d of %d are refused", refused(), many-2)
		}
		time.Sleep(100 * time.Millisecond)
	}
	all := time.Since(start)
	if err := cluster.Delete(t.Context(), warm); err != nil {
		t.Fatal(err)
	}
	deleted(t, warm.Status.Namespace)
	gone(t, warm)
	after := delay("after")
	t.Logf("a claim is served after %s alone and after %s beside %d of another tenant, which are decided %s later; when a claim has ended, after %s",
		alone.Round(time.Millisecond), during.Round(time.Millisecond), many, all.Round(time.Millisecond), after.Round(time.Millisecond))
	if longest := longestDelay(alone); max(during, after) > longest {
		t.Errorf("longer than %s", longest.Round(time.Millisecond))
	}
}
