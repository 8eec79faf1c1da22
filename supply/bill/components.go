package bill

import (
	"bufio"
	"io"
	"path"
	"runtime/debug"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
	packageurl "github.com/package-url/packageurl-go"
)

// component returns one that is called by its package URL.
func component(kind cyclonedx.ComponentType, url *packageurl.PackageURL) cyclonedx.Component {
	name := url.Name
	if url.Type == packageurl.TypeGolang && url.Namespace != "" {
		name = url.Namespace + "/" + url.Name
	}
	text := url.String()
	return cyclonedx.Component{BOMRef: text, Type: kind, Name: name, Version: url.Version, PackageURL: text}
}

// modules returns the modules that a Go program is made of: its own, those that it depends on, and the standard library.
func modules(info *debug.BuildInfo) []cyclonedx.Component {
	module := func(kind cyclonedx.ComponentType, name, version string) cyclonedx.Component {
		if version == "(devel)" {
			version = "" // built from a checkout: the image's digest says which
		}
		namespace, base := path.Split(name)
		return component(kind, packageurl.NewPackageURL(packageurl.TypeGolang, strings.TrimSuffix(namespace, "/"), base, version, nil, ""))
	}
	goVersion, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ") // without experiments
	all := []cyclonedx.Component{module(cyclonedx.ComponentTypeLibrary, "stdlib", goVersion)}
	if info.Main.Path != "" {
		all = append(all, module(cyclonedx.ComponentTypeApplication, info.Main.Path, info.Main.Version))
	}
	for _, dependency := range info.Deps {
		if dependency.Replace != nil {
			dependency = dependency.Replace
		}
		all = append(all, module(cyclonedx.ComponentTypeLibrary, dependency.Path, dependency.Version))
	}
	return all
}

// database returns how to read a file if it is a database of packages, and nil if it is none. Images without a package manager
// have a file for each Debian package in status.d, as distroless images do.
func database(name string) func(io.Reader) ([]cyclonedx.Component, error) {
	switch {
	case name == "var/lib/dpkg/status", path.Dir(name) == "var/lib/dpkg/status.d" && !strings.HasSuffix(name, ".md5sums"):
		return func(r io.Reader) ([]cyclonedx.Component, error) {
			return packages(r, packageurl.TypeDebian, "debian", "Package", "Version", "Architecture", "Source")
		}
	case name == "lib/apk/db/installed", name == "usr/lib/apk/db/installed":
		return func(r io.Reader) ([]cyclonedx.Component, error) {
			return packages(r, packageurl.TypeApk, "alpine", "P", "V", "A", "o")
		}
	default:
		return nil
	}
}

// packages reads paragraphs of lines with a field and its value. The source of a package is in its URL, since advisories are about
// sources.
func packages(r io.Reader, kind, namespace, name, version, architecture, source string) ([]cyclonedx.Component, error) {
	var all []cyclonedx.Component
	fields := map[string]string{}
	end := func() {
		status := fields["Status"]
		if fields[name] != "" && (status == "" || strings.HasSuffix(status, " installed")) {
			qualifiers := map[string]string{"arch": fields[architecture]}
			if upstream, _, _ := strings.Cut(fields[source], " "); upstream != "" && upstream != fields[name] {
				qualifiers["upstream"] = upstream
			}
			all = append(all, component(cyclonedx.ComponentTypeLibrary, packageurl.NewPackageURL(
				kind, namespace, fields[name], fields[version], packageurl.QualifiersFromMap(qualifiers), "")))
		}
		fields = map[string]string{}
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			end()
		} else if field, value, there := strings.Cut(line, ":"); there && line[0] != ' ' && line[0] != '\t' {
			fields[field] = strings.TrimSpace(value)
		}
	}
	end()
	return all, lines.Err()
}
