package debian

import (
	"debug/elf"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/journal/sandbox/internal/disk"
)

// libraryPath returns the folders of a root that hold its shared libraries, separated by colons, as LD_LIBRARY_PATH and the
// loader's --library-path take them.
func libraryPath(root string) string {
	dirs, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu*"))
	return strings.Join(append(dirs, filepath.Join(root, "usr/lib")), ":")
}

// Wrapper returns a script that runs one program of a root (program is a path in it, such as usr/bin/redis-server) with
// the root's own loader and libraries, so that it does not matter which ones the machine has. The script
// has the program's name, in a folder that can be put on PATH.
//
// It is not for programs that run themselves again through /proc/self/exe, as runc does: that is the loader here.
func Wrapper(root, program string) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	line, err := commandLine(root, program)
	if err != nil {
		return "", fmt.Errorf("program %s of %s: %w", program, root, err)
	}
	wrapper := filepath.Join(root, ".wrappers", filepath.Base(program))
	return wrapper, disk.Write(wrapper, []byte("#!/bin/sh\nexec "+line+" \"$@\"\n"), 0o755)
}

// commandLine returns words for sh. The loader's link is followed within the root: it may be an absolute one.
func commandLine(root, program string) (string, error) {
	steps, err := follow(root, program)
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, steps[len(steps)-1])
	file, err := elf.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	loader, err := interpreter(file)
	if err != nil || loader == "" {
		return quote(path), err
	}
	if steps, err = follow(root, loader); err != nil {
		return "", err
	}
	return fmt.Sprintf(`%s --argv0 "$0" --library-path %s %s`,
		quote(filepath.Join(root, steps[len(steps)-1])), quote(libraryPath(root)), quote(path)), nil
}

// Closure returns what programs need to run, as paths in the root: the programs, their loader and all shared libraries, links
// as well as what they lead to, sorted. Libraries that a program loads by name while it runs are not known to it.
func Closure(root string, programs ...string) ([]string, error) {
	found := map[string]bool{}
	queue := slices.Clone(programs)
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		steps, err := follow(root, path)
		if err != nil {
			return nil, err
		}
		file := steps[len(steps)-1]
		known := found[file]
		for _, step := range steps {
			found[step] = true
		}
		if known {
			continue
		}
		needed, err := needs(root, file)
		if err != nil {
			return nil, fmt.Errorf("libraries of %s: %w", path, err)
		}
		queue = append(queue, needed...)
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// follow returns the links that lead from path to a file, and the file last. Links lead from the root to the root, as they
// would for a process that has it as "/".
func follow(root, path string) ([]string, error) {
	var steps []string
	rest := strings.Split(strings.TrimPrefix(filepath.Clean("/"+path), "/"), "/")
	at := ""
	for links := 0; len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(filepath.Join(root, next))
		if err != nil {
			return nil, err
		}
		if info.Mode()&os.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > 40 {
			return nil, fmt.Errorf("%s: too many links", path)
		}
		target, err := os.Readlink(filepath.Join(root, next))
		if err != nil {
			return nil, err
		}
		if len(rest) == 0 {
			steps = append(steps, next)
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join("/", at, target)
		}
		rest = append(strings.Split(strings.TrimPrefix(filepath.Clean(target), "/"), "/"), rest...)
		at = ""
	}
	return append(steps, at), nil
}

// needs returns the loader and the libraries that an ELF file names itself.
func needs(root, path string) ([]string, error) {
	file, err := elf.Open(filepath.Join(root, path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	names, err := file.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, name := range names {
		library, err := findLibrary(root, name)
		if err != nil {
			return nil, err
		}
		paths = append(paths, library)
	}
	loader, err := interpreter(file)
	if loader != "" {
		paths = append(paths, loader)
	}
	return paths, err
}

// interpreter returns the loader that a program asks for, such as /lib64/ld-linux-x86-64.so.2, or "" if it needs none.
func interpreter(file *elf.File) (string, error) {
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			text := make([]byte, segment.Filesz)
			if _, err := segment.ReadAt(text, 0); err != nil {
				return "", err
			}
			return strings.TrimRight(string(text), "\x00"), nil
		}
	}
	return "", nil
}

func findLibrary(root, name string) (string, error) {
	for _, pattern := range []string{"usr/lib/*-linux-gnu*", "usr/lib", "usr/lib64"} {
		if files, _ := filepath.Glob(filepath.Join(root, pattern, name)); len(files) > 0 {
			return filepath.Rel(root, files[0])
		}
	}
	return "", fmt.Errorf("no package in %s holds %s", root, name)
}

// quote makes a word that sh takes literally.
func quote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
