package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"example.com/journal/services/namespace-controller/api"
)

const (
	// budgetRest is the least time between two writes of one budget. A quota changes with every pod.
	budgetRest = 5 * time.Second
	// tenantIndex is the index of the cached namespaces by their tenant.
	tenantIndex = "tenant"
)

// budgets writes how much each tenant and its claims use. It reads the cache only: a budget may be some seconds old. It writes in a
// dry run too, since a budget is a report.
type budgets struct {
	*reconciler
	now     func() time.Time
	written map[string]time.Time // when the budget of each tenant was written; one worker
}

func newBudgets(r *reconciler) *budgets {
	return &budgets{reconciler: r, now: time.Now, written: map[string]time.Time{}}
}

// setup registers the watches of what a budget is made of. Each leads to the tenant, whose name is its namespace's.
func (b *budgets) setup(ctx context.Context, manager ctrl.Manager) error {
	if err := manager.GetFieldIndexer().IndexField(ctx, metadataOf("Namespace"), tenantIndex, func(object client.Object) []string {
		return []string{object.GetLabels()[api.LabelTenant]}
	}); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(manager).
		Named("budgets").
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, namespace client.Object) []reconcile.Request {
			return requestFor(namespace.GetLabels()[api.LabelTenant])
		}), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&corev1.ResourceQuota{}, handler.EnqueueRequestsFromMapFunc(b.tenantOf), builder.WithPredicates(amountsChanged)).
		Watches(&api.NamespaceClaim{}, handler.EnqueueRequestsFromMapFunc(b.tenantOf), builder.WithPredicates(countChanged)).
		Watches(&api.Budget{}, handler.EnqueueRequestsFromMapFunc(b.tenantOf), builder.WithPredicates(onlyDeleted)).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(b.everyTenant),
			builder.WithPredicates(predicate.NewPredicateFuncs(func(object client.Object) bool { return object.GetName() == limitsName }))).
		Complete(b)
}

// The changes that may change a budget.
var (
	amountsChanged = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, now := e.ObjectOld.(*corev1.ResourceQuota), e.ObjectNew.(*corev1.ResourceQuota)
		return !equality.Semantic.DeepEqual(before.Spec, now.Spec) || !equality.Semantic.DeepEqual(before.Status, now.Status)
	}}
	countChanged = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.(*api.NamespaceClaim).Status.Namespace != e.ObjectNew.(*api.NamespaceClaim).Status.Namespace
	}}
	onlyDeleted = predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false }, UpdateFunc: func(event.UpdateEvent) bool { return false },
	}
)

func requestFor(tenant string) []reconcile.Request {
	if tenant == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: tenant}}}
}

// tenantOf returns the tenant of the namespace that an object is in.
func (b *budgets) tenantOf(ctx context.Context, object client.Object) []reconcile.Request {
	namespace := metadataOf("Namespace")
	if err := b.cached.Get(ctx, client.ObjectKey{Name: object.GetNamespace()}, namespace); err != nil {
		return nil // Of no tenant, or gone; a namespace that appears leads here as well.
	}
	return requestFor(namespace.Labels[api.LabelTenant])
}

// everyTenant returns all tenants.
func (b *budgets) everyTenant(ctx context.Context, _ client.Object) (all []reconcile.Request) {
	namespaces := listOf("Namespace")
	if err := b.cached.List(ctx, namespaces, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list the cached namespaces")
	}
	for i := range namespaces.Items {
		if isHome(&namespaces.Items[i]) {
			all = append(all, requestFor(namespaces.Items[i].Name)...)
		}
	}
	return all
}

// isHome reports whether a namespace is the one that the stack declares for a tenant, and stays.
func isHome(namespace *metav1.PartialObjectMetadata) bool {
	return namespace.Labels[api.LabelTenant] == namespace.Name && namespace.Labels[api.LabelClaimUID] == "" && namespace.DeletionTimestamp.IsZero()
}

// Reconcile writes the budget of one tenant if it has changed.
func (b *budgets) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	home := metadataOf("Namespace")
	if err := b.cached.Get(ctx, request.NamespacedName, home); err != nil || !isHome(home) {
		delete(b.written, request.Name)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if rest := budgetRest - b.now().Sub(b.written[home.Name]); rest > 0 {
		return reconcile.Result{RequeueAfter: rest}, nil
	}
	status, err := b.statusOf(ctx, home)
	if err != nil {
		return reconcile.Result{}, err
	}
	budget := &api.Budget{ObjectMeta: metav1.ObjectMeta{Namespace: home.Name, Name: api.BudgetName}}
	err = b.cached.Get(ctx, client.ObjectKeyFromObject(budget), budget)
	if err == nil && reflect.DeepEqual(&budget.Status, status) {
		return reconcile.Result{}, nil
	}
	b.written[home.Name] = b.now()
	if apierrors.IsNotFound(err) {
		err = b.writer.Create(ctx, budget, client.FieldOwner(controllerName))
	}
	if err == nil {
		budget.Status = *status
		err = b.writer.Status().Update(ctx, budget, client.FieldOwner(controllerName))
	}
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return reconcile.Result{RequeueAfter: budgetRest}, nil // The cache is older than the last write.
	}
	return reconcile.Result{}, err
}

// statusOf adds up what a tenant and its claims use, from the cache.
func (b *budgets) statusOf(ctx context.Context, home *metav1.PartialObjectMetadata) (*api.BudgetStatus, error) {
	limits, err := b.cachedLimits(ctx)
	if err != nil {
		return nil, err
	}
	namespaces := listOf("Namespace")
	if err := b.cached.List(ctx, namespaces, client.MatchingFields{tenantIndex: home.Name}); err != nil {
		return nil, err
	}
	claims := &api.NamespaceClaimList{}
	if err := b.cached.List(ctx, claims, client.InNamespace(home.Name), client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	held := 0
	for i := range claims.Items {
		if claims.Items[i].Status.Namespace != "" {
			held++
		}
	}
	var quotas []corev1.ResourceQuota
	for _, namespace := range namespaces.Items {
		quota := corev1.ResourceQuota{}
		if err := b.cached.Get(ctx, client.ObjectKey{Namespace: namespace.Name, Name: quotaName}, &quota); client.IgnoreNotFound(err) != nil {
			return nil, err
		} else if err == nil {
			quotas = append(quotas, quota)
		}
	}
	return budgetOf(home, quotas, held, limits.shareOf(home.Name)), nil
}

// budgeted are the resources of a budget, by the name that a quota has for each.
var budgeted = []struct {
	name   corev1.ResourceName
	amount func(*api.Amounts) *string
	share  func(share) resource.Quantity
}{
	{corev1.ResourceRequestsCPU, func(a *api.Amounts) *string { return &a.CPU }, func(s share) resource.Quantity { return s.CPU }},
	{corev1.ResourceRequestsMemory, func(a *api.Amounts) *string { return &a.Memory }, func(s share) resource.Quantity { return s.Memory }},
	{corev1.ResourceRequestsStorage, func(a *api.Amounts) *string { return &a.Storage }, func(s share) resource.Quantity { return s.Storage }},
	{corev1.ResourcePods, func(a *api.Amounts) *string { return &a.Pods }, func(s share) resource.Quantity { return count(s.Pods) }},
	{corev1.ResourceServices, func(a *api.Amounts) *string { return &a.Services }, func(s share) resource.Quantity { return count(s.Services) }},
	{corev1.ResourcePersistentVolumeClaims, func(a *api.Amounts) *string { return &a.VolumeClaims }, func(s share) resource.Quantity { return count(s.VolumeClaims) }},
}

func count(n int) resource.Quantity { return *resource.NewQuantity(int64(n), resource.DecimalSI) }

// budgetOf returns the budget of a tenant with the quotas of these namespaces and with this many claims. A tenant that may
// claim no class has no share. Nothing starts in a suspended one.
func budgetOf(home *metav1.PartialObjectMetadata, quotas []corev1.ResourceQuota, held int, s share) *api.BudgetStatus {
	if len(s.Classes) == 0 {
		s = share{}
	}
	if isSuspended(home) {
		s.Pods = 0
	}
	slices.SortFunc(quotas, func(a, b corev1.ResourceQuota) int {
		switch home.Name {
		case a.Namespace:
			return -1
		case b.Namespace:
			return 1
		}
		return strings.Compare(a.Namespace, b.Namespace)
	})
	status := &api.BudgetStatus{Claims: fmt.Sprintf("%d/%d", held, s.Claims), Suspended: isSuspended(home)}
	for _, quota := range quotas {
		status.Namespaces = append(status.Namespaces, api.NamespaceAmounts{Name: quota.Namespace})
	}
	for _, r := range budgeted {
		var used, hard resource.Quantity
		for i, quota := range quotas {
			own, most := quota.Status.Used[r.name], quota.Spec.Hard[r.name]
			*r.amount(&status.Namespaces[i].Amounts) = own.String() + "/" + most.String()
			used.Add(own)
			if quota.Namespace == home.Name {
				hard.Add(most)
			}
		}
		hard.Add(r.share(s))
		*r.amount(&status.Amounts) = used.String() + "/" + hard.String()
	}
	return status
}

// trimQuota keeps of a cached quota what a budget is made of: a quota has thirty numbers and thousands are cached.
func trimQuota(object any) (any, error) {
	quota, ok := object.(*corev1.ResourceQuota)
	if !ok {
		return object, nil
	}
	keep := func(all corev1.ResourceList) corev1.ResourceList {
		kept := corev1.ResourceList{}
		for _, r := range budgeted {
			if quantity, found := all[r.name]; found {
				kept[r.name] = quantity
			}
		}
		return kept
	}
	return &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: quota.Namespace, Name: quota.Name, UID: quota.UID, ResourceVersion: quota.ResourceVersion},
		Spec:       corev1.ResourceQuotaSpec{Hard: keep(quota.Spec.Hard)},
		Status:     corev1.ResourceQuotaStatus{Hard: keep(quota.Status.Hard), Used: keep(quota.Status.Used)},
	}, nil
}

// metadataOf returns the metadata of an object of a core kind, to be read.
func metadataOf(kind string) *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	return object
}

// listOf returns the metadata of objects of a core kind, to be read.
func listOf(kind string) *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind + "List"))
	return list
}
