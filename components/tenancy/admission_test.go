package tenancy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheClusterAndTheConfigurationAcceptTheSameImages(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0a", 32)
	cluster := regexp.MustCompile(exactImage) // the cluster's expressions have Go's regular expressions
	accepted := 0
	for _, reference := range []string{
		"redis:7.4.2", "docker.io/library/redis:7.4.2-bookworm", "nginx:v1.29.0_debian-12", "app:v1.2.3-rc.1-0a1b2c3",
		"registry.example.com/team-a/app:v1.2.3-0a1b2c3", "registry.example.com:5000/app:v0.1.0-0123456789abcdef", "app:v1.2.3",
		"app:v1.2.3-dirty", "registry.example.com/app" + digest, "registry.example.com/app:latest" + digest, "localhost:5000/a/b:1.2.3",
		"redis", "redis:", "redis:latest", "redis:7", "redis:7.4", "redis:bookworm", "registry.example.com:5000/app", "redis:v7",
		"Redis:7.4.2", "redis:7.4.2 ", " redis:7.4.2", "redis:7.4.2\n", "redis:latest\nredis:7.4.2", "redis@sha256:abc", "redis:latest@sha256:abc",
		"redis:1.2.3@sha256:abc", "redis:1.2.3" + digest, "redis" + digest + digest, "redis:1.2.3:latest", "redis:1.2.3/latest",
		"registry.example.com/app:1.2.3-", "redis:1.2.3+build", "redis:.1.2.3", "", ":1.2.3", "/redis:1.2.3", "a//b:1.2.3",
		"redis:1x2y3", "redis:1.2.3latest", "redis:1.2.latest", "redis" + strings.ToUpper(digest), "redis:v1.2.3-" + strings.Repeat("f", 40),
	} {
		want := kube.CheckImage(reference, kube.OwnImage) == nil || kube.CheckImage(reference, kube.ForeignImage) == nil
		assert.Equal(t, want, cluster.MatchString(reference), "%q", reference)
		if want {
			accepted++
		}
	}
	assert.Greater(t, accepted, 10)
}

func TestTheImagePolicyHoldsForTenantsAndWarnsOrDenies(t *testing.T) {
	for action, want := range map[string][]any{"": {"Deny", "Audit"}, Deny: {"Deny", "Audit"}, Warn: {"Warn", "Audit"}} {
		g := run(t, func(ctx *pulumi.Context) error {
			_, err := NewImagePolicy(ctx, "images", &ImagePolicyArgs{Action: action})
			return err
		})
		policy := find(t, g, admissionToken, "journal-image-policy")
		assert.Equal(t, "Fail", policy.Field("spec.failurePolicy"))
		assert.Equal(t, []any{map[string]any{"key": "journal.example.com/tenant", "operator": "Exists"}},
			policy.Field("spec.matchConstraints.namespaceSelector.matchExpressions"))
		assert.Contains(t, fmt.Sprint(policy.Field("spec.matchConstraints.resourceRules")), "pods/ephemeralcontainers")
		for _, container := range []string{"containers", "initContainers", "ephemeralContainers"} {
			assert.Contains(t, policy.Field("spec.variables[1].expression"), "."+container+".map")
		}
		assert.Contains(t, policy.Field("spec.variables[1].expression"), "r'"+exactImage+"'")
		assert.Equal(t, want, find(t, g, admissionToken+"Binding", "journal-image-policy").Field("spec.validationActions"))
	}
	assert.ErrorContains(t, (&ImagePolicyArgs{Action: "audit"}).Check().Err(), `action "audit": no action; write deny or warn`)
}

func TestEveryAdmissionPolicyRefusesWhenItCannotDecide(t *testing.T) {
	g := declareAll(t, nil)
	policies := g.OfType(admissionToken)
	require.Len(t, policies, 4)
	for _, policy := range policies {
		assert.Equal(t, "Fail", policy.Field("spec.failurePolicy"), policy.Name)
		binding := find(t, g, admissionToken+"Binding", policy.Name)
		assert.Equal(t, policy.Name, binding.Field("spec.policyName"))
		assert.Contains(t, binding.Field("spec.validationActions"), "Deny", policy.Name)
		for i := range policy.Field("spec.validations").([]any) {
			assert.NotEmpty(t, policy.Field(fmt.Sprintf("spec.validations[%d].messageExpression", i)), policy.Name)
		}
	}
}

func TestTheControllersHandsAreBound(t *testing.T) {
	g := declareAll(t, nil)
	for _, name := range []string{"journal-controller-namespaces", "journal-controller-fences"} {
		policy := find(t, g, admissionToken, name)
		assert.Equal(t, `request.userInfo.username == "system:serviceaccount:journal-platform:namespace-controller"`, policy.Field("spec.matchConditions[0].expression"))
		assert.Contains(t, policy.Field("spec.matchConstraints.resourceRules[0].operations"), "DELETE")
	}
	var held []string
	for _, rule := range rules(find(t, g, clusterRoleToken, "journal-namespace-controller")) {
		resource, verb, _ := strings.Cut(rule, ":")
		if verb == "delete" || verb == "bind" {
			held = append(held, rule)
		}
		assert.NotContains(t, []string{"/secrets", "/pods", "/configmaps", "/serviceaccounts"}, resource)
		assert.NotContains(t, rule, "*")
		assert.NotContains(t, []string{"escalate", "impersonate", "deletecollection"}, verb)
	}
	assert.Equal(t, []string{"/namespaces:delete", "rbac.authorization.k8s.io/clusterroles:bind", "journal.example.com/namespaceclaims:delete"}, held)
	assert.Equal(t, []any{OwnerRole}, find(t, g, clusterRoleToken, "journal-namespace-controller").Field("rules[4].resourceNames"))
	assert.Equal(t, "journal-platform", find(t, g, "kubernetes:rbac.authorization.k8s.io/v1:Role", "claims").Field("metadata.namespace"))
}

func TestTheControllerIsHardenedAndItsTokenIsTheOneException(t *testing.T) {
	r := find(t, declareAll(t, nil), deploymentToken, "claims")
	assert.Equal(t, 2, r.Field("spec.replicas"))
	assert.Equal(t, "namespace-controller", r.Field("spec.template.spec.serviceAccountName"))
	assert.Equal(t, false, r.Field("spec.template.spec.automountServiceAccountToken"))
	assert.Equal(t, true, r.Field("spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem"))
	assert.Equal(t, true, r.Field("spec.template.spec.securityContext.runAsNonRoot"))
	assert.Equal(t, []any{"--namespace=journal-platform"}, r.Field("spec.template.spec.containers[0].args"))
	assert.Equal(t, 3600, r.Field("spec.template.spec.volumes[1].projected.sources[0].serviceAccountToken.expirationSeconds"))
	assert.Equal(t, "/var/run/secrets/kubernetes.io/serviceaccount", r.Field("spec.template.spec.containers[0].volumeMounts[1].mountPath"))
}

// A namespace with claims ends only while the controller runs, with its rights and its connection.
func TestTheControllerComesBeforeTheTenantsAndAfterWhatItNeeds(t *testing.T) {
	g := declareAll(t, nil)
	controller := find(t, g, deploymentToken, "claims")
	waits := strings.Join(controller.DependsOn, "\n")
	for _, need := range []string{
		crdToken + "::claims", "ClusterRoleBinding::claims", "RoleBinding::claims", networkPolicyToken + "::claims",
		admissionToken + "Binding::journal-controller-namespaces", admissionToken + "Binding::journal-controller-fences", admissionToken + "Binding::journal-claim-owner",
	} {
		assert.Contains(t, waits, need)
	}
	assert.Equal(t, "true", controller.Field(`metadata.annotations["pulumi.com/skipAwait"]`), "the tenants would wait for its pods")
	assert.Contains(t, strings.Join(find(t, g, namespaceToken, "team-a").DependsOn, "\n"), deploymentToken+"::claims")
}

func TestTheClaimsDefinitionIsTheFileAsItIs(t *testing.T) {
	crd := find(t, declareAll(t, nil), crdToken, "claims")
	assert.Equal(t, "namespaceclaims.journal.example.com", crd.Field("metadata.name"))
	assert.Equal(t, "v1alpha1", crd.Field("spec.versions[0].name"))
	assert.Equal(t, "Namespaced", crd.Field("spec.scope"))
	assert.NotNil(t, crd.Field("spec.versions[0].subresources.status"))
	assert.Equal(t, "self == oldSelf",
		crd.Field(`spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.owner["x-kubernetes-validations"][0].rule`))
	assert.Contains(t, string(claimDefinition), "kind: NamespaceClaim")
}

func TestTheLimitsAreWrittenAsTheControllerReadsThem(t *testing.T) {
	g := declareAll(t, func(a *ClaimsArgs) {
		a.Limits = Limits{MaxTTL: "24h", Share: map[string]Share{"team-a": {CPU: "4"}}, DryRun: true}
		a.Tenants = []string{"team-a"}
	})
	var limits map[string]any
	configMap := find(t, g, configMapToken, "claims-limits")
	decodeKey(t, configMap, "limits.json", &limits)
	assert.Equal(t, "claim-limits", configMap.Field("metadata.name"))
	assert.Equal(t, map[string]any{
		"maxTTL": "24h", "defaultTTL": "8h", "warnBefore": "1h", "claimsPerOwner": 2.0, "dryRun": true,
		"defaultShare": map[string]any{"claims": 4.0, "cpu": "8", "memory": "16Gi"},
		"share":        map[string]any{"team-a": map[string]any{"claims": 4.0, "cpu": "4", "memory": "16Gi"}},
	}, limits)
}

func TestEachRuleOfTheClaimsIsReported(t *testing.T) {
	for _, c := range []struct {
		says   string
		change func(*ClaimsArgs)
	}{
		{`image "namespace-controller:latest": the tag of an own image`, func(a *ClaimsArgs) { a.Image = "namespace-controller:latest" }},
		{`replicas "1": with less than 2`, func(a *ClaimsArgs) { a.Replicas = 1 }},
		{`memory "1 GB": not a Kubernetes quantity`, func(a *ClaimsArgs) { a.Resources.Memory = "1 GB" }},
		{`classes.small.cpu "two": not a Kubernetes quantity`, func(a *ClaimsArgs) { a.Classes = Classes{"small": {CPU: "two"}} }},
		{`limits.maxTTL "3d": not a duration above zero`, func(a *ClaimsArgs) { a.Limits.MaxTTL = "3d" }},
		{`limits.defaultTTL "100h": above maxTTL of 72h`, func(a *ClaimsArgs) { a.Limits.DefaultTTL = "100h" }},
		{`limits.warnBefore "-1h": not a duration above zero`, func(a *ClaimsArgs) { a.Limits.WarnBefore = "-1h" }},
		{`limits.warnBefore "72h": not below maxTTL`, func(a *ClaimsArgs) { a.Limits.WarnBefore = "72h" }},
		{`limits.claimsPerOwner "-1": it must be 1 or more`, func(a *ClaimsArgs) { a.Limits.ClaimsPerOwner = -1 }},
		{`limits.defaultShare.cpu "8 cores": not a Kubernetes quantity`, func(a *ClaimsArgs) {
			a.Limits.DefaultShare.CPU = "8 cores"
		}},
		{`limits.share.team-a.claims "-1": it must be 1 or more`, func(a *ClaimsArgs) { a.Limits.Share = map[string]Share{"team-a": {Claims: -1}} }},
		{`limits.share.team-z "team-z": no tenant of this stack`, func(a *ClaimsArgs) {
			a.Limits.Share, a.Tenants = map[string]Share{"team-z": {}}, []string{"team-a"}
		}},
		{`ingressNamespace "Traefik": not a DNS label`, func(a *ClaimsArgs) { a.IngressNamespace = "Traefik" }},
		{`apiServerPorts "0": no port`, func(a *ClaimsArgs) { a.APIServerPorts = []int{0} }},
	} {
		args := &ClaimsArgs{Image: controllerImage}
		c.change(args)
		faults := args.Check()
		require.Len(t, faults, 1, "%s\n%v", c.says, faults.Err())
		assert.ErrorContains(t, faults.Err(), c.says)
	}
}

func TestClaimsWithoutAPlatformAreRefused(t *testing.T) {
	_, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := NewClaims(ctx, "claims", &ClaimsArgs{Image: controllerImage})
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
