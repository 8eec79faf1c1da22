package cluster

import (
	"cmp"
	"context"
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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/internal/disk"
	"example.com/journal/sandbox/objects"
	"example.com/journal/stacks"
)

// connectTime is how long an API server may take to answer.
const connectTime = 15 * time.Second

// foreign is the cluster of a context in the user's kubeconfig. The stack's file is taken as it is, apart from the images.
type foreign struct {
	dir      cache.Dir
	context  string
	config   *api.Config // with this context alone
	registry string
	loader   *loader // nil when pods pull their images

	// What Connect finds.
	client *objects.Client
	folder string
}

// loader is how the images of a kind of cluster get in without a registry.
type loader struct {
	prefix string   // of the contexts of such clusters; the cluster's name follows
	args   []string // the program and its arguments before the archive and the cluster's name
	flag   string   // names the cluster
}

var loaders = []loader{
	{"kind-", []string{"kind", "load", "image-archive"}, "--name"},
	{"k3d-", []string{"k3d", "image", "import"}, "--cluster"},
}

// newForeign reads the user's kubeconfig as kubectl does, and writes nothing to it.
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
		known := strings.Join(slices.Sorted(maps.Keys(config.Contexts)), ", ")
		if known == "" {
			known = "there are none: set KUBECONFIG to the file that has them"
		}
		return nil, fmt.Errorf("cluster %q: the kubeconfig has no such context; write one of: %s", o.Context, known)
	}
	config.CurrentContext = name
	if err := api.MinifyConfig(config); err != nil {
		return nil, fmt.Errorf("context %q: %w", name, err)
	}
	c := &foreign{dir: o.Dir, context: name, config: config, registry: o.Registry}
	for _, l := range loaders {
		if c.registry == "" && strings.HasPrefix(name, l.prefix) {
			c.loader = &l
		}
	}
	return c, nil
}

func (c *foreign) String() string { return fmt.Sprintf("the cluster of context %q", c.context) }

func (c *foreign) server() string {
	return c.config.Clusters[c.config.Contexts[c.context].Cluster].Server
}

func (c *foreign) Programs() []string { return nil }

func (c *foreign) Start(ctx context.Context, _ io.Writer) error { return c.Connect(ctx) }

// Connect finds the cluster's folder by what tells clusters apart, whatever they are called: the UID of kube-system. There it
// puts a kubeconfig of this one context, so that nothing changes when another one becomes the current one.
func (c *foreign) Connect(ctx context.Context) error {
	if c.client != nil {
		return nil
	}
	config, err := clientcmd.NewDefaultClientConfig(*c.config, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	client, err := objects.New(config)
	if err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	system, err := client.Resource(objects.Namespaces).Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("%s does not answer at %s: %w", c, c.server(), err)
	}
	c.folder = c.dir.Path("clusters", string(system.GetUID()))
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

func (c *foreign) TakesImages() bool { return c.registry != "" || c.loader != nil }

// Load pushes the images to the registry, or hands them to kind or k3d. Those that only the sandbox's node uses are left out.
func (c *foreign) Load(ctx context.Context, built []images.Image, log io.Writer) error {
	if c.registry != "" {
		return images.Push(ctx, built, c.registry, log)
	}
	for _, image := range built {
		if image.ConfigKey == "" {
			continue
		}
		args := append(slices.Clone(c.loader.args[1:]), image.Archive, c.loader.flag, strings.TrimPrefix(c.context, c.loader.prefix))
		if text, err := exec.CommandContext(ctx, c.loader.args[0], args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w: %s", c.loader.args[0], strings.Join(args, " "), err, strings.TrimSpace(string(text)))
		}
		fmt.Fprintf(log, "loaded %s\n", image.Reference)
	}
	return nil
}

func (c *foreign) Values(decided stacks.Config, built []images.Image) (map[string]any, error) {
	return references(decided, built, func(image images.Image) (string, error) {
		if c.registry == "" {
			return image.Reference, nil
		}
		return image.In(c.registry)
	})
}

func (c *foreign) Kubeconfig() string { return filepath.Join(c.folder, "kubeconfig") }

func (c *foreign) State() string { return filepath.Join(c.folder, "pulumi") }

// Address is the one that the controller of the namespace's Ingress or Gateway reports, with the port that users type.
func (c *foreign) Address(ctx context.Context, page *url.URL, namespace string) (string, error) {
	type address struct {
		IP       string `json:"ip"`
		Hostname string `json:"hostname"`
		Value    string `json:"value"`
	}
	type route struct {
		Status struct {
			LoadBalancer struct {
				Ingress []address `json:"ingress"`
			} `json:"loadBalancer"`
			Addresses []address `json:"addresses"`
		} `json:"status"`
	}
	port := page.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[page.Scheme]
	}
	var errs []error
	for _, kind := range []schema.GroupVersionResource{objects.Ingresses, objects.Gateways} {
		routes, err := objects.List[route](ctx, c.client, kind, namespace, metav1.ListOptions{LabelSelector: "app=exposure"})
		errs = append(errs, err)
		for _, r := range routes {
			for _, a := range append(r.Status.LoadBalancer.Ingress, r.Status.Addresses...) {
				return net.JoinHostPort(cmp.Or(a.IP, a.Hostname, a.Value), port), nil
			}
		}
	}
	if errs[0] != nil { // a cluster need not know Gateways
		return "", errs[0]
	}
	return "", nil
}

func (c *foreign) Status(context.Context) (string, error) {
	version, err := c.client.Discovery.ServerVersion()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("cluster     context %s, Kubernetes %s\napiserver   %s\nkubeconfig  %s\nstate       %s",
		c.context, version.GitVersion, c.server(), c.Kubeconfig(), c.State()), nil
}

// Kubectl is the user's own kubectl, or the sandbox's where there is none.
func (c *foreign) Kubectl(ctx context.Context, args ...string) (*exec.Cmd, error) {
	program, err := exec.LookPath("kubectl")
	if err != nil {
		program = filepath.Join(c.dir.Bin(), "kubernetes")
		if _, err := os.Stat(program); err != nil {
			return nil, errors.New("kubectl is not on PATH, and the sandbox has not built its own: install kubectl")
		}
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Args[0] = "kubectl"
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig(), "KUBECACHEDIR="+filepath.Join(c.folder, "kubectl"))
	return cmd, nil
}
