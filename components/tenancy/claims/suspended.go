package claims

import (
	"fmt"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"

	"example.com/journal/components/internal/admission"
	"example.com/journal/components/tenancy"
)

// suspended returns the names of the suspended tenants.
func (args *Args) suspended() []string {
	names := []string{}
	for i := range args.Tenants {
		if tenant := &args.Tenants[i]; tenant.Suspended {
			names = append(names, tenant.WithDefaults("").Name)
		}
	}
	return names
}

// isSuspended is the variable that holds for the namespaces of the tenants that the stack declares suspended. The parameter is
// the CEL expression for the name of the tenant.
func (b bounds) isSuspended(tenant string) admission.Expression {
	return admission.Expression{Name: "suspended", CEL: fmt.Sprintf(`%s in %s`, tenant, b.suspended)}
}

// podBounds limits the pods that the controller deletes: those of namespaces with the label for suspended ones. Pulumi sets it
// on tenants, and namespaceBounds says on which claimed namespaces the controller may.
func podBounds() admission.Policy {
	return admission.Policy{
		Name:       "journal-controller-pods",
		Conditions: []admission.Expression{admission.By(controllerUser)},
		Requests:   admissionv1.NamedRuleWithOperationsArray{admission.Requests("", "v1", admission.CreateUpdateDelete, "pods", "pods/*")},
		Validations: admissionv1.ValidationArray{admission.Validation(
			fmt.Sprintf(`request.operation == "DELETE" && request.?subResource.orValue("") == "" && %s != "" && %s == "true"`,
				admission.Metadata("namespaceObject", "labels", tenancy.TenantLabel), admission.Metadata("namespaceObject", "labels", tenancy.SuspendedLabel)),
			refuse("pod", "the controller deletes pods of namespaces with the label "+tenancy.SuspendedLabel+", and does nothing else to pods"))},
	}
}
