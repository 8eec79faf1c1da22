package main

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"sort"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"example.com/journal/services/namespace-controller/api"
)

// action is the one step that a look at a claim leads to.
type action string

const (
	// wait does nothing but write the status.
	wait action = "wait"
	// admit counts the claim against the share, by writing its namespace's name in the status.
	admit action = "admit"
	// create makes the namespace.
	create action = "create"
	// adopt writes the uid of a namespace that was made just before a crash.
	adopt action = "adopt"
	// forget drops the uid of a namespace that somebody else deleted.
	forget action = "forget"
	// surround applies the fence and the owner's rights.
	surround action = "surround"
	// remove deletes the namespace.
	remove action = "remove"
	// finish lets go of a claim that holds nothing any more.
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
	reasonFenceFailed = "FenceFailed"
)

// situation is all that a decision about a claim depends on.
type situation struct {
	// now is the time that the clock grants the claim.
	now time.Time
	// claim is the claim itself.
	claim *api.NamespaceClaim
	// stranger says that the owner has lost the role in home that claims are made with.
	stranger bool
	// home is the namespace that the claim lives in.
	home *metav1.PartialObjectMetadata
	// namespace is what bears the name of the claim's namespace, or nil. It need not be the claim's.
	namespace *metav1.PartialObjectMetadata
	// limits are the rules, and limitsFault says why they cannot be read.
	limits      limits
	limitsFault error
	// fences are those of all classes by name, and fenceFaults say why one cannot be read.
	fences      map[string]*fence
	fenceFaults map[string]error
	// holders are the other claims that hold a namespace.
	holders []holder
}

// holder is another claim that holds a namespace.
type holder struct{ name, owner, class, tenant string }

// plan is what to do about a claim.
type plan struct {
	action action
	// status is what the claim's status is to be; for surround, once the fence stands.
	status *api.NamespaceClaimStatus
	// reason is the one of the condition Ready and of the Event.
	reason string
	// stands says that the namespace is there, whether or not this look at it changes anything.
	stands bool
	// next is when to look again if nothing changes before; zero is never.
	next time.Time
}

// decide says what to do about a claim. It is a function of what is observed and of nothing else, so that a restart
// between any two steps loses nothing: every step is written to the apiserver before the next one depends on it.
func decide(s situation) plan {
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
	over := deleted || !s.now.Before(end)
	reason, why := reasonExpired, fmt.Sprintf("the claim's time was over at %s", rfc3339(end))
	if deleted {
		reason, why = reasonDeleted, "the claim was deleted"
	}

	switch {
	case over && !mine:
		// Whatever else bears the name is none of ours and stays.
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

	p.next = end // Whatever keeps the claim from its namespace, its time ends.
	_, known := s.fences[s.claim.Spec.Class]
	switch {
	case s.namespace != nil && !mine:
		return p.waits(api.Pending, reasonNameTaken, fmt.Sprintf(
			"namespace %q: is there and is not this claim's, so it is left alone; delete the claim and apply it again, which gives another name", s.namespace.Name))
	case s.namespace == nil && !known:
		return p.waits(api.Pending, reasonClassGone, classFault(s).Error())
	case s.namespace == nil:
		return p.dryRun(s, create, api.Pending, reasonCreating, fmt.Sprintf("namespace %s is made", status.Namespace))
	}

	phase, next := phaseAt(s, end)
	p.next, p.stands = next, true
	reason, message := reasonReady, fmt.Sprintf("namespace %s is there until %s", s.namespace.Name, rfc3339(end))
	if phase == api.Expiring {
		reason = reasonExpiresSoon
		message = fmt.Sprintf("namespace %s is deleted with all that it holds at %s; raise spec.ttl to keep it longer (at most %s)",
			s.namespace.Name, rfc3339(end), s.limits.MaxTTL.Duration)
	}
	if ttl, _ := time.ParseDuration(s.claim.Spec.TTL); ttl > s.limits.MaxTTL.Duration {
		message += fmt.Sprintf("; spec.ttl %q is more than the maximum %q, which holds", s.claim.Spec.TTL, s.limits.MaxTTL.Duration)
	}
	if s.stranger {
		message += fmt.Sprintf("; %s is no owner or developer of namespace %q any more, and has no rights in this one either", s.claim.Spec.Owner, s.claim.Namespace)
	}
	switch {
	case !known:
		return p.waits(phase, reasonClassGone, fmt.Sprintf("%s; its fence stays as it is: %v", message, classFault(s)))
	case s.limits.DryRun:
		return p.waits(phase, reason, message)
	}
	return p.does(surround, phase, reason, message)
}

// decideAdmission decides about a claim that holds nothing yet.
func decideAdmission(s situation, p plan) plan {
	problem := refusal(s)
	if problem != "" {
		p.status.ExpiresAt = nil
		return p.waits(api.Refused, reasonRefused, problem)
	}
	name := namespaceName(s.claim)
	p.status.Namespace = name
	end := announce(s, p.status)
	if s.limits.DryRun {
		p.status.Namespace, p.status.ExpiresAt = "", nil // Nothing is given.
	}
	return p.dryRun(s, admit, api.Pending, reasonCreating, fmt.Sprintf("namespace %s is made, until %s", name, rfc3339(end)))
}

// refusal says why a claim gets no namespace, or nothing when it gets one.
func refusal(s situation) string {
	spec := s.claim.Spec
	if s.home == nil || s.home.Labels[api.LabelTenant] == "" {
		return fmt.Sprintf("namespace %q: not a tenant's, and a claim uses a tenant's share; apply the claim in a namespace with the label %s",
			s.claim.Namespace, api.LabelTenant)
	}
	if s.home.Labels[api.LabelClaimUID] != "" {
		return fmt.Sprintf("namespace %q: was itself made for a claim; apply the claim in the tenant's own namespace", s.claim.Namespace)
	}
	end, err := endOf(s)
	if err != nil {
		return err.Error()
	}
	if !s.now.Before(end) {
		return fmt.Sprintf("spec.ttl: was over at %s, before there was room; delete the claim and apply it again", rfc3339(end))
	}
	wanted, ok := s.fences[spec.Class]
	if !ok {
		return classFault(s).Error()
	}

	tenant := s.home.Labels[api.LabelTenant]
	limit := s.limits.shareOf(tenant)
	claims, owned := 1, 1
	cpu, memory := wanted.cpu.DeepCopy(), wanted.memory.DeepCopy()
	for _, other := range s.holders {
		if other.owner == spec.Owner {
			owned++
		}
		if other.tenant != tenant {
			continue
		}
		f, ok := s.fences[other.class]
		if !ok {
			return fmt.Sprintf("tenant %q: what it uses cannot be added up, because claim %s is of class %q, which is not there any more; delete that claim or bring the class back",
				tenant, other.name, other.class)
		}
		claims++
		cpu.Add(f.cpu)
		memory.Add(f.memory)
	}
	var problems []string
	exceeds := func(over bool, subject string, value, limit any) {
		if over {
			problems = append(problems, fmt.Sprintf("%s would be %v with this claim, and the limit is %v", subject, value, limit))
		}
	}
	exceeds(owned > s.limits.ClaimsPerOwner, fmt.Sprintf("the number of claims of %s", spec.Owner), owned, s.limits.ClaimsPerOwner)
	exceeds(claims > limit.Claims, fmt.Sprintf("the number of claims of tenant %s", tenant), claims, limit.Claims)
	exceeds(greater(cpu, limit.CPU), fmt.Sprintf("the cpu of tenant %s", tenant), cpu.String(), limit.CPU.String())
	exceeds(greater(memory, limit.Memory), fmt.Sprintf("the memory of tenant %s", tenant), memory.String(), limit.Memory.String())
	if len(problems) > 0 {
		return strings.Join(problems, "; ") + "; it is admitted when there is room: delete another claim, or ask for a smaller class"
	}
	return ""
}

func greater(a, b resource.Quantity) bool { return a.Cmp(b) > 0 }

// classFault says what is wrong with the claim's class.
func classFault(s situation) error {
	if err := s.fenceFaults[s.claim.Spec.Class]; err != nil {
		return err
	}
	classes := make([]string, 0, len(s.fences))
	for class := range s.fences {
		classes = append(classes, class)
	}
	sort.Strings(classes)
	return fmt.Errorf("spec.class %q: is not one of the stack's classes; write one of: %s", s.claim.Spec.Class, strings.Join(classes, ", "))
}

// endOf returns the end that a claim asks for, within the maximum.
func endOf(s situation) (time.Time, error) {
	ttl := s.limits.DefaultTTL.Duration
	if text := s.claim.Spec.TTL; text != "" {
		var err error
		if ttl, err = time.ParseDuration(text); err != nil || ttl <= 0 {
			return time.Time{}, fmt.Errorf("spec.ttl %q: not a duration above zero; write for example \"8h\" or \"1h30m\"", text)
		}
	}
	return s.claim.CreationTimestamp.Add(min(ttl, s.limits.MaxTTL.Duration)), nil
}

// announce writes the claim's end in its status and returns it. An end that was announced may move further away at
// any time, but never so near that the warning before it would be cut short: neither a slip of the owner nor a lower
// maximum deletes a namespace out of the blue.
func announce(s situation, status *api.NamespaceClaimStatus) time.Time {
	end, err := endOf(s)
	if announced := status.ExpiresAt; announced != nil {
		nearest := s.now.Add(s.limits.WarnBefore.Duration).Truncate(time.Second)
		if announced.Time.Before(nearest) {
			nearest = announced.Time
		}
		if err != nil {
			end = announced.Time
		} else if end.Before(nearest) {
			end = nearest
		}
	}
	status.ExpiresAt = &metav1.Time{Time: end}
	return end
}

// phaseAt returns the phase of a namespace that stands, and when that changes.
func phaseAt(s situation, end time.Time) (api.Phase, time.Time) {
	if warning := end.Add(-s.limits.WarnBefore.Duration); s.now.Before(warning) {
		return api.Active, warning
	}
	return api.Expiring, end
}

// belongs reports whether a namespace is the one that was made for a claim. Labels can be forged, a uid cannot: once
// the claim's status has one, no other counts. Before, between making the namespace and writing its uid, the name
// (which has a hash of the claim's uid) and all labels must fit.
func belongs(namespace *metav1.PartialObjectMetadata, claim *api.NamespaceClaim) bool {
	if namespace == nil || namespace.Name != claim.Status.Namespace {
		return false
	}
	if claim.UID == "" || namespace.Labels[api.LabelClaimUID] != string(claim.UID) {
		return false
	}
	if uid := claim.Status.NamespaceUID; uid != "" {
		return namespace.UID == types.UID(uid)
	}
	return namespace.Labels[api.LabelClaim] == claim.Name && !namespace.CreationTimestamp.Before(&claim.CreationTimestamp)
}

// namespaceName returns the name of the namespace of a claim. The hash keeps two claims of the same name, one after
// the other, apart; it stays when the name must be cut.
func namespaceName(claim *api.NamespaceClaim) string {
	sum := sha256.Sum256([]byte(claim.UID))
	hash := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:5])
	const longest = 63
	name := claim.Namespace + "-" + claim.Name
	if most := longest - len("-") - len(hash); len(name) > most {
		name = strings.TrimRight(name[:most], "-")
	}
	return name + "-" + hash
}

func hasFinalizer(claim *api.NamespaceClaim) bool {
	for _, f := range claim.Finalizers {
		if f == api.Finalizer {
			return true
		}
	}
	return false
}

// waits fills in a plan that does nothing.
func (p plan) waits(phase api.Phase, reason, message string) plan {
	return p.does(wait, phase, reason, message)
}

// dryRun fills in a plan that changes something, or that only says so in a dry run.
func (p plan) dryRun(s situation, a action, phase api.Phase, reason, message string) plan {
	if !s.limits.DryRun {
		return p.does(a, phase, reason, message)
	}
	if phase == api.Deleting {
		phase = api.Expiring // It still stands.
	}
	return p.does(wait, phase, reasonDryRun, fmt.Sprintf("dry run, would %s: %s", a, message))
}

// does fills in the plan and the status that says the same.
func (p plan) does(a action, phase api.Phase, reason, message string) plan {
	p.action, p.reason = a, reason
	p.status.Phase, p.status.Message = phase, message
	return p
}

// conditions writes the conditions that follow from the rest of the plan.
func (p plan) conditions(now time.Time) {
	set := func(kind string, is bool, reason, message string) {
		value := metav1.ConditionFalse
		if is {
			value = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&p.status.Conditions, metav1.Condition{
			Type: kind, Status: value, Reason: reason, Message: message,
			ObservedGeneration: p.status.ObservedGeneration, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
		})
	}
	ready := p.action == surround
	if p.stands && p.action == wait {
		ready = meta.IsStatusConditionTrue(p.status.Conditions, api.ConditionReady) // Nothing was done to it.
	}
	set(api.ConditionReady, ready, p.reason, p.status.Message)
	if p.status.Phase == api.Expiring || p.status.Phase == api.Deleting {
		set(api.ConditionExpiresSoon, true, "EndNear", "the end is near: see status.expiresAt")
	} else {
		set(api.ConditionExpiresSoon, false, "EndFar", "the end is not near")
	}
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }
