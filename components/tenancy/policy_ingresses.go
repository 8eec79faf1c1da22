package tenancy

import (
	"fmt"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"

	"example.com/journal/components/internal/admission"
)

// controllerAnnotation matches the annotations that configure controllers of Ingresses, Gateways, load balancers, certificates
// and DNS. Many of them allow more than the specification does: other hosts, other namespaces, snippets of configuration.
const controllerAnnotation = `(?i)^([a-z0-9.-]*[.-])?(ingress|gateway|traefik|nginx|haproxy|konghq|projectcontour|getambassador|istio|cilium|zalando|` +
	`apisix|higress|gke|cloud[.]google|kubernetes[.]azure|metallb|kube-vip|kube-router|purelb|openelb|loxilb|projectcalico|` +
	`cert-manager|certmanager|external-dns|dns[.]alpha)([.-][a-z0-9.-]*)?/|^kubernetes[.]io/ingress[.]`

// acceptedAnnotation is the CEL expression for those of them that are harmless. Traefik's are those that the journal redirects
// to HTTPS with. A middleware must be one of the same namespace: its name begins with the namespace's.
const acceptedAnnotation = `(k == "kubernetes.io/ingress.class"` +
	` || k == "traefik.ingress.kubernetes.io/router.entrypoints" && variables.annotations[k].matches(r'^(web|websecure)(,(web|websecure))*$')` +
	` || k == "traefik.ingress.kubernetes.io/router.tls" && variables.annotations[k] in ["true", "false"]` +
	` || k == "traefik.ingress.kubernetes.io/router.middlewares" && variables.annotations[k].split(",").all(m, m.startsWith(request.namespace + "-") && m.endsWith("@kubernetescrd"))` +
	` || k in ["cert-manager.io/issuer", "cert-manager.io/cluster-issuer"] && variables.certificates)`

// hostVariables are the variables of a rule about hosts. The CEL expression asked is the list of hosts that an object asks
// for. An empty host in it means that the object names none, which every controller takes for all hosts.
func hostVariables(asked string) []admission.Expression {
	return append(annotationVariables(), []admission.Expression{
		{Name: "asked", CEL: asked},
		{Name: "hosts", CEL: namespaceList(HostsAnnotation)},
		{Name: "outside", CEL: `variables.asked.filter(a, !variables.hosts.exists(h, a == h || h.startsWith("*.") && a.endsWith(h.substring(1))))`},
	}...)
}

// annotationVariables are the variables of a rule about the annotations of controllers.
func annotationVariables() []admission.Expression {
	return []admission.Expression{
		{Name: "annotations", CEL: `object.metadata.?annotations.orValue({})`},
		{Name: "certificates", CEL: namespaceAnnotation(certificatesAnnotation) + ` == "true"`},
		{Name: "orders", CEL: fmt.Sprintf(`variables.annotations.filter(k, k.matches(r'%s') && !%s)`, controllerAnnotation, acceptedAnnotation)},
	}
}

// hostsHeld refuses hosts that are not the namespace's. The path is that of the field with the hosts.
func hostsHeld(path string) admissionv1.ValidationArgs {
	return admission.Validation(`size(variables.outside) == 0`, fmt.Sprintf(
		`"%s \"" + variables.outside[0] + "\": " + (variables.outside[0] == "" ? "without a host it answers for every host" : "not a host of this namespace") + "; " + (size(variables.hosts) == 0 ? "this namespace has no hosts, ask whoever runs the cluster" : "write a host within " + variables.hosts.join(", "))`, path))
}

// annotationsHeld refuses annotations that configure controllers.
func annotationsHeld() admissionv1.ValidationArgs {
	return admission.Validation(`size(variables.orders) == 0`,
		`"metadata.annotations " + variables.orders[0] + " \"" + variables.annotations[variables.orders[0]] + "\": an order to a controller that all tenants share, which can reach beyond this namespace; remove it"`)
}

// noCertificates is the reason and the fix where a certificate is refused.
const noCertificates = `controllers keep all certificates in one store and choose by the name in them, so that it could answer for another's host; leave it out, or have certificates: true set for this tenant`

// ingressPolicy limits an Ingress to the hosts of its namespace.
func ingressPolicy() admission.Policy {
	return admission.Policy{
		Name:       "journal-tenant-ingresses",
		Requests:   admissionv1.NamedRuleWithOperationsArray{admission.Requests("networking.k8s.io", "v1", admission.CreateUpdate, "ingresses")},
		Conditions: []admission.Expression{admission.Unless(sameSpec)},
		Variables:  hostVariables(`object.spec.?rules.orValue([]).map(r, r.?host.orValue("")) + object.spec.?tls.orValue([]).map(t, t.?hosts.orValue([])).flatten()`),
		Validations: admissionv1.ValidationArray{
			hostsHeld("spec.rules or spec.tls, host"),
			admission.Validation(`!has(object.spec.defaultBackend)`,
				`"spec.defaultBackend: it answers for every host that nobody else has; write spec.rules with hosts of this namespace"`),
			annotationsHeld(),
			admission.Validation(`variables.certificates || object.spec.?tls.orValue([]).all(t, t.?secretName.orValue("") == "")`,
				`"spec.tls, secretName \"" + object.spec.tls.filter(t, t.?secretName.orValue("") != "")[0].secretName + "\": `+noCertificates+`"`),
		},
	}
}
