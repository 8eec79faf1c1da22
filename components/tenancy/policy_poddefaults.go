package tenancy

import (
	"fmt"
	"strings"

	"example.com/journal/components/internal/admission"
	"example.com/journal/components/kube"
)

// add is the CEL expression for one addition of a JSON patch.
func add(path, value string) string {
	return fmt.Sprintf(`JSONPatch{op: "add", path: %s, value: %s}`, path, value)
}

// podDefaults fills in what the "restricted" Pod Security Standard asks for and a pod does not state. It never changes what is
// stated, so whatever Pod Security refused before, it still refuses. It also fills in the templates of workloads, because Pod
// Security warns about templates: the author sees exactly the warnings that name a real refusal.
//
// It leaves namespaces that enforce baseline alone, since their pods were given that to run as root.
func podDefaults() admission.Mutation {
	// containers is the CEL list of the containers in a field for which a condition holds, each with the path of its context.
	containers := func(field, condition string) string {
		return fmt.Sprintf(`variables.pod.?%[1]s.orValue([]).transformList(i, c, %[2]s, {"at": dyn(variables.path + "/%[1]s/" + string(i) + "/securityContext"), "of": dyn(c)})`, field, condition)
	}
	// each is the CEL list of additions to the containers for which a condition holds.
	each := func(condition, field, value string) string {
		return fmt.Sprintf(`variables.containers.filter(c, %s).map(c, %s)`, condition, add(`string(c.at) + "`+field+`"`, value))
	}
	// once is the CEL list with one addition to the pod, or none. The context of a pod that is there does not change.
	once := func(condition, field, value string) string {
		return fmt.Sprintf(`(!variables.debugs && %s ? [%s] : [])`, condition, add(`variables.path + "/securityContext`+field+`"`, value))
	}
	return admission.Mutation{
		Name: "journal-pod-defaults",
		Requests: []map[string]any{
			// The templates of these never change, so that an update could only be refused for what it fills in.
			admission.Rule("", "v1", []string{"CREATE"}, "pods"),
			admission.Rule("batch", "v1", []string{"CREATE"}, "jobs"),
			admission.Rule("", "v1", []string{"UPDATE"}, "pods/ephemeralcontainers"),
			admission.Rule("", "v1", admission.CreateUpdate, "replicationcontrollers"),
			admission.Rule("apps", "v1", admission.CreateUpdate, "deployments", "statefulsets", "daemonsets", "replicasets"),
			admission.Rule("batch", "v1", admission.CreateUpdate, "cronjobs"),
		},
		Namespaces: []map[string]any{admission.LabelCondition(TenantLabel), admission.LabelCondition("pod-security.kubernetes.io/enforce", kube.RestrictedPods)},
		Conditions: []admission.Expression{
			// A workload that is older than the policy starts no rollout because of a new label.
			admission.Unless(podSpec("object") + ` == ` + podSpec("oldObject")),
			// A Deployment knows its ReplicaSet by an equal template. If the policy changed the ReplicaSet of a Deployment that is older
			// than the policy, the Deployment would create another one without end. The pods are filled in anyway.
			{Name: "authored", CEL: `object.kind == "Pod" || !object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false))`},
			{Name: "linux", CEL: podSpec("object") + `.?os.?name.orValue("") != "windows"`},
		},
		Variables: []admission.Expression{
			{Name: "debugs", CEL: `request.?subResource.orValue("") == "ephemeralcontainers"`},
			{Name: "path", CEL: `(object.kind == "Pod" ? "/spec" : object.kind == "CronJob" ? "/spec/jobTemplate/spec/template/spec" : "/spec/template/spec")`},
			{Name: "pod", CEL: podSpec("object")},
			{Name: "there", CEL: `variables.debugs ? ` + podSpec("oldObject") + `.?ephemeralContainers.orValue([]).map(c, c.name) : []`},
			{Name: "containers", CEL: containers("ephemeralContainers", `!(c.name in variables.there)`) +
				` + (variables.debugs ? [] : ` + containers("containers", "true") + ` + ` + containers("initContainers", "true") + `)`},
		},
		Patch: strings.Join([]string{
			once(`!has(variables.pod.securityContext)`, "", `{}`),
			once(`!variables.pod.?securityContext.?seccompProfile.hasValue()`, "/seccompProfile", `{"type": "RuntimeDefault"}`),
			// In a user namespace of its own a pod may run as root: that root is nobody on the node, and Pod Security lets it.
			once(`!variables.pod.?securityContext.?runAsNonRoot.hasValue() && variables.pod.?hostUsers.orValue(true)`, "/runAsNonRoot", `true`),
			each(`!has(c.of.securityContext)`, "", `{}`),
			// With these two a false is invalid. Pod Security's message is the better one.
			each(`!c.of.?securityContext.?allowPrivilegeEscalation.hasValue() && !c.of.?securityContext.?privileged.orValue(false) &&
				!c.of.?securityContext.?capabilities.?add.orValue([]).exists(a, a in ["SYS_ADMIN", "CAP_SYS_ADMIN"])`, "/allowPrivilegeEscalation", `false`),
			each(`!c.of.?securityContext.?capabilities.hasValue()`, "/capabilities", `{}`),
			each(`!c.of.?securityContext.?capabilities.?drop.hasValue()`, "/capabilities/drop", `["ALL"]`),
		}, " +\n"),
	}
}

// accountDefaults keeps the token of a service account out of its pods, unless the account or the pod asks for it. It changes
// accounts and not pods, because a pod's token is mounted before any policy sees the pod. An account that is older than the
// policy stays as it is.
func accountDefaults() admission.Mutation {
	const absent = `!has(object.automountServiceAccountToken)`
	return admission.Mutation{
		Name:       "journal-account-defaults",
		Requests:   []map[string]any{admission.Rule("", "v1", admission.CreateUpdate, "serviceaccounts")},
		Namespaces: []map[string]any{admission.LabelCondition(TenantLabel)},
		Conditions: []admission.Expression{
			{Name: "absent", CEL: absent + ` && (request.operation == "CREATE" || has(oldObject.automountServiceAccountToken))`},
		},
		Patch: "[" + add(`"/automountServiceAccountToken"`, `false`) + "]",
	}
}
