package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

const (
	group = "observe.journal.example.com"
	// tenantLabel says which tenant a namespace belongs to, and contactAnnotation whom to ask about it.
	tenantLabel       = "journal.example.com/tenant"
	contactAnnotation = "journal.example.com/contact"

	// patience is how long a list of lines may take. The store gives up after half of it.
	patience = time.Minute
)

// source is one place whose lines the API serves.
type source struct {
	// namespace is where the caller's rights count; all namespaces if empty.
	namespace string
	// claimed is a claimed namespace of the tenant that is gone, or empty.
	claimed string
}

func (s source) String() string {
	switch {
	case s.namespace == "":
		return "all namespaces"
	case s.claimed != "":
		return fmt.Sprintf("%s of tenant %s", s.claimed, s.namespace)
	}
	return s.namespace
}

// row is one line, with the object that the store has of it.
type row struct {
	Time      time.Time `json:"_time"`
	Text      string    `json:"_msg"`
	Namespace string    `json:"k8s.namespace.name"`
	Pod       string    `json:"k8s.pod.name"`
	Container string    `json:"k8s.container.name"`

	object json.RawMessage
}

// api asks the API server for lines, as the caller.
type api struct {
	config  *rest.Config
	rest    *rest.RESTClient
	clients kubernetes.Interface
}

func newAPI(config *rest.Config) (*api, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // the reader has bounds of its own
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	config.APIPath, config.GroupVersion = "/apis", &schema.GroupVersion{Group: group, Version: "v1alpha1"}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(config)
	return &api{config: config, rest: client, clients: clients}, err
}

// namespaces returns the names of a tenant's namespaces.
func (a *api) namespaces(ctx context.Context, tenant string) ([]string, error) {
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

// list returns the newest lines of a source that answer the question, as the store sorts them.
func (a *api) list(ctx context.Context, from source, asked question) ([]row, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request := a.rest.Get().Namespace(from.namespace).Resource("logs").Param("query", asked.query).
		Param("start", asked.start.UTC().Format(time.RFC3339Nano)).Param("limit", strconv.Itoa(asked.limit)).MaxRetries(2)
	if !asked.end.IsZero() {
		request.Param("end", asked.end.UTC().Format(time.RFC3339Nano))
	}
	if from.claimed != "" {
		request.Param("claimed", from.claimed)
	}
	body, err := request.Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	var all []row
	for r, err := range rows(body) {
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// watch opens the stream of lines that come from now on.
func (a *api) watch(ctx context.Context, from source, query string) (io.ReadCloser, error) {
	return a.rest.Get().Namespace(from.namespace).Resource("logs").Param("query", query).Param("watch", "true").
		MaxRetries(0).Stream(ctx) // somebody with too many streams learns it at once
}

// rows reads lines until the stream ends, or gives the error that ends it.
func rows(body io.Reader) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		for decoder := json.NewDecoder(body); ; {
			var r row
			err := decoder.Decode(&r.object)
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil && json.Unmarshal(r.object, &r) != nil {
				r = row{object: r.object} // what a query calls so is something else
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// errOff says that there is nothing to read in this cluster.
var errOff = errors.New("this cluster keeps no logs: it has no API group " + group + "; the platform team turns them on with the keys journal:logs and journal:reader")

// explain says what an error of the API means for the caller, and what to do.
func (a *api) explain(ctx context.Context, from source, verb, resource string, err error) error {
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsServiceUnavailable(err) {
		// Without the API group its rights are missing as well, so a refusal may mean that there is nothing to read.
		if off := a.rest.Get().AbsPath("/apis", group, "v1alpha1").Do(ctx).Error(); apierrors.IsNotFound(off) {
			return errOff
		}
	}
	right := fmt.Sprintf("you may not %s %s.%s", verb, resource, group)
	switch {
	case apierrors.IsForbidden(err) && from.namespace == "":
		return fmt.Errorf("%s: %s in all namespaces (%w); ask the platform team to name you in journal:reader.platform, or read one tenant with --tenant", from, right, err)
	case apierrors.IsForbidden(err):
		contact := "an owner of its tenant"
		namespace, failed := a.clients.CoreV1().Namespaces().Get(ctx, from.namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(failed) {
			return gone(from)
		}
		if failed == nil && namespace.Annotations[contactAnnotation] != "" {
			contact = namespace.Annotations[contactAnnotation]
		}
		return fmt.Errorf("%s: %s there (%w); ask %s to make you a member, as a viewer at least", from, right, err, contact)
	case apierrors.IsNotFound(err) && from.claimed == "":
		return gone(from)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server does not accept your credential: %w; renew it, for example with onboard", err)
	case apierrors.IsTooManyRequests(err):
		return fmt.Errorf("%s: too many requests at once: %w; end another --follow or page of yours, and try again", from, err)
	case apierrors.IsServiceUnavailable(err):
		return fmt.Errorf("%s: the logs cannot be read now: %w; `kubectl get apiservice v1alpha1.%s` says whether a reader answers", from, err, group)
	}
	return fmt.Errorf("%s: %w", from, err)
}

// gone says how a claimed namespace that is gone is read.
func gone(from source) error {
	return fmt.Errorf("namespace %q: there is none; if it was claimed, read it in its tenant: --tenant TENANT --claimed %s", from.namespace, from.namespace)
}
