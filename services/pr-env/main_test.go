package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"example.com/journal/services/namespace-controller/api"
)

// repository is the checkout, named below this package, so that Go's test cache sees its files.
var repository = os.DirFS(os.Getenv("PWD") + "/../..")

func TestThePullRequestIsANumber(t *testing.T) {
	for _, args := range [][]string{{"up"}, {"up", "0"}, {"up", "007"}, {"up", "12a"}, {"up", "-1"}, {"up", "1 2"}, {"up", "1234567890"}, {"down", "../x"}, {"down", "1", "2"}} {
		c := command(&bytes.Buffer{}, &bytes.Buffer{})
		c.SetArgs(args)
		err := c.Execute()
		if err == nil || !strings.Contains(err.Error(), "PR=123") && !strings.Contains(err.Error(), "unknown shorthand flag") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestAPushGivesTheWholeTimeFromNow(t *testing.T) {
	created := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for now, want := range map[time.Duration]string{0: "24h0m0s", 90*time.Minute + 700*time.Millisecond: "25h30m0s", -time.Minute: "24h0m0s"} {
		if got := lifetime(created, created.Add(now), 24*time.Hour).String(); got != want {
			t.Errorf("after %v: %s, want %s", now, got, want)
		}
	}
}

// projectOf is a folder with what the program reads of the repository.
func projectOf(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{projectFile, stackFile} {
		text, err := fs.ReadFile(repository, name)
		if err := errors.Join(err, os.WriteFile(filepath.Join(folder, name), text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// stackOf is the file of the stack in the repository.
func stackOf(t *testing.T) configuration {
	t.Helper()
	c, err := readStack(projectOf(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatTheCallerSetsIsInTheStack(t *testing.T) {
	c := stackOf(t)
	if err := c.change([]string{"api.image=registry.example.com/a:v1.0.0-0a1b2c3@sha256:00", "exposure.port=8080", "readOnly=true", "api.autoscaling.maxReplicas=4"}); err != nil {
		t.Fatal(err)
	}
	config := c.file["config"].(map[string]any)
	if image := config["journal:api"].(map[string]any)["image"]; image != "registry.example.com/a:v1.0.0-0a1b2c3@sha256:00" {
		t.Errorf("the image is %v", image)
	}
	if config["journal:readOnly"] != true || config["journal:api"].(map[string]any)["logLevel"] != "debug" {
		t.Errorf("the configuration is %v", config)
	}
	if url := c.url("pr-1.example.com"); url != "http://pr-1.example.com:8080/" {
		t.Errorf("the address is %s", url)
	}
	if url := stackOf(t).url("pr-1.example.com"); url != "http://pr-1.example.com/" {
		t.Errorf("the address without a port is %s", url)
	}
	for change, says := range map[string]string{
		"api.image": "must be a key of Pulumi.pr.yaml with its value", "=a": "must be a key", "namespace=journal": "decides the key namespace itself",
		"exposure.host=shop.example.com": "decides the key exposure.host itself", "redis.passwords=[2]": "itself", "readOnly.a=b": "",
		"namespace.x=y": "namespace is no object", "api=[": "api=[",
	} {
		if err := stackOf(t).change([]string{change}); says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v", change, err)
		}
	}
}

// golden are the objects of the stack in the repository.
func golden(t *testing.T) (objects []*unstructured.Unstructured) {
	t.Helper()
	text, err := fs.ReadFile(repository, "stacks/testdata/pr.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatal(err)
		}
		if object.GetKind() != "" {
			objects = append(objects, object)
		}
	}
	return objects
}

func TestTheStackHasOnlyKindsThatALaterPushFindsAgain(t *testing.T) {
	e := &environment{number: "1"}
	objects := golden(t)
	if len(objects) < 15 {
		t.Fatalf("there are only %d", len(objects))
	}
	if err := e.check("pr", objects); err != nil {
		t.Error(err)
	}
	if err := e.check("other", objects[:1]); err == nil || !strings.Contains(err.Error(), "it is not in namespace other") {
		t.Error(err)
	}
	for _, kind := range []string{"ClusterRole", "Namespace", "Secret", "PersistentVolumeClaim", "NetworkPolicy"} {
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: kind})
		o.SetNamespace("pr")
		if err := e.check("pr", []*unstructured.Unstructured{o}); err == nil || !strings.Contains(err.Error(), "an environment has no /v1, Kind="+kind) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if slices.ContainsFunc(kinds, func(k schema.GroupVersionKind) bool { return k.Kind == "Secret" || k.Kind == "PersistentVolumeClaim" }) {
		t.Error("a push may delete passwords or data")
	}
}

func TestThePasswordsAreTheOnesThatTheStackMounts(t *testing.T) {
	var mounted []string
	for _, o := range golden(t) {
		if o.GetKind() != "StatefulSet" {
			continue
		}
		volumes, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "volumes")
		for _, volume := range volumes {
			sources, _, _ := unstructured.NestedSlice(volume.(map[string]any), "projected", "sources")
			for _, source := range sources {
				if name, _, _ := unstructured.NestedString(source.(map[string]any), "secret", "name"); name != passwordSecret {
					t.Errorf("Redis mounts the Secret %q", name)
				}
				items, _, _ := unstructured.NestedSlice(source.(map[string]any), "secret", "items")
				for _, item := range items {
					mounted = append(mounted, item.(map[string]any)["key"].(string))
				}
			}
		}
	}
	if !slices.Equal(mounted, passwordUsers) {
		t.Errorf("Redis mounts %q, and the Secret has %q", mounted, passwordUsers)
	}
}

func TestAStackThatIsRefusedSaysWhyWithoutTheLinesOfTheCopy(t *testing.T) {
	program := filepath.Join(t.TempDir(), "render")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ntest -f \"$2/Pulumi.pr.yaml\" && echo 'render: refused:\nPulumi.pr.yaml:3: journal:api: it is missing' >&2; exit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := stackOf(t).renderIn(t.Context(), program, projectOf(t))
	if err == nil || !strings.HasSuffix(err.Error(), "cannot be rendered: exit status 1\nrender: refused:\nPulumi.pr.yaml: journal:api: it is missing") {
		t.Error(err)
	}
}

func TestTheRenderedFolderIsReadInItsOrder(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"kustomization.yaml": "resources: [pr/b.yaml, pr/a.yaml]\n", "pr/a.yaml": "kind: A\n", "pr/b.yaml": "kind: B\n"} {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	objects, err := readRendered(folder)
	if err != nil || len(objects) != 2 || objects[0].GetKind() != "B" || objects[1].GetKind() != "A" {
		t.Errorf("read %v, %v", objects, err)
	}
}

func TestAWorkloadIsRolledOutWhenAllItsPodsAreNewAndAvailable(t *testing.T) {
	for says, c := range map[string][]int32{ // generation, observed, replicas, updated, available, all
		"":                              {2, 2, 2, 2, 2, 2},
		"its controller has not looked": {3, 2, 2, 2, 2, 2},
		"1 of 2 pods are as declared":   {2, 2, 2, 1, 2, 3},
		"1 old pods are still there":    {2, 2, 2, 2, 2, 3},
		"0 of 2 pods are available":     {2, 2, 2, 2, 0, 2},
		"0 of 2 pods are as declared":   {1, 1, 2, 0, 0, 0},
	} {
		if got := lacks(int64(c[0]), int64(c[1]), &c[2], c[3], c[4], c[5]); !strings.HasPrefix(got, says) || says == "" && got != "" {
			t.Errorf("%v: %q, want %q", c, got, says)
		}
	}
}

func TestAPodThatDoesNotRunSaysWhy(t *testing.T) {
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}}
	for says, status := range map[string]corev1.PodStatus{
		"container api: ImagePullBackOff: no such image": {ContainerStatuses: []corev1.ContainerStatus{{Name: "api", State: waiting}}},
		"Unschedulable: 0/1 nodes":                       {Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes"}}},
		"":                                               {Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	} {
		if got := notReady(&corev1.Pod{Status: status}); got != says {
			t.Errorf("says %q, want %q", got, says)
		}
	}
}

// cluster answers as an API server with these objects, for a user.
func cluster(t *testing.T, user string, calls interceptor.Funcs, objects ...client.Object) (*environment, *bytes.Buffer) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), api.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	create := calls.Create
	calls.Create = func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
		if review, is := o.(*authentication.SelfSubjectReview); is {
			review.Status.UserInfo.Username = user
			return nil
		}
		if create != nil {
			return create(ctx, c, o, opts...)
		}
		return c.Create(ctx, o, opts...)
	}
	said := &bytes.Buffer{}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(calls).Build()
	return &environment{client: c, number: "7", tenant: "team-a", patience: 50 * time.Millisecond, poll: 5 * time.Millisecond, now: time.Now, stdout: said}, said
}

// claimed is the claim of pull request 7 of an owner, in a state.
func claimed(owner string, status api.NamespaceClaimStatus) *api.NamespaceClaim {
	return &api.NamespaceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "pr-7", UID: "1", Labels: map[string]string{pullRequestLabel: "7"}},
		Spec: api.NamespaceClaimSpec{Owner: owner, Access: api.AccessTenant, Class: "small", TTL: "1h", Purpose: "p"}, Status: status}
}

func active() api.NamespaceClaimStatus {
	return api.NamespaceClaimStatus{Namespace: "claim-team-a-pr-7-x", Phase: api.Active, Message: "it is there", Conditions: []metav1.Condition{{Type: api.ConditionReady, Status: metav1.ConditionTrue}}}
}

func TestAClaimThatGetsNoNamespaceSaysWhatTheControllerSays(t *testing.T) {
	for _, c := range []struct {
		sentence, says string
		status         api.NamespaceClaimStatus
	}{
		{"refused", `claim "pr-7" of tenant team-a is refused: the number of claims of bob would be 3, and the limit is 2; it waits for room until make pr-env-down PR=7`,
			api.NamespaceClaimStatus{Phase: api.Refused, Message: "the number of claims of bob would be 3, and the limit is 2"}},
		{"not looked at", "has no namespace after 50ms: nothing was said about it; ask who runs the cluster", api.NamespaceClaimStatus{}},
		{"not applied", "apply ResourceQuota: no; ask", api.NamespaceClaimStatus{Phase: api.Pending, Message: "apply ResourceQuota: no"}},
	} {
		e, _ := cluster(t, "bob", interceptor.Funcs{}, claimed("bob", c.status))
		if _, err := e.claim(t.Context(), "small", time.Hour); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.sentence, err)
		}
	}
}

func TestAPushOfAnotherDeveloperUpdatesAndDoesNotProlong(t *testing.T) {
	refuse := interceptor.Funcs{Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "namespaceclaims"}, "pr-7", errors.New("it belongs to bob"))
	}}
	e, said := cluster(t, "carol", refuse, claimed("bob", active()))
	claim, err := e.claim(t.Context(), "medium", time.Hour)
	if err != nil || claim.Spec.TTL != "1h" || !strings.Contains(said.String(), "not prolonged: its claim belongs to bob") || !strings.Contains(said.String(), "keeps its class small") {
		t.Errorf("%v, %v, %s", claim, err, said)
	}
	e, _ = cluster(t, "bob", refuse, claimed("bob", active()))
	if _, err := e.claim(t.Context(), "small", time.Hour); err == nil || !strings.Contains(err.Error(), "name a tenant of which you are a developer") {
		t.Errorf("the owner is refused, and it is no error: %v", err)
	}
}

func TestAnAccountOfTheClusterOwnsNoEnvironment(t *testing.T) {
	e, _ := cluster(t, "system:serviceaccount:team-a:deployer", interceptor.Funcs{})
	if _, err := e.claim(t.Context(), "small", time.Hour); err == nil || !strings.Contains(err.Error(), "an account of the cluster owns no namespace") {
		t.Error(err)
	}
}

func TestAnErrorOfAClusterThatDoesNotAnswerSaysWhatToDo(t *testing.T) {
	for says, err := range map[string]error{
		"; name the kubeconfig of the cluster in KUBECONFIG": errors.New("connection refused"),
		"; renew the credential of your kubeconfig":          apierrors.NewUnauthorized("no"),
		"name a tenant of which you are a developer":         apierrors.NewForbidden(schema.GroupResource{}, "pr-7", nil),
	} {
		e, _ := cluster(t, "bob", interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return err
		}})
		if got := e.down(t.Context()); got == nil || !strings.Contains(got.Error(), says) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func TestAClaimOfThatNameWhichIsNoEnvironmentIsLeftAlone(t *testing.T) {
	other := claimed("bob", active())
	other.Labels = nil
	e, _ := cluster(t, "bob", interceptor.Funcs{}, other)
	_, up := e.claim(t.Context(), "small", time.Hour)
	for _, err := range []error{up, e.down(t.Context())} {
		if err == nil || !strings.Contains(err.Error(), "pr-env has not made it") {
			t.Error(err)
		}
	}
	if err := e.client.Get(t.Context(), client.ObjectKeyFromObject(other), &api.NamespaceClaim{}); err != nil {
		t.Error(err)
	}
}

func TestDownWaitsUntilTheClaimIsGoneAndSaysSoIfThereIsNone(t *testing.T) {
	e, said := cluster(t, "bob", interceptor.Funcs{}, claimed("bob", active()))
	for _, says := range []string{"the environment of pull request 7 is gone", "pull request 7 has no environment in tenant team-a"} {
		if err := e.down(t.Context()); err != nil || !strings.Contains(said.String(), says) {
			t.Errorf("%v: %s", err, said)
		}
	}
	held := claimed("bob", api.NamespaceClaimStatus{Namespace: "claim-x", Message: "namespace claim-x is being deleted"})
	held.Finalizers = []string{api.Finalizer}
	e, _ = cluster(t, "bob", interceptor.Funcs{}, held)
	if err := e.down(t.Context()); err == nil || !strings.Contains(err.Error(), "is still there after 50ms: namespace claim-x is being deleted; it goes on by itself") {
		t.Error(err)
	}
}

func TestThePasswordsAreMadeOnceAndNotShown(t *testing.T) {
	refusals := 2 // the rights are as new as the namespace
	e, said := cluster(t, "bob", interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
		if refusals--; refusals >= 0 {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, o.GetName(), errors.New("no binding"))
		}
		return c.Create(ctx, o, opts...)
	}})
	read := func() map[string]string {
		secret := &corev1.Secret{}
		if err := errors.Join(e.secret(t.Context(), "x"), e.client.Get(t.Context(), client.ObjectKey{Namespace: "x", Name: passwordSecret}, secret)); err != nil {
			t.Fatal(err)
		}
		return secret.StringData
	}
	first, second := read(), read()
	values := map[string]bool{}
	for _, user := range passwordUsers {
		if len(first[user]) != 32 || first[user] != second[user] {
			t.Errorf("the password of %s has %d letters, and stays: %t", user, len(first[user]), first[user] == second[user])
		}
		values[first[user]] = true
	}
	if len(values) != len(passwordUsers) || said.Len() > 0 {
		t.Errorf("%d passwords differ; it said %q", len(values), said)
	}
}

func TestTheHostIsBelowThatOfTheNamespace(t *testing.T) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "claim-x", Annotations: map[string]string{api.AnnotationHosts: "*.claim-x.example.com"}}}
	e, _ := cluster(t, "bob", interceptor.Funcs{}, namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "bare"}})
	if host, err := e.host(t.Context(), "claim-x"); err != nil || host != "pr-7.claim-x.example.com" {
		t.Error(host, err)
	}
	if _, err := e.host(t.Context(), "bare"); err == nil || !strings.Contains(err.Error(), "must be *.<domain>") {
		t.Error(err)
	}
}
