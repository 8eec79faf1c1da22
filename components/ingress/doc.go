// Package ingress declares the controller that serves a cluster's Ingresses and Gateways, for clusters without one.
//
// As in the other packages, arguments are plain Go values that are checked before anything is created, and nothing here reads
// configuration.
package ingress

// controllerType is the type of the component, as `pulumi stack` shows it.
const controllerType = "journal:components:IngressController"

// partOf is the value of app.kubernetes.io/part-of.
const partOf = "journal"
