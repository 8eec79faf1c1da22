package stacks

import (
	"cmp"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/rules"
)

// passwordSecret names the Secrets of the passwords of a rendered stack that has no name for them: number 1 is in redis-password-1.
const passwordSecret = "redis-password"

// Render is Deploy for a stack without a state, whose objects another program applies. It declares no Secret: the passwords are in
// Secrets that exist, named by the key redis.passwordSecret, by default redis-password. It refuses what needs a state.
func Render(ctx *pulumi.Context) error {
	config, err := Read(ctx.RootDirectory(), ctx.Stack()) // not Load: no engine decrypts what is encrypted
	if err != nil {
		return err
	}
	if err := config.refuse(config.checkRendered()); err != nil {
		return err
	}
	config.Journal.Redis.PasswordSecret = cmp.Or(config.Journal.Redis.PasswordSecret, passwordSecret)
	return config.deploy(ctx)
}

// checkRendered returns a fault for everything that needs a secret that only a state or its key has.
func (c *Config) checkRendered() (f rules.Faults) {
	const certificate = "the program makes it from a secret in Pulumi's state, and a rendered stack has no state; name a Secret that exists by " +
		"certificate.secret and its authority by certificate.caBundle, or an issuer of cert-manager by certificate.issuer"
	if c.ResourceMetrics != nil && c.ResourceMetrics.Certificate.Generated() {
		f.Refuse("resourceMetrics.certificate", "", certificate+"; or replace the key by cluster: {resourceMetrics: true} if the cluster serves resource metrics itself")
	}
	if c.Reader != nil && c.Reader.Certificate.Generated() {
		f.Refuse("reader.certificate", "", certificate)
	}
	if c.Metrics != nil && c.Metrics.Alerts.Webhook != nil {
		f.Refuse("metrics.alerts.webhook", "", "it is encrypted, and files for everybody to read must not hold it; remove it with alertmanagerImage, "+
			"or deploy the stack with pulumi up")
	}
	if number := c.Journal.Exposure.TLS.SelfSigned; number != 0 {
		f.Refuse("exposure.tls.selfSigned", number, "the certificate is kept in Pulumi's state, and a rendered stack has no state; "+
			"write tls: {secret: journal-tls} with a Secret that exists, or tls: {issuer: ...} for cert-manager")
	}
	if c.Cluster.PullSecret != nil {
		f.Refuse("cluster.pullSecret", "", "its password is encrypted, and files for everybody to read must not hold it; "+
			"remove the field, and give the nodes the credentials of the registry")
	}
	return f
}
