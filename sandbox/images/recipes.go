package images

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"example.com/journal/sandbox/debian"
	"example.com/journal/sandbox/internal/command"
	"example.com/journal/sandbox/toolchain"
)

// applets are the busybox commands in the Redis image: those that its start script and its probes use, and a few for debugging.
var applets = strings.Fields(`awk base64 basename cat chmod cp cut date dd df dirname du echo env expr false find free grep head hostname id kill ln ls
	mkdir mktemp mv nc nslookup printf ps pwd rm sed seq sleep sort stat tail tee test timeout touch tr true uname uniq wc which xargs`)

// source says how a kind of image is made: it completes the recipe.
type source func(context.Context, *recipe) error

// goProgram is one of our own Go programs: a static executable and nothing else.
func goProgram(_ context.Context, r *recipe) error {
	r.own()
	r.layers = goLayer(filepath.Join(r.repo, "services", r.Name), ".") // the folder may be a module of its own
	return nil
}

// pinned is a program of another project, by its package in the module toolchain/stores.
func pinned(pkg string) source {
	return func(_ context.Context, r *recipe) error {
		module := filepath.Join(r.repo, "sandbox/toolchain/stores")
		sums, err := os.ReadFile(filepath.Join(module, "go.sum"))
		r.inputs = append(r.inputs, string(sums))
		r.layers = goLayer(module, pkg)
		return err
	}
}

// program is a program of the toolchain, which builds it.
func program(ctx context.Context, r *recipe) error {
	err := toolchain.Build(ctx, r.repo, r.dir, r.progress, r.Name)
	r.inputs = append(r.inputs, toolchain.Key(r.dir, r.Name))
	r.layers = programLayer(r.Name, func(context.Context) (string, error) {
		text, err := os.ReadFile(filepath.Join(r.dir.Bin(), r.Name))
		return string(text), err
	})
	return err
}

// pause is the program that holds a pod's namespaces open.
func pause(_ context.Context, r *recipe) error {
	r.layers = goLayer(filepath.Join(r.repo, "sandbox"), "./images/pause")
	return nil
}

// webServer is Debian's NGINX with the journal's page.
func webServer(ctx context.Context, r *recipe) error {
	root, err := r.debian(ctx, "nginx", "nginx")
	r.own()
	r.config.Entrypoint = []string{"/usr/sbin/nginx", "-e", "stderr", "-g", "daemon off;", "-c", "/etc/nginx/nginx.conf"}
	r.config.StopSignal = "SIGQUIT"
	r.layers = func(ctx context.Context) ([]v1.Layer, error) {
		page, err := page(r.repo, r.rev)
		if err != nil {
			return nil, err
		}
		return debianLayers(ctx, root, page)
	}
	return err
}

// redisServer is Debian's Redis, with a shell and the commands of its start script and probes.
func redisServer(ctx context.Context, r *recipe) error {
	root, err := r.debian(ctx, "redis", "redis-server", "redis-tools", "dash", "busybox")
	r.config.Entrypoint, r.config.Cmd = nil, []string{"redis-server"}
	r.layers = func(ctx context.Context) ([]v1.Layer, error) {
		links := files{"usr/bin/sh": {Link: "dash", Mode: 0o777}}
		for _, applet := range applets {
			links["usr/bin/"+applet] = &file{Link: "busybox", Mode: 0o777}
		}
		return debianLayers(ctx, root, links)
	}
	return err
}

// debianProgram is the program of a package of Debian that has the package's name.
func debianProgram(name string) source {
	return func(ctx context.Context, r *recipe) error {
		root, err := r.debian(ctx, name, name)
		r.config.Entrypoint = []string{"/usr/bin/" + name}
		r.layers = func(ctx context.Context) ([]v1.Layer, error) { return debianLayers(ctx, root, files{}) }
		return err
	}
}

// debian returns a root of Debian packages. The version is that of the first.
func (r *recipe) debian(ctx context.Context, name string, packages ...string) (root string, err error) {
	root, err = debian.Extract(ctx, r.dir.Debian(), r.progress, name, packages...)
	version := debian.Version(root, packages[0])
	r.Version, r.config.Labels[versionLabel] = cmp.Or(r.Version, debianTag(version)), version
	r.inputs = append(r.inputs, filepath.Base(root))
	return root, err
}

// own completes the recipe of an image whose content comes from the services folder.
func (r *recipe) own() {
	r.Version, r.config.Labels[versionLabel] = r.rev.tag(), r.rev.version
	r.config.Labels["org.opencontainers.image.revision"] = r.rev.id
	r.inputs = append(r.inputs, r.rev.content)
}

// debianTag turns a Debian version into an image tag: 5:7.0.15-1~deb12u1 becomes 7.0.15-1-deb12u1. It keeps Debian's revision,
// since a security update changes the content and so must change the tag.
func debianTag(version string) string {
	version = version[strings.Index(version, ":")+1:] // all of it if there is no epoch
	return strings.NewReplacer("~", "-", "+", "-").Replace(version)
}

// debianLayers returns a layer with a root of Debian packages, and one with our own files and a few that the programs expect.
func debianLayers(ctx context.Context, root string, own files) ([]v1.Layer, error) {
	own["tmp/"] = &file{Mode: 0o1777}
	for path, text := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/:/sbin/nologin\njournal:x:10001:10001:journal:/:/sbin/nologin\n",
		"etc/group":  "root:x:0:\njournal:x:10001:\n",
		// Without it, the C library asks DNS before it reads /etc/hosts.
		"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
	} {
		own[path] = &file{Mode: 0o644, Data: []byte(text)}
	}
	system, err := rootLayer(ctx, root)
	if err != nil {
		return nil, err
	}
	layer, err := own.layer()
	return []v1.Layer{system, layer}, err
}

// goLayer returns a layer with one static program. It has its package's name, and depends only on its source and on Go's version:
// flags and processor levels of who builds it do not count. The flags are those of the Makefile, which share what is compiled.
func goLayer(module, source string) func(context.Context) ([]v1.Layer, error) {
	return programLayer(filepath.Base(filepath.Join(module, source)), func(ctx context.Context) (string, error) {
		cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", "/dev/stdout", source)
		cmd.Dir = module
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOWORK=off", "GOAMD64=v1", "GOARM64=v8.0",
			"GOFLAGS=-trimpath -buildvcs=false -gcflags=all=-dwarf=false")
		return command.Output(cmd)
	})
}

// programLayer returns a layer with one program, and read returns the program.
func programLayer(name string, read func(context.Context) (string, error)) func(context.Context) ([]v1.Layer, error) {
	return func(ctx context.Context) ([]v1.Layer, error) {
		program, err := read(ctx)
		if err != nil {
			return nil, err
		}
		layer, err := files{name: {Mode: 0o755, Data: []byte(program)}}.layer()
		return []v1.Layer{layer}, err
	}
}
