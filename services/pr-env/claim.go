package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	authentication "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"example.com/journal/services/namespace-controller/api"
)

// claim asks for the namespace, or for more time in it, and waits until it is there. It returns the claim as it is then.
func (e *environment) claim(ctx context.Context, class string, ttl time.Duration) (*api.NamespaceClaim, error) {
	user, err := e.whoAmI(ctx)
	if err != nil {
		return nil, err
	}
	claim, err := e.find(ctx)
	if err != nil {
		return nil, err
	}
	if claim != nil && !claim.DeletionTimestamp.IsZero() {
		e.say("the environment before this one is being deleted")
		if err := e.gone(ctx, claim); err != nil {
			return nil, err
		}
		claim = nil
	}
	if claim == nil {
		claim = &api.NamespaceClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: e.tenant, Name: e.claimName(), Labels: map[string]string{pullRequestLabel: e.number}},
			Spec:       api.NamespaceClaimSpec{Owner: user, Access: api.AccessTenant, Class: class, TTL: ttl.String(), Purpose: "pull request " + e.number},
		}
		if err := e.client.Create(ctx, claim, client.FieldOwner(program)); err != nil {
			return nil, e.explainClaim(err)
		}
	} else if err := e.prolong(ctx, claim, user, class, ttl); err != nil {
		return nil, err
	}
	return e.ready(ctx, claim)
}

// whoAmI returns the name of the caller, who owns the claim.
func (e *environment) whoAmI(ctx context.Context) (string, error) {
	review := &authentication.SelfSubjectReview{}
	if err := e.client.Create(ctx, review); err != nil {
		return "", answered(fmt.Errorf("ask the API server who you are: %w", err))
	}
	user := review.Status.UserInfo.Username
	if strings.HasPrefix(user, "system:") {
		return "", fmt.Errorf("user %q: an account of the cluster owns no namespace; use the kubeconfig of a person, or of a CI that is a developer of the tenant "+
			"by its own name, as docs/tenants.md says", user)
	}
	return user, nil
}

// find returns the claim, or nil if there is none.
func (e *environment) find(ctx context.Context) (*api.NamespaceClaim, error) {
	claim := &api.NamespaceClaim{}
	err := e.client.Get(ctx, types.NamespacedName{Namespace: e.tenant, Name: e.claimName()}, claim)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, e.explainClaim(err)
	case claim.Labels[pullRequestLabel] != e.number:
		return nil, fmt.Errorf("claim %q of tenant %s: it is there, and pr-env has not made it: it has no label %s=%s; delete it, or give it another name",
			claim.Name, e.tenant, pullRequestLabel, e.number)
	}
	return claim, nil
}

// explainClaim says what to do about an error of the API server that concerns the claim.
func (e *environment) explainClaim(err error) error {
	about := fmt.Sprintf("claim %q of tenant %s: ", e.claimName(), e.tenant)
	switch {
	case meta.IsNoMatchError(err):
		return fmt.Errorf("%s%w; the cluster has no claims: the platform team adds the key journal:claims to its stack", about, err)
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err):
		return fmt.Errorf("%s%w; name a tenant of which you are a developer, as in TENANT=team-a", about, err)
	}
	return answered(fmt.Errorf("%s%w", about, err))
}

// answered says what to do about an error if the API server does not answer, or not to this user. Its other answers say it themselves.
func answered(err error) error {
	switch apierrors.ReasonForError(err) {
	case metav1.StatusReasonUnauthorized:
		return fmt.Errorf("%w; renew the credential of your kubeconfig, for example with make onboard", err)
	case metav1.StatusReasonUnknown:
		return fmt.Errorf("%w; name the kubeconfig of the cluster in KUBECONFIG", err)
	default:
		return err
	}
}

// prolong moves the end of a claim, so that it is a time to live from now. Of a claim of somebody else only they and an owner of the
// tenant may: for others the end stays as it is.
func (e *environment) prolong(ctx context.Context, claim *api.NamespaceClaim, user, class string, ttl time.Duration) error {
	if claim.Spec.Class != class {
		e.say("the environment keeps its class %s: a namespace has one for life, and make pr-env-down PR=%s ends it", claim.Spec.Class, e.number)
	}
	before := claim.DeepCopy()
	claim.Spec.TTL = lifetime(claim.CreationTimestamp.Time, e.now(), ttl).String()
	err := e.client.Patch(ctx, claim, client.MergeFrom(before), client.FieldOwner(program))
	if refused := apierrors.IsForbidden(err) || apierrors.IsInvalid(err); refused && before.Spec.Owner != user {
		e.say("the environment is not prolonged: its claim belongs to %s", before.Spec.Owner)
		before.DeepCopyInto(claim)
		return nil
	}
	if err != nil {
		return e.explainClaim(err)
	}
	return nil
}

// lifetime returns the lifetime, counted from the creation, of what is to end a time to live from now.
func lifetime(created, now time.Time, ttl time.Duration) time.Duration {
	return max(now.Sub(created), 0).Truncate(time.Second) + ttl
}

// ready waits until the claim has its namespace.
func (e *environment) ready(ctx context.Context, claim *api.NamespaceClaim) (*api.NamespaceClaim, error) {
	wanted := claim.Generation
	over, err := e.await(ctx, func(ctx context.Context) (bool, error) {
		err := e.client.Get(ctx, client.ObjectKeyFromObject(claim), claim)
		if apierrors.IsNotFound(err) {
			return false, fmt.Errorf("claim %q of tenant %s: its time was over just now; call make pr-env again, which makes another", claim.Name, e.tenant)
		} else if err != nil {
			return false, e.explainClaim(err)
		}
		status := claim.Status
		if status.ObservedGeneration < wanted {
			return false, nil
		}
		if status.Phase == api.Refused {
			return false, fmt.Errorf("claim %q of tenant %s is refused: %s; it waits for room until make pr-env-down PR=%s takes it back",
				claim.Name, e.tenant, status.Message, e.number)
		}
		return meta.IsStatusConditionTrue(status.Conditions, api.ConditionReady) && (status.Phase == api.Active || status.Phase == api.Expiring), nil
	})
	if over {
		return nil, fmt.Errorf("claim %q of tenant %s has no namespace after %v: %s; ask who runs the cluster whether the controller of claims runs",
			claim.Name, e.tenant, e.patience, orNothing(claim.Status.Message))
	}
	return claim, err
}

// orNothing is a message, or says that there is none.
func orNothing(message string) string {
	if message == "" {
		return "nothing was said about it"
	}
	return message
}

// await asks again until the answer is yes or an error. It says whether the patience was over before.
func (e *environment) await(ctx context.Context, so func(context.Context) (bool, error)) (over bool, err error) {
	err = wait.PollUntilContextTimeout(ctx, e.poll, e.patience, true, so)
	if wait.Interrupted(err) && ctx.Err() == nil {
		return true, nil
	}
	return false, err
}

// host returns the host that the namespace may use, whose first label is the claim's name.
func (e *environment) host(ctx context.Context, name string) (string, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := e.client.Get(ctx, types.NamespacedName{Name: name}, namespace); err != nil {
		return "", fmt.Errorf("read the hosts of namespace %s: %w; ask the platform team to name you in a tenant of the stack", name, err)
	}
	hosts := namespace.Annotations[api.AnnotationHosts]
	domain, wildcard := strings.CutPrefix(hosts, "*.")
	if !wildcard {
		return "", fmt.Errorf("namespace %s: its annotation %s is %q, and must be *.<domain>; ask who runs the cluster to bring up its stack again", name, api.AnnotationHosts, hosts)
	}
	return e.claimName() + "." + domain, nil
}

// down deletes the claim, and waits until its namespace is gone.
func (e *environment) down(ctx context.Context) error {
	claim, err := e.find(ctx)
	if err != nil {
		return err
	}
	if claim == nil {
		e.say("pull request %s has no environment in tenant %s", e.number, e.tenant)
		return nil
	}
	if claim.DeletionTimestamp.IsZero() {
		if err := client.IgnoreNotFound(e.client.Delete(ctx, claim, client.Preconditions{UID: &claim.UID})); err != nil {
			return e.explainClaim(err)
		}
	}
	if err := e.gone(ctx, claim); err != nil {
		return err
	}
	e.say("the environment of pull request %s is gone, with its data", e.number)
	return nil
}

// gone waits until a claim that is being deleted is gone. It goes after its namespace.
func (e *environment) gone(ctx context.Context, claim *api.NamespaceClaim) error {
	last := &api.NamespaceClaim{}
	over, err := e.await(ctx, func(ctx context.Context) (bool, error) {
		err := e.client.Get(ctx, client.ObjectKeyFromObject(claim), last)
		if apierrors.IsNotFound(err) || err == nil && last.UID != claim.UID {
			return true, nil
		}
		return false, err
	})
	if over {
		return fmt.Errorf("claim %q of tenant %s is still there after %v: %s; it goes on by itself: ask again, and look what is left with kubectl describe namespace %s",
			claim.Name, e.tenant, e.patience, orNothing(last.Status.Message), claim.Status.Namespace)
	}
	return err
}
