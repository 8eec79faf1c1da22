package observe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

const (
	// Group is the API group of the reader.
	Group   = "observe.journal.example.com"
	version = "v1alpha1"
	// tenantLabel says which tenant a namespace belongs to, and contactAnnotation whom to ask about it.
	tenantLabel       = "journal.example.com/tenant"
	contactAnnotation = "journal.example.com/contact"
)

// Patience is how long one read may take. The store gives up after half of it.
const Patience = time.Minute

// Kind is what a program reads, and what its errors advise.
type Kind struct {
	// Resource is the name in the API group. The key of the stack that turns it on is called the same.
	Resource string
	// Gone says what became of the data of a namespace that is not there. A %s in it stands for the namespace.
	Gone string
	// Busy says what to end after too many requests.
	Busy string
}

// Source is one place whose data the API serves.
type Source struct {
	// Namespace is where the caller's rights count; all namespaces if empty.
	Namespace string
	// Claimed is a claimed namespace of the tenant that is gone, or empty.
	Claimed string
}

func (s Source) String() string {
	switch {
	case s.Namespace == "":
		return "all namespaces"
	case s.Claimed != "":
		return fmt.Sprintf("%s of tenant %s", s.Claimed, s.Namespace)
	}
	return s.Namespace
}

// API asks the API server, as the caller, for one kind of data.
type API struct {
	kind    Kind
	config  *rest.Config
	rest    *rest.RESTClient
	clients kubernetes.Interface
}

func newAPI(config *rest.Config, kind Kind) (*API, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // the reader has bounds of its own
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	config.APIPath, config.GroupVersion = "/apis", &schema.GroupVersion{Group: Group, Version: version}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(config)
	return &API{kind: kind, config: config, rest: client, clients: clients}, err
}

// Get returns a read of the kind's resource in a source.
func (a *API) Get(from Source) *rest.Request {
	request := a.rest.Get().Namespace(from.Namespace).Resource(a.kind.Resource)
	if from.Claimed != "" {
		request.Param("claimed", from.Claimed)
	}
	return request
}

// namespaces returns the names of a tenant's namespaces.
func (a *API) namespaces(ctx context.Context, tenant string) ([]string, error) {
	found, err := a.clients.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(
		&metav1.LabelSelector{MatchLabels: map[string]string{tenantLabel: tenant}})})
	if err != nil {
		return nil, fmt.Errorf("list the namespaces of tenant %q: %w; name one with --namespace", tenant, err)
	}
	names := make([]string, len(found.Items))
	for i, namespace := range found.Items {
		names[i] = namespace.Name
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("tenant %q: no namespace has the label %s=%s; `kubectl get namespaces -L %s` lists the tenants", tenant, tenantLabel, tenant, tenantLabel)
	}
	return names, nil
}

// ReadEach reads the sources one after the other, since the store answers few queries at once, and returns those that may be read.
// One of several that is refused is said on stderr, and is an error only if none may be read. After another error nothing more is read.
func (a *API) ReadEach(ctx context.Context, stderr io.Writer, sources []Source, read func(Source) error) (readable []Source, err error) {
	var refusals []error
	for _, from := range sources {
		if failed := read(from); failed != nil {
			explained := a.Explain(ctx, from, "list", a.kind.Resource, failed)
			if apierrors.IsForbidden(failed) && !errors.Is(explained, errOff) {
				refusals = append(refusals, explained)
				continue
			}
			err = explained
			break
		}
		readable = append(readable, from)
	}
	if len(readable) == 0 && err == nil {
		return nil, errors.Join(refusals...)
	}
	for _, refusal := range refusals {
		fmt.Fprintf(stderr, "left out: %v\n", refusal)
	}
	return readable, err
}

// errOff is in the error that says that this cluster does not serve the kind.
var errOff = errors.New("its API does not have them")

// isServed reports whether the API server knows the kind's resource. It is so as well if that cannot be found out.
func (a *API) isServed(ctx context.Context) bool {
	text, err := a.rest.Get().AbsPath("/apis", Group, version).Do(ctx).Raw()
	var found metav1.APIResourceList
	if err != nil || json.Unmarshal(text, &found) != nil {
		return !apierrors.IsNotFound(err)
	}
	return slices.ContainsFunc(found.APIResources, func(r metav1.APIResource) bool { return r.Name == a.kind.Resource })
}

// Explain says what an error of the API means for the caller, and what to do.
func (a *API) Explain(ctx context.Context, from Source, verb, resource string, err error) error {
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsServiceUnavailable(err) {
		// Without the API group its rights are missing as well, so a refusal may mean that there is nothing to read.
		if !a.isServed(ctx) {
			return fmt.Errorf("this cluster keeps no %s: %w (%s.%s); the platform team turns them on with the keys journal:%s and journal:reader",
				a.kind.Resource, errOff, a.kind.Resource, Group, a.kind.Resource)
		}
	}
	right := fmt.Sprintf("you may not %s %s.%s", verb, resource, Group)
	switch {
	case apierrors.IsForbidden(err) && from.Namespace == "":
		return fmt.Errorf("%s: %s in all namespaces (%w); ask the platform team to name you in journal:reader.platform, or read one tenant with --tenant", from, right, err)
	case apierrors.IsForbidden(err):
		contact := "an owner of its tenant"
		namespace, failed := a.clients.CoreV1().Namespaces().Get(ctx, from.Namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(failed) {
			return a.gone(from)
		}
		if failed == nil && namespace.Annotations[contactAnnotation] != "" {
			contact = namespace.Annotations[contactAnnotation]
		}
		return fmt.Errorf("%s: %s there (%w); ask %s to make you a member, as a viewer at least", from, right, err, contact)
	case apierrors.IsNotFound(err) && from.Claimed == "":
		return a.gone(from)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server does not accept your credential: %w; renew it, for example with onboard", err)
	case apierrors.IsTooManyRequests(err):
		return fmt.Errorf("%s: too many requests at once: %w; %s, and try again", from, err, a.kind.Busy)
	case apierrors.IsServiceUnavailable(err):
		return fmt.Errorf("%s: the %s cannot be read now: %w; `kubectl get apiservice %s.%s` says whether a reader answers", from, a.kind.Resource, err, version, Group)
	}
	return fmt.Errorf("%s: %w", from, err)
}

// gone says what became of the data of a namespace that is not there.
func (a *API) gone(from Source) error {
	return fmt.Errorf("namespace %q: there is none; %s", from.Namespace, fmt.Sprintf(a.kind.Gone, from.Namespace))
}
