package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"example.com/journal/sandbox/cache"
)

const projectText = "name: journal\nruntime: go\nconfig:\n  api: {type: object}\n"

// newConfig returns the configuration of a stack "dev" in its own repository, with an empty cache.
func newConfig(t *testing.T, stackText string) Config {
	t.Helper()
	repo := t.TempDir()
	writeFile(t, filepath.Join(repo, "Pulumi.yaml"), projectText)
	writeFile(t, filepath.Join(repo, "Pulumi.dev.yaml"), stackText)
	dir, err := cache.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return Config{Repo: repo, Stack: "dev", Dir: dir, State: t.TempDir(), Kubeconfig: "/none/kubeconfig", Progress: &bytes.Buffer{}}
}

// newStack returns the stack without a check of its configuration.
func newStack(t *testing.T, config Config) *Stack {
	t.Helper()
	s, err := open(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fakeEngine installs a shell script as the engine. The script gets the engine's arguments.
func fakeEngine(t *testing.T, s *Stack, script string) {
	t.Helper()
	writeFile(t, s.engine(), "#!/bin/sh\nif [ \"$1\" = version ]; then echo v3.999.0; exit; fi\n"+script+"\n")
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

func TestTheEngineRunsInACopyWithTheOverridesAndTheRepositoryStaysAsItIs(t *testing.T) {
	for _, name := range []string{"PULUMI_CONFIG_PASSPHRASE", "PULUMI_BACKEND_URL", "PULUMI_HOME", "KUBECONFIG", "HELM_CACHE_HOME"} {
		t.Setenv(name, "of-the-user")
	}
	const text = `config:
  journal:api: {image: "registry.example.com/api:v1.0.0-0a1b2c3", replicas: 3}
  journal:exposure: {host: journal.example.com, tls: {secret: a}}
  journal:readOnly: true
  other:key: value
`
	config := newConfig(t, text)
	config.Overrides = map[string]any{
		"api.image": "journal.example.com/api:v1.0.0-1111111", "exposure.port": 8080, "exposure.tls.secret": nil, "redis.storage.class": nil,
		"claims": map[string]any{"image": "a"}, "claims.dryRun": true, "tenants": []any{map[string]any{"name": "alice"}}, "readOnly": nil,
	}
	s := newStack(t, config)
	fakeEngine(t, s, "env > environment")
	if _, err := s.declared(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got struct{ Config map[string]any }
	if err := yaml.Unmarshal([]byte(readFile(t, filepath.Join(s.folder(), "Pulumi.dev.yaml"))), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"journal:api":      map[string]any{"image": "journal.example.com/api:v1.0.0-1111111", "replicas": 3},
		"journal:exposure": map[string]any{"host": "journal.example.com", "port": 8080, "tls": map[string]any{}},
		"journal:claims":   map[string]any{"image": "a", "dryRun": true},
		"other:key":        "value", "journal:tenants": []any{map[string]any{"name": "alice"}},
	}
	if fmt.Sprint(got.Config) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got.Config, want)
	}
	if now := readFile(t, filepath.Join(config.Repo, "Pulumi.dev.yaml")); now != text {
		t.Errorf("the repository's file is now:\n%s", now)
	}
	if copied := readFile(t, filepath.Join(s.folder(), "Pulumi.yaml")); !strings.Contains(copied, "api:") {
		t.Errorf("the copy of Pulumi.yaml is:\n%s", copied)
	}
	environment := readFile(t, filepath.Join(s.folder(), "environment"))
	if strings.Contains(environment, "of-the-user") {
		t.Errorf("the engine sees:\n%s", environment)
	}
	for _, wanted := range []string{"KUBECONFIG=/none/kubeconfig\n", "PULUMI_BACKEND_URL=file://" + s.backend(), "PATH=" + s.config.Dir.Bin() + ":"} {
		if !strings.Contains(environment, wanted) {
			t.Errorf("the engine lacks %s:\n%s", wanted, environment)
		}
	}
}

func TestWhatPulumiWroteToFindItsKeyOutlivesTheNextWorkCopy(t *testing.T) {
	config := newConfig(t, "encryptionsalt: v1:of-somebody-else\nconfig:\n  journal:api: {replicas: 3}\n")
	s := newStack(t, config)
	fakeEngine(t, s, "")
	path := filepath.Join(s.folder(), "Pulumi.dev.yaml")
	for i := range 2 { // the second time the copy exists
		if _, err := s.declared(t.Context()); err != nil {
			t.Fatal(err)
		}
		text := readFile(t, path)
		if strings.Contains(text, "somebody-else") {
			t.Fatalf("the copy has a salt that does not fit to the passphrase:\n%s", text)
		}
		if i == 0 {
			writeFile(t, path, text+"encryptionsalt: v1:ours\n")
		} else if !strings.Contains(text, "encryptionsalt: v1:ours") {
			t.Fatalf("the salt is lost:\n%s", text)
		}
	}
}

func TestThePassphraseIsMadeOnceAndForTheOwnerAlone(t *testing.T) {
	s := newStack(t, newConfig(t, "config: {}\n"))
	first, err := s.passphrase()
	if err != nil || len(first) < 40 {
		t.Fatalf("the passphrase is %q (%v)", first, err)
	}
	if again, err := s.passphrase(); err != nil || again != first {
		t.Errorf("the passphrase was %q and is %q (%v)", first, again, err)
	}
	if info, err := os.Stat(filepath.Join(s.config.State, "passphrase")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the passphrase's mode is %v (%v)", info.Mode(), err)
	}
}

func TestASecretOfAnotherPulumiIsRefused(t *testing.T) {
	config := newConfig(t, "config:\n  journal:token:\n    secure: v1:abc\n")
	_, err := newStack(t, config).settings()
	if err == nil || !strings.Contains(err.Error(), "journal:token: encrypted for another Pulumi") {
		t.Errorf("error: %v", err)
	}
}

func TestABadConfigurationIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	config := newConfig(t, "config:\n  journal:colour: blue\n  journal:api: {replicas: two}\n")
	_, err := Open(config)
	for _, part := range []string{"nothing was changed", `journal:colour "blue"`, `Pulumi.dev.yaml:3: journal:api.replicas "two"`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %s: %v", part, err)
		}
	}
	if written, err := os.ReadDir(config.State); err != nil || len(written) > 0 {
		t.Errorf("there is a state: %v (%v)", written, err)
	}
}

func TestDestroyNamesWhatIsProtectedAndDeletesNothing(t *testing.T) {
	s := newStack(t, newConfig(t, "config: {}\n"))
	fakeEngine(t, s, `case "$*" in *destroy*) touch destroyed;; esac`)
	writeFile(t, s.stateFile("dev"), `{"checkpoint": {"latest": {"resources": [
		{"urn": "urn:pulumi:dev::journal::journal:stacks:Protection::lifted-by-the-key-unprotected", "type": "journal:stacks:Protection", "protect": true},
		{"urn": "urn:pulumi:dev::journal::kubernetes:core/v1:Namespace::team-a", "type": "kubernetes:core/v1:Namespace", "custom": true, "protect": true},
		{"urn": "urn:pulumi:dev::journal::kubernetes:core/v1:Namespace::bob", "type": "kubernetes:core/v1:Namespace", "custom": true}]}}}`)
	_, err := s.Destroy(t.Context())
	if err == nil || !strings.Contains(err.Error(), "Namespace team-a: protected, with all that is in there, and nothing was deleted; if all of it may go, write journal:cluster: {unprotected: true}") {
		t.Errorf("destroy says %v", err)
	}
	if exists(filepath.Join(s.folder(), "destroyed")) {
		t.Error("the engine was started")
	}
}

// TestAnUpdateThatWasKilledIsToldFromOneThatFailed tells them apart by the lock that only a living engine can release.
func TestAnUpdateThatWasKilledIsToldFromOneThatFailed(t *testing.T) {
	for _, c := range []struct {
		what, script string
		unfinished   bool
	}{
		{"failed", `case "$*" in *" up "*) echo "error: no room" >&2; exit 255;; esac`, false},
		{"killed", `case "$*" in *" up "*) mkdir -p $LOCKS; echo '{"pid": 0}' > $LOCKS/one.json; exit 255;; esac`, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newStack(t, newConfig(t, "config: {}\n"))
			t.Setenv("LOCKS", filepath.Join(s.backend(), ".pulumi", "locks", "organization", "journal", "dev"))
			fakeEngine(t, s, c.script)
			writeFile(t, s.stateFile("dev"), `{"checkpoint": {"latest": {"resources": [{"urn": "urn:pulumi:dev::journal::a:b:C::d", "type": "`+passwordType+`"}]}}}`)
			if _, err := s.Up(t.Context()); err == nil {
				t.Error("no error")
			}
			if exists(s.mark()) != c.unfinished {
				t.Errorf("unfinished is %t", !c.unfinished)
			}
			fakeEngine(t, s, `case "$*" in *" up "*) exit 255;; *" cancel "*) rm -r $LOCKS;; esac`)
			if _, err := s.Up(t.Context()); err == nil || exists(s.mark()) != c.unfinished {
				t.Errorf("after a second failure, unfinished is %t (%v)", !c.unfinished, err)
			}
			if _, err := s.Destroy(t.Context()); c.unfinished != (err != nil && strings.Contains(err.Error(), "run up first")) {
				t.Errorf("destroy says %v", err)
			}
		})
	}
}

func TestTheSandboxHasRoomForOneStack(t *testing.T) {
	s := newStack(t, newConfig(t, "config: {}\n"))
	writeFile(t, s.stateFile("prod"), `{"checkpoint": {"latest": {"resources": []}}}`)
	if err := s.mustBeAlone(); err != nil {
		t.Errorf("a stack that was destroyed is in the way: %v", err)
	}
	writeFile(t, s.stateFile("prod"), `{"checkpoint": {"latest": {"resources": [{"urn": "urn:pulumi:prod::journal::a:b:C::d", "type": "a:b:C"}]}}}`)
	if err := s.mustBeAlone(); err == nil || !strings.Contains(err.Error(), `the cluster holds stack "prod"`) {
		t.Errorf("error: %v", err)
	}
}

func TestTwoOperationsNeverRunAtTheSameTime(t *testing.T) {
	s := newStack(t, newConfig(t, "config: {}\n"))
	held, err := s.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := s.lock(ctx); err == nil || !strings.Contains(err.Error(), "another command") {
		t.Errorf("error: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if held, err = s.lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = held.Close()
}

func TestALockOfAnEngineThatIsGoneIsKnownAsSuch(t *testing.T) {
	s := newStack(t, newConfig(t, "config: {}\n"))
	locks := filepath.Join(s.backend(), ".pulumi", "locks", "organization", "journal", "dev")
	writeFile(t, filepath.Join(locks, "one.json"), fmt.Sprintf(`{"pid": %d}`, os.Getpid()))
	writeFile(t, filepath.Join(locks, "two.json"), `{"pi`)
	// The PID is that of this test, which is no engine: the system has used the number again.
	if locked, running := s.engineLock(); !locked || len(running) > 0 {
		t.Errorf("locked is %t, by the engines %v", locked, running)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The toolchain's folder may be a link.
	if err := os.Symlink(self, s.engine()); err != nil {
		t.Fatal(err)
	}
	if locked, running := s.engineLock(); !locked || !slices.Equal(running, []int{os.Getpid()}) {
		t.Errorf("locked is %t, by the engines %v", locked, running)
	}
}

func TestWhatAKilledRunHasMadeIsToldFromEverythingElse(t *testing.T) {
	state := []apitype.ResourceV3{
		{Inputs: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "team-a"}}},
		{Inputs: map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": map[string]any{"name": "owners", "namespace": "team-a"}}},
		{Inputs: map[string]any{"length": 32, "kind": 7}},
	}
	ours := `"managedFields": [{"manager": "kubelet", "operation": "Update"}, {"manager": "pulumi-journal-dev", "operation": "Apply"}]`
	list := `{"apiVersion": "v1", "kind": "List", "items": [
		{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a", ` + ours + `}},
		{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "owners", "namespace": "team-a", ` + ours + `}},
		{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "viewers", "namespace": "team-a", ` + ours + `}},
		{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gone", ` + ours + `}},
		{"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tenant", "namespace": "gone", ` + ours + `}},
		{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "somebodys", "namespace": "team-a"}},
		{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "another-stacks", "namespace": "team-a",
			"managedFields": [{"manager": "pulumi-journal-prod", "operation": "Apply"}]}}
	]}`
	var read unstructured.UnstructuredList
	if err := read.UnmarshalJSON([]byte(list)); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, o := range orphans(read.Items, state, "pulumi-journal-dev") {
		found = append(found, nameOf(o))
	}
	if want := "[rolebinding.rbac.authorization.k8s.io/viewers namespace/gone]"; fmt.Sprint(found) != want {
		t.Errorf("got %v, want %s", found, want)
	}
}

func TestAllObjectsAreThoseOfAllKindsThatKubectlCanList(t *testing.T) {
	const script = `case "$*" in
"api-resources --verbs=list,delete --output=name") printf 'pods\nroles.rbac.authorization.k8s.io\n' ;;
"get pods,roles.rbac.authorization.k8s.io --all-namespaces --show-managed-fields --output=json")
	echo '{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "api-0"}}]}' ;;
*) exit 1 ;;
esac`
	all, err := Objects(t.Context(), func(ctx context.Context, args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, "sh", append([]string{"-c", script, "kubectl"}, args...)...)
	})
	if err != nil || len(all) != 1 || nameOf(all[0]) != "pod/api-0" {
		t.Errorf("got %v (%v)", all, err)
	}
}

func TestOnlyStepsThatChangeTheClusterAreReported(t *testing.T) {
	var out bytes.Buffer
	log := &progress{out: &out, began: map[string]time.Time{}, said: map[string]string{}, changes: map[string]int{}}
	const deployment = "urn:pulumi:dev::journal::kubernetes:apps/v1:Deployment::journal-api"
	custom := &apitype.StepEventStateMetadata{Custom: true}
	// An object that was not ready when it was refreshed.
	awaited := apitype.StepEventMetadata{URN: "urn:pulumi:dev::journal::kubernetes:apps/v1:StatefulSet::journal-redis", Type: "kubernetes:apps/v1:StatefulSet", Op: apitype.OpUpdate, New: custom}
	for _, event := range []apitype.EngineEvent{
		{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{URN: deployment, Op: apitype.OpCreate, New: custom}}},
		{DiagnosticEvent: &apitype.DiagnosticEvent{URN: deployment, Severity: "info", Message: "[1/2] Waiting"}}, // not for long
		{DiagnosticEvent: &apitype.DiagnosticEvent{Severity: "warning", Message: "using pulumi-resource-random from $PATH at /bin"}},
		{DiagnosticEvent: &apitype.DiagnosticEvent{Severity: "warning", Message: "<{%reset%}>mind the gap<{%reset%}>\n"}},
		{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: apitype.StepEventMetadata{URN: deployment, Type: "kubernetes:apps/v1:Deployment", Op: apitype.OpCreate, New: custom}}},
		{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: apitype.StepEventMetadata{URN: deployment, Op: apitype.OpSame, New: custom}}},
		{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: awaited}},
		{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: awaited}},
		{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: apitype.StepEventMetadata{
			URN: "urn:pulumi:dev::journal::journal:components:API::journal-api", Op: apitype.OpCreate, New: &apitype.StepEventStateMetadata{}}}},
		{DiagnosticEvent: &apitype.DiagnosticEvent{URN: deployment, Severity: "error", Message: "[Pod api-0]: ImagePullBackOff"}},
		{DiagnosticEvent: &apitype.DiagnosticEvent{Severity: "error", Message: "update failed"}},
		{SummaryEvent: &apitype.SummaryEvent{ResourceChanges: map[apitype.OpType]int{apitype.OpCreate: 1, apitype.OpSame: 20, apitype.OpUpdate: 1}}},
	} {
		log.handle(event)
	}
	if want := "mind the gap\ncreate Deployment journal-api\n"; out.String() != want {
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
	if state, err := readState(path); err != nil || len(state.Resources) > 0 {
		t.Errorf("no state is %+v (%v)", state, err)
	}
	text, err := json.Marshal(apitype.VersionedCheckpoint{Version: 3, Checkpoint: json.RawMessage(
		`{"latest": {"pending_operations": [{"type": "creating", "resource": {"urn": "urn:pulumi:dev::journal::a:b:C::d", "type": "a:b:C"}}]}}`)})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, string(text))
	if state, err := readState(path); err != nil || len(state.PendingOperations) != 1 || label(state.PendingOperations[0].Resource.URN) != "C d" {
		t.Errorf("the state is %+v (%v)", state, err)
	}
}
