package tenancy

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

// puller are credentials whose password no message and no input may show.
func puller() *PullSecretArgs {
	return &PullSecretArgs{Registry: "registry.example.com:5000", Username: "puller", Password: pulumi.String("hunter2")}
}

func TestATenantHasThePullSecretEncrypted(t *testing.T) {
	for registry, key := range map[string]string{
		"registry.example.com:5000": "registry.example.com:5000", "registry.example.com/team-a": "registry.example.com/team-a", "docker.io": "https://index.docker.io/v1/",
	} {
		t.Run(registry, func(t *testing.T) {
			args := teamA()
			args.PullSecret = puller()
			args.PullSecret.Registry = registry
			secret := graphtest.Find(t, declareTenant(t, args), graphtest.Secret, "team-a-pull")
			assert.Equal(t, "journal-pull", secret.Field("metadata.name"))
			assert.Equal(t, "team-a", secret.Field("metadata.namespace"))
			assert.Equal(t, "kubernetes.io/dockerconfigjson", secret.Field("type"))
			data := secret.Inputs["stringData"]
			require.True(t, data.IsSecret() || data.ObjectValue()[".dockerconfigjson"].IsSecret(), "the state would hold it in plain")
			var config map[string]any
			require.NoError(t, json.Unmarshal([]byte(secret.Field(`stringData[".dockerconfigjson"]`).(string)), &config))
			assert.Equal(t, map[string]any{"auths": map[string]any{key: map[string]any{"username": "puller", "password": "hunter2", "auth": "cHVsbGVyOmh1bnRlcjI="}}}, config)
		})
	}
}

func TestNothingButThePullSecretHoldsThePassword(t *testing.T) {
	args := teamA()
	args.PullSecret = puller()
	for _, options := range [][]graph.Option{nil, {graph.Preview()}} {
		g := declareTenant(t, args, options...)
		for _, r := range g.All() {
			if r.Type != graphtest.Secret {
				assert.NotContains(t, fmt.Sprint(r.Inputs), "hunter2", r.Name)
			}
		}
		assert.NotContains(t, fmt.Sprint(g.Outputs()), "hunter2")
	}
}

func TestEachRuleOfAPullSecretIsReportedWithoutThePassword(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*PullSecretArgs)
		says   string
	}{
		"no registry":   {func(a *PullSecretArgs) { a.Registry = "" }, `pullSecret.registry "": it is missing; write for example registry.example.com`},
		"a URL":         {func(a *PullSecretArgs) { a.Registry = "https://registry.example.com" }, `pullSecret.registry "https://registry.example.com": no registry; write its host`},
		"a password":    {func(a *PullSecretArgs) { a.Registry = "puller:hunter2@registry.example.com" }, `pullSecret.registry "[hidden]": no registry`},
		"an image":      {func(a *PullSecretArgs) { a.Registry = "registry.example.com/app:1.2.3" }, `no registry; write its host`},
		"no host":       {func(a *PullSecretArgs) { a.Registry = "team-a" }, `no registry; write its host`},
		"no user":       {func(a *PullSecretArgs) { a.Username = "" }, `pullSecret.username "": it is missing; write for example puller`},
		"a colon":       {func(a *PullSecretArgs) { a.Username = "puller:hunter2" }, `pullSecret.username "[hidden]": it has a colon`},
		"no password":   {func(a *PullSecretArgs) { a.Password = nil }, `pullSecret.password "": it is missing; set it with pulumi config set --secret --path`},
		"all is well":   {func(*PullSecretArgs) {}, ""},
		"a hub's alias": {func(a *PullSecretArgs) { a.Registry = "docker.io" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			args := teamA()
			args.PullSecret = puller()
			c.change(args.PullSecret)
			faults := args.Check("team-a")
			if c.says == "" {
				assert.Empty(t, faults)
				return
			}
			require.Len(t, faults, 1, "%v", faults.Err())
			assert.ErrorContains(t, faults.Err(), c.says)
			assert.NotContains(t, faults.Err().Error(), "hunter2")
		})
	}
}

func TestThePullSecretIsAddedWhereItIs(t *testing.T) {
	g := graphtest.Run(t, func(ctx *pulumi.Context) error {
		p, err := NewPullSecretPolicy(ctx, "pull-secret-policy")
		if err == nil {
			assert.Len(t, p.Bindings, 1)
		}
		return err
	})
	policy := graphtest.Find(t, g, "kubernetes:admissionregistration.k8s.io/v1:MutatingAdmissionPolicy", "journal-pull-secret")
	assert.Equal(t, []any{
		map[string]any{"key": TenantLabel, "operator": "Exists"}, map[string]any{"key": ClaimUIDLabel, "operator": "DoesNotExist"},
	}, policy.Field("spec.matchConstraints.namespaceSelector.matchExpressions"))
	assert.Contains(t, policy.Field("spec.mutations[0].jsonPatch.expression"), `{name: "journal-pull"}`)
	binding := graphtest.Find(t, g, "kubernetes:admissionregistration.k8s.io/v1:MutatingAdmissionPolicyBinding", "journal-pull-secret")
	assert.Equal(t, "journal-pull-secret", binding.Field("spec.policyName"))
	assert.Len(t, binding.DependsOn, 1)
}
