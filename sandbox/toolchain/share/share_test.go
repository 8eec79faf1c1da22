package share

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/toolchain"
)

func open(t *testing.T) cache.Dir {
	t.Helper()
	dir, err := cache.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func startRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/team-a"
}

// build stands in for a build: each program is a small file.
func build(t *testing.T, dir cache.Dir) map[string]string {
	t.Helper()
	files := map[string]string{"traefik.d/kinds.yaml": "kind: CustomResourceDefinition\n"}
	for _, program := range toolchain.All {
		files[program] = "#!" + program
		files["."+program+".key"] = "key of " + program
	}
	for name, text := range files {
		path := filepath.Join(dir.Bin(), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestWhatOneMachineHasPushedAnotherPulls(t *testing.T) {
	registry, from, to := startRegistry(t), open(t), open(t)
	files := build(t, from)
	reference, err := Push(t.Context(), from, registry)
	if err != nil {
		t.Fatal(err)
	}
	if err := Pull(t.Context(), to, reference); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(to.Bin(), name)
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%s holds %q (%v)", name, got, err)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().Perm() != 0o755 {
			t.Errorf("%s has mode %s", name, info.Mode())
		}
	}
}

func TestAToolchainIsPulledByItsDigestAlone(t *testing.T) {
	registry, dir := startRegistry(t), open(t)
	build(t, dir)
	if _, err := Push(t.Context(), dir, registry); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ sentence, reference, says string }{
		{"a tag", registry + "/journal-toolchain:latest", "name it by its digest"},
		{"a digest that is not there", registry + "/journal-toolchain@sha256:" + strings.Repeat("0", 64), "pull "},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			if err := Pull(t.Context(), open(t), c.reference); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("says %v", err)
			}
		})
	}
}

func TestHalfAToolchainIsNotPushed(t *testing.T) {
	dir := open(t)
	build(t, dir)
	if err := os.Remove(filepath.Join(dir.Bin(), ".traefik.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := Push(t.Context(), dir, startRegistry(t)); err == nil || !strings.Contains(err.Error(), "make toolchain") {
		t.Errorf("error %v", err)
	}
}
