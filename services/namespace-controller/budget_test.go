package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"example.com/journal/services/namespace-controller/api"
)

// quotaIn is a quota of 4 CPUs, 8Gi, 20 pods, of which some are used.
func quotaIn(namespace, cpu, memory, pods string) corev1.ResourceQuota {
	list := func(cpu, memory, pods string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceRequestsCPU: resource.MustParse(cpu), corev1.ResourceRequestsMemory: resource.MustParse(memory), corev1.ResourcePods: resource.MustParse(pods)}
	}
	return corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: quotaName},
		Spec: corev1.ResourceQuotaSpec{Hard: list("4", "8Gi", "20")}, Status: corev1.ResourceQuotaStatus{Used: list(cpu, memory, pods)}}
}

func TestABudgetIsTheTenantAndItsClaimsTogether(t *testing.T) {
	t.Parallel()
	home := namespaceNamed("team-b", "home", map[string]string{api.LabelTenant: "team-b"})
	given := share{Claims: 4, size: size{CPU: resource.MustParse("2500m"), Memory: resource.MustParse("4Gi"), Pods: 30}, Classes: []string{"small"}}
	quotas := func() []corev1.ResourceQuota {
		return []corev1.ResourceQuota{quotaIn("claim-team-b-z", "250m", "512Mi", "2"), quotaIn("team-b", "1500m", "1Gi", "5"), quotaIn("claim-team-b-a", "0", "0", "0")}
	}
	status := budgetOf(home, quotas(), 2, given)
	if got, want := status.Amounts, (api.Amounts{CPU: "1750m/6500m", Memory: "1536Mi/12Gi", Storage: "0/0", Pods: "7/50", Services: "0/0", VolumeClaims: "0/0"}); got != want {
		t.Errorf("together %+v, want %+v", got, want)
	}
	if status.Claims != "2/4" || status.Suspended {
		t.Errorf("%s claims, suspended %t", status.Claims, status.Suspended)
	}
	var parts []string
	for _, part := range status.Namespaces {
		parts = append(parts, part.Name+" "+part.CPU+" "+part.Memory+" "+part.Pods)
	}
	if want := []string{"team-b 1500m/4 1Gi/8Gi 5/20", "claim-team-b-a 0/4 0/8Gi 0/20", "claim-team-b-z 250m/4 512Mi/8Gi 2/20"}; !slices.Equal(parts, want) {
		t.Errorf("the parts are %q, want %q", parts, want)
	}

	if got := budgetOf(home, quotas(), 0, share{Claims: 4, size: given.size}); got.CPU != "1750m/4" || got.Claims != "0/0" {
		t.Errorf("a tenant that may claim no class has %s CPU and %s claims", got.CPU, got.Claims)
	}
	home.Labels[api.LabelSuspended] = "true"
	stopped := quotas()
	stopped[1].Spec.Hard[corev1.ResourcePods] = resource.MustParse("0")
	if got := budgetOf(home, stopped, 2, given); got.Pods != "7/0" || !got.Suspended || got.CPU != "1750m/6500m" {
		t.Errorf("a suspended tenant has %s pods and %s CPU, suspended %t", got.Pods, got.CPU, got.Suspended)
	}
}

func TestABudgetIsOfANamespaceThatTheStackDeclares(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		namespace string
		labels    map[string]string
		deleted   bool
		is        bool
	}{
		"a tenant's":             {"team-b", map[string]string{api.LabelTenant: "team-b"}, false, true},
		"a claimed one":          {"team-b", map[string]string{api.LabelTenant: "team-b", api.LabelClaimUID: "x"}, false, false},
		"one labelled by hand":   {"other", map[string]string{api.LabelTenant: "team-b"}, false, false},
		"one of nobody":          {"team-b", nil, false, false},
		"one that is at its end": {"team-b", map[string]string{api.LabelTenant: "team-b"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := namespaceNamed(test.namespace, "home", test.labels)
			if test.deleted {
				namespace.DeletionTimestamp = &metav1.Time{Time: created}
			}
			if got := isHome(namespace); got != test.is {
				t.Errorf("%t, want %t", got, test.is)
			}
		})
	}
}

func TestACachedQuotaKeepsWhatABudgetIsMadeOf(t *testing.T) {
	t.Parallel()
	quota := quotaIn("team-b", "1500m", "1Gi", "5")
	quota.ManagedFields, quota.Annotations = []metav1.ManagedFieldsEntry{{Manager: "pulumi"}}, map[string]string{"a": "b"}
	quota.Spec.Hard["count/secrets"], quota.Status.Hard = resource.MustParse("40"), quota.Spec.Hard
	trimmed, err := trimQuota(&quota)
	if err != nil {
		t.Fatal(err)
	}
	kept := trimmed.(*corev1.ResourceQuota)
	if kept.ManagedFields != nil || kept.Annotations != nil || len(kept.Status.Hard) != 3 || len(kept.Spec.Hard) != 3 || len(kept.Status.Used) != 3 {
		t.Errorf("kept %+v", kept)
	}
	if got, want := budgetOf(namespaceNamed("team-b", "home", nil), []corev1.ResourceQuota{*kept}, 0, share{}), budgetOf(namespaceNamed("team-b", "home", nil), []corev1.ResourceQuota{quota}, 0, share{}); !reflect.DeepEqual(got, want) {
		t.Errorf("makes %+v, want %+v", got, want)
	}
}

func TestTheTypesOfTheBudgetAreThoseOfItsDefinition(t *testing.T) {
	t.Parallel()
	version := definition(t, budgetFile)
	status := version.Schema.OpenAPIV3Schema.Properties["status"].Properties
	for _, compared := range []struct {
		of      reflect.Type
		defined map[string]apiextensions.JSONSchemaProps
	}{{reflect.TypeFor[api.BudgetStatus](), status}, {reflect.TypeFor[api.NamespaceAmounts](), status["namespaces"].Items.Schema.Properties}} {
		hasFields(t, compared.of, compared.defined)
	}
	for _, column := range version.AdditionalPrinterColumns {
		if _, there := status[strings.TrimPrefix(column.JSONPath, ".status.")]; !there {
			t.Errorf("column %s shows %s, which is not there", column.Name, column.JSONPath)
		}
	}
}

func TestACopyOfABudgetSharesNothing(t *testing.T) {
	t.Parallel()
	list := &api.BudgetList{Items: []api.Budget{{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}},
		Status: api.BudgetStatus{Claims: "1/4", Namespaces: []api.NamespaceAmounts{{Name: "team-b"}}}}}}
	copied := list.DeepCopyObject().(*api.BudgetList)
	if !reflect.DeepEqual(list, copied) {
		t.Fatalf("copied %+v to %+v", list, copied)
	}
	copied.Items[0].Labels["a"], copied.Items[0].Status.Namespaces[0].Name = "x", "x"
	if list.Items[0].Labels["a"] == "x" || list.Items[0].Status.Namespaces[0].Name == "x" {
		t.Error("a change of the copy changes the budget")
	}
}
