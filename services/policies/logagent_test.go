//go:build e2e

package policies

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// agents is the namespace of the log agents.
const agents = "journal-log-agent"

// agentPod returns the pod of the stack's DaemonSet of log agents, after a change of its specification.
func agentPod(t *testing.T, change func(spec map[string]any)) string {
	t.Helper()
	text, err := stackObjects("DaemonSet")
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Spec struct {
			Template struct{ Spec map[string]any }
		}
	}
	if err := yaml.Unmarshal([]byte(text), &set); err != nil {
		t.Fatal(err)
	}
	change(set.Spec.Template.Spec)
	pod, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "log-agent-1", "namespace": agents}, "spec": set.Spec.Template.Spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(pod)
}

// TestNothingButTheAgentsRunsInTheirNamespace changes the pod that the stack declares, one thing at a time.
func TestNothingButTheAgentsRunsInTheirNamespace(t *testing.T) {
	first := func(spec map[string]any, list string) map[string]any { return spec[list].([]any)[0].(map[string]any) }
	context := func(spec map[string]any, list string) map[string]any {
		return first(spec, list)["securityContext"].(map[string]any)
	}
	add := func(spec map[string]any, list string, entry map[string]any) {
		entries, _ := spec[list].([]any)
		spec[list] = append(entries, entry)
	}
	const hardened = "they have no privileges and no capabilities"
	for name, test := range map[string]struct {
		change func(spec map[string]any)
		says   string
	}{
		"as it is":       {func(map[string]any) {}, ""},
		"on some node":   {func(s map[string]any) { s["nodeName"] = "node-1" }, ""},
		"more memory":    {func(s map[string]any) { first(s, "containers")["resources"] = map[string]any{} }, ""},
		"another buffer": {func(s map[string]any) { first(s, "containers")["env"] = []any{} }, ""},

		"another account":                {func(s map[string]any) { s["serviceAccountName"] = "default" }, "spec.serviceAccountName: only the agents run here"},
		"another image":                  {func(s map[string]any) { first(s, "containers")["image"] = image }, "the agents run the image registry.example.com/journal/log-agent:v0.1.0-0000000 alone"},
		"another image of the first one": {func(s map[string]any) { first(s, "initContainers")["image"] = image }, "the agents run the image"},
		"a command":                      {func(s map[string]any) { first(s, "containers")["command"] = []any{"sh"} }, "remove command, args"},
		"arguments":                      {func(s map[string]any) { first(s, "containers")["args"] = []any{"--config=/tmp/other"} }, "remove command, args"},
		"another command of the first one": {func(s map[string]any) {
			first(s, "initContainers")["command"] = []any{"/log-agent", "prepare", "/var/log/pods"}
		}, "remove command, args"},
		"a hook": {func(s map[string]any) {
			first(s, "containers")["lifecycle"] = map[string]any{"postStart": map[string]any{"exec": map[string]any{"command": []any{"/log-agent"}}}}
		}, "remove command, args"},
		"a probe that runs a command": {func(s map[string]any) {
			first(s, "containers")["readinessProbe"] = map[string]any{"exec": map[string]any{"command": []any{"/log-agent"}}}
		}, "remove command, args"},
		"a port of the node": {func(s map[string]any) {
			first(s, "containers")["ports"] = []any{map[string]any{"containerPort": 8888, "hostPort": 8888}}
		}, "give a pod what other pods of the node have"},
		"a second container":        {func(s map[string]any) { add(s, "containers", map[string]any{"name": "shell", "image": image}) }, "and no other"},
		"a second container before": {func(s map[string]any) { add(s, "initContainers", map[string]any{"name": "shell", "image": image}) }, "and no other"},
		"no container before":       {func(s map[string]any) { delete(s, "initContainers") }, "and no other"},
		"a folder of the node": {func(s map[string]any) {
			add(s, "volumes", map[string]any{"name": "etc", "hostPath": map[string]any{"path": "/etc"}})
		}, "nothing else of it"},
		"a folder below": {func(s map[string]any) {
			add(s, "volumes", map[string]any{"name": "etc", "hostPath": map[string]any{"path": "/var/log/pods/x"}})
		}, "nothing else of it"},
		"another volume": {func(s map[string]any) {
			add(s, "volumes", map[string]any{"name": "v", "persistentVolumeClaim": map[string]any{"claimName": "v"}})
		}, "nothing else of it"},
		"the logs under another name, to write": {func(s map[string]any) {
			add(s, "volumes", map[string]any{"name": "again", "hostPath": map[string]any{"path": "/var/log/pods"}})
			add(first(s, "containers"), "volumeMounts", map[string]any{"name": "again", "mountPath": "/again"})
		}, "write readOnly: true"},
		"the logs to write, as root": {func(s map[string]any) {
			add(first(s, "initContainers"), "volumeMounts", map[string]any{"name": "pods", "mountPath": "/pods"})
		}, "write readOnly: true"},
		"root": {func(s map[string]any) {
			context(s, "containers")["runAsUser"] = 0
			context(s, "containers")["runAsNonRoot"] = false
		}, "the agent runs as the user 10001"},
		"no user": {func(s map[string]any) { delete(context(s, "containers"), "runAsUser") }, "the agent runs as the user 10001"},
		"privileged": {func(s map[string]any) {
			delete(context(s, "containers"), "allowPrivilegeEscalation")
			context(s, "containers")["privileged"] = true
		}, hardened},
		"escalation": {func(s map[string]any) { delete(context(s, "initContainers"), "allowPrivilegeEscalation") }, hardened},
		"a capability": {func(s map[string]any) {
			context(s, "initContainers")["capabilities"] = map[string]any{"drop": []any{"ALL"}, "add": []any{"DAC_OVERRIDE"}}
		}, hardened},
		"capabilities":    {func(s map[string]any) { delete(context(s, "initContainers"), "capabilities") }, hardened},
		"a writable root": {func(s map[string]any) { context(s, "containers")["readOnlyRootFilesystem"] = false }, hardened},
		"all system calls": {func(s map[string]any) {
			context(s, "containers")["seccompProfile"] = map[string]any{"type": "Unconfined"}
		}, hardened},
		"the node's network":   {func(s map[string]any) { s["hostNetwork"] = true }, "give a pod what other pods of the node have"},
		"the node's processes": {func(s map[string]any) { s["hostPID"] = true }, "give a pod what other pods of the node have"},
		"the node's memory":    {func(s map[string]any) { s["hostIPC"] = true }, "give a pod what other pods of the node have"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := kubectl(agentPod(t, test.change), "create", "--dry-run=server", "--filename", "-")
			switch {
			case test.says == "" && err != nil:
				t.Error(err)
			case test.says != "" && (err == nil || !strings.Contains(err.Error(), "journal-log-agent") || !strings.Contains(err.Error(), test.says)):
				t.Errorf("%v, want %q in it", err, test.says)
			}
		})
	}
}

func TestAnAgentThatRunsIsLabelledButNotDebugged(t *testing.T) {
	must(t, agentPod(t, func(map[string]any) {}), "create", "--filename", "-")
	must(t, "", "label", "pod", "log-agent-1", "example.com/seen=yes", "--namespace", agents)
	const debug = `{"spec": {"ephemeralContainers": [{"name": "debug", "image": %q, "targetContainerName": "log-agent"}]}}`
	_, err := kubectl("", "patch", "pod", "log-agent-1", "--namespace", agents, "--subresource=ephemeralcontainers", "--patch", fmt.Sprintf(debug, image))
	if err == nil || !strings.Contains(err.Error(), "and no other; run this pod in another namespace") {
		t.Errorf("a debugging container: %v", err)
	}
}
