package claims

import (
	"fmt"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"

	"example.com/journal/components/internal/admission"
	"example.com/journal/components/tenancy"
)

// ownerPolicy decides who may write a claim: its owner, whoever manages the claims of the namespace, the controller, and the
// two accounts with which Kubernetes cleans up. Nobody may add an owner reference: Kubernetes would delete the claim and all
// data when the referenced object is deleted. The policy on finalizers applies to claims too.
func ownerPolicy() admission.Policy {
	const accounts = "system:serviceaccount:kube-system:"
	return admission.Policy{
		Name:     "journal-claim-owner",
		Requests: admissionv1.NamedRuleWithOperationsArray{admission.Requests(tenancy.Group, "v1alpha1", admission.CreateUpdateDelete, "namespaceclaims")},
		Variables: []admission.Expression{
			{Name: "adopted", CEL: `object == null ? [] : object.metadata.?ownerReferences.orValue([]).filter(r, oldObject == null || !(r in oldObject.metadata.?ownerReferences.orValue([])))`},
			{Name: "keepsFinalizer", CEL: fmt.Sprintf(`request.operation != "UPDATE" || !(%[1]q in oldObject.metadata.?finalizers.orValue([])) || %[1]q in object.metadata.?finalizers.orValue([])`,
				tenancy.ClaimFinalizer)},
			{Name: "owns", CEL: fmt.Sprintf(`oldObject == null || oldObject.spec.owner == request.userInfo.username || request.userInfo.username in [%q, %q, %q] || `+
				`authorizer.group(%q).resource("namespaceclaims").namespace(request.namespace).check(%q).allowed()`,
				controllerUser, accounts+"namespace-controller", accounts+"generic-garbage-collector", tenancy.Group, manageVerb)},
		},
		Validations: admissionv1.ValidationArray{
			admission.Validation(`request.operation != "CREATE" || object.spec.owner == request.userInfo.username`,
				`"spec.owner \"" + object.spec.owner + "\": nobody claims in another's name; write \"" + request.userInfo.username + "\""`),
			admission.Validation(`variables.owns`,
				`"claim \"" + request.name + "\": it belongs to " + oldObject.spec.owner + "; ask them, or an owner of the namespace, to change or delete it"`),
			admission.Validation(`size(variables.adopted) == 0`,
				`"metadata.ownerReferences \"" + variables.adopted[0].kind + "/" + variables.adopted[0].name + "\": the claim would be deleted with it, and all that is in its namespace; remove it"`),
			// Without its finalizer nothing would ever delete the claim's namespace. Only accounts that may delete namespaces
			// may remove it: the controller, and administrators.
			admission.Validation(`variables.keepsFinalizer || authorizer.group("").resource("namespaces").check("delete").allowed()`,
				fmt.Sprintf(`"metadata.finalizers: the controller removes %s once the namespace is deleted; delete the claim instead"`, tenancy.ClaimFinalizer)),
		},
	}
}

// newOwnerPolicy decides who may give a claim to somebody else, and to whom: whoever manages the claims of the namespace gives
// it to an owner or a developer whom the stack names there. The owner of a claim may not: it would count for somebody who did
// not ask for it.
func newOwnerPolicy(tenants []tenancy.TenantArgs) admission.Policy {
	return admission.Policy{
		Name:       "journal-claim-new-owner",
		Requests:   admissionv1.NamedRuleWithOperationsArray{admission.Requests(tenancy.Group, "v1alpha1", []string{"UPDATE"}, "namespaceclaims")},
		Conditions: []admission.Expression{{Name: "changed", CEL: `object.spec.owner != oldObject.spec.owner`}},
		Variables: append(memberVariables(tenants, admission.Metadata("namespaceObject", "labels", tenancy.TenantLabel)),
			admission.Expression{Name: "suspended", CEL: admission.Metadata("namespaceObject", "labels", tenancy.SuspendedLabel) + ` == "true"`},
			admission.Expression{Name: "users", CEL: `(variables.owners + variables.developers).filter(m, m.startsWith("User ")).map(m, m.substring(5))`}),
		Validations: admissionv1.ValidationArray{
			admission.Validation(fmt.Sprintf(`authorizer.group(%q).resource("namespaceclaims").namespace(request.namespace).check(%q).allowed()`, tenancy.Group, manageVerb),
				`"spec.owner \"" + object.spec.owner + "\": only an owner of the namespace gives a claim to somebody else; write \"" + oldObject.spec.owner + "\", or ask an owner"`),
			admission.Validation(`object.spec.owner in variables.users`,
				`"spec.owner \"" + object.spec.owner + "\": " + (variables.suspended ? "the tenant is suspended, and everybody a viewer; write \"" + oldObject.spec.owner + "\" until it is resumed" : `+
					`"the stack names no such owner or developer of the tenant; " + `+
					`(variables.users.size() == 0 ? "write \"" + oldObject.spec.owner + "\", and access: Tenant to give it to the tenant\'s groups" : "write " + (variables.users.size() > 20 ? "one of theirs" : "one of: " + variables.users.join(", "))))`),
		},
	}
}
