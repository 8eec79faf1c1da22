package main

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"example.com/journal/services/namespace-controller/api"
)

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

// announce writes the claim's end in its status and returns it. An announced end may move to later at any time, but to earlier
// only if the full warning time is left: neither a mistake of the owner nor a lower maximum deletes a namespace without
// warning.
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

// phaseAt returns the phase of an existing namespace, and when that changes.
func phaseAt(s situation, end time.Time) (api.Phase, time.Time) {
	if warning := end.Add(-s.limits.WarnBefore.Duration); s.now.Before(warning) {
		return api.Active, warning
	}
	return api.Expiring, end
}
