package images

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestTheVersionsOfOtherProjectsProgramsAreThoseThatTheyAreBuiltFrom(t *testing.T) {
	for module, kinds := range map[string][]string{
		"stores/go.mod:github.com/VictoriaMetrics/VictoriaLogs":    {"victoria-logs"},
		"stores/go.mod:github.com/VictoriaMetrics/VictoriaMetrics": {"victoria-metrics", "vmalert"},
		"programs/go.mod:sigs.k8s.io/metrics-server":               {"metrics-server"},
		"programs/go.mod:k8s.io/kube-state-metrics/v2":             {"kube-state-metrics"},
	} {
		file, path, _ := strings.Cut(module, ":")
		text, err := os.ReadFile(os.Getenv("PWD") + "/../toolchain/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range kinds {
			t.Run(name, func(t *testing.T) {
				if want := "\t" + path + " " + named(name).Version; !strings.Contains(string(text), want+"\n") && !strings.Contains(string(text), want+" // indirect\n") {
					t.Errorf("toolchain/%s does not require%s", file, want)
				}
			})
		}
	}
}

// A stack elsewhere pulls what it names. Debian has another version of what it packages.
func TestTheStacksNameTheVersionsThatTheSandboxRuns(t *testing.T) {
	for _, file := range []string{"Pulumi.dev.yaml", "Pulumi.prod.yaml"} {
		text, err := os.ReadFile(os.Getenv("PWD") + "/../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range Foreign {
			t.Run(file+" "+kind.Name, func(t *testing.T) {
				version, _, between := strings.Cut(kind.Version, ".1-0.") // the store of the logs is of a commit after a release
				if between {
					version += ".0"
				}
				named := regexp.MustCompile(`/`+kind.Name+`:([^\s}]+)`).FindAllStringSubmatch(string(text), -1)
				if len(named) == 0 && version != "debian" {
					t.Errorf("it does not name the image")
				}
				for _, found := range named {
					if found[1] != version && version != "debian" {
						t.Errorf("it names %s, and the sandbox runs %s", found[1], kind.Version)
					}
				}
			})
		}
	}
}

func TestAProgramWithAModuleOfItsOwnIsBuiltLikeTheOthers(t *testing.T) {
	repo := checkout(t)
	write(t, repo, "services/log-agent/go.mod", "module example.com/log-agent\n\ngo 1.26\n")
	write(t, repo, "services/log-agent/main.go", "package main\n\nfunc main() {}\n")
	rev, err := readRevision(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	image := build(t, repo, newDir(t), "log-agent")
	if want := Origin + "/log-agent:" + rev.tag(); image.Reference != want || image.ConfigKey != "logs.agent.image" {
		t.Errorf("the image is %+v, not %s", image, want)
	}
	config, err := open(t, image).ConfigFile()
	if err != nil || config.Config.Entrypoint[0] != "/log-agent" {
		t.Errorf("the configuration is %+v (%v)", config, err)
	}
}

func TestAPinnedProgramIsAnImageOfItsVersionMadeOnce(t *testing.T) {
	repo, dir := checkout(t), newDir(t)
	const module = "github.com/VictoriaMetrics/VictoriaMetrics"
	write(t, repo, "sandbox/toolchain/stores/go.mod", "module example.com/stores\n\ngo 1.26\n\nrequire "+module+" v1.0.0\n\nreplace "+module+" => ./there\n")
	write(t, repo, "sandbox/toolchain/stores/there/go.mod", "module "+module+"\n\ngo 1.26\n")
	write(t, repo, "sandbox/toolchain/stores/there/app/vmalert/main.go", "package main\n\nfunc main() {}\n")
	archives := map[string]bool{}
	for _, sums := range []string{"one", "one", "two"} {
		write(t, repo, "sandbox/toolchain/stores/go.sum", sums+" v1.0.0 h1:x\n")
		image := build(t, repo, dir, "vmalert")
		archives[image.Archive] = true
		config, err := open(t, image).ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if image.Reference != Origin+"/vmalert:v1.148.8" || config.Config.Entrypoint[0] != "/vmalert" || !list(t, open(t, image))["vmalert"] {
			t.Errorf("the image is %+v with %+v", image, config.Config)
		}
	}
	if len(archives) != 2 {
		t.Errorf("two versions of what it is built from are %d archives", len(archives))
	}
}

func TestTheImagesOfNoKindsAreNone(t *testing.T) {
	// The folder is no checkout, so a build would fail.
	if built, err := Build(t.Context(), t.TempDir(), newDir(t), os.Stderr); err != nil || built != nil {
		t.Errorf("built %v (%v)", built, err)
	}
}
