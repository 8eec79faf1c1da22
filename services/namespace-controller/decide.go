package main

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"example.com/journal/services/namespace-controller/api"
)

// action is the one step that a decision about a claim leads to.
type action string

const (
	// wait only writes the status.
	wait action = "wait"
	// admit counts the claim against the share, by writing the name of its namespace in the status.
	admit action = "admit"
	// create creates the namespace.
	create action = "create"
	// adopt writes the uid of a namespace that was created just before a crash.
	adopt action = "adopt"
	// forget drops the uid of a namespace that somebody else deleted.
	forget action = "forget"
	// resume moves the end of a claim whose tenant was suspended, so that its owner is warned first.
	resume action = "resume"
	// enforce applies the policy objects and the rights.
	enforce action = "enforce"
	// bind applies the rights only.
	bind action = "bind"
	// remove deletes the namespace.
	remove action = "remove"
	// finish removes the finalizer of a claim that has no namespace any more.
	finish action = "finish"
)

// The reasons of the condition Ready, and of the Events that say the same.
const (
	reasonReady       = "Ready"
	reasonCreating    = "Creating"
	reasonRefused     = "Refused"
	reasonExpiresSoon = "ExpiresSoon"
	reasonExpired     = "Expired"
	reasonDeleted     = "ClaimDeleted"
	reasonGone        = "NamespaceGone"
	reasonNameTaken   = "NameTaken"
	reasonClassGone   = "ClassGone"
	reasonMisconfig   = "Misconfigured"
	reasonDryRun      = "DryRun"
	reasonApplyFailed = "ApplyFailed"
	reasonSuspended   = "Suspended"
	reasonResumed     = "Resumed"
)

// situation is everything that a decision about a claim depends on.
type situation struct {
	// now is the claim's time by the clock.
	now time.Time
	// claim is the claim itself.
	claim *api.NamespaceClaim
	// members are the users and groups with a role in home, or nil if nobody has asked for them yet.
	members *members
	// home is the namespace that the claim is in.
	home *metav1.PartialObjectMetadata
	// namespace is the object with the name of the claim's namespace, or nil. It need not be the claim's.
	namespace *metav1.PartialObjectMetadata
	// limits are the rules, and limitsFault says why they cannot be read.
	limits      limits
	limitsFault error
	// domain is the domain of claimed namespaces' hosts.
	domain string
	// network is what the NetworkPolicies are made of that differ between the tenants.
	network network
	// stopped is what the quota of a suspended namespace has in place of its class's.
	stopped map[string]any
	// classes are the templates of all classes by name, and classFaults say why one cannot be read.
	classes     map[string]*template
	classFaults map[string]error
	// holders are the other claims that hold a namespace.
	holders []holder
}

// holder is another claim that holds a namespace.
type holder struct{ name, owner, class, tenant string }

// decide returns what to do about a claim. It depends only on what is observed, so a restart between any two steps loses
// nothing: every step is written to the API server before the next one depends on it.
func decide(s situation) plan {
	p := nextStep(s)
	// Whoever has left the tenant, or has given the claim away, or whose claim ends, loses access first: everything else may take
	// long or fail. A namespace that is being deleted may have pods for minutes.
	if ends := s.namespace != nil && !s.namespace.DeletionTimestamp.IsZero() || p.status.Phase == api.Deleting; !ends {
		if p.rights = s.members.rightsOf(s.claim); isSuspended(s.home) { // the tenant's bindings may follow a moment later
			p.rights = p.rights.asViewers()
		}
	}
	p.takeAway = !s.limits.DryRun && belongs(s.namespace, s.claim)
	return p
}

// unnamed says that the claim's owner has no role that may claim, as far as anybody but the identity provider knows.
func unnamed(s situation) string {
	return fmt.Sprintf("%s is neither an owner nor a developer of namespace %q by name", s.claim.Spec.Owner, s.claim.Namespace)
}

// nextStep is decide without the rights.
func nextStep(s situation) plan {
	status := s.claim.Status.DeepCopy()
	status.ObservedGeneration = s.claim.Generation
	p := plan{status: status}
	deleted := !s.claim.DeletionTimestamp.IsZero()
	admitted := status.Namespace != ""

	switch {
	case deleted && !hasFinalizer(s.claim):
		return p.waits(status.Phase, reasonDeleted, "the claim is being deleted")
	case deleted && !admitted:
		return p.does(finish, api.Deleting, reasonDeleted, "the claim is deleted and holds no namespace")
	case s.limitsFault != nil:
		phase := status.Phase
		if phase == "" {
			phase = api.Pending
		}
		return p.waits(phase, reasonMisconfig, fmt.Sprintf("nothing is made or deleted until the limits can be read: %v", s.limitsFault))
	case !admitted:
		return decideAdmission(s, p)
	}

	end := announce(s, status)
	mine := belongs(s.namespace, s.claim)
	if extended := grace(s, end); mine && !deleted && extended.After(end) {
		status.ExpiresAt = &metav1.Time{Time: extended}
		return p.does(resume, status.Phase, reasonResumed, fmt.Sprintf("the tenant is resumed; namespace %s is there until %s", s.namespace.Name, rfc3339(extended)))
	}
	over := deleted || !s.now.Before(end) && !isSuspended(s.home)
	reason, why := reasonExpired, fmt.Sprintf("the claim's time was over at %s", rfc3339(end))
	if deleted {
		reason, why = reasonDeleted, "the claim was deleted"
	}

	switch {
	case over && !mine:
		// Any other namespace with this name is not ours and stays.
		return p.dryRun(s, finish, api.Deleting, reason, why+" and its namespace is gone")
	case mine && !s.namespace.DeletionTimestamp.IsZero() && over:
		return p.waits(api.Deleting, reason, fmt.Sprintf("%s; namespace %s is being deleted with all that it holds", why, s.namespace.Name))
	case mine && !s.namespace.DeletionTimestamp.IsZero():
		return p.waits(api.Deleting, reasonGone, fmt.Sprintf("namespace %s is being deleted; it is made again, empty, when it is gone", s.namespace.Name))
	case mine && status.NamespaceUID == "":
		status.NamespaceUID = string(s.namespace.UID)
		return p.does(adopt, api.Pending, reasonCreating, fmt.Sprintf("namespace %s is made", s.namespace.Name))
	case over:
		return p.dryRun(s, remove, api.Deleting, reason, fmt.Sprintf("%s; namespace %s is deleted with all that it holds", why, s.namespace.Name))
	case s.namespace == nil && status.NamespaceUID != "":
		status.NamespaceUID = ""
		return p.does(forget, api.Pending, reasonGone, fmt.Sprintf("namespace %s was deleted by somebody else; it is made again, empty", status.Namespace))
	}

	if p.next = end; isSuspended(s.home) { // Whatever else keeps the claim from its namespace, its time ends.
		p.next = time.Time{}
	}
	_, known := s.classes[s.claim.Spec.Class]
	switch {
	case s.namespace != nil && !mine:
		return p.waits(api.Pending, reasonNameTaken, fmt.Sprintf(
			"namespace %q: is there and is not this claim's, so it is left alone; delete the claim and apply it again, which gives another name", s.namespace.Name))
	case s.namespace == nil && !known:
		return p.waits(api.Pending, reasonClassGone, classFault(s).Error())
	case s.namespace == nil:
		return p.dryRun(s, create, api.Pending, reasonCreating, fmt.Sprintf("namespace %s is made", status.Namespace))
	}

	return keep(s, p, end, known)
}

// keep returns what to do about a claim whose namespace exists: apply the objects in it, and report when it ends.
func keep(s situation, p plan, end time.Time, known bool) plan {
	phase, next := phaseAt(s, end)
	p.next, p.stands = next, true
	reason, message := reasonReady, fmt.Sprintf("namespace %s is there until %s", s.namespace.Name, rfc3339(end))
	if phase == api.Expiring {
		reason = reasonExpiresSoon
		message = fmt.Sprintf("namespace %s is deleted with all that it holds at %s; raise spec.ttl to keep it longer (at most %s)",
			s.namespace.Name, rfc3339(end), s.limits.MaxTTL.Duration)
	}
	if isSuspended(s.home) {
		phase, p.next, reason = api.Active, time.Time{}, reasonSuspended
		message = fmt.Sprintf("namespace %s is suspended with tenant %s: nothing runs in it, it can be read, and it does not end; ask who runs the cluster to resume the tenant",
			s.namespace.Name, s.home.Labels[api.LabelTenant])
	}
	if ttl, _ := time.ParseDuration(s.claim.Spec.TTL); ttl > s.limits.MaxTTL.Duration {
		message += fmt.Sprintf("; spec.ttl %q is more than the maximum %q, which holds", s.claim.Spec.TTL, s.limits.MaxTTL.Duration)
	}
	if s.members.rightsOf(s.claim).nobody() {
		message += fmt.Sprintf("; %s, so nobody has rights in this one; an owner of namespace %q may take it over%s: write spec.owner, or access: Tenant",
			unnamed(s), s.claim.Namespace, map[bool]string{true: " when the tenant is resumed"}[isSuspended(s.home)])
	}
	switch {
	case s.limits.DryRun:
		return p.waits(phase, reason, message)
	case !known:
		return p.does(bind, phase, reasonClassGone, fmt.Sprintf("%s; its policy objects stay as they are: %v", message, classFault(s)))
	}
	return p.does(enforce, phase, reason, message)
}
