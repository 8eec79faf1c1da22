package journal_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/journal"
	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
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
	r := graphtest.Find(t, g, gateway, "journal-exposure")
	assert.Equal(t, "edge", r.Field("spec.gatewayClassName"))
	assert.Equal(t, "exposure", r.Field("metadata.name"))
	assert.Len(t, r.Field("spec.listeners"), 1)
	for path, want := range map[string]any{
		"name": "http", "protocol": "HTTP", "port": 80, "hostname": "journal.localhost", "allowedRoutes.namespaces.from": "Same",
	} {
		assert.Equal(t, want, r.Field("spec.listeners[0]."+path), path)
	}
	require.Len(t, g.OfType(httpRoute), 1)
	r = graphtest.Find(t, g, httpRoute, "journal-exposure")
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
		"journal-tls":       {TLS: journal.TLSArgs{Secret: "journal-tls"}},
		"exposure-tls":      {TLS: journal.TLSArgs{Issuer: "ClusterIssuer/letsencrypt"}},
		selfSignedName("1"): {TLS: journal.TLSArgs{SelfSigned: 1}},
		selfSignedName("2"): {TLS: journal.TLSArgs{SelfSigned: 2}},
	} {
		t.Run(secret, func(t *testing.T) {
			tls.Host, tls.Port = "journal.example.com", 8443
			g := exposed(t, tls)
			r := graphtest.Find(t, g, ingress, "journal-exposure")
			assert.Equal(t, secret, r.Field("spec.tls[0].secretName"))
			assert.Equal(t, []any{"journal.example.com"}, r.Field("spec.tls[0].hosts"))
			redirect := graphtest.Find(t, g, middleware, "journal-exposure-redirect")
			assert.Equal(t, "https", redirect.Field("spec.redirectScheme.scheme"))
			assert.Equal(t, "8443", redirect.Field("spec.redirectScheme.port"))
			assert.Equal(t, "exposure-redirect", redirect.Field("metadata.name"))
			annotations, _ := graphtest.Find(t, g, ingress, "journal-exposure-redirect").Field("metadata.annotations").(map[string]any)
			assert.Equal(t, map[string]any{
				"traefik.ingress.kubernetes.io/router.entrypoints": "web",
				"traefik.ingress.kubernetes.io/router.middlewares": "team-a-exposure-redirect@kubernetescrd",
			}, annotations)

			tls.Kind = journal.KindGateway
			g = exposed(t, tls)
			r = graphtest.Find(t, g, gateway, "journal-exposure")
			assert.Equal(t, "HTTPS", r.Field("spec.listeners[1].protocol"))
			assert.Equal(t, 443, r.Field("spec.listeners[1].port"))
			assert.Equal(t, secret, r.Field("spec.listeners[1].tls.certificateRefs[0].name"))
			assert.Equal(t, "https", graphtest.Find(t, g, httpRoute, "journal-exposure").Field("spec.parentRefs[0].sectionName"))
			r = graphtest.Find(t, g, httpRoute, "journal-exposure-redirect")
			assert.Equal(t, "http", r.Field("spec.parentRefs[0].sectionName"))
			assert.Equal(t, "https", r.Field("spec.rules[0].filters[0].requestRedirect.scheme"))
			assert.Equal(t, 8443, r.Field("spec.rules[0].filters[0].requestRedirect.port"))
			assert.Empty(t, g.OfType(middleware))
		})
	}
}

func TestTraefikBoundsTheRequestsOfOneAddress(t *testing.T) {
	g := exposed(t, journal.ExposureArgs{MaxInFlightPerClient: 20, TLS: journal.TLSArgs{Secret: "journal-tls"}})
	bound := graphtest.Find(t, g, middleware, "journal-exposure-in-flight")
	assert.Equal(t, 20, bound.Field("spec.inFlightReq.amount"))
	assert.Equal(t, 0, bound.Field("spec.inFlightReq.sourceCriterion.ipStrategy.depth"), "no header says where a request comes from")
	r := graphtest.Find(t, g, ingress, "journal-exposure")
	assert.Equal(t, "team-a-exposure-in-flight@kubernetescrd", r.Field(`metadata.annotations["traefik.ingress.kubernetes.io/router.middlewares"]`))
	assert.Equal(t, "websecure", r.Field(`metadata.annotations["traefik.ingress.kubernetes.io/router.entrypoints"]`))
	assert.Contains(t, strings.Join(r.DependsOn, " "), "journal-exposure-in-flight")

	for _, other := range []journal.ExposureArgs{
		{MaxInFlightPerClient: 20, Class: "other"}, {MaxInFlightPerClient: 20, Kind: journal.KindGateway}, {MaxInFlightPerClient: -1},
	} {
		assert.ErrorContains(t, other.Check("exposure").Err(), "maxInFlightPerClient")
	}
}

// selfSignedName is the name of the Secret with this certificate.
func selfSignedName(number string) string {
	return kube.ContentName("exposure-tls", map[string]string{"host": "journal.example.com", "number": number})
}

func TestOnlyTraefikIsGivenWhatIsTraefiks(t *testing.T) {
	g := exposed(t, journal.ExposureArgs{Class: "other", TLS: journal.TLSArgs{Secret: "journal-tls"}})
	assert.Empty(t, g.OfType(middleware))
	require.Len(t, g.OfType(ingress), 1)
	assert.Nil(t, g.OfType(ingress)[0].Field("metadata.annotations"))
}

func TestAnIssuerIsAskedForTheHostsCertificate(t *testing.T) {
	r := graphtest.Find(t, exposed(t, journal.ExposureArgs{TLS: journal.TLSArgs{Issuer: "Issuer/internal"}}), certificate, "journal-exposure")
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
		g := exposed(t, journal.ExposureArgs{Host: "journal.example.com", TLS: journal.TLSArgs{SelfSigned: 1}}, options...)
		r := graphtest.Find(t, g, secret, kube.ContentName("journal-exposure-tls", map[string]string{"host": "journal.example.com", "number": "1"}))
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
	for _, c := range []struct {
		sentence, says string
		args           journal.ExposureArgs
	}{
		{"a kind that does not exist", `kind "nginx": must be one of ingress, gateway`, journal.ExposureArgs{Kind: "nginx"}},
		{"an issuer without a kind", `tls.issuer "letsencrypt": must be an issuer of cert-manager by kind and name`, journal.ExposureArgs{TLS: journal.TLSArgs{Issuer: "letsencrypt"}}},
		{"an issuer without a name", `tls.issuer "Issuer/": must be an issuer of cert-manager by kind and name`, journal.ExposureArgs{TLS: journal.TLSArgs{Issuer: "Issuer/"}}},
		{"an issuer beside a Secret", `tls.issuer "Issuer/a": the host has one certificate`, journal.ExposureArgs{TLS: journal.TLSArgs{Issuer: "Issuer/a", Secret: "journal-tls"}}},
		{"a negative number", `tls.selfSigned "-1": must be 0 or more`, journal.ExposureArgs{TLS: journal.TLSArgs{SelfSigned: -1}}},
		{"a self-signed certificate beside a Secret", `tls.selfSigned "1": the host has one certificate`, journal.ExposureArgs{TLS: journal.TLSArgs{SelfSigned: 1, Secret: "journal-tls"}}},
		{"a self-signed certificate beside an issuer", `tls.selfSigned "2": the host has one certificate`, journal.ExposureArgs{TLS: journal.TLSArgs{SelfSigned: 2, Issuer: "Issuer/a"}}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			faults := c.args.Check("exposure")
			require.Len(t, faults, 1)
			assert.ErrorContains(t, faults.Err(), c.says)
		})
	}
}

func TestTheURLOfEveryCertificateIsHTTPS(t *testing.T) {
	for _, exposure := range []journal.ExposureArgs{{TLS: journal.TLSArgs{Secret: "journal-tls"}}, {TLS: journal.TLSArgs{Issuer: "Issuer/a"}}, {TLS: journal.TLSArgs{SelfSigned: 1}}} {
		assert.Equal(t, "https://journal.localhost/", exposed(t, exposure).Outputs()["url"])
	}
}
