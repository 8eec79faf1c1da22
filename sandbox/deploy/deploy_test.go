package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"example.com/journal/sandbox/cache"
)

const projectText = "name: journal\nruntime: go\nconfig:\n  apiImage: {type: string, default: \"\"}\n"

// newConfig is a stack "dev" in a repository of its own, with an empty cache.
func newConfig(t *testing.T, stackText string) Config {
	t.Helper()
	repo := t.TempDir()
	writeFile(t, filepath.Join(repo, "Pulumi.yaml"), projectText)
	writeFile(t, filepath.Join(repo, "Pulumi.dev.yaml"), stackText)
	dir, err := cache.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return Config{Repo: repo, Stack: "dev", Dir: dir, Kubeconfig: "/none/kubeconfig", Progress: &bytes.Buffer{}}
}

// newStack is the stack without the check of its configuration.
func newStack(t *testing.T, config Config) *Stack {
	t.Helper()
	work, err := openWorkFolder(config)
	if err != nil {
		t.Fatal(err)
	}
	return &Stack{config: config, work: work, engine: newEngine(config.Dir, work, config.Kubeconfig)}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheWorkCopyHasTheOverridesAndTheRepositoryStaysAsItIs(t *testing.T) {
	const text = "config:\n  journal:apiImage: registry.example.com/api:v1.0.0-0a1b2c3\n  journal:apiReplicas: 3\n  other:key: value\n"
	config := newConfig(t, text)
	config.Overrides = map[string]any{"apiImage": "journal.example.com/api:v1.0.0-1111111", "exposurePort": 8080, "exposureTlsSecret": ""}
	work := newStack(t, config).work
	if err := work.write(config); err != nil {
		t.Fatal(err)
	}
	want := stackFile{"config": map[string]any{
		"journal:apiImage": "journal.example.com/api:v1.0.0-1111111", "journal:apiReplicas": 3, "journal:exposurePort": 8080,
		"journal:exposureTlsSecret": "", "other:key": "value",
	}}
	got, err := readStackFile(filepath.Join(work.path, "Pulumi.dev.yaml"))
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v (%v)\nwant %v", got, err, want)
	}
	if now := readFile(t, filepath.Join(config.Repo, "Pulumi.dev.yaml")); now != text {
		t.Errorf("the repository's file is now:\n%s", now)
	}
	if copied := readFile(t, filepath.Join(work.path, "Pulumi.yaml")); copied != projectText {
		t.Errorf("the copy of Pulumi.yaml is:\n%s", copied)
	}
}

func TestTheSaltThatPulumiWroteOutlivesTheNextWorkCopy(t *testing.T) {
	config := newConfig(t, "encryptionsalt: v1:of-somebody-else\n")
	work := newStack(t, config).work
	for range 2 { // the second time the copy is there
		if err := work.write(config); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(work.path, "Pulumi.dev.yaml")
		text := readFile(t, path)
		if strings.Contains(text, "somebody-else") {
			t.Fatalf("the copy has a salt that does not fit to the passphrase:\n%s", text)
		}
		if !strings.Contains(text, "encryptionsalt") {
			writeFile(t, path, text+"encryptionsalt: v1:ours\n")
		}
		if err := work.write(config); err != nil {
			t.Fatal(err)
		}
		if text := readFile(t, path); !strings.Contains(text, "encryptionsalt: v1:ours") {
			t.Fatalf("the salt is lost:\n%s", text)
		}
	}
}

func TestThePassphraseIsMadeOnceAndForTheOwnerAlone(t *testing.T) {
	config := newConfig(t, "config: {}\n")
	work := newStack(t, config).work
	var first string
	for range 2 {
		if err := work.write(config); err != nil {
			t.Fatal(err)
		}
		text := readFile(t, work.passphrase())
		if first == "" {
			first = text
		}
		if text != first || len(text) < 40 {
			t.Errorf("the passphrase was %q and is %q", first, text)
		}
	}
	if info, err := os.Stat(work.passphrase()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the passphrase's mode is %v (%v)", info.Mode(), err)
	}
}

func TestASecretOfAnotherPulumiIsRefused(t *testing.T) {
	config := newConfig(t, "config:\n  journal:token:\n    secure: v1:abc\n")
	err := newStack(t, config).work.write(config)
	if err == nil || !strings.Contains(err.Error(), "journal:token: encrypted for another Pulumi") {
		t.Errorf("error: %v", err)
	}
}

func TestABadConfigurationIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	config := newConfig(t, "config:\n  journal:colour: blue\n  journal:apiReplicas: two\n")
	_, err := Open(config)
	for _, part := range []string{"nothing was changed", `journal:colour "blue"`, `journal:apiReplicas "two"`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %s: %v", part, err)
		}
	}
	if _, err := os.Stat(stateFolder(config.Dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a state: %v", err)
	}
}

func TestTheEngineSeesNothingOfTheUsersOwnPulumi(t *testing.T) {
	for _, name := range []string{"PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_BACKEND_URL", "KUBECONFIG", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY"} {
		t.Setenv(name, "of-the-user")
	}
	s := newStack(t, newConfig(t, "config: {}\n"))
	writeFile(t, s.engine.program, "#!/bin/sh\nenv\necho complaint >&2\nexit 3\n")
	if err := os.MkdirAll(s.work.path, 0o755); err != nil {
		t.Fatal(err)
	}
	out, complaint, code, err := s.engine.Run(t.Context(), s.work.path, nil, nil, nil, []string{"GIVEN=1"}, "version")
	if err == nil || code != 3 || complaint != "complaint\n" {
		t.Errorf("code %d, error %v, standard error %q", code, err, complaint)
	}
	if strings.Contains(out, "of-the-user") {
		t.Errorf("the engine sees:\n%s", out)
	}
	for _, wanted := range []string{"KUBECONFIG=/none/kubeconfig\n", "GIVEN=1\n", "PULUMI_BACKEND_URL=file://" + s.work.backend(), "PATH=" + s.config.Dir.Bin() + ":"} {
		if !strings.Contains(out, wanted) {
			t.Errorf("the engine lacks %s:\n%s", wanted, out)
		}
	}
}

func TestAnEndedContextInterruptsTheEngine(t *testing.T) {
	s := newStack(t, newConfig(t, "config: {}\n"))
	writeFile(t, s.engine.program, "#!/bin/sh\ntrap 'echo interrupted; exit 255' INT\necho started > started\nwhile :; do sleep 0.05; done\n")
	if err := os.MkdirAll(s.work.path, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for started := filepath.Join(s.work.path, "started"); ; time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat(started); err == nil {
				cancel()
				return
			}
		}
	}()
	out, _, code, _ := s.engine.Run(ctx, s.work.path, nil, nil, nil, nil, "up")
	if out != "interrupted\n" || code != 255 {
		t.Errorf("code %d, output %q", code, out)
	}
}

func TestTheSandboxHasRoomForOneStack(t *testing.T) {
	s := newStack(t, newConfig(t, "config: {}\n"))
	writeFile(t, s.work.checkpoint("prod"), `{"checkpoint": {"latest": {"resources": []}}}`)
	if err := s.work.mustBeAlone(); err != nil {
		t.Errorf("a stack that was destroyed is in the way: %v", err)
	}
	writeFile(t, s.work.checkpoint("prod"), `{"checkpoint": {"latest": {"resources": [{"urn": "urn:pulumi:prod::journal::a:b:C::d", "type": "a:b:C"}]}}}`)
	if err := s.work.mustBeAlone(); err == nil || !strings.Contains(err.Error(), `the sandbox holds stack "prod"`) {
		t.Errorf("error: %v", err)
	}
}

func TestTheHistoryOfRunsDoesNotGrowForEver(t *testing.T) {
	s := newStack(t, newConfig(t, "config: {}\n"))
	folder := filepath.Join(s.work.backend(), ".pulumi", "history", "journal", "dev")
	for run := range keptRuns + 5 {
		for _, kind := range []string{"history.json", "history.json.attrs", "checkpoint.json", "checkpoint.json.attrs"} {
			writeFile(t, filepath.Join(folder, fmt.Sprintf("dev-17954058641549595%02d.%s", run, kind)), "{}")
		}
	}
	s.work.pruneHistory()
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 4*keptRuns || !strings.HasPrefix(files[0].Name(), "dev-1795405864154959505.") {
		t.Errorf("%d files, from %s on (%v)", len(files), files[0].Name(), err)
	}
}

func TestTwoOperationsNeverRunAtTheSameTime(t *testing.T) {
	work := newStack(t, newConfig(t, "config: {}\n")).work
	unlock, err := work.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := work.lock(ctx); err == nil || !strings.Contains(err.Error(), "another command") {
		t.Errorf("error: %v", err)
	}
	unlock()
	if unlock, err = work.lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestALockOfAnEngineThatIsGoneIsKnownAsSuch(t *testing.T) {
	s := newStack(t, newConfig(t, "config: {}\n"))
	locks := filepath.Join(s.work.backend(), ".pulumi", "locks", "organization", "journal", "dev")
	writeFile(t, filepath.Join(locks, "one.json"), fmt.Sprintf(`{"pid": %d}`, os.Getpid()))
	writeFile(t, filepath.Join(locks, "two.json"), `{"pi`)
	holders, err := s.lockHolders()
	if err != nil || !slices.Equal(holders, []int{os.Getpid(), 0}) {
		t.Fatalf("holders are %v (%v)", holders, err)
	}
	for _, pid := range holders { // this test runs, but it is no engine: the number was used again
		if s.isEngine(pid) {
			t.Errorf("process %d counts as an engine", pid)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.engine.program = self
	if !s.isEngine(os.Getpid()) {
		t.Error("a running engine is not recognised")
	}
}

func TestWhatAKilledRunHasMadeIsToldFromEverythingElse(t *testing.T) {
	state := []apitype.ResourceV3{
		{Inputs: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "team-a"}}},
		{Inputs: map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": map[string]any{"name": "owners", "namespace": "team-a"}}},
		{Inputs: map[string]any{"length": 32, "kind": 7}},
	}
	ours := `"managedFields": [{"manager": "kubelet", "operation": "Update"}, {"manager": "pulumi-journal-dev", "operation": "Apply"}]`
	list := `{"items": [
		{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a", ` + ours + `}},
		{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "owners", "namespace": "team-a", ` + ours + `}},
		{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "viewers", "namespace": "team-a", ` + ours + `}},
		{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gone", ` + ours + `}},
		{"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tenant", "namespace": "gone", ` + ours + `}},
		{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "somebodys", "namespace": "team-a"}},
		{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "another-stacks", "namespace": "team-a",
			"managedFields": [{"manager": "pulumi-journal-prod", "operation": "Apply"}]}}
	]}`
	found, err := orphans([]byte(list), state, "pulumi-journal-dev")
	if want := "[rolebinding.rbac.authorization.k8s.io/viewers namespace/gone]"; err != nil || fmt.Sprint(found) != want {
		t.Errorf("got %v (%v), want %s", found, err, want)
	}
}

func TestARunThatWasKilledIsRemembered(t *testing.T) {
	config := newConfig(t, "config: {}\n")
	s := newStack(t, config)
	if err := s.work.write(config); err != nil {
		t.Fatal(err)
	}
	for _, killed := range []bool{false, true} {
		if unfinished, err := s.work.begin(); err != nil || unfinished != killed {
			t.Fatalf("unfinished is %v, want %v (%v)", unfinished, killed, err)
		}
	}
	// What was lost is still to be found after a run that failed, and not any more after one that succeeded.
	for _, lost := range []bool{true, false} {
		if err := s.work.end(lost); err != nil || s.work.unfinished() != lost {
			t.Errorf("unfinished is %v, want %v (%v)", s.work.unfinished(), lost, err)
		}
	}
}

func TestOnlyStepsThatChangeTheClusterAreReported(t *testing.T) {
	var out bytes.Buffer
	log := newProgress(&out)
	const deployment = "urn:pulumi:dev::journal::kubernetes:apps/v1:Deployment::journal-api"
	custom := &apitype.StepEventStateMetadata{Custom: true}
	incoming := log.follow()
	for _, event := range []apitype.EngineEvent{
		{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{URN: deployment, Op: apitype.OpCreate, New: custom}}},
		{DiagnosticEvent: &apitype.DiagnosticEvent{URN: deployment, Severity: "info", Message: "[1/2] Waiting"}}, // not for long
		{DiagnosticEvent: &apitype.DiagnosticEvent{Severity: "warning", Message: "using pulumi-resource-random from $PATH at /bin"}},
		{DiagnosticEvent: &apitype.DiagnosticEvent{Severity: "warning", Message: "<{%reset%}>mind the gap<{%reset%}>\n"}},
		{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: apitype.StepEventMetadata{URN: deployment, Type: "kubernetes:apps/v1:Deployment", Op: apitype.OpCreate, New: custom}}},
		{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: apitype.StepEventMetadata{URN: deployment, Op: apitype.OpSame, New: custom}}},
		{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: apitype.StepEventMetadata{
			URN: "urn:pulumi:dev::journal::journal:components:API::journal-api", Op: apitype.OpCreate, New: &apitype.StepEventStateMetadata{}}}},
		{DiagnosticEvent: &apitype.DiagnosticEvent{URN: deployment, Severity: "error", Message: "[Pod api-0]: ImagePullBackOff"}},
		{DiagnosticEvent: &apitype.DiagnosticEvent{Severity: "error", Message: "update failed"}},
		{SummaryEvent: &apitype.SummaryEvent{ResourceChanges: map[apitype.OpType]int{apitype.OpCreate: 1, apitype.OpSame: 20, apitype.OpUpdate: 0}}},
	} {
		incoming <- events.EngineEvent{EngineEvent: event}
	}
	log.close()
	if want := "mind the gap\ncreated Deployment journal-api (0.0 s)\n"; out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	if fmt.Sprint(log.changes) != "map[create:1]" {
		t.Errorf("changes are %v", log.changes)
	}
	if err := log.explain(t.Context(), errors.New("exit status 255")); err.Error() != "Deployment journal-api: [Pod api-0]: ImagePullBackOff" {
		t.Errorf("error: %v", err)
	}
}

func TestAStateIsReadAsTheEngineWritesIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dev.json")
	if state, err := readCheckpoint(path); err != nil || len(state.Resources) > 0 {
		t.Errorf("no state is %+v (%v)", state, err)
	}
	text, err := json.Marshal(apitype.VersionedCheckpoint{Version: 3, Checkpoint: json.RawMessage(
		`{"latest": {"pending_operations": [{"type": "creating", "resource": {"urn": "urn:pulumi:dev::journal::a:b:C::d", "type": "a:b:C"}}]}}`)})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, string(text))
	if state, err := readCheckpoint(path); err != nil || len(state.PendingOperations) != 1 || label(state.PendingOperations[0].Resource.URN) != "C d" {
		t.Errorf("the state is %+v (%v)", state, err)
	}
}
