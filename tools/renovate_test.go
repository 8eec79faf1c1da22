package tools

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// renovate is as much of the update bot's configuration as names something of this repository.
type renovate struct {
	IgnorePaths  []string `json:"ignorePaths"`
	PackageRules []struct {
		GroupName         string   `json:"groupName"`
		MatchManagers     []string `json:"matchManagers"`
		MatchPackageNames []string `json:"matchPackageNames"`
		MatchFileNames    []string `json:"matchFileNames"`
		PinDigests        bool     `json:"pinDigests"`
	} `json:"packageRules"`
	CustomManagers []struct {
		ManagerFilePatterns []string `json:"managerFilePatterns"`
		MatchStrings        []string `json:"matchStrings"`
	} `json:"customManagers"`
}

// matches reports whether a pattern of the configuration is for a name: the same, or a name below it if it ends in "/**".
func matches(pattern, name string) bool {
	below, is := strings.CutSuffix(pattern, "**")
	return pattern == name || is && strings.HasPrefix(name, below)
}

// faults returns what the configuration names and the repository does not have. The bot itself keeps silent about it: what was
// renamed leaves its group, and moves alone. Files are those of the repository, and names those of modules and images in them.
func (r renovate) faults(repository fs.FS, files []string) (faults []string, err error) {
	names := map[string]bool{}
	for _, file := range files {
		if path.Base(file) != "go.mod" || slices.ContainsFunc(r.IgnorePaths, func(p string) bool { return matches(p, file) }) {
			continue
		}
		text, err := fs.ReadFile(repository, file)
		if err != nil {
			return nil, err
		}
		module, err := modfile.Parse(file, text, nil)
		if err != nil {
			return nil, err
		}
		for _, required := range module.Require { // the bot leaves alone what is indirect, but for tools
			isTool := slices.ContainsFunc(module.Tool, func(tool *modfile.Tool) bool { return strings.HasPrefix(tool.Path+"/", required.Mod.Path+"/") })
			if !required.Indirect || isTool {
				names[required.Mod.Path] = true
			}
		}
	}
	for _, manager := range r.CustomManagers {
		for n, expression := range manager.MatchStrings {
			found := 0
			for _, file := range files {
				if !slices.ContainsFunc(manager.ManagerFilePatterns, func(p string) bool { return regexp.MustCompile(strings.Trim(p, "/")).MatchString(file) }) {
					continue
				}
				text, err := fs.ReadFile(repository, file)
				if err != nil {
					return nil, err
				}
				named := regexp.MustCompile(expression)
				for _, match := range named.FindAllSubmatch(text, -1) {
					found++
					names[string(match[named.SubexpIndex("depName")])] = true
				}
			}
			if found == 0 {
				faults = append(faults, fmt.Sprintf("customManagers: no file of %s has %s", strings.Join(manager.ManagerFilePatterns, ", "), manager.MatchStrings[n]))
			}
		}
	}
	for _, rule := range r.PackageRules {
		grouped := map[string]bool{}
		for _, pattern := range rule.MatchPackageNames {
			some := slices.DeleteFunc(slices.Collect(maps.Keys(names)), func(name string) bool { return !matches(pattern, name) })
			if len(some) == 0 {
				faults = append(faults, fmt.Sprintf("group %s: no go.mod and no stack has %s", rule.GroupName, pattern))
			}
			for _, name := range some {
				grouped[name] = true
			}
		}
		if len(rule.MatchPackageNames) > 0 && len(grouped) == 1 {
			faults = append(faults, fmt.Sprintf("group %s: only %s is in it", rule.GroupName, slices.Collect(maps.Keys(grouped))[0]))
		}
		for _, name := range rule.MatchFileNames {
			if !slices.Contains(files, name) {
				faults = append(faults, fmt.Sprintf("group %s: there is no %s", rule.GroupName, name))
			}
		}
	}
	for _, ignored := range r.IgnorePaths {
		if !slices.ContainsFunc(files, func(file string) bool { return matches(ignored, file) }) {
			faults = append(faults, fmt.Sprintf("ignorePaths: there is no %s", ignored))
		}
	}
	return faults, nil
}

// bot returns the configuration, the repository and its files.
func bot(t *testing.T) (config renovate, repository fs.FS, files []string) {
	t.Helper()
	repository = os.DirFS(os.Getenv("PWD") + "/..")
	text, err := fs.ReadFile(repository, ".github/renovate.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	list, err := exec.Command("git", "-C", "..", "-c", "safe.directory=*", "ls-files", "-z").Output()
	if err != nil {
		t.Fatal(err)
	}
	for file := range bytes.SplitSeq(bytes.TrimSuffix(list, []byte{0}), []byte{0}) {
		if _, err := os.Lstat(filepath.Join("..", string(file))); err == nil {
			files = append(files, string(file))
		}
	}
	return config, repository, files
}

func TestTheUpdateBotNamesWhatIsThere(t *testing.T) {
	config, repository, files := bot(t)
	faults, err := config.faults(repository, files)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		t.Errorf(".github/renovate.json: %s", fault)
	}
	var groups []string
	pinned := false
	for _, rule := range config.PackageRules {
		groups = append(groups, rule.GroupName)
		pinned = pinned || rule.PinDigests && slices.Equal(rule.MatchManagers, []string{"github-actions"})
	}
	for _, group := range []string{"pulumi", "kubernetes", "opentelemetry", "signatures"} {
		if !slices.Contains(groups, group) {
			t.Errorf(".github/renovate.json: there is no group %s", group)
		}
	}
	if !pinned {
		t.Error(".github/renovate.json: GitHub's actions are not pinned to digests")
	}
}

func TestTheUpdateBotFindsEveryForeignImage(t *testing.T) {
	config, repository, files := bot(t)
	image := regexp.MustCompile(`[iI]mage: ([a-z0-9.-]+/[^\s,}]+)`)
	seen := 0
	for _, file := range files {
		if matched, _ := path.Match("Pulumi.*.yaml", file); !matched {
			continue
		}
		text, err := fs.ReadFile(repository, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range image.FindAllStringSubmatch(string(text), -1) {
			if strings.HasPrefix(match[1], "registry.example.com/") {
				continue
			}
			seen++
			if found := regexp.MustCompile(config.CustomManagers[0].MatchStrings[0]).FindString(match[0]); found != match[0] {
				t.Errorf("%s: of %q the bot sees %q", file, match[0], found)
			}
		}
	}
	if seen < 4 {
		t.Errorf("only %d foreign images are in the stacks", seen)
	}
}

func TestAGroupOfNothingIsAFault(t *testing.T) {
	_, repository, files := bot(t)
	for _, c := range []struct{ sentence, config, says string }{
		{"a module that nothing requires", `{"packageRules": [{"groupName": "g", "matchPackageNames": ["k8s.io/**", "github.com/pulumi/pulumi/sdk/v4"]}]}`, "group g: no go.mod and no stack has github.com/pulumi/pulumi/sdk/v4"},
		{"a module that is required by others only", `{"packageRules": [{"groupName": "g", "matchPackageNames": ["k8s.io/**", "github.com/beorn7/perks"]}], "ignorePaths": ["sandbox/toolchain/**"]}`, "github.com/beorn7/perks"},
		{"a group of one", `{"packageRules": [{"groupName": "g", "matchPackageNames": ["github.com/redis/go-redis/v9"]}]}`, "group g: only github.com/redis/go-redis/v9 is in it"},
		{"a file that is not there", `{"packageRules": [{"groupName": "g", "matchFileNames": ["other/go.mod"]}]}`, "group g: there is no other/go.mod"},
		{"a folder that is not there", `{"ignorePaths": ["other/**"]}`, "ignorePaths: there is no other/**"},
		{"a manager that finds nothing", `{"customManagers": [{"managerFilePatterns": ["/^Pulumi\\.dev\\.yaml$/"], "matchStrings": ["snapshot: (?<depName>a)"]}]}`, "customManagers: no file of /^Pulumi"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			var config renovate
			if err := json.Unmarshal([]byte(c.config), &config); err != nil {
				t.Fatal(err)
			}
			faults, err := config.faults(repository, files)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(faults, "\n"), c.says) {
				t.Errorf("got %q, want %q", faults, c.says)
			}
		})
	}
}
