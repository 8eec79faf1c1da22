//go:build e2e

package e2e

import (
	"fmt"
	"strings"
)

// controllerItself is whoever has taken over the controller of claims.
const controllerItself = controllerUser + " system:serviceaccounts"

// claimsRows are requests about who has rights in a claimed namespace. The claim is bob's.
func claimsRows() []row {
	const bobs = "NamespaceClaim/e2e-bobs"
	to := func(owner string) string { return fmt.Sprintf(`{"spec":{"owner":%q}}`, owner) }
	access := func(value string) string { return fmt.Sprintf(`{"spec":{"access":%q}}`, value) }
	outsider := func(owner string) string {
		return fmt.Sprintf(`spec.owner "%s": the stack names no such owner or developer of the tenant; write one of: alice, bob, dan`, owner)
	}
	const gives = "only an owner of the namespace gives a claim to somebody else"
	return []row{
		{ownerAlice, "patch", bobs, to("alice"), ""},
		{ownerAlice, "patch", bobs, to("dan"), ""},
		{ownerAlice, "patch", bobs, to("mallory"), outsider("mallory")},
		{ownerAlice, "patch", bobs, to("vera"), outsider("vera")},
		{ownerAlice, "patch", bobs, to("guild"), outsider("guild")},
		{ownerAlice, "patch", bobs, to("erin"), outsider("erin")},
		{ownerAlice, "patch", bobs, to("system:admin"), outsider("system:admin")},
		{admin, "patch", bobs, to("alice"), ""},
		{admin, "patch", bobs, to("mallory"), outsider("mallory")},
		{developerBob, "patch", bobs, to("alice"), `spec.owner "alice": ` + gives + `; write "bob", or ask an owner`},
		{developerDan, "patch", bobs, to("dan"), "is forbidden: ValidatingAdmissionPolicy"},
		{memberErin, "patch", bobs, to("erin"), "is forbidden: ValidatingAdmissionPolicy"},
		{robot, "patch", bobs, to("alice"), "is forbidden: ValidatingAdmissionPolicy"},
		{controllerItself, "patch", bobs, to("alice"), gives},
		{viewerVera, "patch", bobs, to("vera"), "cannot patch resource"},

		{developerBob, "patch", bobs, access("Tenant"), ""},
		{ownerAlice, "patch", bobs, access("Tenant"), ""},
		{developerDan, "patch", bobs, access("Tenant"), "it belongs to bob; ask them"},
		{developerBob, "patch", bobs, access("Everybody"), `spec.access: Unsupported value: "Everybody"`},
		{memberErin, "create", strings.Replace(claimManifest("erin", "e2e-row", "1h"), "class:", "access: Tenant, class:", 1), "", ""},
		{developerDan, "create", strings.Replace(claimManifest("bob", "e2e-row", "1h"), "class:", "access: Tenant, class:", 1), "", "nobody claims in another's name"},
	}
}
