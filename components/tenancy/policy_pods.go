package tenancy

import (
	"encoding/json"
	"fmt"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"

	"example.com/journal/components/internal/admission"
)

// maxGracePeriod is how long, in seconds, a pod may take to stop. A namespace is not deleted before its last pod has stopped.
const maxGracePeriod = 600

// tolerated are the keys of the taints that every pod may tolerate: those that the pods of a DaemonSet tolerate anyway. The
// API server adds two of them to all pods.
var tolerated = []string{
	"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", "node.kubernetes.io/unschedulable",
	"node.kubernetes.io/disk-pressure", "node.kubernetes.io/memory-pressure", "node.kubernetes.io/pid-pressure",
}

// podPolicy leaves to the scheduler where pods run and which of them is preempted. It also checks workloads, because the
// author of a workload does not see why its pods are refused.
func podPolicy(priority int) admission.Policy {
	keys, _ := json.Marshal(tolerated) // of texts: it does not fail
	return admission.Policy{
		Name:       "journal-tenant-pods",
		Requests:   podRequests(),
		Conditions: []admission.Expression{admission.Unless(podSpec("object") + ` == ` + podSpec("oldObject"))},
		Variables: []admission.Expression{
			{Name: "kept", CEL: `oldObject == null ? [] : ` + podSpec("oldObject") + `.?tolerations.orValue([])`},
			{Name: "path", CEL: `(object.kind == "Pod" ? "spec" : object.kind == "CronJob" ? "spec.jobTemplate.spec.template.spec" : "spec.template.spec")`},
			{Name: "pod", CEL: podSpec("object")},
			{Name: "priorityClass", CEL: `variables.pod.?priorityClassName.orValue("")`},
			{Name: "taints", CEL: fmt.Sprintf(`%s + %s`, keys, namespaceList(tolerationsAnnotation))},
			{Name: "tolerations", CEL: `variables.pod.?tolerations.orValue([]).filter(t, !(t in variables.kept) && !(t.?key.orValue("") in variables.taints))`},
		},
		Validations: admissionv1.ValidationArray{
			admission.Validation(fmt.Sprintf(`variables.priorityClass != "" && variables.priorityClass == %s`+
				` || !variables.priorityClass.startsWith("system-") && !(variables.priorityClass in [%q, %q]) && variables.pod.?priority.orValue(%d) <= %[4]d`,
				namespaceAnnotation(priorityClassAnnotation), PlatformPriorityClass, JournalPriorityClass, priority),
				fmt.Sprintf(`variables.path + ".priorityClassName \"" + variables.priorityClass + "\": above the priority of tenants, %d, so that the pods of others would be evicted for it; leave it out"`, priority)),
			runsAsDeployer(),
			// The scheduler sets the node of an existing pod; nobody may set it in a new one.
			admission.Validation(`object.kind == "Pod" && request.operation == "UPDATE" || variables.pod.?nodeName.orValue("") == ""`,
				`variables.path + ".nodeName \"" + variables.pod.nodeName + "\": it goes past the scheduler and what keeps pods off a node; write nodeSelector or affinity"`),
			admission.Validation(`size(variables.tolerations) == 0`,
				`variables.path + ".tolerations, key \"" + variables.tolerations[0].?key.orValue("") + "\": " + (variables.tolerations[0].?key.orValue("") == "" ? "without a key it tolerates every taint" : "that taint keeps tenants off a node") + "; remove it, or have the taint's key added to the tolerations of this tenant"`),
			admission.Validation(`variables.pod.?schedulerName.orValue("default-scheduler") in ["", "default-scheduler"]`,
				`variables.path + ".schedulerName \"" + variables.pod.schedulerName + "\": pods of tenants are placed by the cluster's own scheduler; remove it"`),
			admission.Validation(`variables.pod.?runtimeClassName.orValue("") == ""`,
				`variables.path + ".runtimeClassName \"" + variables.pod.runtimeClassName + "\": a runtime can bring other isolation and other nodes; remove it"`),
			admission.Validation(fmt.Sprintf(`variables.pod.?terminationGracePeriodSeconds.orValue(0) <= %d`, maxGracePeriod),
				fmt.Sprintf(`variables.path + ".terminationGracePeriodSeconds " + string(variables.pod.terminationGracePeriodSeconds) + ": a namespace cannot end before its pods do; write %d or less"`, maxGracePeriod)),
		},
	}
}

// podEndPolicy limits the grace period of a request that deletes or evicts a pod: with a grace period of a year, the pod and
// its namespace would stay for a year. It never refuses the pod's own grace period, which the API server fills in; otherwise a
// pod that is older than the policy could not be deleted.
func podEndPolicy() admission.Policy {
	return admission.Policy{
		Name: "journal-tenant-pod-ends",
		Requests: admissionv1.NamedRuleWithOperationsArray{
			admission.Requests("", "v1", []string{"DELETE"}, "pods"),
			admission.Requests("", "v1", []string{"CREATE"}, "pods/eviction"),
		},
		Variables: []admission.Expression{
			{Name: "own", CEL: `request.operation == "DELETE" ? dyn(oldObject).spec.?terminationGracePeriodSeconds.orValue(0) : 0`},
			{Name: "seconds", CEL: `request.operation == "DELETE" ? dyn(request).options.?gracePeriodSeconds.orValue(0) : dyn(object).?deleteOptions.?gracePeriodSeconds.orValue(0)`},
		},
		Validations: admissionv1.ValidationArray{admission.Validation(fmt.Sprintf(`variables.seconds <= %d || variables.seconds <= variables.own`, maxGracePeriod),
			fmt.Sprintf(`"gracePeriodSeconds " + string(variables.seconds) + ": a namespace cannot end before its pods do; write %d or less"`, maxGracePeriod))},
	}
}
