// Package stacks decides what runs in a stack and how big: it reads the configuration and puts components together.
// It declares no object itself and knows no environment by name; two stacks differ in their configuration alone.
package stacks

import (
	"fmt"

	"example.com/journal/components/journal"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// JournalName is the journal's name in the program, and the beginning of those of its parts.
const JournalName = "journal"

// defaultNamespace is where the journal runs unless the configuration says otherwise.
const defaultNamespace = "journal"

// Deploy is the Pulumi program: it declares everything that the stack's configuration asks for and exports where to
// find it. Nothing is declared when the configuration has a fault.
//
// Its outputs are url, namespace, redisWriteAddress, redisReadAddress, secretNames and history, and kubeconfigs where users sign
// in with an identity provider.
func Deploy(ctx *pulumi.Context) error {
	config, err := Load(ctx)
	if err != nil {
		return fmt.Errorf("the configuration of stack %q is refused, nothing was changed:\n%w", ctx.Stack(), err)
	}
	if err := ownFields(ctx); err != nil {
		return err
	}
	if err := config.Ingress.deploy(ctx); err != nil {
		return err
	}
	tenant, err := config.Cluster.deploy(ctx, config)
	if err != nil {
		return err
	}
	config.Journal.Namespace = tenant.Name
	if config.Journal.History, err = lastHistory(ctx); err != nil {
		return err
	}
	app, err := journal.New(ctx, JournalName, &config.Journal)
	if err != nil {
		return err
	}

	ctx.Export("url", app.Exposure.URL)
	ctx.Export("namespace", tenant.Name)
	ctx.Export("redisWriteAddress", app.Redis.WriteAddress)
	ctx.Export("redisReadAddress", app.Redis.ReadAddress)
	exportHistory(ctx, app.History())
	ctx.Export("secretNames", pulumi.StringArray{app.Redis.SecretName})
	return nil
}
