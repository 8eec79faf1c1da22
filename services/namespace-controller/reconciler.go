package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
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

const (
	// controllerName names the controller, its lease, its account and the owner of the fields that it applies.
	controllerName = "namespace-controller"
	// ownerRole is the ClusterRole that the owner of a claimed namespace gets in it, by the RoleBinding ownerBinding.
	ownerRole    = "journal-tenant-owner"
	ownerBinding = "owner"
	// developerRole is, beside ownerRole, what somebody has in a tenant's namespace who may claim there.
	developerRole = "journal-tenant-developer"

	// atOnce is when to look again after a step that leads to another one.
	atOnce = time.Millisecond
	// longestRest is how long a claim is left alone at most.
	longestRest = 30 * time.Minute
)

// reconciler brings about what decide says.
//
// It reads from the apiserver and not from a cache, whose view may be older than its own last step: that is one cause
// of namespaces made twice, shares exceeded and extensions overlooked. Its watches only say when to look.
type reconciler struct {
	// platform is the namespace with the limits and the fences.
	platform string
	writer   client.Client
	live     client.Reader
	cached   client.Reader
	clock    *clock
	events   events.EventRecorder
	// admission lets one claim at a time be counted against the shares.
	admission sync.Mutex
}

// setup registers the reconciler and its watches.
func (r *reconciler) setup(ctx context.Context, manager ctrl.Manager) error {
	// The clock starts in every replica, so that the next leader has known the claims for as long as it has run.
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
		Watches(&api.NamespaceClaim{}, handler.EnqueueRequestsFromMapFunc(r.refused), builder.WithPredicates(roomMayBeFree)).
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

// roomMayBeFree passes the end of a claim: others may have been refused for it.
var roomMayBeFree = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	UpdateFunc:  func(event.UpdateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

// isSetting passes the ConfigMaps that the stack writes for the controller.
func isSetting(object client.Object) bool {
	return object.GetName() == limitsName || object.GetLabels()[api.LabelFence] != ""
}

// refused returns the claims that wait for room.
func (r *reconciler) refused(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.claims(ctx, func(claim *api.NamespaceClaim) bool { return claim.Status.Phase == api.Refused })
}

// claimOf returns the claim that a namespace says it was made for, and the one that it has the name for.
func (r *reconciler) claimOf(ctx context.Context, namespace client.Object) []reconcile.Request {
	return r.claims(ctx, func(claim *api.NamespaceClaim) bool {
		return string(claim.UID) == namespace.GetLabels()[api.LabelClaimUID] || claim.Status.Namespace == namespace.GetName()
	})
}

// claimsBeside returns the claims in the namespace of a RoleBinding: their owners may have come or gone with it.
func (r *reconciler) claimsBeside(ctx context.Context, binding client.Object) []reconcile.Request {
	return r.claims(ctx, func(claim *api.NamespaceClaim) bool { return claim.Namespace == binding.GetNamespace() })
}

// all returns every claim.
func (r *reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.claims(ctx, func(*api.NamespaceClaim) bool { return true })
}

// claims returns the cached claims that fit, the oldest first.
func (r *reconciler) claims(ctx context.Context, fits func(*api.NamespaceClaim) bool) []reconcile.Request {
	list := &api.NamespaceClaimList{}
	if err := r.cached.List(ctx, list); err != nil {
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

// Reconcile looks at one claim and takes the one step that it needs.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	result, err := r.look(ctx, request.NamespacedName)
	switch {
	case apierrors.IsConflict(err):
		return reconcile.Result{RequeueAfter: atOnce}, nil // Somebody was faster: look again.
	case errors.Is(err, context.Canceled):
		return reconcile.Result{}, nil // The controller is told to stop. The next leader looks at every claim.
	}
	return result, err
}

// look observes one claim, decides about it, and takes the step.
func (r *reconciler) look(ctx context.Context, key types.NamespacedName) (reconcile.Result, error) {
	s, err := r.observe(ctx, key)
	if s == nil || err != nil {
		return reconcile.Result{}, err
	}
	if s.claim.Status.Namespace == "" {
		r.admission.Lock()
		defer r.admission.Unlock()
		if s.holders, err = r.holders(ctx, s.claim); err != nil {
			return reconcile.Result{}, err
		}
	}
	p := decide(*s)
	ctrl.LoggerFrom(ctx).V(1).Info("decided", "action", p.action, "phase", p.status.Phase, "message", p.status.Message)
	again, err := r.act(ctx, s, p)
	if err != nil {
		return reconcile.Result{}, err
	}
	rest := longestRest
	if again {
		rest = atOnce
	} else if !p.next.IsZero() {
		rest = min(max(p.next.Sub(s.now), atOnce), longestRest)
	}
	return reconcile.Result{RequeueAfter: rest}, nil
}

// observe reads all that a decision depends on but the other claims; it returns nil if there is no such claim.
func (r *reconciler) observe(ctx context.Context, key types.NamespacedName) (*situation, error) {
	s := &situation{claim: &api.NamespaceClaim{}}
	if err := r.live.Get(ctx, key, s.claim); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	var err error
	if s.home, err = r.namespace(ctx, key.Namespace); err != nil {
		return nil, err
	}
	if name := s.claim.Status.Namespace; name != "" {
		if s.namespace, err = r.namespace(ctx, name); err != nil {
			return nil, err
		}
	}
	if s.stranger, err = r.stranger(ctx, s.claim); err != nil {
		return nil, err
	}
	if err := r.readSettings(ctx, s); err != nil {
		return nil, err
	}
	s.now = r.clock.now(s.claim.UID)
	return s, nil
}

// namespace returns the metadata of a namespace, or nil when there is none.
func (r *reconciler) namespace(ctx context.Context, name string) (*metav1.PartialObjectMetadata, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := r.live.Get(ctx, types.NamespacedName{Name: name}, namespace)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return namespace, err
}

// stranger reports whether the owner of a claim has no role in the claim's namespace with which one may claim. Who is in
// a group only the identity provider knows, so that a group with such a role speaks for everybody.
func (r *reconciler) stranger(ctx context.Context, claim *api.NamespaceClaim) (bool, error) {
	bindings := &rbacv1.RoleBindingList{}
	if err := r.live.List(ctx, bindings, client.InNamespace(claim.Namespace)); err != nil {
		return false, err
	}
	for _, binding := range bindings.Items {
		if role := binding.RoleRef.Name; role != ownerRole && role != developerRole {
			continue
		}
		for _, subject := range binding.Subjects {
			if subject.Kind == rbacv1.GroupKind || subject.Kind == rbacv1.UserKind && subject.Name == claim.Spec.Owner {
				return false, nil
			}
		}
	}
	return true, nil
}

// readSettings reads the limits and the fences.
func (r *reconciler) readSettings(ctx context.Context, s *situation) error {
	config := &corev1.ConfigMap{}
	err := r.live.Get(ctx, types.NamespacedName{Namespace: r.platform, Name: limitsName}, config)
	switch {
	case apierrors.IsNotFound(err):
		s.limitsFault = fmt.Errorf("ConfigMap %s/%s: is not there; the stack writes it, run `pulumi up`", r.platform, limitsName)
	case err != nil:
		return err
	default:
		s.limits, s.limitsFault = parseLimits(config)
	}

	configs := &corev1.ConfigMapList{}
	if err := r.live.List(ctx, configs, client.InNamespace(r.platform), client.HasLabels{api.LabelFence}); err != nil {
		return err
	}
	s.fences, s.fenceFaults = map[string]*fence{}, map[string]error{}
	for i := range configs.Items {
		class := configs.Items[i].Labels[api.LabelFence]
		if configs.Items[i].Name != fencePrefix+class {
			continue
		}
		if f, err := parseFence(&configs.Items[i]); err != nil {
			s.fenceFaults[class] = err
		} else {
			s.fences[class] = f
		}
	}
	return nil
}

// holders returns the claims, but for one, that hold a namespace.
func (r *reconciler) holders(ctx context.Context, but *api.NamespaceClaim) ([]holder, error) {
	namespaces := &metav1.PartialObjectMetadataList{}
	namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := r.live.List(ctx, namespaces, client.HasLabels{api.LabelTenant}); err != nil {
		return nil, err
	}
	tenants := map[string]string{}
	for _, namespace := range namespaces.Items {
		tenants[namespace.Name] = namespace.Labels[api.LabelTenant]
	}
	list := &api.NamespaceClaimList{}
	if err := r.live.List(ctx, list); err != nil {
		return nil, err
	}
	var holders []holder
	for _, claim := range list.Items {
		if claim.UID != but.UID && claim.Status.Namespace != "" {
			holders = append(holders, holder{name: claim.Namespace + "/" + claim.Name, owner: claim.Spec.Owner,
				class: claim.Spec.Class, tenant: tenants[claim.Namespace]})
		}
	}
	return holders, nil
}

// act takes the step of a plan. What the step depends on is written in the status before it, with the resource version
// of the claim that was looked at, so that an edit in between is not overlooked.
func (r *reconciler) act(ctx context.Context, s *situation, p plan) (again bool, err error) {
	switch p.action {
	case wait:
		return false, r.write(ctx, s, p)
	case adopt, forget:
		return true, r.write(ctx, s, p)
	case admit:
		if err := r.hold(ctx, s.claim); err != nil {
			return false, err
		}
		return true, r.write(ctx, s, p)
	case create, surround:
		err := r.provide(ctx, s, p)
		if err != nil && !apierrors.IsConflict(err) && ctx.Err() == nil {
			p.stands = false
			p = p.waits(p.status.Phase, reasonFenceFailed, fmt.Sprintf("namespace %s: %v; it is tried again", p.status.Namespace, err))
			return false, errors.Join(err, r.write(ctx, s, p))
		}
		return p.action == create, err
	case remove:
		if err := r.write(ctx, s, p); err != nil {
			return false, err
		}
		ctrl.LoggerFrom(ctx).Info("delete the namespace", "target", s.namespace.Name, "uid", s.namespace.UID, "why", p.status.Message)
		return false, client.IgnoreNotFound(r.writer.Delete(ctx, s.namespace, unchanged(s.namespace)))
	case finish:
		if s.claim.DeletionTimestamp.IsZero() {
			return false, client.IgnoreNotFound(r.writer.Delete(ctx, s.claim, unchanged(s.claim)))
		}
		return false, client.IgnoreNotFound(r.letGo(ctx, s.claim))
	}
	return false, fmt.Errorf("action %q: is unknown", p.action)
}

// unchanged lets a deletion happen only to the very object, in the very state, that was looked at.
func unchanged(object client.Object) client.Preconditions {
	uid, version := object.GetUID(), object.GetResourceVersion()
	return client.Preconditions{UID: &uid, ResourceVersion: &version}
}

// hold puts the finalizer on a claim.
func (r *reconciler) hold(ctx context.Context, claim *api.NamespaceClaim) error {
	if hasFinalizer(claim) {
		return nil
	}
	before := claim.DeepCopy()
	claim.Finalizers = append(slices.Clone(claim.Finalizers), api.Finalizer)
	return r.writer.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// letGo takes the finalizer off a claim.
func (r *reconciler) letGo(ctx context.Context, claim *api.NamespaceClaim) error {
	before := claim.DeepCopy()
	claim.Finalizers = slices.DeleteFunc(slices.Clone(claim.Finalizers), func(f string) bool { return f == api.Finalizer })
	return r.writer.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// write writes the status that a plan says, if it says anything new, and tells it as an Event.
func (r *reconciler) write(ctx context.Context, s *situation, p plan) error {
	p.conditions(s.now)
	before := s.claim.Status
	if equality.Semantic.DeepEqual(before, *p.status) {
		return nil
	}
	s.claim.Status = *p.status.DeepCopy()
	if err := r.writer.Status().Update(ctx, s.claim); err != nil {
		return client.IgnoreNotFound(err)
	}
	if before.Phase == p.status.Phase && before.Message == p.status.Message {
		return nil
	}
	kind := corev1.EventTypeNormal
	switch p.reason {
	case reasonRefused, reasonExpiresSoon, reasonExpired, reasonGone, reasonNameTaken, reasonClassGone, reasonMisconfig, reasonFenceFailed:
		kind = corev1.EventTypeWarning
	}
	// An Event with a longer note is refused by the apiserver.
	r.events.Eventf(s.claim, nil, kind, p.reason, string(p.action), "%.1000s", p.status.Message)
	return nil
}

// provide makes the namespace, or puts the fence and then the owner's rights into it: the owner is never inside before
// the fence stands.
func (r *reconciler) provide(ctx context.Context, s *situation, p plan) error {
	namespace := namespaceOf(s, p)
	if p.action == create {
		if err := r.write(ctx, s, p); err != nil {
			return err
		}
		if err := r.writer.Create(ctx, namespace, client.FieldOwner(controllerName)); err != nil {
			return err
		}
		p.status.NamespaceUID = string(namespace.GetUID())
		return r.write(ctx, s, p)
	}

	// With its uid, this is refused for any other namespace that may have come into its place.
	namespace.SetUID(s.namespace.UID)
	objects := []*unstructured.Unstructured{namespace}
	for _, object := range s.fences[s.claim.Spec.Class].objects {
		inside := object.DeepCopy()
		inside.SetNamespace(s.namespace.Name)
		objects = append(objects, inside)
	}
	for _, object := range append(objects, ownerBindingIn(s)) {
		if err := r.writer.Apply(ctx, client.ApplyConfigurationFromUnstructured(object),
			client.FieldOwner(controllerName), client.ForceOwnership); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return r.write(ctx, s, p)
}

// namespaceOf returns the namespace that a claim is to have.
func namespaceOf(s *situation, p plan) *unstructured.Unstructured {
	claim := s.claim
	labels := map[string]string{}
	for key, value := range s.fences[claim.Spec.Class].labels {
		labels[key] = value
	}
	labels[api.LabelClaim], labels[api.LabelClaimUID] = claim.Name, string(claim.UID)
	annotations := map[string]string{
		api.AnnotationOwner: claim.Spec.Owner, api.AnnotationPurpose: claim.Spec.Purpose,
		api.AnnotationExpires: rfc3339(p.status.ExpiresAt.Time),
	}
	if s.home != nil {
		labels[api.LabelTenant] = s.home.Labels[api.LabelTenant]
		for _, key := range []string{api.AnnotationContact, api.AnnotationTeam} {
			if value, ok := s.home.Annotations[key]; ok {
				annotations[key] = value
			}
		}
	}
	namespace := &unstructured.Unstructured{}
	namespace.SetAPIVersion("v1")
	namespace.SetKind("Namespace")
	namespace.SetName(p.status.Namespace)
	namespace.SetLabels(labels)
	namespace.SetAnnotations(annotations)
	return namespace
}

// ownerBindingIn returns the RoleBinding that gives the owner the namespace. Whoever has lost the tenant's namespace has
// lost this one as well: then it names nobody, until they are back.
func ownerBindingIn(s *situation) *unstructured.Unstructured {
	subjects := []any{}
	if !s.stranger {
		subjects = append(subjects, map[string]any{"apiGroup": rbacv1.GroupName, "kind": rbacv1.UserKind, "name": s.claim.Spec.Owner})
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": rbacv1.SchemeGroupVersion.String(),
		"kind":       "RoleBinding",
		"metadata":   map[string]any{"name": ownerBinding, "namespace": s.namespace.Name},
		"roleRef":    map[string]any{"apiGroup": rbacv1.GroupName, "kind": "ClusterRole", "name": ownerRole},
		"subjects":   subjects,
	}}
}
