package claims

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/kube"
	"example.com/journal/components/tenancy"
	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

const controllerImage = "registry.example.com/namespace-controller:v0.1.0-0a1b2c3"

// declareAll runs a program that declares everything, with one tenant.
func declareAll(t *testing.T, change func(*Args), options ...graph.Option) *graph.Graph {
	t.Helper()
	return graphtest.Run(t, func(ctx *pulumi.Context) error {
		tenant := &tenancy.TenantArgs{Name: "team-a", Owner: "user:alice", Contact: "alice@example.com"}
		if _, err := tenancy.NewRoles(ctx, "roles", &tenancy.RolesArgs{Everybody: tenancy.Everybody([]tenancy.TenantArgs{*tenant})}); err != nil {
			return err
		}
		if _, err := tenancy.NewImagePolicy(ctx, "images", nil); err != nil {
			return err
		}
		policies, err := tenancy.NewAdmissionPolicies(ctx, "admission-policies", nil)
		if err != nil {
			return err
		}
		platform, err := tenancy.NewPlatform(ctx, "platform", &tenancy.PlatformArgs{Tenants: []tenancy.TenantArgs{*tenant}})
		if err != nil {
			return err
		}
		args := &Args{Platform: platform, Image: pulumi.String(controllerImage)}
		if change != nil {
			change(args)
		}
		claims, err := New(ctx, "claims", args)
		if err != nil {
			return err
		}
		tenant.DependsOn = append(slices.Clone(policies.Bindings), claims.Controller)
		_, err = tenancy.NewTenant(ctx, "team-a", tenant)
		return err
	}, options...)
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

func TestATenantOfEachClassAndAClaimOfItHaveTheSamePolicyObjects(t *testing.T) {
	for _, ingressNamespace := range []string{"", "traefik"} {
		all := declareAll(t, func(a *Args) { a.IngressNamespace, a.MetricsNamespace = ingressNamespace, "journal-metrics" })
		for class, size := range tenancy.Classes(nil).WithDefaults() {
			var claimed []map[string]any
			configMap := graphtest.Find(t, all, graphtest.ConfigMap, "claims-class-"+class)
			assert.Equal(t, "class-"+class, configMap.Field("metadata.name"))
			assert.Equal(t, class, configMap.Field(`metadata.labels["journal.example.com/class"]`))
			graphtest.Decode(t, configMap, "objects.json", &claimed)
			require.Len(t, claimed, 6)

			args := &tenancy.TenantArgs{Owner: "user:alice", Contact: "alice@example.com"}
			args.Class, args.IngressNamespace, args.MetricsNamespace = class, ingressNamespace, "journal-metrics"
			tenant := declareTenant(t, args)
			for _, want := range claimed {
				if want["kind"] == "ResourceQuota" {
					// A claimed namespace has no claims, load balancers or node ports.
					hard := want["spec"].(map[string]any)["hard"].(map[string]any)
					for _, count := range []string{"count/namespaceclaims.journal.example.com", "services.loadbalancers", "services.nodeports"} {
						assert.Equal(t, "0", hard[count], count)
						hard[count] = graphtest.Find(t, tenant, graphtest.ResourceQuota, "team-a-tenant").Field("spec.hard").(map[string]any)[count]
					}
				}
				token := "kubernetes:" + strings.Replace("core/"+want["apiVersion"].(string), "core/networking", "networking", 1) + ":" + want["kind"].(string)
				assert.Equal(t, want, plainInputs(t, graphtest.Find(t, tenant, token, "team-a-"+kube.Object(want).Name())))
			}
			assert.Len(t, tenant.All(), 1+1+1+len(claimed)+1+1, "component, namespace, account, policy objects, the one that the controller makes itself, owners")

			var namespace struct{ Labels map[string]any }
			graphtest.Decode(t, configMap, "namespace.json", &namespace)
			labels := graphtest.Find(t, tenant, graphtest.Namespace, "team-a").Field("metadata.labels").(map[string]any)
			for key, value := range namespace.Labels {
				assert.Equal(t, value, labels[key])
			}
			var totals tenancy.Class
			graphtest.Decode(t, configMap, "size.json", &totals)
			assert.Equal(t, size, totals)
		}
	}
}

func TestEveryAdmissionPolicyRefusesWhenItCannotDecide(t *testing.T) {
	g := declareAll(t, nil)
	policies := g.OfType(graphtest.AdmissionPolicy)
	require.Len(t, policies, 20)
	for _, policy := range policies {
		assert.Equal(t, "Fail", policy.Field("spec.failurePolicy"), policy.Name)
		binding := graphtest.Find(t, g, graphtest.AdmissionBinding, policy.Name)
		assert.Equal(t, policy.Name, binding.Field("spec.policyName"))
		assert.Contains(t, binding.Field("spec.validationActions"), "Deny", policy.Name)
		if policy.Field("spec.matchConstraints.resourceRules[0].resources[0]") == "*" {
			assert.Equal(t, "Namespaced", policy.Field("spec.matchConstraints.resourceRules[0].scope"), "%s: a selector of namespaces selects every volume too", policy.Name)
		}
		for i := range policy.Field("spec.validations").([]any) {
			assert.NotEmpty(t, policy.Field(fmt.Sprintf("spec.validations[%d].messageExpression", i)), policy.Name)
		}
	}
}

func TestTheControllerMayWriteOnlyWhatThePoliciesAllow(t *testing.T) {
	g := declareAll(t, nil)
	for _, name := range []string{"journal-controller-namespaces", "journal-controller-policy-objects", "journal-controller-bindings", "journal-controller-pods"} {
		policy := graphtest.Find(t, g, graphtest.AdmissionPolicy, name)
		assert.Equal(t, `request.userInfo.username == "system:serviceaccount:journal-platform:namespace-controller"`, policy.Field("spec.matchConditions[0].expression"))
		assert.Contains(t, policy.Field("spec.matchConstraints.resourceRules[0].operations"), "DELETE")
	}
	var held []string
	for _, rule := range graphtest.Grants(graphtest.Find(t, g, graphtest.ClusterRole, "journal-namespace-controller")) {
		resource, verb, _ := strings.Cut(rule, ":")
		if verb == "delete" || verb == "bind" {
			held = append(held, rule)
		}
		assert.NotContains(t, []string{"/secrets", "/pods/exec", "/pods/eviction", "/configmaps", "/serviceaccounts"}, resource)
		assert.True(t, resource != "/pods" || verb == "list" || verb == "delete", rule)
		assert.NotContains(t, rule, "*")
		assert.NotContains(t, []string{"escalate", "impersonate", "deletecollection"}, verb)
	}
	assert.Equal(t, []string{"/namespaces:delete", "rbac.authorization.k8s.io/clusterroles:bind", "journal.example.com/namespaceclaims:delete", "/pods:delete"}, held)
	assert.Equal(t, []any{tenancy.OwnerRole, tenancy.DeveloperRole, tenancy.ViewerRole, tenancy.SecretsRole}, graphtest.Find(t, g, graphtest.ClusterRole, "journal-namespace-controller").Field("rules[4].resourceNames"))
	assert.Equal(t, "journal-platform", graphtest.Find(t, g, "kubernetes:rbac.authorization.k8s.io/v1:Role", "claims").Field("metadata.namespace"))
}

func TestTheControllerIsHardenedAndItsTokenIsTheOneException(t *testing.T) {
	r := graphtest.Find(t, declareAll(t, nil), graphtest.Deployment, "claims")
	assert.Equal(t, 2, r.Field("spec.replicas"))
	assert.Equal(t, tenancy.PlatformPriorityClass, r.Field("spec.template.spec.priorityClassName"))
	assert.Equal(t, "namespace-controller", r.Field("spec.template.spec.serviceAccountName"))
	assert.Equal(t, false, r.Field("spec.template.spec.automountServiceAccountToken"))
	assert.Equal(t, true, r.Field("spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem"))
	assert.Equal(t, true, r.Field("spec.template.spec.securityContext.runAsNonRoot"))
	assert.Equal(t, []any{"--namespace=journal-platform"}, r.Field("spec.template.spec.containers[0].args"))
	assert.Equal(t, 3600, r.Field("spec.template.spec.volumes[1].projected.sources[0].serviceAccountToken.expirationSeconds"))
	assert.Equal(t, "/var/run/secrets/kubernetes.io/serviceaccount", r.Field("spec.template.spec.containers[0].volumeMounts[1].mountPath"))
}

// A namespace with claims can be deleted only while the controller runs, with its rights and its connection.
func TestTheControllerComesBeforeTheTenantsAndAfterWhatItNeeds(t *testing.T) {
	g := declareAll(t, nil)
	controller := graphtest.Find(t, g, graphtest.Deployment, "claims")
	waits := strings.Join(controller.DependsOn, "\n")
	for _, need := range []string{
		graphtest.CRD + "::claims", graphtest.CRD + "::claims-budgets", graphtest.AdmissionBinding + "::journal-controller-pods", "ClusterRoleBinding::claims", "RoleBinding::claims", graphtest.NetworkPolicy + "::claims",
		graphtest.AdmissionBinding + "::journal-controller-namespaces", graphtest.AdmissionBinding + "::journal-controller-policy-objects",
		graphtest.AdmissionBinding + "::journal-controller-bindings", graphtest.AdmissionBinding + "::journal-claim-owner",
		graphtest.AdmissionBinding + "::journal-claim-new-owner",
	} {
		assert.Contains(t, waits, need)
	}
	assert.Equal(t, "true", controller.Field(`metadata.annotations["pulumi.com/skipAwait"]`), "the tenants would wait for its pods")
	assert.Contains(t, strings.Join(graphtest.Find(t, g, graphtest.Namespace, "team-a").DependsOn, "\n"), graphtest.Deployment+"::claims")
}

func TestTheClaimsDefinitionIsTheFileAsItIs(t *testing.T) {
	crd := graphtest.Find(t, declareAll(t, nil), graphtest.CRD, "claims")
	assert.Equal(t, "namespaceclaims.journal.example.com", crd.Field("metadata.name"))
	assert.Equal(t, "v1alpha1", crd.Field("spec.versions[0].name"))
	assert.Equal(t, "Namespaced", crd.Field("spec.scope"))
	assert.NotNil(t, crd.Field("spec.versions[0].subresources.status"))
	assert.Equal(t, "self == oldSelf",
		crd.Field(`spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.class["x-kubernetes-validations"][0].rule`))
	assert.Contains(t, string(claimDefinition), "kind: NamespaceClaim")
}

func TestEachRuleOfTheClaimsIsReported(t *testing.T) {
	for _, c := range []struct {
		says   string
		change func(*Args)
	}{
		{`image "namespace-controller:latest": the tag of an own image`, func(a *Args) { a.Image = pulumi.String("namespace-controller:latest") }},
		{`replicas "1": must be 2 or more`, func(a *Args) { a.Replicas = 1 }},
		{`memory "1 GB": not a Kubernetes quantity`, func(a *Args) { a.Resources.Memory = "1 GB" }},
		{`classes.small.cpu "two": not a Kubernetes quantity`, func(a *Args) { a.Classes = tenancy.Classes{"small": {CPU: "two"}} }},
		{`maxTTL "3d": not a duration above zero`, func(a *Args) { a.MaxTTL = "3d" }},
		{`defaultTTL "100h": above maxTTL of 72h`, func(a *Args) { a.DefaultTTL = "100h" }},
		{`warnBefore "-1h": not a duration above zero`, func(a *Args) { a.WarnBefore = "-1h" }},
		{`warnBefore "8h": not below defaultTTL of 8h`, func(a *Args) { a.WarnBefore = "8h" }},
		{`claimsPerOwner "-1": must be 1 or more`, func(a *Args) { a.ClaimsPerOwner = -1 }},
		{`defaultShare.cpu "8 cores": not a Kubernetes quantity`, func(a *Args) {
			a.DefaultShare.CPU = "8 cores"
		}},
		{`defaultShare.storage "5": less than 1Mi`, func(a *Args) { a.DefaultShare.Storage = "5" }},
		{`defaultShare.classes[1] "huge": must be one of large, medium, small`, func(a *Args) {
			a.DefaultShare.Classes = []string{"small", "huge"}
		}},
		{`share.team-a.volumeClaims "-1": must be 0 or more`, func(a *Args) { a.Share = map[string]Share{"team-a": {VolumeClaims: new(-1)}} }},
		{`domain "Dev.example.com": not a DNS name`, func(a *Args) { a.Domain = "Dev.example.com" }},
		{`dns[1] "10.0.0.1": must be a range of addresses`, func(a *Args) { a.DNS = kube.DNS{"10.0.0.1/32", "10.0.0.1"} }},
		{`share.team-a.claims "-1": must be 1 or more`, func(a *Args) { a.Share = map[string]Share{"team-a": {Claims: -1}} }},
		{`share.team-z "team-z": no tenant of this stack`, func(a *Args) {
			a.Share, a.Tenants = map[string]Share{"team-z": {}}, []tenancy.TenantArgs{{Name: "team-a"}}
		}},
		{`ingressNamespace "Traefik": not a DNS label`, func(a *Args) { a.IngressNamespace = "Traefik" }},
		{`apiServerPorts[1] "65536": must be 1 to 65535`, func(a *Args) { a.APIServerPorts = []int{443, 65536} }},
		{`share.team-a.classes[0] "large": its cpu of 8 is above the share's of 4, so that nobody could claim it`, func(a *Args) {
			a.Share = map[string]Share{"team-a": {CPU: "4", Classes: []string{"large"}}}
		}},
		{`share.team-a.classes[1] "wide": its cpu of 3 is above the share's of 2, so that nobody could claim it; raise cpu of the share`, func(a *Args) {
			a.Classes = tenancy.Classes{"wide": tenancy.Small().With(tenancy.Class{CPU: "3"})}
			a.Share, a.Tenants = map[string]Share{"team-a": {Classes: []string{"small", "wide"}}}, []tenancy.TenantArgs{{Name: "team-a"}}
		}},
		{`share.team-a.classes[0] "wide": its 8 volumeClaims are above the share's 6, so that nobody could claim it; raise volumeClaims of the share`, func(a *Args) {
			a.Classes = tenancy.Classes{"wide": tenancy.Small().With(tenancy.Class{VolumeClaims: new(8)})}
			a.Share = map[string]Share{"team-a": {VolumeClaims: new(6), Classes: []string{"wide"}}}
		}},
		{`defaultShare.classes[0] "small": its 20 pods are above the share's 5`, func(a *Args) {
			a.DefaultShare.Pods, a.DefaultShare.Classes = 5, []string{"small"}
		}},
	} {
		t.Run(c.says, func(t *testing.T) {
			args := &Args{Image: pulumi.String(controllerImage)}
			c.change(args)
			faults := args.Check()
			require.Len(t, faults, 1, "%v", faults.Err())
			assert.ErrorContains(t, faults.Err(), c.says)
		})
	}
}

func TestClaimsWithoutAPlatformAreRefused(t *testing.T) {
	_, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := New(ctx, "claims", &Args{Image: pulumi.String(controllerImage)})
		return err
	})
	assert.ErrorContains(t, err, `claims "claims": platform is missing`)
}

func TestAPreviewDeclaresTheSameAsAnUpdate(t *testing.T) {
	previewed, updated := declareAll(t, nil, graph.Preview()), declareAll(t, nil)
	require.Len(t, previewed.All(), len(updated.All()))
	for i, r := range updated.All() {
		assert.Equal(t, r.Type+" "+r.Name, previewed.All()[i].Type+" "+previewed.All()[i].Name)
	}
}

func TestTheRulesAreThereBeforeTheTenants(t *testing.T) {
	waits := strings.Join(graphtest.Find(t, declareAll(t, nil), graphtest.Namespace, "team-a").DependsOn, "\n")
	for _, policy := range []string{"journal-tenant-ingresses", "journal-tenant-pods", "journal-tenant-finalizers"} {
		assert.Contains(t, waits, graphtest.AdmissionPolicy+"Binding::"+policy)
	}
	assert.Contains(t, waits, graphtest.Deployment+"::claims", "and so is the controller of claims")
}

func TestNoRoleOfATenantHoldsMoreThanItMay(t *testing.T) {
	g := declareAll(t, nil)
	for _, r := range g.OfType(graphtest.ClusterRole) {
		if r.Name == "journal-namespace-controller" {
			continue
		}
		for _, rule := range graphtest.Grants(r) {
			if r.Name == tenancy.SecretsRole {
				assert.True(t, strings.HasPrefix(rule, "/secrets:"), rule)
				continue
			}
			if r.Name == tenancy.DeployerTokensRole {
				assert.Equal(t, "/serviceaccounts/token:create", rule)
				assert.Equal(t, []any{tenancy.DeployerName}, r.Field("rules[0].resourceNames"))
				continue
			}
			for _, forbidden := range []string{
				"/secrets:", "/serviceaccounts/token", ":impersonate", ":bind", ":escalate", ":approve", "*", "/pods/proxy", "/services/proxy",
			} {
				assert.NotContains(t, rule, forbidden, r.Name)
			}
			if slices.Contains(kube.ReadVerbs, rule[strings.LastIndex(rule, ":")+1:]) {
				continue
			}
			if strings.Contains(rule, "/networkpolicies:") {
				assert.Equal(t, tenancy.OwnerRole+"-base", r.Name, "admission lets owners open their pods inward")
			}
			for _, written := range []string{"/resourcequotas", "/limitranges", "/endpoints", "/endpointslices", "/bindings", "/status"} {
				assert.NotContains(t, rule, written, r.Name)
			}
			if strings.Contains(rule, kube.RBACGroup) || strings.HasPrefix(rule, "/namespaces:") || strings.HasPrefix(rule, "/nodes:") {
				assert.True(t, slices.Contains(kube.ReadVerbs, rule[strings.LastIndex(rule, ":")+1:]), "%s: %s", r.Name, rule)
			}
		}
	}
}

func TestEveryWorkloadIsLookedAtForItsPodsAndItsImages(t *testing.T) {
	g := declareAll(t, nil)
	for _, name := range []string{"journal-tenant-pods", "journal-image-policy"} {
		resources := fmt.Sprint(graphtest.Find(t, g, graphtest.AdmissionPolicy, name).Field("spec.matchConstraints.resourceRules"))
		for _, resource := range []string{"pods", "replicationcontrollers", "deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs"} {
			assert.Contains(t, resources, resource, name)
		}
	}
}

// declareTenant runs a program that declares one tenant, team-a.
func declareTenant(t *testing.T, args *tenancy.TenantArgs) *graph.Graph {
	t.Helper()
	return graphtest.Run(t, func(ctx *pulumi.Context) error {
		_, err := tenancy.NewTenant(ctx, "team-a", args)
		return err
	})
}
