// Package images builds the container images of the journal without a container engine: our own programs from the
// services folder, NGINX and Redis from Debian's packages. Every image works as any user and with a read-only root filesystem.
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
	"log"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sync/errgroup"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/debian"
	"example.com/journal/sandbox/internal/disk"
)

// origin is the first part of all references. It exists nowhere: the images are imported into the node, or pushed elsewhere.
const origin = "journal.example.com"

// keepArchives is how many archives of one image stay in the cache; going back to a recent commit is then free.
const keepArchives = 5

// sources are this package's own files: an archive in the cache is out of date when the recipe has changed.
//
//go:embed images.go layer.go recipes.go pause
var sources embed.FS

// Image is a container image that was built.
type Image struct {
	// ConfigKey is the stack's config key that takes the reference, such as "apiImage"; empty for an image that only the
	// node itself uses.
	ConfigKey string
	// Reference is the name and tag. An own image's tag names one content: that of a commit, or of the working files.
	Reference string
	// Archive is the path of a docker-archive tar that `ctr image import` and `docker load` take.
	Archive string
}

// recipe says how one image is made.
type recipe struct {
	name, configKey, tag string
	// inputs name, besides the recipe itself, all that decides on the content.
	inputs []string
	config v1.Config
	layers func(ctx context.Context) ([]files, error)
}

// builder holds what the recipes share.
type builder struct {
	repo     string
	dir      cache.Dir
	revision revision
	log      *log.Logger
}

func newBuilder(ctx context.Context, repo string, dir cache.Dir, progress io.Writer) (*builder, error) {
	if progress == nil {
		progress = io.Discard
	}
	rev, err := readRevision(ctx, repo)
	return &builder{repo: repo, dir: dir, revision: rev, log: log.New(progress, "image ", 0)}, err
}

// Build makes the images of the checkout at repo and returns them; those that are in the cache already are not made
// again. It reports what it does to progress, which may be nil. It needs git, the Go tool and a Debian machine, but not root.
func Build(ctx context.Context, repo string, dir cache.Dir, progress io.Writer) ([]Image, error) {
	b, err := newBuilder(ctx, repo, dir, progress)
	if err != nil {
		return nil, fmt.Errorf("container images: %w", err)
	}
	nginx, err := debian.Extract(ctx, dir.Debian(), "nginx", "nginx")
	if err != nil {
		return nil, err
	}
	redis, err := debian.Extract(ctx, dir.Debian(), "redis", "redis-server", "redis-tools", "dash", "busybox")
	if err != nil {
		return nil, err
	}
	recipes := []recipe{
		b.goProgram("journal-api", "apiImage", "8080/tcp"),
		b.goProgram("namespace-controller", "claimsImage", "8080/tcp", "8081/tcp"),
		b.web(nginx), b.redis(redis), b.pause(),
	}
	images := make([]Image, len(recipes))
	group, ctx := errgroup.WithContext(ctx)
	for i, r := range recipes {
		group.Go(func() (err error) {
			if images[i], err = b.image(ctx, r); err != nil {
				err = fmt.Errorf("container image %s: %w", r.name, err)
			}
			return err
		})
	}
	return images, group.Wait()
}

// image makes one image, or finds it in the cache.
func (b *builder) image(ctx context.Context, r recipe) (Image, error) {
	start := time.Now()
	tag, err := name.NewTag(origin+"/"+r.name+":"+r.tag, name.StrictValidation)
	if err != nil {
		return Image{}, err
	}
	key, err := r.key()
	if err != nil {
		return Image{}, err
	}
	image := Image{ConfigKey: r.configKey, Reference: tag.String(), Archive: filepath.Join(b.dir.Images(), r.name+"-"+key+".tar")}
	if now := time.Now(); os.Chtimes(image.Archive, now, now) == nil {
		b.log.Printf("%s: unchanged (%s)", r.name, image.Reference)
		return image, nil
	}
	b.log.Printf("%s: building", r.name)
	content, err := r.build(ctx)
	if err != nil {
		return Image{}, err
	}
	// A killed run leaves no half archive under the name by which the next one would take it for whole.
	if err := disk.Replace(image.Archive, 0o644, func(w io.Writer) error { return tarball.Write(tag, content, w) }); err != nil {
		return Image{}, err
	}
	prune(b.dir.Images(), r.name)
	b.log.Printf("%s: built in %.1f s (%s)", r.name, time.Since(start).Seconds(), image.Reference)
	return image, nil
}

// key names the content of the image, and changes with it.
func (r recipe) key() (string, error) {
	hash := sha256.New()
	err := errors.Join(
		json.NewEncoder(hash).Encode([]any{r.name, r.tag, runtime.GOARCH, runtime.Version(), r.config, r.inputs}),
		tar.NewWriter(hash).AddFS(sources),
	)
	return fmt.Sprintf("%x", hash.Sum(nil)[:8]), err
}

// build assembles the image. Nothing in it depends on when, where or by whom it is built.
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
	contents, err := r.layers(ctx)
	if err != nil {
		return nil, err
	}
	for _, files := range contents {
		layer, err := files.layer()
		if err != nil {
			return nil, err
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			return nil, err
		}
	}
	return image, nil
}

// prune removes the archives of an image that were not used for the longest time, also such as a killed run has not finished.
// It may fail: then there is only less free space.
func prune(dir, name string) {
	used := func(path string) (t time.Time) {
		if info, err := os.Stat(path); err == nil {
			t = info.ModTime()
		}
		return t
	}
	archives, _ := filepath.Glob(filepath.Join(dir, name+"-*"))
	unfinished, _ := filepath.Glob(filepath.Join(dir, "."+name+"-*"))
	archives = append(archives, unfinished...)
	slices.SortFunc(archives, func(a, b string) int { return used(b).Compare(used(a)) })
	for _, archive := range archives[min(keepArchives, len(archives)):] {
		_ = os.Remove(archive)
	}
}
