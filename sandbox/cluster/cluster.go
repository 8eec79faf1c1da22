// Package cluster is where a stack goes: the sandbox's own node, or the cluster of a kubeconfig.
package cluster

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os/exec"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/node"
	"example.com/journal/stacks"
)

// Cluster is one Kubernetes cluster. Connect or Start comes before everything that is said to need it.
type Cluster interface {
	// String is what messages call the cluster.
	fmt.Stringer
	// Check says what is in the way of a stack, before anything is built or created. The stack is nil when its configuration
	// is refused: what does not depend on it is checked all the same.
	Check(ctx context.Context, decided *stacks.Config) error
	// Programs are those of the toolchain that the cluster itself consists of.
	Programs() []string
	// Start returns when the cluster works.
	Start(ctx context.Context, progress io.Writer) error
	// Connect uses the cluster as it runs. The error of a sandbox that does not run is ErrNotRunning.
	Connect(ctx context.Context) error
	// Stop stops the cluster and keeps its data, and Reset deletes them.
	Stop(ctx context.Context) error
	Reset(ctx context.Context) error

	// TakesImages says whether the images that are built here are used; otherwise those that the stack's file names.
	TakesImages() bool
	// Load makes built images available to the cluster's pods. It needs a connection.
	Load(ctx context.Context, built []images.Image, log io.Writer) error
	// Values are what a stack's configuration must say on this cluster, by key.
	Values(decided stacks.Config, built []images.Image) (map[string]any, error)

	// Kubeconfig is the path of a kubeconfig with this one cluster in it. It needs a connection, and so does what follows.
	Kubeconfig() string
	// State is the folder that keeps the state of the cluster's stacks.
	State() string
	// Address is the host and the port at which the way in of a namespace answers, empty while that is not known.
	Address(ctx context.Context, page *url.URL, namespace string) (string, error)
	// Status says in lines what the cluster is.
	Status(ctx context.Context) (string, error)
	// Kubectl is a kubectl command with the rights of the kubeconfig.
	Kubectl(ctx context.Context, args ...string) (*exec.Cmd, error)
}

// ErrNotRunning says that the sandbox's node does not run.
var ErrNotRunning = node.ErrNotRunning

// Options select a cluster.
type Options struct {
	// Dir is the sandbox's folder.
	Dir cache.Dir
	// Context is empty for the sandbox's own node, CurrentContext, or a context of the user's kubeconfig.
	Context string
	// Registry is where the images for the cluster of a kubeconfig go, such as registry.example.com/team-a.
	Registry string
	// Getenv reads the environment.
	Getenv func(string) string
}

// CurrentContext stands for the context that is kubectl's current one at the moment.
const CurrentContext = "current"

// New returns the cluster that the options select. It asks no cluster anything.
func New(o Options) (Cluster, error) {
	switch {
	case o.Context != "":
		return newForeign(o)
	case o.Registry != "":
		return nil, fmt.Errorf("registry %q: the sandbox imports its images itself; name a cluster too, or leave the registry out", o.Registry)
	}
	return &own{dir: o.Dir, getenv: o.Getenv}, nil
}

// references are the built images by their keys in the configuration. A part that the stack leaves out, as it may the
// controller of claims, stays out.
func references(decided stacks.Config, built []images.Image, in func(images.Image) (string, error)) (map[string]any, error) {
	values := map[string]any{}
	for _, image := range built {
		if image.ConfigKey == "" || image.ConfigKey == "claimsImage" && decided.Cluster.ClaimsImage == "" {
			continue
		}
		reference, err := in(image)
		if err != nil {
			return nil, err
		}
		values[image.ConfigKey] = reference
	}
	return values, nil
}
