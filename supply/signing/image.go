// Package signing signs container images, and refuses to trust those that are not signed. An image in a registry has two other
// objects that refer to it: a signature of the Notary Project, with a chain of X.509 certificates, and a bill of what is in it,
// which has a signature of its own.
package signing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// image is an image in a registry, by its digest.
type image struct {
	// repository is the registry and the path in it, such as docker.io/library/redis.
	repository string
	// tag is the tag that the reference has beside the digest, or nothing.
	tag string
	// digest is that of the image, or nothing in a reference that has a tag alone.
	digest string
	remote *remote.Repository
}

// pinned is the reference that everything but the digest is left out of.
func (i image) pinned() string { return i.repository + "@" + i.digest }

// open returns the image of a reference, which must have a digest: the content of a tag can change between two looks at it.
func open(written string) (image, error) {
	i, err := parse(written)
	if err == nil && i.digest == "" {
		err = errors.New("no digest, so its content can change; write it with the digest that was built and checked, as in registry.example.com/app:1.2.3@sha256:…")
	}
	return i, err
}

// parse returns the image of a reference, perhaps without a digest.
func parse(written string) (image, error) {
	named, err := reference.ParseNormalizedNamed(written)
	if err != nil {
		return image{}, fmt.Errorf("not a reference of an image: %w; write one such as registry.example.com/app:1.2.3@sha256:…", err)
	}
	i := image{repository: named.Name()}
	if tagged, is := named.(reference.Tagged); is {
		i.tag = tagged.Tag()
	}
	if digested, is := named.(reference.Digested); is {
		i.digest = digested.Digest().String()
	}
	if i.remote, err = remote.NewRepository(i.repository); err != nil {
		return image{}, err
	}
	host, _, err := net.SplitHostPort(reference.Domain(named))
	if err != nil {
		host = reference.Domain(named)
	}
	// A registry on this machine has no certificate.
	i.remote.PlainHTTP = host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host).IsLoopback()
	i.remote.Client = &auth.Client{Client: retry.DefaultClient, Cache: auth.NewCache(), Credential: credential(i.repository, i.remote.Reference.Host())}
	return i, nil
}

// credential returns what `docker login` or `podman login` has stored for the registry of a repository. No other host gets it, wherever
// the registry sends a request.
func credential(repository, host string) auth.CredentialFunc {
	return func(ctx context.Context, asking string) (auth.Credential, error) {
		if asking != host {
			return auth.EmptyCredential, nil
		}
		target, err := name.NewRepository(repository)
		if err != nil {
			return auth.EmptyCredential, err
		}
		found, err := authn.Resolve(ctx, authn.DefaultKeychain, target)
		if err != nil {
			return auth.EmptyCredential, err
		}
		config, err := authn.Authorization(ctx, found)
		if err != nil {
			return auth.EmptyCredential, err
		}
		return auth.Credential{
			Username: config.Username, Password: config.Password, RefreshToken: config.IdentityToken, AccessToken: config.RegistryToken,
		}, nil
	}
}

// resolve returns what the registry has under the digest.
func (i image) resolve(ctx context.Context) (ocispec.Descriptor, error) {
	found, err := i.remote.Manifests().Resolve(ctx, i.digest)
	if errors.Is(err, errdef.ErrNotFound) {
		return found, fmt.Errorf("digest: the registry has no %s; push the image, or correct the digest", i.pinned())
	}
	if err != nil {
		return found, fmt.Errorf("digest: the registry does not say what %s is: %w", i.pinned(), err)
	}
	return found, nil
}

// tagged refuses a tag that is of another image than the digest: a person who reads the reference would take one for the other.
func (i image) tagged(ctx context.Context) error {
	if i.tag == "" {
		return nil
	}
	found, err := i.remote.Manifests().Resolve(ctx, i.tag)
	if err != nil {
		return fmt.Errorf("digest: the registry does not say what the tag %s is: %w; push the tag, or leave it out", i.tag, err)
	}
	if found.Digest.String() != i.digest {
		return fmt.Errorf("digest: the tag %s is %s now; write that digest, or leave the tag out", i.tag, found.Digest)
	}
	return nil
}

// Digest returns a reference with the digest that the registry has for its tag now. One with a digest stays as it is, if the registry
// has it and the tag beside it is of the same image.
func Digest(ctx context.Context, written string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	i, err := parse(written)
	if err != nil {
		return "", fmt.Errorf("%q: %w", written, err)
	}
	switch {
	case i.digest != "":
		if _, err = i.resolve(ctx); err == nil {
			err = i.tagged(ctx)
		}
	case i.tag == "":
		err = errors.New("no tag and no digest; write it with a version, as in registry.example.com/app:1.2.3")
	default:
		found, err := i.remote.Manifests().Resolve(ctx, i.tag)
		if err != nil {
			return "", fmt.Errorf("%q: digest: the registry does not say what the tag %s is: %w; push the image, or correct the tag", written, i.tag, err)
		}
		return written + "@" + found.Digest.String(), nil
	}
	if err != nil {
		return "", fmt.Errorf("%q: %w", written, err)
	}
	return written, nil
}
