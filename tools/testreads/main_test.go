package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFilesThatTheCacheDoesNotSeeAreNamed(t *testing.T) {
	for _, c := range []struct {
		sentence, log string
		want          []string
	}{
		{"a file of the package", "open testdata/a\n", nil},
		{"a file of the module", "open ../b\n", nil},
		{"the folder of the module", "stat ..\n", nil},
		{"a file outside of the repository", "open /etc/hosts\nopen ../../../c\n", nil},
		{"a file of the repository", "getenv HOME\nopen ../../go.mod\nstat ../../a\nopen ../../a\n", []string{"a", "go.mod"}},
		{"a file that is named below the module's folder", "open /repository/module/package/../../go.mod\n", nil},
		{"a file that is named in both ways", "open ../../go.mod\nstat /repository/module/package/../../go.mod\n", nil},
		{"a file after a change of the folder", "chdir /repository\nopen go.mod\n", []string{"go.mod"}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			got := unseen("# test log\n"+c.log, "/repository/module/package", "/repository/module", "/repository")
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// This holds what the tests of this repository, and unseen, take for granted of the go command.
func TestTheTestCacheSeesFilesThatAreNamedBelowTheModule(t *testing.T) {
	repository := t.TempDir()
	module := filepath.Join(repository, "module")
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(repository, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// The cache takes no result that depends on a file of the last two seconds.
		old := time.Now().Add(-time.Hour + time.Duration(len(text))*time.Second)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	write("module/go.mod", "module example.com/module\n\ngo 1.26\n")
	// The path in the message makes the program another one than that of an earlier run, whose result the cache may still hold.
	for name, file := range map[string]string{"seen": `os.Getenv("PWD") + "/../../file"`, "unseen": `"../../file"`} {
		write("module/"+name+"/a_test.go", "package a\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc Test(t *testing.T) {\n"+
			"\tif _, err := os.ReadFile("+file+"); err != nil {\n\t\tt.Fatal(`"+repository+"`, err)\n\t}\n}\n")
	}
	cached := func() map[string]bool {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "./...")
		cmd.Dir = module
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		found := map[string]bool{}
		for line := range strings.Lines(string(out)) {
			found[filepath.Base(strings.Fields(line)[1])] = strings.Contains(line, "(cached)")
		}
		return found
	}
	write("file", "one")
	if got := cached(); got["seen"] || got["unseen"] {
		t.Fatalf("cached before the first run: %v", got)
	}
	if got := cached(); !got["seen"] || !got["unseen"] {
		t.Fatalf("not cached although nothing has changed: %v", got)
	}
	write("file", "three")
	if got := cached(); got["seen"] || !got["unseen"] {
		t.Errorf("cached after the change of a file that only one test names below its module: %v", got)
	}
}
