package tenancy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	namespaceToken     = "kubernetes:core/v1:Namespace"
	quotaToken         = "kubernetes:core/v1:ResourceQuota"
	limitsToken        = "kubernetes:core/v1:LimitRange"
	configMapToken     = "kubernetes:core/v1:ConfigMap"
	networkPolicyToken = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
	roleBindingToken   = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
	clusterRoleToken   = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
	admissionToken     = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
	deploymentToken    = "kubernetes:apps/v1:Deployment"
	crdToken           = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"

	controllerImage = "registry.example.com/namespace-controller:v0.1.0-0a1b2c3"
)

// teamA is the least that a tenant needs.
func teamA() *TenantArgs {
	return &TenantArgs{Owner: "user:alice", Contact: "alice@example.com"}
}

// deletions notes what each resource is deleted with, which the graph does not keep.
type deletions struct {
	pulumi.MockResourceMonitor
	mu   sync.Mutex
	with map[string]string
}

func (d *deletions) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	d.mu.Lock()
	d.with[args.TypeToken+" "+args.Name] = args.RegisterRPC.GetDeletedWith()
	d.mu.Unlock()
	return d.MockResourceMonitor.NewResource(args)
}

// run runs a program and returns its graph.
func run(t *testing.T, program pulumi.RunFunc, options ...graph.Option) *graph.Graph {
	t.Helper()
	g, err := graph.Run(program, options...)
	require.NoError(t, err)
	return g
}

// declareTenant runs a program that declares one tenant, team-a.
func declareTenant(t *testing.T, args *TenantArgs, options ...graph.Option) *graph.Graph {
	t.Helper()
	return run(t, func(ctx *pulumi.Context) error {
		_, err := NewTenant(ctx, "team-a", args)
		return err
	}, options...)
}

// declareAll runs a program that declares everything, with one tenant.
func declareAll(t *testing.T, change func(*ClaimsArgs), options ...graph.Option) *graph.Graph {
	t.Helper()
	return run(t, func(ctx *pulumi.Context) error {
		tenant := teamA()
		tenant.Name = "team-a"
		if _, err := NewRoles(ctx, "roles", &RolesArgs{Everybody: Everybody([]TenantArgs{*tenant})}); err != nil {
			return err
		}
		if _, err := NewImagePolicy(ctx, "images", nil); err != nil {
			return err
		}
		platform, err := NewPlatform(ctx, "platform", &PlatformArgs{Tenants: []TenantArgs{*tenant}})
		if err != nil {
			return err
		}
		args := &ClaimsArgs{Platform: platform, Image: controllerImage}
		if change != nil {
			change(args)
		}
		claims, err := NewClaims(ctx, "claims", args)
		if err != nil {
			return err
		}
		tenant.Claims = claims
		_, err = NewTenant(ctx, "team-a", tenant)
		return err
	}, options...)
}

// find returns the one registration with this type and name.
func find(t *testing.T, g *graph.Graph, token, name string) graph.Resource {
	t.Helper()
	r, err := g.Find(token, name)
	require.NoError(t, err)
	return r
}

// plainInputs are the inputs of a registration as its JSON would be, without metadata.namespace.
func plainInputs(t *testing.T, r graph.Resource) map[string]any {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"apiVersion": r.Field("apiVersion"), "kind": r.Field("kind"), "metadata": r.Field("metadata"), "spec": r.Field("spec"),
	})
	require.NoError(t, err)
	var object map[string]any
	require.NoError(t, json.Unmarshal(text, &object))
	delete(object["metadata"].(map[string]any), "namespace")
	return object
}

// decodeKey decodes the JSON under one key of a ConfigMap.
func decodeKey(t *testing.T, configMap graph.Resource, key string, into any) {
	t.Helper()
	data, _ := configMap.Field("data").(map[string]any)
	text, ok := data[key].(string)
	require.True(t, ok, "%s has no key %s", configMap.Name, key)
	require.NoError(t, json.Unmarshal([]byte(text), into))
}

func TestATenantIsANamespaceThatSaysWhoseItIsAndEnforcesPodSecurity(t *testing.T) {
	args := teamA()
	args.Team, args.Purpose = "Team A", "the shop"
	r := find(t, declareTenant(t, args), namespaceToken, "team-a")
	assert.Equal(t, "team-a", r.Field("metadata.name"))
	assert.Equal(t, map[string]any{
		"app.kubernetes.io/managed-by":               "pulumi",
		"app.kubernetes.io/part-of":                  "journal",
		"journal.example.com/tenant":                 "team-a",
		"pod-security.kubernetes.io/enforce":         "restricted",
		"pod-security.kubernetes.io/enforce-version": "latest",
		"pod-security.kubernetes.io/audit":           "restricted",
		"pod-security.kubernetes.io/warn":            "restricted",
	}, r.Field("metadata.labels"))
	assert.Equal(t, map[string]any{
		"journal.example.com/owner":   "alice",
		"journal.example.com/contact": "alice@example.com",
		"journal.example.com/team":    "Team A",
		"journal.example.com/purpose": "the shop",
	}, r.Field("metadata.annotations"))
}

func TestBaselineIsEnforcedForAReasonThatIsWrittenDown(t *testing.T) {
	args := teamA()
	args.PodSecurity, args.PodSecurityReason = "baseline", "a vendor's image runs as root"
	r := find(t, declareTenant(t, args), namespaceToken, "team-a")
	assert.Equal(t, "baseline", r.Field(`metadata.labels["pod-security.kubernetes.io/enforce"]`))
	assert.Equal(t, "restricted", r.Field(`metadata.labels["pod-security.kubernetes.io/warn"]`))
	assert.Equal(t, "a vendor's image runs as root", r.Field(`metadata.annotations["journal.example.com/pod-security-reason"]`))
}

func TestATenantIsProtectedUnlessItSaysOtherwiseAndWhatItHoldsNeverIs(t *testing.T) {
	args := teamA()
	for _, unprotected := range []bool{false, true} {
		args.Unprotected = unprotected
		for _, r := range declareTenant(t, args).All() {
			assert.Equal(t, r.Type == namespaceToken && !unprotected, r.Protected, "%s %s", r.Type, r.Name)
		}
	}
}

func TestWhatANamespaceHoldsGoesWithItAndWaitsForItAlone(t *testing.T) {
	spy := &deletions{with: map[string]string{}}
	g := run(t, func(ctx *pulumi.Context) error {
		for _, name := range []string{"team-a", "team-b"} {
			if _, err := NewTenant(ctx, name, teamA()); err != nil {
				return err
			}
		}
		return nil
	}, func(info *pulumi.RunInfo) { spy.MockResourceMonitor, info.Mocks = info.Mocks, spy })
	for _, r := range g.All() {
		if r.Type == namespaceToken || r.Type == tenantType {
			assert.Empty(t, r.DependsOn, r.Name)
			continue
		}
		tenant, _, _ := strings.Cut(strings.TrimPrefix(r.Name, "team-"), "-")
		namespace := "::team-" + tenant
		assert.True(t, strings.HasSuffix(spy.with[r.Type+" "+r.Name], namespaceToken+namespace), "%s %s is deleted with %q", r.Type, r.Name, spy.with[r.Type+" "+r.Name])
		require.Len(t, r.DependsOn, 1, r.Name)
		assert.True(t, strings.HasSuffix(r.DependsOn[0], namespaceToken+namespace), "%s waits for %q", r.Name, r.DependsOn)
		assert.Equal(t, "team-"+tenant, r.Field("metadata.namespace"), r.Name)
		assert.Equal(t, tenantType+" team-"+tenant, r.ParentName())
	}
}

func TestTwoTenantsFitIntoOneStack(t *testing.T) {
	g := run(t, func(ctx *pulumi.Context) error {
		for _, name := range []string{"team-a", "team-b"} {
			if _, err := NewTenant(ctx, name, teamA()); err != nil {
				return err
			}
		}
		return nil
	})
	seen := map[string]bool{}
	for _, r := range g.All() {
		key := r.Type + " " + r.Name
		assert.False(t, seen[key], "%s is registered twice", key)
		seen[key] = true
	}
	assert.Len(t, seen, 2*9)
}

func TestATenantOfEachClassAndAClaimOfItHaveTheSameFence(t *testing.T) {
	for _, ingressNamespace := range []string{"", "traefik"} {
		all := declareAll(t, func(a *ClaimsArgs) { a.IngressNamespace = ingressNamespace })
		for class, size := range Classes(nil).WithDefaults() {
			var claimed []map[string]any
			configMap := find(t, all, configMapToken, "claims-fence-"+class)
			assert.Equal(t, "fence-"+class, configMap.Field("metadata.name"))
			assert.Equal(t, class, configMap.Field(`metadata.labels["journal.example.com/fence"]`))
			decodeKey(t, configMap, "objects.json", &claimed)
			require.Len(t, claimed, 6)

			args := teamA()
			args.Class, args.IngressNamespace = class, ingressNamespace
			tenant := declareTenant(t, args)
			for _, want := range claimed {
				token := "kubernetes:" + strings.Replace("core/"+want["apiVersion"].(string), "core/networking", "networking", 1) + ":" + want["kind"].(string)
				assert.Equal(t, want, plainInputs(t, find(t, tenant, token, "team-a-"+kube.Object(want).Name())))
			}
			assert.Len(t, tenant.All(), 1+1+len(claimed)+1, "component, namespace, fence, owners")

			var namespace struct{ Labels map[string]any }
			decodeKey(t, configMap, "namespace.json", &namespace)
			labels := find(t, tenant, namespaceToken, "team-a").Field("metadata.labels").(map[string]any)
			for key, value := range namespace.Labels {
				assert.Equal(t, value, labels[key])
			}
			var totals Class
			decodeKey(t, configMap, "size.json", &totals)
			assert.Equal(t, size, totals)
		}
	}
}

func TestTheFenceHoldsWhatTheClassSays(t *testing.T) {
	args := teamA()
	args.Class = "medium"
	args.Overrides = Class{Memory: "12Gi", LoadBalancers: new(2), VolumeClaims: new(0), MaxMemory: "6Gi"}
	g := declareTenant(t, args)
	assert.Equal(t, map[string]any{
		"requests.cpu": "4", "limits.cpu": "4", "requests.memory": "12Gi", "limits.memory": "12Gi", "requests.storage": "50Gi",
		"pods": "50", "services": "20", "services.loadbalancers": "2", "services.nodeports": "4", "persistentvolumeclaims": "0",
	}, find(t, g, quotaToken, "team-a-tenant").Field("spec.hard"))
	assert.Equal(t, map[string]any{
		"type":           "Container",
		"default":        map[string]any{"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "256Mi"},
		"defaultRequest": map[string]any{"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "256Mi"},
		"max":            map[string]any{"cpu": "2", "memory": "6Gi", "ephemeral-storage": "4Gi"},
	}, find(t, g, limitsToken, "team-a-tenant").Field("spec.limits[0]"))
}

// An empty rule, an empty peer, or an empty namespace selector lets everybody through; a peer with two selectors means
// something else than two peers. None of these may slip in.
func TestNoNetworkPolicyOpensMoreThanItsNameSays(t *testing.T) {
	everyPod := map[string]any{"podSelector": map[string]any{}}
	for ingressNamespace, from := range map[string]any{
		"traefik": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "traefik"}},
		"":        map[string]any{"matchExpressions": []any{map[string]any{"key": "journal.example.com/tenant", "operator": "DoesNotExist"}}},
	} {
		args := teamA()
		args.IngressNamespace = ingressNamespace
		g := declareTenant(t, args)
		for name, want := range map[string]map[string]any{
			"default-deny": {"podSelector": map[string]any{}, "policyTypes": []any{"Ingress", "Egress"}},
			"allow-same-namespace": {
				"podSelector": map[string]any{}, "policyTypes": []any{"Ingress", "Egress"},
				"ingress": []any{map[string]any{"from": []any{everyPod}}}, "egress": []any{map[string]any{"to": []any{everyPod}}},
			},
			"allow-dns": {
				"podSelector": map[string]any{}, "policyTypes": []any{"Egress"},
				"egress": []any{map[string]any{"ports": []any{map[string]any{"protocol": "UDP", "port": 53}, map[string]any{"protocol": "TCP", "port": 53}}}},
			},
			"allow-ingress-controller": {
				"podSelector": map[string]any{}, "policyTypes": []any{"Ingress"},
				"ingress": []any{map[string]any{"from": []any{map[string]any{"namespaceSelector": from}}}},
			},
		} {
			assert.Equal(t, want, find(t, g, networkPolicyToken, "team-a-"+name).Field("spec"), name)
		}
		assert.Len(t, g.OfType(networkPolicyToken), 4)
	}
}

// bindings returns the subjects of each role binding of the graph.
func bindings(g *graph.Graph) map[string][]string {
	subjects := map[string][]string{}
	for _, r := range g.OfType(roleBindingToken) {
		list, _ := r.Field("subjects").([]any)
		for _, entry := range list {
			subject := entry.(map[string]any)
			role := r.Field("roleRef.name").(string)
			subjects[role] = append(subjects[role], fmt.Sprint(subject["kind"], " ", subject["name"]))
		}
	}
	return subjects
}

func TestMembersAreBoundByTheirRoles(t *testing.T) {
	args := teamA()
	args.Members = Members{Developers: []Subject{"user:bob", "group:oidc:team-a"}, Viewers: []Subject{"group:audit"}}
	want := map[string][]string{
		OwnerRole:     {"User alice"},
		DeveloperRole: {"User bob", "Group oidc:team-a"},
		ViewerRole:    {"Group audit"},
	}
	assert.Equal(t, want, bindings(declareTenant(t, args)))

	args.SecretAccess = true
	want[SecretsRole] = []string{"User alice", "User bob", "Group oidc:team-a"}
	assert.Equal(t, want, bindings(declareTenant(t, args)))

	assert.Equal(t, map[string][]string{OwnerRole: {"User alice"}}, bindings(declareTenant(t, teamA())))
}

func TestAnOwnerWhoIsListedIsBoundOnce(t *testing.T) {
	args := teamA()
	args.Members.Owners = []Subject{"user:bob", "user:alice"}
	assert.Equal(t, map[string][]string{OwnerRole: {"User bob", "User alice"}}, bindings(declareTenant(t, args)))
}

func TestEachRuleOfATenantIsReported(t *testing.T) {
	for _, c := range []struct {
		says   string
		change func(*TenantArgs)
	}{
		{`name "Team A": not a DNS label`, func(a *TenantArgs) { a.Name = "Team A" }},
		{`name "default": reserved`, func(a *TenantArgs) { a.Name = "default" }},
		{`name "kube-system": reserved`, func(a *TenantArgs) { a.Name = "kube-system" }},
		{`name "kube-anything": reserved`, func(a *TenantArgs) { a.Name = "kube-anything" }},
		{`name "journal-platform": reserved`, func(a *TenantArgs) { a.Name = "journal-platform" }},
		{`name "traefik": it is the namespace of the Ingress controller`, func(a *TenantArgs) { a.Name, a.IngressNamespace = "traefik", "traefik" }},
		{`class "huge": no class; write one of large, medium, small`, func(a *TenantArgs) { a.Class = "huge" }},
		{`overrides.memory "10 GB": not a Kubernetes quantity`, func(a *TenantArgs) { a.Overrides.Memory = "10 GB" }},
		{`overrides.cpu "2Gi": more than 1024 CPUs`, func(a *TenantArgs) { a.Overrides.CPU = "2Gi" }},
		{`overrides.storage "5": less than 1Mi`, func(a *TenantArgs) { a.Overrides.Storage = "5" }},
		{`overrides.pods "-1": it must be 1 or more`, func(a *TenantArgs) { a.Overrides.Pods = -1 }},
		{`overrides.services "-1": it must be 1 or more`, func(a *TenantArgs) { a.Overrides.Services = -1 }},
		{`overrides.loadBalancers "-1": it must be 0 or more`, func(a *TenantArgs) { a.Overrides.LoadBalancers = new(-1) }},
		{`overrides.volumeClaims "-1": it must be 0 or more`, func(a *TenantArgs) { a.Overrides.VolumeClaims = new(-1) }},
		{`overrides.maxCpu "3": above the whole quota of 2`, func(a *TenantArgs) { a.Overrides.MaxCPU = "3" }},
		{`overrides.maxMemory "2Gi": above the whole quota of 1Gi`, func(a *TenantArgs) { a.Overrides.Memory = "1Gi" }},
		{`overrides.defaultMemory "3Gi": above maxMemory of 2Gi`, func(a *TenantArgs) { a.Overrides.DefaultMemory = "3Gi" }},
		{`overrides.defaultCpu "2": above maxCpu of 1`, func(a *TenantArgs) { a.Overrides.DefaultCPU = "2" }},
		{`owner "": it is missing`, func(a *TenantArgs) { a.Owner = "" }},
		{`owner "alice": neither a user nor a group; write user:<name>`, func(a *TenantArgs) { a.Owner = "alice" }},
		{`contact " ": it is missing: an owner must be reachable`, func(a *TenantArgs) { a.Contact = " " }},
		{`members.developers "robot:bob": neither a user nor a group`, func(a *TenantArgs) { a.Members.Developers = []Subject{"robot:bob"} }},
		{`members.developers "user:": neither a user nor a group`, func(a *TenantArgs) { a.Members.Developers = []Subject{"user:"} }},
		{`members.viewers "user:bob smith": neither a user nor a group`, func(a *TenantArgs) { a.Members.Viewers = []Subject{"user:bob smith"} }},
		{`members.viewers "group:system:authenticated": names that begin with system:`, func(a *TenantArgs) { a.Members.Viewers = []Subject{"group:system:authenticated"} }},
		{`members.viewers "user:bob": already in the list of the developers`, func(a *TenantArgs) {
			a.Members = Members{Developers: []Subject{"user:bob"}, Viewers: []Subject{"user:bob"}}
		}},
		{`members.developers "user:alice": already in the list of the owners`, func(a *TenantArgs) { a.Members.Developers = []Subject{"user:alice"} }},
		{`podSecurity "privileged": no Pod Security Standard`, func(a *TenantArgs) { a.PodSecurity = "privileged" }},
		{`podSecurityReason "": it is missing: baseline lets`, func(a *TenantArgs) { a.PodSecurity = "baseline" }},
		{`podSecurityReason "why": restricted needs no reason`, func(a *TenantArgs) { a.PodSecurityReason = "why" }},
		{`ingressNamespace "Traefik": not a DNS label`, func(a *TenantArgs) { a.IngressNamespace = "Traefik" }},
	} {
		args := teamA()
		c.change(args)
		faults := args.Check("team-a")
		require.Len(t, faults, 1, "%s\n%v", c.says, faults.Err())
		assert.ErrorContains(t, faults.Err(), c.says)
		g, err := graph.Run(func(ctx *pulumi.Context) error {
			_, err := NewTenant(ctx, "team-a", args)
			return err
		})
		assert.ErrorContains(t, err, `tenant "team-a": `+c.says)
		assert.Empty(t, g.All())
	}
}

func TestTheTenantsOfAStackAreCheckedTogether(t *testing.T) {
	tenant := func(name string) TenantArgs {
		args := *teamA()
		args.Name = name
		return args
	}
	assert.NoError(t, CheckTenants([]TenantArgs{tenant("team-a"), tenant("team-b")}).Err())
	wrong := tenant("team-b")
	wrong.Overrides.Memory = "10 GB"
	assert.EqualError(t, CheckTenants([]TenantArgs{tenant("team-a"), wrong, tenant("team-a")}).Err(),
		`tenants[1].overrides.memory "10 GB": not a Kubernetes quantity; write a number with a suffix and no space, such as 500m for CPU or 128Mi for memory
tenants[2].name "team-a": the name of tenants[0] as well; write another one`)
	assert.ErrorContains(t, CheckTenants([]TenantArgs{tenant("")}).Err(), `tenants[0].name "": not a DNS label`)
}

func TestNilArgumentsAreAllDefaultsAndOnlyWhatHasNoneIsMissing(t *testing.T) {
	assert.Equal(t, []string{"owner", "contact"}, fields((*TenantArgs)(nil).Check("team-a")))
	assert.Equal(t, []string{"image"}, fields((*ClaimsArgs)(nil).Check()))
	assert.Empty(t, (*RolesArgs)(nil).Check())
	assert.Empty(t, (*ImagePolicyArgs)(nil).Check())
	for _, program := range []pulumi.RunFunc{
		func(ctx *pulumi.Context) error { _, err := NewRoles(ctx, "roles", nil); return err },
		func(ctx *pulumi.Context) error { _, err := NewImagePolicy(ctx, "images", nil); return err },
		func(ctx *pulumi.Context) error { _, err := NewPlatform(ctx, "platform", nil); return err },
	} {
		assert.NotEmpty(t, run(t, program).All())
	}
}

// fields are the fields of faults.
func fields(faults kube.Faults) []string {
	names := make([]string, len(faults))
	for i, fault := range faults {
		names[i] = fault.Field
	}
	return names
}

func TestAClassKeepsWhatAnOverrideLeavesOut(t *testing.T) {
	assert.Equal(t, Small(), Small().With(Class{}))
	assert.Equal(t, Large(), Small().With(Large()))
	for name, class := range Classes(nil).WithDefaults() {
		assert.NoError(t, class.Check().Err(), name)
	}
	none := Large().With(Class{LoadBalancers: new(0)})
	assert.Equal(t, 0, *none.LoadBalancers)
	assert.Equal(t, Large().Pods, none.Pods)
}

func TestClassesAreDefinedOnce(t *testing.T) {
	classes := Classes{"small": {Pods: 5}, "tiny": {CPU: "1"}}.WithDefaults()
	assert.Equal(t, []string{"large", "medium", "small", "tiny"}, classes.Names())
	assert.Equal(t, 5, classes["small"].Pods)
	assert.Equal(t, "4Gi", classes["small"].Memory)
	assert.Equal(t, 5, classes["tiny"].Pods, "a new class starts from small as it is configured")
	assert.Equal(t, Large(), classes["large"])
	assert.Equal(t, classes, classes.WithDefaults())

	err := Classes{"Tiny": {}, "huge": {Memory: "1Ti"}, "small": {MaxCPU: "4"}}.Check().Under("classes").Err()
	assert.ErrorContains(t, err, `classes.Tiny "Tiny": the name of a class is not a DNS label`)
	assert.ErrorContains(t, err, `classes.small.maxCpu "4": above the whole quota of 2`)
	assert.NotContains(t, err.Error(), "classes.huge.memory")
}

func TestATenantOfAWrongClassIsNotDeclaredThoughTheFaultIsTheClasss(t *testing.T) {
	args := teamA()
	args.Classes = Classes{"small": {Memory: "10 GB"}}
	assert.Empty(t, args.Check("team-a"))
	_, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := NewTenant(ctx, "team-a", args)
		return err
	})
	assert.ErrorContains(t, err, `tenant "team-a": class small: memory "10 GB"`)
}

// rules returns every rule of a role as group/resource:verb.
func rules(r graph.Resource) []string {
	var all []string
	list, _ := r.Field("rules").([]any)
	for _, entry := range list {
		rule := entry.(map[string]any)
		for _, group := range rule["apiGroups"].([]any) {
			for _, resource := range rule["resources"].([]any) {
				for _, verb := range rule["verbs"].([]any) {
					all = append(all, fmt.Sprint(group, "/", resource, ":", verb))
				}
			}
		}
	}
	return all
}

func TestNoRoleOfATenantHoldsMoreThanItMay(t *testing.T) {
	g := declareAll(t, nil)
	for _, r := range g.OfType(clusterRoleToken) {
		if r.Name == "journal-namespace-controller" {
			continue
		}
		for _, rule := range rules(r) {
			if r.Name == SecretsRole {
				assert.True(t, strings.HasPrefix(rule, "/secrets:"), rule)
				continue
			}
			for _, forbidden := range []string{
				"/secrets:", "/resourcequotas", "/limitranges", "/networkpolicies", "/serviceaccounts/token", ":impersonate",
				":bind", ":escalate", ":approve", "*", "/pods/proxy", "/services/proxy", "/endpoints", "/status",
			} {
				assert.NotContains(t, rule, forbidden, r.Name)
			}
			if strings.Contains(rule, rbacGroup) || strings.HasPrefix(rule, "/namespaces:") || strings.HasPrefix(rule, "/nodes:") {
				assert.True(t, slices.Contains(readVerbs, rule[strings.LastIndex(rule, ":")+1:]), "%s: %s", r.Name, rule)
			}
		}
	}
}

func TestRolesAreAggregatedWithoutTheBuiltInEdit(t *testing.T) {
	g := declareAll(t, nil)
	view := map[string]any{"matchLabels": map[string]any{aggregateToView: "true"}}
	edit := map[string]any{
		"matchLabels":      map[string]any{aggregateToEdit: "true"},
		"matchExpressions": []any{map[string]any{"key": "kubernetes.io/bootstrapping", "operator": "DoesNotExist"}},
	}
	developer := map[string]any{"matchLabels": map[string]any{aggregateToDeveloper: "true"}}
	owner := map[string]any{"matchLabels": map[string]any{aggregateToOwner: "true"}}
	for role, want := range map[string][]any{ViewerRole: {view}, DeveloperRole: {view, edit, developer}, OwnerRole: {view, edit, developer, owner}} {
		r := find(t, g, clusterRoleToken, role)
		assert.Equal(t, want, r.Field("aggregationRule.clusterRoleSelectors"), role)
		assert.Nil(t, r.Field("rules"), "the cluster fills them in")
	}
	// Secrets would reach every developer, and every user of the built-in roles, if this role were a part of another.
	assert.Equal(t, []string{"app.kubernetes.io/managed-by", "app.kubernetes.io/part-of"},
		slices.Sorted(maps.Keys(find(t, g, clusterRoleToken, SecretsRole).Field("metadata.labels").(map[string]any))))
}

func TestEverybodyWhoIsDeclaredReadsNamespacesAndNodes(t *testing.T) {
	args := *teamA()
	args.Members = Members{Developers: []Subject{"user:bob"}, Viewers: []Subject{"group:audit"}}
	other := *teamA()
	assert.Equal(t, []Subject{"group:audit", "user:alice", "user:bob"}, Everybody([]TenantArgs{args, other}))

	const token = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
	assert.Equal(t, "alice", find(t, declareAll(t, nil), token, ClusterReaderRole).Field("subjects[0].name"))
	assert.Empty(t, run(t, func(ctx *pulumi.Context) error { _, err := NewRoles(ctx, "roles", nil); return err }).OfType(token))
	assert.ErrorContains(t, (&RolesArgs{Everybody: []Subject{"group:system:masters"}}).Check().Err(), "names that begin with system:")
}

func TestTheDirectorySaysWhereEachUserIs(t *testing.T) {
	tenants := []TenantArgs{
		{Name: "team-a", Owner: "group:leads", Contact: "leads@example.com", Members: Members{Developers: []Subject{"user:alice", "user:bob", "group:team-a"}, Viewers: []Subject{"user:carol"}}},
		{Name: "alice", Owner: "user:alice", Contact: "alice@example.com"},
		{Name: "team-b", Owner: "user:bob", Contact: "bob@example.com", Members: Members{Owners: []Subject{"user:alice"}}},
	}
	want := map[string]Entry{
		"alice": {Namespace: "alice", Namespaces: map[string]string{"alice": "owner", "team-a": "developer", "team-b": "owner"}},
		"bob":   {Namespace: "team-b", Namespaces: map[string]string{"team-a": "developer", "team-b": "owner"}},
		"carol": {Namespace: "team-a", Namespaces: map[string]string{"team-a": "viewer"}},
	}
	assert.Equal(t, want, Directory(tenants))

	g := run(t, func(ctx *pulumi.Context) error {
		_, err := NewPlatform(ctx, "platform", &PlatformArgs{Tenants: tenants})
		return err
	})
	configMap := find(t, g, configMapToken, "platform-directory")
	assert.Equal(t, "directory", configMap.Field("metadata.name"))
	assert.Equal(t, "journal-platform", configMap.Field("metadata.namespace"))
	var users map[string]Entry
	decodeKey(t, configMap, "users.json", &users)
	assert.Equal(t, want, users)
	assert.Equal(t, "restricted", find(t, g, namespaceToken, "platform").Field(`metadata.labels["pod-security.kubernetes.io/enforce"]`))
	assert.Len(t, g.OfType(networkPolicyToken), 1)
}

func TestAKubeconfigSignsInByAProgramAndHoldsNoSecret(t *testing.T) {
	args := KubeconfigArgs{
		Cluster: "shared", Server: "https://kubernetes.example.com:6443", Namespace: "team-a",
		CertificateAuthority: "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n",
		Command:              []string{"kubectl", "oidc-login", "get-token", "--oidc-issuer-url=https://id.example.com", "--oidc-client-id=kubernetes"},
	}
	text, err := Kubeconfig(args)
	require.NoError(t, err)
	var config struct {
		CurrentContext string `yaml:"current-context"`
		Contexts       []struct {
			Name    string
			Context map[string]string
		}
		Clusters []struct{ Cluster map[string]string }
		Users    []struct{ User map[string]map[string]any }
	}
	require.NoError(t, encoding.YAML.Unmarshal([]byte(text), &config))
	assert.Equal(t, "team-a", config.CurrentContext)
	assert.Equal(t, map[string]string{"cluster": "shared", "namespace": "team-a", "user": "user"}, config.Contexts[0].Context)
	assert.Equal(t, "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSQotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==", config.Clusters[0].Cluster["certificate-authority-data"])
	assert.Equal(t, "kubectl", config.Users[0].User["exec"]["command"])
	assert.Equal(t, []string{"exec"}, slices.Collect(maps.Keys(config.Users[0].User)))

	_, err = Kubeconfig(KubeconfigArgs{Cluster: "Shared", Server: "kubernetes:6443", CertificateAuthority: "/etc/ca.crt"})
	for _, says := range []string{`cluster "Shared"`, `server "kubernetes:6443": no address`, `certificateAuthority "/etc/ca.crt": no certificate`, `namespace ""`, `command "[]": it is missing`} {
		assert.ErrorContains(t, err, says)
	}
}

func TestAnIsolatedTenantLetsNothingConnectByItself(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := NewTenant(ctx, "team-a", &TenantArgs{Owner: "user:alice", Contact: "alice@example.com", Isolated: true})
		return err
	})
	require.NoError(t, err)
	var names []any
	for _, policy := range g.OfType("kubernetes:networking.k8s.io/v1:NetworkPolicy") {
		names = append(names, policy.Field("metadata.name"))
	}
	assert.ElementsMatch(t, []any{"default-deny", "allow-dns"}, names)
}
