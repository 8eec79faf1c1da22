package tenancy

import (
	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"

	"example.com/journal/components/internal/admission"
)

// gatewayGroup is the API group of the Gateway API.
const gatewayGroup = "gateway.networking.k8s.io"

// gatewayKinds are the resources of the Gateway API that developers may write, if the stack uses it.
var gatewayKinds = []string{"gateways", "httproutes", "grpcroutes"}

// abroad is the CEL expression that holds when a reference r names another namespace.
const abroad = `r.?namespace.orValue(request.namespace) != request.namespace`

// routePolicy limits routes of the Gateway API to the hosts, the Gateways and the Services of their namespace. The policy
// refuses routes of TCP and UDP, since they have no host.
func routePolicy() admission.Policy {
	variables := append(hostVariables(`size(object.spec.?hostnames.orValue([])) > 0 ? object.spec.hostnames : [""]`), []admission.Expression{
		{Name: "backends", CEL: `dyn(object).spec.?rules.orValue([]).map(r, r.?backendRefs.orValue([])` +
			` + r.?filters.orValue([]).filter(f, has(f.requestMirror)).map(f, f.requestMirror.backendRef)` +
			` + r.?backendRefs.orValue([]).map(b, b.?filters.orValue([]).filter(f, has(f.requestMirror)).map(f, f.requestMirror.backendRef)).flatten()).flatten()` +
			`.filter(r, ` + abroad + ` || r.?group.orValue("") != "" || r.?kind.orValue("Service") != "Service")`},
		{Name: "parents", CEL: `dyn(object).spec.?parentRefs.orValue([]).filter(r, ` + abroad + ` || r.?group.orValue("` + gatewayGroup + `") != "` + gatewayGroup +
			`" || !(r.?kind.orValue("Gateway") in ["Gateway", "ListenerSet"]))`},
	}...)
	return admission.Policy{
		Name: "journal-tenant-routes",
		Requests: admissionv1.NamedRuleWithOperationsArray{
			admission.Requests(gatewayGroup, "*", admission.CreateUpdate, "httproutes", "grpcroutes", "tlsroutes", "tcproutes", "udproutes"),
		},
		Conditions: []admission.Expression{admission.Unless(sameSpec)},
		Variables:  variables,
		Validations: admissionv1.ValidationArray{
			hostsHeld("spec.hostnames"),
			admission.Validation(`size(variables.parents) == 0`,
				`"spec.parentRefs \"" + variables.parents[0].?namespace.orValue(request.namespace) + "/" + variables.parents[0].name + "\": a route attaches to a Gateway of its own namespace; write the name of one in " + request.namespace`),
			admission.Validation(`size(variables.backends) == 0`,
				`"spec.rules, backendRef \"" + variables.backends[0].?namespace.orValue(request.namespace) + "/" + variables.backends[0].name + "\": a route leads to a Service of its own namespace; write the name of one in " + request.namespace`),
			annotationsHeld(),
		},
	}
}

// gatewayPolicy limits Gateways and ListenerSets to the hosts of their namespace.
func gatewayPolicy() admission.Policy {
	return admission.Policy{
		Name:       "journal-tenant-gateways",
		Requests:   admissionv1.NamedRuleWithOperationsArray{admission.Requests(gatewayGroup, "*", admission.CreateUpdate, "gateways", "listenersets")},
		Conditions: []admission.Expression{admission.Unless(sameSpec)},
		Variables:  hostVariables(`dyn(object).spec.?listeners.orValue([]).map(l, l.?hostname.orValue(""))`),
		Validations: admissionv1.ValidationArray{
			hostsHeld("spec.listeners, hostname"),
			admission.Validation(`variables.certificates || dyn(object).spec.?listeners.orValue([]).all(l, size(l.?tls.?certificateRefs.orValue([])) == 0)`,
				`"spec.listeners, tls.certificateRefs: `+noCertificates+`"`),
			admission.Validation(`dyn(object).spec.?listeners.orValue([]).all(l, l.?tls.?certificateRefs.orValue([]).all(r, !(`+abroad+`)))`,
				`"spec.listeners, tls.certificateRefs: a certificate is a Secret of the Gateway's own namespace; write the name of one in " + request.namespace`),
			admission.Validation(`[dyn(object).spec.?parentRef.orValue({})].all(r, !(`+abroad+`))`,
				`"spec.parentRef: listeners are added to a Gateway of their own namespace; write the name of one in " + request.namespace`),
			admission.Validation(`size(dyn(object).spec.?addresses.orValue([])) == 0 && !has(dyn(object).spec.infrastructure)`,
				`"spec.addresses and spec.infrastructure: addresses and what serves them belong to the cluster; remove them"`),
			annotationsHeld(),
		},
	}
}
