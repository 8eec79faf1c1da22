package claims

import (
	"fmt"
	"strconv"
	"strings"

	"example.com/journal/components/internal/admission"
	"example.com/journal/components/tenancy"
)

// claimedBinding is a RoleBinding that the controller writes in a claimed namespace.
type claimedBinding struct {
	name, role string
	// given are the roles that a subject must have in the tenant, of which it needs one.
	given []string
}

// claimedBindings are all that the controller writes. Nobody gets a role that is higher than their own in the tenant, with two
// exceptions: the owner of the claim may be a developer, and owners and developers have the Secrets, which are their own, since
// the namespace starts empty.
var claimedBindings = []claimedBinding{
	{"owners", tenancy.OwnerRole, []string{"owner"}},
	{"developers", tenancy.DeveloperRole, []string{"owner", "developer"}},
	{"viewers", tenancy.ViewerRole, []string{"owner", "developer", "viewer"}},
	{"secrets", tenancy.SecretsRole, []string{"owner", "developer"}},
}

// longestExpression is how many bytes of members stand in one expression. The API server compiles at most 100 000 characters.
const longestExpression = 80_000

// memberVariables are the variables of a policy that say who has a role in a tenant: lists of texts such as "User alice", by
// role: owner, developer, viewer. The expression of the tenant's name is in CEL. Each list is empty if the stack has no such
// tenant.
func memberVariables(tenants []tenancy.TenantArgs, tenant string) []admission.Expression {
	var variables []admission.Expression
	var parts, entries, members []string
	size := 0
	// A map in CEL has each key once, so that the members of one tenant can be in several parts.
	endEntry := func(name string) {
		if len(members) > 0 {
			entries = append(entries, fmt.Sprintf("%q: [%s]", name, strings.Join(members, ", ")))
		}
		members = nil
	}
	endPart := func() {
		if len(entries) > 0 {
			name := fmt.Sprintf("members%d", len(parts)+1)
			variables = append(variables, admission.Expression{Name: name, CEL: fmt.Sprintf("{%s}[?%s].orValue([])", strings.Join(entries, ", "), tenant)})
			parts = append(parts, "variables."+name)
		}
		entries, size = nil, 0
	}
	for i := range tenants {
		a := tenants[i].WithDefaults("")
		size += len(a.Name) + len(`"": [], `)
		for _, member := range membersOf(a) {
			if size += len(member) + len(", "); size > longestExpression {
				endEntry(a.Name)
				endPart()
				size = len(a.Name) + len(`"": [], `) + len(member) + len(", ")
			}
			members = append(members, member)
		}
		endEntry(a.Name)
	}
	endPart()
	if len(parts) == 0 {
		parts = []string{"[]"}
	}
	variables = append(variables, admission.Expression{Name: "members", CEL: strings.Join(parts, " + ")})
	for _, role := range []string{"owner", "developer", "viewer"} {
		variables = append(variables, admission.Expression{Name: role + "s",
			CEL: fmt.Sprintf("variables.members.filter(m, m.startsWith(%q)).map(m, m.substring(%d))", role[:1]+" ", len("o "))})
	}
	return variables
}

// membersOf returns the members of a tenant as texts in CEL, with the first letter of their role, such as "o User alice". In a
// suspended tenant everybody is a viewer.
func membersOf(tenant tenancy.TenantArgs) []string {
	var members []string
	for _, list := range []struct {
		role     string
		subjects []tenancy.Subject
	}{{"o", tenant.Members.Owners}, {"d", tenant.Members.Developers}, {"v", tenant.Members.Viewers}} {
		if tenant.Suspended {
			list.role = "v"
		}
		for _, subject := range list.subjects {
			members = append(members, strconv.Quote(list.role+" "+subject.Kind()+" "+subject.Name()))
		}
	}
	return members
}
