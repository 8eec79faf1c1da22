//go:build e2e

package main

import (
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"example.com/journal/services/namespace-controller/api"
)

// asleep is the tenant that the stack of these tests declares suspended.
const asleep = "asleep"

// suspendIn makes the policies of the stack hold asleep to be suspended. The stack dev suspends no tenant.
func suspendIn(policy *unstructured.Unstructured) {
	variables, _, _ := unstructured.NestedSlice(policy.Object, "spec", "variables")
	for _, variable := range variables {
		if fields := variable.(map[string]any); fields["name"] == "suspended" || fields["name"] == "members" {
			fields["expression"] = strings.Replace(fields["expression"].(string), " in []", ` in ["`+asleep+`"]`, 1)
			_ = unstructured.SetNestedSlice(policy.Object, variables, "spec", "variables")
		}
	}
}

func TestWhoeverTakesTheControllerOverSuspendsAndResumesNobody(t *testing.T) {
	controller := cluster.controller
	for name, test := range map[string]struct {
		tenant, label string
		says          string
	}{
		"of a suspended tenant":                     {asleep, "true", ""},
		"of a suspended tenant, without the label":  {asleep, "", "tenants that the stack declares suspended, and on no others"},
		"of a suspended tenant, with another value": {asleep, "false", "tenants that the stack declares suspended, and on no others"},
		"of another tenant":                         {"awake", "true", "tenants that the stack declares suspended, and on no others"},
		"of another tenant, without the label":      {"awake", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := claimedNamespace("claim-"+test.tenant+"-try-abcde", test.tenant)
			if test.label != "" {
				set(namespace.Labels, api.LabelSuspended, test.label)
			}
			judge(t, controller.Create(t.Context(), namespace, client.DryRunAll), test.says)
		})
	}
	// What an administrator has labelled by hand stays as it is.
	namespace := claimedNamespace("claim-awake-hand-abcde", "awake")
	set(namespace.Labels, api.LabelSuspended, "true")
	apply(t, namespace)
	changed := namespace.DeepCopy()
	set(changed.Annotations, api.AnnotationExpires, "2031-01-01T00:00:00Z")
	judge(t, controller.Patch(t.Context(), changed, client.MergeFrom(namespace), client.DryRunAll), "")
}

func TestWhoeverTakesTheControllerOverStartsNothingInASuspendedNamespace(t *testing.T) {
	controller := cluster.controller
	suspended, other := claimedNamespace("claim-"+asleep+"-bounds-abcde", asleep), claimedNamespace("claim-awake-bounds-abcde", "awake")
	set(suspended.Labels, api.LabelSuspended, "true")
	apply(t, suspended)
	apply(t, other)
	const quota, people = "the quota tenant of one of the stack's classes and no other; that of a suspended tenant has no pods", "gives rights to members of the tenant by their roles in the stack"
	quotaIn := func(namespace string, pods ...string) client.Object {
		for _, object := range classesOfTheStack(t)["small"].objects {
			if object.GetKind() == "ResourceQuota" {
				object.SetNamespace(namespace)
				for _, key := range pods {
					_ = unstructured.SetNestedField(object.Object, "0", "spec", "hard", key)
				}
				return object
			}
		}
		return nil
	}
	stopped := []string{"pods", "count/pods", "count/jobs.batch"}
	binding := func(namespace, name, role, user string) client.Object {
		subjects := ""
		if user != "" {
			subjects = "{apiGroup: rbac.authorization.k8s.io, kind: User, name: " + user + "}"
		}
		return within(t, namespace, "RoleBinding", name, "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "+role+"}\nsubjects: ["+subjects+"]")
	}
	for name, test := range map[string]struct {
		object client.Object
		says   string
	}{
		"a quota without pods":                         {quotaIn(suspended.Name, stopped...), ""},
		"a quota with pods":                            {quotaIn(suspended.Name), quota},
		"a quota without pods but with finished ones":  {quotaIn(suspended.Name, "pods", "count/jobs.batch"), quota},
		"a quota with less than the class":             {quotaIn(suspended.Name, append([]string{"services"}, stopped...)...), quota},
		"a quota without pods where nothing is asleep": {quotaIn(other.Name, stopped...), quota},
		"a member reads":                               {binding(suspended.Name, viewersBinding, viewerRole, "alice"), ""},
		"somebody else reads":                          {binding(suspended.Name, viewersBinding, viewerRole, "mallory"), people},
		"a member reads as an owner":                   {binding(suspended.Name, viewersBinding, ownerRole, "alice"), "each of its own role, and no other"},
		"a member owns":                                {binding(suspended.Name, ownersBinding, ownerRole, "alice"), people},
		"a member develops":                            {binding(suspended.Name, developersBinding, developerRole, "alice"), people},
		"a member has the Secrets":                     {binding(suspended.Name, secretsBinding, secretsRole, "alice"), people},
		"nobody owns":                                  {binding(suspended.Name, ownersBinding, ownerRole, ""), ""},
		"nobody has the Secrets":                       {binding(suspended.Name, secretsBinding, secretsRole, ""), ""},
		"a member reads where nothing is asleep":       {binding(other.Name, viewersBinding, viewerRole, "alice"), ""},
		"a member owns where nothing is asleep":        {binding(other.Name, ownersBinding, ownerRole, "alice"), ""},
	} {
		t.Run(name, func(t *testing.T) { judge(t, controller.Create(t.Context(), test.object, client.DryRunAll), test.says) })
	}
}

func TestWhoeverTakesTheControllerOverDeletesPodsOfSuspendedNamespacesOnly(t *testing.T) {
	controller := cluster.controller
	const only = "the controller deletes pods of namespaces with the label " + api.LabelSuspended + ", and does nothing else to pods"
	for name, test := range map[string]struct {
		labels map[string]string
		says   string
	}{
		"a suspended tenant's":       {map[string]string{api.LabelTenant: "pods-suspended", api.LabelSuspended: "true"}, ""},
		"a tenant's":                 {map[string]string{api.LabelTenant: "pods-tenant"}, only},
		"a resumed tenant's":         {map[string]string{api.LabelTenant: "pods-resumed", api.LabelSuspended: "false"}, only},
		"of no tenant, with a label": {map[string]string{api.LabelSuspended: "true"}, only},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := "pods-" + strings.NewReplacer(" ", "-", "'", "", ",", "").Replace(name)
			apply(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: maps.Clone(test.labels)}})
			pod := newPod(namespace, "web")
			apply(t, pod)
			judge(t, controller.Delete(t.Context(), pod, client.DryRunAll), test.says)
			if _, err := cluster.clients.CoreV1().Pods(namespace).Get(t.Context(), "web", metav1.GetOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// newPod is a pod that the restricted Pod Security Standard accepts and no kubelet runs.
func newPod(namespace, name string) *corev1.Pod {
	small := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")}
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.PodSpec{
		AutomountServiceAccountToken: new(false),
		SecurityContext:              &corev1.PodSecurityContext{RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		Containers: []corev1.Container{{Name: "main", Image: "registry.example.com/web:1.0.0", Resources: corev1.ResourceRequirements{Requests: small, Limits: small},
			SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}}},
	}}
}
