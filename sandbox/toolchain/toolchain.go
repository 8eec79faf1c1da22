// Package toolchain builds the programs that others wrote and the sandbox runs (Kubernetes, Traefik, Pulumi's engine and its two
// plugins) and the sandbox's own command. All of them come from one module, toolchain/programs, so there is one version of each
// library and one compilation of each package.
//
// It imports the standard library alone: the command that starts a build is there within seconds.
package toolchain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"example.com/journal/sandbox/cache"
)

// program is one executable and how it is built.
type program struct {
	name   string   // the executable's name in cache.Dir.Bin
	pkg    string   // the package to build, as it is named in the module toolchain/programs
	stamps []string // what the linker sets, as -X takes it
	files  []files  // what it reads at run time; they are put into <name>.d beside the executable
}

// files are files of a pinned module.
type files struct {
	module, pattern string // a module's path, and the files in it
}

// module is the path of toolchain/programs.
const module = "example.com/journal/sandbox/toolchain/programs"

// programs are all of them, in the order in which the compiler begins with them. The stamps are versions that programs report:
// a test holds them to go.mod.
var programs = []program{
	{name: "sandbox", pkg: "example.com/journal/sandbox/cmd/sandbox"},
	{
		name: "kubernetes", pkg: module + "/kubernetes",
		stamps: []string{"k8s.io/component-base/version.gitVersion=v1.37.2", "k8s.io/client-go/pkg/version.gitVersion=v1.37.2"},
	},
	{
		name: "traefik", pkg: "github.com/traefik/traefik/v3/cmd/traefik",
		files: []files{
			{"github.com/traefik/traefik/v3", "docs/content/reference/dynamic-configuration/traefik.io_*.yaml"},
			{"sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_*.yaml"},
		},
	},
	{
		name: "pulumi", pkg: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
		// The engine refuses to destroy what an inline program made when it does not know its own version.
		stamps: []string{"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.230.0"},
	},
	{
		name: "pulumi-resource-kubernetes", pkg: module + "/pulumi-resource-kubernetes",
		files: []files{
			{"github.com/pulumi/pulumi-kubernetes/provider/v4", "cmd/pulumi-resource-kubernetes/schema.json"},
			{"github.com/pulumi/pulumi-kubernetes/provider/v4", "cmd/pulumi-resource-kubernetes/terraform-mapping.json"},
		},
	},
	{name: "pulumi-resource-random", pkg: module + "/pulumi-resource-random"},
}

// libraries are what the programs in the container images are mostly made of. They are compiled with the sandbox's command, while
// nothing waits for them.
var libraries = []string{
	"github.com/prometheus/client_golang/prometheus/promhttp", "github.com/redis/go-redis/v9", "sigs.k8s.io/controller-runtime",
}

// Node are the programs that a node of the sandbox's own runs; Engine are those that deploy a stack on any cluster.
var (
	Node   = []string{"kubernetes", "traefik"}
	Engine = []string{"pulumi", "pulumi-resource-kubernetes", "pulumi-resource-random"}
)

// Names are those of all programs.
func Names() []string {
	names := make([]string, len(programs))
	for i, p := range programs {
		names[i] = p.name
	}
	return names
}

// Build puts the named programs into dir.Bin unless they are there in the pinned version. Without a compiled package the first
// time takes about seven minutes on two cores for all of them; progress says how far it is. A build that is interrupted goes on
// where it was. Repo is the root of the checkout.
func Build(ctx context.Context, repo string, dir cache.Dir, progress io.Writer, names ...string) error {
	b := &builder{repo: repo, dir: dir, progress: progress}
	missing, err := b.missing(names)
	if err != nil || len(missing) == 0 {
		return err
	}
	unlock, err := b.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if missing, err = b.missing(names); err != nil || len(missing) == 0 { // another process may have built them in the meantime
		return err
	}
	if err := b.build(ctx, missing); err != nil {
		return fmt.Errorf("toolchain: %w", err)
	}
	return nil
}

// builder builds programs from a checkout into a cache.
type builder struct {
	repo     string
	dir      cache.Dir
	progress io.Writer
}

// missing returns the named programs that are not there, or not as they would be built now.
func (b *builder) missing(names []string) ([]program, error) {
	var missing []program
	for _, p := range programs {
		if !slices.Contains(names, p.name) {
			continue
		}
		key, err := b.key(p)
		if err != nil {
			return nil, fmt.Errorf("toolchain: %s: %w", p.name, err)
		}
		built, _ := os.ReadFile(b.keyFile(p))
		if _, err := os.Stat(filepath.Join(b.dir.Bin(), p.name)); err != nil || string(built) != key {
			missing = append(missing, p)
		}
	}
	return missing, nil
}

// lock waits until no other process builds into the same cache. The kernel releases it when this process ends.
func (b *builder) lock() (unlock func(), err error) {
	file, err := os.OpenFile(b.dir.Path("toolchain.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return func() { _ = file.Close() }, nil
}

func (b *builder) moduleDir() string {
	return filepath.Join(b.repo, "sandbox", "toolchain", "programs")
}

// keyFile is the file that says which key a built program has.
func (b *builder) keyFile(p program) string { return filepath.Join(b.dir.Bin(), "."+p.name+".key") }

// key names everything that a program is built from: the compiler, its flags, the pinned versions and our own sources.
func (b *builder) key(p program) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOARCH, p, flags)
	folders := []string{"sandbox/toolchain/programs"}
	if p.name == "sandbox" {
		folders = []string{"main.go", "go.mod", "go.sum", "components", "internal", "stacks", "sandbox"}
	}
	for _, folder := range folders {
		if err := hashFiles(hash, b.repo, folder); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// hashFiles adds the files of a folder that can be in an executable: no tests and no test data.
func hashFiles(hash io.Writer, repo, folder string) error {
	return filepath.WalkDir(filepath.Join(repo, folder), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "e2e"):
			return filepath.SkipDir
		case entry.IsDir() || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(hash, "%s %d\n%s", strings.TrimPrefix(path, repo), len(text), text)
		return err
	})
}
