package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/registry"
	"gopkg.in/yaml.v3"

	"example.com/journal/sandbox/cache"
)

// asCommand is the environment variable that turns this test's program into the sandbox's command.
const asCommand = "JOURNAL_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// runIn runs a command with an empty cache.
func runIn(t *testing.T, folder string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	t.Chdir(folder)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var out, log bytes.Buffer
	err = run(t.Context(), args, console{getenv: os.Getenv, in: strings.NewReader(""), out: &out, err: &log})
	return out.String(), log.String(), err
}

func TestCommandsSayHowToStartASandboxThatDoesNotRun(t *testing.T) {
	for _, args := range [][]string{{"kubeconfig"}, {"logs"}, {"kubectl", "--", "get", "pods"}, {"preview"}, {"destroy", "--yes"}} {
		out, _, err := runIn(t, t.TempDir(), args...)
		if err == nil || !strings.Contains(err.Error(), "start it with `sandbox up`") || out != "" {
			t.Errorf("%v: error %v, output %q", args, err, out)
		}
	}
	if out, _, err := runIn(t, t.TempDir(), "status"); err != nil || !strings.Contains(out, "is not running") {
		t.Errorf("status: error %v, output %q", err, out)
	}
	if _, log, err := runIn(t, t.TempDir(), "down"); err != nil || !strings.Contains(log, "was not running") {
		t.Errorf("down: error %v, output %q", err, log)
	}
}

func TestWhatDeletesDataWantsToBeConfirmed(t *testing.T) {
	for _, command := range []string{"reset", "destroy"} {
		_, _, err := runIn(t, t.TempDir(), command)
		if err == nil || !strings.Contains(err.Error(), "--yes") || !strings.Contains(err.Error(), "every journal entry") {
			t.Errorf("%s: error %v", command, err)
		}
	}
}

func TestTheClusterOfAKubeconfigIsNeitherStoppedNorReset(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(kubeconfig, []byte(`{apiVersion: v1, kind: Config, current-context: team, contexts: [{name: team, context: {cluster: team, user: alice}}],
		clusters: [{name: team, cluster: {server: "http://127.0.0.1:1"}}], users: [{name: alice, user: {token: secret}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	for _, args := range [][]string{{"down", "--cluster", "team"}, {"reset", "--yes", "--cluster", "current"}} {
		_, _, err := runIn(t, t.TempDir(), args...)
		if err == nil || !strings.Contains(err.Error(), "`sandbox destroy --cluster team --yes`") {
			t.Errorf("%v: error %v", args, err)
		}
	}
	if _, _, err := runIn(t, t.TempDir(), "status", "--cluster", "team"); err == nil || !strings.Contains(err.Error(), `context "team" does not answer at http://127.0.0.1:1`) {
		t.Errorf("status: error %v", err)
	}
	if _, _, err := runIn(t, t.TempDir(), "up", "--registry", "registry.example.com"); err == nil || !strings.Contains(err.Error(), "name a cluster too") {
		t.Errorf("up: error %v", err)
	}
}

func TestTheRepositoryIsFoundFromAFolderInIt(t *testing.T) {
	repo := t.TempDir()
	inner := filepath.Join(repo, "sandbox", "cmd")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(repo, "Pulumi.yaml"), []byte("name: journal\nruntime: go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{inner, repo} {
		t.Chdir(folder)
		for _, named := range []string{".", inner} {
			if found, err := (&sandbox{repo: named}).repository(); err != nil || found != repo {
				t.Errorf("--repo %s in %s: found %q (%v)", named, folder, found, err)
			}
		}
	}
	if _, err := (&sandbox{repo: t.TempDir()}).repository(); err == nil || !strings.Contains(err.Error(), "no Pulumi.yaml") {
		t.Errorf("a folder elsewhere: %v", err)
	}
}

func TestUpRefusesEverythingThatIsWrongBeforeItBuilds(t *testing.T) {
	repo := t.TempDir()
	for name, text := range map[string]string{
		"Pulumi.yaml":     "name: journal\nruntime: go\n",
		"Pulumi.dev.yaml": "config:\n  journal:colour: blue\n",
	} {
		if err := os.WriteFile(filepath.Join(repo, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("JOURNAL_HTTP_PORT", "1")
	_, log, err := runIn(t, repo, "up")
	if err == nil || !strings.Contains(err.Error(), `journal:colour "blue"`) || log != "" {
		t.Errorf("error %v, output %q", err, log)
	}
	if _, _, err = runIn(t, repo, "up", "--stack", "none"); err == nil || !strings.Contains(err.Error(), "Pulumi.none.yaml") {
		t.Errorf("error %v", err)
	}
	t.Setenv("JOURNAL_HTTP_PORT", "http")
	if _, _, err = runIn(t, repo, "up"); err == nil || !strings.Contains(err.Error(), `JOURNAL_HTTP_PORT "http"`) {
		t.Errorf("error %v", err)
	}
}

func TestMakeImagesPushesToARegistryAndPrintsWhatAStackTakes(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads Debian packages: left out by -short")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("needs a Debian machine: there is no apt-get")
	}
	repo := t.TempDir()
	for path, text := range map[string]string{
		"Pulumi.yaml":                           "name: journal\nruntime: go\n",
		"services/VERSION":                      "0.1.0\n",
		"services/go.mod":                       "module example.com/services\n\ngo 1.26\n",
		"services/journal-api/main.go":          "package main\n\nfunc main() {}\n",
		"services/namespace-controller/main.go": "package main\n\nfunc main() {}\n",
		"services/journal-web/html/index.html":  "<p>",
		"sandbox/go.mod":                        "module example.com/sandbox\n\ngo 1.26\n",
		"sandbox/images/pause/main.go":          "package main\n\nfunc main() {}\n",
	} {
		path = filepath.Join(repo, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("git", "init", "-q", repo).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// The cache shares only the downloaded packages.
	shared, err := cache.Open()
	if err != nil {
		t.Fatal(err)
	}
	own := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(own, "journal-sandbox"), 0o700), os.Symlink(shared.Debian(), filepath.Join(own, "journal-sandbox", "debian"))); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	target := strings.TrimPrefix(server.URL, "http://") + "/team-a"

	// Go's test cache notices changes only in files whose name begins with the module's folder, as here.
	if _, err := os.Stat(os.Getenv("PWD") + "/../../../Makefile"); err != nil {
		t.Fatal(err)
	}
	build := fmt.Sprintf("BUILD=env %s=1 XDG_CACHE_HOME=%s %s --repo %s", asCommand, own, os.Args[0], repo)
	cmd := exec.Command("make", "--no-print-directory", "-C", "../../..", "images", "REGISTRY="+target, build)
	var said bytes.Buffer
	cmd.Stderr = &said
	printed, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	keys := map[string]string{}
	if err := yaml.Unmarshal(printed, &keys); err != nil {
		t.Fatal(err)
	}
	for key, name := range map[string]string{"api.image": "journal-api", "claims.image": "namespace-controller", "frontend.image": "journal-web", "redis.image": "redis", "redis.exporter.image": "redis_exporter"} {
		t.Run(key, func(t *testing.T) {
			if !strings.HasPrefix(keys[key], target+"/"+name+":") || !strings.Contains(keys[key], "@sha256:") {
				t.Errorf("is %q", keys[key])
			}
			if _, err := crane.Digest(keys[key]); err != nil {
				t.Errorf("the registry does not have it: %v", err)
			}
		})
	}
	if len(keys) != 5 {
		t.Errorf("printed:\n%s", printed)
	}
}

func TestChangesAreSaidInWords(t *testing.T) {
	for want, changes := range map[string]map[string]int{"nothing changed": nil, "create 1, update 2": {"update": 2, "create": 1}} {
		t.Run(want, func(t *testing.T) {
			if got := describe(changes, "nothing changed"); got != want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestOnlyKubectlSaysItselfWhatIsWrong(t *testing.T) {
	ended := exec.Command("sh", "-c", "exit 3").Run()
	for _, c := range []struct {
		sentence string
		err      error
		code     int
		said     string
	}{
		{"no error", nil, 0, ""},
		{"an error that wraps another program's code", fmt.Errorf("container image journal-api: go build: %w", ended), 1, "error: container image journal-api: go build: exit status 3\n"},
		{"kubectl's code", kubectlExit(3), 3, ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := exitCode(c.err, &stderr); code != c.code || stderr.String() != c.said {
				t.Errorf("got code %d and %q", code, stderr.String())
			}
		})
	}
}

func TestEachLineOfAPartHasTheTimeAndItsName(t *testing.T) {
	var out bytes.Buffer
	log := &timeline{start: time.Now(), out: &out}
	one, two := log.of("one"), log.of("two")
	for _, w := range []struct {
		to   io.Writer
		text string
	}{{one, "a\n"}, {two, "b\nc\n"}, {one, "d\n"}} {
		if n, err := io.WriteString(w.to, w.text); err != nil || n != len(w.text) {
			t.Fatalf("wrote %d of %d bytes: %v", n, len(w.text), err)
		}
	}
	if want := "   0.0 s  one       a\n   0.0 s  two       b\n   0.0 s  two       c\n   0.0 s  one       d\n"; out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
