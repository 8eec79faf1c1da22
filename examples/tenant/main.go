// Command tenant declares a namespace for a team, with a quota, limits, NetworkPolicies and the rights of its members.
//
//	pulumi -C examples/tenant stack init dev
//	pulumi -C examples/tenant up
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/tenancy"
)

func main() { pulumi.Run(program) }

func program(ctx *pulumi.Context) error {
	own := kube.FieldManager("example")
	team := tenancy.TenantArgs{
		Class:   "medium",
		Owner:   "user:alice",
		Contact: "alice@example.com",
		Purpose: "what team-a develops",
		Members: tenancy.Members{Developers: []tenancy.Subject{"user:bob"}},
		// Pulumi may delete the namespace with everything in it. Leave this out for a namespace that somebody needs.
		Unprotected: true,
	}
	// The roles that the tenant binds exist once in a cluster.
	roles, err := tenancy.NewRoles(ctx, "roles", &tenancy.RolesArgs{Everybody: tenancy.Everybody([]tenancy.TenantArgs{team})}, own)
	if err != nil {
		return err
	}
	tenant, err := tenancy.NewTenant(ctx, "team-a", &team, own, pulumi.DependsOn([]pulumi.Resource{roles}))
	if err != nil {
		return err
	}
	ctx.Export("namespace", tenant.Name)
	return nil
}
