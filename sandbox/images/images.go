// Package images builds the container images of the journal without a container engine: our own programs from the
// services folder, NGINX and Redis from Debian's packages. Every image works as any user and with a read-only root filesystem.
package images

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sync/errgroup"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/internal/disk"
)

// origin is the first part of all references. It exists nowhere: the images are imported into the node, or pushed elsewhere.
const origin = "journal.example.com"

// keepArchives is how many archives of one image stay in the cache; going back to a recent commit is then free.
const keepArchives = 5

// sources are this package's own files: an archive in the cache is out of date when the recipe has changed.
//
//go:embed *.go pause/*.go
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
	services string
	dir      cache.Dir
	revision revision

	lock     sync.Mutex
	progress io.Writer
}

// Build makes the images of the checkout at repo and returns them; those that are in the cache already are not made
// again. It reports what it does to progress, which may be nil. It needs git, the Go tool and a Debian machine, but not root.
func Build(ctx context.Context, repo string, dir cache.Dir, progress io.Writer) ([]Image, error) {
	rev, err := readRevision(ctx, repo)
	if err != nil {
		return nil, fmt.Errorf("container images: %w", err)
	}
	b := &builder{services: filepath.Join(repo, "services"), dir: dir, revision: rev, progress: progress}
	recipes := []func(context.Context) (recipe, error){
		b.goProgram("journal-api", "apiImage", "8080/tcp"),
		b.goProgram("namespace-controller", "claimsImage", "8080/tcp", "8081/tcp"),
		b.web, b.redis, b.pause,
	}
	images := make([]Image, len(recipes))
	group, ctx := errgroup.WithContext(ctx)
	for i, r := range recipes {
		group.Go(func() error {
			recipe, err := r(ctx)
			if err == nil {
				images[i], err = b.image(ctx, recipe)
			}
			if err != nil {
				return fmt.Errorf("container image %s: %w", recipe.name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return images, nil
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
		b.report("%s: unchanged (%s)", r.name, image.Reference)
		return image, nil
	}
	b.report("%s: building", r.name)
	content, err := r.build(ctx)
	if err != nil {
		return Image{}, err
	}
	// A killed run leaves no half archive under the name by which the next one would take it for whole.
	if err := disk.Replace(image.Archive, 0o644, func(w io.Writer) error { return tarball.Write(tag, content, w) }); err != nil {
		return Image{}, err
	}
	info, err := os.Stat(image.Archive)
	if err != nil {
		return Image{}, err
	}
	prune(b.dir.Images(), r.name)
	b.report("%s: built in %.1f s, %.1f MiB (%s)", r.name, time.Since(start).Seconds(), float64(info.Size())/(1<<20), image.Reference)
	return image, nil
}

func (b *builder) report(format string, args ...any) {
	if b.progress == nil {
		return
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	_, _ = fmt.Fprintf(b.progress, "image "+format+"\n", args...)
}

// key names the content of the image, and changes with it.
func (r recipe) key() (string, error) {
	hash := sha256.New()
	encoder := json.NewEncoder(hash)
	if err := encoder.Encode([]any{r.name, r.tag, runtime.GOARCH, r.config, r.inputs}); err != nil {
		return "", err
	}
	err := fs.WalkDir(sources, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := sources.ReadFile(path)
		return errors.Join(err, encoder.Encode(text))
	})
	return hex.EncodeToString(hash.Sum(nil)[:8]), err
}

// build assembles the image. Nothing in it depends on when, where or by whom it is built.
func (r recipe) build(ctx context.Context) (v1.Image, error) {
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		Created:      v1.Time{Time: epoch},
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

// prune removes the archives of an image that were not used for the longest time, and what a killed run left. It may fail:
// then there is only less free space.
func prune(dir, name string) {
	age := func(path string) time.Time {
		info, err := os.Stat(path)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	archives, _ := filepath.Glob(filepath.Join(dir, name+"-*.tar"))
	slices.SortFunc(archives, func(a, b string) int { return age(b).Compare(age(a)) })
	for _, archive := range archives[min(keepArchives, len(archives)):] {
		_ = os.Remove(archive)
	}
	left, _ := filepath.Glob(filepath.Join(dir, disk.Temporary))
	for _, path := range left {
		if time.Since(age(path)) > time.Hour {
			_ = os.Remove(path)
		}
	}
}
