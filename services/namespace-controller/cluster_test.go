//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"example.com/journal/services/namespace-controller/api"
	"example.com/journal/services/namespace-controller/kubetest"
)

const platform = "journal-platform"

// controllerAccount is the controller, as the apiserver knows it.
const controllerAccount = "system:serviceaccount:" + platform + ":" + controllerName

// cluster is what all tests of this file share.
var cluster struct {
	client.Client
	clients    kubernetes.Interface
	config     *rest.Config
	program    string
	kubeconfig string
	network    string        // what the stack says of NetworkPolicies
	controller client.Client // with the controller's rights and nothing of its program: somebody who has taken it over
}

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard()) // of the clients of the tests
	code, err := withCluster(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withCluster runs something with an apiserver, the program, and an account with the program's rights.
func withCluster(run func() int) (int, error) {
	ctx := context.Background()
	environment, err := kubetest.Start(func(e *envtest.Environment) {
		e.CRDDirectoryPaths = []string{"../../" + crdFile, "../../" + budgetFile}
		e.ControlPlane.GetAPIServer().Configure().Set("service-account-issuer", audience)
	})
	if err != nil {
		return 1, err
	}
	defer func() { _ = environment.Stop() }()
	folder, err := os.MkdirTemp("", "namespace-controller-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(folder) }()

	cluster.program = filepath.Join(folder, "namespace-controller")
	if out, err := exec.Command("go", "build", "-o", cluster.program, ".").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("%w: %s", err, out)
	}
	user, err := environment.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return 1, err
	}
	cluster.kubeconfig = filepath.Join(folder, "kubeconfig")
	if err := writeKubeconfig(user); err != nil {
		return 1, err
	}
	cluster.config = environment.Config

	scheme := runtime.NewScheme()
	_, _ = clientgoscheme.AddToScheme(scheme), api.AddToScheme(scheme)
	if cluster.Client, err = client.New(environment.Config, client.Options{Scheme: scheme}); err != nil {
		return 1, err
	}
	if cluster.clients, err = kubernetes.NewForConfig(environment.Config); err != nil {
		return 1, err
	}
	if err := cluster.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: platform}}); err != nil {
		return 1, err
	}
	objects, err := stackObjects()
	if err != nil {
		return 1, err
	}
	for _, object := range objects {
		if object.GetName() == limitsName {
			cluster.network, _, _ = unstructured.NestedString(object.(*unstructured.Unstructured).Object, "data", "network.json")
		}
		if err := cluster.Create(ctx, object); err != nil {
			return 1, err
		}
	}
	if err := cluster.Update(ctx, limitsWith(nil)); err != nil {
		return 1, err
	}
	if err := rulesHold(ctx); err != nil {
		return 1, err
	}
	return run(), nil
}

// rulesHold waits until the apiserver has read the rules that bind the controller: each refuses something then.
func rulesHold(ctx context.Context) error {
	config := rest.CopyConfig(cluster.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: controllerAccount, Groups: []string{"system:serviceaccounts", "system:authenticated"}}
	controller, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		return err
	}
	cluster.controller = controller
	meta := metav1.ObjectMeta{Namespace: platform, Name: "rules"}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "rules"}}, &corev1.ResourceQuota{ObjectMeta: meta},
		&rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: ownerRole}},
	} {
		for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			err := controller.Create(ctx, object.DeepCopyObject().(client.Object), client.DryRunAll)
			if err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
				break
			}
			if time.Now().After(end) {
				return fmt.Errorf("no rule refuses a %T: %w", object, err)
			}
		}
	}
	return nil
}

// writeKubeconfig writes the kubeconfig of an administrator who acts as the controller's account.
func writeKubeconfig(user *envtest.AuthenticatedUser) error {
	text, err := user.KubeConfig()
	if err != nil {
		return err
	}
	config, err := clientcmd.Load(text)
	if err != nil {
		return err
	}
	for _, info := range config.AuthInfos {
		info.Impersonate, info.ImpersonateGroups = controllerAccount, []string{"system:serviceaccounts", "system:authenticated"}
	}
	return clientcmd.WriteToFile(*config, cluster.kubeconfig)
}

// stackObjects returns what the stack declares for the controller: its rights, the rules that bind it, and its settings.
func stackObjects() ([]client.Object, error) {
	text, err := fs.ReadFile(repository, stackFile)
	if err != nil {
		return nil, err
	}
	var roles []string
	for _, binding := range claimedBindings {
		roles = append(roles, binding.role)
	}
	var objects []client.Object
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			return nil, err
		}
		switch name := object.GetName(); object.GetKind() {
		case "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding":
			if !strings.HasPrefix(name, "journal-controller-") && name != "journal-tenant-networkpolicies" && name != "journal-budgets" {
				continue
			}
			addMembers(object)
			suspendIn(object)
		case "ConfigMap":
			if name != limitsName && !strings.HasPrefix(name, classPrefix) {
				continue
			}
		case "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding":
			if !strings.HasSuffix(name, controllerName) && !slices.Contains(roles, name) && !strings.HasPrefix(name, ownerRole) {
				continue
			}
		default:
			continue
		}
		objects = append(objects, object)
	}
	if len(objects) < 12 {
		return nil, fmt.Errorf("%s: only %d objects are the controller's", stackFile, len(objects))
	}
	return objects, nil
}

// addMembers makes alice a developer of every tenant, and a viewer of the suspended ones, as far as a policy knows: most tenants of
// the tests are not the stack's.
func addMembers(policy *unstructured.Unstructured) {
	variables, _, _ := unstructured.NestedSlice(policy.Object, "spec", "variables")
	tenant := ""
	for _, variable := range variables {
		switch variable := variable.(map[string]any); variable["name"] {
		case "members1":
			_, index, _ := strings.Cut(variable["expression"].(string), "}[?")
			tenant, _, _ = strings.Cut(index, "].orValue([])")
		case "members":
			variable["expression"] = fmt.Sprintf(`%s + (%s in [] ? ["v User alice"] : ["d User alice"])`, variable["expression"], tenant)
			_ = unstructured.SetNestedSlice(policy.Object, variables, "spec", "variables")
		}
	}
}

// limitsWith returns the limits with changes.
func limitsWith(changes map[string]any) *corev1.ConfigMap {
	share := func(claims int, cpu string) map[string]any {
		return map[string]any{"claims": claims, "cpu": cpu, "memory": "1000Gi", "storage": "1000Gi", "pods": 10000, "services": 10000, "volumeClaims": 10000,
			"classes": []string{"small"}}
	}
	values := map[string]any{"maxTTL": "72h", "defaultTTL": "8h", "warnBefore": "3s", "claimsPerOwner": 100, "defaultShare": share(100, "1000"),
		"share": map[string]any{"narrow": share(9, "3"), "race": share(3, "100")}, "dryRun": false}
	maps.Copy(values, changes)
	text, _ := json.Marshal(values)
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: platform, Name: limitsName},
		Data: map[string]string{"limits.json": string(text), "domain.json": `"localhost"`, "network.json": cluster.network,
			"suspended.json": `{"pods": "0", "count/pods": "0", "count/jobs.batch": "0"}`}}
}

// replica is one running controller.
type replica struct {
	*testing.T
	cmd   *exec.Cmd
	log   string
	ended chan error
}

// startReplica runs the program until the test ends.
func startReplica(t *testing.T, args ...string) *replica {
	t.Helper()
	r := &replica{T: t, log: filepath.Join(t.TempDir(), "log"), ended: make(chan error, 1)}
	file, err := os.Create(r.log)
	if err != nil {
		t.Fatal(err)
	}
	r.cmd = exec.Command(cluster.program, append([]string{"--metrics-address=0", "--health-address=0", "--log-level=debug"}, args...)...)
	r.cmd.Env = append(os.Environ(), "KUBECONFIG="+cluster.kubeconfig)
	r.cmd.Stdout, r.cmd.Stderr = file, file
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.cmd.Wait(); _ = file.Close() }()
	t.Cleanup(func() {
		_ = r.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("%s", r.text())
		}
	})
	return r
}

func (r *replica) text() string {
	text, _ := os.ReadFile(r.log)
	return string(text)
}

// end sends the process a signal and returns how it ended.
func (r *replica) end(signal syscall.Signal) error {
	_ = r.cmd.Process.Signal(signal)
	select {
	case err := <-r.ended:
		r.ended <- err
		return err
	case <-time.After(time.Minute):
		_ = r.cmd.Process.Kill()
		return fmt.Errorf("%v: did not end", signal)
	}
}

// newTenant makes a namespace of a tenant.
func newTenant(t *testing.T, name string) {
	t.Helper()
	apply(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{api.LabelTenant: name},
		Annotations: map[string]string{api.AnnotationTeam: "the team", api.AnnotationContact: "team@example.com"}}})
	apply(t, developersOf(name))
}

// developersOf returns the binding by which the stack makes alice a developer of a tenant.
func developersOf(tenant string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "developers"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: developerRole},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "alice"}}}
}

func apply(t *testing.T, object client.Object) {
	t.Helper()
	if err := cluster.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

func claimFor(tenant, name, ttl string) *api.NamespaceClaim {
	return &api.NamespaceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: name},
		Spec: api.NamespaceClaimSpec{Owner: "alice", Class: "small", TTL: ttl, Purpose: "a try"}}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if so() {
			return
		}
	}
	t.Fatalf("did not happen: %s", what)
}

// inPhase waits until a claim is in a phase, and reads it.
func inPhase(t *testing.T, claim *api.NamespaceClaim, phase api.Phase) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s is %s", claim.Name, phase), func() bool {
		return cluster.Get(t.Context(), client.ObjectKeyFromObject(claim), claim) == nil && claim.Status.Phase == phase
	})
}

// gone waits until a claim is gone.
func gone(t *testing.T, claim *api.NamespaceClaim) {
	t.Helper()
	eventually(t, claim.Name+" is gone", func() bool {
		return apierrors.IsNotFound(cluster.Get(t.Context(), client.ObjectKeyFromObject(claim), &api.NamespaceClaim{}))
	})
}

func namespaceOfCluster(t *testing.T, name string) *corev1.Namespace {
	t.Helper()
	namespace := &corev1.Namespace{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Name: name}, namespace); err != nil {
		t.Fatal(err)
	}
	return namespace
}

// deleted waits until a namespace is deleted, returns when that was, and lets it go.
func deleted(t *testing.T, name string) time.Time {
	t.Helper()
	var when time.Time
	eventually(t, "namespace "+name+" is deleted", func() bool {
		stamp := namespaceOfCluster(t, name).DeletionTimestamp
		if stamp != nil {
			when = stamp.Time
		}
		return stamp != nil
	})
	if err := kubetest.Finalize(t.Context(), cluster.clients, name); err != nil {
		t.Fatal(err)
	}
	return when
}
