package main

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"example.com/journal/services/namespace-controller/api"
)

// plan is what to do about a claim.
type plan struct {
	action action
	// status is the new status of the claim; for enforce, once the policy objects are applied.
	status *api.NamespaceClaimStatus
	// reason is the reason of the condition Ready and of the Event.
	reason string
	// rights are who may have rights in the namespace.
	rights rights
	// takeAway says that all others lose theirs before anything else happens.
	takeAway bool
	// stands says that the namespace exists, whether or not this step changes anything.
	stands bool
	// next is when to decide again if nothing changes before; zero is never.
	next time.Time
}

// waits fills in a plan that does nothing.
func (p plan) waits(phase api.Phase, reason, message string) plan {
	return p.does(wait, phase, reason, message)
}

// dryRun fills in a plan that changes something, or that only reports the change in a dry run.
func (p plan) dryRun(s situation, a action, phase api.Phase, reason, message string) plan {
	if !s.limits.DryRun {
		return p.does(a, phase, reason, message)
	}
	if phase == api.Deleting {
		phase = api.Expiring // It still stands.
	}
	return p.does(wait, phase, reasonDryRun, fmt.Sprintf("dry run, would %s: %s", a, message))
}

// does fills in the plan and the matching status.
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
	ready := p.action == enforce
	if p.stands && (p.action == wait || p.action == bind) {
		ready = meta.IsStatusConditionTrue(p.status.Conditions, api.ConditionReady) // Nothing was applied.
	}
	set(api.ConditionReady, ready, p.reason, p.status.Message)
	if p.status.Phase == api.Expiring || p.status.Phase == api.Deleting {
		set(api.ConditionExpiresSoon, true, "EndNear", "the end is near: see status.expiresAt")
	} else {
		set(api.ConditionExpiresSoon, false, "EndFar", "the end is not near")
	}
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }
