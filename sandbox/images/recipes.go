package images

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"example.com/journal/sandbox/debian"
	"example.com/journal/sandbox/internal/command"
)

// user is who the programs run as unless the pod says otherwise. Only a number can be checked by runAsNonRoot.
const user = "10001:10001"

// applets are the commands that busybox stands for in the Redis image: what its start script and its probes use,
// and a little to look around with.
var applets = []string{
	"awk", "base64", "basename", "cat", "chmod", "cp", "cut", "date", "dd", "df", "dirname", "du", "echo", "env", "expr", "false",
	"find", "free", "grep", "head", "hostname", "id", "kill", "ln", "ls", "mkdir", "mktemp", "mv", "nc", "nslookup", "printf", "ps",
	"pwd", "rm", "sed", "seq", "sleep", "sort", "stat", "tail", "tee", "test", "timeout", "touch", "tr", "true", "uname", "uniq",
	"wc", "which", "xargs",
}

// goProgram is one of our own programs in Go: a static executable and nothing else.
func (b *builder) goProgram(name, configKey string, ports ...string) recipe {
	r := b.ownRecipe(name, configKey, ports...)
	r.config.Entrypoint = []string{"/" + name}
	r.layers = goLayer(filepath.Join(b.repo, "services"), "./"+name)
	return r
}

// pause is the program that holds a pod together.
func (b *builder) pause() recipe {
	r := recipe{name: "pause", tag: "v0.1.0", config: config("pause", "v0.1.0", "")}
	r.config.Entrypoint = []string{"/pause"}
	r.layers = goLayer(filepath.Join(b.repo, "sandbox"), "./images/pause")
	return r
}

// web is NGINX, out of a root of its packages, with the journal's page.
func (b *builder) web(root string) recipe {
	r := b.ownRecipe("journal-web", "frontendImage", "8080/tcp")
	r.inputs = append(r.inputs, filepath.Base(root))
	r.config.Entrypoint = []string{"/usr/sbin/nginx", "-e", "stderr", "-g", "daemon off;", "-c", "/etc/nginx/nginx.conf"}
	r.config.StopSignal = "SIGQUIT"
	r.layers = func(context.Context) ([]files, error) {
		system, err := debianFiles(root)
		if err != nil {
			return nil, err
		}
		page, err := b.page()
		return []files{system, page}, err
	}
	return r
}

// htmlFolder is where NGINX finds the page in its image.
const htmlFolder = "usr/share/nginx/html/"

// page returns the files of services/journal-web that git knows or would take, and the assets under their hashed names too.
func (b *builder) page() (files, error) {
	page := files{}
	for _, name := range b.revision.files {
		target := ""
		if name == "journal-web/nginx.conf" {
			target = "etc/nginx/nginx.conf"
		} else if path, ok := strings.CutPrefix(name, "journal-web/html/"); ok {
			target = htmlFolder + path
		} else {
			continue
		}
		content, err := os.ReadFile(filepath.Join(b.repo, "services", name))
		if err != nil {
			return nil, err
		}
		page.write(target, content)
		page[target].ModTime = contentTime(content)
	}
	page.hashAssets()
	return page, nil
}

// reference is an attribute of the page's HTML that may name an asset: what is before the name, and the name.
var reference = regexp.MustCompile(`((?:href|src)="/?)([^"]+)"`)

// hashAssets has the HTML ask for its assets by names with a hash of their content, such as journal.0123456789.css, which a
// browser may keep for good. They are there under their own names as well: NGINX serves these for a hash of another version.
func (f files) hashAssets() {
	for path, document := range f {
		if filepath.Ext(path) != ".html" {
			continue
		}
		document.Data = reference.ReplaceAllFunc(document.Data, func(attribute []byte) []byte {
			parts := reference.FindSubmatch(attribute)
			name := string(parts[2])
			asset, extension := f[htmlFolder+name], filepath.Ext(name)
			if asset == nil || extension == ".html" {
				return attribute
			}
			hash := sha256.Sum256(asset.Data)
			hashed := fmt.Sprintf("%s.%x%s", strings.TrimSuffix(name, extension), hash[:5], extension)
			f[htmlFolder+hashed] = asset
			return fmt.Appendf(nil, `%s%s"`, parts[1], hashed)
		})
		document.ModTime = contentTime(document.Data)
	}
}

// redis is Redis, out of a root of its packages, with a shell and the few commands that a start script and a probe need.
func (b *builder) redis(root string) recipe {
	version := debian.Version(root, "redis-server")
	r := recipe{
		name: "redis", configKey: "redisImage", tag: debianTag(version),
		inputs: []string{filepath.Base(root)}, config: config("redis", version, "", "6379/tcp"),
	}
	r.config.Cmd = []string{"redis-server"}
	r.layers = func(context.Context) ([]files, error) {
		system, err := debianFiles(root)
		system.link("usr/bin/sh", "dash")
		for _, applet := range applets {
			system.link("usr/bin/"+applet, "busybox")
		}
		return []files{system}, err
	}
	return r
}

// ownRecipe starts the recipe of an image whose content comes from the services folder.
func (b *builder) ownRecipe(name, configKey string, ports ...string) recipe {
	return recipe{
		name:      name,
		configKey: configKey,
		tag:       b.revision.tag(),
		inputs:    []string{b.revision.content},
		config:    config(name, b.revision.version, b.revision.id, ports...),
	}
}

// config returns what all images share.
func config(title, version, revision string, ports ...string) v1.Config {
	c := v1.Config{
		User: user, WorkingDir: "/", Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
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

// debianFiles returns a root of Debian packages, with the little that its programs expect besides.
func debianFiles(root string) (files, error) {
	system := files{"tmp": {Mode: fs.ModeDir | fs.ModeSticky | 0o777}}
	system.write("etc/passwd", []byte("root:x:0:0:root:/:/sbin/nologin\njournal:x:10001:10001:journal:/:/sbin/nologin\n"))
	system.write("etc/group", []byte("root:x:0:\njournal:x:10001:\n"))
	// Without it the C library asks DNS before it looks into /etc/hosts.
	system.write("etc/nsswitch.conf", []byte("passwd: files\ngroup: files\nhosts: files dns\n"))
	return system, system.add(root)
}

// debianTag turns a Debian version into an image tag: 5:7.0.15-1~deb12u1 becomes 7.0.15-1-deb12u1. Debian's revision
// stays, since a security update is another content and must have another tag.
func debianTag(version string) string {
	if _, after, ok := strings.Cut(version, ":"); ok {
		version = after
	}
	return strings.NewReplacer("~", "-", "+", "-").Replace(version)
}

// goLayer is a layer with one static program, which has its folder's name and depends on its source and the Go version alone.
func goLayer(module, source string) func(context.Context) ([]files, error) {
	return func(ctx context.Context) ([]files, error) {
		out, err := os.MkdirTemp("", "journal-image-")
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(out) }()
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out+"/", source)
		cmd.Dir = module
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOWORK=off")
		if _, err := command.Output(cmd); err != nil {
			return nil, err
		}
		name := filepath.Base(source)
		content, err := os.ReadFile(filepath.Join(out, name))
		layer := files{}
		layer.program(name, content)
		return []files{layer}, err
	}
}
