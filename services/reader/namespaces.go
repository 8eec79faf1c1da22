package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"

	"example.com/journal/services/namespace-controller/api"
)

// noTenant is the tenant of the lines of a namespace that belongs to none. No label can have this value.
const noTenant = "-"

// fence is what a query may see: the lines of one namespace, from while it belonged to one tenant, since the tenant began. Both names
// can be taken again, so the names alone would show the lines of an earlier owner. The zero value sees nothing.
type fence struct {
	namespace, tenant string
	// since is when the home namespace of the tenant was created, and created when the namespace itself was.
	since, created time.Time
	// uid is that of the namespace, and empty if the namespace is gone.
	uid types.UID
	// everything sees the lines of all namespaces.
	everything bool
}

// begin is the first moment at which the namespace was the tenant's.
func (f fence) begin() time.Time {
	if f.since.After(f.created) {
		return f.since
	}
	return f.created
}

// filters returns the fence as parameters of the log store, which adds them to the query and to every query in it. The streams are a
// JSON object of their fields; in the store's own form they would be refused, since it takes {" for JSON. Everything needs none.
func (f fence) filters() (url.Values, error) {
	if f.everything {
		return nil, nil
	}
	if f.namespace == "" || f.tenant == "" { // the store would take the empty value for lines without the field
		return nil, errors.New("a fence without a namespace or a tenant")
	}
	if f.since.IsZero() {
		return nil, errors.New("a fence without a beginning")
	}
	streams, err := json.Marshal(map[string]string{"k8s.namespace.name": f.namespace, "tenant": f.tenant})
	return url.Values{
		"extra_stream_filters": {string(streams)},
		"extra_filters":        {"_time:>=" + f.since.UTC().Format(time.RFC3339)},
	}, err
}

// namespaces knows whose namespaces are.
type namespaces struct {
	client   metadata.Getter
	informer cache.SharedIndexInformer
}

// newNamespaces watches the namespaces until ctx ends.
func newNamespaces(ctx context.Context, client metadata.Interface) *namespaces {
	resource := corev1.SchemeGroupVersion.WithResource("namespaces")
	informer := metadatainformer.NewFilteredMetadataInformer(client, resource, "", 0, cache.Indexers{}, nil).Informer()
	go informer.RunWithContext(ctx)
	return &namespaces{client: client.Resource(resource), informer: informer}
}

// synced says whether the namespaces have been read once.
func (n *namespaces) synced() bool { return n.informer.HasSynced() }

// get reads a namespace from the API server, since what is watched may be late: a name that was taken again must not show what its
// earlier owner wrote.
func (n *namespaces) get(ctx context.Context, name string) (fence, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	object, err := n.client.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fence{}, err
	}
	f := fenceOf(object)
	if f.tenant == noTenant || f.tenant == name {
		return f, nil
	}
	home, err := n.client.Get(ctx, f.tenant, metav1.GetOptions{})
	if apierrors.IsNotFound(err) { // the tenant is being removed, and this namespace with it
		return f, nil
	}
	if err != nil {
		return fence{}, err
	}
	f.since = home.CreationTimestamp.Time
	return f, nil
}

func fenceOf(namespace *metav1.PartialObjectMetadata) fence {
	f := fence{
		namespace: namespace.Name, tenant: namespace.Labels[api.LabelTenant], since: namespace.CreationTimestamp.Time,
		created: namespace.CreationTimestamp.Time, uid: namespace.UID,
	}
	if f.tenant == "" {
		f.tenant = noTenant
	}
	return f
}

// present returns the fences of the namespaces that are watched, as they were a moment ago.
func (n *namespaces) present() []fence {
	var all []fence
	for _, object := range n.informer.GetStore().List() {
		namespace, ok := object.(*metav1.PartialObjectMetadata)
		if !ok {
			continue
		}
		f := fenceOf(namespace)
		if home, ok, _ := n.informer.GetStore().GetByKey(f.tenant); ok {
			if home, ok := home.(*metav1.PartialObjectMetadata); ok {
				f.since = home.CreationTimestamp.Time
			}
		}
		all = append(all, f)
	}
	return all
}

// claimed returns the fence of a namespace that is gone, and was of the tenant whose home namespace is given. If another tenant has
// taken the name since, the answer is the same: nobody learns here which names others have.
func (n *namespaces) claimed(ctx context.Context, home fence, name string) (fence, error) {
	if home.namespace != home.tenant {
		return fence{}, refuse("claimed: only the home namespace of a tenant has lines of namespaces that are gone;" +
			" write the namespace that is called like the tenant")
	}
	now, err := n.get(ctx, name)
	if err != nil && !apierrors.IsNotFound(err) {
		return fence{}, err
	}
	if err == nil && now.tenant == home.tenant {
		return fence{}, refuse("claimed %q: this namespace exists; read its own logs", name)
	}
	return fence{namespace: name, tenant: home.tenant, since: home.since}, nil
}

// hold calls end when the namespace is deleted or belongs to another tenant, until release is called.
func (n *namespaces) hold(f fence, end func()) (release func(), err error) {
	check := func(object any) {
		namespace, ok := object.(*metav1.PartialObjectMetadata)
		if !ok || namespace.Name != f.namespace {
			return
		}
		if now := fenceOf(namespace); now.tenant != f.tenant || now.uid != f.uid {
			end()
		}
	}
	registration, err := n.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    check,
		UpdateFunc: func(_, object any) { check(object) },
		DeleteFunc: func(object any) {
			if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil && key == f.namespace {
				end()
			}
		},
	})
	if err != nil {
		return nil, err
	}
	return func() { _ = n.informer.RemoveEventHandler(registration) }, nil
}
