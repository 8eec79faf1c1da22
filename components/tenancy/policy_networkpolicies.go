package tenancy

import (
	"encoding/json"
	"fmt"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/internal/admission"
)

// maxNetworkPolicyParts is how many rules one of an owner's NetworkPolicies may have, and how many peers, ports and exceptions
// each of them. Every node keeps them all in its firewall.
const maxNetworkPolicyParts = 10

// networkPolicyPolicy lets owners write NetworkPolicies that open their pods to others, and nothing else: policies only add, and
// one for ingress opens one's own pods alone. The stack's own policies are kept from them.
//
// Whoever may write the namespace's ResourceQuota is no tenant: the engine, administrators, the controller of claims, and the
// accounts with which Kubernetes cleans up. RBAC knows them in every cluster, and no list of names would.
func networkPolicyPolicy() admission.Policy {
	names, _ := json.Marshal(networkPolicyNames) // of texts: it does not fail
	// declared is the CEL expression that holds for what the stack applies, such as the policies of the journal's parts.
	declared := func(object string) string {
		return fmt.Sprintf(`(%s == "pulumi" && %s == "journal")`, admission.Metadata(object, "labels", "app.kubernetes.io/managed-by"), admission.Metadata(object, "labels", "app.kubernetes.io/part-of"))
	}
	written := func(expression string) string {
		return `variables.trusted || request.operation == "DELETE" || ` + expression
	}
	orders := annotationsHeld()
	orders.Expression = pulumi.String(written(`size(variables.orders) == 0`))
	return admission.Policy{
		Name:     "journal-tenant-networkpolicies",
		Requests: admissionv1.NamedRuleWithOperationsArray{admission.Requests("networking.k8s.io", "v1", admission.CreateUpdateDelete, "networkpolicies")},
		Variables: append(annotationVariables(), []admission.Expression{
			{Name: "ingress", CEL: `object == null ? [] : object.spec.?ingress.orValue([])`},
			// A request that deletes all has no name.
			{Name: "name", CEL: `object == null ? oldObject.metadata.name : object.metadata.?name.orValue("")`},
			{Name: "own", CEL: fmt.Sprintf(`variables.name in %s || object != null && %s || oldObject != null && %s`, names, declared("object"), declared("oldObject"))},
			{Name: "trusted", CEL: `authorizer.group("").resource("resourcequotas").namespace(request.namespace).check(request.operation == "DELETE" ? "delete" : "update").allowed()`},
			{Name: "wide", CEL: fmt.Sprintf(`variables.ingress.exists(r, size(r.?from.orValue([])) > %[1]d || size(r.?ports.orValue([])) > %[1]d`+
				` || r.?from.orValue([]).exists(p, size(p.?ipBlock.?except.orValue([])) > %[1]d))`, maxNetworkPolicyParts)},
		}...),
		Validations: admissionv1.ValidationArray{
			admission.Validation(`variables.trusted || !variables.own`,
				`"network policy \"" + variables.name + "\": the stack's own, by its name or its labels; write one with another name and without the labels app.kubernetes.io/managed-by and part-of"`),
			admission.Validation(written(`object.spec.?policyTypes.orValue([]) == ["Ingress"] && size(object.spec.?egress.orValue([])) == 0`),
				`"spec.policyTypes or spec.egress: owners open their pods to others, and ways out are the configuration's; write policyTypes: [Ingress] without egress, and have the rest added to egress of this tenant"`),
			admission.Validation(written(`variables.ingress.all(r, size(r.?from.orValue([])) > 0)`),
				`"spec.ingress: a rule without from is for everybody; write from, such as a namespaceSelector with kubernetes.io/metadata.name, or an ipBlock of 0.0.0.0/0 if everybody is meant"`),
			admission.Validation(written(fmt.Sprintf(`size(variables.ingress) <= %d && !variables.wide`, maxNetworkPolicyParts)),
				fmt.Sprintf(`"spec.ingress: every node keeps all of it; write at most %[1]d rules, each with at most %[1]d of from, of ports and of except"`, maxNetworkPolicyParts)),
			orders,
		},
	}
}
