package images

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"maps"
	"os/exec"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"example.com/journal/sandbox/internal/command"
)

// files are the contents of a layer by path, without a leading slash. Root owns all of them. The parent folders of a file need no
// entry. An entry for a folder ends in a slash.
type files map[string]*file

type file struct {
	Data    []byte
	Mode    int64
	Link    string // the target, if it is a symbolic link
	ModTime time.Time
}

// layer packs the files in order of their paths.
func (f files) layer() (v1.Layer, error) {
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	for _, path := range slices.Sorted(maps.Keys(f)) {
		header := tar.Header{Name: path, Mode: f[path].Mode, Size: int64(len(f[path].Data)), ModTime: f[path].ModTime}
		if f[path].Link != "" {
			header.Typeflag, header.Linkname = tar.TypeSymlink, f[path].Link
		}
		if err := archive.WriteHeader(&header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(f[path].Data); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return layerOf(packed.Bytes())
}

// rootLayer packs a root of Debian packages, without the files that the package debian keeps there for itself. Of the permissions
// it keeps only whether a file is executable: the others, the owner and the time depend on who unpacked the packages, and when.
func rootLayer(ctx context.Context, root string) (v1.Layer, error) {
	packed, err := command.Output(exec.CommandContext(ctx, "tar", "--create", "--directory", root, "--sort=name", "--mtime=@0", "--owner=0", "--group=0",
		"--numeric-owner", "--mode=u=rwX,go=rX", "--exclude=./.*", "."))
	if err != nil {
		return nil, err
	}
	return layerOf([]byte(packed))
}

func layerOf(packed []byte) (v1.Layer, error) {
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressedCaching)
}
