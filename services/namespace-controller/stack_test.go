package main

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"example.com/journal/services/namespace-controller/api"
)

// stackFile holds the objects of the stack dev, which a test of the stack writes.
const stackFile = "stacks/testdata/dev.yaml"

// all returns the objects that the stack dev declares.
func all(t *testing.T) (objects []*unstructured.Unstructured) {
	t.Helper()
	text, err := fs.ReadFile(repository, stackFile)
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
	return objects
}

// declared returns the objects of one kind that the stack dev declares, by name.
func declared(t *testing.T, kind string) map[string]*unstructured.Unstructured {
	t.Helper()
	found := map[string]*unstructured.Unstructured{}
	for _, object := range all(t) {
		if object.GetKind() == kind {
			found[object.GetName()] = object
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s: there is no %s", stackFile, kind)
	}
	return found
}

// declaredAs returns one object that the stack dev declares, in Go's type.
func declaredAs[T any](t *testing.T, kind, name string) *T {
	t.Helper()
	object := declared(t, kind)[name]
	if object == nil {
		t.Fatalf("%s: there is no %s %s", stackFile, kind, name)
	}
	typed := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, typed); err != nil {
		t.Fatal(err)
	}
	return typed
}

// expressionsOf returns all that an admission policy of the stack dev says, as one text.
func expressionsOf(t *testing.T, name string) string {
	t.Helper()
	policy := declared(t, "ValidatingAdmissionPolicy")[name]
	if policy == nil {
		t.Fatalf("%s: there is no policy %s", stackFile, name)
	}
	return fmt.Sprint(policy.Object["spec"])
}

func TestTheControllerReadsTheLimitsThatTheStackWrites(t *testing.T) {
	t.Parallel()
	config := declaredAs[corev1.ConfigMap](t, "ConfigMap", limitsName)
	l, err := parseLimits(config)
	if err != nil {
		t.Fatal(err)
	}
	if l.MaxTTL.Duration <= 0 || l.WarnBefore.Duration <= 0 || l.ClaimsPerOwner < 1 {
		t.Errorf("read %+v", l)
	}
	for _, tenant := range []string{"journal", "team-a", "nobody"} {
		if s := l.shareOf(tenant); s.Claims < 1 || s.CPU.IsZero() || s.Memory.IsZero() || s.Storage.IsZero() || s.Pods < 1 || s.Services < 1 || len(s.Classes) == 0 {
			t.Errorf("the share of %s is %+v", tenant, s)
		}
	}
	if domain, err := parseDomain(config); err != nil || domain == "" {
		t.Errorf("the domain is %q, %v", domain, err)
	}
}

func TestTheControllerReadsTheClassesThatTheStackWrites(t *testing.T) {
	t.Parallel()
	classes := 0
	for name := range declared(t, "ConfigMap") {
		config := declaredAs[corev1.ConfigMap](t, "ConfigMap", name)
		class, labelled := config.Labels[api.LabelClass]
		if !labelled {
			continue
		}
		classes++
		if name != classPrefix+class {
			t.Errorf("class %s is in ConfigMap %s", class, name)
		}
		read, err := parseTemplate(config)
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, object := range read.objects {
			kinds = append(kinds, object.GetKind())
		}
		slices.Sort(kinds)
		if want := []string{"LimitRange", "NetworkPolicy", "NetworkPolicy", "NetworkPolicy", "NetworkPolicy", "ResourceQuota"}; !slices.Equal(kinds, want) {
			t.Errorf("class %s has %v, want %v", class, kinds, want)
		}
		if s := read.size; s.CPU.IsZero() || s.Memory.IsZero() || s.Storage.IsZero() || s.Pods < 1 || s.Services < 1 || s.VolumeClaims < 1 || len(read.labels) == 0 {
			t.Errorf("class %s is %+v with labels %v", class, s, read.labels)
		}
	}
	if classes < 3 {
		t.Errorf("there are %d classes", classes)
	}
}

func TestTheNamespacesOfTenantsSayWhatTheControllerCopies(t *testing.T) {
	t.Parallel()
	home := declared(t, "Namespace")["team-a"]
	if home == nil {
		t.Fatal("there is no tenant team-a")
	}
	if home.GetLabels()[api.LabelTenant] != "team-a" || home.GetLabels()[api.LabelClaimUID] != "" {
		t.Errorf("its labels are %v", home.GetLabels())
	}
	for _, key := range []string{api.AnnotationOwner, api.AnnotationContact, api.AnnotationHosts} {
		if home.GetAnnotations()[key] == "" {
			t.Errorf("it has no annotation %s: %v", key, home.GetAnnotations())
		}
	}
	for name := range declared(t, "Namespace") {
		if strings.HasPrefix(name, api.NamespacePrefix) {
			t.Errorf("namespace %s looks like a claimed one", name)
		}
	}
}

// The stack's policies refuse what they do not know. They know all that the controller writes.
func TestThePoliciesOfTheStackKnowAllThatTheControllerWrites(t *testing.T) {
	t.Parallel()
	s := newSituation(active)
	s.home.Annotations = map[string]string{api.AnnotationContact: "alice@example.com", api.AnnotationTeam: "Team A"}
	s.classes["small"].labels = map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	namespace := namespaceOf(&s, decide(s))
	says := expressionsOf(t, "journal-controller-namespaces")
	for _, keys := range []map[string]string{namespace.GetLabels(), namespace.GetAnnotations()} {
		for key := range keys {
			if !strings.Contains(says, `"`+key+`"`) {
				t.Errorf("the policy does not know %s", key)
			}
		}
	}
	if want := fmt.Sprintf("%q + variables.labels[?%q]", api.NamespacePrefix, api.LabelTenant); !strings.Contains(says, want) {
		t.Errorf("the policy on names does not say %s", want)
	}
	if hosts := namespace.GetAnnotations()[api.AnnotationHosts]; hosts != "*."+namespace.GetName()+"."+s.domain || !strings.Contains(says, `"*." + object.metadata.name + "."`) {
		t.Errorf("the hosts are %q, and the policy says something else", hosts)
	}

	says = expressionsOf(t, "journal-controller-bindings")
	for _, binding := range claimedBindings {
		if want := fmt.Sprintf("%q: %q", binding.name, binding.role); !strings.Contains(says, want) {
			t.Errorf("the policy on bindings does not say %s", want)
		}
	}
	if says = expressionsOf(t, "journal-claim-owner"); !strings.Contains(says, `"`+api.Finalizer+`"`) {
		t.Errorf("the policy on claims does not know the finalizer %s", api.Finalizer)
	}
}

func TestTheRolesThatTheControllerGoesByAreTheStacks(t *testing.T) {
	t.Parallel()
	roles := declared(t, "ClusterRole")
	bound, _, _ := unstructured.NestedSlice(roles["journal-"+controllerName].Object, "rules")
	for _, binding := range claimedBindings {
		if roles[binding.role] == nil {
			t.Errorf("there is no ClusterRole %s", binding.role)
		}
		if !strings.Contains(fmt.Sprint(bound), binding.role) {
			t.Errorf("the controller may not bind %s", binding.role)
		}
	}
}

func TestTheStackRunsTheControllerAsItIsBuilt(t *testing.T) {
	t.Parallel()
	deployment := declaredAs[appsv1.Deployment](t, "Deployment", claimsDeployment(t))
	pod := deployment.Spec.Template.Spec
	if pod.ServiceAccountName != controllerName {
		t.Errorf("its account is %s", pod.ServiceAccountName)
	}
	if want := []string{"--namespace=journal-platform"}; !slices.Equal(pod.Containers[0].Args, want) || deployment.Namespace != "journal-platform" {
		t.Errorf("it runs in %s with %v, want %v", deployment.Namespace, pod.Containers[0].Args, want)
	}
	ports := map[string]int32{}
	for _, port := range pod.Containers[0].Ports {
		ports[port.Name] = port.ContainerPort
	}
	if ports["metrics"] != 8080 || ports["health"] != 8081 { // the defaults of the flags
		t.Errorf("its ports are %v", ports)
	}
	if probe := pod.Containers[0].ReadinessProbe.HTTPGet; probe.Path != "/readyz" || probe.Port.String() != "health" {
		t.Errorf("its readiness is asked for at %s of %s", probe.Path, probe.Port.String())
	}
}

// claimsDeployment returns the name of the controller's Deployment, which the engine makes up.
func claimsDeployment(t *testing.T) string {
	t.Helper()
	for name, object := range declared(t, "Deployment") {
		if object.GetLabels()["app.kubernetes.io/name"] == controllerName {
			return name
		}
	}
	t.Fatal("the stack runs no controller")
	return ""
}
