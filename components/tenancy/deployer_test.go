package tenancy

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"

	"example.com/journal/components/internal/declare"
	"example.com/journal/components/kube"
	"example.com/journal/internal/graphtest"
)

// subjectsOf returns the kind and name of each subject of a binding of team-a.
func subjectsOf(t *testing.T, args *TenantArgs, binding string) (role string, subjects []string) {
	t.Helper()
	r := graphtest.Find(t, declareTenant(t, args), graphtest.RoleBinding, "team-a-"+binding)
	for _, subject := range r.Field("subjects").([]any) {
		fields := subject.(map[string]any)
		subjects = append(subjects, fields["kind"].(string)+" "+fields["name"].(string))
	}
	role, _ = r.Field("roleRef.name").(string)
	return role, subjects
}

func TestADeployerHasTheRightsOfADeveloperAndItsTokensAreTheOwners(t *testing.T) {
	args := teamA()
	args.Deployer = true
	args.Members = Members{Owners: []Subject{"group:leads"}, Developers: []Subject{"user:bob"}, Viewers: []Subject{"user:vera"}}
	g := declareTenant(t, args)
	account := graphtest.Find(t, g, graphtest.ServiceAccount, "team-a-deployer")
	assert.Equal(t, "deployer", account.Field("metadata.name"))
	assert.Equal(t, "team-a", account.Field("metadata.namespace"))
	assert.Equal(t, false, account.Field("automountServiceAccountToken"))

	role, subjects := subjectsOf(t, args, "deployer")
	assert.Equal(t, DeveloperRole, role)
	assert.Equal(t, []string{"ServiceAccount deployer"}, subjects)
	assert.Equal(t, "team-a", graphtest.Find(t, g, graphtest.RoleBinding, "team-a-deployer").Field("subjects[0].namespace"))
	role, subjects = subjectsOf(t, args, "deployer-tokens")
	assert.Equal(t, DeployerTokensRole, role)
	assert.Equal(t, []string{"User alice", "Group leads"}, subjects)
	_, err := g.Find(graphtest.RoleBinding, "team-a-deployer-secrets")
	assert.Error(t, err, "no Secrets unless the tenant has them")

	args.SecretAccess = true
	role, subjects = subjectsOf(t, args, "deployer-secrets")
	assert.Equal(t, SecretsRole, role)
	assert.Equal(t, []string{"ServiceAccount deployer"}, subjects)
}

func TestATenantHasNoDeployerUnlessItAsksForOne(t *testing.T) {
	for _, r := range declareTenant(t, teamA()).All() {
		assert.NotContains(t, r.Name, "deployer")
	}
}

func TestTokensAreGrantedForTheDeployerAlone(t *testing.T) {
	g := declareShared(t)
	tokens := graphtest.Find(t, g, graphtest.ClusterRole, DeployerTokensRole)
	assert.Equal(t, []string{"/serviceaccounts/token:create"}, graphtest.Grants(tokens))
	assert.Equal(t, []any{"deployer"}, tokens.Field("rules[0].resourceNames"))
	for _, role := range g.OfType(graphtest.ClusterRole) {
		if role.Name != DeployerTokensRole {
			assert.NotContains(t, graphtest.Grants(role), "/serviceaccounts/token:create", role.Name)
		}
	}
}

func TestTheQuotaHasRoomForWhatTheStackAdds(t *testing.T) {
	const accounts, secrets = `spec.hard["count/serviceaccounts"]`, `spec.hard["count/secrets"]`
	quota := func(args *TenantArgs) (any, any) {
		r := graphtest.Find(t, declareTenant(t, args), graphtest.ResourceQuota, "team-a-tenant")
		return r.Field(accounts), r.Field(secrets)
	}
	args := teamA()
	args.Overrides = Class{Pods: 1}
	account, secret := quota(args)
	assert.Equal(t, []any{"1", "2"}, []any{account, secret})
	args.Deployer = true // beside the account default, which every namespace has
	args.PullSecret = &PullSecretArgs{Registry: "registry.example.com", Username: "puller", Password: pulumi.String("hunter2")}
	account, secret = quota(args)
	assert.Equal(t, []any{"2", "3"}, []any{account, secret})

	g := declareTenant(t, args)
	for token, name := range map[string]string{graphtest.ServiceAccount: "team-a-deployer", graphtest.Secret: "team-a-pull"} {
		assert.Contains(t, graphtest.Find(t, g, token, name).DependsOn, "urn:pulumi:test::journal::"+tenantType+"$"+graphtest.ResourceQuota+"::team-a-tenant", "%s waits for the quota", name)
	}
}

func TestAQuotaOfAnotherFormIsRefusedAndNotLeftWithoutRoom(t *testing.T) {
	spec := map[string]any{"hard": map[string]any{"count/secrets": "1"}}
	err := teamA().adjustQuota([]kube.Object{declare.Object("v1", "ResourceQuota", PolicyObjectName, spec)})
	assert.EqualError(t, err, "ResourceQuota tenant: spec.hard has the type map[string]interface {}; must be map[string]string")
}

func TestUsersAreShownWhatTheNamespacesOffer(t *testing.T) {
	with, without := *teamA(), *teamA()
	with.Name, with.Deployer, without.Name = "team-a", true, "team-b"
	offered := func(args *PlatformArgs) (o Offers) {
		g := graphtest.Run(t, func(ctx *pulumi.Context) error {
			_, err := NewPlatform(ctx, "platform", args)
			return err
		})
		graphtest.Decode(t, graphtest.Find(t, g, graphtest.ConfigMap, "platform-users"), "offers.json", &o)
		return o
	}
	assert.Equal(t, Offers{Deployers: []string{}}, offered(nil))
	assert.Equal(t, Offers{Image: "redis:7.4.2", Claims: true, Deployers: []string{"team-a"}},
		offered(&PlatformArgs{Tenants: []TenantArgs{with, without}, Claims: true, Image: "redis:7.4.2"}))
}

func TestACIsOwnIdentityMayBeAMember(t *testing.T) {
	args := teamA()
	args.Members.Developers = []Subject{"user:oidc:repo:example/app:ref:refs/heads/main", "group:oidc:example/deploy"}
	assert.NoError(t, args.Check("team-a").Err())
	_, subjects := subjectsOf(t, args, "developers")
	assert.Equal(t, []string{"User oidc:repo:example/app:ref:refs/heads/main", "Group oidc:example/deploy"}, subjects)
}

func TestAPIServersWithOtherAudiencesSaySo(t *testing.T) {
	g := graphtest.Run(t, func(ctx *pulumi.Context) error {
		_, err := NewAdmissionPolicies(ctx, "admission-policies", &AdmissionPoliciesArgs{TokenAudiences: []string{"https://oidc.example.com"}})
		return err
	})
	assert.Contains(t, graphtest.Find(t, g, graphtest.AdmissionPolicy, "journal-tenant-tokens").Field("spec.variables[2].expression"),
		`["https://oidc.example.com","https://kubernetes.default.svc.cluster.local","https://kubernetes.default.svc"]`)
	assert.ErrorContains(t, (&AdmissionPoliciesArgs{TokenAudiences: []string{"a", ""}}).Check().Err(), `tokenAudiences[1] "": not an audience; write it as`)
}
