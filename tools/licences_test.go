package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	classifier "github.com/google/licenseclassifier/v2"
	"github.com/google/licenseclassifier/v2/assets"
)

// allowed are the licences under which a program may link code, by their SPDX names: those that ask for a notice, and MPL-2.0, which
// asks for the source of its own files, unchanged here.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "Unicode-DFS-2016"}

// shipped are the modules whose programs run in clusters or on the machines of those who deploy.
var shipped = []string{".", "services", "services/log-agent", "supply"}

// licenceFile is how files with a licence are called.
var licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)`)

// reader recognizes licences.
type reader struct {
	*classifier.Classifier
	known map[string][]string // the licences of a folder
}

func newReader(t *testing.T) reader {
	t.Helper()
	all, err := assets.DefaultClassifier()
	if err != nil {
		t.Fatal(err)
	}
	return reader{all, map[string][]string{}}
}

// licences returns the licences of the code of others that the programs of a module link, by module.
func (r reader) licences(folder string) (map[licenceException]bool, error) {
	list := exec.Command("go", "list", "-deps", "-json=Dir,Standard,Module", "./...")
	list.Dir = folder
	list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=")
	output, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w", folder, err)
	}
	found := map[licenceException]bool{}
	for packages := json.NewDecoder(strings.NewReader(string(output))); ; {
		var p struct {
			Dir      string
			Standard bool
			Module   *struct{ Path, Dir string }
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, err
		}
		if p.Standard || p.Module == nil || strings.HasPrefix(p.Module.Path+"/", "example.com/journal/") {
			continue
		}
		dir, files, err := nearest(p.Dir, p.Module.Dir)
		if err != nil {
			return nil, err
		}
		if _, known := r.known[dir]; !known {
			if r.known[dir], err = r.names(dir, files); err != nil {
				return nil, err
			}
		}
		for _, name := range r.known[dir] {
			found[licenceException{Module: p.Module.Path, Licence: name}] = true
		}
	}
}

// nearest returns the folder of a package, or the nearest above it in its module, that has files with a licence.
// That of the documents, as in LICENSE.docs, is not linked.
func nearest(dir, module string) (string, []string, error) {
	for {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return "", nil, err
		}
		var files []string
		for _, entry := range entries {
			if !entry.IsDir() && licenceFile.MatchString(entry.Name()) && !slices.Contains([]string{".go", ".docs"}, filepath.Ext(entry.Name())) {
				files = append(files, entry.Name())
			}
		}
		if len(files) > 0 || dir == module || len(dir) <= len(module) {
			return dir, files, nil
		}
		dir = filepath.Dir(dir)
	}
}

// names returns the licences that files have: all that are in them, and "unknown" for a file in which none is recognized.
func (r reader) names(dir string, files []string) ([]string, error) {
	if len(files) == 0 {
		return []string{"unknown"}, nil
	}
	all := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return nil, err
		}
		recognized := false
		for _, match := range r.Match(text).Matches {
			if match.MatchType == "License" {
				recognized, all[match.Name] = true, true
			}
		}
		if !recognized {
			all["unknown"] = true
		}
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// refused returns the licences that neither the list nor an exception allows, and notes which exceptions were needed.
func refused(found map[licenceException]bool, list []licenceException, used map[licenceException]bool) (bad []string) {
	for each := range found {
		if slices.Contains(allowed, each.Licence) {
			continue
		}
		excepted := slices.IndexFunc(list, func(e licenceException) bool { return e.Module == each.Module && e.Licence == each.Licence })
		if excepted >= 0 {
			used[list[excepted]] = true
			continue
		}
		bad = append(bad, fmt.Sprintf("%s: %s", each.Module, each.Licence))
	}
	slices.Sort(bad)
	return bad
}

func TestTheProgramsLinkOnlyWhatTheirLicencesAllow(t *testing.T) {
	read := newReader(t)
	list, used := excepted(t).Licences, map[licenceException]bool{}
	for _, module := range shipped {
		t.Run(module, func(t *testing.T) {
			found, err := read.licences(filepath.Join("..", module))
			if err != nil {
				t.Fatal(err)
			}
			if len(found) < 5 {
				t.Errorf("only %v was found", found)
			}
			if bad := refused(found, list, used); len(bad) > 0 {
				t.Errorf("not one of %s:\n%s\nuse another module, or write an exception with its end into tools/exceptions.json", strings.Join(allowed, ", "), strings.Join(bad, "\n"))
			}
		})
	}
	for _, each := range unused(list, used) {
		t.Errorf("tools/exceptions.json: nothing links %s under %s any more; delete the exception", each.Module, each.Licence)
	}
}

func TestALicenceThatIsNotAllowedIsFound(t *testing.T) {
	read := newReader(t)
	text := func(name string) string {
		content, err := assets.ReadLicenseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	root := t.TempDir()
	for path, content := range map[string]string{
		"program/go.mod":  "module example.com/program\n\ngo 1.26\n\nrequire (\n\texample.com/lib v1.0.0\n\texample.com/none v1.0.0\n)\n\nreplace (\n\texample.com/lib => ../lib\n\texample.com/none => ../none\n)\n",
		"program/main.go": "package main\n\nimport (\n\t_ \"example.com/lib\"\n\t_ \"example.com/lib/copied/inner\"\n\t_ \"example.com/none\"\n)\n\nfunc main() {}\n",
		"lib/go.mod":      "module example.com/lib\n\ngo 1.26\n", "lib/lib.go": "package lib\n", "lib/LICENSE": text("License/MIT/pristine.txt"),
		"lib/copied/inner/inner.go": "package inner\n", "lib/copied/COPYING": text("License/AGPL-3.0/license.txt"),
		"lib/unlinked/unlinked.go": "package unlinked\n", "lib/unlinked/LICENCE.md": "all rights reserved\n",
		"none/go.mod": "module example.com/none\n\ngo 1.26\n", "none/none.go": "package none\n",
	} {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	found, err := read.licences(filepath.Join(root, "program"))
	if err != nil {
		t.Fatal(err)
	}
	used := map[licenceException]bool{}
	want := []string{"example.com/lib: AGPL-3.0", "example.com/none: unknown", "example.com/program: unknown"}
	if bad := refused(found, nil, used); !slices.Equal(bad, want) {
		t.Errorf("got %q, want %q", bad, want)
	}
	agpl := licenceException{"example.com/lib", "AGPL-3.0", term{"bought", "2027-01-31"}}
	list := []licenceException{agpl, {"example.com/lib", "GPL-2.0", term{"not there", "2027-01-31"}}}
	if bad := refused(found, list, used); !slices.Equal(bad, want[1:]) || !used[agpl] || len(unused(list, used)) != 1 {
		t.Errorf("with an exception: got %q, unused %v", bad, unused(list, used))
	}
}
