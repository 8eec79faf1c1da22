// Package cluster is the target of a stack: the sandbox's own node, or the cluster of a kubeconfig.
package cluster

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/images"
	"example.com/journal/stacks"
)

// Cluster is one Kubernetes cluster. Methods that need a connection work after Connect or Start.
type Cluster interface {
	// String is the cluster's name in messages.
	fmt.Stringer
	// Check says what prevents a stack on the cluster, before anything is built or created. The stack is nil when its
	// configuration is invalid; Check then checks what does not depend on it.
	Check(ctx context.Context, decided *stacks.Config) error
	// Programs are the toolchain's programs that the cluster itself consists of.
	Programs() []string
	// ServicePrograms are those of the toolchain's programs that LoadServices builds.
	ServicePrograms(decided stacks.Config) []string
	// Start returns when the cluster works.
	Start(ctx context.Context, progress io.Writer) error
	// Connect connects to a running cluster. For a sandbox that does not run the error is node.ErrNotRunning.
	Connect(ctx context.Context) error
	// Stop stops the cluster and keeps its data, and Reset deletes them.
	Stop(ctx context.Context) error
	Reset(ctx context.Context) error

	// Images are the images that the journal's pods wait for. They are none when the cluster pulls what the stack's file names.
	Images(decided stacks.Config) []images.Kind
	// Load makes built images available to the cluster's pods. It needs a connection.
	Load(ctx context.Context, built []images.Image, log io.Writer) error
	// LoadServices does the same for the images of what follows the journal. Its pods wait for them, so a deployment need not.
	LoadServices(ctx context.Context, repo string, decided stacks.Config, log io.Writer) error
	// Values are what a stack's configuration must say on this cluster, by path; nil removes a value. The log gets notes on them.
	Values(decided stacks.Config, built []images.Image, log io.Writer) (map[string]any, error)

	// Kubeconfig is the path of a kubeconfig with only this cluster. It needs a connection, and so do all methods below.
	Kubeconfig() string
	// State is the folder that keeps the state of the cluster's stacks.
	State() string
	// Address is the host and port of a namespace's Ingress or Gateway, empty while that is not known.
	Address(ctx context.Context, page *url.URL, namespace string) (string, error)
	// Status describes the cluster, in lines.
	Status(ctx context.Context) (string, error)
	// Kubectl returns a kubectl command with the rights of the kubeconfig.
	Kubectl(ctx context.Context, args ...string) *exec.Cmd
}

// Options select a cluster.
type Options struct {
	// Dir is the sandbox's folder.
	Dir cache.Dir
	// Context is a context of the user's kubeconfig, CurrentContext, or empty for the sandbox's own node.
	Context string
	// Registry receives the images for the cluster of a kubeconfig. An example is registry.example.com/team-a.
	Registry string
	// Getenv reads the environment.
	Getenv func(string) string
}

// CurrentContext stands for kubectl's current context.
const CurrentContext = "current"

// New returns the cluster that the options select. It sends no request to a cluster.
func New(o Options) (Cluster, error) {
	switch {
	case o.Context != "":
		return newForeign(o)
	case o.Registry != "":
		return nil, fmt.Errorf("registry %q: the sandbox imports its images itself; name a cluster too, or leave the registry out", o.Registry)
	}
	return &own{dir: o.Dir, getenv: o.Getenv}, nil
}

// Needs returns those of the kinds of images that a stack's pods need.
func Needs(decided stacks.Config, kinds []images.Kind) []images.Kind {
	without := map[string]bool{ // by the key, or by its first part
		"claims":                           decided.Claims == nil,
		"redis.exporter.image":             decided.Journal.Redis.Exporter == nil,
		"resourceMetrics":                  decided.ResourceMetrics == nil,
		"logs":                             decided.Logs == nil,
		"reader":                           decided.Reader == nil,
		"metrics":                          decided.Metrics == nil,
		"metrics.alerts.alertmanagerImage": decided.Metrics == nil || decided.Metrics.Alerts.Webhook == nil,
	}
	return slices.DeleteFunc(slices.Clone(kinds), func(kind images.Kind) bool {
		part, _, _ := strings.Cut(kind.Key, ".")
		return without[kind.Key] || without[part]
	})
}

// loadServices builds and loads images of these kinds, two at a time.
func loadServices(ctx context.Context, c Cluster, dir cache.Dir, repo string, log io.Writer, kinds []images.Kind) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for _, kind := range kinds {
		group.Go(func() error {
			built, err := images.Build(ctx, repo, dir, log, kind)
			if err != nil {
				return err
			}
			return c.Load(ctx, built, log)
		})
	}
	return group.Wait()
}

// references returns the references of the built images, in the registry or as loaded, by their paths in the configuration.
// Services are built later, and have the tag of the others.
func references(decided stacks.Config, built []images.Image, registry string) (map[string]any, error) {
	values := map[string]any{}
	for _, image := range built {
		reference, err := image.In(registry)
		if err != nil {
			return nil, err
		}
		values[image.ConfigKey] = reference
		if image.ConfigKey == "api.image" {
			for _, kind := range Needs(decided, images.Services) {
				values[kind.Key] = strings.Replace(reference, "/journal-api:", "/"+kind.Name+":", 1)
			}
		}
	}
	return values, nil
}
