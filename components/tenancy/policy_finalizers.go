package tenancy

import (
	"fmt"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/internal/admission"
)

// finalizerPolicy refuses finalizers that people add: a namespace is not deleted before the last one is removed, and only the
// finalizer's controller knows when to. Controllers run as accounts of Kubernetes, whose names no declared user has. The one
// account with such a name and a developer's rights is the namespace's own deployer.
func finalizerPolicy() admission.Policy {
	everything := admission.Requests("*", "*", admission.CreateUpdate, "*")
	everything.Scope = pulumi.String("Namespaced") // a selector of namespaces selects what is in none, such as every volume
	return admission.Policy{
		Name:       "journal-tenant-finalizers",
		Requests:   admissionv1.NamedRuleWithOperationsArray{everything},
		Conditions: []admission.Expression{admission.Unless(`object.metadata.?finalizers.orValue([]) == oldObject.metadata.?finalizers.orValue([])`)},
		Variables: []admission.Expression{
			// The API server adds one to every PersistentVolumeClaim.
			{Name: "added", CEL: fmt.Sprintf(`object.metadata.?finalizers.orValue([]).filter(f, !(f in ["kubernetes.io/pvc-protection", %q]) && (oldObject == null || !(f in oldObject.metadata.?finalizers.orValue([]))))`, ClaimFinalizer)},
			{Name: "cleans", CEL: fmt.Sprintf(`request.userInfo.username.startsWith("system:") && request.userInfo.username != "system:serviceaccount:" + request.namespace + ":%s" || authorizer.group("").resource("namespaces").check("delete").allowed()`, DeployerName)},
		},
		Validations: admissionv1.ValidationArray{admission.Validation(`size(variables.added) == 0 || variables.cleans`,
			`"metadata.finalizers \"" + variables.added[0] + "\": the namespace could not end before somebody removes it; remove it"`)},
	}
}
