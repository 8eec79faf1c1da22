//go:build e2e

package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	authorization "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"example.com/journal/services/namespace-controller/kubetest"
)

const (
	audience = "https://kubernetes.example.com"
	deployer = "oidc:repo:example/platform:environment:production"
)

// world is an API server with the configuration of docs/ci.md, and the issuers that it knows.
type world struct {
	t      *testing.T
	issuer *httptest.Server
	key    *rsa.PrivateKey
	// job are the claims of the token that the issuer gives to a job, and authority is the file with its certificate.
	job       map[string]any
	authority string
	// server, serverCA and admin are the API server's.
	server   string
	serverCA []byte
	admin    *rest.Config
	// program is ci-login.
	program string
}

// page returns the YAML blocks of docs/ci.md that hold a text.
func page(t *testing.T, holds string) string {
	t.Helper()
	text, err := fs.ReadFile(os.DirFS(os.Getenv("PWD")+"/../.."), "docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(block[1], holds) {
			return block[1]
		}
	}
	t.Fatalf("docs/ci.md has no block with %s", holds)
	return ""
}

// startWorld starts the issuers and the API server, and gives the rights of docs/ci.md.
func startWorld(t *testing.T) *world {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, key: key}
	w.issuer = httptest.NewTLSServer(http.HandlerFunc(w.issue))
	t.Cleanup(w.issuer.Close)
	folder := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.issuer.Certificate().Raw})
	w.authority = filepath.Join(folder, "issuer.pem")
	configuration := filepath.Join(folder, "authentication.yaml")
	for path, text := range map[string][]byte{w.authority: ca, configuration: w.authentication(string(ca))} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	environment, err := kubetest.Start(func(e *envtest.Environment) {
		e.ControlPlane.GetAPIServer().Configure().Set("authentication-config", configuration)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.admin, w.server, w.serverCA = environment.Config, environment.Config.Host, environment.Config.CAData
	if !strings.HasPrefix(w.server, "https://") {
		w.server = "https://" + w.server
	}
	w.program = filepath.Join(folder, "ci-login")
	if said, err := exec.Command("go", "build", "-o", w.program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	admin, err := environment.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := admin.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	w.apply(text, page(t, "kind: ClusterRoleBinding"))
	return w
}

// authentication is the configuration of docs/ci.md, with the test's issuers in place of GitHub's and of people's.
func (w *world) authentication(ca string) []byte {
	w.t.Helper()
	var configuration struct {
		APIVersion string           `json:"apiVersion"`
		Kind       string           `json:"kind"`
		JWT        []map[string]any `json:"jwt"`
	}
	if err := yaml.UnmarshalStrict([]byte(page(w.t, "kind: AuthenticationConfiguration")), &configuration); err != nil {
		w.t.Fatal(err)
	}
	for i, path := range []string{"/github", "/people"} {
		issuer := configuration.JWT[i]["issuer"].(map[string]any)
		issuer["url"], issuer["certificateAuthority"] = w.issuer.URL+path, ca
	}
	text, err := yaml.Marshal(configuration)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// issue is what an issuer serves: its keys, and the token of a job.
func (w *world) issue(rw http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(r.URL.Path, "/.well-known/openid-configuration")
	switch {
	case path != r.URL.Path:
		_ = json.NewEncoder(rw).Encode(map[string]any{"issuer": w.issuer.URL + path, "jwks_uri": w.issuer.URL + "/keys",
			"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"}})
	case path == "/keys":
		_ = json.NewEncoder(rw).Encode(map[string]any{"keys": []any{map[string]any{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": base64.RawURLEncoding.EncodeToString(w.key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(w.key.E)).Bytes())}}})
	case path == "/token":
		claims := map[string]any{"aud": r.URL.Query().Get("audience")}
		maps.Copy(claims, w.job)
		_ = json.NewEncoder(rw).Encode(map[string]string{"value": w.sign(claims)})
	default:
		http.NotFound(rw, r)
	}
}

// sign signs claims as an issuer does.
func (w *world) sign(claims map[string]any) string {
	text, err := json.Marshal(claims)
	if err != nil {
		w.t.Fatal(err)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"1","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(text)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, w.key, crypto.SHA256, digest[:])
	if err != nil {
		w.t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// claimsOf are those of a job of this repository, as GitHub writes them. Pairs of a name and a value change them.
func (w *world) claimsOf(event, environment, ref string, changed ...string) map[string]any {
	sub := "repo:example/platform:environment:" + environment
	if environment == "" {
		sub = "repo:example/platform:" + event
	}
	now := time.Now()
	claims := map[string]any{"iss": w.issuer.URL + "/github", "sub": sub, "repository": "example/platform", "repository_owner": "example",
		"repository_owner_id": "1234567", "event_name": event, "ref": ref, "iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	if environment != "" {
		claims["environment"] = environment
	}
	for i := 0; i < len(changed); i += 2 {
		claims[changed[i]] = changed[i+1]
	}
	return claims
}

// variables are those of a job, in which ci-login and kubectl run.
func (w *world) variables(temporary string, more ...string) []string {
	return append([]string{"HOME=" + temporary, "RUNNER_TEMP=" + temporary, "GITHUB_ENV=" + filepath.Join(temporary, "env"), "SSL_CERT_FILE=" + w.authority,
		"ACTIONS_ID_TOKEN_REQUEST_URL=" + w.issuer.URL + "/token?api-version=2.0", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=job",
		"KUBE_SERVER=" + w.server, "KUBE_CA=" + string(w.serverCA), "KUBE_AUDIENCE=" + audience}, more...)
}

// login runs `ci-login login` in a job with these claims, and returns the job's folder and what was said.
func (w *world) login(claims map[string]any, more ...string) (temporary, said string, err error) {
	w.t.Helper()
	w.job, temporary = claims, w.t.TempDir()
	command := exec.CommandContext(w.t.Context(), w.program, "login")
	command.Env = w.variables(temporary, more...)
	output, err := command.CombinedOutput()
	return temporary, string(output), err
}

// kubectl runs kubectl in a job, with the kubeconfig that ci-login has written.
func (w *world) kubectl(temporary string, args ...string) (string, error) {
	w.t.Helper()
	program, err := kubetest.Program()
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.Args[0] = "kubectl"
	variables, err := os.ReadFile(filepath.Join(temporary, "env"))
	if err != nil {
		w.t.Fatal(err)
	}
	command.Env = w.variables(temporary, strings.TrimSpace(string(variables)))
	output, err := command.CombinedOutput()
	return string(output), err
}

// apply applies objects as an administrator.
func (w *world) apply(kubeconfig []byte, objects string) {
	w.t.Helper()
	temporary := w.t.TempDir()
	path := filepath.Join(temporary, "admin.kubeconfig")
	files := map[string][]byte{path: kubeconfig, filepath.Join(temporary, "env"): []byte("KUBECONFIG=" + path), filepath.Join(temporary, "objects.yaml"): []byte(objects)}
	for path, text := range files {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	if said, err := w.kubectl(temporary, "apply", "-f", filepath.Join(temporary, "objects.yaml")); err != nil {
		w.t.Fatal(said, err)
	}
}

// may says whether a user may do something anywhere in the cluster.
func (w *world) may(user string, groups []string, verb, group, resource, subresource string) bool {
	w.t.Helper()
	clients, err := kubernetes.NewForConfig(w.admin)
	if err != nil {
		w.t.Fatal(err)
	}
	review, err := clients.AuthorizationV1().SubjectAccessReviews().Create(w.t.Context(), &authorization.SubjectAccessReview{Spec: authorization.SubjectAccessReviewSpec{
		User: user, Groups: groups, ResourceAttributes: &authorization.ResourceAttributes{Verb: verb, Group: group, Resource: resource, Subresource: subresource}}}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return review.Status.Allowed
}

// TestJobsOnARealAPIServer takes the configuration and the rights of docs/ci.md.
func TestJobsOnARealAPIServer(t *testing.T) {
	w := startWorld(t)
	w.ready()
	t.Run("a release deploys, with a kubeconfig that holds no credential", w.releaseDeploys)
	t.Run("what is no release cannot log in as one", w.othersAreRefused)
	t.Run("a pull request reads and changes nothing", w.pullRequestReads)
	t.Run("a token that is over gets one message", w.expired)
	t.Run("a member of a group has the rights of the group", w.memberOfAGroup)
	t.Run("who reads can compare all kinds of the stacks, and runs nothing", w.readersRights)
}

// ready waits until the API server has fetched the issuer's keys.
func (w *world) ready() {
	w.t.Helper()
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		_, said, err := w.login(w.claimsOf("push", "production", "refs/tags/v1.0.0"))
		if err == nil {
			return
		}
		if time.Since(began) > time.Minute {
			w.t.Fatal(said, err)
		}
	}
}

func (w *world) releaseDeploys(t *testing.T) {
	temporary, said, err := w.login(w.claimsOf("push", "production", "refs/tags/v1.0.0"))
	if err != nil || !strings.HasSuffix(said, "this job is "+deployer+"\n") {
		t.Fatal(said, err)
	}
	config, err := clientcmd.LoadFromFile(filepath.Join(temporary, "ci.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range config.AuthInfos {
		if user.Token+user.Password+string(user.ClientKeyData) != "" || user.Exec == nil {
			t.Errorf("the kubeconfig has a credential: %v", user)
		}
	}
	if said, err := w.kubectl(temporary, "create", "namespace", "deployed"); err != nil {
		t.Fatal(said, err)
	}
	if said, err := w.kubectl(temporary, "patch", "namespace", "deployed", "--patch", `{"metadata": {"labels": {"by": "release"}}}`); err != nil {
		t.Error(said, err)
	}
}

func (w *world) othersAreRefused(t *testing.T) {
	for sentence, claims := range map[string]map[string]any{
		"production on a branch":                      w.claimsOf("push", "production", "refs/heads/main"),
		"production by hand":                          w.claimsOf("workflow_dispatch", "production", "refs/tags/v1.0.0"),
		"production in a pull request":                w.claimsOf("pull_request", "production", "refs/pull/7/merge"),
		"the plan of production on a branch":          w.claimsOf("push", "production-plan", "refs/heads/try"),
		"dev on a branch":                             w.claimsOf("push", "dev", "refs/heads/try"),
		"drift on a branch":                           w.claimsOf("workflow_dispatch", "drift-prod", "refs/heads/try"),
		"an event of others":                          w.claimsOf("pull_request_target", "", "refs/heads/main"),
		"an organization that has taken the name":     w.claimsOf("push", "production", "refs/tags/v1.0.0", "repository_owner_id", "7654321"),
		"a repository that names itself differently":  w.claimsOf("push", "production", "refs/tags/v1.0.0", "repository", "example/other"),
		"a token for another cluster":                 w.claimsOf("push", "production", "refs/tags/v1.0.0", "aud", "https://other.example.com"),
		"an issuer that the API server does not know": w.claimsOf("push", "production", "refs/tags/v1.0.0", "iss", w.issuer.URL+"/other"),
	} {
		_, said, err := w.login(claims)
		if err == nil || strings.Count(said, "\n") != 1 || !strings.Contains(said, "refuses the token of this job, which has audience ") ||
			!strings.Contains(said, `repository "example/`) || !strings.Contains(said, "compare them with the rules of its AuthenticationConfiguration") {
			t.Errorf("%s: %v: %s", sentence, err, said)
		}
	}
	// Another repository of the organization is somebody, without rights, and a person cannot be called like a job.
	_, said, err := w.login(w.claimsOf("push", "production", "refs/heads/main", "repository", "example/other", "sub", "repo:example/other:environment:production"))
	if err != nil || !strings.HasSuffix(said, "this job is oidc:repo:example/other:environment:production\n") {
		t.Error(said, err)
	}
	person := map[string]any{"iss": w.issuer.URL + "/people", "aud": "kubernetes", "sub": strings.TrimPrefix(deployer, "oidc:"), "exp": time.Now().Add(time.Minute).Unix()}
	if _, said, err := w.login(person); err != nil || !strings.HasSuffix(said, "this job is person:repo:example/platform:environment:production\n") {
		t.Error(said, err)
	}
}

func (w *world) pullRequestReads(t *testing.T) {
	temporary, said, err := w.login(w.claimsOf("pull_request", "preview-prod", "refs/pull/7/merge"))
	if err != nil {
		t.Fatal(said, err)
	}
	if said, err := w.kubectl(temporary, "get", "namespaces,secrets", "--all-namespaces"); err != nil {
		t.Error(said, err)
	}
	for _, change := range [][]string{
		{"patch", "namespace", "default", "--patch", `{"metadata": {"labels": {"by": "me"}}}`},
		{"patch", "namespace", "default", "--dry-run=server", "--patch", `{"metadata": {"labels": {"by": "me"}}}`},
		{"create", "token", "default"},
		{"delete", "namespace", "default"},
		{"get", "namespaces", "--as", "admin"},
	} {
		if said, err := w.kubectl(temporary, change...); err == nil || !strings.Contains(strings.ToLower(said), "forbidden") {
			t.Errorf("%q: %v: %s", change, err, said)
		}
	}
	if temporary, said, err = w.login(w.claimsOf("pull_request", "", "refs/pull/7/merge")); err != nil {
		t.Fatal(said, err)
	}
	if said, err := w.kubectl(temporary, "get", "namespaces"); err == nil || !strings.Contains(said, "Forbidden") {
		t.Errorf("without an environment: %v: %s", err, said)
	}
}

func (w *world) expired(t *testing.T) {
	const says = "; set the clock of the runner, or run the job again\n"
	over := w.claimsOf("push", "production", "refs/tags/v1.0.0")
	over["exp"] = time.Now().Add(-time.Minute).Unix()
	if _, said, err := w.login(over); err == nil || strings.Count(said, "\n") != 1 || !strings.HasSuffix(said, says) {
		t.Error(said, err)
	}
	if _, err := whoAmI(t.Context(), w.server, string(w.serverCA), w.sign(over)); err == nil || !strings.Contains(refused(err, w.server, audience, claims{}).Error(), "refuses the token of this job") {
		t.Errorf("the API server takes a token that is over: %v", err)
	}
	// A job whose token ends between two calls of kubectl: the plugin says it, and kubectl adds one line.
	temporary, said, err := w.login(w.claimsOf("push", "production", "refs/tags/v1.0.0"))
	if err != nil {
		t.Fatal(said, err)
	}
	w.job = over
	if said, err := w.kubectl(temporary, "get", "namespace", "default"); err == nil || !strings.Contains(said, says) {
		t.Error(said, err)
	}
}

func (w *world) memberOfAGroup(t *testing.T) {
	clients, err := kubernetes.NewForConfig(w.admin)
	if err != nil {
		t.Fatal(err)
	}
	var binding bytes.Buffer
	binding.WriteString(`{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "developers"},
		"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:aggregate-to-edit"},
		"subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "oidc:team-a"}]}`)
	for _, namespace := range []string{"team-a", "team-b"} {
		object := []byte(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "` + namespace + `"}}`)
		if err := clients.CoreV1().RESTClient().Post().AbsPath("/api/v1/namespaces").Body(object).Do(t.Context()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	if err := clients.RbacV1().RESTClient().Post().AbsPath("/apis/rbac.authorization.k8s.io/v1/namespaces/team-a/rolebindings").Body(binding.Bytes()).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sentence, namespace string
		groups              []string
		made                bool
	}{
		{"a member in the tenant", "team-a", []string{"team-a"}, true},
		{"a member elsewhere", "team-b", []string{"team-a"}, false},
		{"a member of another group", "team-a", []string{"team-b"}, false},
		{"who is called like a group of Kubernetes", "team-b", []string{"system:masters"}, false},
	} {
		token := w.sign(map[string]any{"iss": w.issuer.URL + "/people", "aud": "kubernetes", "sub": "carol", "groups": c.groups, "exp": time.Now().Add(time.Minute).Unix()})
		carol, err := kubernetes.NewForConfig(&rest.Config{Host: w.server, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: w.serverCA}})
		if err != nil {
			t.Fatal(err)
		}
		object := []byte(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}}`)
		err = carol.CoreV1().RESTClient().Post().AbsPath("/api/v1/namespaces/" + c.namespace + "/configmaps").Body(object).Do(t.Context()).Error()
		if made := err == nil; made != c.made {
			t.Errorf("%s: made %t: %v", c.sentence, made, err)
		}
	}
}

func (w *world) readersRights(t *testing.T) {
	const reader = "oidc:repo:example/platform:environment:production-plan"
	kinds := map[schema.GroupVersionResource]bool{}
	for _, stack := range []string{"dev", "prod"} {
		text, err := fs.ReadFile(os.DirFS(os.Getenv("PWD")+"/../.."), "stacks/testdata/"+stack+".yaml")
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			var object metav1.TypeMeta
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				t.Fatal(err)
			}
			if object.Kind != "" {
				resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
				kinds[resource] = true
			}
		}
	}
	if len(kinds) < 20 {
		t.Fatalf("only %v", kinds)
	}
	for kind := range kinds {
		if !w.may(reader, nil, "get", kind.Group, kind.Resource, "") {
			t.Errorf("ci-read cannot read %s.%s of the stacks; add it in docs/ci.md", kind.Resource, kind.Group)
		}
		for _, verb := range []string{"create", "update", "patch", "delete", "deletecollection", "bind", "escalate", "impersonate"} {
			if w.may(reader, nil, verb, kind.Group, kind.Resource, "") {
				t.Errorf("ci-read may %s %s", verb, kind.Resource)
			}
		}
	}
	for _, resource := range []string{"pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy", "nodes/proxy", "serviceaccounts/token"} {
		of, sub, _ := strings.Cut(resource, "/")
		if w.may(reader, nil, "get", "", of, sub) || w.may(reader, nil, "create", "", of, sub) {
			t.Errorf("ci-read may use %s", resource)
		}
	}
}
