package main

import (
	"context"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"example.com/journal/services/namespace-controller/api"
)

// quotaName is the ResourceQuota that every namespace of a tenant has.
const quotaName = "tenant"

// isSuspended reports whether a namespace is suspended. No tenant can write its label.
func isSuspended(namespace *metav1.PartialObjectMetadata) bool {
	return namespace != nil && namespace.Labels[api.LabelSuspended] == "true"
}

// parseSuspended reads what the quota of a suspended namespace has in place of its class's.
func parseSuspended(config *corev1.ConfigMap) (hard map[string]any, err error) {
	return hard, decode(config, "suspended.json", &hard)
}

// grace returns the end of a claim whose tenant is resumed: its owner could not extend it meanwhile, and has the time of a
// warning to do so. The end stays if half of that is left, so that it is moved once. No grace is given where the warning is too
// short for anybody to read.
func grace(s situation, end time.Time) time.Time {
	warning := s.limits.WarnBefore.Duration
	if s.home == nil || !s.resumes() || warning < 2*time.Second || !end.Before(s.now.Add(warning/2)) {
		return end
	}
	return s.now.Add(warning).Truncate(time.Second).Add(time.Second)
}

// inNamespace returns an object of the claim's class as its namespace has it.
func (s *situation) inNamespace(object *unstructured.Unstructured) *unstructured.Unstructured {
	inside := object.DeepCopy()
	inside.SetNamespace(s.namespace.Name)
	if hard, found, _ := unstructured.NestedMap(inside.Object, "spec", "hard"); found && isSuspended(s.home) && inside.GetKind() == "ResourceQuota" {
		maps.Copy(hard, s.stopped)
		_ = unstructured.SetNestedMap(inside.Object, hard, "spec", "hard") // "spec" is a map: it was read above
	}
	return inside
}

// resumes reports whether a namespace is still suspended and its tenant no longer is.
func (s *situation) resumes() bool { return isSuspended(s.namespace) && !isSuspended(s.home) }

// stopper deletes the pods of suspended namespaces. A quota refuses new pods and leaves those that are there.
type stopper struct{ *reconciler }

// stopRest is the delay before the next look at a namespace whose pods are stopping.
const stopRest = 10 * time.Second

// setup registers the stopper. A namespace is looked at when it is suspended, and when its quota says that pods run in it.
func (s stopper) setup(manager ctrl.Manager) error {
	suspended := predicate.NewPredicateFuncs(func(object client.Object) bool { return object.GetLabels()[api.LabelSuspended] == "true" })
	running := predicate.NewPredicateFuncs(func(object client.Object) bool {
		quota, ok := object.(*corev1.ResourceQuota)
		return ok && isStopped(quota) && !quota.Status.Used.Pods().IsZero()
	})
	return ctrl.NewControllerManagedBy(manager).
		Named("stopper").
		WatchesMetadata(&corev1.Namespace{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(suspended)).
		Watches(&corev1.ResourceQuota{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, quota client.Object) []reconcile.Request {
			return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: quota.GetNamespace()}}}
		}), builder.WithPredicates(running)).
		Complete(s)
}

// isStopped reports whether a quota refuses every new pod. The API server goes by the status, which follows the specification
// a moment later.
func isStopped(quota *corev1.ResourceQuota) bool {
	for _, hard := range []corev1.ResourceList{quota.Spec.Hard, quota.Status.Hard} {
		if pods, bounded := hard[corev1.ResourcePods]; !bounded || !pods.IsZero() {
			return false
		}
	}
	return true
}

// Reconcile deletes the pods of one namespace, once its quota refuses new ones: otherwise they would be made again. Pods that
// have finished stay, with their logs.
func (s stopper) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	namespace, err := s.namespace(ctx, request.Name)
	if err != nil || !isSuspended(namespace) || namespace.Labels[api.LabelTenant] == "" {
		return reconcile.Result{}, err
	}
	quota := &corev1.ResourceQuota{}
	if err := s.live.Get(ctx, client.ObjectKey{Namespace: namespace.Name, Name: quotaName}, quota); err != nil || !isStopped(quota) {
		return reconcile.Result{RequeueAfter: longestRest}, client.IgnoreNotFound(err) // A change of the quota leads here again.
	}
	limits, err := s.cachedLimits(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	pods := listOf("Pod")
	unfinished := client.MatchingFieldsSelector{Selector: fields.AndSelectors(
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)), fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)))}
	if err := s.live.List(ctx, pods, client.InNamespace(namespace.Name), unfinished); err != nil {
		return reconcile.Result{}, err
	}
	if len(pods.Items) == 0 {
		return reconcile.Result{RequeueAfter: longestRest}, nil
	}
	ctrl.LoggerFrom(ctx).Info("stop the pods of a suspended namespace", "pods", len(pods.Items), "dryRun", limits.DryRun)
	for i := range pods.Items {
		pod := &pods.Items[i]
		if limits.DryRun || !pod.DeletionTimestamp.IsZero() {
			continue
		}
		if err := s.writer.Delete(ctx, pod, client.Preconditions{UID: &pod.UID}); client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, err
		}
	}
	if limits.DryRun {
		return reconcile.Result{RequeueAfter: longestRest}, nil
	}
	return reconcile.Result{RequeueAfter: stopRest}, nil
}

// cachedLimits reads the limits from the cache.
func (r *reconciler) cachedLimits(ctx context.Context) (limits, error) {
	config := &corev1.ConfigMap{}
	if err := r.cached.Get(ctx, client.ObjectKey{Namespace: r.platform, Name: limitsName}, config); err != nil {
		return limits{}, err
	}
	return parseLimits(config)
}
