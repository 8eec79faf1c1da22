// Package components says of each program of the cluster how it is started, and how it is known to be ready. Their
// configuration files are in the folder config.
package components

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"

	"example.com/journal/sandbox/internal/disk"
	"example.com/journal/sandbox/node/internal/keys"
	"example.com/journal/sandbox/node/internal/machine"
	"example.com/journal/sandbox/node/internal/process"
	"example.com/journal/sandbox/node/internal/ready"
)

const (
	// PauseImage is the image of the process that holds each pod's namespaces.
	PauseImage = "journal.example.com/pause:v0.1.0"
	// IngressClass is the class that Traefik serves.
	IngressClass = "traefik"

	containerdSocket = "/run/containerd/containerd.sock"
	// definitions is the folder of the CRDs of Traefik and of the Gateway API, in the versions that it is built with.
	definitions = "traefik.d"
)

// Component is one program of the cluster.
type Component struct {
	process.Program
	Needs ready.Probe // what it cannot start without; nil if nothing
	Ready ready.Probe // nil if the program cannot say
}

// kubernetes is a program of the executable that holds all of Kubernetes.
func kubernetes(name string, args ...string) process.Program {
	return process.Program{Name: name, Path: machine.Bin + "/kubernetes", Args: args}
}

// config is where a file of the folder config is at run time.
func config(name string) string { return path.Join(machine.Run, name) }

//go:embed config
var configs embed.FS

// Configure writes the configuration files of all components.
func Configure(cgroup machine.Cgroup) error { return configure(machine.Run, cgroup) }

func configure(folder string, cgroup machine.Cgroup) error {
	values := map[string]any{
		"Name": machine.Name, "NodeIP": machine.NodeIP, "PodCIDR": machine.PodCIDR, "Run": machine.Run, "Cgroup": cgroup,
		"Authority": keys.Authority, "PauseImage": PauseImage, "ContainerdSocket": containerdSocket,
	}
	templates := template.New("").Option("missingkey=error").Funcs(template.FuncMap{
		"certificate": keys.Certificate, "key": keys.Key, "kubeconfig": keys.Kubeconfig,
	})
	return fs.WalkDir(configs, "config", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := configs.ReadFile(name)
		if err != nil {
			return err
		}
		parsed, err := templates.New(name).Parse(string(text))
		if err != nil {
			return err
		}
		var filled bytes.Buffer
		if err := parsed.Execute(&filled, values); err != nil {
			return err
		}
		return disk.Write(filepath.Join(folder, strings.TrimPrefix(name, "config/")), filled.Bytes(), 0o600)
	})
}

// Built returns an error if a folder of the machine lacks something that the toolchain has to build for the node.
func Built(bin string) error {
	for _, name := range []string{"kubernetes", "traefik", definitions} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return fmt.Errorf("%w; the toolchain has to be built first", err)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(bin, definitions, "*.yaml")); len(found) == 0 {
		return fmt.Errorf("%s: no *.yaml is in it; the toolchain has to be built first", filepath.Join(bin, definitions))
	}
	return nil
}
