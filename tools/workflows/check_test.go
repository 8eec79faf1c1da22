package workflows

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// repository is named below this package, so that Go's test cache sees its files.
var repository = os.DirFS(os.Getenv("PWD") + "/../..")

// read returns a file of the repository.
func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := fs.ReadFile(repository, name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// workflows returns the names of all files that GitHub takes for workflows.
func workflows(t *testing.T) (names []string) {
	t.Helper()
	for _, pattern := range []string{"*.yml", "*.yaml"} {
		found, err := fs.Glob(repository, ".github/workflows/"+pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	return names
}

func TestEveryWorkflowKeepsTheRules(t *testing.T) {
	names := workflows(t)
	if len(names) < 4 {
		t.Fatalf("only %q are there", names)
	}
	for _, name := range names {
		faults, err := Check(name, read(t, name), read(t, "Makefile"))
		if err != nil {
			t.Error(err)
		}
		for _, fault := range faults {
			t.Error(fault)
		}
	}
}

// makefile has the targets that the files of testdata call.
const makefile = "apply: go\nci-login: go\non-main:\nplan: go\npr-env: go\n"

// Each file of testdata breaks one rule, and says in its first line what is said about it. good.yml breaks none.
func TestEachFaultIsFoundAndNoOther(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yml")
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(text), "\n")
			want, refused := strings.CutPrefix(first, "# refused: ")
			if refused == strings.HasSuffix(file, "/good.yml") {
				t.Fatalf("begins with %q", first)
			}
			faults, err := Check(file, text, []byte(makefile))
			if err != nil {
				t.Fatal(err)
			}
			if refused && (len(faults) != 1 || !strings.Contains(faults[0], want)) || !refused && len(faults) > 0 {
				t.Errorf("found %d:\n%s\nwant %s", len(faults), strings.Join(faults, "\n"), first)
			}
		})
	}
}

func TestWhatIsNoWorkflowIsRefusedWithItsLine(t *testing.T) {
	faults, err := Check("broken.yml", []byte("on: push\njobs: [\n"), nil)
	if err != nil || len(faults) == 0 || !strings.HasPrefix(faults[0], "broken.yml:") {
		t.Errorf("got %q, %v", faults, err)
	}
}

// One action has one commit in all workflows, and Pulumi's program the version of its SDK.
func TestEveryActionHasOneVersion(t *testing.T) {
	pins := map[string][]string{}
	var pulumi []string
	for _, name := range workflows(t) {
		for _, use := range regexp.MustCompile(`uses: ([\w./-]+)@(.*)`).FindAllStringSubmatch(string(read(t, name)), -1) {
			pins[use[1]] = append(pins[use[1]], use[2])
		}
		for _, use := range regexp.MustCompile(`pulumi-version: ([\d.]+)`).FindAllStringSubmatch(string(read(t, name)), -1) {
			pulumi = append(pulumi, use[1])
		}
	}
	for action, versions := range pins {
		if slices.Sort(versions); len(slices.Compact(versions)) != 1 {
			t.Errorf("%s: the workflows have different commits: %q", action, slices.Compact(versions))
		}
	}
	sdk := regexp.MustCompile(`github\.com/pulumi/pulumi/sdk/v3 v([\d.]+)\n`).FindStringSubmatch(string(read(t, "go.mod")))
	if slices.Sort(pulumi); len(sdk) != 2 || !slices.Equal(slices.Compact(pulumi), sdk[1:]) {
		t.Errorf("the workflows install pulumi %q, and go.mod has the SDK %q", slices.Compact(pulumi), sdk)
	}
}
