package components

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"example.com/journal/sandbox/node/internal/machine"
	"example.com/journal/sandbox/node/internal/ready"
)

func TestConfigurationFilesAreFilledInAndWellFormed(t *testing.T) {
	folder := t.TempDir()
	if err := configure(folder, "journal-sandbox-0000"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]map[string]any{
		"admission.yaml":          {"kind": "AdmissionConfiguration"},
		"kubelet.yaml":            {"cgroupRoot": "/journal-sandbox-0000", "address": "10.200.0.1", "tlsCertFile": "/run/sandbox/kubelet.crt"},
		"kube-proxy.yaml":         {"hostnameOverride": "sandbox", "clientConnection": map[string]any{"kubeconfig": "/run/sandbox/kube-proxy.kubeconfig"}},
		"cni/10-sandbox.conflist": {"name": "sandbox"}, // JSON is YAML
		"addons/rbac.yaml":        {"kind": "ClusterRole"},
		"addons/classes.yaml":     {"kind": "StorageClass"},
	} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := yaml.Unmarshal(text, &got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for key, value := range want {
			if !equal(got[key], value) {
				t.Errorf("%s: %s is %v, not %v", name, key, got[key], value)
			}
		}
	}
}

func equal(a, b any) bool {
	one, _ := json.Marshal(a)
	other, _ := json.Marshal(b)
	return string(one) == string(other)
}

func TestProgramsReadOnlyFilesThatAreWritten(t *testing.T) {
	folder := t.TempDir()
	if err := configure(folder, "journal-sandbox-0000"); err != nil {
		t.Fatal(err)
	}
	cluster := &ready.Cluster{}
	read := 0
	for _, c := range []Component{
		Etcd(), APIServer(cluster), ControllerManager(), Scheduler(), Containerd(), Kubelet(), Proxy(), DNS(), NetworkPolicy(cluster), LocalStorage(), Ingress(),
	} {
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

func TestWhatTheToolchainHasNotBuiltIsNamed(t *testing.T) {
	bin := t.TempDir()
	for _, name := range []string{"kubernetes", "traefik"} {
		if err := os.WriteFile(filepath.Join(bin, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	folder := filepath.Join(bin, "traefik.d")
	for _, step := range []struct {
		what string
		make func() error
	}{
		{"without the folder of definitions", func() error { return nil }},
		{"with an empty one", func() error { return os.Mkdir(folder, 0o700) }},
	} {
		if err := step.make(); err != nil {
			t.Fatal(err)
		}
		if err := Built(bin); err == nil || !strings.Contains(err.Error(), folder) || !strings.Contains(err.Error(), "toolchain has to be built") {
			t.Errorf("%s: %v", step.what, err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "kinds.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Built(bin); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(bin, "traefik")); err != nil {
		t.Fatal(err)
	}
	if err := Built(bin); err == nil || !strings.Contains(err.Error(), filepath.Join(bin, "traefik")) {
		t.Errorf("without Traefik: %v", err)
	}
}
