// Package share puts the programs that the toolchain has built into a container registry, and takes them from there, so that a team
// builds them once. What is taken is named by its digest, and so is what was pushed and nothing else.
package share

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/toolchain"
)

// Push uploads the programs in dir.Bin to a registry, such as registry.example.com/team-a, with the credentials that `docker login` or
// `podman login` has stored, and returns the reference to pull: journal-toolchain there, by its digest.
func Push(ctx context.Context, dir cache.Dir, registry string) (string, error) {
	repository, err := name.NewRepository(strings.TrimSuffix(registry, "/") + "/journal-toolchain")
	if err != nil {
		return "", fmt.Errorf("registry %q: %w; write a host and perhaps a path, such as registry.example.com/team-a", registry, err)
	}
	for _, program := range toolchain.Names() {
		if _, err := os.Stat(filepath.Join(dir.Bin(), "."+program+".key")); err != nil {
			return "", fmt.Errorf("%w: build all programs first (make toolchain)", err)
		}
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		out, in := io.Pipe()
		go func() {
			archive := tar.NewWriter(in)
			in.CloseWithError(errors.Join(archive.AddFS(os.DirFS(dir.Bin())), archive.Close()))
		}()
		return out, nil
	})
	if err != nil {
		return "", err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return "", err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return "", err
	}
	config.Architecture, config.OS = runtime.GOARCH, runtime.GOOS
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return "", err
	}
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	reference := repository.Digest(digest.String())
	if err := remote.Write(reference, image, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return "", fmt.Errorf("push %s: %w", reference, err)
	}
	return reference.String(), nil
}

// Pull puts the programs that Push has uploaded into dir.Bin. Programs that do not fit the checkout are built all the same afterwards.
func Pull(ctx context.Context, dir cache.Dir, reference string) error {
	digest, err := name.NewDigest(reference)
	if err != nil {
		return fmt.Errorf("toolchain %q: %w; name it by its digest, as push prints it: registry.example.com/team-a/journal-toolchain@sha256:…", reference, err)
	}
	image, err := remote.Image(digest, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return fmt.Errorf("pull %s: %w", reference, err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return fmt.Errorf("pull %s: %w", reference, err)
	}
	if config.Architecture != runtime.GOARCH || config.OS != runtime.GOOS {
		return fmt.Errorf("toolchain %s is for %s/%s, and this machine is %s/%s: build it here", reference, config.OS, config.Architecture, runtime.GOOS, runtime.GOARCH)
	}
	// In a folder of its own first: half a program must not look like a whole one.
	work, err := os.MkdirTemp(dir.Root(), ".pull-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	content := mutate.Extract(image)
	defer func() { _ = content.Close() }()
	if err := unpack(content, work); err != nil {
		return fmt.Errorf("pull %s: %w", reference, err)
	}
	if err := os.RemoveAll(dir.Path("bin")); err != nil {
		return err
	}
	return os.Rename(work, dir.Path("bin"))
}

// unpack writes the files of an archive below a folder.
func unpack(content io.Reader, folder string) error {
	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, content) // to its end, where the digest is checked
			return err
		}
		if err != nil {
			return err
		}
		if !filepath.IsLocal(header.Name) {
			return fmt.Errorf("%q leads out of the toolchain's folder", header.Name)
		}
		path := filepath.Join(folder, header.Name) //nolint:gosec // it is local: see above
		switch header.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
		case tar.TypeReg:
			err = write(path, header.FileInfo().Mode().Perm(), archive)
		default:
			err = fmt.Errorf("%q is no file of the toolchain", header.Name)
		}
		if err != nil {
			return err
		}
	}
}

func write(path string, mode fs.FileMode, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}
