package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/jsonpath"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/internal/command"
	"example.com/journal/sandbox/internal/disk"
	"example.com/journal/stacks"
)

// connectTime is how long an API server may take to answer.
const connectTime = 15 * time.Second

// foreign is the cluster of a context in the user's kubeconfig. It uses the stack's file as it is, apart from the images.
type foreign struct {
	dir      cache.Dir
	context  string
	config   *api.Config // with only this context
	registry string
	loader   []string // the command that loads an image's archive; nil when pods pull their images

	// What Connect finds.
	client *discovery.DiscoveryClient
	folder string
}

// loaders are the commands that load images into a cluster without a registry, by the prefix of its context. The rest of the
// context is the cluster's name, which follows the command.
var loaders = map[string][]string{
	"kind-": {"kind", "load", "image-archive", "--name"},
	"k3d-":  {"k3d", "image", "import", "--cluster"},
}

// newForeign reads the user's kubeconfig as kubectl does, and never writes to it.
func newForeign(o Options) (*foreign, error) {
	config, err := clientcmd.NewDefaultClientConfigLoadingRules().Load()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	name := o.Context
	if name == CurrentContext {
		name = config.CurrentContext
	}
	if config.Contexts[name] == nil {
		known := cmp.Or(strings.Join(slices.Sorted(maps.Keys(config.Contexts)), ", "), "there are none: set KUBECONFIG to the file that has them")
		return nil, fmt.Errorf("cluster %q: the kubeconfig has no such context; write one of: %s", o.Context, known)
	}
	config.CurrentContext = name
	if err := api.MinifyConfig(config); err != nil {
		return nil, fmt.Errorf("context %q: %w", name, err)
	}
	c := &foreign{dir: o.Dir, context: name, config: config, registry: o.Registry}
	for prefix, command := range loaders {
		if cluster, found := strings.CutPrefix(name, prefix); found {
			c.loader = append(slices.Clone(command), cluster)
		}
	}
	return c, nil
}

func (c *foreign) String() string { return fmt.Sprintf("the cluster of context %q", c.context) }

func (c *foreign) server() string {
	return c.config.Clusters[c.config.Contexts[c.context].Cluster].Server
}

func (c *foreign) Programs() []string { return nil }

// ServicePrograms are none: the cluster pulls the programs of others.
func (c *foreign) ServicePrograms(stacks.Config) []string { return nil }

func (c *foreign) Start(ctx context.Context, _ io.Writer) error { return c.Connect(ctx) }

// Connect finds the cluster's folder by the UID of kube-system, which identifies a cluster under any name. It writes a kubeconfig
// with only this context there, so that a change of the current context has no effect.
func (c *foreign) Connect(ctx context.Context) error {
	if c.client != nil {
		return nil
	}
	config, err := clientcmd.NewDefaultClientConfig(*c.config, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	var system corev1.Namespace
	if err := client.RESTClient().Get().AbsPath("/api/v1/namespaces/kube-system").Do(ctx).Into(&system); err != nil {
		return fmt.Errorf("%s does not answer at %s: %w", c, c.server(), err)
	}
	c.folder = c.dir.Path("clusters", string(system.UID))
	text, err := clientcmd.Write(*c.config)
	if err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(c.folder, 0o700), disk.Write(c.Kubeconfig(), text, 0o600)); err != nil {
		return err
	}
	c.client = client
	return nil
}

func (c *foreign) Stop(context.Context) error {
	return fmt.Errorf("%s is not the sandbox's to stop; `sandbox destroy --cluster %s --yes` deletes the stack from it", c, c.context)
}

func (c *foreign) Reset(ctx context.Context) error { return c.Stop(ctx) }

// takesImages says whether the cluster gets the images built here, instead of those that the stack's file names.
func (c *foreign) takesImages() bool { return c.registry != "" || c.loader != nil }

func (c *foreign) Images(decided stacks.Config) []images.Kind {
	if !c.takesImages() {
		return nil
	}
	return Needs(decided, images.Journal)
}

// Load pushes the images to the registry, or loads them into kind or k3d.
func (c *foreign) Load(ctx context.Context, built []images.Image, log io.Writer) error {
	if c.registry != "" {
		return images.Push(ctx, built, c.registry, log)
	}
	for _, image := range built {
		words := append(slices.Clone(c.loader), image.Archive)
		if _, err := command.Output(exec.CommandContext(ctx, words[0], words[1:]...)); err != nil {
			return err
		}
		fmt.Fprintf(log, "loaded %s\n", image.Reference)
	}
	return nil
}

// LoadServices loads our own programs only: the cluster pulls those of other projects from where they are published.
func (c *foreign) LoadServices(ctx context.Context, repo string, decided stacks.Config, log io.Writer) error {
	if !c.takesImages() {
		return nil
	}
	return loadServices(ctx, c, c.dir, repo, log, Needs(decided, images.Services))
}

func (c *foreign) Values(decided stacks.Config, built []images.Image, _ io.Writer) (map[string]any, error) {
	return references(decided, built, c.registry)
}

func (c *foreign) Kubeconfig() string { return filepath.Join(c.folder, "kubeconfig") }

func (c *foreign) State() string { return filepath.Join(c.folder, "pulumi") }

// Address is the address that the controller of the namespace's Ingress or Gateway reports, with the port that users type.
func (c *foreign) Address(ctx context.Context, page *url.URL, namespace string) (string, error) {
	const ingress, gateway = "{.items[*].status.loadBalancer.ingress[*]['ip','hostname']}", "{.items[*].status.addresses[*].value}"
	addresses := jsonpath.New("addresses").AllowMissingKeys(true)
	if err := addresses.Parse(ingress + gateway); err != nil {
		return "", err
	}
	port := cmp.Or(page.Port(), map[string]string{"http": "80", "https": "443"}[page.Scheme])
	for _, path := range []string{"/apis/networking.k8s.io/v1/namespaces/%s/ingresses", "/apis/gateway.networking.k8s.io/v1/namespaces/%s/gateways"} {
		text, err := c.client.RESTClient().Get().AbsPath(fmt.Sprintf(path, namespace)).Param("labelSelector", "app=exposure").Do(ctx).Raw()
		if apierrors.IsNotFound(err) {
			continue // a cluster may not have the kind Gateway
		}
		var list any
		if err == nil {
			err = json.Unmarshal(text, &list)
		}
		var found strings.Builder
		if err == nil {
			err = addresses.Execute(&found, list)
		}
		if err != nil {
			return "", err
		}
		if reported := strings.Fields(found.String()); len(reported) > 0 {
			return net.JoinHostPort(reported[0], port), nil
		}
	}
	return "", nil
}

func (c *foreign) Status(context.Context) (string, error) {
	version, err := c.client.ServerVersion()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("cluster     context %s, Kubernetes %s\napiserver   %s\nkubeconfig  %s\nstate       %s",
		c.context, version.GitVersion, c.server(), c.Kubeconfig(), c.State()), nil
}

func (c *foreign) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	return command.Kubectl(ctx, c.dir.Bin(), c.Kubeconfig(), args...)
}
