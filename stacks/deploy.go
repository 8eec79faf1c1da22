// Package stacks decides what runs in a stack and with which sizes: it reads the configuration and combines components. It
// declares no object itself and knows no environment by name; stacks differ only in their configuration.
package stacks

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/journal"
	"example.com/journal/components/kube"
)

// JournalName is the journal's name in the program. The names of its parts begin with it.
const JournalName = "journal"

// Deploy is the Pulumi program: it declares everything that the stack's configuration asks for and exports the addresses. It
// declares nothing if the configuration has a fault.
//
// Its outputs are url, namespace, redisWriteAddress, redisReadAddress and secretNames, and kubeconfigs if users sign in with
// an identity provider. Outputs that end in -history are for the next update.
func Deploy(ctx *pulumi.Context) error {
	config, err := Load(ctx)
	if err != nil {
		return err
	}
	return config.deploy(ctx)
}

// deploy declares everything that the configuration asks for.
func (c *Config) deploy(ctx *pulumi.Context) error {
	faults, err := c.checkUpdate(ctx)
	if err != nil {
		return err
	}
	if err := c.refuse(faults); err != nil {
		return err
	}
	manager := FieldManager(ctx.Project(), ctx.Stack())
	own := kube.FieldManager(manager)
	protection, err := protect(ctx)
	if err != nil {
		return err
	}
	if c.ExistingNamespace {
		c.Journal.Namespace = pulumi.String(c.Namespace)
	} else if err := c.deployCluster(ctx, manager, own); err != nil {
		return err
	}
	app, err := journal.New(ctx, JournalName, &c.Journal, own)
	if err != nil {
		return err
	}

	ctx.Export("url", app.Exposure.URL)
	ctx.Export("namespace", c.Journal.Namespace)
	ctx.Export("redisWriteAddress", app.Redis.WriteAddress)
	ctx.Export("redisReadAddress", app.Redis.ReadAddress)
	if err := kube.KeepOutput(ctx, recordOutput, c.record(), app.Workloads...); err != nil {
		return err
	}
	ctx.Export("secretNames", pulumi.StringArray{app.Redis.SecretName})
	return protection.declare(ctx, len(c.protected()) > 0)
}

// deployCluster declares what the namespaces share, every namespace, and what runs for all of them. It gives the journal its namespace
// and its priority.
func (c *Config) deployCluster(ctx *pulumi.Context, manager string, own pulumi.ResourceOption) error {
	tenants, platform, err := c.deployTenants(ctx, own)
	if err != nil {
		return err
	}
	if err := c.deployResourceMetrics(ctx, platform, own); err != nil {
		return err
	}
	if err := c.deployObservers(ctx, platform, own); err != nil {
		return err
	}
	needs := []pulumi.Resource{platform}
	for _, tenant := range tenants {
		needs = append(needs, tenant)
	}
	if err := c.deployIngress(ctx, needs, own, kube.ChartFieldManager(manager)); err != nil {
		return err
	}
	c.Journal.Namespace, c.Journal.PriorityClass = tenants[0].Name, platform.JournalPriorityClass
	return nil
}
