package components

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"example.com/journal/sandbox/node/internal/machine"
)

func TestConfigurationFilesAreFilledInAndWellFormed(t *testing.T) {
	folder := t.TempDir()
	if _, err := Configure(folder, "journal-sandbox-0000"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]map[string]any{
		"admission.yaml": {"kind": "AdmissionConfiguration"},
		"audit.yaml":     {"kind": "Policy"},
		"kubelet.yaml":   {"cgroupRoot": "/journal-sandbox-0000", "address": "10.200.0.1", "tlsCertFile": "/run/sandbox/kubelet.crt", "podPidsLimit": 1024},
		"kube-proxy.yaml": {
			"hostnameOverride": "sandbox", "clientConnection": map[string]any{"kubeconfig": "/run/sandbox/kube-proxy.kubeconfig"},
			"featureGates": map[string]any{"AllowServiceExternalIPs": false},
		},
		"cni/10-sandbox.conflist": {"name": "sandbox"}, // JSON is YAML
		"addons/rbac.yaml":        {"kind": "ClusterRole"},
		"addons/classes.yaml":     {"kind": "StorageClass"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := yaml.Unmarshal(text, &got); err != nil {
				t.Error(err)
			}
			for key, value := range want {
				if !equal(got[key], value) {
					t.Errorf("%s is %v, not %v", key, got[key], value)
				}
			}
		})
	}
}

func equal(a, b any) bool {
	one, _ := json.Marshal(a)
	other, _ := json.Marshal(b)
	return string(one) == string(other)
}

func TestProgramsReadOnlyFilesThatAreWritten(t *testing.T) {
	folder := t.TempDir()
	components, err := Configure(folder, "journal-sandbox-0000")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, c := range components {
		for _, argument := range c.Args {
			_, file, found := strings.Cut(argument, machine.Run+"/")
			switch filepath.Ext(file) {
			case ".crt", ".key", ".kubeconfig", ".json": // of the package keys
				continue
			}
			if !found {
				continue
			}
			read++
			if _, err := os.Stat(filepath.Join(folder, file)); err != nil {
				t.Errorf("%s reads %s, which nobody writes", c.Name, argument)
			}
		}
	}
	if read < 5 {
		t.Errorf("only %d files are read: the test looks at the wrong place", read)
	}
}
