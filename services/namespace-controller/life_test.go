//go:build e2e

package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"example.com/journal/services/namespace-controller/api"
)

func TestAClaimGetsANamespaceWithPolicyObjectsAndLosesItAtItsEnd(t *testing.T) {
	startReplica(t)
	newTenant(t, "life")
	claim := claimFor("life", "try", "15s")
	apply(t, claim)
	inPhase(t, claim, api.Active)

	namespace := namespaceOfCluster(t, claim.Status.Namespace)
	for key, want := range map[string]string{api.LabelTenant: "life", api.LabelClaim: "try", api.LabelClaimUID: string(claim.UID), "pod-security.kubernetes.io/enforce": "restricted"} {
		if namespace.Labels[key] != want {
			t.Errorf("label %s is %q, want %q", key, namespace.Labels[key], want)
		}
	}
	for key, want := range map[string]string{api.AnnotationOwner: "alice", api.AnnotationPurpose: "a try", api.AnnotationTeam: "the team",
		api.AnnotationContact: "team@example.com", api.AnnotationHosts: "*." + namespace.Name + ".localhost", api.AnnotationExpires: rfc3339(claim.CreationTimestamp.Add(15 * time.Second))} {
		if namespace.Annotations[key] != want {
			t.Errorf("annotation %s is %q, want %q", key, namespace.Annotations[key], want)
		}
	}
	key := client.ObjectKey{Namespace: namespace.Name, Name: "tenant"}
	binding := &rbacv1.RoleBinding{}
	for _, err := range []error{
		cluster.Get(t.Context(), key, &corev1.ResourceQuota{}), cluster.Get(t.Context(), key, &corev1.LimitRange{}),
		cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace.Name, Name: "default-deny"}, &networkingv1.NetworkPolicy{}),
		cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace.Name, Name: ownersBinding}, binding),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if binding.RoleRef.Name != ownerRole || len(binding.Subjects) != 1 || binding.Subjects[0].Name != "alice" {
		t.Errorf("binds %v to %v", binding.RoleRef, binding.Subjects)
	}
	if claim.Status.NamespaceUID != string(namespace.UID) || !meta.IsStatusConditionTrue(claim.Status.Conditions, api.ConditionReady) {
		t.Errorf("status %+v", claim.Status)
	}

	inPhase(t, claim, api.Expiring)
	if !meta.IsStatusConditionTrue(claim.Status.Conditions, api.ConditionExpiresSoon) {
		t.Errorf("conditions %+v", claim.Status.Conditions)
	}
	eventually(t, "an Event warns", func() bool {
		events := &eventsv1.EventList{}
		if err := cluster.List(t.Context(), events, client.InNamespace("life")); err != nil {
			t.Fatal(err)
		}
		for _, event := range events.Items {
			if event.Reason == reasonExpiresSoon && event.Type == corev1.EventTypeWarning && event.Regarding.Name == "try" {
				return true
			}
		}
		return false
	})
	if when := deleted(t, namespace.Name); when.Before(claim.Status.ExpiresAt.Time) || when.After(claim.Status.ExpiresAt.Add(5*time.Second)) {
		t.Errorf("deleted at %v, the end is %v", when, claim.Status.ExpiresAt)
	}
	gone(t, claim)
}

func TestAnExtendedClaimStays(t *testing.T) {
	startReplica(t)
	newTenant(t, "longer")
	claim := claimFor("longer", "try", "6s")
	apply(t, claim)
	inPhase(t, claim, api.Expiring)
	end := claim.Status.ExpiresAt.Time
	before := claim.DeepCopy()
	claim.Spec.TTL = "100h"
	if err := cluster.Patch(t.Context(), claim, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	inPhase(t, claim, api.Active)
	if want := claim.CreationTimestamp.Add(72 * time.Hour); !claim.Status.ExpiresAt.Time.Equal(want) {
		t.Errorf("ends at %v, want %v", claim.Status.ExpiresAt, want)
	}
	time.Sleep(time.Until(end) + 3*time.Second)
	namespace := namespaceOfCluster(t, claim.Status.Namespace)
	if namespace.DeletionTimestamp != nil {
		t.Error("it was deleted all the same")
	}
	if got := namespace.Annotations[api.AnnotationExpires]; got != rfc3339(claim.Status.ExpiresAt.Time) {
		t.Errorf("the annotation says %s", got)
	}
}

func TestADeletedClaimTakesItsNamespaceAlongAndMakesRoom(t *testing.T) {
	startReplica(t)
	newTenant(t, "narrow") // Its share is 3 cpu, and the class has 2.
	first, second := claimFor("narrow", "first", ""), claimFor("narrow", "second", "")
	apply(t, first)
	inPhase(t, first, api.Active)
	apply(t, second)
	inPhase(t, second, api.Refused)
	if !strings.Contains(second.Status.Message, "the cpu of tenant narrow would be 4 with this claim, and the limit is 3") || len(second.Finalizers) > 0 {
		t.Errorf("refused with %q, finalizers %v", second.Status.Message, second.Finalizers)
	}
	if err := cluster.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	inPhase(t, first, api.Deleting)
	if inPhase(t, second, api.Refused); first.DeletionTimestamp == nil {
		t.Error("the claim did not wait for its namespace")
	}
	deleted(t, first.Status.Namespace)
	gone(t, first)
	inPhase(t, second, api.Active)
}

func TestClaimsMadeAtOnceDoNotExceedTheShare(t *testing.T) {
	startReplica(t)
	newTenant(t, "race")
	for i := range 12 {
		apply(t, claimFor("race", fmt.Sprintf("try-%d", i), ""))
	}
	count := map[api.Phase]int{}
	eventually(t, "all are decided", func() bool {
		claims := &api.NamespaceClaimList{}
		if err := cluster.List(t.Context(), claims, client.InNamespace("race")); err != nil {
			t.Fatal(err)
		}
		clear(count)
		for _, claim := range claims.Items {
			count[claim.Status.Phase]++
		}
		return count[api.Active]+count[api.Refused] == 12
	})
	if count[api.Active] != 3 {
		t.Errorf("%v, want 3 active", count)
	}
}

func TestADryRunMakesAndDeletesNothing(t *testing.T) {
	startReplica(t)
	newTenant(t, "dry")
	stands := claimFor("dry", "stands", "")
	apply(t, stands)
	inPhase(t, stands, api.Active)
	if err := cluster.Update(t.Context(), limitsWith(map[string]any{"dryRun": true})); err != nil {
		t.Fatal(err)
	}
	claim := claimFor("dry", "try", "")
	apply(t, claim)
	inPhase(t, claim, api.Pending)
	if !strings.HasPrefix(claim.Status.Message, "dry run, would admit") || claim.Status.Namespace != "" || len(claim.Finalizers) > 0 {
		t.Errorf("%+v, finalizers %v", claim.Status, claim.Finalizers)
	}
	if err := cluster.Delete(t.Context(), stands); err != nil {
		t.Fatal(err)
	}
	inPhase(t, stands, api.Expiring)
	if stamp := namespaceOfCluster(t, stands.Status.Namespace).DeletionTimestamp; stamp != nil {
		t.Errorf("deleted at %v", stamp)
	}
	if err := cluster.Update(t.Context(), limitsWith(nil)); err != nil {
		t.Fatal(err)
	}
	inPhase(t, claim, api.Active)
	deleted(t, stands.Status.Namespace)
	gone(t, stands)
}
