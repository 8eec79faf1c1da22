// Package objects reads the objects of a cluster as the types of Kubernetes' own API.
package objects

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The kinds that are read, in their plural form and without a group of their own where they have none.
var (
	Namespaces   = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	Pods         = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	Events       = schema.GroupVersionResource{Version: "v1", Resource: "events"}
	Secrets      = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	Deployments  = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	StatefulSets = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}
	Ingresses    = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}
	Gateways     = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
)

// Client talks to one cluster. Reading with typed clients would compile those of all kinds.
type Client struct {
	dynamic.Interface
	Discovery discovery.DiscoveryInterface
}

// Open returns a client for the current context of a kubeconfig.
func Open(kubeconfig string) (*Client, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	return New(config)
}

// New returns a client without a limit of its own: what it asks is little. Whoever lists all kinds meets deprecated ones.
func New(config *rest.Config) (*Client, error) {
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	kinds, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfig(config)
	return &Client{Interface: objects, Discovery: kinds}, err
}

// List returns the objects of a kind in a namespace, or in all with "".
func List[T any](ctx context.Context, c *Client, kind schema.GroupVersionResource, namespace string, options metav1.ListOptions) ([]T, error) {
	list, err := c.Resource(kind).Namespace(namespace).List(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind.GroupResource(), err)
	}
	typed := make([]T, len(list.Items))
	for i, item := range list.Items {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &typed[i]); err != nil {
			return nil, fmt.Errorf("read %s %s: %w", item.GetKind(), item.GetName(), err)
		}
	}
	return typed, nil
}

// Object is an object of any kind, with what it takes to delete it.
type Object struct {
	unstructured.Unstructured
	Resource schema.GroupVersionResource
}

// All returns every object that can be listed and deleted.
func (c *Client) All(ctx context.Context) ([]Object, error) {
	lists, err := c.Discovery.ServerPreferredResources()
	if err != nil {
		return nil, fmt.Errorf("list the kinds of the API server: %w", err)
	}
	var mu sync.Mutex
	var all []Object
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, list := range lists {
		for _, kind := range list.APIResources {
			if !slices.Contains(kind.Verbs, "list") || !slices.Contains(kind.Verbs, "delete") {
				continue
			}
			group.Go(func() error {
				version, err := schema.ParseGroupVersion(list.GroupVersion)
				if err != nil {
					return err
				}
				resource := version.WithResource(kind.Name)
				found, err := c.Resource(resource).List(each, metav1.ListOptions{})
				if err != nil {
					return fmt.Errorf("list %s: %w", resource.GroupResource(), err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, item := range found.Items {
					all = append(all, Object{item, resource})
				}
				return nil
			})
		}
	}
	return all, group.Wait()
}
