package main

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"example.com/journal/services/namespace-controller/api"
)

// decideAdmission decides about a claim without a namespace.
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

// refusal says why a claim gets no namespace, or returns nothing if it gets one.
func refusal(s situation) string {
	spec := s.claim.Spec
	if s.home == nil || s.home.Labels[api.LabelTenant] == "" {
		return fmt.Sprintf("namespace %q: not a tenant's, and a claim uses a tenant's share; apply the claim in a namespace with the label %s",
			s.claim.Namespace, api.LabelTenant)
	}
	if s.home.Labels[api.LabelClaimUID] != "" {
		return fmt.Sprintf("namespace %q: was itself made for a claim; apply the claim in the tenant's own namespace", s.claim.Namespace)
	}
	if isSuspended(s.home) {
		return fmt.Sprintf("tenant %q: is suspended, so it gets no namespace; ask who runs the cluster to resume it", s.home.Labels[api.LabelTenant])
	}
	end, err := endOf(s)
	if err != nil {
		return err.Error()
	}
	if !s.now.Before(end) {
		return fmt.Sprintf("spec.ttl: was over at %s, before there was room; delete the claim and apply it again", rfc3339(end))
	}
	wanted, ok := s.classes[spec.Class]
	if !ok {
		return classFault(s).Error()
	}

	if s.members != nil && spec.Access != api.AccessTenant && !s.members.names(spec.Owner) {
		return fmt.Sprintf("spec.access %q: %s; write access: Tenant, which gives it to the tenant's users and groups with their roles", api.AccessOwner, unnamed(s))
	}

	tenant := s.home.Labels[api.LabelTenant]
	limit := s.limits.shareOf(tenant)
	if !slices.Contains(limit.Classes, spec.Class) {
		if len(limit.Classes) == 0 {
			return fmt.Sprintf("tenant %q: may claim no class, since each is larger than its own; ask who runs the cluster for a larger one", tenant)
		}
		return fmt.Sprintf("spec.class %q: tenant %s may not claim it; delete the claim and apply one of class %s", spec.Class, tenant, strings.Join(limit.Classes, " or "))
	}
	return overLimit(s, wanted, tenant, limit)
}

// overLimit returns the limits that a claim would exceed together with the claims that have a namespace.
func overLimit(s situation, wanted *template, tenant string, limit share) string {
	owner := s.claim.Spec.Owner
	claims, owned := 1, 1
	total := wanted.size
	for _, other := range s.holders {
		if other.owner == owner {
			owned++
		}
		if other.tenant != tenant {
			continue
		}
		f, ok := s.classes[other.class]
		if !ok {
			return fmt.Sprintf("tenant %q: what it uses cannot be added up, because claim %s is of class %q, which is not there any more; delete that claim or bring the class back",
				tenant, other.name, other.class)
		}
		claims++
		total.add(f.size)
	}
	var problems []string
	exceeds := func(over bool, subject string, value, limit any) {
		if over {
			problems = append(problems, fmt.Sprintf("%s would be %v with this claim, and the limit is %v", subject, value, limit))
		}
	}
	exceeds(owned > s.limits.ClaimsPerOwner, "the number of claims of "+owner, owned, s.limits.ClaimsPerOwner)
	for _, count := range []struct {
		subject      string
		value, limit int
	}{
		{"number of claims", claims, limit.Claims}, {"pods", total.Pods, limit.Pods}, {"services", total.Services, limit.Services},
		{"volume claims", total.VolumeClaims, limit.VolumeClaims},
	} {
		exceeds(count.value > count.limit, fmt.Sprintf("the %s of tenant %s", count.subject, tenant), count.value, count.limit)
	}
	for _, quantity := range []struct {
		subject      string
		value, limit resource.Quantity
	}{{"cpu", total.CPU, limit.CPU}, {"memory", total.Memory, limit.Memory}, {"storage", total.Storage, limit.Storage}} {
		exceeds(quantity.value.Cmp(quantity.limit) > 0, fmt.Sprintf("the %s of tenant %s", quantity.subject, tenant), quantity.value.String(), quantity.limit.String())
	}
	if len(problems) > 0 {
		return strings.Join(problems, "; ") + "; it is admitted when there is room: delete another claim, or ask for a smaller class"
	}
	return ""
}

// classFault says what is wrong with the claim's class.
func classFault(s situation) error {
	if err := s.classFaults[s.claim.Spec.Class]; err != nil {
		return err
	}
	classes := make([]string, 0, len(s.classes))
	for class := range s.classes {
		classes = append(classes, class)
	}
	sort.Strings(classes)
	return fmt.Errorf("spec.class %q: is not one of the stack's classes; write one of: %s", s.claim.Spec.Class, strings.Join(classes, ", "))
}
