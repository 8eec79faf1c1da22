package images

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Two people who check out one commit get one digest: folder, umask, times of the files and the flags of their shell do not matter.
func TestTwoBuildsInTwoFoldersHaveOneDigest(t *testing.T) {
	kinds := map[string]func(repo string) ([]v1.Layer, error){
		"a Go program": func(repo string) ([]v1.Layer, error) {
			return goLayer(filepath.Join(repo, "services/journal-api"), ".")(t.Context())
		},
		"packages with the page": func(repo string) ([]v1.Layer, error) {
			rev, err := readRevision(t.Context(), repo)
			if err != nil {
				return nil, err
			}
			page, err := page(repo, rev)
			if err != nil {
				return nil, err
			}
			return debianLayers(t.Context(), filepath.Join(repo, "packages"), page)
		},
	}
	digests := map[string][][]v1.Hash{}
	for _, person := range []struct {
		umask       int
		age         time.Duration
		folder      string
		environment map[string]string
	}{
		{0o022, 0, ".", nil},
		{0o077, 1000 * time.Hour, "a/folder of/somebody", map[string]string{"GOFLAGS": "-gcflags=all=-dwarf=false", "GOAMD64": "v3", "TZ": "Asia/Tokyo", "LC_ALL": "C"}},
	} {
		before := syscall.Umask(person.umask)
		t.Cleanup(func() { syscall.Umask(before) })
		for variable, value := range person.environment {
			t.Setenv(variable, value)
		}
		repo := filepath.Join(t.TempDir(), person.folder)
		if err := os.MkdirAll(repo, 0o700); err != nil {
			t.Fatal(err)
		}
		git(t, repo, "init", "-q")
		services(t, repo)
		git(t, repo, "add", ".")
		git(t, repo, "commit", "-m", "Add services")
		write(t, repo, "packages/usr/sbin/nginx", "stands for NGINX")
		write(t, repo, "packages/usr/lib/lib.so", "stands for a library")
		when := time.Now().Add(-person.age)
		if err := filepath.WalkDir(repo, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				err = os.Chtimes(path, when, when)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for kind, build := range kinds {
			layers, err := build(repo)
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			var all []v1.Hash
			for _, layer := range layers {
				digest, err := layer.Digest()
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, digest)
			}
			digests[kind] = append(digests[kind], all)
		}
	}
	for kind, of := range digests {
		if len(of[0]) == 0 || !slices.Equal(of[0], of[1]) {
			t.Errorf("%s: got the layers %s and %s", kind, of[0], of[1])
		}
	}
}
