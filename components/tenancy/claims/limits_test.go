package claims

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/kube"
	"example.com/journal/components/tenancy"
	"example.com/journal/internal/graphtest"
)

// claimLimits returns what the controller reads of its limits.
func claimLimits(t *testing.T, change func(*Args)) (limits struct {
	MaxTTL, DefaultTTL, WarnBefore string
	ClaimsPerOwner                 int
	DryRun                         bool
	DefaultShare                   map[string]any
	Share                          map[string]map[string]any
}) {
	t.Helper()
	configMap := graphtest.Find(t, declareAll(t, change), graphtest.ConfigMap, "claims-limits")
	assert.Equal(t, "claim-limits", configMap.Field("metadata.name"))
	graphtest.Decode(t, configMap, "limits.json", &limits)
	return limits
}

func TestTheLimitsAreWrittenAsTheControllerReadsThem(t *testing.T) {
	limits := claimLimits(t, func(a *Args) { a.MaxTTL, a.DryRun = "24h", true })
	assert.Equal(t, "24h", limits.MaxTTL)
	assert.Equal(t, "8h", limits.DefaultTTL)
	assert.Equal(t, "1h", limits.WarnBefore)
	assert.Equal(t, 2, limits.ClaimsPerOwner)
	assert.True(t, limits.DryRun)

	var domain string
	graphtest.Decode(t, graphtest.Find(t, declareAll(t, func(a *Args) { a.Domain = "dev.example.com" }), graphtest.ConfigMap, "claims-limits"), "domain.json", &domain)
	assert.Equal(t, "dev.example.com", domain)
}

func TestTheClaimsOfATenantAreTogetherNotLargerThanItself(t *testing.T) {
	limits := claimLimits(t, func(a *Args) {
		a.Tenants = []tenancy.TenantArgs{
			{Name: "plain"}, {Name: "large", Class: "large"},
			{Name: "raised", Overrides: tenancy.Class{CPU: "6", VolumeClaims: new(0)}}, {Name: "given", Class: "medium"}, {Name: "none"},
		}
		a.Share = map[string]Share{
			"given": {CPU: "16", Memory: "16Gi", Storage: "300Gi", Pods: 107, Services: 51, VolumeClaims: new(31), Classes: []string{"large"}},
			"none":  {VolumeClaims: new(0)},
		}
		a.DefaultShare = Share{Claims: 3}
	})
	small := map[string]any{"claims": 3.0, "cpu": "2", "memory": "4Gi", "storage": "10Gi", "pods": 20.0, "services": 10.0, "volumeClaims": 5.0, "classes": []any{"small"}}
	with := func(changes map[string]any) map[string]any {
		changed := maps.Clone(small)
		maps.Copy(changed, changes)
		return changed
	}
	assert.Equal(t, map[string]map[string]any{
		"plain": small,
		"large": with(map[string]any{"cpu": "8", "memory": "16Gi", "storage": "200Gi", "pods": 100.0, "services": 50.0, "volumeClaims": 30.0,
			"classes": []any{"large", "medium", "small"}}),
		"raised": {"claims": 3.0, "cpu": "6", "memory": "4Gi", "storage": "10Gi", "pods": 20.0, "services": 10.0, "volumeClaims": 0.0},
		"given":  with(map[string]any{"cpu": "16", "memory": "16Gi", "storage": "300Gi", "pods": 107.0, "services": 51.0, "volumeClaims": 31.0, "classes": []any{"large"}}),
		"none":   with(map[string]any{"volumeClaims": 0.0}),
	}, limits.Share)
	assert.Equal(t, small, limits.DefaultShare)
}

func TestAClassFitsIntoAnotherOnlyIfNothingOfItIsLarger(t *testing.T) {
	assert.True(t, fits(tenancy.Small(), tenancy.Medium()))
	assert.True(t, fits(tenancy.Small(), tenancy.Small().With(tenancy.Class{LoadBalancers: new(0)})))
	assert.True(t, fits(tenancy.Large(), tenancy.Large().With(tenancy.Class{LoadBalancers: new(0)})), "a claimed namespace has no load balancer anyway")
	for name, more := range map[string]tenancy.Class{
		"cpu": {CPU: "2100m"}, "memory": {Memory: "4.5Gi"}, "storage": {Storage: "11Gi"}, "scratch": {Scratch: "11Gi"}, "pods": {Pods: 21}, "burst": {Burst: 5},
		"services": {Services: 11}, "volumeClaims": {VolumeClaims: new(6)}, "resourceClaims": {ResourceClaims: new(1)},
		"devices": {Devices: map[string]int{"nvidia.com/gpu": 1}},
	} {
		t.Run("more "+name, func(t *testing.T) {
			assert.False(t, fits(tenancy.Small().With(more), tenancy.Small()))
		})
	}
}

// TestEveryKindThatADeveloperMayCreateIsCounted goes by the role, so that a kind that is added to it is not forgotten here.
func TestEveryKindThatADeveloperMayCreateIsCounted(t *testing.T) {
	counts := tenancy.PolicyObjects(tenancy.Small(), 5, nil)[0]["spec"].(map[string]any)["hard"].(map[string]string)
	quota := map[string]string{"/services": "services", "/persistentvolumeclaims": "persistentvolumeclaims"}
	counted := 0
	for _, role := range []string{tenancy.DeveloperRole + "-base", tenancy.SecretsRole, "journal-namespaceclaims-edit"} {
		for _, rule := range graphtest.Grants(graphtest.Find(t, declareAll(t, nil), graphtest.ClusterRole, role)) {
			kind, creates := strings.CutSuffix(rule, ":create")
			group, resource, _ := strings.Cut(kind, "/")
			if !creates || strings.Contains(resource, "/") {
				continue
			}
			name := quota[kind]
			if name == "" {
				name = strings.TrimSuffix("count/"+resource+"."+group, ".")
			}
			assert.Contains(t, slices.Collect(maps.Keys(counts)), name)
			counted++
		}
	}
	require.Equal(t, 17, counted)
}

func TestTheControllerIsHeldToEveryPolicyObject(t *testing.T) {
	args := (&Args{}).withDefaults()
	b, err := boundsOf(args)
	require.NoError(t, err)
	for _, object := range args.policyObjects(tenancy.Small()) {
		if object["kind"] == "NetworkPolicy" {
			assert.Contains(t, b.policies, `"`+object.Name()+`": dyn({`)
		}
	}
	for _, part := range []string{`"hard": dyn({`, `"Container.max"`, `"Container.default"`, `"Container.defaultRequest"`, `"Pod.max"`, `"PersistentVolumeClaim.max"`} {
		assert.Equal(t, 3, strings.Count(b.classes, part), part)
	}
}

func TestAPolicyObjectOfAnotherShapeIsAnError(t *testing.T) {
	for _, c := range []struct {
		sentence, says string
		object         kube.Object
	}{
		{"another kind", "no admission policy holds the controller to it", kube.Object{"kind": "Secret", "spec": map[string]any{}}},
		{"no spec", "spec must be an object, and is of type <nil>", kube.Object{"kind": "ResourceQuota"}},
		{"limits that are no list", "spec.limits must be a list, and is of type string", kube.Object{"kind": "LimitRange", "spec": map[string]any{"limits": "none"}}},
		{"a limit that is no object", "spec.limits[0] must be an object, and is of type int", kube.Object{"kind": "LimitRange", "spec": map[string]any{"limits": []any{1}}}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			assert.EqualError(t, addBounds(c.object, map[string]any{}, map[string]any{}), c.says)
		})
	}
}
