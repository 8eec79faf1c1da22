package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
)

// groupVersion is the API that the reader serves.
var groupVersion = schema.GroupVersion{Group: "observe.journal.example.com", Version: "v1alpha1"}

// The resources, each of which is served if its store is known.
const (
	resourceLogs    = "logs"
	resourceMetrics = "metrics"
)

// resource answers the requests for one of them.
type resource interface {
	// list answers at the path of the resource itself.
	list(w http.ResponseWriter, r *http.Request, seen *request, t target, form url.Values) error
	// proxy answers below the proxy, with the page of the store, and with what the page asks for.
	proxy(w http.ResponseWriter, r *http.Request, seen *request, t target, form url.Values) error
}

// route is what a path means.
type route int

const (
	routeNone route = iota
	routeDiscovery
	routeOpenAPI
	routeAll
	routeNamespace
	routeProxy
)

// methods are those of each route. The API server takes GET for the verbs list, watch and get, and POST for create.
var methods = map[route][]string{
	routeDiscovery: {http.MethodGet},
	routeOpenAPI:   {http.MethodGet},
	routeAll:       {http.MethodGet},
	routeNamespace: {http.MethodGet},
	routeProxy:     {http.MethodGet, http.MethodPost},
}

// target is a parsed path.
type target struct {
	route route
	// resource is empty for discovery.
	resource  string
	namespace string
	// rest is the path of the store, below the proxy.
	rest string
}

// String is the name in metrics and logs.
func (t target) String() string {
	switch t.route {
	case routeDiscovery:
		return "discovery"
	case routeOpenAPI:
		return "openapi"
	case routeAll:
		return t.resource
	case routeNamespace:
		return "namespaces/" + t.resource
	case routeProxy:
		return "namespaces/" + t.resource + "/ui/proxy"
	}
	return "none"
}

func known(resource string) bool { return resource == resourceLogs || resource == resourceMetrics }

// plainPath is a path that can be read in one way only: no escapes, no empty parts, no parts of dots alone, no capital letters
// where names are. The API server decides by the path as it reads it, and forwards it.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+/?$`)

// parseTarget reads the path. An error says nothing of what exists.
func parseTarget(u *url.URL) (target, error) {
	// RawPath is set if the path was written in another way than Go would write it.
	if u.RawPath != "" || !plainPath.MatchString(u.Path) {
		return target{}, refuse("the path must be written plainly: letters, digits, -, _ and . without escapes, and no empty parts")
	}
	if u.Path == "/openapi/v2" {
		return target{route: routeOpenAPI}, nil
	}
	below, ok := strings.CutPrefix(u.Path, "/apis/"+groupVersion.String())
	if !ok || below != "" && below[0] != '/' {
		return target{}, errNothingHere()
	}
	parts := strings.Split(below, "/") // the first one is empty
	switch {
	case len(parts) == 1:
		return target{route: routeDiscovery}, nil
	case len(parts) == 2 && known(parts[1]):
		return target{route: routeAll, resource: parts[1]}, nil
	case len(parts) < 4 || parts[1] != "namespaces" || !known(parts[3]):
		return target{}, errNothingHere()
	case len(validation.IsDNS1123Label(parts[2])) > 0:
		return target{}, refuse("the namespace must be a name of lower case letters, digits and -, of 63 characters at most")
	case len(parts) == 4:
		return target{route: routeNamespace, resource: parts[3], namespace: parts[2]}, nil
	case len(parts) > 6 && parts[4] == "ui" && parts[5] == "proxy" && parts[6] != "":
		return target{
			route: routeProxy, resource: parts[3], namespace: parts[2], rest: "/" + strings.Join(parts[6:], "/"),
		}, nil
	}
	return target{}, errNothingHere()
}

// handle answers a request, or returns an error. It tells seen what the request is, for logs and metrics.
func (s *server) handle(w http.ResponseWriter, r *http.Request, seen *request) error {
	// RBAC was asked by the API server before it forwarded the request, so nobody else may ask.
	answer, ok, err := s.who.AuthenticateRequest(r)
	if err != nil || !ok {
		w.Header().Set("Connection", "close")
		return apierrors.NewUnauthorized("only the API server may ask here; ask it, for example by kubectl get --raw")
	}
	seen.user = answer.User.GetName()
	t, err := parseTarget(r.URL)
	if err != nil {
		return err
	}
	serves := s.resources[t.resource]
	if t.resource != "" && serves == nil {
		return errNothingHere()
	}
	seen.route, seen.namespace = t.String(), t.namespace
	allowed := false
	for _, method := range methods[t.route] {
		allowed = allowed || method == r.Method
	}
	if !allowed {
		w.Header().Set("Allow", strings.Join(methods[t.route], ", "))
		return apierrors.NewMethodNotSupported(schema.GroupResource{Group: groupVersion.Group, Resource: t.resource}, r.Method)
	}
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	switch t.route {
	case routeAll, routeNamespace:
		return serves.list(w, r, seen, t, form)
	case routeProxy:
		return serves.proxy(w, r, seen, t, form)
	}
	w.Header().Set("Content-Type", "application/json")
	if t.route == routeOpenAPI { // the API server asks again and again, with an error in its log, until there is one
		_, err := fmt.Fprintf(w, `{"swagger":"2.0","info":{"title":%q,"version":%q},"paths":{}}`, groupVersion.Group, groupVersion.Version)
		return err
	}
	return json.NewEncoder(w).Encode(s.discovery())
}

// discovery lists the resources. Their verbs leave out list and watch, which RBAC is asked for: what lists all objects of a cluster,
// such as a backup, would take lines for objects. None can be deleted, so the deletion of a namespace asks for nothing here.
func (s *server) discovery() metav1.APIResourceList {
	list := metav1.APIResourceList{
		TypeMeta:     metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
		GroupVersion: groupVersion.String(),
	}
	for _, name := range slices.Sorted(maps.Keys(s.resources)) {
		kind := strings.ToUpper(name[:1]) + name[1:]
		list.APIResources = append(list.APIResources,
			metav1.APIResource{Name: name, SingularName: name, Namespaced: true, Kind: kind, Verbs: metav1.Verbs{"get"}},
			metav1.APIResource{Name: name + "/proxy", Namespaced: true, Kind: kind + "ProxyOptions", Verbs: metav1.Verbs{"get", "create"}},
		)
	}
	return list
}
