package toolchain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cutFile is the name of a file that stands for all Go files of its folder.
const cutFile = "cut.go"

// modfile makes a go.mod of the module toolchain/programs in which every module that has a folder below _cuts is replaced by a copy
// of it with those files in place, and returns its path. The copies come out of the module cache, whose content the go
// command has checked against go.sum.
func (b *builder) modfile(ctx context.Context) (string, error) {
	cuts, err := b.cuts(ctx)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(b.moduleDir(), "go.mod"))
	if err != nil {
		return "", err
	}
	for _, c := range cuts {
		copied, err := c.apply(b.dir.Path("modules"))
		if err != nil {
			return "", fmt.Errorf("cut %s: %w", c.Path, err)
		}
		text = withoutReplace(text, c.Path)
		text = fmt.Appendf(text, "\nreplace %s => %s\n", c.Path, copied)
	}
	sums, err := os.ReadFile(filepath.Join(b.moduleDir(), "go.sum"))
	if err != nil {
		return "", err
	}
	path := b.dir.Path("modules", "go.mod")
	return path, errors.Join(os.WriteFile(path, text, 0o600), os.WriteFile(b.dir.Path("modules", "go.sum"), sums, 0o600))
}

// withoutReplace takes a module's own replacement, of one line, out of a go.mod: it is in the copy.
func withoutReplace(gomod []byte, module string) []byte {
	lines := slices.Collect(bytes.Lines(gomod))
	return bytes.Join(slices.DeleteFunc(lines, func(line []byte) bool {
		return bytes.HasPrefix(line, []byte("replace "+module+" =>"))
	}), nil)
}

// cut is a module and the files that take the place of its own.
type cut struct {
	Path, Version string
	Dir           string   // in the module cache
	files         []string // relative to the module
	from          string   // the folder of the files
}

// cuts returns what is below _cuts, with the modules downloaded.
func (b *builder) cuts(ctx context.Context) ([]cut, error) {
	required, err := b.required(ctx)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(b.moduleDir(), "_cuts")
	modules := map[string]*cut{}
	download := []string{"mod", "download", "-json"}
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		file, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		owner := cut{}
		for _, m := range required { // the module with the longest path has the file
			if strings.HasPrefix(file, m.Path+"/") && len(m.Path) > len(owner.Path) {
				owner = m
			}
		}
		if owner.Path == "" {
			return fmt.Errorf("%s: go.mod requires no module of that path", path)
		}
		if modules[owner.Path] == nil {
			owner.from = filepath.Join(root, owner.Path)
			modules[owner.Path] = &owner
			download = append(download, owner.Path+"@"+owner.Version)
		}
		modules[owner.Path].files = append(modules[owner.Path].files, strings.TrimPrefix(file, owner.Path+"/"))
		return nil
	})
	if err != nil {
		return nil, err
	}
	out, err := b.goCommand(ctx, download...).Output()
	if err != nil {
		return nil, commandError(err)
	}
	var all []cut
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var m cut
		if err := decoder.Decode(&m); err != nil {
			return nil, err
		}
		modules[m.Path].Dir = m.Dir
		all = append(all, *modules[m.Path])
	}
	slices.SortFunc(all, func(a, b cut) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

// required returns the modules that go.mod requires, in the versions that are built.
func (b *builder) required(ctx context.Context) ([]cut, error) {
	out, err := b.goCommand(ctx, "mod", "edit", "-json").Output()
	if err != nil {
		return nil, commandError(err)
	}
	var gomod struct{ Require []cut }
	return gomod.Require, json.Unmarshal(out, &gomod)
}

// apply returns a copy of the module below dir with the files in place. The copy is of links to the module cache's files, which nothing
// writes, and is made anew each time: that takes a moment.
func (c cut) apply(dir string) (string, error) {
	target := filepath.Join(dir, strings.ReplaceAll(c.Path, "/", "-"))
	if err := os.RemoveAll(target); err != nil {
		return "", err
	}
	whole := map[string]bool{} // folders that lose all their Go files
	for _, file := range c.files {
		if filepath.Base(file) == cutFile {
			whole[filepath.Dir(file)] = true
		}
	}
	err := filepath.WalkDir(c.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(c.Dir, path)
		if err != nil {
			return err
		}
		to := filepath.Join(target, relative)
		switch {
		case entry.IsDir():
			return os.MkdirAll(to, 0o755)
		case slices.Contains(c.files, relative), strings.HasSuffix(relative, "_test.go"),
			whole[filepath.Dir(relative)] && strings.HasSuffix(relative, ".go"):
			return nil
		}
		return link(path, to)
	})
	if err != nil {
		return "", err
	}
	for _, file := range c.files {
		text, err := os.ReadFile(filepath.Join(c.from, file))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(target, file), text, 0o600); err != nil {
			return "", fmt.Errorf("%w: version %s has no such package", err, c.Version)
		}
	}
	// A module of a time before go.mod has none.
	if _, err := os.Stat(filepath.Join(target, "go.mod")); errors.Is(err, fs.ErrNotExist) {
		return target, os.WriteFile(filepath.Join(target, "go.mod"), []byte("module "+c.Path+"\n"), 0o600)
	}
	return target, nil
}

// link makes a file appear at another place: by a hard link, or by a copy on another file system.
func link(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}
