// Package cache says where the sandbox keeps what it builds, downloads and stores: outside the source tree, in one
// folder that can be deleted as a whole while nothing runs.
package cache

import (
	"fmt"
	"os"
	"path/filepath"
)

// Dir is the sandbox's folder. A method that is named after a part of it, such as Bin, creates that part if it is missing.
type Dir struct{ root string }

// Open returns ${XDG_CACHE_HOME:-~/.cache}/journal-sandbox, made if it is missing.
func Open() (Dir, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return Dir{}, fmt.Errorf("no place for the sandbox's cache: %w; set HOME or XDG_CACHE_HOME", err)
	}
	return At(filepath.Join(base, "journal-sandbox"))
}

// At returns the folder root, made if it is missing. Tests use their own.
func At(root string) (Dir, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return Dir{}, err
	}
	// The folder holds the cluster's keys, so only its owner may read it.
	if err := os.MkdirAll(root, 0o700); err != nil {
		return Dir{}, fmt.Errorf("the sandbox's cache: %w", err)
	}
	return Dir{root: root}, nil
}

// Root is the folder itself.
func (d Dir) Root() string { return d.root }

// Bin holds the programs that the toolchain builds.
func (d Dir) Bin() string { return d.folder("bin") }

// Debian holds extracted Debian packages.
func (d Dir) Debian() string { return d.folder("debian") }

// Images holds the archives of built images.
func (d Dir) Images() string { return d.folder("images") }

// State holds what outlives a stop: the cluster's data and the stacks' state.
func (d Dir) State() string { return d.folder("state") }

// Logs holds one file for each process.
func (d Dir) Logs() string { return d.folder("logs") }

// Path joins elem to the folder and makes nothing.
func (d Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{d.root}, elem...)...)
}

// folder creates a subfolder. It ignores an error: the first write into the folder reports the same and more.
func (d Dir) folder(name string) string {
	path := filepath.Join(d.root, name)
	_ = os.MkdirAll(path, 0o755)
	return path
}
