// Package components says how each program of the cluster is started and how the node knows that it is ready. The file
// programs.yaml in the folder config says it, beside the configuration files of the programs.
package components

import (
	"cmp"
	"embed"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"

	"sigs.k8s.io/yaml"

	"example.com/journal/sandbox/internal/disk"
	"example.com/journal/sandbox/node/internal/keys"
	"example.com/journal/sandbox/node/internal/machine"
	"example.com/journal/sandbox/node/internal/process"
)

const (
	// PauseImage is the image of the process that holds each pod's namespaces.
	PauseImage = "journal.example.com/pause:v0.1.0"
	// IngressClass is the class that Traefik serves.
	IngressClass = "traefik"
)

//go:embed config
var configs embed.FS

// Configure writes the configuration files of all components into a folder, and returns the components by name.
func Configure(folder string, cgroup machine.Cgroup) (map[string]process.Program, error) {
	values := map[string]any{
		"Name": machine.Name, "Run": machine.Run, "Bin": machine.Bin, "Logs": machine.Logs, "Cgroup": cgroup,
		"NodeIP": machine.NodeIP, "PodCIDR": machine.PodCIDR, "ServiceCIDR": machine.ServiceCIDR,
		"APIPort": machine.APIPort, "HTTPPort": machine.HTTPPort, "HTTPSPort": machine.HTTPSPort,
		"Authority": keys.Authority, "AuthorityKey": keys.AuthorityKey, "ServiceAccountKey": keys.ServiceAccountKey,
		"FrontProxy": keys.FrontProxy, "FrontProxyAuthority": keys.FrontProxyAuthority,
		"PauseImage": PauseImage, "IngressClass": IngressClass, "ContainerdSocket": "/run/containerd/containerd.sock",
	}
	err := fs.WalkDir(configs, "config", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		parsed, err := template.New(path.Base(name)).Option("missingkey=error").ParseFS(configs, name)
		if err != nil {
			return err
		}
		return disk.Replace(filepath.Join(folder, strings.TrimPrefix(name, "config/")), 0o600, func(w io.Writer) error {
			return parsed.Execute(w, values)
		})
	})
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(folder, "programs.yaml"))
	if err != nil {
		return nil, err
	}
	var components map[string]process.Program
	if err := yaml.UnmarshalStrict(text, &components); err != nil {
		return nil, err
	}
	for name, c := range components {
		c.Name, c.Path = name, cmp.Or(c.Path, machine.Bin+"/kubernetes") // the executable that holds all of Kubernetes
		components[name] = c
	}
	return components, nil
}

// Addons are the kubectl commands, in order, that bring the objects of every cluster of the sandbox up to date, also after an
// upgrade: first the CRDs of Traefik and of the Gateway API, in the versions that Traefik is built with, then the RBAC rules of
// the programs, and the classes.
var Addons = []string{
	"apply --server-side --force-conflicts --field-manager=sandbox --filename=" + machine.Bin + "/traefik.d",
	"wait --for=condition=Established --timeout=30s --filename=" + machine.Bin + "/traefik.d",
	"apply --server-side --force-conflicts --field-manager=sandbox --filename=" + machine.Run + "/addons",
}
