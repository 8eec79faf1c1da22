package tenancy

import (
	"encoding/json"
	"fmt"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/internal/admission"
)

// limitPolicy refuses a workload whose pods the LimitRange of its namespace would all refuse. Without it the API server accepts
// the workload, and only an event of a ReplicaSet or a Job says why there is no pod. It counts what the API server counts, with
// the defaults of containers that state nothing. When it cannot tell, as for init containers beside sidecars, it lets pass: the
// API server checks every pod again.
//
// A preview does not see a LimitRange that the same update raises, so dry runs in the stack's own namespaces pass.
func limitPolicy(own []string) admission.Policy {
	namespaces, _ := json.Marshal(own) // of texts: it does not fail
	if len(own) == 0 {
		namespaces = []byte("[]")
	}
	// What the container c asks for and may have of the resource r: as it states it, and with the defaults of the LimitRange.
	asked, stated := statedRequestOf("c.of", "r"), limitOf("c.of", "r")
	request, limit := requestOf("c.of", "r")+`.or(variables.standardRequests[?r])`, stated+`.or(variables.standardLimits[?r])`
	above := func(a, b string) string {
		return fmt.Sprintf(`quantity(string(%s)).compareTo(quantity(string(%s))) > 0`, a, b)
	}
	// entry is the CEL expression for a field of the LimitRange's entry of a type. There is at most one of each.
	entry := func(kind, field string) string {
		return fmt.Sprintf(`dyn(params.spec.limits.exists(l, l.type == %[1]q && has(l.%[2]s)) ? dyn(params.spec.limits.filter(l, l.type == %[1]q && has(l.%[2]s))[0].%[2]s) : dyn({}))`, kind, field)
	}
	// first is the CEL list with one message for each resource: that of the first container for which the condition holds.
	first := func(resources, containers, condition, message string) string {
		return fmt.Sprintf(`%s.map(r, %s.filter(c, %s).map(c, %s)).filter(l, size(l) > 0).map(l, l[0])`, resources, containers, condition, message)
	}
	at := func(field string) string { return `c.at + ".resources.` + field + `." + r` }
	// total is the CEL expression for what the containers that run at a time have together.
	total := func(optional string) string {
		return `variables.together.map(c, ` + numberOf(optional) + `).sum()`
	}
	// sum is the CEL expression for the limit or request of the whole pod, which the pod itself may state.
	sum := func(field, optional string) string {
		return fmt.Sprintf(`(r in variables.whole.?%[1]s.orValue({}) ? quantity(string(variables.whole.%[1]s[r])).asApproximateFloat() : %[2]s)`, field, total(optional))
	}
	written := func(value string) string {
		return fmt.Sprintf(`(r == "cpu" ? string(double(int(%[1]s * 1000.0 + 0.5)) / 1000.0) : string(int(%[1]s / 1048576.0 + 0.999)) + "Mi")`, value)
	}
	none := `size(variables.%s) == 0`
	all := `variables.%s.join("; ")`
	return admission.Policy{
		Name: "journal-limit-policy",
		Requests: admissionv1.NamedRuleWithOperationsArray{
			admission.Requests("", "v1", admission.CreateUpdate, "replicationcontrollers"),
			admission.Requests("apps", "v1", admission.CreateUpdate, "deployments", "statefulsets", "daemonsets", "replicasets"),
			admission.Requests("batch", "v1", admission.CreateUpdate, "jobs", "cronjobs"),
		},
		Namespaces: tenantNamespaces(),
		Conditions: []admission.Expression{
			admission.Unless(podSpec("object") + ` == ` + podSpec("oldObject")),
			{Name: "for-real", CEL: fmt.Sprintf(`!(request.?dryRun.orValue(false) && request.namespace in %s)`, namespaces)},
		},
		Params: &admissionv1.ParamKindArgs{ApiVersion: pulumi.String("v1"), Kind: pulumi.String("LimitRange")},
		Variables: []admission.Expression{
			{Name: "path", CEL: `(object.kind == "CronJob" ? "spec.jobTemplate.spec.template.spec" : "spec.template.spec")`},
			{Name: "pod", CEL: podSpec("object")},
			{Name: "whole", CEL: `dyn(variables.pod.?resources.orValue({}))`},
			{Name: "standardRequests", CEL: entry("Container", "defaultRequest")},
			{Name: "standardLimits", CEL: entry("Container", "default")},
			{Name: "most", CEL: entry("Container", "max")},
			{Name: "mostOfPod", CEL: entry("Pod", "max")},
			{Name: "resources", CEL: `["cpu", "memory", "ephemeral-storage"]`},
			{Name: "main", CEL: `variables.pod.containers.map(c, {"at": dyn(variables.path + ".containers[" + c.name + "]"), "of": dyn(c)})`},
			{Name: "before", CEL: `variables.pod.?initContainers.orValue([]).map(c, {"at": dyn(variables.path + ".initContainers[" + c.name + "]"), "of": dyn(c)})`},
			{Name: "together", CEL: `variables.main + variables.before.filter(c, c.of.?restartPolicy.orValue("") == "Always")`},
			{Name: "excessive", CEL: first(`variables.resources.filter(r, r in variables.most)`, `(variables.main + variables.before)`,
				`[`+limit+`, `+asked+`].exists(q, q.hasValue() && `+above(`q.value()`, `variables.most[r]`)+`)`,
				`c.at + ".resources, " + r + " " + string([`+limit+`, `+asked+`].filter(q, q.hasValue() && `+above(`q.value()`, `variables.most[r]`)+`)[0].value()) + `+
					`": above the maximum of one container; write at most " + string(variables.most[r]) + " as limit and as request"`)},
			{Name: "unlimited", CEL: first(`variables.resources.filter(r, r in variables.standardLimits)`, `(variables.main + variables.before)`,
				`!`+stated+`.hasValue() && `+asked+`.hasValue() && `+above(asked+`.value()`, `variables.standardLimits[r]`),
				at("limits")+` + ": it is missing, and the default of " + string(variables.standardLimits[r]) + " is below the request; write " + string(`+asked+`.value()) + " or more"`)},
			{Name: "overstated", CEL: first(`["cpu", "memory"].filter(r, r in variables.whole.?limits.orValue({}))`, `variables.main`,
				`!`+stated+`.hasValue() && `+limit+`.hasValue() && `+above(limit+`.value()`, `variables.whole.limits[r]`),
				at("limits")+` + ": it is missing, and the default of " + string(`+limit+`.value()) + " is above the pod's limit; write " + string(variables.whole.limits[r]) + " or less"`)},
			{Name: "understated", CEL: `["cpu", "memory"].filter(r, r in variables.whole.?requests.orValue({}) && ` +
				`quantity(string(variables.whole.requests[r])).asApproximateFloat() + 0.0005 < ` + total(request) + `).map(r, variables.path + ".resources.requests." + r + " " + ` +
				`string(variables.whole.requests[r]) + ": below what its containers request together, with the default of those that state none; write " + ` + written(total(request)) + ` + " or more, or state less in the containers")`},
			{Name: "large", CEL: `variables.resources.filter(r, r in variables.mostOfPod && [` + sum("limits", limit) + `, ` + sum("requests", request) +
				`].exists(s, s > quantity(string(variables.mostOfPod[r])).asApproximateFloat() + 0.0005)).map(r, variables.path + ", " + r + ": the pod's limits are " + ` + written(sum("limits", limit)) +
				` + ", above the maximum of one pod; write limits that are together at most " + string(variables.mostOfPod[r]))`},
		},
		Validations: admissionv1.ValidationArray{
			admission.Validation(fmt.Sprintf(none, "excessive"), fmt.Sprintf(all, "excessive")),
			admission.Validation(fmt.Sprintf(none, "unlimited"), fmt.Sprintf(all, "unlimited")),
			admission.Validation(fmt.Sprintf(none, "overstated"), fmt.Sprintf(all, "overstated")),
			admission.Validation(fmt.Sprintf(none, "understated"), fmt.Sprintf(all, "understated")),
			admission.Validation(fmt.Sprintf(none, "large"), fmt.Sprintf(all, "large")),
		},
		Bindings: []admission.Binding{{Params: PolicyObjectName, Actions: []string{"Deny", "Audit"}}},
	}
}
