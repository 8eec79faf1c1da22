// Package toolchain builds the programs that others wrote and the sandbox runs: Kubernetes, Traefik, Pulumi's engine and
// its two plugins. Each folder below is a module that pins one set of versions that go together.
package toolchain

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.com/journal/sandbox/cache"
)

// program is one executable and how it is built.
type program struct {
	name   string   // the executable's name in cache.Dir.Bin
	module string   // the folder of its module, below sandbox/toolchain
	pkg    string   // the package to build
	stamps []string // what the linker sets, as -X takes it
	// files are copied into <name>.d beside the executable: a module and the paths within it.
	filesOf string
	files   []string
}

// programs are all of them, those that take longest first.
var programs = []program{
	{
		name: "pulumi-resource-kubernetes", module: "pulumi", pkg: "./pulumi-resource-kubernetes",
		filesOf: "github.com/pulumi/pulumi-kubernetes/provider/v4",
		files:   []string{"cmd/pulumi-resource-kubernetes/schema.json", "cmd/pulumi-resource-kubernetes/terraform-mapping.json"},
	},
	{
		name: "kubernetes", module: "kubernetes", pkg: ".",
		stamps: []string{"k8s.io/component-base/version.gitVersion=v1.37.2", "k8s.io/client-go/pkg/version.gitVersion=v1.37.2"},
	},
	{name: "traefik", module: "traefik", pkg: "github.com/traefik/traefik/v3/cmd/traefik"},
	{name: "pulumi-resource-random", module: "random", pkg: "."},
	{
		name: "pulumi", module: "pulumi", pkg: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
		// The engine refuses to destroy what an inline program made when it does not know its own version.
		stamps: []string{"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.230.0"},
	},
}

// concurrency is how many programs are built at once: one that links, on one core, while another compiles.
const concurrency = 2

// Build puts every program into dir.Bin that is not there yet in the pinned version. The first time takes some twenty
// minutes on two cores; progress says how far it is. Repo is the root of the checkout.
func Build(ctx context.Context, repo string, dir cache.Dir, progress io.Writer) error {
	b := builder{repo: repo, bin: dir.Bin(), progress: progress}
	var missing []program
	for _, p := range programs {
		key, err := b.key(p)
		if err != nil {
			return fmt.Errorf("toolchain: %s: %w", p.name, err)
		}
		if built, _ := os.ReadFile(b.stampPath(p)); string(built) != key {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("toolchain: no go command on PATH: install Go %s or newer", strings.TrimPrefix(runtime.Version(), "go"))
	}
	fmt.Fprintf(progress, "toolchain: building %d programs, once: about twenty minutes on two cores\n", len(missing))

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan program, len(missing))
	for _, p := range missing {
		queue <- p
	}
	close(queue)
	errs := make(chan error, len(missing))
	var workers sync.WaitGroup
	for range concurrency {
		workers.Go(func() {
			for p := range queue {
				if err := b.build(ctx, p); err != nil {
					errs <- fmt.Errorf("toolchain: %s: %w", p.name, err)
					cancel()
				}
			}
		})
	}
	workers.Wait()
	close(errs)
	return <-errs // the first one is the cause; nil when the channel is empty
}

// builder builds programs from a checkout into a folder.
type builder struct {
	repo, bin string
	progress  io.Writer
	mu        sync.Mutex // guards progress
}

func (b *builder) moduleDir(p program) string {
	return filepath.Join(b.repo, "sandbox", "toolchain", p.module)
}

// stampPath is the file that says which key a built program has.
func (b *builder) stampPath(p program) string { return filepath.Join(b.bin, "."+p.name+".key") }

// key names everything that a program is built from: the compiler, the pinned versions, our own sources and the stamps.
func (b *builder) key(p program) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), p)
	err := filepath.WalkDir(b.moduleDir(p), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(hash, "%s %d\n%s", strings.TrimPrefix(path, b.repo), len(text), text)
		return err
	})
	return hex.EncodeToString(hash.Sum(nil)), err
}

// build builds one program, puts its files beside it and only then writes down that it is there.
func (b *builder) build(ctx context.Context, p program) error {
	start := time.Now()
	key, err := b.key(p)
	if err != nil {
		return err
	}
	if err := b.compile(ctx, p, start); err != nil {
		return err
	}
	if err := b.copyFiles(ctx, p); err != nil {
		return err
	}
	b.say("toolchain: %s is built, in %s", p.name, time.Since(start).Round(time.Second))
	return os.WriteFile(b.stampPath(p), []byte(key), 0o644)
}

// compile runs the Go compiler and reports every ten seconds how many packages it has done.
func (b *builder) compile(ctx context.Context, p program, start time.Time) error {
	total, err := b.goCommand(ctx, p, "list", "-deps", p.pkg).Output()
	if err != nil {
		return commandError(err)
	}
	flags := []string{"-s", "-w"}
	for _, stamp := range p.stamps {
		flags = append(flags, "-X", stamp)
	}
	// The linker writes to another name, so that an interrupted build leaves no half executable under the real one.
	partial := filepath.Join(b.bin, "."+p.name+".partial")
	defer func() { _ = os.Remove(partial) }()
	command := b.goCommand(ctx, p, "build", "-v", "-ldflags", strings.Join(flags, " "), "-o", partial, p.pkg)
	output, err := command.StderrPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}

	var done atomic.Int64
	finished := make(chan struct{})
	defer close(finished)
	go func() {
		for tick := time.NewTicker(10 * time.Second); ; {
			select {
			case <-finished:
				tick.Stop()
				return
			case <-tick.C:
				b.say("toolchain: %s: compiled %d of at most %d packages, %s", p.name, done.Load(), bytes.Count(total, []byte("\n")), time.Since(start).Round(time.Second))
			}
		}
	}()
	var last []string // what the compiler said, for the error
	for lines := bufio.NewScanner(output); lines.Scan(); {
		done.Add(1)
		if last = append(last, lines.Text()); len(last) > 20 {
			last = last[1:]
		}
	}
	if err := command.Wait(); err != nil {
		return errors.Join(err, errors.New(strings.Join(last, "\n")))
	}
	return os.Rename(partial, filepath.Join(b.bin, p.name))
}

// copyFiles copies what a program reads at run time out of the module that it is built from.
func (b *builder) copyFiles(ctx context.Context, p program) error {
	if len(p.files) == 0 {
		return nil
	}
	module, err := b.goCommand(ctx, p, "list", "-m", "-f", "{{.Dir}}", p.filesOf).Output()
	if err != nil {
		return commandError(err)
	}
	target := filepath.Join(b.bin, p.name+".d")
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	for _, file := range p.files {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(module)), file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(target, filepath.Base(file)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// goCommand runs the go command in the program's module, whatever workspace the caller is in.
func (b *builder) goCommand(ctx context.Context, p program, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = b.moduleDir(p)
	command.Env = append(slices.Clone(os.Environ()), "GOWORK=off")
	return command
}

// say prints one line of progress.
func (b *builder) say(format string, operands ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(b.progress, format+"\n", operands...)
}

// commandError is the error of a command with what it said on standard error.
func commandError(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, cmp.Or(strings.TrimSpace(string(exit.Stderr)), "no message"))
	}
	return err
}
