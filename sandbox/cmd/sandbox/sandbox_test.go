package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/journal/sandbox/images"
)

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
	for _, args := range [][]string{{"kubeconfig"}, {"logs"}, {"kubectl", "--", "get", "pods"}, {"preview"}, {"outputs"}, {"destroy", "--yes"}} {
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
	t.Chdir(inner)
	for _, s := range []sandbox{{}, {repo: repo}} {
		found, err := s.repository()
		if err != nil || found != repo {
			t.Errorf("--repo %q: found %q (%v)", s.repo, found, err)
		}
	}
	if _, err := (&sandbox{repo: inner}).repository(); err == nil || !strings.Contains(err.Error(), "no Pulumi.yaml") {
		t.Errorf("a folder that is named is not searched upwards: %v", err)
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

func TestChangesAreSaidInWords(t *testing.T) {
	for _, c := range []struct {
		changes        map[string]int
		did, intention string
	}{
		{nil, "nothing changed", "nothing would change"},
		{map[string]int{"update": 2, "create": 1}, "1 created, 2 updated", "would create 1, update 2"},
	} {
		if describe(c.changes) != c.did || planned(c.changes) != c.intention {
			t.Errorf("%v: %q and %q", c.changes, describe(c.changes), planned(c.changes))
		}
	}
}

func TestImagesArePrintedByTheirKeys(t *testing.T) {
	built := []images.Image{
		{ConfigKey: "apiImage", Reference: "journal.example.com/journal-api:v0.1.0-0a1b2c3"},
		{ConfigKey: "claimsImage", Reference: "journal.example.com/namespace-controller:v0.1.0-0a1b2c3"},
		{Reference: "journal.example.com/pause:v0.1.0"}, // the node's own
	}
	var out bytes.Buffer
	s := &sandbox{console: console{out: &out}}
	if err := s.printImages(built, "registry.example.com/team-a/"); err != nil {
		t.Fatal(err)
	}
	if want := "apiImage: registry.example.com/team-a/journal-api:v0.1.0-0a1b2c3\n" +
		"claimsImage: registry.example.com/team-a/namespace-controller:v0.1.0-0a1b2c3\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestPhasesDoNotMixTheirLines(t *testing.T) {
	var out bytes.Buffer
	p := newPhases(&out)
	one, two := &lines{phases: p, prefix: "one "}, &lines{phases: p, prefix: "two "}
	for _, w := range []struct {
		to   *lines
		text string
	}{{one, "half"}, {two, "a\nb\n"}, {one, " and half\n"}, {two, "rest"}} {
		if n, err := w.to.Write([]byte(w.text)); err != nil || n != len(w.text) {
			t.Fatalf("wrote %d of %d bytes: %v", n, len(w.text), err)
		}
	}
	two.flush()
	if want := "two a\ntwo b\none half and half\ntwo rest\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
