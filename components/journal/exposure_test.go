package journal_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	"example.com/journal/components/journal"
	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	gateway     = "kubernetes:gateway.networking.k8s.io/v1:Gateway"
	httpRoute   = "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute"
	middleware  = "kubernetes:traefik.io/v1alpha1:Middleware"
	certificate = "kubernetes:cert-manager.io/v1:Certificate"
)

// exposed runs a program that declares one journal that is exposed so.
func exposed(t *testing.T, exposure journal.ExposureArgs, options ...graph.Option) *graph.Graph {
	t.Helper()
	a := args()
	a.Exposure = exposure
	return declare(t, a, options...)
}

func TestAGatewayHasTheRoutesOfAnIngress(t *testing.T) {
	g := exposed(t, journal.ExposureArgs{Kind: journal.KindGateway, Class: "edge"})
	assert.Empty(t, g.OfType(ingress))
	r := find(t, g, gateway, "journal-exposure")
	assert.Equal(t, "edge", r.Field("spec.gatewayClassName"))
	assert.Equal(t, "exposure", r.Field("metadata.name"))
	assert.Len(t, r.Field("spec.listeners"), 1)
	for path, want := range map[string]any{
		"name": "http", "protocol": "HTTP", "port": 80, "hostname": "journal.localhost", "allowedRoutes.namespaces.from": "Same",
	} {
		assert.Equal(t, want, r.Field("spec.listeners[0]."+path), path)
	}
	require.Len(t, g.OfType(httpRoute), 1)
	r = find(t, g, httpRoute, "journal-exposure")
	for path, want := range map[string]any{
		"metadata.namespace":                  "team-a",
		"spec.parentRefs[0].name":             "exposure",
		"spec.parentRefs[0].sectionName":      "http",
		"spec.hostnames":                      []any{"journal.localhost"},
		"spec.rules[0].matches[0].path.value": "/api",
		"spec.rules[0].backendRefs[0].name":   "api",
		"spec.rules[0].backendRefs[0].port":   80,
		"spec.rules[1].matches[0].path.value": "/",
		"spec.rules[1].matches[0].path.type":  "PathPrefix",
		"spec.rules[1].backendRefs[0].name":   "frontend",
	} {
		assert.Equal(t, want, r.Field(path), path)
	}
}

func TestEveryCertificateIsServedByBothKindsAndHTTPRedirects(t *testing.T) {
	for secret, tls := range map[string]journal.ExposureArgs{
		"journal-tls":       {TLSSecret: "journal-tls"},
		"exposure-tls":      {TLSIssuer: "ClusterIssuer/letsencrypt"},
		selfSignedName("1"): {TLSSelfSigned: 1},
		selfSignedName("2"): {TLSSelfSigned: 2},
	} {
		tls.Host, tls.Port = "journal.example.com", 8443
		g := exposed(t, tls)
		r := find(t, g, ingress, "journal-exposure")
		assert.Equal(t, secret, r.Field("spec.tls[0].secretName"))
		assert.Equal(t, []any{"journal.example.com"}, r.Field("spec.tls[0].hosts"))
		redirect := find(t, g, middleware, "journal-exposure-redirect")
		assert.Equal(t, "https", redirect.Field("spec.redirectScheme.scheme"))
		assert.Equal(t, "8443", redirect.Field("spec.redirectScheme.port"))
		assert.Equal(t, "exposure-redirect", redirect.Field("metadata.name"))
		annotations, _ := find(t, g, ingress, "journal-exposure-redirect").Field("metadata.annotations").(map[string]any)
		assert.Equal(t, map[string]any{
			"traefik.ingress.kubernetes.io/router.entrypoints": "web",
			"traefik.ingress.kubernetes.io/router.middlewares": "team-a-exposure-redirect@kubernetescrd",
		}, annotations)

		tls.Kind = journal.KindGateway
		g = exposed(t, tls)
		r = find(t, g, gateway, "journal-exposure")
		assert.Equal(t, "HTTPS", r.Field("spec.listeners[1].protocol"))
		assert.Equal(t, 443, r.Field("spec.listeners[1].port"))
		assert.Equal(t, secret, r.Field("spec.listeners[1].tls.certificateRefs[0].name"))
		assert.Equal(t, "https", find(t, g, httpRoute, "journal-exposure").Field("spec.parentRefs[0].sectionName"))
		r = find(t, g, httpRoute, "journal-exposure-redirect")
		assert.Equal(t, "http", r.Field("spec.parentRefs[0].sectionName"))
		assert.Equal(t, "https", r.Field("spec.rules[0].filters[0].requestRedirect.scheme"))
		assert.Equal(t, 8443, r.Field("spec.rules[0].filters[0].requestRedirect.port"))
		assert.Empty(t, g.OfType(middleware))
	}
}

// selfSignedName is the name of the Secret with this certificate.
func selfSignedName(number string) string {
	return kube.ContentName("exposure-tls", map[string]string{"host": "journal.example.com", "number": number})
}

func TestOnlyTraefikIsGivenWhatIsTraefiks(t *testing.T) {
	g := exposed(t, journal.ExposureArgs{Class: "other", TLSSecret: "journal-tls"})
	assert.Empty(t, g.OfType(middleware))
	require.Len(t, g.OfType(ingress), 1)
	assert.Nil(t, g.OfType(ingress)[0].Field("metadata.annotations"))
}

func TestAnIssuerIsAskedForTheHostsCertificate(t *testing.T) {
	r := find(t, exposed(t, journal.ExposureArgs{TLSIssuer: "Issuer/internal"}), certificate, "journal-exposure")
	for path, want := range map[string]any{
		"spec.secretName": "exposure-tls", "spec.dnsNames": []any{"journal.localhost"},
		"spec.issuerRef.kind": "Issuer", "spec.issuerRef.name": "internal", "spec.issuerRef.group": "cert-manager.io",
		"spec.privateKey.rotationPolicy": "Always", "metadata.namespace": "team-a",
	} {
		assert.Equal(t, want, r.Field(path), path)
	}
}

func TestASelfSignedCertificateIsTheHostsAndSecret(t *testing.T) {
	for _, options := range [][]graph.Option{nil, {graph.Preview()}} {
		g := exposed(t, journal.ExposureArgs{Host: "journal.example.com", TLSSelfSigned: 1}, options...)
		r := find(t, g, secret, kube.ContentName("journal-exposure-tls", map[string]string{"host": "journal.example.com", "number": "1"}))
		assert.Equal(t, "kubernetes.io/tls", r.Field("type"))
		assert.Equal(t, true, r.Field("immutable"))
		assert.True(t, r.IsSecret("data"), "the key is in plain text")
		decode := func(file string) *pem.Block {
			files, _ := r.Field("data").(map[string]any)
			text, err := base64.StdEncoding.DecodeString(fmt.Sprint(files[file]))
			require.NoError(t, err)
			block, _ := pem.Decode(text)
			return block
		}
		block := decode("tls.crt")
		require.NotNil(t, block)
		parsed, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		require.NoError(t, parsed.VerifyHostname("journal.example.com"))
		assert.WithinDuration(t, time.Now().Add(825*24*time.Hour), parsed.NotAfter, 2*time.Hour)
		key := decode("tls.key")
		require.NotNil(t, key)
		_, err = x509.ParsePKCS8PrivateKey(key.Bytes)
		require.NoError(t, err)
	}
}

func TestEachRuleOfAnExposureIsReported(t *testing.T) {
	for says, a := range map[string]journal.ExposureArgs{
		`kind "nginx": no kind of exposure; write ingress or gateway`: {Kind: "nginx"},
		`tlsIssuer "letsencrypt": no issuer of cert-manager`:          {TLSIssuer: "letsencrypt"},
		`tlsIssuer "Issuer/": no issuer of cert-manager`:              {TLSIssuer: "Issuer/"},
		`tlsIssuer "Issuer/a": the host has one certificate`:          {TLSIssuer: "Issuer/a", TLSSecret: "journal-tls"},
		`tlsSelfSigned "-1": no number of a certificate`:              {TLSSelfSigned: -1},
		`tlsSelfSigned "1": the host has one certificate`:             {TLSSelfSigned: 1, TLSSecret: "journal-tls"},
		`tlsSelfSigned "2": the host has one certificate`:             {TLSSelfSigned: 2, TLSIssuer: "Issuer/a"},
	} {
		faults := a.Check("exposure")
		require.Len(t, faults, 1, says)
		assert.ErrorContains(t, faults.Err(), says)
	}
}

func TestTheURLOfEveryCertificateIsHTTPS(t *testing.T) {
	for _, exposure := range []journal.ExposureArgs{{TLSSecret: "journal-tls"}, {TLSIssuer: "Issuer/a"}, {TLSSelfSigned: 1}} {
		a := args()
		a.Exposure = exposure
		g, err := graph.Run(func(ctx *pulumi.Context) error {
			j, err := journal.New(ctx, "journal", a)
			if err != nil {
				return err
			}
			ctx.Export("url", j.Exposure.URL)
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, "https://journal.localhost/", g.Outputs()["url"])
	}
}
