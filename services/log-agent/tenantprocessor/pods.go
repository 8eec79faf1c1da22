package tenantprocessor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
)

const (
	// tenantLabel names the tenant that a namespace belongs to.
	tenantLabel = "journal.example.com/tenant"
	// nobody is the tenant of lines that belong to none, and of those whose owner is not known. Only the platform reads them.
	nobody = "-"
	// keepPods is how long a pod is known after it is deleted. Its last lines come until then.
	keepPods = 10 * time.Minute
	// keepStrangers is how long a pod that the cluster does not know is not asked for again.
	keepStrangers = time.Minute
	// patience is how long the lines of a pod wait for an API server that does not answer. After that they are nobody's.
	patience = 30 * time.Second
	// requestTime is how long one request to the API server may take.
	requestTime = 5 * time.Second
	// startTime is how long the first list of pods may take.
	startTime = time.Minute
)

var (
	podResource       = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	namespaceResource = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
)

// pod identifies one pod for all time: a name can be taken again, by another tenant too, and a UID cannot.
type pod struct{ namespace, name, uid string }

// owner is whom the lines of a pod belong to.
type owner struct {
	app, tenant string
	// namespace is the UID of the pod's namespace. It is empty for the lines of a pod that nobody knows.
	namespace string
	// forget is when the entry is removed. It is zero for a pod that exists.
	forget time.Time
	// failing is since when the API server does not say who the owner is. It is zero otherwise.
	failing time.Time
}

// pods knows whom the pods of a node belong to. The tenant of a pod is that of its namespace when the pod was first seen: a
// namespace that is gone, and whose name another tenant has, must not hand its last lines to that tenant.
type pods struct {
	client     metadata.Interface
	now        func() time.Time
	informer   cache.SharedIndexInformer // the pods of the node
	namespaces cache.SharedIndexInformer // all namespaces, for the shares
	delivered  cache.InformerSynced      // says whether the first pods are in owners

	mu     sync.Mutex
	owners map[pod]owner
}

func newPods(client metadata.Interface, node string, now func() time.Time, log *zap.Logger) (*pods, error) {
	p := &pods{
		client: client, now: now, owners: map[pod]owner{},
		informer:   informer(client, podResource, fields.OneTermEqualSelector("spec.nodeName", node).String()),
		namespaces: informer(client, namespaceResource, ""),
	}
	for _, informer := range []cache.SharedIndexInformer{p.informer, p.namespaces} {
		if err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
			log.Warn("pods or namespaces cannot be listed or watched now", zap.Error(err))
		}); err != nil {
			return nil, err
		}
	}
	registration, err := p.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: p.added, DeleteFunc: p.deleted})
	if err != nil {
		return nil, err
	}
	p.delivered = registration.HasSynced
	return p, nil
}

// informer returns an informer of the metadata of the selected objects.
func informer(client metadata.Interface, resource schema.GroupVersionResource, selector string) cache.SharedIndexInformer {
	objects := client.Resource(resource)
	listWatch := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = selector
			return objects.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = selector
			return objects.Watch(ctx, o)
		},
	}
	return cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(listWatch, client), &metav1.PartialObjectMetadata{}, 0, nil)
}

// run keeps the pods known until the context ends.
func (p *pods) run(ctx context.Context) {
	go p.namespaces.RunWithContext(ctx)
	p.informer.RunWithContext(ctx)
}

// wait waits until the owner of every pod on the node is known.
func (p *pods) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if !cache.WaitForCacheSync(ctx.Done(), p.delivered, p.namespaces.HasSynced) {
		return fmt.Errorf("the pods of the node and the namespaces are not known after %s: the API server must answer, "+
			"and the agent must be allowed to list and watch pods and namespaces", startTime)
	}
	return nil
}

// added learns the owner of a pod before its first line comes, most of the time.
func (p *pods) added(object any) {
	found := object.(*metav1.PartialObjectMetadata)
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	// If the API server does not answer now, the pod's first line asks again.
	if o, err := p.ownerOf(ctx, found); err == nil {
		p.learn(keyOf(found), o)
	}
}

// deleted lets a pod be forgotten after a while.
func (p *pods) deleted(object any) {
	if unknown, missed := object.(cache.DeletedFinalStateUnknown); missed {
		object = unknown.Obj
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := keyOf(object.(*metav1.PartialObjectMetadata))
	if o, known := p.owners[key]; known {
		o.forget = p.now().Add(keepPods)
		p.owners[key] = o
	}
}

// forget removes the pods whose time is over.
func (p *pods) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, o := range p.owners {
		if !o.forget.IsZero() && p.now().After(o.forget) {
			delete(p.owners, key)
		}
	}
}

// owner returns whom the lines of a pod belong to. An error means that the API server does not say it now, and that the lines
// should wait.
func (p *pods) owner(ctx context.Context, key pod) (owner, error) {
	if known, found := p.known(key); found && known.failing.IsZero() {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	o, err := p.find(ctx, key)
	if err != nil {
		return p.failed(key, err)
	}
	return p.learn(key, o), nil
}

func (p *pods) known(key pod) (owner, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o, found := p.owners[key]
	return o, found && (o.forget.IsZero() || !p.now().After(o.forget))
}

// learn remembers the owner of a pod, and returns it. What was learnt first stays, unless it was that the pod is a stranger.
func (p *pods) learn(key pod, o owner) owner {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, found := p.owners[key]; found && known.tenant != nobody && known.failing.IsZero() {
		return known
	}
	p.owners[key] = o
	return o
}

// failed returns the error while there is patience, and then nobody.
func (p *pods) failed(key pod, err error) (owner, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.owners[key]
	if o.failing.IsZero() {
		o = owner{failing: p.now(), forget: p.now().Add(keepStrangers)}
		p.owners[key] = o
	}
	if p.now().Sub(o.failing) < patience {
		return owner{}, fmt.Errorf("pod %s in %s: its tenant is not known yet: %w", key.name, key.namespace, err)
	}
	o = stranger(p.now())
	p.owners[key] = o
	return o, nil
}

// stranger is the owner of the lines of a pod that nobody knows.
func stranger(now time.Time) owner { return owner{tenant: nobody, forget: now.Add(keepStrangers)} }

// find asks the cluster for the owner of a pod whose watch event has not come, or that is gone.
func (p *pods) find(ctx context.Context, key pod) (owner, error) {
	object, exists, err := p.informer.GetStore().GetByKey(key.namespace + "/" + key.name)
	if err != nil {
		return owner{}, err
	}
	if found, _ := object.(*metav1.PartialObjectMetadata); exists && keyOf(found) == key {
		return p.ownerOf(ctx, found)
	} else if exists && isStatic(found, key) {
		return p.ownerOfStatic(ctx, found)
	}
	if key.namespace == "" || key.name == "" || key.uid == "" { // a file that is no container's
		return stranger(p.now()), nil
	}
	list, err := p.client.Resource(podResource).Namespace(key.namespace).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", key.name).String(),
	})
	if err != nil {
		return owner{}, err
	}
	for i := range list.Items {
		if keyOf(&list.Items[i]) == key {
			return p.ownerOf(ctx, &list.Items[i])
		} else if isStatic(&list.Items[i], key) {
			return p.ownerOfStatic(ctx, &list.Items[i])
		}
	}
	return stranger(p.now()), nil
}

// ownerOf returns the owner of a pod that exists, from its namespace as it is now. A namespace that is younger than the pod is
// not the pod's own, but one that has its name.
func (p *pods) ownerOf(ctx context.Context, found *metav1.PartialObjectMetadata) (owner, error) {
	namespace, err := p.client.Resource(namespaceResource).Get(ctx, found.Namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && namespace.CreationTimestamp.After(found.CreationTimestamp.Time) {
		return stranger(p.now()), nil
	}
	if err != nil {
		return owner{}, err
	}
	o := owner{app: found.Labels["app.kubernetes.io/name"], tenant: namespace.Labels[tenantLabel], namespace: string(namespace.UID)}
	if o.app == "" {
		o.app = found.Labels["app"]
	}
	if o.tenant == "" {
		o.tenant = nobody
	}
	return o, nil
}

// isStatic says whether the files of key are those of a static pod, which the object mirrors: their path has the hash of its manifest
// in place of a UID.
func isStatic(object *metav1.PartialObjectMetadata, key pod) bool {
	mirror := keyOf(object)
	mirror.uid = object.Annotations["kubernetes.io/config.mirror"]
	return mirror == key
}

// ownerOfStatic is ownerOf for a static pod. Tenants have none, and could write the annotation.
func (p *pods) ownerOfStatic(ctx context.Context, found *metav1.PartialObjectMetadata) (owner, error) {
	o, err := p.ownerOf(ctx, found)
	if err == nil && o.tenant != nobody {
		return stranger(p.now()), nil
	}
	return o, err
}

func keyOf(object *metav1.PartialObjectMetadata) pod {
	return pod{object.Namespace, object.Name, string(object.UID)}
}
