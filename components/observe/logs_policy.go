package observe

import (
	"encoding/json"
	"fmt"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/internal/admission"
	"example.com/journal/components/kube"
)

// agentPolicyName is the name of the policy that says which pods may run beside the agents: none but them.
const agentPolicyName = "journal-log-agent"

// agentAdmission declares the policy of the agents' namespace. Its Pod Security Standard allows everything, since every other one
// forbids all folders of the node, so whoever could run another pod there would have the node. The policy lets through what
// agentPod declares.
func agentAdmission(ctx *pulumi.Context, a LogServiceArgs, parent pulumi.Resource) ([]pulumi.Resource, error) {
	prepare, _ := json.Marshal(agentPrepareCommand) // of texts: it does not fail
	// unprivileged holds for a container c without privileges.
	const unprivileged = `!c.?securityContext.?privileged.orValue(false) && !c.?securityContext.?allowPrivilegeEscalation.orValue(true) && c.?securityContext.?readOnlyRootFilesystem.orValue(false)` +
		` && c.?securityContext.?capabilities.?drop.orValue([]) == ["ALL"] && size(c.?securityContext.?capabilities.?add.orValue([])) == 0` +
		` && c.?securityContext.?seccompProfile.?type.orValue("") == "RuntimeDefault"`
	// commanded holds for a container c in which something beside its own command runs.
	const commanded = `has(c.lifecycle) || ["startupProbe", "readinessProbe", "livenessProbe"].exists(p, p in c && "exec" in c[p])`
	rule := func(expression, message string) admissionv1.ValidationArgs {
		return admission.Validation(expression, fmt.Sprintf("%q", message))
	}
	return admission.Declare(ctx, admission.Policy{
		Name:       agentPolicyName,
		Requests:   admissionv1.NamedRuleWithOperationsArray{admission.Requests("", "v1", admission.CreateUpdate, "pods", "pods/ephemeralcontainers")},
		Namespaces: kube.NamespaceSelector(a.AgentNamespace),
		Conditions: []admission.Expression{admission.Unless(`object.spec == oldObject.spec`)},
		Outputs:    []admission.Output{{Name: "image", CEL: pulumi.Sprintf("%q", a.Agent.Image)}},
		Variables: []admission.Expression{
			{Name: "pod", CEL: `dyn(object).spec`},
			{Name: "prepare", CEL: `variables.pod.?initContainers.orValue([])`},
			{Name: "containers", CEL: `variables.pod.containers + variables.prepare`},
			{Name: "volumes", CEL: `variables.pod.?volumes.orValue([])`},
			{Name: "logs", CEL: fmt.Sprintf(`variables.volumes.filter(v, v.?hostPath.?path.orValue("") == %q).map(v, v.name)`, logsDir)},
		},
		Validations: admissionv1.ValidationArray{
			rule(fmt.Sprintf(`variables.pod.?serviceAccountName.orValue("") == %q`, agentApp),
				"spec.serviceAccountName: only the agents run here, as "+agentApp+"; run this pod in another namespace"),
			rule(fmt.Sprintf(`size(variables.pod.containers) == 1 && variables.pod.containers[0].name == %q && size(variables.prepare) == 1 && variables.prepare[0].name == %q`+
				` && size(variables.pod.?ephemeralContainers.orValue([])) == 0`, agentApp, agentPrepare),
				"spec.containers: an agent has the container "+agentApp+", before it "+agentPrepare+", and no other; run this pod in another namespace"),
			admission.Validation(`variables.containers.all(c, c.?image.orValue("") == variables.image)`,
				`"spec.containers: the agents run the image " + variables.image + " alone; change it in the key logs.agent.image"`),
			rule(fmt.Sprintf(`variables.pod.containers.all(c, !has(c.command) && !has(c.args)) && variables.prepare.all(c, c.?command.orValue([]) == %s && !has(c.args))`+
				` && !variables.containers.exists(c, `+commanded+`)`, prepare),
				"spec.containers: an agent runs what its image runs, with its own configuration; remove command, args, lifecycle and probes with exec"),
			rule(fmt.Sprintf(`variables.pod.containers.all(c, c.?securityContext.?runAsUser.orValue(0) == %d) && variables.prepare.all(c, c.?securityContext.?runAsUser.orValue(-1) == 0)`, kube.UserID),
				fmt.Sprintf("spec.containers: the agent runs as the user %d, and only %s as root; leave their securityContext as it is", kube.UserID, agentPrepare)),
			rule(`variables.containers.all(c, `+unprivileged+`)`,
				"spec.containers: they have no privileges and no capabilities, a read-only root file system, and the seccomp profile RuntimeDefault; leave their securityContext as it is"),
			rule(`!variables.pod.?hostNetwork.orValue(false) && !variables.pod.?hostPID.orValue(false) && !variables.pod.?hostIPC.orValue(false)`+
				` && variables.containers.all(c, c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0))`,
				"spec: hostNetwork, hostPID, hostIPC and hostPort give a pod what other pods of the node have; remove them"),
			rule(fmt.Sprintf(`variables.volumes.all(v, has(v.hostPath) ? v.hostPath.path in [%q, %q] : has(v.emptyDir) || has(v.projected))`, logsDir, stateDir),
				"spec.volumes: the agents mount "+logsDir+" and "+stateDir+" of the node, and nothing else of it; remove the others"),
			rule(`variables.containers.all(c, size(c.?volumeDevices.orValue([])) == 0 && c.?volumeMounts.orValue([]).all(m, !(m.name in variables.logs) || m.?readOnly.orValue(false)))`,
				"spec.containers: an agent reads "+logsDir+" and writes nothing there; write readOnly: true"),
		},
		Bindings: []admission.Binding{{Actions: []string{"Deny", "Audit"}}},
	}, parent)
}
