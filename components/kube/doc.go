// Package kube holds what every component shares: the rules for names, images and quantities, the labels, the hardened
// pod and the stateless HTTP server. It knows Kubernetes and nothing of the journal.
package kube
