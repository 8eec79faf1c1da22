package bill

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// files are what a bill can tell of the files of an image, by their paths without a leading slash.
type files map[string]file

// file is one of them.
type file struct {
	components []cyclonedx.Component
	// database is whether it is one of packages. Of files that belong to no package such an image says nothing.
	database bool
	// foreign is whether it is a program or library that does not say what it is made of.
	foreign bool
}

// elf is how a program for Linux begins.
const elf = "\x7fELF"

// add lays a layer over those before it. A file of this layer replaces one below, and a whiteout removes it.
func (f files) add(ctx context.Context, store content.Fetcher, layer ocispec.Descriptor) error {
	blob, err := store.Fetch(ctx, layer)
	if err != nil {
		return err
	}
	defer func() { _ = blob.Close() }()
	// A registry could send other bytes. Nothing of the layer counts before all of it had the digest.
	checked := content.NewVerifyReader(blob, layer)
	unpacked, err := unpack(checked, layer.MediaType)
	if err != nil {
		return err
	}
	added, gone := files{}, []string{}
	for archive := tar.NewReader(unpacked); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path.Clean("/"+header.Name), "/")
		folder, base := path.Split(name)
		switch removed, whiteout := strings.CutPrefix(base, ".wh."); {
		case base == ".wh..wh..opq":
			gone = append(gone, folder)
		case whiteout:
			gone = append(gone, folder+removed, folder+removed+"/")
		case header.Typeflag == tar.TypeDir:
		default:
			gone = append(gone, name, name+"/")
			delete(added, name) // a path that is there twice is what it was the last time
			if header.Typeflag != tar.TypeReg {
				continue
			}
			told, err := tell(name, header.Size, archive)
			if err != nil {
				return fmt.Errorf("file %s: %w", name, err)
			}
			if told.database || told.foreign || len(told.components) > 0 {
				added[name] = told
			}
		}
	}
	if _, err := io.Copy(io.Discard, unpacked); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, checked); err != nil {
		return err
	}
	if err := checked.Verify(); err != nil {
		return err
	}
	for below := range f {
		for _, name := range gone {
			if below == name || strings.HasSuffix(name, "/") && strings.HasPrefix(below, name) {
				delete(f, below)
			}
		}
	}
	maps.Copy(f, added)
	return nil
}

// unpack returns the archive in a layer.
func unpack(layer io.Reader, mediaType string) (io.Reader, error) {
	buffered := bufio.NewReader(layer)
	start, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		return gzip.NewReader(buffered)
	case bytes.Equal(start, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return nil, fmt.Errorf("compressed by zstd (%s), which is not read; push the image with layers compressed by gzip", mediaType)
	default:
		return buffered, nil
	}
}

// tell returns what a file says of what is in the image.
func tell(name string, size int64, r io.Reader) (file, error) {
	if read := database(name); read != nil {
		components, err := read(r)
		return file{components: components, database: true}, err
	}
	buffered := bufio.NewReader(r)
	if start, _ := buffered.Peek(len(elf)); string(start) != elf {
		return file{}, nil
	}
	content, err := read(buffered, size)
	if err != nil {
		return file{}, err
	}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return file{foreign: true}, nil // a program that Go has not made
	}
	return file{components: modules(info)}, nil
}

// known says whether the bill has all that is in an image. It is complete if all programs are Go's. With a package database there
// may be files beside the packages. Without one nobody knows what the other programs are.
func (f files) known() cyclonedx.CompositionAggregate {
	foreign, database := false, false
	for _, file := range f {
		foreign, database = foreign || file.foreign, database || file.database
	}
	switch {
	case database:
		return cyclonedx.CompositionAggregateUnknown
	case foreign:
		return cyclonedx.CompositionAggregateIncomplete
	default:
		return cyclonedx.CompositionAggregateComplete
	}
}
