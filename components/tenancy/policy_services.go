package tenancy

import (
	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"

	"example.com/journal/components/internal/admission"
)

// servicePolicy refuses Services that take over addresses. With an external IP, every node sends the traffic for that address
// to the tenant's pods, even if the address belongs to somebody else.
func servicePolicy() admission.Policy {
	return admission.Policy{
		Name:       "journal-tenant-services",
		Requests:   admissionv1.NamedRuleWithOperationsArray{admission.Requests("", "v1", admission.CreateUpdate, "services")},
		Conditions: []admission.Expression{admission.Unless(sameSpec)},
		Variables:  annotationVariables(),
		Validations: admissionv1.ValidationArray{
			admission.Validation(`size(object.spec.?externalIPs.orValue([])) == 0`,
				`"spec.externalIPs \"" + object.spec.externalIPs[0] + "\": the cluster would send what goes to that address to these pods; remove it, and write an Ingress to be reached from outside"`),
			admission.Validation(`object.spec.?type.orValue("ClusterIP") != "ExternalName"`,
				`"spec.type \"ExternalName\": a name of the cluster that leads somewhere else, past network policies and past hosts; write that address where it is used"`),
			admission.Validation(`object.spec.?loadBalancerIP.orValue("") == ""`,
				`"spec.loadBalancerIP \"" + object.spec.loadBalancerIP + "\": which address a load balancer has is decided by the cluster; remove it"`),
			annotationsHeld(),
		},
	}
}
