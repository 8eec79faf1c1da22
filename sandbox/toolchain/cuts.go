package toolchain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"example.com/journal/sandbox/internal/command"
)

// A file called cutFile stands for all Go files of its folder. One called addFile comes in addition to them.
const cutFile, addFile = "cut.go", "add.go"

// modfile writes a go.mod for the module toolchain/programs and returns its path. In it, a copy replaces every module that has a
// package below _cuts, and the copy has the files of _cuts. The copies come from the module cache, whose content the go command
// has checked against go.sum.
func (b *builder) modfile(ctx context.Context) (string, error) {
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
	list := append([]string{"list", "-find", "-f", "{{.ImportPath}} {{.Module.Path}} {{.Module.Dir}}"}, packages...)
	out, err := command.Output(b.goCommand(ctx, list...))
	if err != nil {
		return "", err
	}
	copies := map[string]string{} // by module
	edit := []string{"mod", "edit"}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		name, module, dir := words[0], words[1], words[2]
		if copies[module] == "" {
			copies[module] = b.dir.Path("modules", strings.ReplaceAll(module, "/", "-"))
			edit = append(edit, "-replace="+module+"="+copies[module])
			if err := copyModule(ctx, dir, copies[module]); err != nil {
				return "", err
			}
		}
		if err := replaceFiles(filepath.Join(copies[module], strings.TrimPrefix(name, module)), filepath.Join(cuts, name)); err != nil {
			return "", fmt.Errorf("cut %s: %w", name, err)
		}
	}
	modfile := b.dir.Path("modules", "go.mod")
	_, err = command.Output(b.goCommand(ctx, append(edit, modfile)...))
	return modfile, err
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
