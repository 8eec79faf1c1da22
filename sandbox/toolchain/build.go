package toolchain

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"example.com/journal/sandbox/cache"
)

// flags are the flags of every build on the way to a page, so that no package is compiled twice. Debugging data of the compiler's is a tenth of
// its time, and the linker throws it away. The Makefile has the same for the tests.
const flags = "-trimpath -buildvcs=false -gcflags=all=-dwarf=false"

// Environment is that of a go command that builds. The compiler ends before its garbage would need collecting, which is a sixth of its
// time; memory stays below twice the limit, as there are two compilers on two cores. Programs that are built must not get it.
func Environment(dir cache.Dir) []string {
	return append(os.Environ(), "GOWORK=off", "GOFLAGS="+flags, "CGO_ENABLED=0", "GOGC=off", "GOMEMLIMIT=2500MiB",
		"GOCACHE="+dir.Path("go-build"))
}

// Forget takes what Environment adds for the compiler out of this process's environment, and so out of that of its children.
func Forget() error { return errors.Join(os.Unsetenv("GOGC"), os.Unsetenv("GOMEMLIMIT")) }

// goCommand runs the go command in the module of the programs.
func (b *builder) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = b.moduleDir()
	command.Env = Environment(b.dir)
	// The linker's output is moved to its place in one step only within one file system.
	command.Env = append(command.Env, "GOTMPDIR="+b.dir.Path("tmp"))
	return command
}

// build compiles the programs in one go command, puts their files beside them and only then writes down that they are there.
func (b *builder) build(ctx context.Context, missing []program) error {
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("no go command on PATH: install Go 1.26 or newer, https://go.dev/dl/")
	}
	for _, folder := range []string{"go-build", "tmp", "modules"} {
		if err := os.MkdirAll(b.dir.Path(folder), 0o700); err != nil {
			return err
		}
	}
	report := newReporter(b.progress, b.dir.Path("go-build", "compiled"))
	defer report.stop()

	// Downloading waits for the network, compiling the standard library for the processors.
	var standard sync.WaitGroup
	standard.Go(func() { _ = b.goCommand(ctx, "build", "std").Run() }) // if it fails, the build does so too and says why
	modfile, err := b.modfile(ctx)
	if err != nil {
		return err
	}
	packages, err := b.list(ctx, modfile, report)
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
	if err := b.run(b.goCommand(ctx, append(arguments, roots...)...), report.compiled); err != nil {
		return err
	}
	for _, p := range missing {
		if err := b.finish(ctx, modfile, p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if report.count > len(packages)/2 { // a first build
		fmt.Fprintf(b.progress, "the compiler keeps %.1f GB for the next time; `make clean` deletes it\n", float64(size(b.dir.Path("go-build")))/1e9)
	}
	return nil
}

// size is what the files of a folder take, in bytes.
func size(folder string) (sum int64) {
	_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			if info, err := entry.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}

// list names the packages of all programs, also of those that are not asked for now, and downloads their modules.
func (b *builder) list(ctx context.Context, modfile string, report *reporter) ([]listed, error) {
	arguments := []string{"list", "-modfile=" + modfile, "-deps", "-f", "{{.ImportPath}} {{.Dir}} {{join .GoFiles \" \"}}"}
	for _, p := range programs {
		arguments = append(arguments, p.pkg)
	}
	var out bytes.Buffer
	command := b.goCommand(ctx, append(arguments, libraries...)...)
	command.Stdout = &out
	if err := b.run(command, report.downloads); err != nil {
		return nil, err
	}
	var all []listed
	for line := range strings.Lines(out.String()) {
		if fields := strings.Fields(line); len(fields) > 2 {
			all = append(all, listed{name: fields[0], dir: fields[1], files: fields[2:]})
		}
	}
	return all, nil
}

// run runs a command, and returns with its error the last lines of its standard error that are no progress.
func (b *builder) run(command *exec.Cmd, isProgress func(line string) bool) error {
	output, err := command.StderrPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	var last []string
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if isProgress(lines.Text()) {
			continue
		}
		if last = append(last, lines.Text()); len(last) > 20 {
			last = last[1:]
		}
	}
	if err := command.Wait(); err != nil {
		return errors.Join(err, errors.New(strings.Join(last, "\n")))
	}
	return nil
}

// finish puts a program's files beside it, and writes down that it is there.
func (b *builder) finish(ctx context.Context, modfile string, p program) error {
	key, err := b.key(p)
	if err != nil {
		return err
	}
	target := filepath.Join(b.dir.Bin(), p.name+".d")
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	for _, f := range p.files {
		out, err := b.goCommand(ctx, "list", "-modfile="+modfile, "-m", "-f", "{{.Dir}}", f.module).Output()
		if err != nil {
			return commandError(err)
		}
		found, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), f.pattern))
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
	return os.WriteFile(b.keyFile(p), []byte(key), 0o600)
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// commandError is the error of a command with what it said on standard error.
func commandError(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, cmp.Or(strings.TrimSpace(string(exit.Stderr)), "no message"))
	}
	return err
}
