package tenancy

import (
	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"

	"example.com/journal/components/internal/admission"
)

// volumePolicy lets a tenant have volumes that are provisioned for it, but not existing ones, which can hold somebody's data.
// An account that may write PersistentVolumes, such as the cluster's volume controller, may bind them.
func volumePolicy() admission.Policy {
	return admission.Policy{
		Name:       "journal-tenant-volumes",
		Requests:   admissionv1.NamedRuleWithOperationsArray{admission.Requests("", "v1", admission.CreateUpdate, "persistentvolumeclaims")},
		Conditions: []admission.Expression{admission.Unless(`object.spec == oldObject.spec`)},
		Variables: []admission.Expression{
			{Name: "binds", CEL: `authorizer.group("").resource("persistentvolumes").check("update").allowed()`},
		},
		Validations: admissionv1.ValidationArray{
			admission.Validation(`variables.binds || object.spec.?volumeName.orValue("") == "" || request.operation == "UPDATE" && oldObject.spec.?volumeName.orValue("") == object.spec.volumeName`,
				`"spec.volumeName \"" + object.spec.volumeName + "\": a volume that is there may hold what somebody left; leave it out, and a new one is made"`),
			// These two never change.
			admission.Validation(`variables.binds || request.operation == "UPDATE" || !has(object.spec.selector)`,
				`"spec.selector: it chooses among volumes that are there, which may hold what somebody left; leave it out, and a new one is made"`),
			admission.Validation(`variables.binds || request.operation == "UPDATE" || !has(object.spec.storageClassName) || object.spec.storageClassName != ""`,
				`"spec.storageClassName \"\": it takes a volume that is there, which may hold what somebody left; leave it out for the default class, or name one"`),
		},
	}
}
