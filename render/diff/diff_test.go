package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A render command that writes the lines `<path> <text>` of its stack's file as objects, and refuses a file that says so.
const fixture = `package main

import ("flag"; "fmt"; "os"; "path/filepath"; "strings")

func main() {
	project, stack, out := flag.String("project", "", ""), flag.String("stack", "", ""), flag.String("out", "", "")
	flag.Parse()
	text, err := os.ReadFile(filepath.Join(*project, "Pulumi."+*stack+".yaml"))
	if err != nil || strings.Contains(string(text), "refuse") {
		fmt.Fprintln(os.Stderr, *project+"/Pulumi."+*stack+".yaml:2: the words for it", err)
		os.Exit(1)
	}
	os.RemoveAll(*out)
	os.MkdirAll(*out, 0o755)
	os.WriteFile(filepath.Join(*out, "kustomization.yaml"), nil, 0o644)
	for _, line := range strings.Split(string(text), "\n") {
		path, object, found := strings.Cut(strings.TrimPrefix(line, "# "), " ")
		if !found || !strings.HasSuffix(path, ".yaml") { continue }
		os.MkdirAll(filepath.Dir(filepath.Join(*out, path)), 0o755)
		os.WriteFile(filepath.Join(*out, path), []byte(strings.ReplaceAll(object, ";", "\n")+"\n"+VERSION), 0o644)
	}
}
`

// repository makes a git repository whose main has some files, and changes others in its working tree.
func repository(t *testing.T, before, after map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		command := exec.Command("git", append([]string{"-C", folder, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
		said, err := command.CombinedOutput()
		require.NoError(t, err, string(said))
	}
	write := func(files map[string]string) {
		for name, text := range files {
			path := filepath.Join(folder, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		}
	}
	git("init", "--quiet", "--initial-branch", "main")
	write(map[string]string{"go.mod": "module fixture\n", "Pulumi.yaml": "name: fixture\n", "render/main.go": strings.ReplaceAll(fixture, "VERSION", `""`)})
	write(before)
	git("add", ".")
	git("commit", "--quiet", "--message", "before")
	write(after)
	return folder
}

// shown runs the command in a repository, and returns its text.
func shown(t *testing.T, folder string, args ...string) (string, error) {
	t.Helper()
	var stdout bytes.Buffer
	err := run(t.Context(), append([]string{"--project", folder, "--base", "main"}, args...), func(string) string { return "" }, &stdout)
	return stdout.String(), err
}

func TestAChangeIsShownWithWhatIsDangerousFirst(t *testing.T) {
	folder := repository(t, map[string]string{"Pulumi.prod.yaml": strings.Join([]string{
		"# _cluster/namespace-old.yaml kind: Namespace",
		"# a/configmap-a.yaml kind: ConfigMap;data: {text: before}",
		"# a/statefulset-redis.yaml kind: StatefulSet;spec: {serviceName: before, replicas: 1}",
		"# a/statefulset-same.yaml kind: StatefulSet;spec: {serviceName: same, replicas: 1}",
		"# a/configmap-kept.yaml kind: ConfigMap;immutable: true;data: {text: before}",
		"# a/role-admin.yaml kind: Role;rules: []",
		"# a/service-same.yaml kind: Service",
	}, "\n")}, map[string]string{"Pulumi.prod.yaml": strings.Join([]string{
		"# a/configmap-a.yaml kind: ConfigMap;data: {text: '```'}",
		"# a/statefulset-redis.yaml kind: StatefulSet;spec: {serviceName: after, replicas: 1}",
		"# a/statefulset-same.yaml kind: StatefulSet;spec: {serviceName: same, replicas: 2}",
		"# a/configmap-kept.yaml kind: ConfigMap;immutable: true;data: {text: after}",
		"# a/role-admin.yaml kind: Role;rules: [{verbs: ['*']}]",
		"# a/service-same.yaml kind: Service",
		"# a/service-new.yaml kind: Service",
	}, "\n")})
	text, err := shown(t, folder)
	require.NoError(t, err)
	last := 0
	for _, part := range []string{
		"<!-- render-diff -->\n## What this changes in the cluster",
		"### prod",
		"**1 deleted**", "- `_cluster/namespace-old`: **with all that is in it**",
		"**2 changed in a field that Kubernetes does not change**", "- `a/configmap-kept`: `data`", "- `a/statefulset-redis`: `spec.serviceName`",
		"**1 about rights, networks or quotas**", "- `a/role-admin`",
		"2 changed", "- `a/configmap-a`", "- `a/statefulset-same`",
		"1 new", "- `a/service-new`",
		"<details><summary>prod: _cluster/namespace-old</summary>", "-kind: Namespace",
		"-spec: {serviceName: before, replicas: 1}", "+spec: {serviceName: after, replicas: 1}",
		"````diff\n@@", "+data: {text: '```'}", "````",
		"prod: a/service-new</summary>", "+kind: Service",
	} {
		at := strings.Index(text[last:], part)
		require.GreaterOrEqual(t, at, 0, "%s is not there, or too early, in\n%s", part, text)
		last += at
	}
	assert.NotContains(t, text, "service-same")
}

func TestNothingIsSaidToChange(t *testing.T) {
	text, err := shown(t, repository(t, map[string]string{"Pulumi.prod.yaml": "# a/configmap-a.yaml kind: ConfigMap"}, nil))
	require.NoError(t, err)
	assert.Contains(t, text, "### prod\n\nNothing changes.\n")
}

func TestEachSideIsRenderedByItsOwnProgram(t *testing.T) {
	folder := repository(t, map[string]string{"Pulumi.prod.yaml": "# a/configmap-a.yaml kind: ConfigMap"},
		map[string]string{"render/main.go": strings.ReplaceAll(fixture, "VERSION", `"new: field\n"`)})
	text, err := shown(t, folder)
	require.NoError(t, err)
	assert.Contains(t, text, "1 changed\n\n- `a/configmap-a`")
	assert.Contains(t, text, "+new: field\n")
}

func TestWhatCannotBeRenderedIsSaidAndFails(t *testing.T) {
	folder := repository(t, map[string]string{"Pulumi.dev.yaml": "# a/configmap-a.yaml kind: ConfigMap", "Pulumi.prod.yaml": "# refuse"},
		map[string]string{"Pulumi.dev.yaml": "# refuse", "Pulumi.prod.yaml": "# a/configmap-b.yaml kind: ConfigMap"})
	out := filepath.Join(t.TempDir(), "comment.md")
	_, err := shown(t, folder, "--out", out)
	assert.EqualError(t, err, "cannot be rendered: dev; the text says why")
	text, err := os.ReadFile(out)
	require.NoError(t, err, "the text is there although it fails")
	assert.Contains(t, string(text), "### dev\n\n🔴 **It cannot be rendered:**\n\n```text\nPulumi.dev.yaml:2: the words for it")
	assert.Contains(t, string(text), "### prod\n\nIt could not be rendered before this change, so everything is new:\n\n```text\nPulumi.prod.yaml:2: the words for it")
	assert.Contains(t, string(text), "- `a/configmap-b`")
}

func TestAProgramThatDoesNotCompileIsSaid(t *testing.T) {
	folder := repository(t, map[string]string{"Pulumi.prod.yaml": "# a/configmap-a.yaml kind: ConfigMap"}, map[string]string{"render/main.go": "package main\n"})
	text, err := shown(t, folder)
	require.Error(t, err)
	assert.Contains(t, text, "🔴 **It cannot be rendered:**\n\n```text\nthe render command cannot be built: ")
}

func TestAStackThatComesOrGoesIsCompared(t *testing.T) {
	folder := repository(t, map[string]string{"Pulumi.old.yaml": "# a/configmap-a.yaml kind: ConfigMap"}, map[string]string{
		"Pulumi.new.yaml": "# a/configmap-b.yaml kind: ConfigMap", "Pulumi.@alice <b>.yaml": "",
	})
	require.NoError(t, os.Remove(filepath.Join(folder, "Pulumi.old.yaml")))
	text, err := shown(t, folder)
	require.NoError(t, err)
	assert.Contains(t, text, "### new\n\n1 new\n\n- `a/configmap-b`")
	assert.NotContains(t, text, "alice", "it is no name of a stack")
	assert.Contains(t, text, "### old\n\n🔴 **1 deleted**\n\n- `a/configmap-a`")
}

func TestKeysThatNeedAStateAreLeftOutAndNamed(t *testing.T) {
	folder := repository(t, map[string]string{"Pulumi.dev.yaml": "config:\n  journal:logs: {days: 7}\n  journal:reader: {}\n  journal:redis: {}\n"},
		map[string]string{"Pulumi.dev.yaml": "config:\n  journal:logs: {days: 8}\n  journal:reader: {}\n  journal:redis: {}\n"})
	text, err := shown(t, folder)
	require.NoError(t, err)
	assert.Contains(t, text, "Without `logs`, `reader`, which need Pulumi's state: their objects are in `stacks/testdata/dev.yaml`. **The change sets `logs`.**")
	file, err := side{tree: folder}.stack("dev")
	require.NoError(t, err)
	assert.Equal(t, "config:\n    journal:redis: {}\n", string(file.text))
}

func TestTheTextHasRoomInAComment(t *testing.T) {
	var many []objectDiff
	for i := range 3000 {
		many = append(many, objectDiff{path: fmt.Sprintf("a/configmap-%d.yaml", i), what: changed, lines: "@@ -1 +1 @@\n-a\n+b\n"})
	}
	p := page{base: strings.Repeat("0", 40), stacks: []stackDiff{
		{name: "dev", objects: many},
		{name: "prod", objects: append([]objectDiff{{path: "_cluster/namespace-a.yaml", kind: "Namespace", what: deleted, lines: "-kind: Namespace\n"}}, many...)},
		{name: "x", refused: strings.Repeat("é", 1<<20)},
	}}
	text := p.markdown(commentSize)
	assert.LessOrEqual(t, len(text), commentSize)
	assert.Greater(t, len(text), commentSize-2000, "the room is used")
	assert.Contains(t, text, "- and 2950 more")
	assert.Regexp(t, `\n\d{4} objects have no room here: .make render-diff. prints all\.\n$`, text)
	assert.Less(t, strings.Index(text, "<details><summary>prod: _cluster/namespace-a"), strings.Index(text, "<details><summary>dev: a/configmap-0<"))
	assert.NotContains(t, p.markdown(unlimited), "have no room")
}

func TestTheSummaryOfAWorkflowHasTheTextToo(t *testing.T) {
	folder := repository(t, map[string]string{"Pulumi.prod.yaml": "# a/configmap-a.yaml kind: ConfigMap"}, nil)
	out, summary := filepath.Join(t.TempDir(), "out.md"), filepath.Join(t.TempDir(), "summary.md")
	require.NoError(t, run(t.Context(), []string{"--project", folder, "--base", "main", "--out", out}, func(name string) string {
		return map[string]string{"GITHUB_STEP_SUMMARY": summary}[name]
	}, &bytes.Buffer{}))
	a, err := os.ReadFile(out)
	require.NoError(t, err)
	b, err := os.ReadFile(summary)
	require.NoError(t, err)
	assert.Equal(t, string(a), string(b))
}

func TestABaseThatIsNotThereIsRefusedWithTheFix(t *testing.T) {
	folder := repository(t, nil, nil)
	var stdout bytes.Buffer
	err := run(t.Context(), []string{"--project", folder, "--base", "origin/other"}, os.Getenv, &stdout)
	assert.ErrorContains(t, err, `base "origin/other": git: exit status 128`)
	assert.ErrorContains(t, err, "write a branch or commit that is here, such as origin/main, and fetch the whole history")
	assert.ErrorContains(t, run(t.Context(), []string{"--project", folder, "--base", "--output=/etc/x"}, os.Getenv, &stdout), "must be a branch or a commit")
	assert.ErrorContains(t, run(t.Context(), []string{"main"}, os.Getenv, &stdout), `arguments ["main"]: none is expected`)
}

// This fails when a key of a stack in this repository needs a state, and withoutState does not have it.
func TestTheStacksOfThisRepositoryAreRendered(t *testing.T) {
	here := side{tree: filepath.Join("..", ".."), program: filepath.Join(t.TempDir(), "render")}
	said, err := output(context.Background(), here.tree, "go", "build", "-o", here.program, "./render")
	require.NoError(t, err, said)
	names, err := here.stackNames()
	require.NoError(t, err)
	assert.Subset(t, names, []string{"dev", "pr", "prod"})
	for _, name := range names {
		least := 50
		if name == "pr" { // the journal alone
			least = 15
		}
		file, err := here.stack(name)
		require.NoError(t, err)
		out := filepath.Join(t.TempDir(), "out")
		refused, err := here.render(context.Background(), name, file, t.TempDir(), out)
		require.NoError(t, err)
		assert.Empty(t, refused, name)
		objects, err := read(out)
		require.NoError(t, err)
		assert.Greater(t, len(objects), least, name)
	}
}
