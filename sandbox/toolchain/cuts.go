package toolchain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"example.com/journal/sandbox/internal/command"
)

// A file called cutFile stands for all Go files of its folder. One called addFile comes in addition to them.
const cutFile, addFile = "cut.go", "add.go"

// modfile writes a go.mod for the module toolchain/programs and returns its path. In it, a copy replaces every module that has a
// package below _cuts, and the copy has the files of _cuts. The copies come from the module cache, which it fills, and whose content
// the go command has checked against go.sum.
func (b *builder) modfile(ctx context.Context, report *reporter) (string, error) {
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := copyFile(filepath.Join(b.moduleDir(), name), b.dir.Path("modules", name)); err != nil {
			return "", err
		}
	}
	cuts := filepath.Join(b.moduleDir(), "_cuts")
	packages, err := packagesBelow(cuts)
	if err != nil {
		return "", err
	}
	module, err := b.modulesOf(packages)
	if err != nil {
		return "", err
	}
	dirs, err := b.downloadModules(ctx, slices.Compact(slices.Sorted(maps.Values(module))), report)
	if err != nil {
		return "", err
	}
	copies := map[string]string{} // by module
	edit := []string{"mod", "edit"}
	for _, name := range packages {
		path := module[name]
		if copies[path] == "" {
			copies[path] = b.dir.Path("modules", strings.ReplaceAll(path, "/", "-"))
			edit = append(edit, "-replace="+path+"="+copies[path])
			if err := copyModule(ctx, dirs[path], copies[path]); err != nil {
				return "", err
			}
		}
		if err := replaceFiles(filepath.Join(copies[path], strings.TrimPrefix(name, path)), filepath.Join(cuts, name)); err != nil {
			return "", fmt.Errorf("cut %s: %w", name, err)
		}
	}
	_, err = command.Output(b.goCommand(ctx, append(edit, b.programsMod())...))
	return b.programsMod(), err
}

// programsMod is the path of the go.mod that modfile writes.
func (b *builder) programsMod() string { return b.dir.Path("modules", "go.mod") }

// modulesOf returns the path of the module of each package: of those that go.mod requires, the longest that the package's path begins
// with.
func (b *builder) modulesOf(packages []string) (map[string]string, error) {
	text, err := os.ReadFile(b.programsMod())
	if err != nil {
		return nil, err
	}
	parsed, err := modfile.Parse(b.programsMod(), text, nil)
	if err != nil {
		return nil, err
	}
	module := map[string]string{}
	for _, name := range packages {
		for _, required := range parsed.Require {
			if path := required.Mod.Path; (name == path || strings.HasPrefix(name, path+"/")) && len(path) > len(module[name]) {
				module[name] = path
			}
		}
		if module[name] == "" {
			return nil, fmt.Errorf("cut %s: go.mod requires no module with this package", name)
		}
	}
	return module, nil
}

// downloadModules fills the module cache with some modules, and returns the folder of each. To ask the go command for packages would
// read what they import before it is cut: two thousand modules more.
func (b *builder) downloadModules(ctx context.Context, paths []string, report *reporter) (map[string]string, error) {
	from := "-modfile=" + b.programsMod()
	if _, err := b.run(b.goCommand(ctx, append([]string{"mod", "download", from}, paths...)...), report); err != nil {
		return nil, err
	}
	out, err := command.Output(b.goCommand(ctx, append([]string{"list", from, "-m", "-f", "{{.Path}} {{.Dir}}"}, paths...)...))
	dirs := map[string]string{}
	for line := range strings.Lines(out) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		dirs[path] = dir
	}
	return dirs, err
}

// packagesBelow returns the import paths of the packages whose files are below a folder.
func packagesBelow(folder string) (packages []string, err error) {
	err = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".go" {
			packages = append(packages, strings.TrimPrefix(filepath.Dir(path), folder+"/"))
		}
		return err
	})
	return slices.Compact(packages), err
}

// copyModule copies a module with links to the module cache's files, which nothing writes, or with copies if the cache is on
// another file system. It makes the copy anew each time, which takes a moment.
func copyModule(ctx context.Context, from, to string) error {
	const script = `rm -rf "$1"; cp -rlT --no-preserve=mode "$0" "$1" 2>/dev/null || cp -rT --no-preserve=mode "$0" "$1"`
	_, err := command.Output(exec.CommandContext(ctx, "sh", "-c", script, from, to))
	return err
}

// replaceFiles replaces the Go files of a package by those of a folder, or adds them.
func replaceFiles(pkg, folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	for _, file := range files {
		name := filepath.Base(file)
		pattern := name
		if name == cutFile {
			pattern = "*.go"
		}
		replaced, _ := filepath.Glob(filepath.Join(pkg, pattern))
		if len(replaced) == 0 && name != addFile {
			return fmt.Errorf("the pinned version has no %s in this package", pattern)
		}
		for _, path := range replaced {
			err = errors.Join(err, os.Remove(path))
		}
		err = errors.Join(err, copyFile(file, filepath.Join(pkg, name)))
	}
	return err
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}
