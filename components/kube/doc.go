// Package kube holds what all components share: labels, resources, the hardened pod, the stateless HTTP server and its
// NetworkPolicies. It depends on Kubernetes only, not on the journal.
package kube
