package observe

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"
)

// Flags say which namespaces are read, and as whom.
type Flags struct {
	// Namespace is --namespace, or else, after Connect, the namespace of the kubeconfig's context.
	Namespace string
	// Tenant is --tenant. A tenant's own namespace is called as the tenant.
	Tenant string
	// Everything is --all-namespaces.
	Everything bool

	kubeconfig, context string
}

// AddPlaces adds the flags that say which namespaces are read.
func (f *Flags) AddPlaces(flags *pflag.FlagSet) {
	flags.StringVarP(&f.Namespace, "namespace", "n", "", "the `namespace` to read (default: that of the kubeconfig's context)")
	flags.StringVar(&f.Tenant, "tenant", "", "read all namespaces of a `tenant` that you may read, claimed ones included")
	flags.BoolVarP(&f.Everything, "all-namespaces", "A", false, "read all namespaces, for the platform team")
}

// AddKubeconfig adds the flags that say as whom.
func (f *Flags) AddKubeconfig(flags *pflag.FlagSet) {
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "the kubeconfig `file` (default: as kubectl, $KUBECONFIG or ~/.kube/config)")
	flags.StringVar(&f.context, "context", "", "the kubeconfig's `context` to use")
}

// CheckPlaces refuses more than one flag that says which namespaces are read.
func (f *Flags) CheckPlaces() error {
	return Exclude("each says which namespaces to read", map[string]bool{"--namespace": f.Namespace != "", "--tenant": f.Tenant != "", "--all-namespaces": f.Everything})
}

// Connect reads the kubeconfig, and returns the API for the kind as its user.
func (f *Flags) Connect(kind Kind) (*API, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	kubeconfig := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.context})
	config, err := kubeconfig.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig %q: %w; name one with --kubeconfig or KUBECONFIG", f.kubeconfig, err)
	}
	if f.Namespace == "" {
		if f.Namespace, _, err = kubeconfig.Namespace(); err != nil {
			return nil, fmt.Errorf("read the namespace of the kubeconfig's context: %w; name one with --namespace", err)
		}
	}
	return newAPI(config, kind)
}

// Home is the one namespace that the flags name, which is the tenant's own for a tenant.
func (f *Flags) Home() Source {
	if f.Tenant != "" {
		return Source{Namespace: f.Tenant}
	}
	return Source{Namespace: f.Namespace}
}

// Sources returns what the flags say to read.
func (f *Flags) Sources(ctx context.Context, api *API) ([]Source, error) {
	switch {
	case f.Everything:
		return []Source{{}}, nil
	case f.Tenant == "":
		return []Source{f.Home()}, nil
	}
	names, err := api.namespaces(ctx, f.Tenant)
	sources := make([]Source, len(names))
	for i, name := range names {
		sources[i] = Source{Namespace: name}
	}
	return sources, err
}

// Exclude refuses more than one given flag, with the reason why they exclude each other. It is nil for one or none.
func Exclude(reason string, given map[string]bool) error {
	maps.DeleteFunc(given, func(_ string, isGiven bool) bool { return !isGiven })
	if len(given) < 2 {
		return nil
	}
	return fmt.Errorf("%s: %s; leave all but one out", strings.Join(slices.Sorted(maps.Keys(given)), ", "), reason)
}

// NoArguments refuses arguments that are no flags, with what to write instead.
func NoArguments(args []string, instead string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("argument %q: none is expected; %s", args[0], instead)
}
