package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"example.com/journal/services/namespace-controller/api"
)

// act takes the step of a plan. It first writes what the step depends on to the status, with the resource version of the claim
// that was observed, so that no edit in between is overlooked.
func (r *reconciler) act(ctx context.Context, s *situation, p plan) (again bool, err error) {
	if p.takeAway {
		if err := r.takeAway(ctx, s.namespace.Name, p.rights); err != nil {
			return false, err
		}
	}
	switch p.action {
	case wait:
		return false, r.write(ctx, s, p)
	case bind:
		if err := r.grant(ctx, s.namespace.Name, p.rights); err != nil {
			return false, err
		}
		return false, r.write(ctx, s, p)
	case adopt, forget, resume:
		return true, r.write(ctx, s, p)
	case admit:
		if err := r.hold(ctx, s.claim); err != nil {
			return false, err
		}
		return true, r.write(ctx, s, p)
	case create, enforce:
		err := r.provide(ctx, s, p)
		if err != nil && !apierrors.IsConflict(err) && ctx.Err() == nil {
			p.stands = false
			p = p.waits(p.status.Phase, reasonApplyFailed, fmt.Sprintf("namespace %s: %v; it is tried again", p.status.Namespace, err))
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

// unchanged is the precondition that an object is still the one that was observed, in the same state, when it is deleted.
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

// write writes the status of a plan if it changes, and sends an Event.
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
	case reasonRefused, reasonExpiresSoon, reasonExpired, reasonGone, reasonNameTaken, reasonClassGone, reasonMisconfig, reasonApplyFailed:
		kind = corev1.EventTypeWarning
	}
	// The API server refuses an Event with a longer note.
	r.events.Eventf(s.claim, nil, kind, p.reason, string(p.action), "%.1000s", p.status.Message)
	return nil
}

// provide creates the namespace, or applies its policy objects and then the rights, so that nobody has rights in it before the
// policy objects exist.
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

	// With the uid, the API server refuses this for another namespace that may have taken its place.
	namespace.SetUID(s.namespace.UID)
	objects := []*unstructured.Unstructured{namespace}
	for _, object := range append(s.network.policies(s.namespace.Labels[api.LabelTenant]), s.classes[s.claim.Spec.Class].objects...) {
		objects = append(objects, s.inNamespace(object))
	}
	for _, object := range objects {
		if err := r.apply(ctx, object); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	if err := r.grant(ctx, s.namespace.Name, p.rights); err != nil {
		return err
	}
	return r.write(ctx, s, p)
}

// namespaceOf returns the namespace that a claim is to have.
func namespaceOf(s *situation, p plan) *unstructured.Unstructured {
	claim := s.claim
	labels := map[string]string{}
	maps.Copy(labels, s.classes[claim.Spec.Class].labels)
	labels[api.LabelClaim], labels[api.LabelClaimUID] = claim.Name, string(claim.UID)
	annotations := map[string]string{
		api.AnnotationOwner: claim.Spec.Owner, api.AnnotationPurpose: claim.Spec.Purpose,
		api.AnnotationExpires: rfc3339(p.status.ExpiresAt.Time), api.AnnotationHosts: "*." + p.status.Namespace + "." + s.domain,
	}
	if s.home != nil {
		labels[api.LabelTenant] = s.home.Labels[api.LabelTenant]
		if isSuspended(s.home) {
			labels[api.LabelSuspended] = "true"
		}
		for _, key := range []string{api.AnnotationContact, api.AnnotationTeam} {
			if value, ok := s.home.Annotations[key]; ok {
				annotations[key] = value
			}
		}
	}
	// An owner who is written anew just before the tenant is suspended is written on the namespace when it is resumed: a suspended
	// tenant has no owners or developers, and the admission policies let no one else become the owner.
	if s.namespace != nil && isSuspended(s.home) {
		annotations[api.AnnotationOwner] = cmp.Or(s.namespace.Annotations[api.AnnotationOwner], claim.Spec.Owner)
	}
	namespace := &unstructured.Unstructured{}
	namespace.SetAPIVersion("v1")
	namespace.SetKind("Namespace")
	namespace.SetName(p.status.Namespace)
	namespace.SetLabels(labels)
	namespace.SetAnnotations(annotations)
	return namespace
}
