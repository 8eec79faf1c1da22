//go:build e2e

package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The workflows run on this machine with act: https://github.com/nektos/act. It knows their steps, jobs, conditions, matrices and
// expressions. It does not know the filters of events, permissions, environments, approvals and concurrency, which TestEveryWorkflow...
// checks. In testdata are the actions that take the place of GitHub's, and the make that records what needs a cluster: test, ci-login,
// plan, apply, drift, pr-env and pr-env-down. render-diff, comment and on-main are real.

// world is a repository that is served over HTTP, and a GitHub with its pull requests' comments.
type world struct {
	t *testing.T
	// git is a working copy, of which the test pushes to url.
	git, url string
	github   *comments
	api      string
	// number is that of the next run.
	number int
}

// comments are those of all pull requests.
type comments struct {
	mu   sync.Mutex
	all  []map[string]any
	made int
}

func (c *comments) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var body struct{ Body string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	switch {
	case r.Header.Get("Authorization") != "Bearer the-token-of-the-job":
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode(c.all)
	case r.Method == http.MethodPost:
		c.made++
		made := map[string]any{"body": body.Body, "user": map[string]any{"login": "github-actions[bot]"},
			"url": "http://" + r.Host + "/repos/example/journal/issues/comments/1", "html_url": r.URL.Path}
		c.all = append(c.all, made)
		_ = json.NewEncoder(w).Encode(made)
	case r.Method == http.MethodPatch && len(c.all) > 0:
		c.all[0]["body"] = body.Body
		_ = json.NewEncoder(w).Encode(c.all[0])
	}
}

// text is the only comment, and made how many were written.
func (c *comments) text() (text string, made int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) > 0 {
		text = c.all[0]["body"].(string)
	}
	return text, c.made
}

// start makes the repository of the files of this checkout, committed or not, and serves it.
func start(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, git: filepath.Join(t.TempDir(), "work"), github: &comments{}}
	bare := t.TempDir()
	backend := strings.TrimSpace(w.output(".", "git", "--exec-path")) + "/git-http-backend"
	server := httptest.NewServer(&cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + bare, "GIT_HTTP_EXPORT_ALL=1"}})
	t.Cleanup(server.Close)
	github := httptest.NewServer(w.github)
	t.Cleanup(github.Close)
	w.url, w.api = server.URL+"/journal.git", github.URL

	w.output(".", "git", "init", "--quiet", "--bare", "--initial-branch", "main", bare+"/journal.git")
	for _, setting := range []string{"http.receivepack", "uploadpack.allowAnySHA1InWant"} {
		w.output(".", "git", "-C", bare+"/journal.git", "config", setting, "true")
	}
	root := os.Getenv("PWD") + "/../.."
	w.output(".", "git", "init", "--quiet", "--initial-branch", "main", w.git)
	w.output(root, "sh", "-c", `git -c safe.directory='*' ls-files -z --cached --others --exclude-standard --deduplicate |
		while IFS= read -r -d '' f; do [ ! -e "$f" ] || printf '%s\0' "$f"; done | tar --null --files-from - -cf - | tar -xf - -C "$0"`, w.git)
	w.output(w.git, "git", "remote", "add", "origin", w.url)
	w.output(w.git, "git", "config", "http.postBuffer", "100000000") // Go's CGI takes no request in chunks
	w.commit("all")
	w.output(w.git, "git", "push", "--quiet", "origin", "main")
	return w
}

// output runs a program in a folder, and returns what it prints.
func (w *world) output(folder, name string, args ...string) string {
	w.t.Helper()
	if name == "sh" {
		name = "bash" // read -d
	}
	command := exec.CommandContext(w.t.Context(), name, args...)
	command.Dir = folder
	command.Env = append(os.Environ(), "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0")
	said, err := command.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %q: %v: %s", name, args, err, said)
	}
	return string(said)
}

// commit commits everything, and returns the commit.
func (w *world) commit(message string) string {
	w.t.Helper()
	w.output(w.git, "git", "add", "--all")
	w.output(w.git, "git", "commit", "--quiet", "--allow-empty", "--message", message)
	return strings.TrimSpace(w.output(w.git, "git", "rev-parse", "HEAD"))
}

// branch goes to a new branch of main, replaces a text in a file, and commits it.
func (w *world) branch(name, file, old, replacement string) string {
	w.t.Helper()
	w.output(w.git, "git", "checkout", "--quiet", "-B", name, "main")
	path := filepath.Join(w.git, file)
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), old) {
		w.t.Fatalf("%s has no %q (%v)", file, old, err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, replacement, 1)), 0o644); err != nil {
		w.t.Fatal(err)
	}
	return w.commit(name)
}

// merged is the commit of a pull request's branch merged into main, as GitHub makes it.
func (w *world) merged(branch string, number int) string {
	w.t.Helper()
	w.output(w.git, "git", "checkout", "--quiet", "--detach", "main")
	w.output(w.git, "git", "merge", "--quiet", "--no-ff", "--message", "merge", branch)
	w.output(w.git, "git", "push", "--quiet", "--force", "origin", fmt.Sprintf("HEAD:refs/pull/%d/merge", number))
	return strings.TrimSpace(w.output(w.git, "git", "rev-parse", "HEAD"))
}

// result is what a run of a workflow has left.
type result struct {
	said string
	err  error
	// calls are the recorded calls of make, sorted.
	calls     []string
	artifacts string
}

// run runs a workflow of the commit that the working copy is at.
func (w *world) run(workflow, event string, payload map[string]any, more ...string) result {
	w.t.Helper()
	w.number++
	folder := filepath.Join(w.t.TempDir(), fmt.Sprint(w.number))
	r := result{artifacts: filepath.Join(folder, "artifacts")}
	bin, record, eventFile := filepath.Join(folder, "bin"), filepath.Join(folder, "record"), filepath.Join(folder, "event.json")
	payload["repository"] = map[string]any{"full_name": "example/journal", "name": "journal", "owner": map[string]any{"login": "example"}, "default_branch": "main"}
	text, err := json.Marshal(payload)
	here := os.Getenv("PWD") + "/testdata/"
	realMake, lookErr := exec.LookPath("make")
	if err := errors.Join(err, lookErr, os.MkdirAll(r.artifacts, 0o755), os.Mkdir(bin, 0o755), os.WriteFile(eventFile, text, 0o644), os.Symlink(here+"make", bin+"/make")); err != nil {
		w.t.Fatal(err)
	}
	act := os.Getenv("ACT")
	if act == "" {
		w.t.Fatal("ACT is missing: must be the program of tools/act; run `make e2e RUN=workflows`")
	}
	args := []string{event, "--directory", w.git, "--workflows", ".github/workflows/" + workflow, "--eventpath", eventFile,
		"--platform", "ubuntu-24.04=-self-hosted", "--no-skip-checkout", "--no-cache-server", "--defaultbranch", "main", "--action-cache-path", filepath.Join(folder, "act"),
		"--var", "KUBE_SERVER=https://kubernetes.example.com", "--var", "KUBE_AUDIENCE=a", "--var", "KUBE_CA=b", "--var", "PULUMI_ORGANIZATION=example",
		"--secret", "GITHUB_TOKEN=the-token-of-the-job"}
	variables := []string{"GITHUB_REPOSITORY=example/journal", "GITHUB_API_URL=" + w.api, "GIT_URL=" + w.url, "ARTIFACTS=" + r.artifacts, "RECORD=" + record,
		"REAL_MAKE=" + realMake, "PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for _, variable := range append(variables, more...) {
		args = append(args, "--env", variable)
	}
	for uses, stub := range w.stubs() {
		args = append(args, "--local-repository", uses+"="+here+"actions/"+stub)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 8*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, act, args...)
	command.Env = append(os.Environ(), "XDG_CONFIG_HOME="+folder) // act reads .actrc of the user
	output, err := command.CombinedOutput()
	r.said, r.err = string(output), err
	if text, err := os.ReadFile(record); err == nil {
		r.calls = strings.Split(strings.TrimSpace(string(text)), "\n")
		slices.Sort(r.calls)
	}
	return r
}

// stubs are what takes the place of the actions, by their names with the commit.
func (w *world) stubs() map[string]string {
	stubs := map[string]string{}
	for _, name := range workflows(w.t) {
		for _, use := range regexp.MustCompile(`uses: ([\w./-]+@[0-9a-f]{40})`).FindAllStringSubmatch(string(read(w.t, name)), -1) {
			stub := "nothing"
			for _, known := range []string{"checkout", "upload", "download"} {
				if strings.HasPrefix(use[1], "actions/"+known) {
					stub = known
				}
			}
			stubs[use[1]] = stub
		}
	}
	return stubs
}

// pullRequest is the event of a pull request to main, of a branch in a repository.
func (w *world) pullRequest(number int, repository, head string) map[string]any {
	base := strings.TrimSpace(w.output(w.git, "git", "rev-parse", "main"))
	return map[string]any{"action": "synchronize", "number": number, "pull_request": map[string]any{"number": number,
		"head": map[string]any{"ref": "change", "sha": head, "repo": map[string]any{"full_name": repository}},
		"base": map[string]any{"ref": "main", "sha": base, "repo": map[string]any{"full_name": "example/journal"}}}}
}

// called checks the recorded calls.
func (r result) called(t *testing.T, commit string, want ...string) {
	t.Helper()
	for i, call := range want {
		server := ""
		if strings.HasPrefix(call, "ci-login") {
			server = "https://kubernetes.example.com"
		}
		want[i] = fmt.Sprintf("%s commit=%s server=%s clean=0", call, commit, server)
	}
	if slices.Sort(want); !slices.Equal(r.calls, want) {
		t.Errorf("make was called\n%s\nwant\n%s\n%s", strings.Join(r.calls, "\n"), strings.Join(want, "\n"), r.said)
	}
}

// TestWorkflows runs them in the order of a change: pull request, merge, tag, drift.
func TestWorkflows(t *testing.T) {
	w := start(t)
	for _, part := range []struct {
		sentence string
		run      func(*world)
	}{
		{"a pull request is tested, shown in one comment, and previewed", (*world).aPullRequest},
		{"that of a fork is tested and shown, and gets no rights", (*world).aFork},
		{"one gets an environment, which ends when it is closed, and that of a fork gets none", (*world).anEnvironment},
		{"one that cannot be rendered says so in the comment", (*world).aBrokenPullRequest},
		{"a merge goes to dev", (*world).aMerge},
		{"a tag on main goes to production as it was planned", (*world).aTag},
		{"a tag elsewhere is refused before anything logs in", (*world).aTagElsewhere},
		{"a release whose plan fails applies nothing", (*world).aPlanThatFails},
		{"drift of either stack fails the run, and both are looked at", (*world).drift},
	} {
		if !t.Run(part.sentence, func(t *testing.T) { w.t = t; part.run(w) }) {
			return
		}
	}
}

func (w *world) aPullRequest() {
	head := w.branch("change", "Pulumi.prod.yaml", "    replicas: 3\n    pageSize: 50", "    replicas: 4\n    pageSize: 50")
	merge := w.merged("change", 7)
	r := w.run("pull-request.yml", "pull_request", w.pullRequest(7, "example/journal", head))
	if r.err != nil {
		w.t.Fatal(r.err, r.said)
	}
	r.called(w.t, merge, "test", "ci-login", "ci-login", "plan STACK=dev", "plan STACK=prod")
	text, _ := w.github.text()
	for _, part := range []string{"### dev\n\nNothing changes.", "### prod\n", "1 changed\n\n- `journal/deployment-frontend`", "-  replicas: 3\n+  replicas: 4"} {
		if !strings.Contains(text, part) {
			w.t.Errorf("the comment has no %q:\n%s", part, text)
		}
	}
	head = w.branch("change", "Pulumi.prod.yaml", "    replicas: 3\n    pageSize: 50", "    replicas: 5\n    pageSize: 50")
	w.merged("change", 7)
	if r = w.run("pull-request.yml", "pull_request", w.pullRequest(7, "example/journal", head)); r.err != nil {
		w.t.Fatal(r.err, r.said)
	}
	if text, made := w.github.text(); made != 1 || !strings.Contains(text, "+  replicas: 5") {
		w.t.Errorf("%d comments were written, and the first says\n%s", made, text)
	}
}

func (w *world) aFork() {
	before, _ := w.github.text()
	head := w.branch("fork", "Pulumi.prod.yaml", "    replicas: 3\n    pageSize: 50", "    replicas: 6\n    pageSize: 50")
	merge := w.merged("fork", 8)
	r := w.run("pull-request.yml", "pull_request", w.pullRequest(8, "mallory/journal", head))
	if r.err != nil {
		w.t.Fatal(r.err, r.said)
	}
	r.called(w.t, merge, "test")
	if text, err := os.ReadFile(r.artifacts + "/render-diff/render-diff.md"); err != nil || !strings.Contains(string(text), "+  replicas: 6") {
		w.t.Error(string(text), err)
	}
	if text, made := w.github.text(); made != 1 || text != before {
		w.t.Errorf("%d comments, of which one says\n%s", made, text)
	}
}

func (w *world) anEnvironment() {
	head := w.branch("environment", "Pulumi.pr.yaml", "replicas: 1", "replicas: 2")
	merge := w.merged("environment", 7)
	event := w.pullRequest(7, "example/journal", head)
	base := event["pull_request"].(map[string]any)["base"].(map[string]any)["sha"].(string)
	for _, c := range []struct {
		action, repository, commit string
		calls                      []string
	}{
		{"opened", "example/journal", merge, []string{"ci-login", "pr-env"}},
		{"closed", "example/journal", base, []string{"ci-login", "pr-env-down"}},
		{"opened", "mallory/journal", merge, nil},
		{"closed", "mallory/journal", base, nil},
	} {
		event := w.pullRequest(7, c.repository, head)
		event["action"] = c.action
		r := w.run("pr-env.yml", "pull_request", event)
		if r.err != nil {
			w.t.Fatal(r.err, r.said)
		}
		r.called(w.t, c.commit, c.calls...)
	}
}

func (w *world) aBrokenPullRequest() {
	head := w.branch("broken", "Pulumi.prod.yaml", "    pageSize: 50", "    pageSise: 50")
	w.merged("broken", 7)
	r := w.run("pull-request.yml", "pull_request", w.pullRequest(7, "example/journal", head))
	if r.err == nil {
		w.t.Error(r.said)
	}
	if text, made := w.github.text(); made != 1 || !strings.Contains(text, "🔴 **It cannot be rendered:**") || !strings.Contains(text, "pageSise") {
		w.t.Errorf("%d comments, of which one says\n%s", made, text)
	}
}

// atMain brings the working copy to a commit on main.
func (w *world) atMain(branch string) string {
	w.t.Helper()
	w.output(w.git, "git", "checkout", "--quiet", "main")
	w.output(w.git, "git", "merge", "--quiet", "--no-ff", "--message", "merge "+branch, branch)
	w.output(w.git, "git", "push", "--quiet", "origin", "main")
	return strings.TrimSpace(w.output(w.git, "git", "rev-parse", "HEAD"))
}

func (w *world) aMerge() {
	commit := w.atMain("change")
	r := w.run("main.yml", "push", map[string]any{"ref": "refs/heads/main", "after": commit})
	if r.err != nil {
		w.t.Fatal(r.err, r.said)
	}
	r.called(w.t, commit, "ci-login", "plan STACK=dev", "apply PLAN=plans/dev")
}

// tag tags the commit of the working copy, and pushes the tag.
func (w *world) tag(name string) map[string]any {
	w.t.Helper()
	w.output(w.git, "git", "tag", name)
	w.output(w.git, "git", "push", "--quiet", "origin", name)
	return map[string]any{"ref": "refs/tags/" + name}
}

func (w *world) aTag() {
	commit := strings.TrimSpace(w.output(w.git, "git", "rev-parse", "HEAD"))
	r := w.run("release.yml", "push", w.tag("v1.0.0"))
	if r.err != nil {
		w.t.Fatal(r.err, r.said)
	}
	r.called(w.t, commit, "ci-login", "plan STACK=prod", "ci-login", "apply PLAN=plans/prod")
}

func (w *world) aTagElsewhere() {
	w.branch("elsewhere", "Pulumi.prod.yaml", "    pageSize: 50", "    pageSize: 51")
	r := w.run("release.yml", "push", w.tag("v1.0.1"))
	if r.err == nil || !strings.Contains(r.said, "is not on origin/main: merge it, and tag the commit of the merge") {
		w.t.Error(r.err, r.said)
	}
	r.called(w.t, "")
}

func (w *world) aPlanThatFails() {
	w.output(w.git, "git", "checkout", "--quiet", "main")
	commit := w.commit("whose plan fails")
	w.output(w.git, "git", "push", "--quiet", "origin", "main")
	r := w.run("release.yml", "push", w.tag("v1.0.2"), "PLAN_FAILS=yes")
	if r.err == nil {
		w.t.Error(r.said)
	}
	r.called(w.t, commit, "ci-login", "plan STACK=prod")
}

func (w *world) drift() {
	w.output(w.git, "git", "checkout", "--quiet", "main")
	commit := strings.TrimSpace(w.output(w.git, "git", "rev-parse", "HEAD"))
	for _, drifted := range []string{"", "STACK=dev", "STACK=prod"} {
		r := w.run("drift.yml", "schedule", map[string]any{"schedule": "17 5 * * *", "ref": "refs/heads/main"}, "DRIFTED="+drifted)
		if (r.err != nil) != (drifted != "") {
			w.t.Errorf("%q: %v: %s", drifted, r.err, r.said)
		}
		r.called(w.t, commit, "ci-login", "ci-login", "drift STACK=dev", "drift STACK=prod")
	}
}
