//go:build e2e

package policies

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// kinds are the workloads that make pods.
var kinds = []string{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob"}

// filled are the contexts of the pod and of its container that the policy fills in where there is none.
var (
	filledPod       = map[string]any{"runAsNonRoot": true, "seccompProfile": map[string]any{"type": "RuntimeDefault"}}
	filledContainer = map[string]any{"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}}}
)

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestAWorkloadThatStatesNothingIsFilledInAndWarnsOfNothing(t *testing.T) {
	for _, kind := range append([]string{"Pod"}, kinds...) {
		t.Run(kind, func(t *testing.T) {
			fields := "initContainers: [{name: first, image: " + image + "}]"
			manifest := workload(kind, "team-a", "bare", spec("", fields))
			if kind == "Pod" {
				manifest = pod("team-a", "bare", "", fields)
			}
			text, warnings, err := kubectlWarns(manifest, "create", "--output", "json", "--filename", "-")
			if err != nil || warnings != "" {
				t.Fatalf("%v: %s", err, warnings)
			}
			got := decode(t, text).pod(kind)
			same(t, "pod", got.SecurityContext, filledPod)
			same(t, "container", got.Containers[0].SecurityContext, filledContainer)
			same(t, "init container", got.InitContainers[0].SecurityContext, filledContainer)
		})
	}
}

func TestKubectlRunAndCreateDeploymentNeedNoSecurityContext(t *testing.T) {
	for _, args := range [][]string{{"run", "quick", "--image", image}, {"create", "deployment", "quick", "--image", image}} {
		if _, warnings, err := kubectlWarns("", append(args, "--namespace", "team-a")...); err != nil || warnings != "" {
			t.Errorf("kubectl %v: %v: %s", args, err, warnings)
		}
	}
	eventually(t, func() error {
		names, err := kubectl("", "get", "pods", "--namespace", "team-a", "--selector", "app=quick", "--output", "name")
		if err == nil && names == "" {
			err = fmt.Errorf("the Deployment has no pod")
		}
		return err
	})
	if text := must(t, "", "get", "events", "--namespace", "team-a", "--field-selector", "reason=FailedCreate", "--output", "name"); text != "" {
		t.Errorf("pods were refused: %s", text)
	}
}

func TestWhatAPodStatesStays(t *testing.T) {
	const all = "runAsNonRoot: true, seccompProfile: {type: Localhost, localhostProfile: own.json}"
	for name, test := range map[string]struct {
		container, pod string
		of             string // the namespace, team-a by default
		want           podSpec
	}{
		"of the pod": {pod: "securityContext: {" + all + ", runAsUser: 10001}", want: podSpec{
			SecurityContext: map[string]any{"runAsNonRoot": true, "runAsUser": 10001.0, "seccompProfile": map[string]any{"type": "Localhost", "localhostProfile": "own.json"}},
			Containers:      []container{{"main", filledContainer}},
		}},
		"of a container": {container: "securityContext: {" + all + ", readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}", want: podSpec{
			SecurityContext: filledPod,
			Containers: []container{{"main", map[string]any{"runAsNonRoot": true, "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
				"seccompProfile": map[string]any{"type": "Localhost", "localhostProfile": "own.json"},
				"capabilities":   map[string]any{"drop": []any{"ALL"}, "add": []any{"NET_BIND_SERVICE"}}}}},
		}},
		"added capabilities": {container: "securityContext: {capabilities: {add: [NET_BIND_SERVICE]}}", want: podSpec{
			SecurityContext: filledPod,
			Containers: []container{{"main", map[string]any{"allowPrivilegeEscalation": false,
				"capabilities": map[string]any{"drop": []any{"ALL"}, "add": []any{"NET_BIND_SERVICE"}}}}},
		}},
		"root in a user namespace": {pod: "hostUsers: false, securityContext: {runAsUser: 0}", want: podSpec{
			SecurityContext: map[string]any{"runAsUser": 0.0, "seccompProfile": map[string]any{"type": "RuntimeDefault"}},
			Containers:      []container{{"main", filledContainer}},
		}},
		"baseline":  {of: "baseline", want: podSpec{SecurityContext: map[string]any{}, Containers: []container{{Name: "main"}}}},
		"no tenant": {of: "default", want: podSpec{SecurityContext: map[string]any{}, Containers: []container{{Name: "main"}}}},
		"Windows": {of: "team-a", pod: "os: {name: windows}, securityContext: {runAsNonRoot: true}", want: podSpec{
			SecurityContext: map[string]any{"runAsNonRoot": true}, Containers: []container{{Name: "main"}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.of == "" {
				test.of = "team-a"
			}
			if test.of == "baseline" {
				must(t, "{apiVersion: v1, kind: Namespace, metadata: {name: baseline, labels: {journal.example.com/tenant: baseline, pod-security.kubernetes.io/enforce: baseline}}}", "apply", "--filename", "-")
			}
			for _, kind := range []string{"Pod", "Deployment"} {
				manifest := deployment(test.of, "stated", test.container, test.pod)
				if kind == "Pod" {
					manifest = pod(test.of, "stated", test.container, test.pod)
				}
				var text string
				eventually(t, func() (err error) { // in a new namespace until it has its service account
					text, err = kubectl(manifest, "create", "--dry-run=server", "--output", "json", "--filename", "-")
					return err
				})
				got := decode(t, text).pod(kind)
				same(t, kind, got.SecurityContext, test.want.SecurityContext)
				same(t, kind, got.Containers, test.want.Containers)
			}
		})
	}
}

// TestWhatIsRefusedIsNotMadeGood tries pods that state what the standard forbids. A workload with such a template is accepted
// with a warning that names the field, as Pod Security does it.
func TestWhatIsRefusedIsNotMadeGood(t *testing.T) {
	for name, test := range map[string]struct{ container, pod, says string }{
		"privileged":       {container: "securityContext: {privileged: true}", says: `privileged (container "main" must not set securityContext.privileged=true)`},
		"escalation":       {container: "securityContext: {allowPrivilegeEscalation: true}", says: `container "main" must set securityContext.allowPrivilegeEscalation=false`},
		"root":             {container: "securityContext: {runAsNonRoot: false}", says: `container "main" must not set securityContext.runAsNonRoot=false`},
		"a pod as root":    {pod: "securityContext: {runAsNonRoot: false}", says: `pod must not set securityContext.runAsNonRoot=false`},
		"user 0":           {pod: "securityContext: {runAsUser: 0}", says: `pod must not set runAsUser=0`},
		"without seccomp":  {pod: "securityContext: {seccompProfile: {type: Unconfined}}", says: `pod must not set securityContext.seccompProfile.type to "Unconfined"`},
		"a capability":     {container: "securityContext: {capabilities: {add: [CHOWN]}}", says: `container "main" must not include "CHOWN" in securityContext.capabilities.add`},
		"SYS_ADMIN":        {container: "securityContext: {capabilities: {add: [SYS_ADMIN]}}", says: `container "main" must not include "SYS_ADMIN" in securityContext.capabilities.add`},
		"a few dropped":    {container: "securityContext: {capabilities: {drop: [KILL]}}", says: `container "main" must set securityContext.capabilities.drop=["ALL"]`},
		"the node's paths": {pod: "volumes: [{name: root, hostPath: {path: /}}]", says: `volume "root" uses restricted volume type "hostPath"`},
		"the node's PIDs":  {pod: "hostPID: true", says: `host namespaces (hostPID=true)`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := kubectl(pod("team-a", "bad", test.container, test.pod), "create", "--dry-run=server", "--filename", "-"); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q in it", err, test.says)
			}
			_, warnings, err := kubectlWarns(deployment("team-a", "bad", test.container, test.pod), "create", "--dry-run=server", "--filename", "-")
			if err != nil || !strings.Contains(warnings, test.says) {
				t.Errorf("%v: %s, want %q in it", err, warnings, test.says)
			}
		})
	}
}

func TestWhatIsAppliedTwiceDoesNotChange(t *testing.T) {
	for _, kind := range kinds {
		for _, way := range []string{"client", "server", "replaced"} {
			t.Run(kind+" "+way, func(t *testing.T) {
				if kind == "Job" && way == "replaced" {
					t.Skip("no Job can be replaced: the API server adds labels to its template, which never changes")
				}
				manifest := workload(kind, "team-a", "twice-"+way, spec("securityContext: {capabilities: {add: [NET_BIND_SERVICE]}}", ""))
				args := []string{"apply", "--output", "json", "--filename", "-"}
				switch way {
				case "server":
					args = append(args, "--server-side")
				case "replaced":
					must(t, manifest, "create", "--filename", "-")
					args[0] = "replace"
				}
				must(t, manifest, args...)
				read := func() object {
					return decode(t, must(t, "", "get", kind, "twice-"+way, "--namespace", "team-a", "--output", "json"))
				}
				before := read()
				must(t, manifest, args...)
				after := read()
				// A replaced Deployment loses the annotation that its controller has added, which counts as a change.
				if before.Metadata.Generation != after.Metadata.Generation && (kind != "Deployment" || way != "replaced") {
					t.Errorf("generation %d and %d", before.Metadata.Generation, after.Metadata.Generation)
				}
				same(t, "template", after.pod(kind), before.pod(kind))
				same(t, "container", after.pod(kind).Containers[0].SecurityContext["allowPrivilegeEscalation"], false)
			})
		}
	}
}

// TestAnOlderWorkloadIsLeftAlone uses the Deployment that was there before the policies.
func TestAnOlderWorkloadIsLeftAlone(t *testing.T) {
	read := func(kind string) object {
		return decode(t, must(t, "", "get", kind, "old", "--namespace", "early", "--output", "json"))
	}
	must(t, "", "label", "deployment", "old", "example.com/seen=yes", "--namespace", "early")
	must(t, "", "scale", "deployment", "old", "--replicas=2", "--namespace", "early")
	same(t, "the old template", read("deployment").pod("Deployment").Containers[0].SecurityContext, map[string]any(nil))

	sets := func() []string {
		return strings.Fields(must(t, "", "get", "replicasets", "--namespace", "early", "--output", "name"))
	}
	// A new ReplicaSet of an old template must be equal to it. Without its ReplicaSet, the Deployment makes another one.
	must(t, "", "delete", "replicasets", "--all", "--namespace", "early", "--cascade=background")
	must(t, "", "delete", "pods", "--all", "--namespace", "early", "--force", "--grace-period=0")
	eventually(t, func() error {
		text, err := kubectl("", "get", "pods", "--namespace", "early", "--output", "jsonpath={.items[*].spec.securityContext.runAsNonRoot}")
		if err == nil && text != "true true" {
			err = fmt.Errorf("the pods' contexts are %q", text)
		}
		return err
	})
	if got := sets(); len(got) != 1 {
		t.Errorf("there are ReplicaSets %v", got)
	}
	must(t, "", "set", "image", "deployment/old", "main=registry.example.com/app:1.2.4", "--namespace", "early")
	same(t, "the new template", read("deployment").pod("Deployment").SecurityContext, filledPod)
	eventually(t, func() error {
		if got := sets(); len(got) != 2 {
			return fmt.Errorf("there are ReplicaSets %v", got)
		}
		return nil
	})
}

func TestADebuggingContainerIsFilledIn(t *testing.T) {
	must(t, pod("team-a", "debugged", "", ""), "create", "--filename", "-")
	patch := func(name, fields string) (string, error) {
		return kubectl("", "patch", "pod", "debugged", "--namespace", "team-a", "--subresource=ephemeralcontainers", "--output", "json",
			"--patch", `{"spec": {"ephemeralContainers": [{"name": "`+name+`", "image": "`+image+`"`+fields+`}]}}`)
	}
	if _, err := patch("bad", `, "securityContext": {"privileged": true}`); err == nil || !strings.Contains(err.Error(), "privileged") {
		t.Errorf("privileged: %v", err)
	}
	for i, name := range []string{"first", "second"} {
		text, err := patch(name, "")
		if err != nil {
			t.Fatal(err)
		}
		got := decode(t, text).Spec.EphemeralContainers
		if len(got) != i+1 {
			t.Fatalf("there are %v", got)
		}
		for _, container := range got {
			same(t, container.Name, container.SecurityContext, filledContainer)
		}
	}
}

func TestATokenIsMountedOnlyWhereItIsAskedFor(t *testing.T) {
	account := func(name, fields string) string {
		return "{apiVersion: v1, kind: ServiceAccount, metadata: {name: " + name + ", namespace: team-a}" + comma(fields) + fields + "}"
	}
	for name, test := range map[string]struct {
		account, pod string
		mounted      bool
	}{
		"default":  {mounted: false},
		"asks":     {pod: "automountServiceAccountToken: true", mounted: true},
		"plain":    {account: account("plain", ""), pod: "serviceAccountName: plain"},
		"mounts":   {account: account("mounts", "automountServiceAccountToken: true"), pod: "serviceAccountName: mounts", mounted: true},
		"declines": {account: account("declines", "automountServiceAccountToken: true"), pod: "serviceAccountName: declines, automountServiceAccountToken: false"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.account != "" {
				must(t, test.account, "apply", "--filename", "-")
				must(t, test.account, "replace", "--filename", "-")
			}
			got := decode(t, must(t, pod("team-a", "token", "", test.pod), "create", "--dry-run=server", "--output", "json", "--filename", "-")).pod("Pod")
			if mounted := len(got.Volumes) > 0; mounted != test.mounted {
				t.Errorf("volumes %v", got.Volumes)
			}
		})
	}
	must(t, "{apiVersion: v1, kind: Namespace, metadata: {name: claimed, labels: {journal.example.com/tenant: team-a}}}", "create", "--filename", "-")
	eventually(t, func() error {
		text, err := kubectl("", "get", "serviceaccount", "default", "--namespace", "claimed", "--output", "jsonpath={.automountServiceAccountToken}")
		if err == nil && text != "false" {
			t.Fatalf("the account of a new namespace says %q", text)
		}
		return err
	})
	same(t, "the account that is older", must(t, "", "get", "serviceaccount", "default", "--namespace", "early", "--output", "jsonpath={.automountServiceAccountToken}"), "")
	must(t, "", "annotate", "serviceaccount", "default", "example.com/seen=yes", "--namespace", "early")
	same(t, "the account that is older", must(t, "", "get", "serviceaccount", "default", "--namespace", "early", "--output", "jsonpath={.automountServiceAccountToken}"), "")
}

// TestTheJournalsOwnWorkloadsAreComplete creates what the stack declares in the journal's namespace: nothing is filled in.
func TestTheJournalsOwnWorkloadsAreComplete(t *testing.T) {
	for _, kind := range []string{"Deployment", "StatefulSet"} {
		text, err := stackObjects(kind)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(text, "\n---\n") {
			if !strings.Contains(document, "\n  namespace: journal\n") {
				continue
			}
			declared := decode(t, must(t, document, "create", "--dry-run=client", "--output", "json", "--filename", "-"))
			created := decode(t, must(t, document, "create", "--dry-run=server", "--output", "json", "--filename", "-"))
			same(t, declared.Metadata.Name, created.pod(kind).SecurityContext, declared.pod(kind).SecurityContext)
			same(t, declared.Metadata.Name, created.pod(kind).Containers, declared.pod(kind).Containers)
		}
	}
}
