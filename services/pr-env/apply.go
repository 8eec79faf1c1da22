package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// kinds are those of an environment's objects. Only of these is one deleted that a call no longer applies. Secrets and volumes are
// not among them: they stay as long as the namespace.
var kinds = []schema.GroupVersionKind{
	{Version: "v1", Kind: "ConfigMap"},
	{Version: "v1", Kind: "Service"},
	{Version: "v1", Kind: "ServiceAccount"},
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"},
	{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"},
	{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"},
}

// check refuses objects that are not for the namespace, and kinds that a later call would not find again.
func (e *environment) check(namespace string, objects []*unstructured.Unstructured) error {
	var errs []error
	for _, o := range objects {
		switch {
		case o.GetNamespace() != namespace:
			errs = append(errs, fmt.Errorf("%s %q: it is not in namespace %s, and an environment has nothing outside; remove what brings it from %s",
				o.GetKind(), o.GetName(), namespace, stackFile))
		case !slices.Contains(kinds, o.GroupVersionKind()):
			errs = append(errs, fmt.Errorf("%s %q: an environment has no %s; remove what brings it from %s", o.GetKind(), o.GetName(), o.GroupVersionKind(), stackFile))
		}
	}
	return errors.Join(errs...)
}

// apply applies the objects with the label of the pull request. It takes fields from whoever has changed them by hand: an environment
// is as the last call describes it.
func (e *environment) apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, rendered := range objects {
		o := rendered.DeepCopy()
		labels := map[string]string{pullRequestLabel: e.number}
		maps.Copy(labels, o.GetLabels())
		o.SetLabels(labels)
		err := e.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner(program), client.ForceOwnership)
		switch {
		case apierrors.IsInvalid(err) && o.GetKind() == "StatefulSet":
			return fmt.Errorf("StatefulSet %s: %w; if a field of it cannot change, such as the size of a volume, begin anew: make pr-env-down PR=%s deletes the "+
				"environment with its data", o.GetName(), err, e.number)
		case err != nil:
			return fmt.Errorf("%s %s: %w; repair it in %s or in SET, and call make pr-env again", o.GetKind(), o.GetName(), err, stackFile)
		}
	}
	return nil
}

// prune deletes the objects of the pull request that were not applied.
func (e *environment) prune(ctx context.Context, namespace string, objects []*unstructured.Unstructured) error {
	applied := map[string]bool{}
	for _, o := range objects {
		applied[o.GetKind()+" "+o.GetName()] = true
	}
	for _, kind := range kinds {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := e.client.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{pullRequestLabel: e.number}); err != nil {
			return fmt.Errorf("list each %s of the environment: %w; call make pr-env again", kind.Kind, err)
		}
		for i := range list.Items {
			o := &list.Items[i]
			if applied[kind.Kind+" "+o.Name] || !o.DeletionTimestamp.IsZero() {
				continue
			}
			o.SetGroupVersionKind(kind)
			err := e.client.Delete(ctx, o, client.Preconditions{UID: &o.UID}, client.PropagationPolicy(metav1.DeletePropagationBackground))
			if client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("delete %s %s, which is no longer in the stack: %w; call make pr-env again", kind.Kind, o.Name, err)
			}
			e.say("deleted %s %s, which is no longer in the stack", kind.Kind, o.Name)
		}
	}
	return nil
}
