package stacks

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const (
	// protectionType is the type of a component without children.
	protectionType = "journal:stacks:Protection"
	// protectionName is its name, which the engine shows when it refuses to delete the resource.
	protectionName = "lifted-by-the-key-unprotected"
)

// protection makes the engine refuse to delete a stack as a whole while anything in it is protected. By itself the engine
// refuses only a protected object and what that object needs. It deletes the rest: for example the journal with its entries,
// while tenants are protected. The stack therefore has one more resource, which depends on all others. The engine would delete
// it first, and it is protected as they are.
type protection struct {
	pulumi.ResourceState

	others []pulumi.Resource
}

// protect records every resource that the program registers from now on.
func protect(ctx *pulumi.Context) (*protection, error) {
	p := &protection{}
	return p, ctx.RegisterStackTransformation(func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		p.others = append(p.others, args.Resource)
		return nil
	})
}

// declare registers the protection after all resources that it depends on.
func (p *protection) declare(ctx *pulumi.Context, on bool) error {
	return ctx.RegisterComponentResource(protectionType, protectionName, p, pulumi.Protect(on), pulumi.DependsOn(p.others))
}
