package claims

import (
	_ "embed"
	"fmt"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"

	"example.com/journal/components/internal/admission"
	"example.com/journal/components/tenancy"
)

// budgetDefinition is the CustomResourceDefinition of the Budget.
//
//go:embed budget.yaml
var budgetDefinition []byte

// budgetPolicy lets nobody but the controller write a Budget, administrators included: what it says would not be so. It also
// limits the controller to the namespaces that the stack declares.
func budgetPolicy() admission.Policy {
	return admission.Policy{
		Name:     "journal-budgets",
		Requests: admissionv1.NamedRuleWithOperationsArray{admission.Requests(tenancy.Group, "v1alpha1", admission.CreateUpdate, "budgets", "budgets/status")},
		Validations: admissionv1.ValidationArray{
			admission.Validation(fmt.Sprintf(`request.userInfo.username == %q`, controllerUser),
				refuse("budget", "the controller of claims writes what the quotas say; change the class or the overrides of the tenant")),
			admission.Validation(fmt.Sprintf(`request.namespace == %s && %s == ""`, admission.Metadata("namespaceObject", "labels", tenancy.TenantLabel), claimUID("namespaceObject")),
				refuse("budget", "a tenant has its budget in its own namespace and nowhere else")),
			admission.Validation(`size(object.metadata.?finalizers.orValue([])) == 0 && size(object.metadata.?ownerReferences.orValue([])) == 0`,
				refuse("budget", "it keeps no namespace from its end and belongs to no other object; write no finalizers and no owner references")),
		},
	}
}
