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
	"strings"
	"time"

	"example.com/journal/components/kube"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// selfSignedValidity is the longest that systems accept of a certificate that their user trusts:
// https://support.apple.com/en-us/103769
const selfSignedValidity = 825 * 24 * time.Hour

// tls says whether the host is served on HTTPS.
func (args *ExposureArgs) tls() bool {
	return args.TLSSecret != "" || args.TLSIssuer != "" || args.TLSSelfSigned != 0
}

// checkTLS returns the rules that the TLS arguments break.
func (args *ExposureArgs) checkTLS() kube.Faults {
	var f kube.Faults
	if args.TLSSecret != "" {
		f.Check("tlsSecret", args.TLSSecret, kube.CheckObjectName(args.TLSSecret))
	}
	if args.TLSIssuer != "" {
		kind, name, _ := strings.Cut(args.TLSIssuer, "/")
		if kind != "Issuer" && kind != "ClusterIssuer" || kube.CheckObjectName(name) != nil {
			f.Refuse("tlsIssuer", args.TLSIssuer, "no issuer of cert-manager; write its kind and name, such as ClusterIssuer/letsencrypt")
		}
	}
	if args.TLSSelfSigned < 0 {
		f.Refuse("tlsSelfSigned", args.TLSSelfSigned, "no number of a certificate; write 1 or more, or leave it out")
	}
	const one = "the host has one certificate; keep one of tlsSecret, tlsIssuer and tlsSelfSigned"
	switch {
	case args.TLSIssuer != "" && args.TLSSecret != "":
		f.Refuse("tlsIssuer", args.TLSIssuer, one)
	case args.TLSSelfSigned != 0 && (args.TLSSecret != "" || args.TLSIssuer != ""):
		f.Refuse("tlsSelfSigned", args.TLSSelfSigned, one)
	}
	return f
}

// certificate declares what makes the host's certificate, and returns the name of its Secret, or nil for plain HTTP.
func (args *ExposureArgs) certificate(ctx *pulumi.Context, name string, part kube.Part, parent pulumi.Resource) (pulumi.StringInput, error) {
	switch {
	case args.TLSIssuer != "":
		return args.issued(ctx, name, part, parent)
	case args.TLSSelfSigned != 0:
		return args.selfSigned(ctx, name, part, parent)
	case args.TLSSecret != "":
		return pulumi.String(args.TLSSecret), nil
	}
	return nil, nil
}

// issued has cert-manager write the certificate into a Secret: https://cert-manager.io/docs/usage/certificate/
func (args *ExposureArgs) issued(ctx *pulumi.Context, name string, part kube.Part, parent pulumi.Resource) (pulumi.StringInput, error) {
	kind, issuer, _ := strings.Cut(args.TLSIssuer, "/")
	secret := pulumi.String(part.App + "-tls")
	_, err := kube.Custom{
		APIVersion: "cert-manager.io/v1", Kind: "Certificate", Part: part, Namespace: args.Namespace,
		Spec: pulumi.Map{
			"secretName": secret,
			"dnsNames":   pulumi.ToStringArray([]string{args.Host}),
			"privateKey": pulumi.Map{
				"algorithm": pulumi.String("ECDSA"), "size": pulumi.Int(256), "rotationPolicy": pulumi.String("Always"),
			},
			"issuerRef": pulumi.Map{
				"group": pulumi.String("cert-manager.io"), "kind": pulumi.String(kind), "name": pulumi.String(issuer),
			},
		},
	}.Declare(ctx, name, pulumi.Parent(parent))
	return secret, err
}

// selfSigned declares a Secret with a certificate of the host. Every run makes a key, and IgnoreChanges drops all but the
// first: the key that counts is in the Secret and, encrypted, in the state. Another host or number is another Secret.
func (args *ExposureArgs) selfSigned(ctx *pulumi.Context, name string, part kube.Part, parent pulumi.Resource) (pulumi.StringInput, error) {
	certificate, key, err := selfSign(args.Host, time.Now())
	if err != nil {
		return nil, err
	}
	identity := map[string]string{"host": args.Host, "number": strconv.Itoa(args.TLSSelfSigned)}
	meta := part.Meta(args.Namespace)
	meta.Name = pulumi.String(kube.ContentName(part.App+"-tls", identity))
	secret, err := corev1.NewSecret(ctx, kube.ContentName(name+"-tls", identity), &corev1.SecretArgs{
		Metadata:  meta,
		Type:      pulumi.String("kubernetes.io/tls"),
		Immutable: pulumi.Bool(true),
		// Not stringData: the plugin turns that into data, and what is ignored has to be what is in the state.
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

// selfSign makes a key and a certificate of the host that is signed with it, both as PEM.
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
