package claims

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/tenancy"
)

func TestThePoliciesKnowTheMembersOfEveryTenantByRole(t *testing.T) {
	variables := memberVariables([]tenancy.TenantArgs{
		{Name: "team-a", Owner: "user:alice", Members: tenancy.Members{
			Owners: []tenancy.Subject{"group:leads"}, Developers: []tenancy.Subject{"user:bob", "group:oidc:team-a"}, Viewers: []tenancy.Subject{"group:audit"}}},
		{Name: "bob", Owner: "user:bob"},
	}, "tenant")
	require.Len(t, variables, 5)
	assert.Contains(t, variables[0].CEL, `"team-a": ["o User alice", "o Group leads", "d User bob", "d Group oidc:team-a", "v Group audit"], "bob": ["o User bob"]}[?tenant]`)
	assert.Equal(t, "variables.members1", variables[1].CEL)
	assert.Equal(t, `variables.members.filter(m, m.startsWith("d ")).map(m, m.substring(2))`, variables[3].CEL)
	assert.Equal(t, "developers", variables[3].Name)
}

func TestAStackWithoutTenantsHasNoMembers(t *testing.T) {
	variables := memberVariables(nil, "tenant")
	require.Len(t, variables, 4)
	assert.Equal(t, "[]", variables[0].CEL)
}

// The API server compiles expressions of at most 100 000 characters, and a stack has up to 1000 tenants.
func TestTheMembersOfManyTenantsStandInExpressionsThatTheAPIServerCompiles(t *testing.T) {
	tenants := manyTenants(1000)
	variables := memberVariables(tenants, "tenant")
	found, total := 0, 0
	for _, variable := range variables {
		assert.Less(t, len(variable.CEL), 100_000, variable.Name)
		found += strings.Count(variable.CEL, `"o User lead-`)
		total += len(variable.CEL)
	}
	assert.Equal(t, len(tenants), found, "every tenant is in one of them")
	assert.Less(t, total/len(tenants), 300, "bytes of each tenant")
	assert.Contains(t, variables[len(variables)-4].CEL, "variables.members1 + variables.members2")
}

func TestTheMembersOfOneLargeTenantStandInSeveralExpressions(t *testing.T) {
	tenant := tenancy.TenantArgs{Name: "team-a", Owner: "user:alice"}
	for i := range 1000 {
		tenant.Members.Developers = append(tenant.Members.Developers, tenancy.Subject(fmt.Sprintf("user:%0200d", i)))
	}
	variables := memberVariables([]tenancy.TenantArgs{tenant, {Name: "bob", Owner: "user:bob"}}, "tenant")
	found, parts := 0, 0
	for _, variable := range variables {
		assert.Less(t, len(variable.CEL), 100_000, variable.Name)
		assert.LessOrEqual(t, strings.Count(variable.CEL, `"team-a"`), 1, "a map has each key once")
		found += strings.Count(variable.CEL, `"d User `)
		parts += strings.Count(variable.CEL, `"team-a": [`)
	}
	assert.Equal(t, 1000, found)
	assert.Equal(t, 3, parts)
}

// manyTenants are teams of five members.
func manyTenants(count int) []tenancy.TenantArgs {
	tenants := make([]tenancy.TenantArgs, count)
	for i := range tenants {
		subject := func(role string) tenancy.Subject {
			return tenancy.Subject(fmt.Sprintf("user:%s-%d@example.com", role, i))
		}
		tenants[i] = tenancy.TenantArgs{Name: fmt.Sprintf("team-%d", i), Owner: subject("lead"), Members: tenancy.Members{
			Owners: []tenancy.Subject{subject("second")}, Developers: []tenancy.Subject{subject("first"), "group:oidc:developers"}, Viewers: []tenancy.Subject{"group:oidc:audit"}}}
	}
	return tenants
}
