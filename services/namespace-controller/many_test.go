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

// longestDelay is how long the claims of one tenant, however many, may delay one of another tenant.
const longestDelay = 5 * time.Second

func TestManyClaimsOfOneTenantDoNotDelayAnothers(t *testing.T) {
	startReplica(t)
	newTenant(t, "quiet")
	newTenant(t, "noisy")
	warm := claimFor("quiet", "warm", "")
	apply(t, warm)
	inPhase(t, warm, api.Active)

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
	t.Logf("beside %d claims of another tenant a claim is served after %s, all of them are decided %s later; when a claim has ended, after %s",
		many, during.Round(time.Millisecond), all.Round(time.Millisecond), after.Round(time.Millisecond))
	if max(during, after) > longestDelay {
		t.Errorf("longer than %s", longestDelay)
	}
}
