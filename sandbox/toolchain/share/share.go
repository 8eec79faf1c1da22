// Package share pushes the programs that the toolchain has built to a container registry, and pulls them, so that a team builds
// them once. A pull names them by digest, and so gets exactly what was pushed.
package share

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/internal/command"
	"example.com/journal/sandbox/toolchain"
)

// Push uploads the programs in dir.Bin to a registry, such as registry.example.com/team-a, with the credentials that `docker
// login` or `podman login` has stored. It returns the reference for Pull: journal-toolchain in that registry, by digest.
func Push(ctx context.Context, dir cache.Dir, registry string) (string, error) {
	repository, err := name.NewRepository(strings.TrimSuffix(registry, "/") + "/journal-toolchain")
	if err != nil {
		return "", fmt.Errorf("registry %q: %w; write a host and perhaps a path, such as registry.example.com/team-a", registry, err)
	}
	for _, program := range toolchain.All {
		if _, err := os.Stat(filepath.Join(dir.Bin(), "."+program+".key")); err != nil {
			return "", fmt.Errorf("%w: build all programs first (make toolchain)", err)
		}
	}
	archive := dir.Path("toolchain.tar")
	defer func() { _ = os.Remove(archive) }()
	if _, err := command.Output(exec.CommandContext(ctx, "tar", "--create", "--file="+archive, "--directory="+dir.Bin(), ".")); err != nil {
		return "", err
	}
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{Architecture: runtime.GOARCH, OS: runtime.GOOS, RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		return "", err
	}
	if image, err = crane.Append(image, archive); err != nil {
		return "", err
	}
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	reference := repository.Digest(digest.String()).String()
	if err := crane.Push(image, reference, crane.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("push %s: %w", reference, err)
	}
	return reference, nil
}

// Pull downloads the programs that Push has uploaded into dir.Bin. Programs that do not match the checkout are built later.
func Pull(ctx context.Context, dir cache.Dir, reference string) error {
	if _, err := name.NewDigest(reference); err != nil {
		return fmt.Errorf("toolchain %q: %w; name it by its digest, as push prints it: registry.example.com/team-a/journal-toolchain@sha256:…", reference, err)
	}
	image, err := crane.Pull(reference, crane.WithContext(ctx))
	config := &v1.ConfigFile{}
	if err == nil {
		config, err = image.ConfigFile()
	}
	if err != nil {
		return fmt.Errorf("pull %s: %w", reference, err)
	}
	if config.Architecture != runtime.GOARCH || config.OS != runtime.GOOS {
		return fmt.Errorf("toolchain %s is for %s/%s, and this machine is %s/%s: build it here", reference, config.OS, config.Architecture, runtime.GOOS, runtime.GOARCH)
	}
	// Pull unpacks into a separate folder first: half a program must not look like a whole one.
	work, err := os.MkdirTemp(dir.Root(), ".pull-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	content := mutate.Extract(image)
	defer func() { _ = content.Close() }()
	untar := exec.CommandContext(ctx, "tar", "--extract", "--no-same-owner", "--directory="+work)
	untar.Stdin = content
	_, err = command.Output(untar)
	if err == nil {
		_, err = io.Copy(io.Discard, content) // to its end, where the digest is checked
	}
	if err != nil {
		return fmt.Errorf("pull %s: %w", reference, err)
	}
	if err := os.RemoveAll(dir.Path("bin")); err != nil {
		return err
	}
	return os.Rename(work, dir.Path("bin"))
}
