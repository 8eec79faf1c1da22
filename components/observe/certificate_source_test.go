package observe

import (
	"encoding/base64"
	"fmt"
	"testing"

	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

const issuedCertificate = "kubernetes:cert-manager.io/v1:Certificate"

// servers are the API servers with a certificate of this source, by their names in the program.
func servers(t *testing.T, source CertificateArgs, options ...graph.Option) map[string]*graph.Graph {
	t.Helper()
	store := Store{URL: pulumi.String("http://store:9428"), Peers: networkingv1.NetworkPolicyPeerArray{peer(kube.Part{App: "store"}, "logs")}, Port: 9428}
	return map[string]*graph.Graph{
		"metrics": declared(t, &ResourceMetricsArgs{Image: pulumi.String(image), Certificate: source}, options...),
		"reader": graphtest.Run(t, func(ctx *pulumi.Context) error {
			_, err := NewReader(ctx, "reader", &ReaderArgs{Image: pulumi.String(readerImage), Logs: store, Certificate: source})
			return err
		}, options...),
	}
}

// mounted is the Secret that the pods of a server serve with.
func mounted(t *testing.T, g *graph.Graph, name string) any {
	t.Helper()
	volume := graphtest.Find(t, g, deployment, name).Field("spec.template.spec.volumes[2].projected.sources[0].secret")
	keys, _ := volume.(map[string]any)
	assert.Equal(t, []any{map[string]any{"key": "tls.crt", "path": "tls.crt"}, map[string]any{"key": "tls.key", "path": "tls.key"}}, keys["items"])
	return keys["name"]
}

func TestACertificateOfASecretIsServedAndItsAuthorityIsTrusted(t *testing.T) {
	authority := derive(t, "secret", 1).authority
	for name, g := range servers(t, CertificateArgs{Secret: "own-tls", CABundle: authority}) {
		assert.Equal(t, "own-tls", mounted(t, g, name), name)
		group := graphtest.Find(t, g, apiService, name)
		bundle, err := base64.StdEncoding.DecodeString(fmt.Sprint(group.Field("spec.caBundle")))
		require.NoError(t, err, name)
		assert.Equal(t, authority, string(bundle), name)
		assert.Nil(t, group.Field("metadata.annotations"), name)
	}
}

func TestAnIssuerSignsTheCertificateOfTheServiceAndWritesItsAuthority(t *testing.T) {
	for name, g := range servers(t, CertificateArgs{Issuer: "ClusterIssuer/internal"}) {
		app := map[string]string{"metrics": metricsServerApp, "reader": readerApp}[name]
		in := "journal-" + app
		issued := graphtest.Find(t, g, issuedCertificate, name)
		assert.Equal(t, in, issued.Field("metadata.namespace"))
		assert.Equal(t, app, issued.Field("metadata.name"))
		assert.Equal(t, []any{app + "." + in + ".svc"}, issued.Field("spec.dnsNames"))
		assert.Equal(t, map[string]any{"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "internal"}, issued.Field("spec.issuerRef"))
		assert.Equal(t, app+"-tls", issued.Field("spec.secretName"))
		assert.Equal(t, app+"-tls", mounted(t, g, name))

		group := graphtest.Find(t, g, apiService, name)
		assert.Nil(t, group.Field("spec.caBundle"), "an update would take back what cert-manager has written")
		assert.Equal(t, map[string]any{"cert-manager.io/inject-ca-from": in + "/" + app}, group.Field("metadata.annotations"))
		assert.Contains(t, fmt.Sprint(graphtest.Find(t, g, deployment, name).DependsOn), issuedCertificate+"::"+name)
	}
}

func TestTheProgramMakesNoKeyForACertificateThatExists(t *testing.T) {
	for _, source := range []CertificateArgs{{Secret: "own-tls", CABundle: derive(t, "secret", 1).authority}, {Issuer: "Issuer/internal"}} {
		assert.False(t, source.Generated())
		for name, g := range servers(t, source) {
			for _, r := range g.All() {
				assert.NotEqual(t, secret, r.Type, name)
				assert.NotEqual(t, "random:index/randomPassword:RandomPassword", r.Type, name)
				assert.False(t, r.HasSecret(), "%s %s", r.Type, r.Name)
			}
		}
	}
	assert.True(t, CertificateArgs{}.Generated())
	assert.True(t, CertificateArgs{Number: 2}.Generated())
}

func TestTheAPIServerChecksEveryCertificate(t *testing.T) {
	for _, source := range []CertificateArgs{{}, {Secret: "own-tls", CABundle: derive(t, "secret", 1).authority}, {Issuer: "Issuer/internal"}} {
		for name, g := range servers(t, source) {
			assert.Nil(t, graphtest.Find(t, g, apiService, name).Field("spec.insecureSkipTLSVerify"), name)
		}
	}
}

func TestAPreviewOfEachCertificateDeclaresTheSameAsAnUpdate(t *testing.T) {
	names := func(g *graph.Graph) (all []string) {
		for _, r := range g.All() {
			all = append(all, r.Type+" "+r.Name)
		}
		return all
	}
	for _, source := range []CertificateArgs{{Number: 2}, {Secret: "own-tls", CABundle: derive(t, "secret", 1).authority}, {Issuer: "Issuer/internal"}} {
		update, preview := servers(t, source), servers(t, source, graph.Preview())
		for name := range update {
			assert.Equal(t, names(update[name]), names(preview[name]))
		}
	}
}

func TestEachBrokenRuleOfACertificateIsReportedForBothServers(t *testing.T) {
	c := derive(t, "secret", 1)
	for says, source := range map[string]CertificateArgs{
		`certificate.number "-1": must be 0 or more`:                                           {Number: -1},
		`certificate.number "2": the server has one certificate; keep one of number, secret`:   {Number: 2, Secret: "own-tls", CABundle: c.authority},
		`certificate.number "1": the server has one certificate`:                               {Number: 1, Issuer: "Issuer/internal"},
		`certificate.issuer "Issuer/internal": the server has one certificate`:                 {Issuer: "Issuer/internal", Secret: "own-tls", CABundle: c.authority},
		`certificate.issuer "letsencrypt": must be an issuer of cert-manager by kind and name`: {Issuer: "letsencrypt"},
		`certificate.secret "Own_TLS"`:                                                         {Secret: "Own_TLS", CABundle: c.authority},
		`certificate.caBundle "": it is missing, and the API server trusts no other authority`: {Secret: "own-tls"},
		`certificate.caBundle "-----BEGIN CERTIFICATE-----`:                                    {CABundle: c.authority},
		`write the Secret's name as secret, or remove this`:                                    {CABundle: c.authority, Issuer: "Issuer/internal"},
		`certificate.caBundle "LS0tLS1CRUdJTg==": not a whole certificate in PEM`:              {Secret: "own-tls", CABundle: "LS0tLS1CRUdJTg=="},
		`certificate.caBundle "CN=metrics server": not an authority, since CA:TRUE is missing`: {Secret: "own-tls", CABundle: c.authority + c.certificate},
		`certificate.caBundle "[hidden]": it holds a private key, which nobody else may have`:  {Secret: "own-tls", CABundle: c.authority + c.key},
	} {
		t.Run(says, func(t *testing.T) {
			for name, faults := range map[string]error{
				"metrics": (&ResourceMetricsArgs{Image: pulumi.String(image), Certificate: source}).Check().Err(),
				"reader":  (&ReaderArgs{Image: pulumi.String(readerImage), Certificate: source}).Check().Err(),
			} {
				require.ErrorContains(t, faults, says, name)
				assert.NotContains(t, faults.Error(), "\n", name)
			}
		})
	}
}

func TestAllFaultsOfACertificateAreReportedAtOnceAndNothingIsDeclared(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := NewResourceMetrics(ctx, "metrics", &ResourceMetricsArgs{
			Image: pulumi.String(image), Certificate: CertificateArgs{Number: 2, Secret: "Own_TLS", Issuer: "internal", CABundle: "/etc/ca.crt"},
		})
		return err
	})
	for _, says := range []string{
		`certificate.number "2": the server has one`, `certificate.secret "Own_TLS"`, `certificate.issuer "internal": must be an issuer`,
		`certificate.issuer "internal": the server has one`, `certificate.caBundle "/etc/ca.crt": not a whole certificate in PEM`,
	} {
		require.ErrorContains(t, err, says)
	}
	assert.Empty(t, g.All())
}

func TestTwoAuthoritiesAreTrustedWhileOneReplacesTheOther(t *testing.T) {
	before, after := derive(t, "before", 1), derive(t, "after", 1)
	both := before.authority + after.authority
	require.Empty(t, CertificateArgs{Secret: "own-tls", CABundle: both}.check())
	group := graphtest.Find(t, servers(t, CertificateArgs{Secret: "own-tls", CABundle: both})["metrics"], apiService, "metrics")
	bundle, err := base64.StdEncoding.DecodeString(fmt.Sprint(group.Field("spec.caBundle")))
	require.NoError(t, err)
	for _, c := range []certificates{before, after} {
		require.NoError(t, verify(t, string(bundle), c.certificate, host))
	}
}
