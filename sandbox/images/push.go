package images

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// In returns the reference that the image has after a Push to a registry, which may end in a path: registry.example.com/team-a.
func (i Image) In(target string) (string, error) {
	tag, err := name.NewTag(strings.TrimSuffix(target, "/") + strings.TrimPrefix(i.Reference, origin))
	if err != nil {
		return "", fmt.Errorf("registry %q: %w; write a host and perhaps a path, such as registry.example.com/team-a", target, err)
	}
	return tag.String(), nil
}

// Push uploads the images to a registry for use by another cluster, with the credentials that `docker login` or `podman login`
// has stored. Images that only the sandbox's node uses are left out.
func Push(ctx context.Context, images []Image, registry string, log io.Writer) error {
	for _, image := range images {
		if image.ConfigKey == "" {
			continue
		}
		if err := push(ctx, image, registry); err != nil {
			return fmt.Errorf("push %s to %s: %w", image.Reference, registry, err)
		}
		if _, err := fmt.Fprintf(log, "pushed %s\n", image.Reference); err != nil {
			return err
		}
	}
	return nil
}

func push(ctx context.Context, image Image, registry string) error {
	reference, err := image.In(registry)
	if err != nil {
		return err
	}
	to, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	from, err := name.NewTag(image.Reference)
	if err != nil {
		return err
	}
	content, err := tarball.ImageFromPath(image.Archive, &from)
	if err != nil {
		return err
	}
	return remote.Write(to, content, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
}
