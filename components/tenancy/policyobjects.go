package tenancy

import (
	"example.com/journal/components/kube"
)

// PolicyObjectName is the name of a tenant's ResourceQuota and of its LimitRange.
const PolicyObjectName = "tenant"

// PolicyObjects returns the objects that a class prescribes in a namespace, without metadata.namespace: its ResourceQuota, its
// LimitRange and its NetworkPolicies. A Tenant declares them, and the controller of claims applies the same ones to a claimed
// namespace. The parameter claims is the maximum number of claims in the namespace.
func PolicyObjects(class Class, claims int, policies []kube.Object) []kube.Object {
	return append([]kube.Object{resourceQuota(class, claims), limitRange(class)}, policies...)
}

// The Pod Security Standards that a namespace can have.
const (
	restricted = kube.RestrictedPods
	baseline   = "baseline"
)
