package images

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
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
func (b *builder) goProgram(name, configKey string, ports ...string) func(context.Context) (recipe, error) {
	return func(ctx context.Context) (recipe, error) {
		r := b.ownRecipe(name, configKey)
		version, err := goTool(ctx, b.services, "env", "GOVERSION")
		if err != nil {
			return r, err
		}
		r.inputs = append(r.inputs, version)
		r.config.Entrypoint = []string{"/" + name}
		r.config.ExposedPorts = map[string]struct{}{}
		for _, port := range ports {
			r.config.ExposedPorts[port] = struct{}{}
		}
		r.layers = func(ctx context.Context) ([]files, error) {
			program, err := goBuild(ctx, b.services, "./"+name)
			return []files{{name: file{mode: 0o755, content: program}}}, err
		}
		return r, nil
	}
}

// web is NGINX with the journal's page.
func (b *builder) web(ctx context.Context) (recipe, error) {
	r := b.ownRecipe("journal-web", "frontendImage")
	root, err := debian.Extract(ctx, b.dir.Debian(), "nginx", "nginx")
	if err != nil {
		return r, err
	}
	r.inputs = append(r.inputs, filepath.Base(root))
	r.config.Entrypoint = []string{"/usr/sbin/nginx", "-e", "stderr", "-g", "daemon off;", "-c", "/etc/nginx/nginx.conf"}
	r.config.ExposedPorts = map[string]struct{}{"8080/tcp": {}}
	r.config.StopSignal = "SIGQUIT"
	r.layers = func(context.Context) ([]files, error) {
		system, err := debianFiles(root, "usr/sbin/nginx")
		if err != nil {
			return nil, err
		}
		if err := system.copyAll(root, []string{"etc/nginx/mime.types"}); err != nil {
			return nil, err
		}
		page, err := b.page()
		return []files{system, page}, err
	}
	return r, nil
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
		content, err := os.ReadFile(filepath.Join(b.services, name))
		if err != nil {
			return nil, err
		}
		page[target] = file{mode: 0o644, content: content, time: contentTime(content)}
	}
	for _, path := range []string{"etc/nginx/nginx.conf", htmlFolder + "index.html"} {
		if _, ok := page[path]; !ok {
			return nil, fmt.Errorf("services/journal-web: there is no %s", filepath.Base(path))
		}
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
		document.content = reference.ReplaceAllFunc(document.content, func(attribute []byte) []byte {
			parts := reference.FindSubmatch(attribute)
			name := string(parts[2])
			asset, ok := f[htmlFolder+name]
			extension := filepath.Ext(name)
			if !ok || extension == ".html" {
				return attribute
			}
			hash := sha256.Sum256(asset.content)
			hashed := fmt.Sprintf("%s.%x%s", strings.TrimSuffix(name, extension), hash[:5], extension)
			f[htmlFolder+hashed] = asset
			return fmt.Appendf(nil, `%s%s"`, parts[1], hashed)
		})
		document.time = contentTime(document.content)
		f[path] = document
	}
}

// redis is Redis with a shell and the few commands that a start script and a probe need.
func (b *builder) redis(ctx context.Context) (recipe, error) {
	r := recipe{name: "redis", configKey: "redisImage"}
	root, err := debian.Extract(ctx, b.dir.Debian(), "redis", "redis-server", "redis-tools", "dash", "busybox")
	if err != nil {
		return r, err
	}
	versions, err := debian.Versions(root)
	if err != nil {
		return r, err
	}
	full := versions["redis-server"]
	r.tag = debianTag(full)
	r.inputs = []string{filepath.Base(root)}
	r.config = config(r.name, full, "")
	r.config.Cmd = []string{"redis-server"}
	r.config.ExposedPorts = map[string]struct{}{"6379/tcp": {}}
	r.layers = func(context.Context) ([]files, error) {
		system, err := debianFiles(root, "usr/bin/redis-server", "usr/bin/redis-cli", "usr/bin/redis-check-aof", "usr/bin/dash", "usr/bin/busybox")
		if err != nil {
			return nil, err
		}
		system.link("usr/bin/sh", "dash")
		for _, applet := range applets {
			system.link("usr/bin/"+applet, "busybox")
		}
		return []files{system}, nil
	}
	return r, nil
}

// pause is the program that holds a pod together.
func (b *builder) pause(ctx context.Context) (recipe, error) {
	r := recipe{name: "pause", tag: "v0.1.0"}
	version, err := goTool(ctx, b.services, "env", "GOVERSION")
	if err != nil {
		return r, err
	}
	r.inputs = []string{version}
	r.config = config(r.name, r.tag, "")
	r.config.Entrypoint = []string{"/pause"}
	r.layers = func(ctx context.Context) ([]files, error) {
		// The source is a part of this program, so that it need not know where its own module is.
		dir, err := os.MkdirTemp("", "journal-image-")
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if err := os.CopyFS(dir, sources); err != nil {
			return nil, err
		}
		program, err := goBuild(ctx, dir, "pause/main.go")
		return []files{{"pause": file{mode: 0o755, content: program}}}, err
	}
	return r, nil
}

// ownRecipe starts the recipe of an image whose content comes from the services folder.
func (b *builder) ownRecipe(name, configKey string) recipe {
	return recipe{
		name:      name,
		configKey: configKey,
		tag:       b.revision.tag(),
		inputs:    []string{b.revision.tree},
		config:    config(name, b.revision.version, b.revision.id),
	}
}

// config returns what all images share.
func config(title, version, revision string) v1.Config {
	labels := map[string]string{"org.opencontainers.image.title": title, "org.opencontainers.image.version": version}
	if revision != "" {
		labels["org.opencontainers.image.revision"] = revision
	}
	return v1.Config{User: user, WorkingDir: "/", Labels: labels, Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
}

// debianFiles returns the programs with what they need to run, out of a root of Debian packages: neither documents nor
// package data, nor libraries that other programs need.
func debianFiles(root string, programs ...string) (files, error) {
	system := files{}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		system.folder("usr/"+dir, 0o755)
		system.link(dir, "usr/"+dir)
	}
	system.folder("tmp", fs.ModeSticky|0o777)
	system.write("etc/passwd", []byte("root:x:0:0:root:/:/sbin/nologin\njournal:x:10001:10001:journal:/:/sbin/nologin\n"))
	system.write("etc/group", []byte("root:x:0:\njournal:x:10001:\n"))
	// Without it the C library asks DNS before it looks into /etc/hosts.
	system.write("etc/nsswitch.conf", []byte("passwd: files\ngroup: files\nhosts: files dns\n"))
	paths, err := debian.Closure(root, programs...)
	if err != nil {
		return nil, err
	}
	return system, system.copyAll(root, paths)
}

// debianTag turns a Debian version into an image tag: 5:7.0.15-1~deb12u1 becomes 7.0.15-1-deb12u1. Debian's revision
// stays, since a security update is another content and must have another tag.
func debianTag(version string) string {
	if _, after, ok := strings.Cut(version, ":"); ok {
		version = after
	}
	return strings.NewReplacer("~", "-", "+", "-").Replace(version)
}

// goBuild builds a static program that depends on its source and the Go version alone, and returns it.
func goBuild(ctx context.Context, dir, source string) ([]byte, error) {
	out, err := os.MkdirTemp("", "journal-image-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(out) }()
	program := filepath.Join(out, "program")
	if _, err := goTool(ctx, dir, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", program, source); err != nil {
		return nil, err
	}
	return os.ReadFile(program)
}

// goTool runs the Go tool for a static Linux program of this machine's architecture.
func goTool(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOWORK=off")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case err == nil:
		return strings.TrimSpace(stdout.String()), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("the Go tool is not on PATH: install Go (the version that services/go.mod names, or newer): %w", err)
	}
	return "", fmt.Errorf("go %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
}
