package images

import (
	"os"
	"strings"
	"testing"
)

func TestTheTagOfTheLogStoreIsTheVersionThatItIsBuiltFrom(t *testing.T) {
	text, err := os.ReadFile(os.Getenv("PWD") + "/../toolchain/stores/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "github.com/VictoriaMetrics/VictoriaLogs " + LogStoreVersion + " "; !strings.Contains(string(text), want) {
		t.Errorf("toolchain/stores/go.mod does not require %s", want)
	}
	// A stack elsewhere pulls the release before it.
	release, _, _ := strings.Cut(LogStoreVersion, ".1-")
	stack, err := os.ReadFile(os.Getenv("PWD") + "/../../Pulumi.dev.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := "victoria-logs:" + release + ".0\n"; !strings.Contains(string(stack), want) {
		t.Errorf("Pulumi.dev.yaml: there is no %s", want)
	}
}

func TestAProgramWithAModuleOfItsOwnIsBuiltLikeTheOthers(t *testing.T) {
	repo := t.TempDir()
	for name, text := range map[string]string{
		"services/go.mod": "module example.com/services\n\ngo 1.26\n", "services/log-agent/go.mod": "module example.com/log-agent\n\ngo 1.26\n",
		"services/log-agent/main.go": "package main\n\nfunc main() {}\n",
	} {
		path := repo + "/" + name
		if err := os.MkdirAll(path[:strings.LastIndexByte(path, '/')], 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := service(repo, revision{version: "0.1.0", id: "0a1b2c3d4e5f6", content: "x"}, "logs.agent.image")
	image, err := r.build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 || config.Config.Entrypoint[0] != "/log-agent" || r.tag != "v0.1.0-0a1b2c3d4e5f" {
		t.Errorf("%d layers, %v, tag %s (%v)", len(layers), config.Config.Entrypoint, r.tag, err)
	}
}
