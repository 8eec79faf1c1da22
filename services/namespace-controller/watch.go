package main

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"example.com/journal/services/namespace-controller/api"
)

// setup registers the reconciler and its watches.
func (r *reconciler) setup(ctx context.Context, manager ctrl.Manager) error {
	// The clock runs in every replica, so that a new leader has already known the claims for as long as it has run.
	informer, err := manager.GetCache().GetInformer(ctx, &api.NamespaceClaim{})
	if err != nil {
		return err
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { r.clock.see(object.(*api.NamespaceClaim).UID) },
		DeleteFunc: func(object any) {
			if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			if claim, ok := object.(*api.NamespaceClaim); ok {
				r.clock.forget(claim.UID)
			}
		},
	}); err != nil {
		return err
	}

	return ctrl.NewControllerManagedBy(manager).
		Named(controllerName).
		For(&api.NamespaceClaim{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&api.NamespaceClaim{}, handler.EnqueueRequestsFromMapFunc(r.waiting), builder.WithPredicates(roomMayBeFree)).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.claimOf)).
		WatchesMetadata(&rbacv1.RoleBinding{}, handler.EnqueueRequestsFromMapFunc(r.claimsBeside)).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.all), builder.WithPredicates(predicate.NewPredicateFuncs(isSetting))).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 4,
			ReconciliationTimeout:   time.Minute,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](200*time.Millisecond, time.Minute),
		}).
		Complete(r)
}

// roomMayBeFree selects the end of a claim with a namespace, and that it is given to another owner: others may have been refused
// because of it.
var roomMayBeFree = predicate.Funcs{
	CreateFunc: func(event.CreateEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*api.NamespaceClaim)
		after, also := e.ObjectNew.(*api.NamespaceClaim)
		return ok && also && before.Spec.Owner != after.Spec.Owner
	},
	GenericFunc: func(event.GenericEvent) bool { return false },
	DeleteFunc: func(e event.DeleteEvent) bool {
		claim, ok := e.Object.(*api.NamespaceClaim)
		return ok && claim.Status.Namespace != ""
	},
}

// isSetting selects the ConfigMaps that the stack writes for the controller.
func isSetting(object client.Object) bool {
	return object.GetName() == limitsName || object.GetLabels()[api.LabelClass] != ""
}

// waiting returns the claims that may have been refused for one that has ended: those of the same tenant, which has one
// namespace to claim in, and those of the same owner. They hold nothing yet; whether one says that it is refused does not
// matter, since that may be written a moment later.
func (r *reconciler) waiting(ctx context.Context, ended client.Object) []reconcile.Request {
	owner := ended.(*api.NamespaceClaim).Spec.Owner
	return r.claims(ctx, func(claim *api.NamespaceClaim) bool {
		return claim.Status.Namespace == "" && (claim.Namespace == ended.GetNamespace() || claim.Spec.Owner == owner)
	})
}

// claimOf returns the claim in the namespace's labels, the claim that has its name in its status, and the claims in it.
func (r *reconciler) claimOf(ctx context.Context, namespace client.Object) []reconcile.Request {
	return r.claims(ctx, func(claim *api.NamespaceClaim) bool {
		return string(claim.UID) == namespace.GetLabels()[api.LabelClaimUID] || claim.Status.Namespace == namespace.GetName() || claim.Namespace == namespace.GetName()
	})
}

// claimsBeside returns the claims in the namespace of a RoleBinding: who may have rights in theirs may have changed.
func (r *reconciler) claimsBeside(ctx context.Context, binding client.Object) []reconcile.Request {
	return r.claims(ctx, func(*api.NamespaceClaim) bool { return true }, client.InNamespace(binding.GetNamespace()))
}

// all returns every claim.
func (r *reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.claims(ctx, func(*api.NamespaceClaim) bool { return true })
}

// claims returns the cached claims that match, the oldest first.
func (r *reconciler) claims(ctx context.Context, fits func(*api.NamespaceClaim) bool, options ...client.ListOption) []reconcile.Request {
	list := &api.NamespaceClaimList{}
	if err := r.cached.List(ctx, list, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list the cached claims")
		return nil
	}
	slices.SortFunc(list.Items, func(a, b api.NamespaceClaim) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	var requests []reconcile.Request
	for i := range list.Items {
		if claim := &list.Items[i]; fits(claim) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(claim)})
		}
	}
	return requests
}
