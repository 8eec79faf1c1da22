package toolchain

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/internal/command"
)

// flags are the flags of every build that deploying needs, so that no package is compiled twice. Debugging data costs a
// tenth of the compiler's time, and the linker discards it. The Makefile uses the same flags for the tests.
const flags = "-trimpath -buildvcs=false -gcflags=all=-dwarf=false"

// Environment is the environment for a go command that builds. The compiler runs without garbage collection, which would take a
// sixth of its time. Two compilers run on two cores, so memory stays below twice the limit. Built programs must not get it.
func Environment(dir cache.Dir) []string {
	return append(os.Environ(), "GOWORK=off", "GOFLAGS="+flags, "CGO_ENABLED=0", "GOGC=off", "GOMEMLIMIT=2500MiB",
		"GOCACHE="+dir.Path("go-build"))
}

// Forget removes Environment's settings for the compiler from this process's environment, and so from that of its children.
func Forget() error { return errors.Join(os.Unsetenv("GOGC"), os.Unsetenv("GOMEMLIMIT")) }

// goCommand runs the go command in the module of the programs.
func (b *builder) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = b.moduleDir()
	command.Env = Environment(b.dir)
	// The linker can move its output to its place in one step only within one file system.
	command.Env = append(command.Env, "GOTMPDIR="+b.dir.Path("tmp"))
	return command
}

// build compiles the programs in one go command, puts their files beside them, and only then records that they are built.
func (b *builder) build(ctx context.Context, missing []program) error {
	for _, folder := range []string{"go-build", "tmp", "modules"} {
		if err := os.MkdirAll(b.dir.Path(folder), 0o700); err != nil {
			return err
		}
	}
	report := newReporter(b.progress, b.dir.Path("go-build", "compiled"))
	defer report.stop()

	// Downloads wait for the network; meanwhile the processors compile the standard library.
	var standard sync.WaitGroup
	standard.Go(func() { _ = b.goCommand(ctx, "build", "std").Run() }) // if it fails, the build does so too and says why
	modfile, err := b.modfile(ctx, report)
	if err != nil {
		return err
	}
	packages, err := b.list(ctx, modfile, missing, report)
	standard.Wait()
	if err != nil {
		return err
	}
	report.compiles(packages)

	arguments := []string{"build", "-modfile=" + modfile, "-v", "-ldflags=-s -w", "-o", b.dir.Bin() + "/"}
	var roots []string
	for _, p := range missing {
		if len(p.stamps) > 0 {
			arguments = append(arguments, "-ldflags="+p.pkg+"=-s -w -X "+strings.Join(p.stamps, " -X "))
		}
		roots = append(roots, p.pkg)
		if p.name == "sandbox" {
			roots = append(roots, libraries...)
		}
	}
	if _, err := b.run(b.goCommand(ctx, append(arguments, roots...)...), report); err != nil {
		return err
	}
	for _, p := range missing {
		if err := b.finish(ctx, modfile, p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if report.of > len(packages)/2 { // a first build
		size, _ := command.Output(exec.CommandContext(ctx, "du", "-sh", b.dir.Path("go-build")))
		size, _, _ = strings.Cut(size, "\t")
		fmt.Fprintf(b.progress, "the compiler keeps %sB for the next time; `make clean` deletes it\n", size)
	}
	return nil
}

// list returns the number of source files of each package of all programs, also of those not asked for now, and downloads their
// modules. Meanwhile the standard library is compiled.
func (b *builder) list(ctx context.Context, modfile string, missing []program, report *reporter) (map[string]int, error) {
	arguments := []string{"list", "-modfile=" + modfile, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}} {{len .GoFiles}}{{end}}"}
	for _, p := range programs {
		if !p.extra || slices.ContainsFunc(missing, func(m program) bool { return m.name == p.name }) {
			arguments = append(arguments, p.pkg)
		}
	}
	out, err := b.run(b.goCommand(ctx, append(arguments, libraries...)...), report)
	if err != nil {
		return nil, err
	}
	files := map[string]int{}
	for line := range strings.Lines(out) {
		if name, count, listed := strings.Cut(strings.TrimSpace(line), " "); listed {
			files[name], _ = strconv.Atoi(count)
		}
	}
	return files, nil
}

// Download downloads what the named programs are compiled from, unless they are built. Build does so too, and begins sooner after it.
// It leaves the processors to others.
func Download(ctx context.Context, repo string, dir cache.Dir, names ...string) error {
	b := &builder{repo: repo, dir: dir}
	missing, err := b.missing(names)
	if err != nil || len(missing) == 0 {
		return err
	}
	arguments := []string{"-n", "19", "go", "list", "-deps"}
	for _, p := range missing {
		arguments = append(arguments, p.pkg)
	}
	list := exec.CommandContext(ctx, "nice", arguments...)
	list.Dir, list.Env = b.moduleDir(), append(Environment(dir), "GOGC=100") // the compilers have the memory
	_, err = command.Output(list)
	return err
}

// run runs a command and returns its output, and with its error the last lines of its standard error that are no progress.
func (b *builder) run(command *exec.Cmd, report *reporter) (string, error) {
	var out strings.Builder
	command.Stdout = &out
	progress, err := command.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := command.Start(); err != nil {
		return "", err
	}
	var last []string
	for lines := bufio.NewScanner(progress); lines.Scan(); {
		if report.counts(lines.Text()) {
			continue
		}
		if last = append(last, lines.Text()); len(last) > 20 {
			last = last[1:]
		}
	}
	if err := command.Wait(); err != nil {
		return "", errors.Join(err, errors.New(strings.Join(last, "\n")))
	}
	return out.String(), nil
}

// finish puts a program's files beside it, and records that the program is built.
func (b *builder) finish(ctx context.Context, modfile string, p program) error {
	target := filepath.Join(b.dir.Bin(), p.name+".d")
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	for _, f := range p.files {
		module, err := command.Output(b.goCommand(ctx, "list", "-modfile="+modfile, "-m", "-f", "{{.Dir}}", f.module))
		if err != nil {
			return err
		}
		found, err := filepath.Glob(filepath.Join(strings.TrimSpace(module), f.pattern))
		if err != nil || len(found) == 0 {
			return errors.Join(err, fmt.Errorf("module %s has no %s", f.module, f.pattern))
		}
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		for _, path := range found {
			if err := copyFile(path, filepath.Join(target, filepath.Base(path))); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(b.keyFile(p), []byte(p.key), 0o600)
}
