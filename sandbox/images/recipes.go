package images

import (
	"context"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/debian"
	"example.com/journal/sandbox/internal/command"
)

// applets are the busybox commands in the Redis image: those that its start script and its probes use, and a few for debugging.
var applets = strings.Fields(`awk base64 basename cat chmod cp cut date dd df dirname du echo env expr false find free grep head hostname id kill ln ls
	mkdir mktemp mv nc nslookup printf ps pwd rm sed seq sleep sort stat tail tee test timeout touch tr true uname uniq wc which xargs`)

// goProgram is the recipe of one of our own Go programs: a static executable and nothing else.
func goProgram(repo string, rev revision, name, configKey string, ports ...string) recipe {
	r := ownRecipe(rev, name, configKey, ports...)
	r.config.Entrypoint = []string{"/" + name}
	r.layers = goLayer(filepath.Join(repo, "services", name), ".") // the folder may be a module of its own
	return r
}

const (
	// LogStore is the key of the image of VictoriaLogs, which keeps the logs.
	LogStore = "logs.store.image"
	// LogStoreVersion is its version.
	LogStoreVersion = "v1.51.1-0.20260624061259-dc94972a8708"
)

// service is the recipe of one of Services, or of the log store for a node that cannot pull it.
func service(repo string, rev revision, key string) recipe {
	if key != LogStore {
		return goProgram(repo, rev, Services[key], key)
	}
	module := filepath.Join(repo, "sandbox/toolchain/stores")
	pinned, _ := os.ReadFile(filepath.Join(module, "go.sum")) // if there is none, the compiler says so
	r := recipe{
		name: "victoria-logs", configKey: key, tag: LogStoreVersion,
		inputs: []string{string(pinned)}, config: config("victoria-logs", LogStoreVersion, "", "9428/tcp"),
	}
	r.config.Entrypoint = []string{"/victoria-logs"}
	r.layers = goLayer(module, "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs")
	return r
}

// pause is the recipe of the program that holds a pod's namespaces open.
func pause(repo string) recipe {
	r := recipe{name: "pause", tag: "v0.1.0", config: config("pause", "v0.1.0", "")}
	r.config.Entrypoint = []string{"/pause"}
	r.layers = goLayer(filepath.Join(repo, "sandbox"), "./images/pause")
	return r
}

// webServer is the recipe of NGINX, from a root of its packages, with the journal's page.
func webServer(repo string, rev revision, root string) recipe {
	r := ownRecipe(rev, "journal-web", "frontend.image", "8080/tcp")
	r.inputs = append(r.inputs, filepath.Base(root))
	r.config.Entrypoint = []string{"/usr/sbin/nginx", "-e", "stderr", "-g", "daemon off;", "-c", "/etc/nginx/nginx.conf"}
	r.config.StopSignal = "SIGQUIT"
	r.layers = func(ctx context.Context) ([]v1.Layer, error) {
		page, err := page(repo, rev)
		if err != nil {
			return nil, err
		}
		return debianLayers(ctx, root, page)
	}
	return r
}

// redisServer is the recipe of Redis, from a root of its packages, with a shell and the commands of its start script and probes.
func redisServer(root string) recipe {
	version := debian.Version(root, "redis-server")
	r := recipe{
		name: "redis", configKey: "redis.image", tag: debianTag(version),
		inputs: []string{filepath.Base(root)}, config: config("redis", version, "", "6379/tcp"),
	}
	r.config.Cmd = []string{"redis-server"}
	r.layers = func(ctx context.Context) ([]v1.Layer, error) {
		links := files{"usr/bin/sh": {Link: "dash", Mode: 0o777}}
		for _, applet := range applets {
			links["usr/bin/"+applet] = &file{Link: "busybox", Mode: 0o777}
		}
		return debianLayers(ctx, root, links)
	}
	return r
}

// Program returns the image of a static program of somebody else's, which it makes if it is not in the cache. The key names all
// that the program is built from, and the version is the image's tag. Only a node that cannot pull their own image needs it.
func Program(ctx context.Context, dir cache.Dir, configKey, path, version, key string, progress io.Writer) (Image, error) {
	name := filepath.Base(path)
	r := recipe{name: name, configKey: configKey, tag: version, inputs: []string{key}, config: config(name, version, "")}
	r.config.Entrypoint = []string{"/" + name}
	r.layers = func(context.Context) ([]v1.Layer, error) {
		program, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		layer, err := files{name: {Mode: 0o755, Data: program}}.layer()
		return []v1.Layer{layer}, err
	}
	return r.image(ctx, dir.Images(), log.New(progress, "image ", 0))
}

// ownRecipe returns the common part of the recipes whose content comes from the services folder.
func ownRecipe(rev revision, name, configKey string, ports ...string) recipe {
	return recipe{
		name: name, configKey: configKey, tag: rev.tag(),
		inputs: []string{rev.content}, config: config(name, rev.version, rev.id, ports...),
	}
}

// config returns the configuration that all images share.
func config(title, version, revision string, ports ...string) v1.Config {
	c := v1.Config{
		// The user of the programs, unless the pod sets another. Kubernetes can check only a number for runAsNonRoot.
		User: "10001:10001", WorkingDir: "/", Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Labels:       map[string]string{"org.opencontainers.image.title": title, "org.opencontainers.image.version": version},
		ExposedPorts: map[string]struct{}{},
	}
	if revision != "" {
		c.Labels["org.opencontainers.image.revision"] = revision
	}
	for _, port := range ports {
		c.ExposedPorts[port] = struct{}{}
	}
	return c
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
	return func(ctx context.Context) ([]v1.Layer, error) {
		cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", "/dev/stdout", source)
		cmd.Dir = module
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOWORK=off", "GOAMD64=v1", "GOARM64=v8.0",
			"GOFLAGS=-trimpath -buildvcs=false -gcflags=all=-dwarf=false")
		program, err := command.Output(cmd)
		if err != nil {
			return nil, err
		}
		layer, err := files{filepath.Base(filepath.Join(module, source)): {Mode: 0o755, Data: []byte(program)}}.layer()
		return []v1.Layer{layer}, err
	}
}
