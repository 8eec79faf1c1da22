package main

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"example.com/journal/services/namespace-controller/api"
)

// busyRest is the delay before the next decision about a claim while another one of its tenant or its owner is counted.
const busyRest = 50 * time.Millisecond

// count decides about a claim without a namespace. A claim that the cache can refuse needs no list and delays nobody. Only a
// claim that would be admitted is counted against the limits by the API server's data, one at a time for each tenant and each
// owner, so that many claims of one delay no other tenant's.
func (r *reconciler) count(ctx context.Context, s *situation) (result reconcile.Result, err error) {
	s.now = r.clock.now(s.claim.UID)
	if err := r.readFrom(ctx, r.cached, s); err != nil {
		return reconcile.Result{}, err
	}
	if decide(*s).action != admit {
		return r.step(ctx, s)
	}
	release, free := r.counting.take("tenant "+s.home.Labels[api.LabelTenant], "owner "+s.claim.Spec.Owner)
	if !free {
		return reconcile.Result{RequeueAfter: busyRest}, nil
	}
	defer release()
	if s.members, err = r.membersOf(ctx, s.claim.Namespace); err != nil {
		return reconcile.Result{}, err
	}
	if decide(*s).action != admit {
		return r.step(ctx, s)
	}
	if err := r.readFrom(ctx, r.live, s); err != nil {
		return reconcile.Result{}, err
	}
	return r.step(ctx, s)
}

// readFrom reads the settings and the other claims.
func (r *reconciler) readFrom(ctx context.Context, from client.Reader, s *situation) (err error) {
	if err := r.readSettings(ctx, from, s); err != nil {
		return err
	}
	s.holders, err = holders(ctx, from, s.claim)
	return err
}

// holders returns the other claims that have a namespace.
func holders(ctx context.Context, from client.Reader, but *api.NamespaceClaim) ([]holder, error) {
	namespaces := &metav1.PartialObjectMetadataList{}
	namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	// The listed objects are not changed.
	if err := from.List(ctx, namespaces, client.HasLabels{api.LabelTenant}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	tenants := map[string]string{}
	for i := range namespaces.Items {
		tenants[namespaces.Items[i].Name] = namespaces.Items[i].Labels[api.LabelTenant]
	}
	list := &api.NamespaceClaimList{}
	if err := from.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	var holders []holder
	for i := range list.Items {
		if claim := &list.Items[i]; claim.UID != but.UID && claim.Status.Namespace != "" {
			holders = append(holders, holder{name: claim.Namespace + "/" + claim.Name, owner: claim.Spec.Owner,
				class: claim.Spec.Class, tenant: tenants[claim.Namespace]})
		}
	}
	return holders, nil
}

// busy are the names that are locked: only one caller at a time may have each.
type busy struct {
	mu    sync.Mutex
	names map[string]bool
}

// take locks all names, or none if one of them is locked. The caller must release them.
func (b *busy) take(names ...string) (release func(), free bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range names {
		if b.names[name] {
			return nil, false
		}
	}
	if b.names == nil {
		b.names = map[string]bool{}
	}
	for _, name := range names {
		b.names[name] = true
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, name := range names {
			delete(b.names, name)
		}
	}, true
}
