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
	v1 "github.com/google/go-containerregistry/pkg/v1"
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
	image := empty.Image
	for _, program := range toolchain.Names() {
		if _, err := os.Stat(keyFile(dir, program)); err != nil {
			return "", fmt.Errorf("%w: build all programs first (make toolchain)", err)
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return pack(dir, program), nil })
		if err != nil {
			return "", err
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			return "", err
		}
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
	layers, err := image.Layers()
	if err != nil {
		return fmt.Errorf("pull %s: %w", reference, err)
	}
	for _, layer := range layers {
		if err := unpackLayer(layer, dir.Bin()); err != nil {
			return fmt.Errorf("pull %s: %w", reference, err)
		}
	}
	return nil
}

func keyFile(dir cache.Dir, program string) string {
	return filepath.Join(dir.Bin(), "."+program+".key")
}

// pack is a program with its files and, last, its key, as a tar archive.
func pack(dir cache.Dir, program string) io.ReadCloser {
	out, in := io.Pipe()
	go func() {
		archive := tar.NewWriter(in)
		add := func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(dir.Bin(), path)
			if err != nil {
				return err
			}
			// Without times and owners, so that the same programs have the same digest.
			header := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size(), Typeflag: tar.TypeReg}
			if err := archive.WriteHeader(header); err != nil {
				return err
			}
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			defer func() { _ = file.Close() }()
			_, err = io.Copy(archive, file)
			return err
		}
		err := add(filepath.Join(dir.Bin(), program))
		found, _ := filepath.Glob(filepath.Join(dir.Bin(), program+".d", "*"))
		for _, path := range append(found, keyFile(dir, program)) {
			if err == nil {
				err = add(path)
			}
		}
		in.CloseWithError(errors.Join(err, archive.Close()))
	}()
	return out
}

// unpackLayer writes the files of a layer, each into its place in one step.
func unpackLayer(layer v1.Layer, target string) error {
	content, err := layer.Uncompressed()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, content) // to its end, where the digest is checked
			return err
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg || !filepath.IsLocal(header.Name) {
			return fmt.Errorf("%q is no file of the toolchain", header.Name)
		}
		path := filepath.Join(target, header.Name) //nolint:gosec // it is local: see above
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := write(path, fs.FileMode(header.Mode).Perm(), archive); err != nil { //nolint:gosec // permissions are small
			return err
		}
	}
}

func write(path string, mode fs.FileMode, content io.Reader) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".pull-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = io.Copy(file, content)
	if err := errors.Join(err, file.Chmod(mode), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
