package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/client-go/tools/clientcmd"

	"example.com/journal/components/ingress"
	"example.com/journal/components/journal"
	"example.com/journal/components/observe"
	"example.com/journal/components/tenancy/claims"
	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/node"
	"example.com/journal/stacks"
)

// mutations is where a cluster lists its MutatingAdmissionPolicies.
const mutations = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"

// complete returns the answers, by path, of an API server that has everything a stack asks for.
func complete(uid string) map[string]string {
	return map[string]string{
		"/version":                       `{"gitVersion": "v1.31.2-eks-1234"}`,
		"/api/v1/namespaces/kube-system": `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "` + uid + `"}}`,
		mutations:                        `{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyList", "items": []}`,
		"/apis/storage.k8s.io/v1/storageclasses": `{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClassList", "items": [
			{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}]}`,
		"/apis/storage.k8s.io/v1/storageclasses/fast":                    `{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}}`,
		"/apis/networking.k8s.io/v1/ingressclasses/traefik":              `{"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "traefik"}}`,
		"/apis/gateway.networking.k8s.io/v1/gatewayclasses/traefik":      `{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "traefik"}}`,
		"/apis/metrics.k8s.io/v1beta1":                                   `{"apiVersion": "v1", "kind": "APIResourceList", "groupVersion": "metrics.k8s.io/v1beta1", "resources": []}`,
		"/apis/traefik.io/v1alpha1":                                      `{"apiVersion": "v1", "kind": "APIResourceList", "groupVersion": "traefik.io/v1alpha1", "resources": []}`,
		"/apis/networking.k8s.io/v1/namespaces/journal/ingresses":        `{"apiVersion": "networking.k8s.io/v1", "kind": "IngressList", "items": []}`,
		"/apis/gateway.networking.k8s.io/v1/namespaces/journal/gateways": `{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayList", "items": []}`,
	}
}

// serve starts an API server with these answers and returns its address.
func serve(t *testing.T, has map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		text, ok := has[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			text = `{"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}`
		}
		fmt.Fprint(w, text)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// kubeconfig writes a user's kubeconfig with the servers of its contexts, and returns its path.
func kubeconfig(t *testing.T, current string, servers map[string]string) string {
	t.Helper()
	text := "apiVersion: v1\nkind: Config\ncurrent-context: " + current + "\nusers: [{name: alice, user: {token: secret}}]\ncontexts:\n"
	for name := range servers {
		text += fmt.Sprintf("- {name: %s, context: {cluster: %s, user: alice}}\n", name, name)
	}
	text += "clusters:\n"
	for name, server := range servers {
		text += fmt.Sprintf("- {name: %s, cluster: {server: %q}}\n", name, server)
	}
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", path)
	return path
}

func open(t *testing.T, context, registry string) Cluster {
	t.Helper()
	dir, err := cache.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{Dir: dir, Context: context, Registry: registry, Getenv: os.Getenv})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAContextIsUsedWhateverBecomesTheCurrentOneAndTheUsersFileStays(t *testing.T) {
	one, two := serve(t, complete("uid-1")), serve(t, complete("uid-2"))
	path := kubeconfig(t, "one", map[string]string{"one": one, "two": two})
	c := open(t, CurrentContext, "")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("current-context: one"), []byte("current-context: two"), 1)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	copied, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil || len(copied.Contexts) != 1 || copied.CurrentContext != "one" || copied.Clusters["one"].Server != one {
		t.Errorf("the kubeconfig that is used is %+v (%v)", copied, err)
	}
	if info, err := os.Stat(c.Kubeconfig()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v (%v)", info.Mode(), err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, text) {
		t.Errorf("the user's kubeconfig is now\n%s (%v)", now, err)
	}
}

func TestAClusterIsKnownByWhatItIsAndNotByItsName(t *testing.T) {
	one, two := serve(t, complete("uid-1")), serve(t, complete("uid-2"))
	kubeconfig(t, "one", map[string]string{"one": one, "two": two, "again": one})
	dir, err := cache.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, name := range []string{"one", "two", "again"} {
		c, err := New(Options{Dir: dir, Context: name, Getenv: os.Getenv})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		states[name] = c.State()
	}
	if states["one"] != states["again"] || states["one"] == states["two"] || states["one"] == (&own{dir: dir}).State() {
		t.Errorf("the states are %v", states)
	}
}

func TestAContextThatIsNotThereIsRefusedWithThoseThatAre(t *testing.T) {
	kubeconfig(t, "", map[string]string{"one": "http://127.0.0.1:1", "two": "http://127.0.0.1:1"})
	for _, name := range []string{CurrentContext, "three"} {
		if _, err := New(Options{Context: name}); err == nil || !strings.Contains(err.Error(), "write one of: one, two") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAllThatAClusterLacksIsReportedAtOnce(t *testing.T) {
	decided := func(change func(*stacks.Config)) *stacks.Config {
		c := stacks.Config{Journal: journal.Args{
			API: journal.APIArgs{Image: pulumi.String("registry.example.com/api:v1.0.0-0a1b2c3")}, Frontend: journal.FrontendArgs{Image: pulumi.String("registry.example.com/web:v1.0.0-0a1b2c3")},
		}}
		change(&c)
		return &c
	}
	empty := map[string]string{
		"/api/v1/namespaces/kube-system":         complete("uid")["/api/v1/namespaces/kube-system"],
		"/apis/storage.k8s.io/v1/storageclasses": `{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClassList", "items": []}`,
	}
	before136 := complete("uid")
	delete(before136, mutations)
	withMetricsOf := func(namespace string) map[string]string {
		has := complete("uid")
		has["/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"] = `{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "spec": {"service": {"namespace": "` + namespace + `"}}}`
		return has
	}
	for _, c := range []struct {
		what   string
		has    map[string]string
		change func(*stacks.Config)
		want   []string
	}{
		{"nothing", complete("uid"), func(*stacks.Config) {}, nil},
		{"nothing, by name", complete("uid"), func(c *stacks.Config) {
			c.Journal.Redis.Storage.Class, c.Journal.Exposure.Kind, c.Journal.Exposure.TLS.SelfSigned = "fast", journal.KindGateway, 1
			c.Cluster.ResourceMetrics = true
		}, nil},
		{"everything", empty, func(c *stacks.Config) {
			c.Journal.API.Image = pulumi.String("registry.example.com/api:v0.1.0-0000000")
			c.Claims = &claims.Args{Image: pulumi.String("registry.example.com/claims:v0.1.0-0000000")}
			c.Logs = &observe.LogServiceArgs{Agent: observe.LogAgentArgs{Image: pulumi.String("registry.example.com/log-agent:v0.1.0-0000000")}}
			c.Reader = &observe.ReaderArgs{Image: pulumi.String("registry.example.com/reader:v0.1.0-0000000")}
			c.Journal.Exposure.TLS.Issuer = "ClusterIssuer/public"
			c.Cluster.ResourceMetrics = true
		}, []string{`journal:api.image "registry.example.com/api:v0.1.0-0000000"`, "journal:claims.image", "journal:logs.agent.image", "journal:reader.image", "REGISTRY=", "journal:redis.storage.class: the cluster has no default StorageClass", "journal:logs.store.storage.class: the cluster has no default StorageClass",
			`journal:exposure.class "traefik"`, "ingressController: {}", "cert-manager.io/v1",
			`journal:cluster.resourceMetrics "true": the cluster has no metrics.k8s.io/v1beta1; write journal:resourceMetrics in its place`,
			`journal:cluster.podDefaults "true": the cluster has no MutatingAdmissionPolicy of version v1, which Kubernetes has since 1.36; write podDefaults: false`}},
		{"nothing, before Kubernetes 1.36", before136, func(c *stacks.Config) { c.Cluster.PodDefaults = new(false) }, nil},
		{"nothing, beside metrics of the stack's own", withMetricsOf("journal-metrics-server"), func(c *stacks.Config) { c.ResourceMetrics = &observe.ResourceMetricsArgs{} }, nil},
		{"room for metrics", withMetricsOf("kube-system"), func(c *stacks.Config) { c.ResourceMetrics = &observe.ResourceMetricsArgs{} },
			[]string{"journal:resourceMetrics: the cluster serves metrics.k8s.io already; write journal:cluster: {resourceMetrics: true} in its place"}},
		{"what is named", empty, func(c *stacks.Config) {
			c.Journal.Redis.Storage.Class, c.Journal.Exposure.Kind, c.Journal.Exposure.Class = "slow", journal.KindGateway, "edge"
		}, []string{`journal:redis.storage.class "slow"`, `journal:exposure.class "edge": the cluster has no GatewayClass`}},
		{"a controller, which the stack brings", empty, func(c *stacks.Config) { c.IngressController = &ingress.ControllerArgs{} }, []string{"no default StorageClass"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			kubeconfig(t, "one", map[string]string{"one": serve(t, c.has)})
			err := open(t, "one", "").Check(t.Context(), decided(c.change))
			if (err == nil) != (c.want == nil) {
				t.Fatalf("says %v", err)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q: %v", part, err)
				}
			}
			if strings.HasPrefix(c.what, "a controller") && strings.Contains(err.Error(), "exposure.class") {
				t.Error(err)
			}
		})
	}
}

func TestAClusterThatDoesNotAnswerIsNamedWithItsAddress(t *testing.T) {
	kubeconfig(t, "one", map[string]string{"one": "http://127.0.0.1:1"})
	err := open(t, "one", "").Check(t.Context(), &stacks.Config{})
	if err == nil || !strings.Contains(err.Error(), `the cluster of context "one" does not answer at http://127.0.0.1:1`) {
		t.Errorf("error: %v", err)
	}
}

func TestImagesAreLoadedIntoKindAndK3d(t *testing.T) {
	for name, want := range map[string]string{
		"kind-dev": "load image-archive --name dev /images/api.tar\n",
		"k3d-dev":  "image import --cluster dev /images/api.tar\n",
	} {
		t.Run(name, func(t *testing.T) {
			kubeconfig(t, name, map[string]string{name: serve(t, complete("uid"))})
			tools := t.TempDir()
			t.Setenv("PATH", tools)
			c := open(t, CurrentContext, "")
			program, _, _ := strings.Cut(name, "-")
			if err := os.WriteFile(filepath.Join(tools, program), []byte("#!/bin/sh\necho \"$*\" >> "+tools+"/calls\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := c.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			built := []images.Image{
				{ConfigKey: "api.image", Reference: "journal.example.com/journal-api:v0.1.0-0a1b2c3", Archive: "/images/api.tar"},
			}
			var log bytes.Buffer
			if err := c.Load(t.Context(), built, &log); err != nil {
				t.Error(err)
			}
			if calls, err := os.ReadFile(filepath.Join(tools, "calls")); err != nil || string(calls) != want {
				t.Errorf("%s was called with %q (%v)", program, calls, err)
			}
			if values, err := c.Values(stacks.Config{}, built, io.Discard); err != nil || fmt.Sprint(values) != "map[api.image:journal.example.com/journal-api:v0.1.0-0a1b2c3]" {
				t.Errorf("values are %v (%v)", values, err)
			}
		})
	}
}

func TestOnlyTheImagesOfAStackDifferOnAnotherCluster(t *testing.T) {
	kubeconfig(t, "one", map[string]string{"one": serve(t, complete("uid"))})
	built := []images.Image{
		{ConfigKey: "api.image", Reference: "journal.example.com/journal-api:v0.1.0-0a1b2c3"},
		{ConfigKey: "claims.image", Reference: "journal.example.com/namespace-controller:v0.1.0-0a1b2c3"},
	}
	withClaims := stacks.Config{Claims: &claims.Args{Image: pulumi.String("registry.example.com/namespace-controller:v0.1.0-0000000")}}
	registry := open(t, "one", "registry.example.com/team-a/")
	if values, err := registry.Values(withClaims, built, io.Discard); err != nil ||
		fmt.Sprint(values) != "map[api.image:registry.example.com/team-a/journal-api:v0.1.0-0a1b2c3 claims.image:registry.example.com/team-a/namespace-controller:v0.1.0-0a1b2c3]" {
		t.Errorf("values with a registry are %v (%v)", values, err)
	}
	without := open(t, "one", "")
	if values, err := without.Values(withClaims, nil, io.Discard); err != nil || len(values) > 0 {
		t.Errorf("values without a registry are %v (%v)", values, err)
	}
	withMetrics := stacks.Config{ResourceMetrics: &observe.ResourceMetricsArgs{Image: pulumi.String("registry.k8s.io/metrics-server/metrics-server:v0.9.0")}}
	if values, err := registry.Values(withMetrics, built, io.Discard); err != nil || values["resourceMetrics.image"] != nil {
		t.Errorf("the cluster cannot pull the project's own image: %v (%v)", values, err)
	}
	sandbox := &own{Node: &node.Node{}}
	if values, err := sandbox.Values(withMetrics, built, io.Discard); err != nil || values["resourceMetrics.image"] != "journal.example.com/metrics-server:v0.9.0" {
		t.Errorf("values of the sandbox with metrics are %v (%v)", values, err)
	}
	built = append(built, images.Image{Reference: "journal.example.com/pause:v0.1.0"})
	if values, err := sandbox.Values(withClaims, built, io.Discard); err != nil || values["exposure.host"] != "journal.localhost" || fmt.Sprint(values["cluster.dns"]) != "[10.200.0.1/32]" || values["claims.image"] != built[1].Reference || values["resourceMetrics.image"] != nil || values[""] != nil {
		t.Errorf("values of the sandbox are %v (%v)", values, err)
	}
}

func TestTheAddressIsTheOneThatTheControllerReportsWithThePortThatUsersType(t *testing.T) {
	for _, c := range []struct{ sentence, path, item, page, want string }{
		{"the address of an Ingress", "/apis/networking.k8s.io/v1/namespaces/journal/ingresses", `{"metadata": {}, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}`, "http://journal.example.com/", "192.0.2.1:80"},
		{"the name of an Ingress over TLS", "/apis/networking.k8s.io/v1/namespaces/journal/ingresses", `{"metadata": {}, "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}}`, "https://journal.example.com/", "lb.example.com:443"},
		{"the address of a Gateway with a port", "/apis/gateway.networking.k8s.io/v1/namespaces/journal/gateways", `{"metadata": {}, "status": {"addresses": [{"type": "IPAddress", "value": "2001:db8::1"}]}}`, "http://journal.example.com:8080/", "[2001:db8::1]:8080"},
		{"an Ingress without an address", "/apis/networking.k8s.io/v1/namespaces/journal/ingresses", `{"metadata": {}, "status": {"loadBalancer": {}}}`, "http://journal.example.com/", ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			has := complete("uid")
			has[c.path] = strings.Replace(has[c.path], `"items": []`, `"items": [`+strings.Replace(c.item, "{", `{"apiVersion": "v1", "kind": "Route", `, 1)+`]`, 1)
			kubeconfig(t, "one", map[string]string{"one": serve(t, has)})
			cluster := open(t, "one", "")
			page, err := url.Parse(c.page)
			if err == nil {
				err = cluster.Connect(context.Background())
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := cluster.Address(t.Context(), page, "journal"); err != nil || got != c.want {
				t.Errorf("got %q (%v), want %q", got, err, c.want)
			}
		})
	}
}
