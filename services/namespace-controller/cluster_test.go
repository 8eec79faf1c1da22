//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"example.com/journal/services/namespace-controller/api"
	"example.com/journal/services/namespace-controller/kubetest"
)

const platform = "journal-platform"

// rights are all that the controller may do, as the stack declares it.
const rights = `
- {apiGroups: [""], resources: [namespaces], verbs: [get, list, watch, create, patch, delete]}
- {apiGroups: [journal.example.com], resources: [namespaceclaims], verbs: [get, list, watch, update, patch, delete]}
- {apiGroups: [journal.example.com], resources: [namespaceclaims/status, namespaceclaims/finalizers], verbs: [update, patch]}
- {apiGroups: [""], resources: [resourcequotas, limitranges], verbs: [get, list, watch, create, update, patch]}
- {apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [get, list, watch, create, update, patch]}
- {apiGroups: [rbac.authorization.k8s.io], resources: [rolebindings], verbs: [get, list, watch, create, update, patch]}
- {apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], resourceNames: [journal-tenant-owner], verbs: [bind]}
- {apiGroups: ["", events.k8s.io], resources: [events], verbs: [create, patch]}`

// platformRights are those in the platform's namespace.
const platformRights = `
- {apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, list, watch, create, update, patch]}`

const fenceObjects = `[
	{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"tenant"},"spec":{"hard":{"requests.cpu":"2","requests.memory":"4Gi"}}},
	{"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"tenant"},"spec":{"limits":[{"type":"Container","default":{"cpu":"500m"}}]}},
	{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"default-deny"},"spec":{"podSelector":{},"policyTypes":["Ingress","Egress"]}}]`

// cluster is what all tests of this file share.
var cluster struct {
	client.Client
	clients    kubernetes.Interface
	program    string
	kubeconfig string
}

func TestMain(m *testing.M) {
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
	environment, err := kubetest.Start(func(e *envtest.Environment) { e.CRDDirectoryPaths = []string{crdFile} })
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
	user, err := environment.AddUser(envtest.User{Name: "namespace-controller"}, nil)
	if err != nil {
		return 1, err
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return 1, err
	}
	cluster.kubeconfig = filepath.Join(folder, "kubeconfig")
	if err := os.WriteFile(cluster.kubeconfig, kubeconfig, 0o600); err != nil {
		return 1, err
	}

	scheme := runtime.NewScheme()
	_, _ = clientgoscheme.AddToScheme(scheme), api.AddToScheme(scheme)
	if cluster.Client, err = client.New(environment.Config, client.Options{Scheme: scheme}); err != nil {
		return 1, err
	}
	if cluster.clients, err = kubernetes.NewForConfig(environment.Config); err != nil {
		return 1, err
	}
	var clusterRules, platformRules []rbacv1.PolicyRule
	if err := yaml.Unmarshal([]byte(rights), &clusterRules); err != nil {
		return 1, err
	}
	if err := yaml.Unmarshal([]byte(platformRights), &platformRules); err != nil {
		return 1, err
	}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "namespace-controller"}}
	named := metav1.ObjectMeta{Name: controllerName}
	inside := metav1.ObjectMeta{Name: controllerName, Namespace: platform}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: platform}},
		&rbacv1.ClusterRole{ObjectMeta: named, Rules: clusterRules},
		&rbacv1.ClusterRoleBinding{ObjectMeta: named, Subjects: subjects, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: controllerName}},
		&rbacv1.Role{ObjectMeta: inside, Rules: platformRules},
		&rbacv1.RoleBinding{ObjectMeta: inside, Subjects: subjects, RoleRef: rbacv1.RoleRef{Kind: "Role", Name: controllerName}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: ownerRole}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"*"}}}},
		limitsWith(nil),
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: platform, Name: fencePrefix + "small", Labels: map[string]string{api.LabelFence: "small"}},
			Data: map[string]string{
				"namespace.json": `{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}`,
				"size.json":      `{"cpu":"2","memory":"4Gi"}`, "objects.json": fenceObjects,
			},
		},
	} {
		if err := cluster.Create(ctx, object); err != nil {
			return 1, err
		}
	}
	return run(), nil
}

// limitsWith returns the limits with changes.
func limitsWith(changes map[string]any) *corev1.ConfigMap {
	plenty := map[string]any{"claims": 100, "cpu": "1000", "memory": "1000Gi"}
	values := map[string]any{"maxTTL": "72h", "defaultTTL": "8h", "warnBefore": "3s", "claimsPerOwner": 100, "defaultShare": plenty,
		"share": map[string]any{"narrow": map[string]any{"claims": 9, "cpu": "3", "memory": "1000Gi"}}, "dryRun": false}
	for key, value := range changes {
		values[key] = value
	}
	text, _ := json.Marshal(values)
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: platform, Name: limitsName}, Data: map[string]string{"limits.json": string(text)}}
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
	case <-time.After(20 * time.Second):
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
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
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

func TestAClaimGetsAFencedNamespaceAndLosesItAtItsEnd(t *testing.T) {
	startReplica(t)
	newTenant(t, "life")
	claim := claimFor("life", "try", "8s")
	apply(t, claim)
	inPhase(t, claim, api.Active)

	namespace := namespaceOfCluster(t, claim.Status.Namespace)
	for key, want := range map[string]string{api.LabelTenant: "life", api.LabelClaim: "try", api.LabelClaimUID: string(claim.UID), "pod-security.kubernetes.io/enforce": "restricted"} {
		if namespace.Labels[key] != want {
			t.Errorf("label %s is %q, want %q", key, namespace.Labels[key], want)
		}
	}
	for key, want := range map[string]string{api.AnnotationOwner: "alice", api.AnnotationPurpose: "a try", api.AnnotationTeam: "the team",
		api.AnnotationContact: "team@example.com", api.AnnotationExpires: rfc3339(claim.CreationTimestamp.Add(8 * time.Second))} {
		if namespace.Annotations[key] != want {
			t.Errorf("annotation %s is %q, want %q", key, namespace.Annotations[key], want)
		}
	}
	key := client.ObjectKey{Namespace: namespace.Name, Name: "tenant"}
	binding := &rbacv1.RoleBinding{}
	for _, err := range []error{
		cluster.Get(t.Context(), key, &corev1.ResourceQuota{}), cluster.Get(t.Context(), key, &corev1.LimitRange{}),
		cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace.Name, Name: "default-deny"}, &networkingv1.NetworkPolicy{}),
		cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace.Name, Name: ownerBinding}, binding),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if binding.RoleRef.Name != ownerRole || len(binding.Subjects) != 1 || binding.Subjects[0].Name != "alice" {
		t.Errorf("binds %v to %v", binding.RoleRef, binding.Subjects)
	}
	if claim.Status.NamespaceUID != string(namespace.UID) || !meta.IsStatusConditionTrue(claim.Status.Conditions, api.ConditionReady) {
		t.Errorf("status %+v", claim.Status)
	}

	inPhase(t, claim, api.Expiring)
	if !meta.IsStatusConditionTrue(claim.Status.Conditions, api.ConditionExpiresSoon) {
		t.Errorf("conditions %+v", claim.Status.Conditions)
	}
	eventually(t, "an Event warns", func() bool {
		events := &eventsv1.EventList{}
		if err := cluster.List(t.Context(), events, client.InNamespace("life")); err != nil {
			t.Fatal(err)
		}
		for _, event := range events.Items {
			if event.Reason == reasonExpiresSoon && event.Type == corev1.EventTypeWarning && event.Regarding.Name == "try" {
				return true
			}
		}
		return false
	})
	if when := deleted(t, namespace.Name); when.Before(claim.Status.ExpiresAt.Time) || when.After(claim.Status.ExpiresAt.Add(5*time.Second)) {
		t.Errorf("deleted at %v, the end is %v", when, claim.Status.ExpiresAt)
	}
	gone(t, claim)
}

func TestWhoeverLosesTheTenantLosesTheClaimedNamespace(t *testing.T) {
	startReplica(t)
	newTenant(t, "leaving")
	claim := claimFor("leaving", "try", "1h")
	apply(t, claim)
	inPhase(t, claim, api.Active)
	owners := func() int {
		binding := &rbacv1.RoleBinding{}
		if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: claim.Status.Namespace, Name: ownerBinding}, binding); err != nil {
			t.Fatal(err)
		}
		return len(binding.Subjects)
	}
	if owners() != 1 {
		t.Fatal("alice does not own her namespace to begin with")
	}
	if err := cluster.Delete(t.Context(), developersOf("leaving")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "alice has no rights any more", func() bool { return owners() == 0 })
	inPhase(t, claim, api.Active)
	if !strings.Contains(claim.Status.Message, `alice is no owner or developer of namespace "leaving" any more`) {
		t.Errorf("the claim says %q", claim.Status.Message)
	}
	apply(t, developersOf("leaving"))
	eventually(t, "alice has them again", func() bool { return owners() == 1 })

	// Whether she is in a group is not known here.
	group := developersOf("leaving")
	group.Name, group.Subjects[0].Kind, group.Subjects[0].Name = "group", rbacv1.GroupKind, "everybody"
	apply(t, group)
	if err := cluster.Delete(t.Context(), developersOf("leaving")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	if owners() != 1 {
		t.Error("a member of a group lost her namespace")
	}
}

func TestAnExtendedClaimStays(t *testing.T) {
	startReplica(t)
	newTenant(t, "longer")
	claim := claimFor("longer", "try", "6s")
	apply(t, claim)
	inPhase(t, claim, api.Expiring)
	end := claim.Status.ExpiresAt.Time
	before := claim.DeepCopy()
	claim.Spec.TTL = "100h"
	if err := cluster.Patch(t.Context(), claim, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	inPhase(t, claim, api.Active)
	if want := claim.CreationTimestamp.Add(72 * time.Hour); !claim.Status.ExpiresAt.Time.Equal(want) {
		t.Errorf("ends at %v, want %v", claim.Status.ExpiresAt, want)
	}
	time.Sleep(time.Until(end) + 3*time.Second)
	namespace := namespaceOfCluster(t, claim.Status.Namespace)
	if namespace.DeletionTimestamp != nil {
		t.Error("it was deleted all the same")
	}
	if got := namespace.Annotations[api.AnnotationExpires]; got != rfc3339(claim.Status.ExpiresAt.Time) {
		t.Errorf("the annotation says %s", got)
	}
}

func TestADeletedClaimTakesItsNamespaceAlongAndMakesRoom(t *testing.T) {
	startReplica(t)
	newTenant(t, "narrow") // Its share is 3 cpu, and the class has 2.
	first, second := claimFor("narrow", "first", ""), claimFor("narrow", "second", "")
	apply(t, first)
	inPhase(t, first, api.Active)
	apply(t, second)
	inPhase(t, second, api.Refused)
	if !strings.Contains(second.Status.Message, "the cpu of tenant narrow would be 4 with this claim, and the limit is 3") || len(second.Finalizers) > 0 {
		t.Errorf("refused with %q, finalizers %v", second.Status.Message, second.Finalizers)
	}
	if err := cluster.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	inPhase(t, first, api.Deleting)
	if inPhase(t, second, api.Refused); first.DeletionTimestamp == nil {
		t.Error("the claim did not wait for its namespace")
	}
	deleted(t, first.Status.Namespace)
	gone(t, first)
	inPhase(t, second, api.Active)
}

func TestClaimsMadeAtOnceDoNotExceedTheShare(t *testing.T) {
	startReplica(t)
	apply(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "race", Labels: map[string]string{api.LabelTenant: "race"}}})
	if err := cluster.Update(t.Context(), limitsWith(map[string]any{"share": map[string]any{"race": map[string]any{"claims": 3, "cpu": "100", "memory": "100Gi"}}})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Update(context.Background(), limitsWith(nil)) })
	for i := range 12 {
		apply(t, claimFor("race", fmt.Sprintf("try-%d", i), ""))
	}
	count := map[api.Phase]int{}
	eventually(t, "all are decided", func() bool {
		claims := &api.NamespaceClaimList{}
		if err := cluster.List(t.Context(), claims, client.InNamespace("race")); err != nil {
			t.Fatal(err)
		}
		clear(count)
		for _, claim := range claims.Items {
			count[claim.Status.Phase]++
		}
		return count[api.Active]+count[api.Refused] == 12
	})
	if count[api.Active] != 3 {
		t.Errorf("%v, want 3 active", count)
	}
}

func TestForeignNamespacesWithForgedLabelsSurvive(t *testing.T) {
	startReplica(t)
	newTenant(t, "forged")
	claim := claimFor("forged", "try", "")
	apply(t, claim)
	inPhase(t, claim, api.Active)
	labels := namespaceOfCluster(t, claim.Status.Namespace).Labels
	apply(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "forged-elsewhere", Labels: labels}})

	// The namespace itself is deleted by hand while no controller runs, and one with its name and labels takes its place.
	other := claimFor("forged", "replaced", "")
	apply(t, other)
	inPhase(t, other, api.Active)
	name := other.Status.Namespace
	stolen := namespaceOfCluster(t, name).Labels
	if err := cluster.Update(t.Context(), limitsWith(map[string]any{"dryRun": true})); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Delete(t.Context(), namespaceOfCluster(t, name)); err != nil {
		t.Fatal(err)
	}
	deleted(t, name)
	apply(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: stolen}})
	if err := cluster.Update(t.Context(), limitsWith(nil)); err != nil {
		t.Fatal(err)
	}

	for _, c := range []*api.NamespaceClaim{claim, other} {
		if err := cluster.Delete(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	deleted(t, claim.Status.Namespace)
	gone(t, claim)
	for _, name := range []string{"forged-elsewhere", name} {
		if stamp := namespaceOfCluster(t, name).DeletionTimestamp; stamp != nil {
			t.Errorf("namespace %s was deleted at %v", name, stamp)
		}
	}
}

func TestADryRunMakesAndDeletesNothing(t *testing.T) {
	startReplica(t)
	newTenant(t, "dry")
	stands := claimFor("dry", "stands", "")
	apply(t, stands)
	inPhase(t, stands, api.Active)
	if err := cluster.Update(t.Context(), limitsWith(map[string]any{"dryRun": true})); err != nil {
		t.Fatal(err)
	}
	claim := claimFor("dry", "try", "")
	apply(t, claim)
	inPhase(t, claim, api.Pending)
	if !strings.HasPrefix(claim.Status.Message, "dry run, would admit") || claim.Status.Namespace != "" || len(claim.Finalizers) > 0 {
		t.Errorf("%+v, finalizers %v", claim.Status, claim.Finalizers)
	}
	if err := cluster.Delete(t.Context(), stands); err != nil {
		t.Fatal(err)
	}
	inPhase(t, stands, api.Expiring)
	if stamp := namespaceOfCluster(t, stands.Status.Namespace).DeletionTimestamp; stamp != nil {
		t.Errorf("deleted at %v", stamp)
	}
	if err := cluster.Update(t.Context(), limitsWith(nil)); err != nil {
		t.Fatal(err)
	}
	inPhase(t, claim, api.Active)
	deleted(t, stands.Status.Namespace)
	gone(t, stands)
}

func TestTheDefinitionRefusesBadClaims(t *testing.T) {
	newTenant(t, "rules")
	good := claimFor("rules", "good", "1h30m")
	apply(t, good)
	for name, test := range map[string]struct {
		change func(*api.NamespaceClaim)
		want   string
	}{
		"no owner":     {func(c *api.NamespaceClaim) { c.Spec.Owner = "" }, "spec.owner"},
		"no class":     {func(c *api.NamespaceClaim) { c.Spec.Class = "" }, "spec.class"},
		"no purpose":   {func(c *api.NamespaceClaim) { c.Spec.Purpose = "" }, "spec.purpose"},
		"no duration":  {func(c *api.NamespaceClaim) { c.Spec.TTL = "tomorrow" }, `not a duration above zero in hours, minutes and seconds; write "8h" or "1h30m"`},
		"zero":         {func(c *api.NamespaceClaim) { c.Spec.TTL = "0h" }, "not a duration above zero"},
		"negative":     {func(c *api.NamespaceClaim) { c.Spec.TTL = "-8h" }, "not a duration above zero"},
		"a long name":  {func(c *api.NamespaceClaim) { c.Name = strings.Repeat("a", 41) }, "not a short DNS label"},
		"a dotted one": {func(c *api.NamespaceClaim) { c.Name = "a.b" }, "not a short DNS label"},
	} {
		claim := claimFor("rules", "bad", "8h")
		test.change(claim)
		if err := cluster.Create(t.Context(), claim); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q in it", name, err, test.want)
		}
	}
	for name, change := range map[string]func(*api.NamespaceClaim){
		"owner": func(c *api.NamespaceClaim) { c.Spec.Owner = "bob" },
		"class": func(c *api.NamespaceClaim) { c.Spec.Class = "large" },
	} {
		claim := good.DeepCopy()
		change(claim)
		if err := cluster.Patch(t.Context(), claim, client.MergeFrom(good)); err == nil || !strings.Contains(err.Error(), "spec."+name) ||
			!strings.Contains(err.Error(), "cannot be changed; delete the claim") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTwoReplicasDoNotFightAndAKilledLeaderLosesNothing(t *testing.T) {
	first := startReplica(t)
	newTenant(t, "crash")
	leads := func(r *replica) bool { return strings.Contains(r.text(), "Starting workers") }
	eventually(t, "the first leads", func() bool { return leads(first) })
	second := startReplica(t)

	const claims = 20
	for i := range claims {
		apply(t, claimFor("crash", fmt.Sprintf("try-%d", i), ""))
		if i == claims/2 {
			if leads(second) {
				t.Error("both lead")
			}
			_ = first.end(syscall.SIGKILL)
		}
	}
	owned := map[string]string{}
	eventually(t, "every claim has its namespace", func() bool {
		list := &api.NamespaceClaimList{}
		if err := cluster.List(t.Context(), list, client.InNamespace("crash")); err != nil {
			t.Fatal(err)
		}
		clear(owned)
		for _, claim := range list.Items {
			if claim.Status.Phase == api.Active {
				owned[claim.Status.Namespace] = claim.Status.NamespaceUID
			}
		}
		return len(owned) == claims
	})
	namespaces := &corev1.NamespaceList{}
	if err := cluster.List(t.Context(), namespaces, client.MatchingLabels{api.LabelTenant: "crash"}, client.HasLabels{api.LabelClaimUID}); err != nil {
		t.Fatal(err)
	}
	if len(namespaces.Items) != claims {
		t.Errorf("%d namespaces for %d claims", len(namespaces.Items), claims)
	}
	for _, namespace := range namespaces.Items {
		if owned[namespace.Name] != string(namespace.UID) {
			t.Errorf("namespace %s is nobody's", namespace.Name)
		}
	}
	t.Logf("the leader was killed with %d claims decided", strings.Count(first.text(), `"action":"surround"`))
}

func TestItIsHealthyAndGivesTheLeaseBack(t *testing.T) {
	const address = "127.0.0.1:18481"
	r := startReplica(t, "--health-address="+address)
	for _, path := range []string{"/healthz", "/readyz"} {
		eventually(t, path+" is 200", func() bool {
			response, err := http.Get("http://" + address + path)
			if err != nil {
				return false
			}
			_ = response.Body.Close()
			return response.StatusCode == http.StatusOK
		})
	}
	eventually(t, "it leads", func() bool { return strings.Contains(r.text(), "Starting workers") })
	if err := r.end(syscall.SIGTERM); err != nil {
		t.Errorf("ended with %v", err)
	}
	lease := &coordinationv1.Lease{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: platform, Name: controllerName}, lease); err != nil {
		t.Fatal(err)
	}
	if lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "" {
		t.Errorf("%s still holds the lease", *lease.Spec.HolderIdentity)
	}
}
