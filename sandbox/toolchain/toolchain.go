// Package toolchain builds the third-party programs that the sandbox runs (Kubernetes, Traefik, Pulumi's engine and its two
// plugins) and the sandbox's own command. All of them come from one module, toolchain/programs, so there is one version of each
// library and one compilation of each package.
//
// The package needs only the standard library, so that the command that starts a build is compiled within seconds.
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

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/internal/disk"
)

// program is one executable and how it is built.
type program struct {
	name   string   // the executable's name in cache.Dir.Bin
	pkg    string   // the package to build, as it is named in the module toolchain/programs
	stamps []string // what the linker sets, as -X takes it
	files  []files  // what it reads at run time; they are put into <name>.d beside the executable
	extra  bool     // only some stacks need it, so nothing of it is downloaded or compiled unless it is asked for
	key    string   // names all that it is built from; only of a program that is missing
}

// files are files of a pinned module.
type files struct {
	module, pattern string // a module's path, and the files in it
}

// module is the path of toolchain/programs.
const module = "example.com/journal/sandbox/toolchain/programs"

// programs are all programs, in the order in which the compiler starts them. The stamps are the versions that programs report; a
// test compares them with go.mod.
var programs = []program{
	{name: "sandbox", pkg: "example.com/journal/sandbox/cmd/sandbox"},
	{name: "kubernetes", pkg: module + "/kubernetes", stamps: []string{"k8s.io/component-base/version.gitVersion=v1.37.2", "k8s.io/client-go/pkg/version.gitVersion=v1.37.2"}},
	{
		name: "traefik", pkg: "github.com/traefik/traefik/v3/cmd/traefik",
		files: []files{
			{"github.com/traefik/traefik/v3", "docs/content/reference/dynamic-configuration/traefik.io_*.yaml"},
			{"sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_*.yaml"},
		},
	},
	{
		name: "pulumi", pkg: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
		// If the engine does not know its own version, it refuses to destroy what an inline program made.
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
	// All but a dozen of Helm's packages are in the programs above.
	{name: "helm", pkg: "helm.sh/helm/v3/cmd/helm", stamps: []string{"helm.sh/helm/v3/internal/version.version=v3.20.2"}},
	{name: "metrics-server", pkg: "sigs.k8s.io/metrics-server/cmd/metrics-server", extra: true, stamps: []string{"k8s.io/client-go/pkg/version.gitVersion=" + MetricsServerVersion}},
	{name: "kube-state-metrics", pkg: "k8s.io/kube-state-metrics/v2", extra: true, stamps: []string{"github.com/prometheus/common/version.Version=" + KubeStateMetricsVersion}},
}

// The versions of the programs that run in pods.
const (
	MetricsServerVersion    = "v0.9.0"
	KubeStateMetricsVersion = "v2.15.0"
)

// libraries are the largest dependencies of the programs in the container images. They are compiled with the sandbox's command,
// while nothing waits for them.
var libraries = []string{
	"github.com/prometheus/client_golang/prometheus/promhttp", "github.com/redis/go-redis/v9", "sigs.k8s.io/controller-runtime",
}

// Node are the programs that the sandbox's own node runs. Engine are those that deploy a stack on any cluster. Services run in
// pods of stacks that have them. Together with the sandbox's command these are all that `make up` needs. Tests are programs that
// only end-to-end tests run.
var (
	Node     = []string{"kubernetes", "traefik"}
	Engine   = []string{"pulumi", "pulumi-resource-kubernetes", "pulumi-resource-random"}
	Services = []string{"metrics-server", "kube-state-metrics"}
	All      = slices.Concat(Node, Engine, Services, []string{"sandbox"})
	Tests    = []string{"helm"}
)

// Key names all that a built program is built from. It is empty if the program is not built.
func Key(dir cache.Dir, name string) string {
	key, _ := os.ReadFile((&builder{dir: dir}).keyFile(program{name: name}))
	return string(key)
}

// Build puts the named programs into dir.Bin unless they are there in the pinned version. The first build of all takes
// 7 to 15 minutes on two cores; progress says how far it is. The next build continues an interrupted one. Repo is the root of the
// checkout.
func Build(ctx context.Context, repo string, dir cache.Dir, progress io.Writer, names ...string) error {
	b := &builder{repo: repo, dir: dir, progress: progress}
	missing, err := b.missing(names)
	if err != nil || len(missing) == 0 {
		return err
	}
	lock, err := disk.Lock(ctx, dir.Path("toolchain.lock"))
	if err != nil {
		return fmt.Errorf("toolchain: another build into %s: %w", dir.Root(), err)
	}
	defer func() { _ = lock.Close() }()
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

// missing returns the named programs that are not built, or that a build would now change.
func (b *builder) missing(names []string) (missing []program, err error) {
	for _, p := range programs {
		if !slices.Contains(names, p.name) {
			continue
		}
		if p.key, err = b.key(p); err != nil {
			return nil, fmt.Errorf("toolchain: %s: %w", p.name, err)
		}
		built, _ := os.ReadFile(b.keyFile(p))
		if _, err := os.Stat(filepath.Join(b.dir.Bin(), p.name)); err != nil || string(built) != p.key {
			missing = append(missing, p)
		}
	}
	return missing, nil
}

func (b *builder) moduleDir() string {
	return filepath.Join(b.repo, "sandbox", "toolchain", "programs")
}

// keyFile is the file that says which key a built program has.
func (b *builder) keyFile(p program) string { return filepath.Join(b.dir.Bin(), "."+p.name+".key") }

// key names everything that a program is built from: the compiler, its flags, the pinned versions and our own sources.
func (b *builder) key(p program) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOARCH, p.pkg, p.stamps, p.files, flags)
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
