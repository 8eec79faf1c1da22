//go:build e2e

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"example.com/journal/services/namespace-controller/api"
	"example.com/journal/services/namespace-controller/kubetest"
)

const (
	platform = "journal-platform"
	// tenant is one of the stack dev, of which alice is an owner and bob a developer.
	tenant = "team-a"
)

// stage is a cluster with all that the stack dev declares for its tenants, and the controller of claims. Kubernetes' own controllers
// make the pods, and the test says that they run.
type stage struct {
	*testing.T
	admin  client.Client
	folder string
	render string
}

// start starts it. All of it ends with the test.
func start(t *testing.T) *stage {
	t.Helper()
	environment, err := kubetest.Start(func(e *envtest.Environment) {
		e.CRDDirectoryPaths = []string{"../../components/tenancy/claims/namespaceclaim.yaml", "../../components/tenancy/claims/budget.yaml"}
		e.ControlPlane.GetAPIServer().Configure().Disable("disable-admission-plugins")
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), api.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	log.SetLogger(logr.Discard()) // of the clients of the test
	s := &stage{T: t, folder: t.TempDir()}
	if s.admin, err = client.New(environment.Config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"admin", "alice", "bob", "mallory"} {
		u := envtest.User{Name: user}
		if user == "admin" {
			u.Groups = []string{"system:masters"}
		}
		s.user(environment, u)
	}
	s.render = s.build("render", "../..", "./render")
	controller := s.build("namespace-controller", "..", "./namespace-controller")
	program, err := kubetest.Program()
	if err != nil {
		t.Fatal(err)
	}
	s.runs(program, "kube-controller-manager", "--kubeconfig="+s.kubeconfig("admin"), "--leader-elect=false", "--secure-port=0", "--use-service-account-credentials=false",
		"--controllers=clusterrole-aggregation-controller,deployment-controller,namespace-controller,persistentvolumeclaim-protection-controller,replicaset-controller,resourcequota-controller,serviceaccount-controller,statefulset-controller")
	s.declare()
	s.actAs("admin", "controller", "system:serviceaccount:"+platform+":namespace-controller")
	s.runs(controller, "--namespace="+platform, "--metrics-address=0", "--health-address=0")
	go s.kubelet()
	// Kubernetes adds up the roles of the tenants.
	for bob, end := s.as("bob"), time.Now().Add(time.Minute); bob.List(t.Context(), &api.NamespaceClaimList{}, client.InNamespace(tenant)) != nil; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("bob may not read claims, as a developer may")
		}
	}
	return s
}

func (s *stage) kubeconfig(user string) string { return filepath.Join(s.folder, user) }

// user writes the kubeconfig of a user.
func (s *stage) user(environment *envtest.Environment, u envtest.User) {
	s.Helper()
	user, err := environment.AddUser(u, nil)
	if err != nil {
		s.Fatal(err)
	}
	text, err := user.KubeConfig()
	if err := errors.Join(err, os.WriteFile(s.kubeconfig(u.Name), text, 0o600)); err != nil {
		s.Fatal(err)
	}
}

// actAs writes the kubeconfig of somebody as whom another one acts.
func (s *stage) actAs(user, name, as string) {
	s.Helper()
	config, err := clientcmd.LoadFromFile(s.kubeconfig(user))
	if err != nil {
		s.Fatal(err)
	}
	for _, info := range config.AuthInfos {
		info.Impersonate, info.ImpersonateGroups = as, []string{"system:serviceaccounts", "system:authenticated"}
	}
	if err := clientcmd.WriteToFile(*config, s.kubeconfig(name)); err != nil {
		s.Fatal(err)
	}
}

func (s *stage) build(name, module, from string) string {
	s.Helper()
	out := filepath.Join(s.folder, "bin-"+name)
	cmd := exec.Command("go", "build", "-o", out, from)
	cmd.Dir = module
	if text, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("build %s: %v\n%s", name, err, text)
	}
	return out
}

// runs runs a program until the test ends.
func (s *stage) runs(program string, args ...string) {
	s.Helper()
	written, err := os.Create(s.kubeconfig("log-" + filepath.Base(program)))
	if err != nil {
		s.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig("controller"))
	cmd.Stdout, cmd.Stderr = written, written
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if text, _ := os.ReadFile(written.Name()); s.Failed() {
			s.Logf("%s: %s", filepath.Base(program), text[max(0, len(text)-6000):])
		}
	})
}

// declare applies what the stack dev declares for the cluster and for its tenants, the rules before the namespaces.
func (s *stage) declare() {
	s.Helper()
	text, err := fs.ReadFile(repository, "stacks/testdata/dev.yaml")
	if err != nil {
		s.Fatal(err)
	}
	var objects []*unstructured.Unstructured
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			s.Fatal(err)
		}
		objects = append(objects, object)
	}
	for _, kinds := range [][]string{
		{"PriorityClass", "ClusterRole", "ClusterRoleBinding"},
		{"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}, {"Namespace"},
		{"ResourceQuota", "LimitRange", "NetworkPolicy", "Role", "RoleBinding", "ConfigMap"},
	} {
		applied := 0
		for _, o := range objects {
			if !slices.Contains(kinds, o.GetKind()) || o.GetNamespace() != "" && o.GetNamespace() != platform && o.GetNamespace() != tenant {
				continue
			}
			applied++
			if err := s.admin.Apply(s.Context(), client.ApplyConfigurationFromUnstructured(o.DeepCopy()), client.FieldOwner("test")); err != nil {
				s.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
			}
		}
		if applied == 0 {
			s.Fatalf("the stack has none of %v", kinds)
		}
	}
}

// kubelet says of every pod that it runs.
func (s *stage) kubelet() {
	for ; s.Context().Err() == nil; time.Sleep(100 * time.Millisecond) {
		pods := &corev1.PodList{}
		if s.admin.List(s.Context(), pods) != nil {
			continue
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			if pod.Status.Phase == corev1.PodRunning {
				continue
			}
			pod.Status.Phase = corev1.PodRunning
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
			_ = s.admin.Status().Update(s.Context(), pod)
		}
	}
}

// call runs the program as a user.
func (s *stage) call(user string, args ...string) (string, error) {
	said := &bytes.Buffer{}
	c := command(said, said)
	c.SetArgs(append(args, "--kubeconfig", s.kubeconfig(user), "--tenant", tenant, "--timeout", "60s"))
	ctx, cancel := context.WithTimeout(s.Context(), 3*time.Minute)
	defer cancel()
	err := c.ExecuteContext(ctx)
	return said.String(), err
}

// up pushes a pull request, and returns what it says.
func (s *stage) up(user, number string, args ...string) string {
	s.Helper()
	said, err := s.call(user, append([]string{"up", number, "--project", "../..", "--render", s.render}, args...)...)
	if err != nil {
		s.Fatalf("%v\n%s", err, said)
	}
	return said
}

// namespace is that of the environment of a pull request.
func (s *stage) namespace(number string) string {
	s.Helper()
	return s.claimOf(number).Status.Namespace
}

func (s *stage) claimOf(number string) *api.NamespaceClaim {
	s.Helper()
	claim := &api.NamespaceClaim{}
	if err := s.admin.Get(s.Context(), client.ObjectKey{Namespace: tenant, Name: "pr-" + number}, claim); err != nil {
		s.Fatal(err)
	}
	return claim
}

// names lists the objects of a kind in a namespace.
func (s *stage) names(list client.ObjectList, namespace string) (names []string) {
	s.Helper()
	if err := s.admin.List(s.Context(), list, client.InNamespace(namespace)); err != nil {
		s.Fatal(err)
	}
	switch list := list.(type) {
	case *corev1.ConfigMapList:
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
	case *corev1.PersistentVolumeClaimList:
		for i := range list.Items {
			names = append(names, list.Items[i].Name+" "+string(list.Items[i].UID))
		}
	case *corev1.SecretList:
		for i := range list.Items {
			names = append(names, fmt.Sprint(list.Items[i].Name, list.Items[i].Data))
		}
	}
	return names
}

var address = regexp.MustCompile(`http://pr-\d+\.claim-team-a-pr-\d+-[a-z0-9]{5}\.localhost/ is up after`)

// TestADeveloperRunsPullRequestsUnderAllRulesOfTheStack is one test, since its parts share a cluster, and each starts from what the one
// before has left.
func TestADeveloperRunsPullRequestsUnderAllRulesOfTheStack(t *testing.T) {
	s := start(t)
	for _, part := range []struct {
		sentence string
		test     func(*stage)
	}{
		{"up claims a namespace and runs the journal in it, and no rule, limit or quota refuses an object", firstPush},
		{"a second push updates it, keeps passwords and volume, deletes what the stack has no more, and gives it the whole time again", secondPush},
		{"what is not the namespace's is refused by the rules that were there all along", rulesHold},
		{"another pull request has its own, and a third is refused with what the controller says", moreOfThem},
		{"an owner of the tenant pushes what a developer has made, and a stranger does not", otherPeople},
		{"down deletes it with its data, and leaves the others and nothing else", endOfOne},
		{"an environment that is forgotten ends by itself", forgotten},
	} {
		if !t.Run(part.sentence, func(t *testing.T) {
			begun := time.Now()
			part.test(&stage{T: t, admin: s.admin, folder: s.folder, render: s.render})
			t.Logf("%v", time.Since(begun).Round(100*time.Millisecond))
		}) {
			return
		}
	}
}

func firstPush(s *stage) {
	said := s.up("bob", "123")
	if !address.MatchString(said) || strings.Contains(said, "Warning") {
		s.Errorf("it says %s", said)
	}
	namespace, claim := s.namespace("123"), s.claimOf("123")
	if claim.Spec.Owner != "bob" || claim.Spec.TTL != "24h0m0s" || claim.Spec.Access != api.AccessTenant {
		s.Errorf("the claim is %+v", claim.Spec)
	}
	ingress := &networkingv1.Ingress{}
	if err := s.admin.Get(s.Context(), client.ObjectKey{Namespace: namespace, Name: "exposure"}, ingress); err != nil || ingress.Spec.Rules[0].Host != "pr-123."+namespace+".localhost" {
		s.Errorf("the Ingress is %+v, %v", ingress.Spec, err)
	}
	quota := &corev1.ResourceQuota{}
	if err := s.admin.Get(s.Context(), client.ObjectKey{Namespace: namespace, Name: "tenant"}, quota); err != nil {
		s.Error(err)
	}
	s.Logf("it uses %v", quota.Status.Used)
}

func secondPush(s *stage) {
	namespace := s.namespace("123")
	by := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "by-hand", Labels: map[string]string{"app": "api"}}}
	if err := s.admin.Create(s.Context(), by); err != nil {
		s.Fatal(err)
	}
	secrets, volumes, configs := s.names(&corev1.SecretList{}, namespace), s.names(&corev1.PersistentVolumeClaimList{}, namespace), s.names(&corev1.ConfigMapList{}, namespace)
	time.Sleep(time.Second)
	said := s.up("bob", "123", "frontend.title=Another", "--ttl", "25h")
	if !strings.Contains(said, "deleted ConfigMap frontend-config-") || strings.Count(said, "deleted ") != 1 {
		s.Errorf("it says %s", said)
	}
	if now := s.names(&corev1.SecretList{}, namespace); len(now) != 1 || !slices.Equal(now, secrets) {
		s.Error("the passwords have changed")
	}
	if now := s.names(&corev1.PersistentVolumeClaimList{}, namespace); len(now) != 1 || !slices.Equal(now, volumes) {
		s.Errorf("the volumes were %q and are %q", volumes, now)
	}
	now := s.names(&corev1.ConfigMapList{}, namespace)
	if len(now) != len(configs) || slices.Equal(now, configs) || !slices.Contains(now, "by-hand") {
		s.Errorf("the ConfigMaps were %q and are %q", configs, now)
	}
	if ttl, err := time.ParseDuration(s.claimOf("123").Spec.TTL); err != nil || ttl <= 25*time.Hour || ttl > 26*time.Hour {
		s.Errorf("the ttl is %v, %v", ttl, err)
	}
}

// as is a client of a user.
func (s *stage) as(user string) client.Client {
	s.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig(user))
	if err != nil {
		s.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: s.admin.Scheme()})
	if err != nil {
		s.Fatal(err)
	}
	return c
}

func rulesHold(s *stage) {
	bob, namespace := s.as("bob"), s.namespace("123")
	ingress := &networkingv1.Ingress{}
	if err := s.admin.Get(s.Context(), client.ObjectKey{Namespace: namespace, Name: "exposure"}, ingress); err != nil {
		s.Fatal(err)
	}
	ingress.Spec.Rules[0].Host = "journal.localhost"
	if err := bob.Update(s.Context(), ingress); err == nil || !strings.Contains(err.Error(), "journal-tenant-ingresses") {
		s.Errorf("the journal's host: %v", err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "try"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "redis:latest"}}}}
	if err := bob.Create(s.Context(), pod); err == nil || !strings.Contains(err.Error(), "journal-image-policy") {
		s.Errorf("an image that moves: %v", err)
	}
	if err := bob.Delete(s.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); !apierrors.IsForbidden(err) {
		s.Errorf("a developer deletes the namespace: %v", err)
	}
}

func moreOfThem(s *stage) {
	s.up("bob", "124")
	if one, other := s.namespace("123"), s.namespace("124"); one == other {
		s.Errorf("both are in %s", one)
	}
	said, err := s.call("bob", "up", "125", "--project", "../..", "--render", s.render)
	if err == nil || !strings.Contains(err.Error(), "is refused: the number of claims of bob would be 3 with this claim, and the limit is 2") {
		s.Errorf("%v\n%s", err, said)
	}
	if _, err := s.call("bob", "down", "125"); err != nil {
		s.Error(err)
	}
}

func otherPeople(s *stage) {
	if said := s.up("alice", "124", "api.logLevel=info"); !strings.Contains(said, "is up") {
		s.Error(said)
	}
	if owner := s.claimOf("124").Spec.Owner; owner != "bob" {
		s.Errorf("the claim is of %s", owner)
	}
	for _, args := range [][]string{{"up", "9", "--project", "../..", "--render", s.render}, {"down", "124"}} {
		if said, err := s.call("mallory", args...); err == nil || !strings.Contains(err.Error(), "name a tenant of which you are a developer") {
			s.Errorf("%v\n%s", err, said)
		}
	}
}

func endOfOne(s *stage) {
	namespace, other := s.namespace("123"), s.namespace("124")
	for range 2 {
		if said, err := s.call("bob", "down", "123"); err != nil {
			s.Fatalf("%v\n%s", err, said)
		}
	}
	err := s.admin.Get(s.Context(), client.ObjectKey{Name: namespace}, &corev1.Namespace{})
	if !apierrors.IsNotFound(err) {
		s.Errorf("the namespace: %v", err)
	}
	if volumes := s.names(&corev1.PersistentVolumeClaimList{}, namespace); len(volumes) > 0 {
		s.Errorf("left are %q", volumes)
	}
	if err := s.admin.Get(s.Context(), client.ObjectKey{Name: other}, &corev1.Namespace{}); err != nil {
		s.Error(err)
	}
}

func forgotten(s *stage) {
	begun := time.Now()
	s.up("bob", "126", "--ttl", "1m")
	key := client.ObjectKey{Namespace: tenant, Name: "pr-126"}
	namespace := s.namespace("126")
	for !apierrors.IsNotFound(s.admin.Get(s.Context(), key, &api.NamespaceClaim{})) {
		if time.Since(begun) > 3*time.Minute {
			s.Fatalf("it is still there: %s", s.claimOf("126").Status.Message)
		}
		time.Sleep(500 * time.Millisecond)
	}
	if err := s.admin.Get(s.Context(), client.ObjectKey{Name: namespace}, &corev1.Namespace{}); !apierrors.IsNotFound(err) {
		s.Errorf("the namespace: %v", err)
	}
	s.Logf("it was gone after %v", time.Since(begun).Round(time.Second))
}
