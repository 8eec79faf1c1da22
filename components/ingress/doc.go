// Package ingress declares the controller that serves a cluster's Ingresses and Gateways, for clusters that bring none.
//
// As in the other packages, parameters are plain Go values that are checked before anything is created, and nothing here
// reads configuration.
package ingress

// controllerType is the type of the component, as `pulumi stack` shows it.
const controllerType = "journal:components:IngressController"
