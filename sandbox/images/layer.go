package images

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest" // MapFS is the standard library's file system in memory
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// files are the contents of a layer by path, without a leading slash. All belong to root, and nobody else can write them. The
// folders that lead to a file need not be named.
type files fstest.MapFS

func (f files) link(path, target string) {
	f[path] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
}

func (f files) write(path string, content []byte) {
	f[path] = &fstest.MapFile{Data: content, Mode: 0o644}
}

func (f files) program(path string, content []byte) {
	f[path] = &fstest.MapFile{Data: content, Mode: 0o755}
}

// add takes the files and links of a root of Debian packages. Of the permissions only "may be executed" counts: the others
// depend on the umask of who unpacked them.
func (f files) add(root string) error {
	return fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		from := filepath.Join(root, path)
		switch {
		case err != nil || path == ".":
			return err
		case strings.HasPrefix(path, "."): // what the package debian keeps there
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.Type() == fs.ModeSymlink:
			target, err := os.Readlink(from)
			f.link(path, target)
			return err
		case entry.IsDir():
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(from)
		if f.write(path, content); info.Mode()&0o111 != 0 {
			f.program(path, content)
		}
		return err
	})
}

// layer packs the files in order of their paths.
func (f files) layer() (v1.Layer, error) {
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	if err := archive.AddFS(fstest.MapFS(f)); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressedCaching)
}

// contentTime gives different contents different times. NGINX makes the ETag and Last-Modified of a page from its time and
// size: with one time for all files, a browser would keep the old one of two pages of the same size.
func contentTime(content []byte) time.Time {
	sum := sha256.Sum256(content)
	const years = 20 * 365 * 24 * 60 * 60
	return time.Unix(int64(binary.BigEndian.Uint32(sum[:])%years), 0)
}
