package tenancy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

// teamA is the least that a tenant needs.
func teamA() *TenantArgs {
	return &TenantArgs{Owner: "user:alice", Contact: "alice@example.com"}
}

// declareShared runs a program that declares what all tenants share.
func declareShared(t *testing.T) *graph.Graph {
	t.Helper()
	return graphtest.Run(t, func(ctx *pulumi.Context) error {
		if _, err := NewRoles(ctx, "roles", &RolesArgs{Everybody: Everybody([]TenantArgs{*teamA()})}); err != nil {
			return err
		}
		_, err := NewPlatform(ctx, "platform", nil)
		return err
	})
}

// deletions records the DeletedWith of each resource, which the graph does not keep.
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

// declareTenant runs a program that declares one tenant, team-a.
func declareTenant(t *testing.T, args *TenantArgs, options ...graph.Option) *graph.Graph {
	t.Helper()
	return graphtest.Run(t, func(ctx *pulumi.Context) error {
		_, err := NewTenant(ctx, "team-a", args)
		return err
	}, options...)
}

func TestATenantIsANamespaceThatSaysWhoseItIsAndEnforcesPodSecurity(t *testing.T) {
	args := teamA()
	args.Team, args.Purpose = "Team A", "the shop"
	r := graphtest.Find(t, declareTenant(t, args), graphtest.Namespace, "team-a")
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
		"journal.example.com/hosts":   "*.team-a.localhost",
	}, r.Field("metadata.annotations"))
}

func TestBaselineIsEnforcedForAReasonThatIsWrittenDown(t *testing.T) {
	args := teamA()
	args.PodSecurity, args.PodSecurityReason = "baseline", "a vendor's image runs as root"
	r := graphtest.Find(t, declareTenant(t, args), graphtest.Namespace, "team-a")
	assert.Equal(t, "baseline", r.Field(`metadata.labels["pod-security.kubernetes.io/enforce"]`))
	assert.Equal(t, "restricted", r.Field(`metadata.labels["pod-security.kubernetes.io/warn"]`))
	assert.Equal(t, "a vendor's image runs as root", r.Field(`metadata.annotations["journal.example.com/pod-security-reason"]`))
}

func TestATenantIsProtectedUnlessItSaysOtherwiseAndWhatItHoldsNeverIs(t *testing.T) {
	args := teamA()
	for _, unprotected := range []bool{false, true} {
		args.Unprotected = unprotected
		for _, r := range declareTenant(t, args).All() {
			assert.Equal(t, r.Type == graphtest.Namespace && !unprotected, r.Protected, "%s %s", r.Type, r.Name)
		}
	}
}

func TestWhatANamespaceHoldsGoesWithItAndWaitsForItAlone(t *testing.T) {
	spy := &deletions{with: map[string]string{}}
	g := graphtest.Run(t, func(ctx *pulumi.Context) error {
		for _, name := range []string{"team-a", "team-b"} {
			if _, err := NewTenant(ctx, name, teamA()); err != nil {
				return err
			}
		}
		return nil
	}, func(info *pulumi.RunInfo) { spy.MockResourceMonitor, info.Mocks = info.Mocks, spy })
	for _, r := range g.All() {
		if r.Type == graphtest.Namespace || r.Type == tenantType {
			assert.Empty(t, r.DependsOn, r.Name)
			continue
		}
		tenant, _, _ := strings.Cut(strings.TrimPrefix(r.Name, "team-"), "-")
		namespace := "::team-" + tenant
		assert.True(t, strings.HasSuffix(spy.with[r.Type+" "+r.Name], graphtest.Namespace+namespace), "%s %s is deleted with %q", r.Type, r.Name, spy.with[r.Type+" "+r.Name])
		require.Len(t, r.DependsOn, 1, r.Name)
		assert.True(t, strings.HasSuffix(r.DependsOn[0], graphtest.Namespace+namespace), "%s waits for %q", r.Name, r.DependsOn)
		assert.Equal(t, "team-"+tenant, r.Field("metadata.namespace"), r.Name)
		assert.Equal(t, tenantType+" team-"+tenant, r.ParentName())
	}
}

func TestTwoTenantsFitIntoOneStack(t *testing.T) {
	g := graphtest.Run(t, func(ctx *pulumi.Context) error {
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
	assert.Len(t, seen, 2*10)
}

func TestThePolicyObjectsHoldWhatTheClassSays(t *testing.T) {
	args := teamA()
	args.Class = "medium"
	args.Overrides = Class{Devices: map[string]int{"nvidia.com/gpu": 1}, Memory: "12Gi", LoadBalancers: new(2), VolumeClaims: new(0), MaxMemory: "6Gi"}
	g := declareTenant(t, args)
	assert.Equal(t, map[string]any{
		"requests.cpu": "4", "limits.cpu": "16", "requests.memory": "12Gi", "limits.memory": "12Gi", "requests.storage": "50Gi",
		"requests.ephemeral-storage": "25Gi", "limits.ephemeral-storage": "25Gi",
		"pods": "50", "services": "20", "services.loadbalancers": "2", "services.nodeports": "4", "persistentvolumeclaims": "0",
		"count/pods": "100", "count/configmaps": "100", "count/secrets": "100", "count/serviceaccounts": "50",
		"count/replicationcontrollers": "50", "count/deployments.apps": "50", "count/replicasets.apps": "600", "count/statefulsets.apps": "50",
		"count/daemonsets.apps": "50", "count/jobs.batch": "50", "count/cronjobs.batch": "50", "count/ingresses.networking.k8s.io": "20",
		"count/networkpolicies.networking.k8s.io":    "27", // the stack's seven, and as many as Services
		"count/horizontalpodautoscalers.autoscaling": "50", "count/poddisruptionbudgets.policy": "50",
		"count/namespaceclaims.journal.example.com": "50", "count/resourceclaims.resource.k8s.io": "0",
		"count/resourceclaimtemplates.resource.k8s.io": "0", "requests.nvidia.com/gpu": "1", "requests.amd.com/gpu": "0",
	}, graphtest.Find(t, g, graphtest.ResourceQuota, "team-a-tenant").Field("spec.hard"))
	assert.Equal(t, []any{
		map[string]any{
			"type":           "Container",
			"default":        map[string]any{"cpu": "400m", "memory": "128Mi", "ephemeral-storage": "256Mi"},
			"defaultRequest": map[string]any{"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "256Mi"},
			"max":            map[string]any{"cpu": "2", "memory": "6Gi", "ephemeral-storage": "4Gi"},
		},
		map[string]any{"type": "Pod", "max": map[string]any{"cpu": "16", "memory": "12Gi", "ephemeral-storage": "8Gi"}},
		map[string]any{"type": "PersistentVolumeClaim", "max": map[string]any{"storage": "50Gi"}},
	}, graphtest.Find(t, g, graphtest.LimitRange, "team-a-tenant").Field("spec.limits"))
}

// An empty rule, an empty peer or an empty namespace selector allows every connection. One peer with two selectors differs
// from two peers. The policies must have none of these by accident.
func TestNoNetworkPolicyOpensMoreThanItsNameSays(t *testing.T) {
	sameTenant := map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"journal.example.com/tenant": "team-a"}}}
	for ingressNamespace, from := range map[string]any{
		"traefik": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "traefik"}},
		"":        map[string]any{"matchExpressions": []any{map[string]any{"key": "journal.example.com/tenant", "operator": "DoesNotExist"}}},
	} {
		args := teamA()
		args.IngressNamespace, args.DNS = ingressNamespace, kube.DNS{"169.254.20.10/32"}
		g := declareTenant(t, args)
		for name, want := range map[string]map[string]any{
			"default-deny": {"podSelector": map[string]any{}, "policyTypes": []any{"Ingress", "Egress"}},
			"allow-same-tenant": {
				"podSelector": map[string]any{}, "policyTypes": []any{"Ingress", "Egress"},
				"ingress": []any{map[string]any{"from": []any{sameTenant}}}, "egress": []any{map[string]any{"to": []any{sameTenant}}},
			},
			"allow-dns": {
				"podSelector": map[string]any{}, "policyTypes": []any{"Egress"},
				"egress": []any{map[string]any{"to": []any{
					map[string]any{
						"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "kube-system"}},
						"podSelector":       map[string]any{"matchLabels": map[string]any{"k8s-app": "kube-dns"}},
					},
					map[string]any{"ipBlock": map[string]any{"cidr": "169.254.20.10/32"}},
				}, "ports": []any{map[string]any{"protocol": "UDP", "port": 53}, map[string]any{"protocol": "TCP", "port": 53}}}},
			},
			"allow-ingress-controller": {
				"podSelector": map[string]any{}, "policyTypes": []any{"Ingress"},
				"ingress": []any{map[string]any{"from": []any{map[string]any{"namespaceSelector": from}}}},
			},
		} {
			t.Run(fmt.Sprintf("%s, with the ingress controller in %q", name, ingressNamespace), func(t *testing.T) {
				assert.Equal(t, want, graphtest.Find(t, g, graphtest.NetworkPolicy, "team-a-"+name).Field("spec"))
			})
		}
		assert.Len(t, g.OfType(graphtest.NetworkPolicy), 4)
	}
}

// bindings returns the subjects of each role binding of the graph.
func bindings(g *graph.Graph) map[string][]string {
	subjects := map[string][]string{}
	for _, r := range g.OfType(graphtest.RoleBinding) {
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

// oneFault checks that a change of team-a breaks one rule, and that the tenant is then not declared.
func oneFault(t *testing.T, says string, change func(*TenantArgs)) {
	t.Helper()
	args := teamA()
	change(args)
	faults := args.Check("team-a")
	require.Len(t, faults, 1, "%v", faults.Err())
	assert.ErrorContains(t, faults.Err(), says)
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := NewTenant(ctx, "team-a", args)
		return err
	})
	assert.ErrorContains(t, err, faults.Err().Error())
	assert.Empty(t, g.All())
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
		{`name "kube": reserved`, func(a *TenantArgs) { a.Name = "kube" }},
		{`name "claim-a": reserved: every name that begins with claim-`, func(a *TenantArgs) { a.Name = "claim-a" }},
		{`name "claim": reserved`, func(a *TenantArgs) { a.Name = "claim" }},
		{`name "journal-web": reserved: names that begin with journal-`, func(a *TenantArgs) { a.Name = "journal-web" }},
		{`dns[0] "0.0.0.0/0": more than 16 million addresses`, func(a *TenantArgs) { a.DNS = kube.DNS{"0.0.0.0/0"} }},
		{`overrides.scratch "1Mi": below the 256Mi of one container`, func(a *TenantArgs) { a.Overrides.Scratch = "1Mi" }},
		{`overrides.resourceClaims "-1": must be 0 or more`, func(a *TenantArgs) { a.Overrides.ResourceClaims = new(-1) }},
		{`overrides.devices "gpu": not an extended resource`, func(a *TenantArgs) { a.Overrides.Devices = map[string]int{"gpu": 1} }},
		{`overrides.devices.nvidia.com/gpu "-1": must be 0 or more`, func(a *TenantArgs) { a.Overrides.Devices = map[string]int{"nvidia.com/gpu": -1} }},
		{`name "journal-platform": reserved`, func(a *TenantArgs) { a.Name = "journal-platform" }},
		{`name "traefik": the namespace of the Ingress controller; write another name, such as team-a`, func(a *TenantArgs) { a.Name, a.IngressNamespace = "traefik", "traefik" }},
		{`class "huge": no class; write one of large, medium, small`, func(a *TenantArgs) { a.Class = "huge" }},
		{`overrides.memory "10 GB": not a Kubernetes quantity`, func(a *TenantArgs) { a.Overrides.Memory = "10 GB" }},
		{`overrides.cpu "2Gi": more than 1024 CPUs`, func(a *TenantArgs) { a.Overrides.CPU = "2Gi" }},
		{`overrides.storage "5": less than 1Mi`, func(a *TenantArgs) { a.Overrides.Storage = "5" }},
		{`overrides.pods "-1": must be 1 or more`, func(a *TenantArgs) { a.Overrides.Pods = -1 }},
		{`overrides.services "-1": must be 1 or more`, func(a *TenantArgs) { a.Overrides.Services = -1 }},
		{`overrides.loadBalancers "-1": must be 0 or more`, func(a *TenantArgs) { a.Overrides.LoadBalancers = new(-1) }},
		{`overrides.volumeClaims "-1": must be 0 or more`, func(a *TenantArgs) { a.Overrides.VolumeClaims = new(-1) }},
		{`overrides.maxCpu "9": above the total of the limits, 8 (burst 4 × cpu 2); lower it to that, or raise cpu or burst`, func(a *TenantArgs) { a.Overrides.MaxCPU = "9" }},
		{`overrides.burst "101": must be 1 to 100`, func(a *TenantArgs) { a.Overrides.Burst = maxBurst + 1 }},
		{`overrides.burst "-1": must be 1 to 100`, func(a *TenantArgs) { a.Overrides.Burst = -1 }},
		{`overrides.maxCpu "3": above the total of the limits, 2 (burst 1 × cpu 2)`, func(a *TenantArgs) { a.Overrides.MaxCPU, a.Overrides.Burst = "3", 1 }},
		{`overrides.burst "2": with cpu 2 the total of the limits is 4, below maxCpu of 5; raise it, or lower maxCpu`, func(a *TenantArgs) {
			a.Classes, a.Overrides.Burst = Classes{"small": {MaxCPU: "5"}}, 2
		}},
		{`overrides.defaultCpu "2100m": above cpu of 2`, func(a *TenantArgs) { a.Overrides.DefaultCPU, a.Overrides.MaxCPU = "2100m", "3" }},
		{`overrides.logRate "4": less than 1Ki a second`, func(a *TenantArgs) { a.Overrides.LogRate = "4" }},
		{`overrides.logBurst "64Ki": less than 1Mi`, func(a *TenantArgs) { a.Overrides.LogBurst = "64Ki" }},
		{`overrides.memory "1Gi": below maxMemory of 2Gi; raise it, or lower maxMemory`, func(a *TenantArgs) { a.Overrides.Memory = "1Gi" }},
		{`overrides.defaultMemory "3Gi": above maxMemory of 2Gi`, func(a *TenantArgs) { a.Overrides.DefaultMemory = "3Gi" }},
		{`overrides.defaultCpu "2": above maxCpu of 1`, func(a *TenantArgs) { a.Overrides.DefaultCPU = "2" }},
		{`owner "": it is missing; write for example user:alice`, func(a *TenantArgs) { a.Owner = "" }},
		{`owner "alice": neither a user nor a group; write user:<name>`, func(a *TenantArgs) { a.Owner = "alice" }},
		{`contact " ": it is blank; write how the owner is reached`, func(a *TenantArgs) { a.Contact = " " }},
		{`members.developers[0] "robot:bob": neither a user nor a group`, func(a *TenantArgs) { a.Members.Developers = []Subject{"robot:bob"} }},
		{`members.developers[0] "user:": neither a user nor a group`, func(a *TenantArgs) { a.Members.Developers = []Subject{"user:"} }},
		{`members.viewers[0] "user:bob smith": it has a space`, func(a *TenantArgs) { a.Members.Viewers = []Subject{"user:bob smith"} }},
		{`members.viewers[0] "group:system:authenticated": names that begin with system:`, func(a *TenantArgs) { a.Members.Viewers = []Subject{"group:system:authenticated"} }},
		{`members.viewers[0] "user:bob": already one of the developers`, func(a *TenantArgs) {
			a.Members = Members{Developers: []Subject{"user:bob"}, Viewers: []Subject{"user:bob"}}
		}},
		{`members.developers[0] "user:alice": already one of the owners`, func(a *TenantArgs) { a.Members.Developers = []Subject{"user:alice"} }},
		{`podSecurity "privileged": must be one of restricted, baseline`, func(a *TenantArgs) { a.PodSecurity = "privileged" }},
		{`podSecurityReason "": it is missing: baseline lets`, func(a *TenantArgs) { a.PodSecurity = "baseline" }},
		{`podSecurityReason "why": restricted needs no reason`, func(a *TenantArgs) { a.PodSecurityReason = "why" }},
		{`name "team-a": the namespace of the Ingress controller; write another name, such as team-b`, func(a *TenantArgs) { a.IngressNamespace = "team-a" }},
		{`overrides.cpu "200m": with burst 4 the total of the limits is 800m, below maxCpu of 1; raise it, or lower maxCpu`, func(a *TenantArgs) { a.Overrides.CPU = "200m" }},
		{`overrides.maxCpu "50m": below defaultCpu of 100m; raise it, or lower defaultCpu`, func(a *TenantArgs) { a.Overrides.MaxCPU = "50m" }},
		{`members.developers[2] "": it is empty; write user:<name> or group:<name>`, func(a *TenantArgs) { a.Members.Developers = []Subject{"user:bob", "user:carol", ""} }},
		{`members.viewers[0] "group:a,b": it has a comma`, func(a *TenantArgs) { a.Members.Viewers = []Subject{"group:a,b"} }},
		{`it has an invisible character, U+202E; remove it`, func(a *TenantArgs) { a.Owner = "user:al\u202eice" }},
		{`it has an invisible character, U+200B; remove it`, func(a *TenantArgs) { a.Purpose = "the\u200bshop" }},
		{`ingressNamespace "Traefik": not a DNS label`, func(a *TenantArgs) { a.IngressNamespace = "Traefik" }},
	} {
		t.Run(c.says, func(t *testing.T) { oneFault(t, c.says, c.change) })
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
	// Whichever comes first, the longer name is refused.
	for _, names := range [][]string{{"team", "team-a-b", "teams"}, {"teams", "team-a-b", "team"}} {
		faults := CheckTenants([]TenantArgs{tenant(names[0]), tenant(names[1]), tenant(names[2])})
		require.Len(t, faults, 1)
		assert.ErrorContains(t, faults.Err(), `tenants[1].name "team-a-b": "team-a-b" is "team" and more behind a hyphen; an Ingress controller joins namespace and Service with a hyphen`)
	}
	assert.ErrorContains(t, CheckTenants([]TenantArgs{tenant("")}).Err(), `tenants[0].name "": it is missing; write`)
}

func TestNilArgumentsAreAllDefaultsAndOnlyWhatHasNoneIsMissing(t *testing.T) {
	assert.Equal(t, []string{"owner", "contact"}, fields((*TenantArgs)(nil).Check("team-a")))
	assert.Empty(t, (*RolesArgs)(nil).Check())
	assert.Empty(t, (*ImagePolicyArgs)(nil).Check())
	for _, program := range []pulumi.RunFunc{
		func(ctx *pulumi.Context) error { _, err := NewRoles(ctx, "roles", nil); return err },
		func(ctx *pulumi.Context) error { _, err := NewImagePolicy(ctx, "images", nil); return err },
		func(ctx *pulumi.Context) error { _, err := NewPlatform(ctx, "platform", nil); return err },
	} {
		assert.NotEmpty(t, graphtest.Run(t, program).All())
	}
}

// fields are the fields of faults.
func fields(faults rules.Faults) []string {
	names := make([]string, len(faults))
	for i, fault := range faults {
		names[i] = fault.Path
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

	err := Classes{"Tiny": {}, "huge": {Memory: "1Ti"}, "small": {MaxCPU: "9"}}.Check().In("classes").Err()
	assert.ErrorContains(t, err, `classes.Tiny "Tiny": the name of a class is not a DNS label`)
	assert.ErrorContains(t, err, `classes.small.maxCpu "9": above the total of the limits, 8`)
	assert.NotContains(t, err.Error(), "classes.huge.memory")
}

func TestPodsOfADefaultAccountHaveNoToken(t *testing.T) {
	account := graphtest.Find(t, declareTenant(t, teamA()), "kubernetes:core/v1:ServiceAccount", "team-a-default")
	assert.Equal(t, "default", account.Field("metadata.name"))
	assert.Equal(t, "team-a", account.Field("metadata.namespace"))
	assert.Equal(t, false, account.Field("automountServiceAccountToken"))
	assert.Equal(t, map[string]any{kube.PatchForce: "true"}, account.Field("metadata.annotations"))
}

func TestBurstRaisesTheLimitsOfCPUAndNothingElse(t *testing.T) {
	hard := func(c Class) map[string]string {
		return resourceQuota(c, 0)["spec"].(map[string]any)["hard"].(map[string]string)
	}
	once, often := hard(Small().With(Class{Burst: 1})), hard(Small().With(Class{Burst: 10}))
	assert.Equal(t, "2", once["limits.cpu"])
	assert.Equal(t, "20", often["limits.cpu"])
	once["limits.cpu"] = often["limits.cpu"]
	assert.Equal(t, once, often)
	standard := func(c Class) any {
		return limitRange(c)["spec"].(map[string]any)["limits"].([]any)[0].(map[string]any)["default"].(map[string]string)["cpu"]
	}
	assert.Equal(t, "100m", standard(Small().With(Class{Burst: 1})))
	assert.Equal(t, "400m", standard(Small()))
	assert.Equal(t, "1", standard(Small().With(Class{Burst: 100})), "not above maxCpu")
	assert.Equal(t, "1500m", times("500m", 3))
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

func TestRolesAreAggregatedByOurOwnLabelsAlone(t *testing.T) {
	g := declareShared(t)
	labelled := func(label string) any { return map[string]any{"matchLabels": map[string]any{label: "true"}} }
	viewer, developer, owner := labelled("journal.example.com/aggregate-to-viewer"), labelled("journal.example.com/aggregate-to-developer"), labelled("journal.example.com/aggregate-to-owner")
	for role, want := range map[string][]any{ViewerRole: {viewer}, DeveloperRole: {viewer, developer}, OwnerRole: {viewer, developer, owner}} {
		t.Run(role, func(t *testing.T) {
			r := graphtest.Find(t, g, graphtest.ClusterRole, role)
			assert.Equal(t, want, r.Field("aggregationRule.clusterRoleSelectors"))
			assert.Nil(t, r.Field("rules"), "the cluster fills them in")
		})
	}
	// If another role aggregated this one, every developer and every user of the built-in roles would have Secrets.
	assert.Equal(t, []string{"app.kubernetes.io/managed-by", "app.kubernetes.io/part-of"},
		slices.Sorted(maps.Keys(graphtest.Find(t, g, graphtest.ClusterRole, SecretsRole).Field("metadata.labels").(map[string]any))))
}

func TestEverybodyWhoIsDeclaredReadsNamespacesAndNodes(t *testing.T) {
	args := *teamA()
	args.Members = Members{Developers: []Subject{"user:bob"}, Viewers: []Subject{"group:audit"}}
	other := *teamA()
	assert.Equal(t, []Subject{"group:audit", "user:alice", "user:bob"}, Everybody([]TenantArgs{args, other}))

	const token = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
	assert.Equal(t, "alice", graphtest.Find(t, declareShared(t), token, ClusterReaderRole).Field("subjects[0].name"))
	assert.Empty(t, graphtest.Run(t, func(ctx *pulumi.Context) error { _, err := NewRoles(ctx, "roles", nil); return err }).OfType(token))
	assert.ErrorContains(t, (&RolesArgs{Everybody: []Subject{"group:system:masters"}}).Check().Err(), "names that begin with system:")
}

func TestTheListOfUsersSaysWhereEachOfThemIs(t *testing.T) {
	tenants := []TenantArgs{
		{Name: "team-a", Owner: "group:leads", Contact: "leads@example.com", Members: Members{Developers: []Subject{"user:alice", "user:bob", "group:team-a"}, Viewers: []Subject{"user:carol"}}},
		{Name: "alice", Owner: "user:alice", Contact: "alice@example.com"},
		{Name: "team-b", Owner: "user:bob", Contact: "bob@example.com", Members: Members{Owners: []Subject{"user:alice"}}},
	}
	want := map[string]User{
		"alice": {Namespace: "alice", Namespaces: map[string]string{"alice": "owner", "team-a": "developer", "team-b": "owner"}},
		"bob":   {Namespace: "team-b", Namespaces: map[string]string{"team-a": "developer", "team-b": "owner"}},
		"carol": {Namespace: "team-a", Namespaces: map[string]string{"team-a": "viewer"}},
	}
	assert.Equal(t, want, Users(tenants))

	g := graphtest.Run(t, func(ctx *pulumi.Context) error {
		_, err := NewPlatform(ctx, "platform", &PlatformArgs{Tenants: tenants})
		return err
	})
	configMap := graphtest.Find(t, g, graphtest.ConfigMap, "platform-users")
	assert.Equal(t, "users", configMap.Field("metadata.name"))
	assert.Equal(t, "journal-platform", configMap.Field("metadata.namespace"))
	var users map[string]User
	graphtest.Decode(t, configMap, "users.json", &users)
	assert.Equal(t, want, users)
	assert.Equal(t, "restricted", graphtest.Find(t, g, graphtest.Namespace, "platform").Field(`metadata.labels["pod-security.kubernetes.io/enforce"]`))
	assert.Len(t, g.OfType(graphtest.NetworkPolicy), 1)
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

func TestAClassesDevicesAreThoseOfItsOverrideAndTheOthers(t *testing.T) {
	base := Small()
	class := base.With(Class{Devices: map[string]int{"nvidia.com/gpu": 2, "gpu.intel.com/xe": 1}})
	assert.Equal(t, map[string]int{"nvidia.com/gpu": 2, "amd.com/gpu": 0, "gpu.intel.com/xe": 1}, class.Devices)
	assert.Equal(t, noDevices(), base.Devices, "the class itself stays as it is")
}
