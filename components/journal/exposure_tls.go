package journal

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strconv"
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// selfSignedValidity is the longest validity that systems accept in a certificate that their user trusts:
const selfSignedValidity = 825 * 24 * time.Hour

// TLSArgs are the source of the host's certificate. At most one field is set. If none is, the host is served on plain HTTP.
type TLSArgs struct {
	// Secret is the name of a Secret of type kubernetes.io/tls, in the same namespace, with the certificate.
	Secret string `json:"secret"`
	// Issuer is the issuer of cert-manager that signs the certificate: Issuer/<name>, in the same namespace, or
	// ClusterIssuer/<name>.
	Issuer string `json:"issuer"`
	// SelfSigned is the number of a self-signed certificate, for a laptop. Another number gives another certificate. 0 is none.
	SelfSigned int `json:"selfSigned" minimum:"0"`
}

// Enabled says whether the host is served on HTTPS with its own certificate.
func (args TLSArgs) Enabled() bool {
	return args != TLSArgs{}
}

// check returns the broken rules, except those of the tags.
func (args TLSArgs) check() rules.Faults {
	var f rules.Faults
	if args.Secret != "" {
		f.Check("secret", args.Secret, rules.CheckObjectName(args.Secret))
	}
	if args.Issuer != "" {
		f.Check("issuer", args.Issuer, kube.CheckIssuer(args.Issuer))
	}
	const one = "the host has one certificate; keep one of secret, issuer and selfSigned"
	switch {
	case args.Issuer != "" && args.Secret != "":
		f.Refuse("issuer", args.Issuer, one)
	case args.SelfSigned != 0 && (args.Secret != "" || args.Issuer != ""):
		f.Refuse("selfSigned", args.SelfSigned, one)
	}
	return f
}

// certificate declares the resource that makes the certificate, and returns the name of its Secret, or nil for plain HTTP.
func (args *ExposureArgs) certificate(ctx *pulumi.Context, name string, part kube.Part, parent pulumi.Resource) (pulumi.StringInput, error) {
	switch {
	case args.TLS.Issuer != "":
		issued := kube.IssuedCertificate{Part: part, Namespace: args.Namespace, Issuer: args.TLS.Issuer, Host: args.Host}
		secret, _, err := issued.Declare(ctx, name, parent)
		return secret, err
	case args.TLS.SelfSigned != 0:
		return args.selfSigned(ctx, name, part, parent)
	case args.TLS.Secret != "":
		return pulumi.String(args.TLS.Secret), nil
	}
	return nil, nil
}

// selfSigned declares a Secret with a certificate of the host. Every run generates a key, and IgnoreChanges ignores all but
// the first one, which is in the Secret and, encrypted, in the state. Another host or number gives another Secret.
func (args *ExposureArgs) selfSigned(ctx *pulumi.Context, name string, part kube.Part, parent pulumi.Resource) (pulumi.StringInput, error) {
	certificate, key, err := selfSign(args.Host, time.Now())
	if err != nil {
		return nil, err
	}
	identity := map[string]string{"host": args.Host, "number": strconv.Itoa(args.TLS.SelfSigned)}
	meta := part.Meta(args.Namespace)
	meta.Name = pulumi.String(kube.ContentName(part.App+"-tls", identity))
	secret, err := corev1.NewSecret(ctx, kube.ContentName(name+"-tls", identity), &corev1.SecretArgs{
		Metadata:  meta,
		Type:      pulumi.String("kubernetes.io/tls"),
		Immutable: pulumi.Bool(true),
		// Not stringData: the plugin turns it into data, and IgnoreChanges needs the field that is in the state.
		Data: pulumi.ToSecret(pulumi.StringMap{
			"tls.crt": pulumi.String(base64.StdEncoding.EncodeToString([]byte(certificate))),
			"tls.key": pulumi.String(base64.StdEncoding.EncodeToString([]byte(key))),
		}).(pulumi.StringMapOutput),
	}, pulumi.Parent(parent), pulumi.IgnoreChanges([]string{"data"}))
	if err != nil {
		return nil, err
	}
	return secret.Metadata.Name().Elem(), nil
}

// selfSign generates a key and a self-signed certificate of the host, both as PEM.
func selfSign(host string, now time.Time) (certificate, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "self-signed"}, // the host may be longer than a common name
		DNSNames:     []string{host},
		NotBefore:    now.Add(-time.Hour), // the clocks of two machines differ
		NotAfter:     now.Add(selfSignedValidity - time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return "", "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})), nil
}
