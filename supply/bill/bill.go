// Package bill says what is in a container image: a software bill of materials in CycloneDX JSON. It reads the image's layers in
// the registry, and nothing of how they were made: the modules that Go programs name, and the packages of Debian's and Alpine's
// databases. The bill of an image is always the same.
package bill

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	packageurl "github.com/package-url/packageurl-go"
	"oras.land/oras-go/v2/content"
)

const (
	// MediaType is the type of a bill in a registry.
	MediaType = "application/vnd.cyclonedx+json"
	// MaxBytes is the size of the largest bill that is read or written.
	MaxBytes = 32 << 20
	// maxManifest is the size of the largest manifest that is read, as registries have it.
	maxManifest = 4 << 20
)

// Of returns the bill of the image that a descriptor names. The repository is where it is kept, such as
// registry.example.com/team-a/journal-api. An image for several platforms has one bill, of all of them.
func Of(ctx context.Context, store content.Fetcher, repository string, image ocispec.Descriptor) ([]byte, error) {
	manifests, err := platforms(ctx, store, image)
	if err != nil {
		return nil, err
	}
	found, aggregate := map[string]*cyclonedx.Component{}, cyclonedx.CompositionAggregateComplete
	for _, manifest := range manifests {
		root := files{}
		for i, layer := range manifest.Layers {
			if err := root.add(ctx, store, layer); err != nil {
				return nil, fmt.Errorf("layer %d (%s): %w", i, layer.Digest, err)
			}
		}
		aggregate = worse(aggregate, root.known())
		for name, file := range root {
			for _, component := range file.components {
				note(found, component, "/"+name)
			}
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no layer has a Go program or the package database of Debian or Alpine, so its bill would be empty; " +
			"take an image that says what is in it")
	}
	whole := packageurl.NewPackageURL(packageurl.TypeOCI, "", path.Base(repository), image.Digest.String(),
		packageurl.QualifiersFromMap(map[string]string{"repository_url": repository}), "").String()
	components := slices.SortedFunc(maps.Values(found), func(a, b *cyclonedx.Component) int { return cmp.Compare(a.BOMRef, b.BOMRef) })
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &cyclonedx.Component{
		BOMRef: whole, Type: cyclonedx.ComponentTypeContainer, Name: repository, Version: image.Digest.String(), PackageURL: whole,
	}}
	bom.Components = &[]cyclonedx.Component{}
	for _, component := range components {
		*bom.Components = append(*bom.Components, *component)
	}
	bom.Compositions = &[]cyclonedx.Composition{{Aggregate: aggregate, Assemblies: &[]cyclonedx.BOMReference{cyclonedx.BOMReference(whole)}}}
	var text bytes.Buffer
	if err := cyclonedx.NewBOMEncoder(&text, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return nil, err
	}
	if text.Len() > MaxBytes {
		return nil, fmt.Errorf("the bill has %d bytes, more than the %d that are read again", text.Len(), MaxBytes)
	}
	return text.Bytes(), nil
}

// Names refuses a text that is not the bill of the image with a digest.
func Names(text []byte, digest string) error {
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(text), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return fmt.Errorf("not a bill in CycloneDX JSON: %w", err)
	}
	switch {
	case bom.Metadata == nil || bom.Metadata.Component == nil:
		return errors.New("it names no image")
	case bom.Metadata.Component.Version != digest:
		return fmt.Errorf("it is the bill of %s", bom.Metadata.Component.Version)
	case bom.Components == nil || len(*bom.Components) == 0:
		return errors.New("it is empty")
	}
	return nil
}

// note adds a component that is at a place, or the place to the component.
func note(found map[string]*cyclonedx.Component, component cyclonedx.Component, place string) {
	known := found[component.BOMRef]
	if known == nil {
		component.Evidence = &cyclonedx.Evidence{Occurrences: &[]cyclonedx.EvidenceOccurrence{}}
		known = &component
		found[component.BOMRef] = known
	}
	places := known.Evidence.Occurrences
	if here := (cyclonedx.EvidenceOccurrence{Location: place}); !slices.Contains(*places, here) {
		*places = append(*places, here)
		slices.SortFunc(*places, func(a, b cyclonedx.EvidenceOccurrence) int { return cmp.Compare(a.Location, b.Location) })
	}
}

// worse returns the one of two that promises less.
func worse(a, b cyclonedx.CompositionAggregate) cyclonedx.CompositionAggregate {
	order := []cyclonedx.CompositionAggregate{
		cyclonedx.CompositionAggregateComplete, cyclonedx.CompositionAggregateUnknown, cyclonedx.CompositionAggregateIncomplete,
	}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

// platforms returns the manifest of an image, or those of all its platforms.
func platforms(ctx context.Context, store content.Fetcher, image ocispec.Descriptor) ([]ocispec.Manifest, error) {
	if image.Size > maxManifest {
		return nil, fmt.Errorf("manifest %s: %d bytes are more than %d", image.Digest, image.Size, maxManifest)
	}
	text, err := content.FetchAll(ctx, store, image)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", image.Digest, err)
	}
	var manifest struct {
		ocispec.Manifest
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", image.Digest, err)
	}
	if !strings.HasSuffix(image.MediaType, "index.v1+json") && !strings.HasSuffix(image.MediaType, "list.v2+json") {
		return []ocispec.Manifest{manifest.Manifest}, nil
	}
	var all []ocispec.Manifest
	for _, each := range manifest.Manifests {
		if each.Platform != nil && each.Platform.OS == "unknown" {
			continue // no image: what BuildKit says of one
		}
		if strings.HasSuffix(each.MediaType, "index.v1+json") || strings.HasSuffix(each.MediaType, "list.v2+json") {
			return nil, fmt.Errorf("manifest %s: an index in an index; name an image of one platform", image.Digest)
		}
		one, err := platforms(ctx, store, each)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return all, nil
}

// read returns all of a file, if it is not larger than a program may be.
func read(r io.Reader, size int64) ([]byte, error) {
	const largest = 1 << 30
	if size > largest {
		return nil, fmt.Errorf("a program of %d bytes is more than the %d that are read", size, largest)
	}
	return io.ReadAll(r)
}
