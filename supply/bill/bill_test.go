package bill

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
)

const repository = "registry.example.com/team-a/app"

// entry is a file of a layer.
type entry struct{ name, text string }

// dpkg is a paragraph of Debian's database.
func dpkg(name, version string, more ...string) string {
	return fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\n%s\n", name, version, strings.Join(more, ""))
}

// pack returns a layer.
func pack(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: 0o755, Size: int64(len(e.text))}
		if target, is := strings.CutPrefix(e.text, "-> "); is {
			header.Typeflag, header.Linkname, header.Size, e.text = tar.TypeSymlink, target, 0, ""
		}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func zipped(t *testing.T, text []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	archive := gzip.NewWriter(&packed)
	if _, err := archive.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// store puts an image of layers into a store.
func store(t *testing.T, target oras.Target, layers ...[]byte) ocispec.Descriptor {
	t.Helper()
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	for _, layer := range layers {
		manifest.Layers = append(manifest.Layers, put(t, target, ocispec.MediaTypeImageLayerGzip, layer))
	}
	manifest.Config = put(t, target, ocispec.MediaTypeImageConfig, fmt.Appendf(nil, `{"layers": %d}`, len(layers)))
	return put(t, target, ocispec.MediaTypeImageManifest, marshal(t, manifest))
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func put(t *testing.T, target oras.Target, mediaType string, text []byte) ocispec.Descriptor {
	t.Helper()
	described, err := oras.PushBytes(t.Context(), target, mediaType, text)
	if err != nil && !strings.Contains(err.Error(), "already exists") {
		t.Fatal(err)
	}
	return described
}

// made returns the bill of an image, by the URLs of what is in it and where.
func made(t *testing.T, target oras.Target, image ocispec.Descriptor) (places map[string]string, aggregate cyclonedx.CompositionAggregate) {
	t.Helper()
	text, err := Of(t.Context(), target, repository, image)
	if err != nil {
		t.Fatal(err)
	}
	if err := Names(text, image.Digest.String()); err != nil {
		t.Error(err)
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(text), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	places = map[string]string{}
	for _, component := range *bom.Components {
		for _, place := range *component.Evidence.Occurrences {
			places[component.PackageURL] = strings.TrimSpace(places[component.PackageURL] + " " + place.Location)
		}
	}
	return places, (*bom.Compositions)[0].Aggregate
}

// program builds the command of this module, as the images' programs are built. A test's own program does not say what is in it.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "supply")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "..")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(binary)
}

func TestTheBillOfAGoProgramHasItsModules(t *testing.T) {
	binary, target := program(t), memory.New()
	got, aggregate := made(t, target, store(t, target, pack(t, entry{"one", binary}, entry{"bin/two", binary}, entry{"readme", "text"})))
	gomod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	direct := regexp.MustCompile(`(?m)^\t(\S+) (v\S+)$`).FindAllStringSubmatch(string(gomod), -1)
	if len(direct) < 5 {
		t.Fatalf("go.mod: got the requirements %q", direct)
	}
	for _, module := range direct {
		if url := "pkg:golang/" + module[1] + "@" + module[2]; got[url] != "/bin/two /one" {
			t.Errorf("%s: got the places %q in %v", url, got[url], got)
		}
	}
	for _, url := range []string{"pkg:golang/example.com/journal/supply", "pkg:golang/stdlib@" + strings.TrimPrefix(strings.Fields(runtime.Version())[0], "go")} {
		if got[url] == "" {
			t.Errorf("%s is not in %v", url, got)
		}
	}
	if aggregate != cyclonedx.CompositionAggregateComplete {
		t.Errorf("the bill of an image of Go programs is %s", aggregate)
	}
	t.Run("with a program of which nobody says what it is, it is incomplete", func(t *testing.T) {
		_, aggregate := made(t, target, store(t, target, pack(t, entry{"go", binary}, entry{"c", elf + "a program of C"})))
		if aggregate != cyclonedx.CompositionAggregateIncomplete {
			t.Errorf("the bill is %s", aggregate)
		}
	})
}

func TestTheBillHasWhatTheLayersLeaveOfPackages(t *testing.T) {
	const program = elf + "a program of C"
	const nginx, libc = "pkg:deb/debian/nginx@1.22.1-9%2Bdeb12u1?arch=amd64", "pkg:deb/debian/libc6@2.36-9?arch=amd64&upstream=glibc"
	status := entry{"var/lib/dpkg/status", dpkg("nginx", "1.22.1-9+deb12u1", "Status: install ok installed\nDescription: web\n Package: fake\n")}
	glibc := entry{"./var/lib/dpkg/status.d/libc6", dpkg("libc6", "2.36-9", "Source: glibc (2.36)\n")}
	for _, c := range []struct {
		sentence string
		layers   [][]entry
		want     []string
		known    cyclonedx.CompositionAggregate
	}{
		{"Debian's database", [][]entry{{status}}, []string{nginx}, cyclonedx.CompositionAggregateUnknown},
		{"a database without a package manager", [][]entry{{glibc, {"var/lib/dpkg/status.d/libc6.md5sums", "0 usr/lib\n"}}}, []string{libc}, cyclonedx.CompositionAggregateUnknown},
		{"both", [][]entry{{status}, {glibc}}, []string{libc, nginx}, cyclonedx.CompositionAggregateUnknown},
		{"Alpine's database", [][]entry{{{"lib/apk/db/installed", "C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\no:musl\n\nP:libcrypto3\nV:3.3.2-r0\nA:x86_64\no:openssl\n"}}},
			[]string{"pkg:apk/alpine/libcrypto3@3.3.2-r0?arch=x86_64&upstream=openssl", "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64"}, cyclonedx.CompositionAggregateUnknown},
		{"a package that was removed, and its settings left", [][]entry{{{status.name, status.text + dpkg("gone", "1", "Status: deinstall ok config-files\n")}}}, []string{nginx}, cyclonedx.CompositionAggregateUnknown},
		{"a database that a later layer replaces", [][]entry{{status}, {{status.name, dpkg("busybox", "1")}}}, []string{"pkg:deb/debian/busybox@1?arch=amd64"}, cyclonedx.CompositionAggregateUnknown},
		{"a file that a later layer removes", [][]entry{{status, glibc}, {{"var/lib/dpkg/.wh.status", ""}}}, []string{libc}, cyclonedx.CompositionAggregateUnknown},
		{"a folder that a later layer removes", [][]entry{{status, glibc}, {{"var/lib/dpkg/.wh.status.d", ""}}}, []string{nginx}, cyclonedx.CompositionAggregateUnknown},
		{"a folder that a later layer makes anew", [][]entry{{status, glibc}, {{"var/lib/.wh..wh..opq", ""}, status}}, []string{nginx}, cyclonedx.CompositionAggregateUnknown},
		{"a file that a later layer makes a link", [][]entry{{status, glibc}, {{status.name, "-> /etc/passwd"}}}, []string{libc}, cyclonedx.CompositionAggregateUnknown},
		{"a file that is there twice", [][]entry{{status, glibc, {status.name, "-> /etc/passwd"}}}, []string{libc}, cyclonedx.CompositionAggregateUnknown},
		{"a file with a name that only looks like a database", [][]entry{{glibc, {"srv/var/lib/dpkg/status", status.text}}}, []string{libc}, cyclonedx.CompositionAggregateUnknown},
		{"a path that leaves the image", [][]entry{{{"../../" + status.name, status.text}}}, []string{nginx}, cyclonedx.CompositionAggregateUnknown},
		{"a program of C beside a database", [][]entry{{status, {"usr/bin/c", program}}}, []string{nginx}, cyclonedx.CompositionAggregateUnknown},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			target := memory.New()
			var layers [][]byte
			for _, entries := range c.layers {
				layers = append(layers, zipped(t, pack(t, entries...)))
			}
			image := store(t, target, layers...)
			got, known := made(t, target, image)
			var urls []string
			for url := range got {
				urls = append(urls, url)
			}
			slices.Sort(urls)
			if !slices.Equal(urls, c.want) || known != c.known {
				t.Errorf("got %s %q, want %s %q", known, urls, c.known, c.want)
			}
		})
	}
}

func TestTheSameImageHasTheSameBill(t *testing.T) {
	target := memory.New()
	image := store(t, target, pack(t, entry{"var/lib/dpkg/status", dpkg("a", "1") + dpkg("b", "2") + dpkg("c", "3")}))
	one, err := Of(t.Context(), target, repository, image)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Of(t.Context(), target, repository, image)
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("got\n%s\nand\n%s (%v)", one, two, err)
	}
}

func TestAnImageForSeveralPlatformsHasOneBill(t *testing.T) {
	target := memory.New()
	amd := store(t, target, pack(t, entry{"var/lib/dpkg/status", dpkg("a", "1")}))
	arm := store(t, target, pack(t, entry{"var/lib/dpkg/status", dpkg("b", "2")}))
	about := store(t, target, pack(t, entry{"var/lib/dpkg/status", dpkg("not-in-the-image", "3")}))
	about.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{amd, arm, about}}
	described := put(t, target, ocispec.MediaTypeImageIndex, marshal(t, index))
	got, _ := made(t, target, described)
	if len(got) != 2 || got["pkg:deb/debian/a@1?arch=amd64"] == "" || got["pkg:deb/debian/b@2?arch=amd64"] == "" {
		t.Errorf("got %v", got)
	}
	nested := put(t, target, ocispec.MediaTypeImageIndex, marshal(t, ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{described}}))
	if _, err := Of(t.Context(), target, repository, nested); err == nil || !strings.Contains(err.Error(), "an index in an index") {
		t.Errorf("of an index in an index: %v", err)
	}
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	target := memory.New()
	for _, c := range []struct {
		sentence string
		layer    []byte
		says     string
	}{
		{"an image of which nobody knows what is in it", pack(t, entry{"readme", "text"}), "its bill would be empty"},
		{"a program of C alone", pack(t, entry{"c", elf + "a program of C"}), "its bill would be empty"},
		{"a layer that is compressed otherwise", []byte{0x28, 0xb5, 0x2f, 0xfd, 0}, "layer 0 (sha256:"},
		{"what is no archive", []byte("text"), "layer 0 (sha256:"},
		{"an archive that is cut off", zipped(t, pack(t, entry{"var/lib/dpkg/status", dpkg("a", "1")}))[:40], "layer 0 (sha256:"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			if _, err := Of(t.Context(), target, repository, store(t, target, c.layer)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
	large := store(t, target, pack(t, entry{"var/lib/dpkg/status", dpkg("a", "1")}))
	large.Size = maxManifest + 1
	if _, err := Of(t.Context(), target, repository, large); err == nil || !strings.Contains(err.Error(), "are more than") {
		t.Errorf("of a manifest that is too large: %v", err)
	}
	if _, err := read(nil, 1<<31); err == nil {
		t.Error("a program of 2 GiB would be read into memory")
	}
}
