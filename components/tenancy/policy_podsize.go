package tenancy

import (
	"fmt"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"

	"example.com/journal/components/internal/admission"
)

const (
	// maxPodPorts is how many containers and ports of containers a pod may have together.
	maxPodPorts = 50
	// maxPodMetadata is how many labels and annotations a pod may have together.
	maxPodMetadata = 100
)

// podSizePolicy bounds what those keep of a pod who watch the pods of all tenants. The metric store makes a target of every
// container and port, with all labels and annotations of the pod, before it knows whether the pod is to be read: one pod of
// 4000 ports and 3000 annotations, 213 kB of JSON, took a gigabyte of its memory, and again after each restart.
//
// Only pods are checked, since an update of a pod's annotations changes no workload.
func podSizePolicy() admission.Policy {
	labels, annotations := `.metadata.?labels.orValue({})`, `.metadata.?annotations.orValue({})`
	return admission.Policy{
		Name:     "journal-tenant-pod-sizes",
		Requests: admissionv1.NamedRuleWithOperationsArray{admission.Requests("", "v1", admission.CreateUpdate, "pods")},
		Conditions: []admission.Expression{admission.Unless(fmt.Sprintf(
			`object.spec == oldObject.spec && object%[1]s == oldObject%[1]s && object%[2]s == oldObject%[2]s`, labels, annotations))},
		Variables: []admission.Expression{
			{Name: "containers", CEL: `object.spec.containers.map(c, size(c.?ports.orValue([])) + 1) + object.spec.?initContainers.orValue([]).map(c, size(c.?ports.orValue([])) + 1)`},
			{Name: "ports", CEL: `variables.containers.sum()`},
			{Name: "metadata", CEL: fmt.Sprintf(`size(object%s) + size(object%s)`, labels, annotations)},
		},
		Validations: admissionv1.ValidationArray{
			admission.Validation(fmt.Sprintf(`variables.ports <= %d`, maxPodPorts),
				fmt.Sprintf(`"spec.containers: " + string(variables.ports) + " containers and ports, and what reads figures keeps each of them with all labels and annotations; write %d or less"`, maxPodPorts)),
			admission.Validation(fmt.Sprintf(`variables.metadata <= %d`, maxPodMetadata),
				fmt.Sprintf(`"metadata: " + string(variables.metadata) + " labels and annotations, all of which what reads figures keeps; write %d or less"`, maxPodMetadata)),
		},
	}
}
