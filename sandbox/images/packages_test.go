package images

import (
	"archive/tar"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"example.com/journal/sandbox/debian"
)

// A bill of what is in an image, and a scanner, are made of what the image itself says.
func TestAnImageOfPackagesSaysWhichTheyAre(t *testing.T) {
	needsDebian(t)
	root, err := debian.Extract(t.Context(), newDir(t).Debian(), io.Discard, "nginx", "nginx")
	if err != nil {
		t.Fatal(err)
	}
	layer, err := rootLayer(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	content, err := layer.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = content.Close() }()
	said := map[string]string{}
	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if folder, name := path.Split(path.Clean(header.Name)); folder == "var/lib/dpkg/status.d/" && header.Typeflag == tar.TypeReg {
			text, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			said[name] = string(text)
		}
	}
	for _, name := range []string{"nginx", "libc6"} {
		if version := debian.Version(root, name); !strings.Contains(said[name], "Package: "+name+"\n") || !strings.Contains(said[name], "\nVersion: "+version+"\n") {
			t.Errorf("%s %s: got %q", name, version, said[name])
		}
	}
}
