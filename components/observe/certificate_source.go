package observe

import (
	"encoding/base64"
	"fmt"
	"strconv"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// injectAnnotation names the Certificate, as <namespace>/<name>, whose authority cert-manager writes into an APIService.
const injectAnnotation = "cert-manager.io/inject-ca-from"

// CertificateArgs are the source of the serving certificate of an API server. At most one of number, secret and issuer is set. If
// none is, the program makes the certificate with the number 1.
type CertificateArgs struct {
	// Number is the number of a certificate that the program makes and that never expires. To replace its key, write the next
	// number: the pods take the new one after each other, without a gap. The default is 1 without secret and issuer.
	Number int `json:"number" minimum:"0" example:"2"`
	// Secret is the name of a Secret of type kubernetes.io/tls, in the server's namespace, that another program fills, such as
	// External Secrets. Its certificate must name the server's host. The pods wait until the Secret exists, and take a changed one
	// within two minutes. A certificate that has expired stops the API group, and with it the deletion of every namespace.
	Secret string `json:"secret"`
	// CABundle is the authority that has signed the certificate in the Secret, in PEM. Required with secret. To change the authority,
	// add the new one below the old one before you change the Secret, and remove the old one afterwards.
	CABundle string `json:"caBundle"`
	// Issuer is the issuer of cert-manager that signs the certificate: Issuer/<name>, in the server's namespace, or
	// ClusterIssuer/<name>. It must have an authority of its own, as those of the kinds CA and Vault do: its ca-injector
	// writes that authority into the APIService.
	Issuer string `json:"issuer"`
}

// Generated says whether the program makes the certificate, from a secret that only Pulumi's state has.
func (args CertificateArgs) Generated() bool { return args.Secret == "" && args.Issuer == "" }

// withDefaults returns a copy with the default in place.
func (args CertificateArgs) withDefaults() CertificateArgs {
	if args.Generated() && args.Number == 0 {
		args.Number = 1
	}
	return args
}

// check returns the broken rules, except those of the tags.
func (args CertificateArgs) check() (f rules.Faults) {
	const one = "the server has one certificate; keep one of number, secret and issuer"
	if args.Number > 0 && !args.Generated() {
		f.Refuse("number", args.Number, one)
	}
	if args.Secret != "" {
		f.Check("secret", args.Secret, rules.CheckObjectName(args.Secret))
	}
	if args.Issuer != "" {
		f.Check("issuer", args.Issuer, kube.CheckIssuer(args.Issuer))
	}
	if args.Issuer != "" && args.Secret != "" {
		f.Refuse("issuer", args.Issuer, one)
	}
	switch {
	case args.CABundle == "" && args.Secret != "":
		f.Refuse("caBundle", "", "it is missing, and the API server trusts no other authority; write in PEM the certificate of who has signed that in the Secret")
	case args.CABundle != "" && args.Secret == "":
		f.Refuse("caBundle", args.CABundle, "it is the authority of a certificate in a Secret; write the Secret's name as secret, or remove this")
	case args.CABundle != "":
		f = append(f, checkAuthorities(args.CABundle).In("caBundle")...)
	}
	return f
}

// checkAuthorities refuses what is not one or more authorities in PEM. The server's own certificate would be trusted as well, but
// only until it is renewed.
func checkAuthorities(text string) rules.Faults {
	all, f := rules.ParseCertificates(text)
	for _, certificate := range all {
		if certificate.Version == 3 && !certificate.IsCA { // older ones do not say
			f.Refuse("", certificate.Subject.String(), "not an authority, since CA:TRUE is missing, so no renewed certificate would be trusted; "+
				"write who has signed the certificate, often ca.crt, instead of the certificate itself")
		}
	}
	return f
}

// servingCertificate is a certificate as the pods and the APIService need it.
type servingCertificate struct {
	// secret is the name of the Secret.
	secret pulumi.StringInput
	// caBundle is the authority in the form of an APIService, or nil if cert-manager writes it there.
	caBundle pulumi.StringPtrInput
	// annotations are those of the APIService.
	annotations pulumi.StringMap
	// needs are what must exist before the pods.
	needs []pulumi.Resource
}

// servingCertificate returns the certificate, and declares what makes it.
func (s apiServer) servingCertificate(ctx *pulumi.Context, name string, own workload) (servingCertificate, error) {
	host := fmt.Sprintf("%s.%s.svc", s.part.App, s.in)
	switch args := s.certificate; {
	case args.Secret != "":
		return servingCertificate{secret: pulumi.String(args.Secret), caBundle: pulumi.String(encodeBundle(args.CABundle))}, nil
	case args.Issuer != "":
		issued := kube.IssuedCertificate{Part: s.part, Namespace: own.namespace, Issuer: args.Issuer, Host: host}
		secret, certificate, err := issued.Declare(ctx, name, own.parent)
		return servingCertificate{
			secret: secret, annotations: pulumi.StringMap{injectAnnotation: pulumi.Sprintf("%s/%s", own.namespace, s.part.App)},
			needs: []pulumi.Resource{certificate},
		}, err
	}
	return s.generateCertificate(ctx, name, host, own)
}

// generateCertificate declares the Secret with a certificate of the program's own. The secret from which its key derives is not a
// child, so that an update can target it alone.
func (s apiServer) generateCertificate(ctx *pulumi.Context, name, host string, own workload) (servingCertificate, error) {
	number := s.certificate.Number
	source, err := random.NewRandomPassword(ctx, name, &random.RandomPasswordArgs{Length: pulumi.Int(64), Special: pulumi.Bool(false)})
	if err != nil {
		return servingCertificate{}, err
	}
	derived := pulumix.Cast[pulumi.StringMapOutput](pulumix.ApplyErr(source.Result, func(source string) (map[string]string, error) {
		c, err := deriveCertificates(source, s.server, number, host)
		return map[string]string{"ca.crt": c.authority, "tls.crt": c.certificate, "tls.key": c.key}, err
	}))
	public := pulumi.Unsecret(derived).(pulumi.StringMapOutput) // only for what nobody can derive the key from
	meta := s.part.Meta(own.namespace)
	meta.Name = pulumix.Cast[pulumi.StringOutput](pulumix.Apply(public, func(c map[string]string) string {
		return kube.ContentName(s.part.App+"-tls", map[string]string{"ca.crt": c["ca.crt"], "tls.crt": c["tls.crt"]})
	}))
	secret, err := corev1.NewSecret(ctx, name+"-"+strconv.Itoa(number), &corev1.SecretArgs{
		Metadata: meta, Type: pulumi.String("kubernetes.io/tls"), StringData: derived, Immutable: pulumi.Bool(true),
	}, own.opts...)
	if err != nil {
		return servingCertificate{}, err
	}
	authority := pulumix.Cast[pulumi.StringPtrOutput](pulumix.Apply(public, func(c map[string]string) *string {
		text := encodeBundle(c["ca.crt"])
		return &text
	}))
	return servingCertificate{secret: secret.Metadata.Name().Elem(), caBundle: authority}, nil
}

// encodeBundle returns certificates in PEM in the form of an APIService.
func encodeBundle(certificates string) string {
	return base64.StdEncoding.EncodeToString([]byte(certificates))
}
