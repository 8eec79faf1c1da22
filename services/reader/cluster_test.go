//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"example.com/journal/services/namespace-controller/api"
	"example.com/journal/services/namespace-controller/kubetest"
)

// TestAPersonReadsThroughARealAPIServerWithTheirOwnRights has no pods: the Service is the name of this machine.
func TestAPersonReadsThroughARealAPIServerWithTheirOwnRights(t *testing.T) {
	store := newStore(t, following)
	r := &reader{
		t: t, front: newAuthority(t, "front proxy"), serving: newAuthority(t, "serving"), log: &lines{}, folder: t.TempDir(),
		queryTimeout: queryTimeout, followTimeout: followTimeout, settle: settleTime,
	}
	figures := newStore(t, (&metricAnswers{former: map[string]bool{}}).ServeHTTP)
	r.metricStore = figures.URL
	r.writeCertificate("reader.journal-reader.svc")
	certificate, key := r.front.sign("front-proxy-client")
	file := func(name string, content []byte) string {
		path := filepath.Join(r.folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	environment, err := kubetest.Start(func(e *envtest.Environment) {
		e.ControlPlane.GetAPIServer().Configure().
			Set("requestheader-client-ca-file", file("front.crt", []byte(r.front.pem()))).
			Set("requestheader-allowed-names", "front-proxy-client").
			Set("requestheader-username-headers", "X-Remote-User").
			Set("requestheader-group-headers", "X-Remote-Group").
			Set("requestheader-extra-headers-prefix", "X-Remote-Extra-").
			Set("proxy-client-cert-file", file("proxy.crt", certificate)).
			Set("proxy-client-key-file", file("proxy.key", key))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = environment.Stop() })
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	admin := must(kubernetes.NewForConfig(environment.Config))
	r.start(store.URL, admin, must(metadata.NewForConfig(environment.Config)))
	declare(ctx, t, admin, r)

	as := func(user string) *rest.Config {
		return must(environment.AddUser(envtest.User{Name: user, Groups: []string{"journal:tenant"}}, nil)).Config()
	}
	alice, bob, platform := as("alice"), as("bob"), as("platform")
	eventually(t, "the API group is served", func() bool {
		status, _ := through(ctx, alice, http.MethodGet, "/namespaces/alice/logs")
		return status == http.StatusOK
	})
	for _, c := range []struct {
		who    *rest.Config
		method string
		path   string
		status int
	}{
		{alice, "GET", "/namespaces/alice/logs?query=error", 200}, {alice, "GET", "/namespaces/bob/logs", 403},
		{bob, "GET", "/namespaces/alice/logs", 403},
		{alice, "GET", "/logs", 403}, {platform, "GET", "/logs", 200}, {platform, "GET", "/namespaces/bob/logs", 200},
		{alice, "GET", "/namespaces/alice/logs/ui/proxy/select/vmui/", 200},
		{alice, "POST", "/namespaces/alice/logs/ui/proxy/select/logsql/query?query=x", 200},
		{alice, "POST", "/namespaces/bob/logs/ui/proxy/select/logsql/query?query=x", 403},
		{bob, "GET", "/namespaces/alice/logs/ui/proxy/select/vmui/", 403},
		{alice, "GET", "/namespaces/bob/logs?watch=true", 403},
		{bob, "GET", "/namespaces/bob/logs?watch=true", 403}, // bob may list and not watch
		{bob, "GET", "/namespaces/bob/logs", 200}, {bob, "GET", "/namespaces/bob/logs?watch=1", 403},
		{alice, "GET", "/namespaces/alice/logs?watch=1", 400},
		{alice, "GET", "/namespaces/alice/../bob/logs", 0}, {alice, "GET", "/namespaces/alice%2f..%2fbob/logs", 0},
		{alice, "GET", "/namespaces//bob/logs", 0},
		{alice, "GET", "/watch/namespaces/alice/logs", 0}, {alice, "DELETE", "/namespaces/alice/logs", 403},
		{alice, "GET", "/namespaces/alice/logs/ui/proxy/select/tenant_ids", 404},
		{alice, "GET", "/namespaces/alice/logs?extra_filters=x", 400},
		{alice, "GET", "/namespaces/alice/metrics?query=up", 200}, {alice, "GET", "/namespaces/bob/metrics?query=up", 403},
		{bob, "GET", "/namespaces/bob/metrics?query=up", 403}, // bob may read logs and no metrics
		{alice, "GET", "/metrics?query=up", 403}, {platform, "GET", "/metrics?query=up", 200},
		{alice, "GET", "/namespaces/alice/metrics/ui/proxy/vmui/", 200}, {bob, "GET", "/namespaces/bob/metrics/ui/proxy/vmui/", 403},
		{alice, "POST", "/namespaces/alice/metrics/ui/proxy/prometheus/api/v1/query?query=up", 200},
		{alice, "POST", "/namespaces/bob/metrics/ui/proxy/prometheus/api/v1/query?query=up", 403},
		{alice, "GET", "/namespaces/alice/metrics/ui/proxy/api/v1/export?match[]=up", 404},
		{alice, "GET", "/namespaces/alice/metrics?query=up&watch=true", 403}, {alice, "GET", "/namespaces/alice/metrics?query=up&extra_label=x", 400},
		{alice, "GET", "/namespaces/alice/metrics/../../bob/metrics?query=up", 0}, {alice, "DELETE", "/namespaces/alice/metrics", 403},
	} {
		status, body := through(ctx, c.who, c.method, c.path)
		if status != c.status && (c.status != 0 || status < 400) {
			t.Errorf("%s %s: %d, not %d: %s", c.method, c.path, status, c.status, body)
		}
	}
	for _, asked := range store.taken() {
		if strings.Contains(asked.form.Get("extra_stream_filters"), "bob") && asked.form.Get("query") == "x" {
			t.Errorf("%+v", asked)
		}
	}
	callers, _ := asks(figures.taken())
	for _, asked := range callers {
		if label := asked.form.Get("extra_label"); label != "" && label != "namespace=alice" {
			t.Errorf("%+v", asked)
		}
	}
	readAFollow(ctx, t, alice, admin)
}

// readAFollow follows until the namespace ends.
func readAFollow(ctx context.Context, t *testing.T, alice *rest.Config, admin kubernetes.Interface) {
	t.Helper()
	response, err := open(ctx, alice, http.MethodGet, "/namespaces/alice/logs?watch=true")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	first := make([]byte, len(`{"_msg":"hello"}`))
	if _, err := io.ReadFull(response.Body, first); err != nil || string(first) != `{"_msg":"hello"}` {
		t.Fatalf("%q %v", first, err)
	}
	if err := admin.CoreV1().Namespaces().Delete(ctx, "alice", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := kubetest.Finalize(ctx, admin, "alice"); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(response.Body); err != nil || strings.TrimSpace(string(rest)) != "" {
		t.Errorf("%q %v", rest, err)
	}
}

// declare makes the tenants, their rights and the API group.
func declare(ctx context.Context, t *testing.T, admin *kubernetes.Clientset, r *reader) {
	t.Helper()
	do := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	for _, name := range []string{"alice", "bob", "journal-reader"} {
		_, err := admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{api.LabelTenant: name}},
		}, metav1.CreateOptions{})
		do(err)
	}
	rules := func(resource string, verbs ...string) []rbacv1.PolicyRule {
		return []rbacv1.PolicyRule{
			{APIGroups: []string{groupVersion.Group}, Resources: []string{resource}, Verbs: verbs},
			{APIGroups: []string{groupVersion.Group}, Resources: []string{resource + "/proxy"}, Verbs: []string{"get", "create"}},
		}
	}
	all := append(rules("logs", "list", "watch"), rules("metrics", "list")...)
	for name, rules := range map[string][]rbacv1.PolicyRule{"alice": all, "bob": rules("logs", "list")} {
		_, err := admin.RbacV1().Roles(name).Create(ctx, &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Name: "logs"}, Rules: rules,
		}, metav1.CreateOptions{})
		do(err)
		_, err = admin.RbacV1().RoleBindings(name).Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "logs"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "logs"},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
		}, metav1.CreateOptions{})
		do(err)
	}
	_, err := admin.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "logs"}, Rules: all,
	}, metav1.CreateOptions{})
	do(err)
	_, err = admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "logs"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "logs"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "platform"}},
	}, metav1.CreateOptions{})
	do(err)
	port := must(strconv.Atoi(r.url[strings.LastIndex(r.url, ":")+1:]))
	_, err = admin.CoreV1().Services("journal-reader").Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeExternalName, ExternalName: "localhost", Ports: []corev1.ServicePort{{Port: int32(port)}},
		},
	}, metav1.CreateOptions{})
	do(err)
	service := must(json.Marshal(map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": groupVersion.Version + "." + groupVersion.Group},
		"spec": map[string]any{
			"group": groupVersion.Group, "version": groupVersion.Version, "groupPriorityMinimum": 100, "versionPriority": 100,
			"caBundle": []byte(r.serving.pem()), "service": map[string]any{"namespace": "journal-reader", "name": "reader", "port": port},
		},
	}))
	do(admin.RESTClient().Post().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices").
		SetHeader("Content-Type", "application/json").Body(service).Do(ctx).Error())
}

// open asks the API server as a person.
func open(ctx context.Context, who *rest.Config, method, path string) (*http.Response, error) {
	client, err := rest.HTTPClientFor(who)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(who.Host, "/")+prefix+path, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(request)
}

func through(ctx context.Context, who *rest.Config, method, path string) (int, string) {
	response, err := open(ctx, who, method, path)
	if err != nil {
		return -1, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}
