package main

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"example.com/journal/services/namespace-controller/api"
)

// crdFile is the one definition of the claim, which the stack applies.
const crdFile = "components/tenancy/claims/namespaceclaim.yaml"

// budgetFile is the one definition of the budget.
const budgetFile = "components/tenancy/claims/budget.yaml"

// repository is the checkout. Go's test cache notices a change of a file whose name begins with the module's folder, as here,
// and filepath.Join would shorten the name.
var repository = os.DirFS(os.Getenv("PWD") + "/../..")

const goodLimits = `{"maxTTL":"72h","defaultTTL":"8h","warnBefore":"1h","claimsPerOwner":2,
	"share":{"team-a":{"claims":9,"cpu":"80","memory":"160Gi"}},"defaultShare":{"claims":4,"cpu":"8","memory":"16Gi"},"dryRun":false}`

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "journal-platform", Name: name}, Data: data}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	l, err := parseLimits(configMap(limitsName, map[string]string{"limits.json": goodLimits}))
	if err != nil {
		t.Fatal(err)
	}
	if l.MaxTTL.Duration != 72*time.Hour || l.WarnBefore.Duration != time.Hour || l.ClaimsPerOwner != 2 || l.DryRun {
		t.Errorf("read %+v", l)
	}
	if got := l.shareOf("team-a"); got.Claims != 9 || got.CPU.String() != "80" {
		t.Errorf("the share of team-a is %+v", got)
	}
	if got := l.shareOf("team-b"); got.Claims != 4 || got.Memory.String() != "16Gi" {
		t.Errorf("the share of team-b is %+v", got)
	}
}

func TestLimitsThatAreWrong(t *testing.T) {
	t.Parallel()
	replace := func(from, to string) map[string]string {
		return map[string]string{"limits.json": strings.Replace(goodLimits, from, to, 1)}
	}
	tests := map[string]struct {
		data map[string]string
		want string
	}{
		"missing":           {nil, "ConfigMap journal-platform/claim-limits limits.json: is not there; the stack writes it"},
		"no JSON":           {map[string]string{"limits.json": "maxTTL: 72h"}, "invalid character"},
		"two values":        {map[string]string{"limits.json": goodLimits + "{}"}, "more than one JSON value"},
		"a misspelt key":    {replace("maxTTL", "maxTtl2"), `unknown field "maxTtl2"`},
		"no duration":       {replace("72h", "three days"), "invalid duration"},
		"no quantity":       {replace("16Gi", "16 GB"), "quantities must match"},
		"no maximum":        {replace("72h", "0s"), `maxTTL "0s": not above zero`},
		"a default too big": {replace(`"defaultTTL":"8h"`, `"defaultTTL":"80h"`), `defaultTTL "80h0m0s": longer than maxTTL "72h0m0s"`},
		"a warning below 0": {replace(`"warnBefore":"1h"`, `"warnBefore":"-1h"`), `warnBefore "-1h0m0s": below zero`},
		"owners below 0":    {replace(`"claimsPerOwner":2`, `"claimsPerOwner":-2`), `claimsPerOwner "-2": below zero`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := parseLimits(configMap(limitsName, test.data)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("says %v, want %q in it", err, test.want)
			}
		})
	}
}

// goodTemplate is a template of one object.
func goodTemplate() map[string]string {
	return map[string]string{
		"namespace.json": `{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}`,
		"size.json":      `{"cpu":"2","memory":"4Gi","pods":20,"loadBalancers":1,"maxCpu":"1"}`,
		"objects.json":   `[{"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"tenant"},"spec":{"limits":[]}}]`,
	}
}

func TestATemplate(t *testing.T) {
	t.Parallel()
	f, err := parseTemplate(configMap("class-small", goodTemplate()))
	if err != nil {
		t.Fatal(err)
	}
	if f.size.CPU.String() != "2" || f.size.Memory.String() != "4Gi" || f.size.Pods != 20 || len(f.objects) != 1 || len(f.labels) != 1 {
		t.Errorf("read %+v", f)
	}
}

func TestTemplatesThatAreWrong(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ key, value, want string }{
		"no size":           {"size.json", `{"memory":"4Gi"}`, `size.json: cpu "0" and memory "4Gi" must both be above zero`},
		"no object":         {"objects.json", `[]`, "no namespace is made without its policy objects"},
		"a nameless object": {"objects.json", `[{"apiVersion":"v1","kind":"LimitRange","metadata":{}}]`, `object 0 (LimitRange ""): write apiVersion, kind`},
		"an object elsewhere": {"objects.json", `[{"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"a","namespace":"default"}}]`,
			"no metadata.namespace"},
		"no list": {"objects.json", `{}`, "cannot unmarshal"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := goodTemplate()
			data[test.key] = test.value
			if _, err := parseTemplate(configMap("class-small", data)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("says %v, want %q in it", err, test.want)
			}
		})
	}
}

// definition returns the version of a kind that its definition has, which must be that of the Go types.
func definition(t *testing.T, file string) apiextensions.CustomResourceDefinitionVersion {
	t.Helper()
	text, err := fs.ReadFile(repository, file)
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensions.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &crd); err != nil {
		t.Fatal(err)
	}
	version := crd.Spec.Versions[0]
	if crd.Spec.Group != api.GroupVersion.Group || version.Name != api.GroupVersion.Version {
		t.Errorf("is %s/%s, want %s", crd.Spec.Group, version.Name, api.GroupVersion)
	}
	return version
}

// hasFields checks that a Go type has the fields that the definition has, those of embedded types included.
func hasFields(t *testing.T, of reflect.Type, properties map[string]apiextensions.JSONSchemaProps) {
	t.Helper()
	var fields []string
	for _, field := range reflect.VisibleFields(of) {
		if !field.Anonymous {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			fields = append(fields, name)
		}
	}
	slices.Sort(fields)
	if defined := slices.Sorted(maps.Keys(properties)); !slices.Equal(fields, defined) {
		t.Errorf("%s has %v in Go and %v in the definition", of, fields, defined)
	}
}

// TestTheTypesAreThoseOfTheDefinition compares the fields of the Go types with those that the stack applies.
func TestTheTypesAreThoseOfTheDefinition(t *testing.T) {
	t.Parallel()
	version := definition(t, crdFile)
	schema := version.Schema.OpenAPIV3Schema.Properties
	for part, of := range map[string]reflect.Type{
		"spec": reflect.TypeFor[api.NamespaceClaimSpec](), "status": reflect.TypeFor[api.NamespaceClaimStatus](),
	} {
		t.Run(part, func(t *testing.T) { hasFields(t, of, schema[part].Properties) })
	}
	var phases []string
	for _, value := range schema["status"].Properties["phase"].Enum {
		var phase string
		if err := json.Unmarshal(value.Raw, &phase); err != nil {
			t.Fatal(err)
		}
		phases = append(phases, phase)
	}
	if want := []string{"Pending", "Active", "Expiring", "Deleting", "Refused"}; !slices.Equal(phases, want) {
		t.Errorf("the phases are %v, want %v", phases, want)
	}
}

func TestACopyOfAClaimSharesNothing(t *testing.T) {
	t.Parallel()
	s := newSituation(active)
	p := decide(s)
	p.conditions(s.now)
	s.claim.Status = *p.status
	list := &api.NamespaceClaimList{Items: []api.NamespaceClaim{*s.claim}}
	copied := list.DeepCopyObject().(*api.NamespaceClaimList)
	if !reflect.DeepEqual(list, copied) {
		t.Fatalf("copied %+v to %+v", list, copied)
	}
	item := &copied.Items[0]
	item.Finalizers[0], item.Status.Conditions[0].Message, item.Status.ExpiresAt.Time = "x", "x", created
	if reflect.DeepEqual(list.Items[0].Finalizers, item.Finalizers) || list.Items[0].Status.Conditions[0].Message == "x" ||
		list.Items[0].Status.ExpiresAt.Equal(item.Status.ExpiresAt) {
		t.Error("a change of the copy changes the claim")
	}
}
