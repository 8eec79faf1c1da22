package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"example.com/journal/services/namespace-controller/api"
)

const (
	// controllerName is the name of the controller, its lease, its account and its field manager.
	controllerName = "namespace-controller"

	// atOnce is the delay before the next step of a claim.
	atOnce = time.Millisecond
	// longestRest is the longest time between two decisions about a claim.
	longestRest = 30 * time.Minute
)

// reconciler carries out what decide returns.
//
// It reads from the API server, not from a cache that may be older than its own last step: stale reads create namespaces
// twice, exceed shares and overlook extensions. Watches only trigger it. The cache is good enough to refuse a claim: when the
// cache catches up, the claim is decided again.
type reconciler struct {
	// platform is the namespace with the limits and the classes.
	platform string
	writer   client.Client
	live     client.Reader
	cached   client.Reader
	clock    *clock
	events   events.EventRecorder
	// counting lets one claim of a tenant and of an owner at a time be counted against their limits.
	counting busy
}

// Reconcile observes one claim and takes the one step that it needs.
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
	claim := &api.NamespaceClaim{}
	if err := r.live.Get(ctx, key, claim); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	home, err := r.namespace(ctx, key.Namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	s := &situation{claim: claim, home: home}
	if claim.Status.Namespace == "" {
		return r.count(ctx, s)
	}
	if err := r.observe(ctx, s); err != nil {
		return reconcile.Result{}, err
	}
	return r.step(ctx, s)
}

// step decides and takes the step.
func (r *reconciler) step(ctx context.Context, s *situation) (reconcile.Result, error) {
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

// observe reads everything that a decision about a claim with a namespace depends on.
func (r *reconciler) observe(ctx context.Context, s *situation) (err error) {
	if s.namespace, err = r.namespace(ctx, s.claim.Status.Namespace); err != nil {
		return err
	}
	if s.members, err = r.membersOf(ctx, s.claim.Namespace); err != nil {
		return err
	}
	if err := r.readSettings(ctx, r.live, s); err != nil {
		return err
	}
	s.now = r.clock.now(s.claim.UID)
	return nil
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

// readSettings reads the limits and the classes.
func (r *reconciler) readSettings(ctx context.Context, from client.Reader, s *situation) error {
	config := &corev1.ConfigMap{}
	err := from.Get(ctx, types.NamespacedName{Namespace: r.platform, Name: limitsName}, config)
	switch {
	case apierrors.IsNotFound(err):
		s.limitsFault = fmt.Errorf("ConfigMap %s/%s: is not there; the stack writes it, run `pulumi up`", r.platform, limitsName)
	case err != nil:
		return err
	default:
		s.limits, s.limitsFault = parseLimits(config)
		if s.limitsFault == nil {
			s.domain, s.limitsFault = parseDomain(config)
		}
		if s.limitsFault == nil {
			s.network, s.limitsFault = parseNetwork(config)
		}
		if s.limitsFault == nil {
			s.stopped, s.limitsFault = parseSuspended(config)
		}
	}

	configs := &corev1.ConfigMapList{}
	if err := from.List(ctx, configs, client.InNamespace(r.platform), client.HasLabels{api.LabelClass}); err != nil {
		return err
	}
	s.classes, s.classFaults = map[string]*template{}, map[string]error{}
	for i := range configs.Items {
		class := configs.Items[i].Labels[api.LabelClass]
		if configs.Items[i].Name != classPrefix+class {
			continue
		}
		if f, err := parseTemplate(&configs.Items[i]); err != nil {
			s.classFaults[class] = err
		} else {
			s.classes[class] = f
		}
	}
	return nil
}
