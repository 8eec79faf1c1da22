package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorded is an engine that says what a real one has said, and ends with this exit code.
func recorded(t *testing.T, events, stderr string, code int) engine {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "pulumi")
	script := fmt.Sprintf("#!/bin/sh\ncd %q\ncat events\necho \"$@\" > args\ncat stderr >&2\nexit %d\n", dir, code)
	require.NoError(t, errors.Join(
		os.WriteFile(program, []byte(script), 0o700),
		os.WriteFile(filepath.Join(dir, "events"), []byte(events), 0o600),
		os.WriteFile(filepath.Join(dir, "stderr"), []byte(stderr), 0o600)))
	return engine{program: program, project: dir, stack: "prod"}
}

// events returns events that a real engine has written.
func events(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "events", name))
	require.NoError(t, err)
	return string(text)
}

func TestDriftNamesTheObjectAndTheField(t *testing.T) {
	e := recorded(t, events(t, "drift.jsonl"), "error: no changes were expected for refresh but changes were proposed\n", exitChanges)
	var out, stderr bytes.Buffer
	err := drift(t.Context(), e, &out)
	assert.Equal(t, exitDrift, exitCode(err, &stderr))
	assert.Empty(t, stderr.String())
	assert.ElementsMatch(t, []string{
		"ConfigMap team/extra: it is gone",
		`ConfigMap team/settings: data.title is "by-hand", and "one" was deployed`,
		`Namespace team: metadata.labels is {"kubernetes.io/metadata.name":"team"}, and ` +
			`{"kubernetes.io/metadata.name":"team","title":"one"} was deployed`,
		"Secret team/secret: data.password is another secret than was deployed",
		"Deployment team/api: it is as deployed, and does not get ready: " +
			"Resource 'api' was created but failed to initialize; Minimum number of live Pods was not attained",
	}, strings.Split(strings.TrimSpace(out.String()), "\n"))
	args, err := os.ReadFile(filepath.Join(e.project, "args"))
	require.NoError(t, err)
	assert.Contains(t, string(args), "refresh --preview-only ", "without the flag the state would be written")
}

func TestWhatTheProgramReadsOfItsOwnLastOutputsIsNoDrift(t *testing.T) {
	var ready []string
	for line := range strings.SplitSeq(events(t, "itself.jsonl"), "\n") {
		if !strings.Contains(line, "Deployment::api") { // which does not get ready
			ready = append(ready, line)
		}
	}
	text := strings.Join(ready, "\n")
	require.Contains(t, text, `"op": "update", "urn": "urn:pulumi:prod::program::pulumi:pulumi:StackReference::`)
	var out bytes.Buffer
	assert.NoError(t, drift(t.Context(), recorded(t, text, "", exitChanges), &out))
	assert.Empty(t, out.String())
}

func TestADriftThatCannotBeSeenIsAFailure(t *testing.T) {
	for _, code := range []int{1, 2, 3, 255} {
		var out, stderr bytes.Buffer
		err := drift(t.Context(), recorded(t, "", "error: configured Kubernetes cluster is unreachable\n", code), &out)
		assert.Equal(t, exitFailed, exitCode(err, &stderr), code)
		assert.Equal(t, "error: the cluster was not compared with what was deployed: configured Kubernetes cluster is unreachable\n", stderr.String())
		assert.Empty(t, out.String())
	}
}

func TestAFieldWhoseValuesLookAlikeHasNotDrifted(t *testing.T) {
	state := func() *apitype.StepEventStateMetadata {
		return &apitype.StepEventStateMetadata{Custom: true, Outputs: map[string]any{"spec": map[string]any{"cpu": "50m"}}}
	}
	s := step{apitype.StepEventMetadata{
		Op: apitype.OpUpdate, URN: "urn:pulumi:prod::journal::kubernetes:apps/v1:Deployment::api", Type: "kubernetes:apps/v1:Deployment",
		Old: state(), New: state(), DetailedDiff: map[string]apitype.PropertyDiff{"spec.cpu": {Kind: apitype.DiffUpdate}},
	}}
	assert.Empty(t, s.drifted())
	s.New.InitErrors = []string{"no pod is ready"}
	assert.Equal(t, []string{"Deployment api: it is as deployed, and does not get ready: no pod is ready"}, s.drifted())
	s.New.Outputs["spec"] = map[string]any{"cpu": "60m"}
	assert.Equal(t, []string{`Deployment api: spec.cpu is "60m", and "50m" was deployed`}, s.drifted())
	s.DetailedDiff = map[string]apitype.PropertyDiff{"spec.memory": {}}
	assert.Equal(t, []string{"Deployment api: spec.memory is another than was deployed"}, s.drifted(), "what cannot be shown has drifted all the same")
}

// What an engine has said of a Secret that was unknown when it was planned.
const violated = `resource urn:pulumi:prod::program::kubernetes:core/v1:Secret::secret violates plan: properties changed: ` +
	`+-stringData[{&{output<string>{}}}], =+data[{&{{map[password:{cER2TFF0MHBvVmZEUGdjdVdUQ3A=}]}}}]`

func TestTheValuesOfAViolatedPlanAreNotShown(t *testing.T) {
	event := `{"diagnosticEvent":{"urn":"urn:pulumi:prod::program::kubernetes:core/v1:Secret::secret","severity":"%s","message":"` + violated + `\n"}}` + "\n"
	for _, e := range []engine{
		recorded(t, fmt.Sprintf(event, "error"), "", 255),
		recorded(t, fmt.Sprintf(event, "warning"), "error: "+violated, 255),
	} {
		var out bytes.Buffer
		u := update{out: &out}
		err := e.follow(t.Context(), u.handle, "up")
		assert.EqualError(t, err, "Secret secret is not as planned")
		for _, part := range []string{"cER2", "output<string>", "map["} {
			assert.NotContains(t, err.Error()+out.String(), part)
		}
	}
}

func TestAnEngineThatTellsNoStepsIsAFailure(t *testing.T) {
	for _, code := range []int{0, exitChanges} { // an older one knows no events of a preview
		e := recorded(t, "{\n    \"steps\": []\n}\n", "", code)
		assert.ErrorContains(t, e.follow(t.Context(), func(apitype.EngineEvent) {}, "preview"), "install Pulumi v3.230.0 or newer")
	}
}

func TestALockSaysWhoHoldsIt(t *testing.T) {
	const says = "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with `pulumi cancel`.\n" +
		"  file:///state/.pulumi/locks/organization/journal/prod/1b.json: created by alice@%s (pid %d) at 2026-03-01T10:00:00Z\n"
	_, err := recorded(t, "", fmt.Sprintf(says, "elsewhere", 7), 255).output(t.Context(), "up")
	assert.EqualError(t, err, `stack "prod" is locked: alice on elsewhere (process 7) has been changing the stack since 2026-03-01T10:00:00Z; `+
		"wait until that has ended, and plan again; if that process is gone, remove its lock with `pulumi cancel --stack prod`")

	host, err := os.Hostname()
	require.NoError(t, err)
	dead := exec.CommandContext(t.Context(), "true")
	require.NoError(t, dead.Run())
	_, err = recorded(t, "", fmt.Sprintf(says, host, dead.Process.Pid), 255).output(t.Context(), "up")
	assert.ErrorContains(t, err, "and that process is gone: remove its lock with `pulumi cancel --stack prod`")
	_, err = recorded(t, "", fmt.Sprintf(says, host, os.Getpid()), 255).output(t.Context(), "up")
	assert.ErrorContains(t, err, "wait until that has ended")
}

func TestAnUpdateThatRefreshedHasNotBegun(t *testing.T) {
	for op, begun := range map[apitype.OpType]bool{
		apitype.OpRefresh: false, apitype.OpSame: false, apitype.OpRead: false, apitype.OpCreate: true, apitype.OpDeleteReplaced: true, apitype.OpUpdate: true,
	} {
		for _, planning := range []bool{true, false} {
			var u update
			u.handle(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{Op: op}, Planning: planning}})
			assert.Equal(t, begun && !planning, u.began, "%s, planning %t", op, planning)
		}
	}
}

// exported is a state with one resource of a plugin.
func exported(time, input, cipher string, first, second string) string {
	resource := func(name string) string {
		return fmt.Sprintf(`{"urn": %q, "type": "kubernetes:core/v1:Secret", "custom": true, "created": %q, "modified": %q, "sourcePosition": %q,
			"inputs": {"a": %q, "data": {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": %q}}}`, name, time, time, time, input, cipher)
	}
	return fmt.Sprintf(`{"version": 3, "deployment": {"manifest": {"time": %q}, "resources": [%s, %s]}}`, time, resource(first), resource(second))
}

func TestAFingerprintIsOfWhatIsDeployed(t *testing.T) {
	sum := func(text string) string {
		hash, err := fingerprint("prod", []byte(text))
		require.NoError(t, err)
		return hash
	}
	first := sum(exported("10:00", "one", "v1:abc", "x", "y"))
	assert.Equal(t, first, sum(exported("11:00", "one", "v1:def", "y", "x")), "another time, order and encryption of the same")
	assert.NotEqual(t, first, sum(exported("10:00", "two", "v1:abc", "x", "y")), "another input")
	assert.NotEqual(t, first, sum(exported("10:00", "one", "v1:abc", "x", "z")), "another resource")

	for text, says := range map[string]string{
		`{"deployment": {}}`: "it has no state yet",
		`{"deployment": {"resources": [{"type": "pulumi:pulumi:Stack"}, {"type": "pulumi:providers:random", "custom": true}]}}`: "it has no state yet",
		`{"deployment": {"pending_operations": [{}, {}]}}`:                                                                      "an update was killed during 2 operations; run `pulumi refresh --stack prod`",
		`none`: "read the state",
	} {
		_, err := fingerprint("prod", []byte(text))
		assert.ErrorContains(t, err, says)
	}
}

func TestASecretIsNotShownInAPlan(t *testing.T) {
	state := &apitype.StepEventStateMetadata{Inputs: map[string]any{
		"open": "seen", "secret": "[secret]", "lines": "a\nb",
		"list":   []any{map[string]any{"name": "A", "value": "[secret]"}},
		"sealed": map[string]any{"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"},
	}}
	for path, want := range map[string]string{
		"open": `"seen"`, "lines": `"a\nb"`, "missing": "none", "open.inner": "none", "list[3]": "none", "list[0].name": `"A"`,
		"secret": hidden, "secret.inner": hidden, "list": hidden, "list[0]": hidden, "sealed": hidden, "sealed.inner[2]": hidden, "[": hidden,
	} {
		assert.Equal(t, want, valueAt(state, inputs, path), path)
	}
	secret := step{apitype.StepEventMetadata{
		Op: apitype.OpUpdate, URN: "urn:pulumi:prod::journal::kubernetes:core/v1:Secret::token", Type: secretType,
		Old:          &apitype.StepEventStateMetadata{Inputs: map[string]any{"type": "a", "data": map[string]any{"token": "b2xk"}}},
		New:          &apitype.StepEventStateMetadata{Inputs: map[string]any{"type": "b", "data": map[string]any{"token": "bmV3"}}},
		DetailedDiff: map[string]apitype.PropertyDiff{"data.token": {}, "type": {}},
	}}
	assert.Equal(t, `update Secret token: data.token [secret] -> [secret], type "a" -> "b"`, secret.describe(), "even one that the program has not marked")
}

func TestALongValueIsShownWhereItDiffers(t *testing.T) {
	x := strings.Repeat("x", 200)
	for _, c := range [][4]string{
		{"one", "two", "one", "two"},
		{x + "one", x + "two", "…" + x[:57] + "one", "…" + x[:57] + "two"},
		{"one" + x, "two" + x, "one" + x[:57] + "…", "two" + x[:57] + "…"},
		{x + "one" + x, x + "two" + x, "…" + x[:20] + "one" + x[:37] + "…", "…" + x[:20] + "two" + x[:37] + "…"},
		{"none", x, "none", x[:60] + "…"},
		{x, x + "y", "…" + x[:60], "…" + x[:59] + "y"},
	} {
		before, after := shortened(c[0], c[1])
		assert.Equal(t, c[2], before)
		assert.Equal(t, c[3], after)
	}
	state := func(value string) *apitype.StepEventStateMetadata {
		return &apitype.StepEventStateMetadata{Custom: true, Outputs: map[string]any{"a": value}}
	}
	s := step{apitype.StepEventMetadata{Op: apitype.OpUpdate, URN: "urn:pulumi:prod::journal::a:b:C::d", Old: state(x + "one"), New: state(x + "two"), Diffs: []string{"a"}}}
	assert.Len(t, s.drifted(), 1, "a change at the end of a long value is one")
}

func TestWhatCanBeLostComesFirst(t *testing.T) {
	of := func(op apitype.OpType, name string, protect bool) step {
		state := &apitype.StepEventStateMetadata{Custom: true, Protect: protect}
		return step{apitype.StepEventMetadata{Op: op, URN: "urn:pulumi:prod::journal::a:b:C::" + name, New: state, Old: state}}
	}
	var lines []string
	for _, s := range sorted([]step{
		of(apitype.OpCreate, "e", true), of(apitype.OpUpdate, "d", false), of(apitype.OpUpdate, "c", true), of(apitype.OpDelete, "b", false), of(apitype.OpReplace, "a", false),
	}) {
		lines = append(lines, fmt.Sprint(s.describe(), " ", s.dangerous()))
	}
	assert.Equal(t, []string{"replace C a true", "delete C b true", "update C c, which is protected true", "update C d false", "create C e false"}, lines)
}

func TestEveryFactThatDiffersIsNamedWithTheFix(t *testing.T) {
	f := facts{Stack: "prod", Commit: "1", Program: "2", Configuration: "3", Images: map[string]string{"a.image": "b:1"}, State: "4", Engine: "5"}
	require.NoError(t, f.differences(f))
	now := facts{Stack: "prod", Commit: "x", Program: "x", Configuration: "x", Images: map[string]string{"a.image": "b:2", "c.image": "d:1"}, State: "x", Engine: "x"}
	var lines []string
	for line := range strings.SplitSeq(f.differences(now).Error(), "\n") {
		assert.Regexp(t, `^.+: the plan is made for .+, and here is .+; .*plan again$`, line)
		fact, _, _ := strings.Cut(line, ": the plan")
		lines = append(lines, fact)
	}
	assert.Equal(t, []string{"commit", "image a.image", "image c.image", "configuration (Pulumi.yaml and Pulumi.prod.yaml)", "program (source files and modules)", "pulumi", "state of the stack"}, lines)
}

func TestTheImagesAreThoseOfTheStacksFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte("name: journal\nruntime: go\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.prod.yaml"), []byte(`config:
  journal:api: {image: "a:1", replicas: 3}
  journal:metrics: {alerts: {alertmanagerImage: "b:2", image: ""}, list: [{image: "c:3"}], imagePolicy: digest}
`), 0o600))
	_, images, verify, err := configuration(dir, "prod")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"journal:api.image": "a:1", "journal:metrics.alerts.alertmanagerImage": "b:2", "journal:metrics.list[0].image": "c:3"}, images)
	assert.Equal(t, verification{Verify: verifySignatures}, verify, "what a stack does not say is the strictest")
	_, _, _, err = configuration(dir, "test")
	assert.ErrorContains(t, err, "Pulumi.test.yaml")
}

func TestAPlanThatWasChangedIsRefused(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write(stepsName, "{}")
	write(factsName, fmt.Sprintf(`{"stack": "prod", "steps": %q}`, hash([]byte("{}"))))
	p, err := readPlan(dir)
	require.NoError(t, err)
	assert.Equal(t, "prod", p.facts.Stack)
	write(stepsName, "{ }")
	_, err = readPlan(dir)
	assert.ErrorContains(t, err, "steps.json: not as it was written; plan again")
	require.NoError(t, os.Remove(filepath.Join(dir, stepsName)))
	_, err = readPlan(dir)
	assert.ErrorContains(t, err, "the plan is not whole")
	_, err = readPlan(filepath.Join(dir, "none"))
	assert.ErrorContains(t, err, "no plan is there")
}

func TestAFolderOfSomethingElseIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, replaceable(filepath.Join(dir, "missing")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, factsName), nil, 0o600))
	require.NoError(t, replaceable(dir))
	assert.NoFileExists(t, filepath.Join(dir, factsName), "a plan that is made anew is none until it is whole")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "letter"), nil, 0o600))
	assert.ErrorContains(t, replaceable(dir), "the folder holds letter, which is no part of a plan")
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for args, says := range map[string]string{
		"": "no command", "remove": `command "remove": unknown`, "plan": `stack "": must be named`, "drift": `stack "": must be named`,
		"pin": `stack "": must be named`, "pin --stack prod": "Pulumi.yaml",
		"apply": "1 expected", "plan --stack prod more": "0 expected", "apply /none": "no plan is there",
	} {
		err := command{stdout: &bytes.Buffer{}}.run(t.Context(), strings.Fields(args))
		assert.ErrorContains(t, err, says, args)
	}
}
