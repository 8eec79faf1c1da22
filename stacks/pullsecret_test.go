package stacks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

// pull is a pull secret as `pulumi config set --secret --path` writes it.
const pull = "cluster: {pullSecret: {registry: registry.example.com, username: puller, password: {secure: 'v1:abc'}}}"

// decrypted is what the engine passes to the program for it.
func decrypted(password string) graph.Option {
	return func(info *pulumi.RunInfo) {
		info.Config = map[string]string{"journal:cluster": `{"pullSecret":{"registry":"registry.example.com","username":"puller","password":"` + password + `"}}`}
		info.ConfigSecretKeys = []string{"journal:cluster"}
	}
}

func TestEveryTenantHasThePullSecretAndNothingElseShowsItsPassword(t *testing.T) {
	dir := stack(t, pull, "tenants: [{name: team-a, owner: 'user:alice', contact: a}, {name: team-b, owner: 'user:bob', contact: b}]")
	require.NoError(t, Check(dir, "test"), "a program can check what it cannot decrypt")
	g, err := graph.Run(Deploy, graph.Root(dir, "test"), decrypted("hunter2"))
	require.NoError(t, err)
	secrets := 0
	for _, r := range g.All() {
		if r.Type == graphtest.Secret && strings.HasSuffix(r.Name, "-pull") {
			secrets++
			assert.Contains(t, fmt.Sprint(r.Field(`stringData[".dockerconfigjson"]`)), `"password":"hunter2"`, r.Name)
			continue
		}
		assert.NotContains(t, fmt.Sprint(r.Inputs), "hunter2", r.Name)
		if strings.HasPrefix(r.Type, "journal:") {
			continue // the engine makes nothing of it
		}
		for _, needed := range r.DependsOn {
			assert.False(t, strings.HasSuffix(needed, "-pull"), "%s %s depends on %s, and a new password would replace both", r.Type, r.Name, needed)
		}
	}
	assert.Equal(t, 3, secrets, "of both tenants and of the journal's own namespace")
	assert.NotContains(t, fmt.Sprint(g.Outputs()), "hunter2")
	graphtest.Find(t, g, "kubernetes:admissionregistration.k8s.io/v1:MutatingAdmissionPolicy", "journal-pull-secret")
}

func TestWithoutAPullSecretNoPodIsChanged(t *testing.T) {
	g := deployed(t, "tenants: [{name: team-a, owner: 'user:alice', contact: a}]")
	for _, policy := range g.OfType("kubernetes:admissionregistration.k8s.io/v1:MutatingAdmissionPolicy") {
		assert.NotEqual(t, "journal-pull-secret", policy.Name)
	}
	for _, r := range g.OfType(graphtest.Secret) {
		assert.False(t, strings.HasSuffix(r.Name, "-pull"), r.Name)
	}
}

func TestAnEmptyPasswordIsRefusedWhenItIsDecrypted(t *testing.T) {
	_, err := graph.Run(Deploy, graph.Root(stack(t, pull), "test"), decrypted(""))
	require.ErrorContains(t, err, `journal:cluster.pullSecret.password "[hidden]": is empty; set it with pulumi config set --secret --path 'journal:cluster.pullSecret.password'`)
}

func TestNoFaultOfAPullSecretShowsAPassword(t *testing.T) {
	const plain = `journal:cluster.pullSecret.password "[hidden]": must be encrypted; set it with pulumi config set --secret --path 'journal:cluster.pullSecret.password'`
	for _, c := range []struct{ pullSecret, says string }{
		{"{registry: a.example.com, username: puller, password: hunter2}", plain},
		{"{registry: a.example.com, username: puller, password: [hunter2]}", plain},
		{"{registry: a.example.com, username: puller, password: !x hunter2}", plain},
		{"{registry: a.example.com, username: puller, pasword: hunter2}", `journal:cluster.pullSecret.pasword "[hidden]": unknown field; did you mean password?`},
		{"{registry: a.example.com, username: puller, password: {secure: a}, token: hunter2}", `journal:cluster.pullSecret.token "[hidden]": unknown field`},
		{"hunter2", `journal:cluster.pullSecret "[hidden]": a text where an object is expected; write its fields, such as {registry: registry.example.com, username: puller`},
		{"[hunter2]", `journal:cluster.pullSecret "[hidden]": a list where an object is expected`},
		{"{registry: a.example.com, username: 'puller:hunter2', password: {secure: a}}", `journal:cluster.pullSecret.username "[hidden]": it has a colon`},
		{"{registry: 'puller:hunter2@a.example.com', username: puller, password: {secure: a}}", `journal:cluster.pullSecret.registry "[hidden]": no registry`},
		{"{registry: a.example.com, username: {secure: hunter2}, password: {secure: a}}", `journal:cluster.pullSecret.username "[hidden]": it is encrypted (secure:), and this field is no secret`},
		{"{registry: a.example.com, username: puller}", `journal:cluster.pullSecret.password "": it is missing; set it with pulumi config set --secret --path`},
		{"{registry: 'https://a.example.com', username: puller, password: {secure: a}}", `journal:cluster.pullSecret.registry "https://a.example.com": no registry; write its host`},
	} {
		t.Run(c.pullSecret, func(t *testing.T) {
			faults := faultsOf(t, Check(project(t, leastWith("    pullSecret: "+c.pullSecret)), "test"))
			require.Len(t, faults, 1, strings.Join(faults, "\n"))
			assert.Contains(t, faults[0], c.says)
			assert.NotContains(t, faults[0], "hunter2")
		})
	}
	twice := "    pullSecret: {registry: a.example.com, username: puller, password: hunter2, password: hunter2}"
	assert.NotContains(t, Check(project(t, leastWith(twice)), "test").Error(), "hunter2")
}

// leastWith is the least file of a stack, with the fields of the key cluster as they are written.
func leastWith(cluster string) string {
	return "config:\n  journal:" + strings.ReplaceAll(strings.TrimSpace(least), "\n", "\n  journal:") + "\n  journal:cluster:\n" + cluster + "\n"
}
