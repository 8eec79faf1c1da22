// Package images builds container images without a container engine: of our own programs from the services folder, and of those of
// other projects from pinned Go modules and Debian packages. Every image runs as any user and with a read-only root filesystem.
package images

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sync/errgroup"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/internal/disk"
)

// Origin is the registry in all references. It does not exist: the images are imported into the node or pushed elsewhere.
const Origin = "journal.example.com"

// keepArchives is how many archives of one image stay in the cache, so that going back to a recent commit needs no build.
const keepArchives = 5

// sources are this package's own files. When they change, the archives in the cache are out of date.
//
//go:embed images.go kinds.go layer.go page.go recipes.go pause
var sources embed.FS

// Image is a container image that was built.
type Image struct {
	// ConfigKey is the path in the stack's configuration that takes the reference, such as api.image. That of Pause is empty.
	ConfigKey string
	// Reference is the name and tag. The tag of our own images identifies one content: that of a commit, or of the working files.
	Reference string
	// Archive is the path of a docker-archive tar that `ctr image import` and `docker load` take.
	Archive string
	// Digest is that of the image in the registries that it was pushed to. It is empty before.
	Digest string
}

// In returns the reference that the image has after a Push to a registry, which may end in a path: registry.example.com/team-a.
// Without a registry, it is the image's own reference.
func (i Image) In(registry string) (string, error) {
	if registry == "" {
		return i.Reference, nil
	}
	tag, err := name.NewTag(strings.TrimSuffix(registry, "/") + strings.TrimPrefix(i.Reference, Origin))
	if err != nil {
		return "", fmt.Errorf("registry %q: %w; write a host and perhaps a path, such as registry.example.com/team-a", registry, err)
	}
	return tag.String(), nil
}

// Push uploads the images to a registry for use by another cluster, with the credentials that `docker login` or `podman login`
// has stored, and notes their digests.
func Push(ctx context.Context, images []Image, registry string, log io.Writer) error {
	for i, image := range images {
		reference, err := image.In(registry)
		if err != nil {
			return err
		}
		content, err := crane.Load(image.Archive)
		if err == nil {
			err = crane.Push(content, reference, crane.WithContext(ctx))
		}
		var digest v1.Hash
		if err == nil {
			digest, err = content.Digest()
		}
		if err != nil {
			return fmt.Errorf("push %s to %s: %w", image.Reference, registry, err)
		}
		images[i].Digest = digest.String()
		fmt.Fprintf(log, "pushed %s\n", image.Reference)
	}
	return nil
}

// recipe says how one image is made.
type recipe struct {
	Kind     // with the tag as its version
	repo     string
	dir      cache.Dir
	progress io.Writer
	rev      revision

	// inputs identify, together with the recipe itself, everything that determines the content.
	inputs []string
	config v1.Config
	layers func(context.Context) ([]v1.Layer, error)
}

const versionLabel = "org.opencontainers.image.version"

// Build returns images of the checkout at repo, in the order of their kinds. It makes those that are not in the cache, and reports
// what it does to progress. It needs git, the Go tool and a Debian machine, but not root.
func Build(ctx context.Context, repo string, dir cache.Dir, progress io.Writer, kinds ...Kind) ([]Image, error) {
	if len(kinds) == 0 {
		return nil, nil
	}
	rev, err := readRevision(ctx, repo)
	if err != nil {
		return nil, fmt.Errorf("container images: %w", err)
	}
	images := make([]Image, len(kinds))
	report := log.New(progress, "image ", 0) // writes whole lines, also from several goroutines
	group, ctx := errgroup.WithContext(ctx)
	for i, k := range kinds {
		group.Go(func() error {
			r := recipe{Kind: k, repo: repo, dir: dir, progress: progress, rev: rev, config: v1.Config{
				// The user of the programs, unless the pod sets another. Kubernetes can check only a number for runAsNonRoot.
				User: "10001:10001", WorkingDir: "/", Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
				Labels:     map[string]string{"org.opencontainers.image.title": k.Name, versionLabel: k.Version},
				Entrypoint: []string{"/" + k.Name},
			}}
			err := k.source(ctx, &r)
			if err == nil {
				images[i], err = r.image(ctx, dir.Images(), report)
			}
			if err != nil {
				err = fmt.Errorf("container image %s: %w", k.Name, err)
			}
			return err
		})
	}
	return images, group.Wait()
}

// image makes the image, unless the folder of archives has it.
func (r recipe) image(ctx context.Context, folder string, report *log.Logger) (Image, error) {
	start := time.Now()
	tag, err := name.NewTag(Origin+"/"+r.Name+":"+r.Version, name.StrictValidation)
	if err != nil {
		return Image{}, err
	}
	key, err := r.key()
	if err != nil {
		return Image{}, err
	}
	image := Image{ConfigKey: r.Key, Reference: tag.String(), Archive: filepath.Join(folder, r.Name+"-"+key+".tar")}
	if os.Chtimes(image.Archive, start, start) == nil {
		report.Printf("%s: unchanged (%s)", r.Name, image.Reference)
		return image, nil
	}
	report.Printf("%s: building", r.Name)
	content, err := r.build(ctx)
	if err != nil {
		return Image{}, err
	}
	// A killed run must not leave half an archive under this name: the next run would take it for a whole one.
	if err := disk.Replace(image.Archive, 0o644, func(w io.Writer) error { return tarball.Write(tag, content, w) }); err != nil {
		return Image{}, err
	}
	prune(folder, r.Name)
	report.Printf("%s: built in %.1f s (%s)", r.Name, time.Since(start).Seconds(), image.Reference)
	return image, nil
}

// key names the content of the image, and changes with it.
func (r recipe) key() (string, error) {
	hash := sha256.New()
	err := errors.Join(
		json.NewEncoder(hash).Encode([]any{r.Name, r.Version, runtime.GOARCH, runtime.Version(), r.config, r.inputs}),
		tar.NewWriter(hash).AddFS(sources),
	)
	return fmt.Sprintf("%x", hash.Sum(nil)[:8]), err
}

// build assembles the image. Its content does not depend on when, where or by whom it is built.
func (r recipe) build(ctx context.Context) (v1.Image, error) {
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		Created:      v1.Time{Time: time.Unix(0, 0).UTC()},
		RootFS:       v1.RootFS{Type: "layers"},
		Config:       r.config,
	})
	if err != nil {
		return nil, err
	}
	layers, err := r.layers(ctx)
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(image, layers...)
}

// prune removes the archives of an image that were not used for the longest time, and unfinished ones of killed runs.
// Its errors are ignored: they cost only disk space.
func prune(folder, name string) {
	entries, _ := os.ReadDir(folder)
	var archives []fs.FileInfo
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && strings.HasPrefix(strings.TrimPrefix(entry.Name(), "."), name+"-") {
			archives = append(archives, info)
		}
	}
	slices.SortFunc(archives, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, archive := range archives[min(keepArchives, len(archives)):] {
		_ = os.Remove(filepath.Join(folder, archive.Name()))
	}
}
