package images

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
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
		reference, err := image.In(registry)
		if err != nil {
			return err
		}
		content, err := crane.Load(image.Archive)
		if err == nil {
			err = crane.Push(content, reference, crane.WithContext(ctx))
		}
		if err != nil {
			return fmt.Errorf("push %s to %s: %w", image.Reference, registry, err)
		}
		fmt.Fprintf(log, "pushed %s\n", image.Reference)
	}
	return nil
}
