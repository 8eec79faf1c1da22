package toolchain

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/journal/sandbox/cache"
)

// repository is the checkout. Go's test cache notices a change of a file whose name begins with the module's folder, as here,
// and filepath.Join would shorten the name.
var repository = os.DirFS(os.Getenv("PWD") + "/../..")

// requirement is a line of a go.mod that requires a module.
var requirement = regexp.MustCompile(`^(?:require )?\s*(\S+) (v\S+)(?: // indirect)?$`)

// required returns the versions that a go.mod requires, by module.
func required(t *testing.T, folder string) map[string]string {
	t.Helper()
	file, err := repository.Open(path.Join(folder, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	versions := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if m := requirement.FindStringSubmatch(lines.Text()); m != nil && !strings.HasPrefix(m[1], "example.com/") {
			versions[m[1]] = m[2]
		}
	}
	return versions
}

// services/log-agent is left out: the Collector asks for other versions of what traces it, and nothing is built beside it.
func TestAllModulesOfTheRepositoryRequireOneVersionOfEachModule(t *testing.T) {
	pinned := required(t, "sandbox/toolchain/programs")
	for _, folder := range []string{".", "services", "sandbox", "bench"} {
		versions := required(t, folder)
		if len(versions) == 0 {
			t.Errorf("%s: no requirement was read", folder)
		}
		for module, version := range versions {
			if other, shared := pinned[module]; shared && other != version {
				t.Errorf("%s/go.mod requires %s %s and sandbox/toolchain/programs/go.mod %s: what they share is compiled twice", folder, module, version, other)
			}
		}
	}
}

func TestVersionsThatProgramsReportAreThoseOfGoMod(t *testing.T) {
	pinned := required(t, "sandbox/toolchain/programs")
	versions := map[string]string{
		"kubernetes": pinned["k8s.io/kubernetes"],
		"pulumi":     pinned["github.com/pulumi/pulumi/pkg/v3"],
		"helm":       pinned["helm.sh/helm/v3"],
		// The tags of the images are these versions too.
		"metrics-server":     pinned["sigs.k8s.io/metrics-server"],
		"kube-state-metrics": pinned["k8s.io/kube-state-metrics/v2"],
	}
	for _, p := range programs {
		for _, stamp := range p.stamps {
			if want := versions[p.name]; want == "" || !strings.HasSuffix(stamp, "="+want) {
				t.Errorf("%s is stamped %s, and go.mod has %q", p.name, stamp, want)
			}
		}
	}
	for plugin, sdk := range map[string]string{
		"pulumi-resource-kubernetes": "github.com/pulumi/pulumi-kubernetes/sdk/v4", "pulumi-resource-random": "github.com/pulumi/pulumi-random/sdk/v4",
	} {
		t.Run(plugin, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("programs", plugin, "main.go"))
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("const version = %q", strings.TrimPrefix(pinned[sdk], "v")); !strings.Contains(string(text), want) {
				t.Errorf("there is no %s, the version of the SDK", want)
			}
		})
	}
}

func TestTheIngressControllersChartRunsTheTraefikOfTheSandbox(t *testing.T) {
	text, err := fs.ReadFile(repository, "components/ingress/controller.go")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("const traefikVersion = %q", required(t, "sandbox/toolchain/programs")["github.com/traefik/traefik/v3"]); !strings.Contains(string(text), want) {
		t.Errorf("components/ingress: there is no %s", want)
	}
}

func TestTheMakefileBuildsWithTheFlagsOfTheToolchain(t *testing.T) {
	text, err := fs.ReadFile(repository, "Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"export GOFLAGS := " + flags + "\n", "export CGO_ENABLED := 0\n", "export GOCACHE := $(CACHE)/go-build\n"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("Makefile: there is no line %q, so that tests and sandbox share no compiled package", line)
		}
	}
}

// A cut replaces the generated function that registers each kind of object by a rule. This test compares the two for every kind.
func TestTheRuleForTokensGivesThatOfEveryKindOfTheSDK(t *testing.T) {
	command := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/pulumi/pulumi-kubernetes/sdk/v4")
	command.Dir = "programs"
	dir, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "go/kubernetes/yaml/v2/kinds.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := bytes.Cut(text, []byte("\nfunc RegisterResource("))
	cases := regexp.MustCompile(`case "(.+)/([^/"]+)":\s+var res \S+\s+err := ctx\.RegisterResource\("([^"]+)", name, props, &res, opts\.\.\.\)`).FindAllSubmatch(body, -1)
	if want := bytes.Count(body, []byte("\n\tcase ")); len(cases) != want || want < 100 {
		t.Fatalf("%d of %d cases are as expected", len(cases), want)
	}
	for _, c := range cases {
		group, kind, token := string(c[1]), string(c[2]), string(c[3])
		if !strings.Contains(group, "/") {
			group = "core/" + group
		}
		if got := "kubernetes:" + group + ":" + kind; got != token {
			t.Errorf("%s/%s: the rule gives %s, the SDK %s", c[1], kind, got, token)
		}
	}
}

func TestAProgramIsBuiltAgainWhenWhatItIsMadeOfChanges(t *testing.T) {
	checkout := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(checkout, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"components", "internal", "stacks", "sandbox/toolchain/programs"} {
		write(folder+"/a.go", "package a")
	}
	for _, name := range []string{"main.go", "go.mod", "go.sum"} {
		write(name, "")
	}
	dir, err := cache.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{repo: checkout, dir: dir}
	names := []string{"sandbox", "traefik"}
	built := func() (missing []string) {
		t.Helper()
		programs, err := b.missing(names)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range programs {
			missing = append(missing, p.name)
			for _, path := range []string{filepath.Join(dir.Bin(), p.name), b.keyFile(p)} {
				if err := os.WriteFile(path, []byte(p.key), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		return missing
	}
	for _, step := range []struct {
		change string
		want   []string
	}{
		{"", names},
		{"", nil},
		{"stacks/a.go", []string{"sandbox"}},
		{"stacks/a_test.go", nil},
		{"stacks/testdata/dev.yaml", nil},
		{"sandbox/e2e/a.go", nil},
		{"sandbox/toolchain/programs/_cuts/a/cut.go", names},
	} {
		if step.change != "" {
			write(step.change, "package changed")
		}
		if got := built(); !slices.Equal(got, step.want) {
			t.Errorf("after a change of %q %v are missing, want %v", step.change, got, step.want)
		}
	}
}

func TestACutReplacesOneFileOrAllGoFilesOfAFolderOrAddsOne(t *testing.T) {
	module, files := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(module, "a/one.go"):         "original",
		filepath.Join(module, "a/two.go"):         "original",
		filepath.Join(module, "a/data.json"):      "original",
		filepath.Join(module, "a/below/three.go"): "original",
		filepath.Join(module, "b/four.go"):        "original",
		filepath.Join(module, "b/five.go"):        "original",
		filepath.Join(files, "a", cutFile):        "cut",
		filepath.Join(files, "b/four.go"):         "cut",
		filepath.Join(files, "b", addFile):        "added",
		filepath.Join(files, "gone", cutFile):     "cut",
		filepath.Join(files, "b/gone/six.go"):     "cut",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	if packages, err := packagesBelow(files); err != nil || fmt.Sprint(packages) != "[a b b/gone gone]" {
		t.Errorf("the packages are %v (%v)", packages, err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	for range 2 { // the second time over the first
		if err := copyModule(t.Context(), module, copied); err != nil {
			t.Fatal(err)
		}
		for _, pkg := range []string{"a", "b"} {
			if err := replaceFiles(filepath.Join(copied, pkg), filepath.Join(files, pkg)); err != nil {
				t.Fatal(err)
			}
		}
		got := map[string]string{}
		for _, pattern := range []string{"*", "*/*", "*/*/*"} {
			paths, _ := filepath.Glob(filepath.Join(copied, pattern))
			for _, path := range paths {
				if text, err := os.ReadFile(path); err == nil {
					name, _ := filepath.Rel(copied, path)
					got[name] = string(text)
				}
			}
		}
		want := map[string]string{"a/" + cutFile: "cut", "a/data.json": "original", "a/below/three.go": "original", "b/four.go": "cut", "b/" + addFile: "added", "b/five.go": "original"}
		if !maps.Equal(got, want) {
			t.Errorf("the copy has\n%v\nwant\n%v", got, want)
		}
	}
	if original, _ := os.ReadFile(filepath.Join(module, "b/four.go")); string(original) != "original" {
		t.Error("the module itself was changed")
	}
	for _, pkg := range []string{"gone", "b/gone"} {
		if err := replaceFiles(filepath.Join(copied, pkg), filepath.Join(files, pkg)); err == nil || !strings.Contains(err.Error(), "the pinned version has no") {
			t.Errorf("a cut of files that are not there: %v", err)
		}
	}
}

func TestABuildThatGoesOnCountsWhatWasCompiledBefore(t *testing.T) {
	dir := t.TempDir()
	packages := map[string]int{"one": 10, "two": 10, "three": 5, "four": 15}
	build := func(compiled ...string) string {
		var out bytes.Buffer
		r := newReporter(&out, filepath.Join(dir, "compiled"))
		r.compiles(packages)
		for _, name := range compiled {
			r.counts(name)
			r.counts("not listed")
		}
		r.say()
		r.stop()
		return out.String()
	}
	if got := build("one"); !strings.Contains(got, "0 %: 4 of 4 packages") || !strings.Contains(got, "25 %: 3 of 4 packages") {
		t.Errorf("a first build says\n%s", got)
	}
	if got := build("two", "three"); !strings.Contains(got, "25 %: 3 of 3 packages") || !strings.Contains(got, "62 %: 1 of 3 packages") {
		t.Errorf("a build that goes on says\n%s", got)
	}
}

func TestTheEstimateFollowsWhatWasMeasured(t *testing.T) {
	var out bytes.Buffer
	r := &reporter{out: &out, files: map[string]int{"a": 50_000, "b": 50_000}, left: map[string]int{"b": 50_000}, before: 100_000, began: time.Now().Add(-1000 * time.Second)}
	r.say()
	_, estimate, _ := strings.Cut(out.String(), "about ")
	left, err := time.ParseDuration(strings.TrimSuffix(strings.TrimSpace(estimate), " left"))
	if err != nil {
		t.Fatal(err)
	}
	if left != 1000*time.Second { // half is done in 1000 s
		t.Errorf("%q: %s are left", out.String(), left)
	}
}
