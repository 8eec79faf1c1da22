package observe

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const host = "metrics-server.journal-metrics-server.svc"

func derive(t *testing.T, source string, number int) certificates {
	t.Helper()
	c, err := deriveCertificates(source, metricsServer, number, host)
	require.NoError(t, err)
	return c
}

func parse(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	require.NotNil(t, block)
	require.Empty(t, rest)
	certificate, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return certificate
}

// verify is what the API server does: it trusts the caBundle alone, and asks for the Service's name.
func verify(t *testing.T, authority, certificate, name string) error {
	t.Helper()
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM([]byte(authority)))
	_, err := parse(t, certificate).Verify(x509.VerifyOptions{Roots: pool, DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

func TestTheAPIServerTrustsTheCertificateForTheServiceAlone(t *testing.T) {
	c := derive(t, "secret", 1)
	require.NoError(t, verify(t, c.authority, c.certificate, host))
	require.Error(t, verify(t, c.authority, c.certificate, "kubernetes.default.svc"))
	_, err := tls.X509KeyPair([]byte(c.certificate), []byte(c.key))
	require.NoError(t, err, "the key belongs to the certificate")
}

func TestTheCertificatesChangeWithTheSecretAndTheNumberOnly(t *testing.T) {
	c := derive(t, "secret", 1)
	assert.Equal(t, c, derive(t, "secret", 1), "an update without a change would replace the pods")
	other := derive(t, "other", 1)
	assert.NotEqual(t, c.authority, other.authority)
	assert.NotEqual(t, c.key, other.key)
	require.Error(t, verify(t, c.authority, other.certificate, host))
}

func TestBothSidesOfAChangeOfTheNumberAreTrusted(t *testing.T) {
	before, after := derive(t, "secret", 1), derive(t, "secret", 2)
	assert.NotEqual(t, before.key, after.key)
	assert.Equal(t, before.authority, after.authority, "the APIService would change with the pods, at another moment")
	require.NoError(t, verify(t, before.authority, after.certificate, host))
	require.NoError(t, verify(t, after.authority, before.certificate, host))
}

func TestTheAuthorityCanSignForNoOtherHost(t *testing.T) {
	c := derive(t, "secret", 1)
	key, err := deriveKey("secret", metricsServer+" authority")
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(9), Subject: pkix.Name{CommonName: "forged"}, DNSNames: []string{"kubernetes.default.svc"},
		NotBefore: notBefore, NotAfter: notAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(nil, template, parse(t, c.authority), key.Public(), key)
	require.NoError(t, err)
	require.ErrorContains(t, verify(t, c.authority, encodePEM("CERTIFICATE", der), "kubernetes.default.svc"), "not permitted")
}
