package kube

import (
	"errors"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/rules"
)

// IssuedCertificate is a serving certificate that cert-manager writes into a Secret, and renews:
// https://cert-manager.io/docs/usage/certificate/
type IssuedCertificate struct {
	// Part is the part of the application that serves with the certificate, which is called as its App, and the Secret <App>-tls.
	Part Part
	// Namespace is where both are.
	Namespace pulumi.StringInput
	// Issuer is the issuer, as CheckIssuer takes it.
	Issuer string
	// Host is the only name in the certificate.
	Host string
}

// CheckIssuer refuses what is not an issuer of cert-manager by kind and name.
func CheckIssuer(issuer string) error {
	kind, name, _ := strings.Cut(issuer, "/")
	if kind != "Issuer" && kind != "ClusterIssuer" || rules.CheckObjectName(name) != nil {
		return errors.New("must be an issuer of cert-manager by kind and name, such as ClusterIssuer/internal")
	}
	return nil
}

// Declare registers the certificate. It returns the name of the Secret, and the certificate.
func (c IssuedCertificate) Declare(ctx *pulumi.Context, name string, parent pulumi.Resource) (pulumi.StringInput, pulumi.Resource, error) {
	kind, issuer, _ := strings.Cut(c.Issuer, "/")
	secret := pulumi.String(c.Part.App + "-tls")
	certificate, err := Custom{
		APIVersion: "cert-manager.io/v1", Kind: "Certificate", Part: c.Part, Namespace: c.Namespace,
		Spec: pulumi.Map{
			"secretName": secret,
			"dnsNames":   pulumi.ToStringArray([]string{c.Host}),
			"privateKey": pulumi.Map{
				"algorithm": pulumi.String("ECDSA"), "size": pulumi.Int(256), "rotationPolicy": pulumi.String("Always"),
			},
			"issuerRef": pulumi.Map{
				"group": pulumi.String("cert-manager.io"), "kind": pulumi.String(kind), "name": pulumi.String(issuer),
			},
		},
	}.Declare(ctx, name, pulumi.Parent(parent))
	return secret, certificate, err
}
