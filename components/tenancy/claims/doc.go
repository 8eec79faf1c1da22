// Package claims declares temporary namespaces. A developer asks for one with a NamespaceClaim in the tenant's namespace. A
// controller in the platform's namespace creates it, applies the policy objects of its class, and deletes it when it expires.
//
// Claims declares the kind, the controller with its rights, and the admission policies that limit the controller: whoever
// takes it over can create claimed namespaces only. The namespaces themselves are never in the engine's state.
package claims
