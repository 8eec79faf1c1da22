package tools

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/semver"
)

var (
	database = flag.String("db", "", "URL of the vulnerability database, such as https://vuln.go.dev; the default is the folder vulndb")
	update   = flag.Bool("update", false, "rewrite the index of the folder vulndb")
)

// known is the database of what this repository has lifted: one file for each vulnerability, and an index that is made of them.
const known = "vulndb"

// vulnerabilities are those that govulncheck finds over every package of a module of the repository, its tests included: of packages
// that are imported and belong to a module in a vulnerable version. Each has a line that says where.
func vulnerabilities(t *testing.T, module, database string) (map[string]string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "tool", "govulncheck", "-C", filepath.Join("..", module), "-db", database, "-scan", "package", "-test", "-tags", "e2e", "-format", "json", "./...")
	output, err := command.Output()
	if err != nil {
		exit := new(exec.ExitError)
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		return nil, err
	}
	found, age, finished := map[string]string{}, time.Time{}, false
	for messages := json.NewDecoder(bytes.NewReader(output)); ; {
		var message struct {
			Config *struct {
				Modified time.Time `json:"db_last_modified"`
			} `json:"config"`
			SBOM    *struct{} `json:"SBOM"`
			Finding *struct {
				ID    string `json:"osv"`
				Fixed string `json:"fixed_version"`
				Trace []struct{ Module, Version, Package string }
			} `json:"finding"`
		}
		if err := messages.Decode(&message); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if message.Config != nil {
			age = message.Config.Modified
		}
		finished = finished || message.SBOM != nil
		// A module that is required, and of which no vulnerable package is imported, has no package in its trace.
		if f := message.Finding; f != nil && len(f.Trace) > 0 && f.Trace[0].Package != "" {
			found[f.ID] = fmt.Sprintf("%s in %s of %s %s, fixed in %s", f.ID, f.Trace[0].Package, f.Trace[0].Module, f.Trace[0].Version, cmp.Or(f.Fixed, "no version"))
		}
	}
	if age.IsZero() {
		return nil, fmt.Errorf("%s is no vulnerability database; write the URL of one, such as https://vuln.go.dev", database)
	}
	if !finished {
		return nil, fmt.Errorf("govulncheck says nothing of what it has looked at:\n%s", output)
	}
	return found, nil
}

// unexcepted returns the lines of those that no exception lets pass, and notes which exceptions were needed.
func unexcepted(module string, found map[string]string, list []vulnerabilityException, used map[vulnerabilityException]bool) (bad []string) {
	for id, line := range found {
		excepted := slices.IndexFunc(list, func(e vulnerabilityException) bool { return e.ID == id && e.Module == module })
		if excepted < 0 {
			bad = append(bad, line)
		} else {
			used[list[excepted]] = true
		}
	}
	slices.Sort(bad)
	return bad
}

// folder is the URL of a database in a folder.
func folder(t *testing.T, path string) string {
	t.Helper()
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return "file://" + absolute
}

func TestNoModuleHasAVulnerabilityThatTheDatabaseKnows(t *testing.T) {
	url := *database
	if url == "" {
		url = folder(t, known)
	}
	list, used := excepted(t).Vulnerabilities, map[vulnerabilityException]bool{}
	for _, module := range []string{".", "services", "services/log-agent", "sandbox", "bench", "supply"} {
		t.Run(module, func(t *testing.T) {
			found, err := vulnerabilities(t, module, url)
			if err != nil {
				t.Fatal(err)
			}
			if bad := unexcepted(module, found, list, used); len(bad) > 0 {
				t.Errorf("%s\nupgrade, or write an exception with its end into tools/exceptions.json", strings.Join(bad, "\n"))
			}
		})
	}
	// The folder vulndb has only what upgrades have repaired, so an exception is for what it does not know.
	if *database != "" {
		for _, each := range unused(list, used) {
			t.Errorf("tools/exceptions.json: %s is not in %s any more; delete the exception", each.ID, each.Module)
		}
	}
}

// The programs of the toolchain are built from copies of modules, of which govulncheck knows no version.
func TestTheToolchainIsPinnedToNoVersionThatTheDatabaseKnows(t *testing.T) {
	pinned, err := required("../sandbox/toolchain/programs")
	if err != nil {
		t.Fatal(err)
	}
	bad, err := vulnerable(known, pinned)
	if err != nil {
		t.Fatal(err)
	}
	if len(bad) > 0 {
		t.Errorf("sandbox/toolchain/programs/go.mod requires\n%s", strings.Join(bad, "\n"))
	}
	pinned["github.com/traefik/traefik/v3"], pinned["golang.org/x/text"] = "v3.6.24", "v0.38.0"
	if bad, err = vulnerable(known, pinned); err != nil || len(bad) != 4 {
		t.Errorf("of versions that are vulnerable it finds %q (%v)", bad, err)
	}
}

// required returns the versions that a go.mod requires, by module.
func required(folder string) (map[string]string, error) {
	command := exec.Command("go", "mod", "edit", "-json")
	command.Dir = folder
	output, err := command.Output()
	if err != nil {
		return nil, err
	}
	var gomod struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(output, &gomod); err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for _, r := range gomod.Require {
		versions[r.Path] = r.Version
	}
	return versions, nil
}

// vulnerable returns those of the versions that are older than the one in which a vulnerability of the database is fixed.
func vulnerable(database string, versions map[string]string) (bad []string, err error) {
	text, err := os.ReadFile(filepath.Join(database, "index", "modules.json"))
	if err != nil {
		return nil, err
	}
	var modules []module
	if err := json.Unmarshal(text, &modules); err != nil {
		return nil, err
	}
	for _, m := range modules {
		for _, v := range m.Vulnerabilities {
			if version, there := versions[m.Path]; there && semver.Compare(version, "v"+v.Fixed) < 0 {
				bad = append(bad, fmt.Sprintf("%s %s, which has %s, fixed in v%s", m.Path, version, v.ID, v.Fixed))
			}
		}
	}
	return bad, nil
}

func TestAVulnerabilityThatIsThereIsFound(t *testing.T) {
	const present = `{"id": "GO-2026-0001", "affected": [{"package": {"name": "github.com/google/uuid", "ecosystem": "Go"},
		"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}], "database_specific": {"url": "https://example.com"}}`
	other := t.TempDir()
	entry := filepath.Join(other, "ID", "GO-2026-0001.json")
	if err := errors.Join(os.Mkdir(filepath.Dir(entry), 0o700), os.WriteFile(entry, []byte(present), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := writeIndex(other); err != nil {
		t.Fatal(err)
	}
	found, err := vulnerabilities(t, "services", folder(t, other))
	if err != nil {
		t.Fatal(err)
	}
	const id = "GO-2026-0001"
	if line := found[id]; len(found) != 1 || !strings.HasPrefix(line, id+" in github.com/google/uuid of github.com/google/uuid v") || !strings.HasSuffix(line, "fixed in no version") {
		t.Errorf("got %q", found)
	}
	here := vulnerabilityException{id, "services", term{"not called", "2027-01-31"}}
	list, used := []vulnerabilityException{{id, "bench", here.term}, here}, map[vulnerabilityException]bool{}
	if bad := unexcepted("sandbox", found, list, used); len(bad) != 1 || len(used) != 0 {
		t.Errorf("an exception for other modules lets it pass: got %q", bad)
	}
	if bad := unexcepted("services", found, list, used); len(bad) != 0 || !slices.Equal(unused(list, used), list[:1]) {
		t.Errorf("with an exception: got %q, unused %v", bad, unused(list, used))
	}
	if _, err := vulnerabilities(t, "services", folder(t, t.TempDir())); err == nil {
		t.Error("a folder without a database was searched")
	}
}

func TestTheIndexOfTheDatabaseIsMadeOfItsEntries(t *testing.T) {
	if *update {
		if err := writeIndex(known); err != nil {
			t.Fatal(err)
		}
	}
	made, err := index(known)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range made {
		if got, err := os.ReadFile(filepath.Join(known, "index", name)); err != nil || string(got) != want {
			t.Errorf("%s/index/%s is not made of what is in %s/ID (%v); write it with go test -C tools -update", known, name, known, err)
		}
	}
}

// vulnerability is as much of an entry as the index has.
type vulnerability struct {
	ID       string `json:"id"`
	Modified string `json:"modified,omitempty"`
	Fixed    string `json:"fixed,omitempty"`
}

// module is a module in the index.
type module struct {
	Path            string          `json:"path"`
	Vulnerabilities []vulnerability `json:"vulns"`
}

// index returns the text of each file of a database's index.
func index(database string) (map[string]string, error) {
	paths, err := filepath.Glob(filepath.Join(database, "ID", "*.json"))
	if err != nil {
		return nil, err
	}
	var all []vulnerability
	modules, modified := map[string][]vulnerability{}, "2026-01-01T00:00:00Z"
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var entry struct {
			vulnerability
			Affected []struct {
				Package struct{ Name string }
				Ranges  []struct{ Events []struct{ Fixed string } }
			}
		}
		if err := json.Unmarshal(text, &entry); err != nil {
			return nil, err
		}
		all = append(all, entry.vulnerability)
		modified = max(modified, entry.Modified)
		for _, affected := range entry.Affected {
			v := entry.vulnerability
			for _, r := range affected.Ranges {
				for _, event := range r.Events {
					v.Fixed = event.Fixed // the last one counts
				}
			}
			modules[affected.Package.Name] = append(modules[affected.Package.Name], v)
		}
	}
	var byModule []module
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		byModule = append(byModule, module{path, modules[path]})
	}
	files := map[string]string{}
	for name, content := range map[string]any{"db.json": map[string]string{"modified": modified}, "modules.json": byModule, "vulns.json": all} {
		text, err := json.MarshalIndent(content, "", "  ")
		if err != nil {
			return nil, err
		}
		files[name] = string(text) + "\n"
	}
	return files, nil
}

func writeIndex(database string) error {
	files, err := index(database)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(database, "index"), 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(database, "index", name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
