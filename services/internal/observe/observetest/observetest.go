// Package observetest has what the tests of the commands that read the API group observe.journal.example.com have in common: an API
// server with a reader behind it, as far as those commands know them, and a terminal.
package observetest

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Below is the path of the API group.
const Below = "/apis/observe.journal.example.com/v1alpha1"

// Server answers as an API server with a reader behind it.
type Server struct {
	// Namespaces are there. A tenant has the one of its name and the one called claim-TENANT.
	Namespaces []string
	// Served are the resources of the API group; without any there is no such group.
	Served []string
	// Refusals are the answers of namespaces that are not read.
	Refusals map[string]int
	// Read answers everything else below the API group. The rest is the path below the namespace, which is empty for all namespaces.
	Read func(w http.ResponseWriter, r *http.Request, namespace, rest string)
}

func (s Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	below, ours := strings.CutPrefix(r.URL.Path, Below+"/")
	namespace, rest := "", below
	if after, isNamespaced := strings.CutPrefix(below, "namespaces/"); isNamespaced {
		namespace, rest, _ = strings.Cut(after, "/")
	}
	resource, _, _ := strings.Cut(rest, "/")
	switch {
	case r.URL.Path == "/api/v1/namespaces":
		tenant, _ := strings.CutPrefix(r.URL.Query().Get("labelSelector"), "journal.example.com/tenant=")
		items := []map[string]any{}
		for _, name := range slices.Sorted(slices.Values(s.Namespaces)) {
			if strings.TrimPrefix(name, "claim-") == tenant {
				items = append(items, map[string]any{"metadata": map[string]string{"name": name}})
			}
		}
		Answer(w, http.StatusOK, map[string]any{"kind": "NamespaceList", "apiVersion": "v1", "items": items})
	case strings.HasPrefix(r.URL.Path, "/api/v1/namespaces/"):
		name := strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/")
		if !slices.Contains(s.Namespaces, name) {
			Refuse(w, http.StatusNotFound, "there is no namespace "+name)
			return
		}
		Answer(w, http.StatusOK, map[string]any{"kind": "Namespace", "apiVersion": "v1", "metadata": map[string]any{
			"name": name, "annotations": map[string]string{"journal.example.com/contact": name + "@example.com"}}})
	case r.URL.Path == Below && len(s.Served) > 0:
		resources := []map[string]any{}
		for _, name := range s.Served {
			resources = append(resources, map[string]any{"name": name, "namespaced": true}, map[string]any{"name": name + "/proxy", "namespaced": true})
		}
		Answer(w, http.StatusOK, map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": strings.TrimPrefix(Below, "/apis/"), "resources": resources})
	case !ours || !slices.Contains(s.Served, resource):
		http.NotFound(w, r)
	case s.Refusals[namespace] != 0:
		Refuse(w, s.Refusals[namespace], "says the server")
	default:
		s.Read(w, r, namespace, rest)
	}
}

// Answer writes an object.
func Answer(w http.ResponseWriter, status int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object) // the client sees what is missing
}

// Refuse writes an error as the API server does.
func Refuse(w http.ResponseWriter, status int, message string) {
	reasons := map[int]metav1.StatusReason{http.StatusForbidden: metav1.StatusReasonForbidden, http.StatusNotFound: metav1.StatusReasonNotFound,
		http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests, http.StatusUnauthorized: metav1.StatusReasonUnauthorized,
		http.StatusBadRequest: metav1.StatusReasonBadRequest, http.StatusServiceUnavailable: metav1.StatusReasonServiceUnavailable}
	Answer(w, status, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code:   int32(status), //nolint:gosec // a status has three digits
		Reason: reasons[status], Message: message})
}

// Record remembers requests.
type Record struct {
	mu    sync.Mutex
	asked []*http.Request
}

// Add remembers a request.
func (c *Record) Add(r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, r)
}

// Asked are the requests up to now.
func (c *Record) Asked() []*http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked)
}

// Queries are the parameters of the requests whose path has a suffix.
func (c *Record) Queries(suffix string) (all []url.Values) {
	for _, r := range c.Asked() {
		if strings.HasSuffix(r.URL.Path, suffix) {
			all = append(all, r.URL.Query())
		}
	}
	return all
}

// Terminal collects what a program writes.
type Terminal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *Terminal) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *Terminal) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Until waits until a program has written a text.
func (o *Terminal) Until(t *testing.T, text string) {
	t.Helper()
	for range 1000 {
		if strings.Contains(o.String(), text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no %q in %q", text, o)
}

// Kubeconfig serves an API server until the test ends, and returns a kubeconfig for it, whose context has the namespace alice.
func Kubeconfig(t *testing.T, server http.Handler) string {
	t.Helper()
	served := httptest.NewTLSServer(server) // Without TLS no credential is sent.
	t.Cleanup(served.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: served.Certificate().Raw})
	file := filepath.Join(t.TempDir(), "kubeconfig")
	config := clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: served.URL, CertificateAuthorityData: authority}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"alice": {Token: "of-alice"}},
		Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c", AuthInfo: "alice", Namespace: "alice"}},
		CurrentContext: "c",
	}
	if err := clientcmd.WriteToFile(config, file); err != nil {
		t.Fatal(err)
	}
	return file
}
