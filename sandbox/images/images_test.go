package images

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"example.com/journal/sandbox/cache"
)

func TestTagNamesTheCommitOfCleanServices(t *testing.T) {
	repo := checkout(t)
	want := strings.TrimSpace(git(t, repo, "rev-parse", "HEAD"))
	write(t, repo, "README.md", "changed\n")
	git(t, repo, "add", "README.md")
	git(t, repo, "commit", "-m", "Not about services")
	write(t, repo, "uncommitted.txt", "neither is this\n")

	got, err := readRevision(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	if got.id != want || got.tag() != "v0.1.0-"+want[:12] {
		t.Errorf("revision: got %s, tag %s, want the commit %s", got.id, got.tag(), want)
	}
	if files := strings.Join(got.files, " "); !strings.Contains(files, "journal-web/html/index.html") || strings.Contains(files, "README") {
		t.Errorf("files: got %s", files)
	}
}

func TestTagNamesTheContentOfUncommittedServices(t *testing.T) {
	repo := checkout(t)
	seen := map[string]string{}
	for _, c := range []struct {
		what   string
		change func()
	}{
		{"clean", func() {}},
		{"changed", func() { write(t, repo, "services/journal-web/html/index.html", "<p>two") }},
		{"staged", func() {
			write(t, repo, "services/journal-web/html/index.html", "<p>three")
			git(t, repo, "add", "services")
		}},
		{"new file", func() { write(t, repo, "services/journal-web/html/new.css", "p{}") }},
		{"file gone", func() { remove(t, repo, "services/journal-web/html/index.html") }},
		{"new version", func() { write(t, repo, "services/VERSION", "0.2.0\n") }},
	} {
		t.Run(c.what, func(t *testing.T) {
			before := status(t, repo)
			c.change()
			if c.what == "clean" && status(t, repo) != before {
				t.Fatal("the checkout is not clean")
			}
			state := status(t, repo) + git(t, repo, "count-objects")
			got, err := readRevision(t.Context(), repo)
			if err != nil {
				t.Fatal(err)
			}
			again, err := readRevision(t.Context(), repo)
			if err != nil || again.tag() != got.tag() {
				t.Errorf("the second tag is %s (%v), want %s", again.tag(), err, got.tag())
			}
			if other, ok := seen[got.tag()]; ok {
				t.Errorf("tag %s is the one of %q", got.tag(), other)
			}
			seen[got.tag()] = c.what
			if after := status(t, repo) + git(t, repo, "count-objects"); after != state {
				t.Errorf("the checkout was written to: got %q, want %q", after, state)
			}
		})
	}
	// The same content has the same name, also in another commit: only the files count.
	write(t, repo, "services/VERSION", "0.1.0\n")
	write(t, repo, "services/journal-web/html/index.html", "<p>two")
	remove(t, repo, "services/journal-web/html/new.css")
	got, err := readRevision(t.Context(), repo)
	if err != nil || seen[got.tag()] != "changed" {
		t.Errorf("content of %q: got tag %s of %q (%v)", "changed", got.tag(), seen[got.tag()], err)
	}
}

func TestRevisionWorksBeforeTheFirstCommit(t *testing.T) {
	repo := t.TempDir()
	git(t, repo, "init", "-q")
	services(t, repo)
	got, err := readRevision(t.Context(), repo)
	if err != nil || got.id != got.content || !regexp.MustCompile(`^v0\.1\.0-[0-9a-f]{12}$`).MatchString(got.tag()) {
		t.Errorf("revision: got %+v (%v)", got, err)
	}
}

func TestRevisionSaysWhatIsWrong(t *testing.T) {
	plain := t.TempDir()
	services(t, plain)
	_, err := readRevision(t.Context(), plain)
	wantError(t, err, plain, "not the top of a git checkout", "clone")

	inner := filepath.Join(checkout(t), "inner")
	services(t, inner)
	_, err = readRevision(t.Context(), inner)
	wantError(t, err, "not the top of a git checkout")

	repo := checkout(t)
	write(t, repo, "services/VERSION", "1.2\n")
	_, err = readRevision(t.Context(), repo)
	wantError(t, err, `services/VERSION "1.2": not a semantic version`, `"0.1.0"`)

	remove(t, repo, "services/VERSION")
	_, err = readRevision(t.Context(), repo)
	wantError(t, err, "services/VERSION", "such as 0.1.0")

	t.Setenv("PATH", t.TempDir())
	write(t, repo, "services/VERSION", "0.1.0\n")
	_, err = readRevision(t.Context(), repo)
	wantError(t, err, "git", "executable file not found")
}

func TestOwnProgramsAreReproducible(t *testing.T) {
	var layers [2]v1.Hash
	for i := range layers {
		// Each test's repository has different commits, which the image's labels name.
		content := open(t, build(t, checkout(t), newDir(t), "journal-api"))
		config, err := content.ConfigFile()
		if err != nil || len(config.RootFS.DiffIDs) != 1 {
			t.Fatalf("the configuration is %+v (%v)", config, err)
		}
		layers[i] = config.RootFS.DiffIDs[0]
	}
	if layers[0] != layers[1] {
		t.Errorf("two builds of the same files got the layers %s and %s", layers[0], layers[1])
	}
}

func TestLayerDependsOnTheContentAlone(t *testing.T) {
	dir := t.TempDir()
	digest := func(mode os.FileMode) v1.Hash {
		root := filepath.Join(dir, mode.String())
		if err := errors.Join(
			os.MkdirAll(filepath.Join(root, "usr/bin"), mode|0o700),
			os.WriteFile(filepath.Join(root, "usr/bin/tool"), []byte("text"), mode),
			os.Symlink("usr/bin", filepath.Join(root, "bin")),
			os.WriteFile(filepath.Join(root, ".packages"), []byte(mode.String()), mode),
		); err != nil {
			t.Fatal(err)
		}
		layer, err := rootLayer(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		hash, err := layer.DiffID()
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	if private, public := digest(0o700), digest(0o755); private != public {
		t.Errorf("the umask shows: got %s and %s", private, public)
	}
	if program, text := digest(0o711), digest(0o644); program == text {
		t.Error("a program and a text got the same layer")
	}
}

func TestPagesOfTheSameSizeHaveDifferentTimes(t *testing.T) {
	one, two := contentTime([]byte("one")), contentTime([]byte("two"))
	if one.Equal(two) || !contentTime([]byte("one")).Equal(one) {
		t.Errorf("times: got %s and %s, want two that follow from the content", one, two)
	}
}

func TestBuildMakesAllImagesOnce(t *testing.T) {
	needsDebian(t)
	repo := checkout(t)
	dir := newDir(t)
	var progress bytes.Buffer
	kinds := append(slices.Clone(Journal), Pause)
	images, err := Build(t.Context(), repo, dir, &progress, kinds...)
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	commit := strings.TrimSpace(git(t, repo, "rev-parse", "HEAD"))
	for i, want := range []struct {
		key, reference, command, revision string
		files                             []string
	}{
		{"api.image", "journal.example.com/journal-api:v0.1.0-" + commit[:12], "/journal-api", commit, []string{"journal-api"}},
		{"claims.image", "journal.example.com/namespace-controller:v0.1.0-" + commit[:12], "/namespace-controller", commit, []string{"namespace-controller"}},
		{"frontend.image", "journal.example.com/journal-web:v0.1.0-" + commit[:12], "/usr/sbin/nginx -e stderr -g daemon off; -c /etc/nginx/nginx.conf", commit,
			[]string{"usr/sbin/nginx", "etc/nginx/nginx.conf", "etc/nginx/mime.types", "usr/share/nginx/html/index.html", "etc/passwd", "tmp"}},
		{"redis.image", `journal.example.com/redis:\d+\.\d+\.\d+-[a-z0-9-]+`, "redis-server", "", []string{"usr/bin/redis-server", "usr/bin/redis-cli", "usr/bin/sh", "usr/bin/timeout", "tmp"}},
		{"redis.exporter.image", `journal.example.com/redis_exporter:\d+\.\d+\.\d+-[a-z0-9-]+`, "/usr/bin/prometheus-redis-exporter", "", []string{"usr/bin/prometheus-redis-exporter", "etc/nsswitch.conf"}},
		{"", "journal.example.com/pause:v0.1.0", "/pause", "", []string{"pause"}},
	} {
		t.Run(fmt.Sprintf("image %d has key %q", i, want.key), func(t *testing.T) {
			image := images[i]
			if image.ConfigKey != want.key || !regexp.MustCompile("^"+want.reference+"$").MatchString(image.Reference) {
				t.Errorf("got %s=%s, want %s=%s", image.ConfigKey, image.Reference, want.key, want.reference)
			}
			content := open(t, image)
			config, err := content.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(append(config.Config.Entrypoint, config.Config.Cmd...), " "); got != want.command || config.Config.User != "10001:10001" {
				t.Errorf("%s: got %q as %s", image.Reference, got, config.Config.User)
			}
			labels := config.Config.Labels
			if labels["org.opencontainers.image.revision"] != want.revision || labels["org.opencontainers.image.version"] == "" || labels["org.opencontainers.image.title"] == "" {
				t.Errorf("%s: got labels %v", image.Reference, labels)
			}
			held := list(t, content)
			for _, path := range want.files {
				if !held[path] {
					t.Errorf("%s: there is no %s in it", image.Reference, path)
				}
			}
			for path := range held {
				if strings.HasPrefix(path, "usr/share/doc") || strings.HasPrefix(path, "usr/share/man") {
					t.Errorf("%s: %s is in it", image.Reference, path)
				}
			}
		})
	}

	progress.Reset()
	again, err := Build(t.Context(), repo, dir, &progress, kinds...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range images {
		if images[i] != again[i] {
			t.Errorf("second build: got %+v, want %+v", again[i], images[i])
		}
	}
	if out := progress.String(); strings.Count(out, "unchanged") != len(kinds) || strings.Contains(out, "built") {
		t.Errorf("second build: got\n%swant %d unchanged images", out, len(kinds))
	}
}

func TestPushedImagesAreTheBuiltOnes(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	target := strings.TrimPrefix(server.URL, "http://") + "/team-a"
	image := build(t, checkout(t), newDir(t), "journal-api")
	pushed := []Image{image}
	if err := Push(t.Context(), pushed, target, io.Discard); err != nil {
		t.Fatal(err)
	}
	reference, err := image.In(target)
	if err != nil || reference != strings.Replace(image.Reference, Origin, target, 1) {
		t.Fatalf("reference: got %s (%v)", reference, err)
	}
	tag, err := name.NewTag(reference)
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Image(tag)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := got.Digest()
	if err != nil || pushed[0].Digest != digest.String() {
		t.Errorf("pushed as %q, want the digest %s of the registry (%v)", pushed[0].Digest, digest, err)
	}
	gotConfig, err1 := got.ConfigName()
	wantConfig, err2 := open(t, image).ConfigName()
	if err := errors.Join(err1, err2); err != nil || gotConfig != wantConfig {
		t.Errorf("pushed image: got %s, want %s (%v)", gotConfig, wantConfig, err)
	}

	_, err = image.In("Registry!")
	wantError(t, err, `registry "Registry!"`, "registry.example.com/team-a")
}

func TestBuildErrorsNameTheImage(t *testing.T) {
	repo := checkout(t)
	write(t, repo, "services/journal-api/main.go", "package main\n\nfunc main() { undefined() }\n")
	dir := newDir(t)
	_, err := Build(t.Context(), repo, dir, io.Discard, named("journal-api"))
	wantError(t, err, "container image journal-api: go build", "undefined: undefined")
	if left, _ := os.ReadDir(dir.Images()); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

func TestOnlyRecentArchivesAreKept(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"api-1.tar", "api-2.tar", "api-3.tar", "api-4.tar", "api-5.tar", "api-6.tar", ".api-7.tar.1.new", "web-1.tar"} {
		write(t, dir, name, "")
	}
	newest := filepath.Join(dir, "api-1.tar")
	when := contentTime(nil)
	for _, name := range []string{"api-3.tar", ".api-7.tar.1.new"} {
		if err := os.Chtimes(filepath.Join(dir, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	prune(dir, "api")
	left, err := filepath.Glob(filepath.Join(dir, "*.tar"))
	if err != nil || len(left) != keepArchives+1 {
		t.Errorf("archives left: got %v (%v), want %d", left, err, keepArchives+1)
	}
	for _, name := range []string{"api-3.tar", ".api-7.tar.1.new"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s, the oldest, is still there", name)
		}
	}
	if _, err := os.Stat(newest); err != nil {
		t.Error(err)
	}
}

func TestEachDebianVersionHasATagOfItsOwn(t *testing.T) {
	for version, want := range map[string]string{"5:7.0.15-1~deb12u1": "7.0.15-1-deb12u1", "7.2.4": "7.2.4", "1:8.0.2+ds-1": "8.0.2-ds-1"} {
		t.Run(version, func(t *testing.T) {
			if got := debianTag(version); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// needsDebian skips a test where Debian packages are not available.
func needsDebian(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("downloads Debian packages: left out by -short")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("needs a Debian machine: there is no apt-get")
	}
}

// newDir returns a cache that shares only the downloaded Debian packages.
func newDir(t *testing.T) cache.Dir {
	t.Helper()
	shared, err := cache.Open()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := cache.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(shared.Debian(), dir.Path("debian")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// named returns the kind of image with a name.
func named(name string) Kind {
	all := slices.Concat(Journal, Services, Foreign, []Kind{Pause})
	return all[slices.IndexFunc(all, func(k Kind) bool { return k.Name == name })]
}

// build builds the image with a name.
func build(t *testing.T, repo string, dir cache.Dir, name string) Image {
	t.Helper()
	images, err := Build(t.Context(), repo, dir, io.Discard, named(name))
	if err != nil {
		t.Fatal(err)
	}
	return images[0]
}

// checkout makes a git repository with small services, all committed.
func checkout(t *testing.T) string {
	t.Helper()
	repo := t.TempDir()
	git(t, repo, "init", "-q")
	services(t, repo)
	git(t, repo, "add", ".")
	git(t, repo, "commit", "-m", "Add services")
	return repo
}

func services(t *testing.T, repo string) {
	t.Helper()
	for path, text := range map[string]string{
		"VERSION":                      "0.1.0\n",
		"go.mod":                       "module example.com/services\n\ngo 1.26\n",
		"journal-api/main.go":          "package main\n\nfunc main() {}\n",
		"namespace-controller/main.go": "package main\n\nfunc main() {}\n",
		"journal-web/nginx.conf":       "events {}\n",
		"journal-web/html/index.html":  "<p>one",
	} {
		write(t, repo, filepath.Join("services", path), text)
	}
	write(t, repo, "sandbox/go.mod", "module example.com/sandbox\n\ngo 1.26\n")
	write(t, repo, "sandbox/images/pause/main.go", "package main\n\nfunc main() {}\n")
}

func write(t *testing.T, dir, path, text string) {
	t.Helper()
	path = filepath.Join(dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir, path string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, path)); err != nil {
		t.Fatal(err)
	}
}

func status(t *testing.T, repo string) string {
	t.Helper()
	return git(t, repo, "status", "--porcelain", "--untracked-files=all")
}

func git(t *testing.T, repo string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", repo, "-c", "user.name=alice", "-c", "user.email=alice@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func open(t *testing.T, image Image) v1.Image {
	t.Helper()
	tag, err := name.NewTag(image.Reference)
	if err != nil {
		t.Fatal(err)
	}
	content, err := tarball.ImageFromPath(image.Archive, &tag)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// list returns the paths in an image.
func list(t *testing.T, image v1.Image) map[string]bool {
	t.Helper()
	all := mutate.Extract(image)
	defer func() { _ = all.Close() }()
	paths := map[string]bool{}
	for archive := tar.NewReader(all); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return paths
		}
		if err != nil {
			t.Fatal(err)
		}
		paths[header.Name] = true
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got error %q, want it to contain %q", err, part)
		}
	}
}
