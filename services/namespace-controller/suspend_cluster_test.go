//go:build e2e

package main

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"example.com/journal/services/namespace-controller/api"
)

// declareSuspended makes the stack's policies hold these tenants, and asleep, to be suspended.
func declareSuspended(t *testing.T, tenants ...string) {
	t.Helper()
	list := ` in ["` + strings.Join(append([]string{asleep}, tenants...), `", "`) + `"]`
	for _, name := range []string{"journal-controller-namespaces", "journal-controller-policy-objects", "journal-controller-bindings"} {
		policy := &admissionv1.ValidatingAdmissionPolicy{}
		if err := cluster.Get(context.Background(), client.ObjectKey{Name: name}, policy); err != nil {
			t.Fatal(err)
		}
		for i := range policy.Spec.Variables {
			variable := &policy.Spec.Variables[i]
			if before, after, found := strings.Cut(variable.Expression, " in ["); found && (variable.Name == "suspended" || variable.Name == "members") {
				_, after, _ = strings.Cut(after, "]")
				variable.Expression = before + list + after
			}
		}
		if err := cluster.Update(context.Background(), policy); err != nil {
			t.Fatal(err)
		}
	}
}

// suspendTenant changes the objects of a tenant as an update of the stack does, and resumeTenant back.
func suspendTenant(t *testing.T, tenant string) {
	t.Helper()
	declareSuspended(t, tenant)
	t.Cleanup(func() { declareSuspended(t) })
	setSuspended(t, tenant, "true")
	bindDevelopers(t, tenant, viewerRole)
}

func resumeTenant(t *testing.T, tenant string) {
	t.Helper()
	declareSuspended(t)
	setSuspended(t, tenant, "")
	bindDevelopers(t, tenant, developerRole)
}

func setSuspended(t *testing.T, tenant, value string) {
	t.Helper()
	namespace := namespaceOfCluster(t, tenant)
	before := namespace.DeepCopy()
	if set(namespace.Labels, api.LabelSuspended, value); value == "" {
		delete(namespace.Labels, api.LabelSuspended)
	}
	if err := cluster.Patch(t.Context(), namespace, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// bindDevelopers replaces the binding of the developers: the role of one cannot be changed.
func bindDevelopers(t *testing.T, tenant, role string) {
	t.Helper()
	binding := developersOf(tenant)
	if err := cluster.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	binding = developersOf(tenant)
	binding.RoleRef.Name = role
	apply(t, binding)
}

// giveQuota makes the quota of a tenant as the stack declares it, with its status: there is no controller of quotas here.
func giveQuota(t *testing.T, namespace string) {
	t.Helper()
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: quotaName}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
		corev1.ResourcePods: resource.MustParse("20"), corev1.ResourceRequestsCPU: resource.MustParse("2"), corev1.ResourceRequestsMemory: resource.MustParse("4Gi"),
		corev1.ResourceRequestsStorage: resource.MustParse("10Gi"), corev1.ResourceServices: resource.MustParse("10"), corev1.ResourcePersistentVolumeClaims: resource.MustParse("5"),
	}}}
	apply(t, quota)
	measure(t, namespace, nil)
}

// measure writes the status of a quota, as the controller of quotas does.
func measure(t *testing.T, namespace string, used corev1.ResourceList) {
	t.Helper()
	quota := &corev1.ResourceQuota{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: quotaName}, quota); err != nil {
		t.Fatal(err)
	}
	quota.Status.Hard, quota.Status.Used = quota.Spec.Hard.DeepCopy(), corev1.ResourceList{}
	for name := range quota.Status.Hard {
		quota.Status.Used[name] = resource.MustParse("0")
	}
	maps.Copy(quota.Status.Used, used)
	if err := cluster.Status().Update(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
}

// hardPods returns how many pods the quota of a namespace allows, and sets it if there is a number.
func hardPods(t *testing.T, namespace string, pods ...string) string {
	t.Helper()
	quota := &corev1.ResourceQuota{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: quotaName}, quota); err != nil {
		t.Fatal(err)
	}
	if len(pods) > 0 {
		quota.Spec.Hard[corev1.ResourcePods] = resource.MustParse(pods[0])
		if err := cluster.Update(t.Context(), quota); err != nil {
			t.Fatal(err)
		}
	}
	most := quota.Spec.Hard[corev1.ResourcePods]
	return most.String()
}

// has reports whether a pod is there.
func has(t *testing.T, namespace, name string) bool {
	t.Helper()
	_, err := cluster.clients.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

func TestASuspendedTenantAndItsClaimsStopAndComeBack(t *testing.T) {
	startReplica(t)
	newTenant(t, "rest")
	giveQuota(t, "rest")
	claim := claimFor("rest", "try", "")
	apply(t, claim)
	inPhase(t, claim, api.Active)
	claimed := claim.Status.Namespace
	measure(t, claimed, nil)
	teams := claimFor("rest", "teams", "")
	teams.Spec.Access = api.AccessTenant
	apply(t, teams)
	inPhase(t, teams, api.Active)
	for _, namespace := range []string{"rest", claimed} {
		apply(t, newPod(namespace, "web"))
	}
	finished := newPod("rest", "finished")
	apply(t, finished)
	finished.Status.Phase = corev1.PodSucceeded
	if err := cluster.Status().Update(t.Context(), finished); err != nil {
		t.Fatal(err)
	}

	// The label alone stops nothing: whatever is deleted would be made again.
	suspendTenant(t, "rest")
	eventually(t, "the claimed namespace is suspended", func() bool {
		return namespaceOfCluster(t, claimed).Labels[api.LabelSuspended] == "true" && hardPods(t, claimed) == "0"
	})
	if !has(t, claimed, "web") {
		t.Error("a pod of the claim was deleted before the quota refuses a new one")
	}
	one := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}
	measure(t, claimed, one)
	eventually(t, "the claim's pod is gone", func() bool { return !has(t, claimed, "web") })
	if !has(t, "rest", "web") {
		t.Error("a pod was deleted before the quota refuses a new one")
	}
	hardPods(t, "rest", "0")
	measure(t, "rest", one)
	eventually(t, "the tenant's pod is gone", func() bool { return !has(t, "rest", "web") })
	if !has(t, "rest", "finished") {
		t.Error("a pod that has finished is gone, with its logs")
	}
	if err := cluster.Create(t.Context(), newPod("rest", "again")); err == nil || !strings.Contains(err.Error(), "exceeded quota: tenant") {
		t.Errorf("a new pod: %v", err)
	}
	for _, c := range []*api.NamespaceClaim{claim, teams} {
		eventually(t, "alice reads the claimed namespace and no more", func() bool { return rightsIn(t, c) == "viewers User alice" })
		if says := namespaceOfCluster(t, c.Status.Namespace).Annotations[api.AnnotationOwner]; says != "alice" {
			t.Errorf("the namespace says that it is of %q", says)
		}
	}
	// An administrator writes another owner where no rule keeps them from it: the namespace stays readable and stopped.
	change(t, teams, func() { teams.Spec.Owner = "carol" })
	eventually(t, "the claim of another owner is suspended all the same", func() bool {
		return cluster.Get(t.Context(), client.ObjectKeyFromObject(teams), teams) == nil && teams.Status.ObservedGeneration == teams.Generation && strings.Contains(teams.Status.Message, "is suspended with tenant rest")
	})
	change(t, teams, func() { teams.Spec.Owner = "alice" })
	eventually(t, "the claim says so", func() bool {
		return cluster.Get(t.Context(), client.ObjectKeyFromObject(claim), claim) == nil && strings.Contains(claim.Status.Message, "is suspended with tenant rest: nothing runs in it")
	})
	more := claimFor("rest", "more", "")
	apply(t, more)
	inPhase(t, more, api.Refused)
	if !strings.Contains(more.Status.Message, `tenant "rest": is suspended`) {
		t.Errorf("a new claim says %q", more.Status.Message)
	}

	resumeTenant(t, "rest")
	hardPods(t, "rest", "20")
	eventually(t, "the claimed namespace is resumed", func() bool {
		return namespaceOfCluster(t, claimed).Labels[api.LabelSuspended] == "" && hardPods(t, claimed) == "20" &&
			rightsIn(t, claim) == "owners User alice, secrets User alice"
	})
	eventually(t, "the team has its claim again", func() bool { return rightsIn(t, teams) == "owners User alice, secrets User alice" })
	inPhase(t, more, api.Active)
	for _, namespace := range []string{"rest", claimed} {
		measure(t, namespace, nil)
		apply(t, newPod(namespace, "again"))
	}
	time.Sleep(2 * time.Second)
	for _, namespace := range []string{"rest", claimed} {
		if !has(t, namespace, "again") {
			t.Errorf("a pod of %s is stopped after it was resumed", namespace)
		}
	}
}

func TestAClaimDoesNotEndWhileItsTenantIsSuspendedAndIsWarnedAfterwards(t *testing.T) {
	startReplica(t)
	newTenant(t, "nap")
	warm := claimFor("nap", "warm", "") // the time of the next one begins when the controller is at work
	apply(t, warm)
	inPhase(t, warm, api.Active)
	claim := claimFor("nap", "try", "15s")
	apply(t, claim)
	inPhase(t, claim, api.Active)
	suspendTenant(t, "nap")
	eventually(t, "the namespace is suspended", func() bool { return namespaceOfCluster(t, claim.Status.Namespace).Labels[api.LabelSuspended] == "true" })
	time.Sleep(time.Until(claim.Status.ExpiresAt.Time) + 3*time.Second)
	if namespaceOfCluster(t, claim.Status.Namespace).DeletionTimestamp != nil {
		t.Fatal("it was deleted while it was suspended")
	}
	if err := cluster.Update(t.Context(), limitsWith(map[string]any{"warnBefore": "1m"})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Update(context.Background(), limitsWith(nil)) })
	resumed := time.Now()
	resumeTenant(t, "nap")
	eventually(t, "it has time again", func() bool {
		return cluster.Get(t.Context(), client.ObjectKeyFromObject(claim), claim) == nil && claim.Status.ExpiresAt.After(resumed.Add(50*time.Second))
	})
	eventually(t, "the namespace is resumed", func() bool { return namespaceOfCluster(t, claim.Status.Namespace).Labels[api.LabelSuspended] == "" })
	if stamp := namespaceOfCluster(t, claim.Status.Namespace).DeletionTimestamp; stamp != nil {
		t.Errorf("it was deleted at %v, before its owner was warned", stamp)
	}
	// Its owner deletes it, as at any time.
	if err := cluster.Delete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	deleted(t, claim.Status.Namespace)
	gone(t, claim)
}

func TestADryRunStopsNoPod(t *testing.T) {
	if err := cluster.Update(t.Context(), limitsWith(map[string]any{"dryRun": true})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Update(context.Background(), limitsWith(nil)) })
	r := startReplica(t)
	newTenant(t, "drowsy")
	giveQuota(t, "drowsy")
	apply(t, newPod("drowsy", "web"))
	suspendTenant(t, "drowsy")
	hardPods(t, "drowsy", "0")
	measure(t, "drowsy", corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")})
	eventually(t, "it says so", func() bool { return strings.Contains(r.text(), `"stop the pods of a suspended namespace"`) })
	time.Sleep(time.Second)
	if !has(t, "drowsy", "web") {
		t.Error("the pod is gone")
	}
}
