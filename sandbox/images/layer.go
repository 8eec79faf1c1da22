package images

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// epoch is the time of everything in an image that does not need another one.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// file is a file, a link or a folder of a layer. All belong to root, and none can be written by others unless mode says so.
type file struct {
	mode    fs.FileMode
	content []byte
	link    string
	time    time.Time
}

// files are the contents of a layer by path, without a leading slash. The folders that lead to a file need not be named.
type files map[string]file

func (f files) folder(path string, mode fs.FileMode) { f[path] = file{mode: fs.ModeDir | mode} }

func (f files) link(path, target string) { f[path] = file{mode: fs.ModeSymlink | 0o777, link: target} }

func (f files) write(path string, content []byte) { f[path] = file{mode: 0o644, content: content} }

// copy takes a file or a link from the disk. Of the permissions only "may be executed" counts: the others depend
// on the umask of who made the file.
func (f files) copy(path, from string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		f.link(path, target)
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f.write(path, content)
	if info.Mode()&0o111 != 0 {
		f[path] = file{mode: 0o755, content: content}
	}
	return nil
}

// copyAll takes files from root to the same paths.
func (f files) copyAll(root string, paths []string) error {
	for _, p := range paths {
		if err := f.copy(p, filepath.Join(root, p)); err != nil {
			return err
		}
	}
	return nil
}

// layer packs the files in order of their paths.
func (f files) layer() (v1.Layer, error) {
	all := maps.Clone(f)
	for p := range f {
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			if _, ok := all[dir]; !ok {
				all.folder(dir, 0o755)
			}
		}
	}
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	for _, p := range slices.Sorted(maps.Keys(all)) {
		entry := all[p]
		header := &tar.Header{Name: p, Mode: int64(entry.mode.Perm()), ModTime: entry.time, Linkname: entry.link, Size: int64(len(entry.content))}
		if entry.time.IsZero() {
			header.ModTime = epoch
		}
		switch entry.mode.Type() {
		case fs.ModeDir:
			header.Typeflag, header.Name = tar.TypeDir, p+"/"
			if entry.mode&fs.ModeSticky != 0 {
				header.Mode |= 0o1000
			}
		case fs.ModeSymlink:
			header.Typeflag = tar.TypeSymlink
		default:
			header.Typeflag = tar.TypeReg
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(entry.content); err != nil {
			return nil, err
		}
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
	return epoch.Add(time.Duration(binary.BigEndian.Uint32(sum[:])%years) * time.Second)
}
