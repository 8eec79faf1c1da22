package tenancy

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newCertificate returns a certificate in PEM.
func newCertificate(t *testing.T) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestAKubeconfigSignsInByAProgramAndHoldsNoSecret(t *testing.T) {
	authority := newCertificate(t)
	args := KubeconfigArgs{
		Cluster: "shared", Server: "https://kubernetes.example.com:6443", Namespace: "team-a",
		CertificateAuthority: authority,
		Command:              []string{"kubectl", "oidc-login", "get-token", "--oidc-issuer-url=https://id.example.com", "--oidc-client-id=kubernetes"},
	}
	text, err := Kubeconfig(args)
	require.NoError(t, err)
	var config struct {
		CurrentContext string `yaml:"current-context"`
		Contexts       []struct {
			Name    string
			Context map[string]string
		}
		Clusters []struct{ Cluster map[string]string }
		Users    []struct{ User map[string]map[string]any }
	}
	require.NoError(t, encoding.YAML.Unmarshal([]byte(text), &config))
	assert.Equal(t, "team-a", config.CurrentContext)
	assert.Equal(t, map[string]string{"cluster": "shared", "namespace": "team-a", "user": "user"}, config.Contexts[0].Context)
	assert.Equal(t, base64.StdEncoding.EncodeToString([]byte(authority)), config.Clusters[0].Cluster["certificate-authority-data"])
	assert.Equal(t, "kubectl", config.Users[0].User["exec"]["command"])
	assert.Equal(t, []string{"exec"}, slices.Collect(maps.Keys(config.Users[0].User)))
}

func TestEachRuleOfAKubeconfigIsReported(t *testing.T) {
	authority := newCertificate(t)
	cut := strings.Join(strings.Split(authority, "\n")[:3], "\n")
	for _, c := range []struct {
		says   string
		change func(*KubeconfigArgs)
	}{
		{`cluster "": it is missing; write for example shared`, func(a *KubeconfigArgs) { a.Cluster = "" }},
		{`cluster "Shared": not an object name`, func(a *KubeconfigArgs) { a.Cluster = "Shared" }},
		{`namespace "": it is missing`, func(a *KubeconfigArgs) { a.Namespace = "" }},
		{`server "": it is missing; write for example https://kubernetes.example.com:6443`, func(a *KubeconfigArgs) { a.Server = "" }},
		{`server "kubernetes:6443": not the address of an API server`, func(a *KubeconfigArgs) { a.Server = "kubernetes:6443" }},
		{`server "http://kubernetes": not the address`, func(a *KubeconfigArgs) { a.Server = "http://kubernetes" }},
		{`server "https://kubernetes:65536": the port must be 1 to 65535`, func(a *KubeconfigArgs) { a.Server = "https://kubernetes:65536" }},
		{`server "https://kubernetes:0": the port must be 1 to 65535`, func(a *KubeconfigArgs) { a.Server = "https://kubernetes:0" }},
		{`server "https://kubernetes/?a=b": it has more than a host and a port`, func(a *KubeconfigArgs) { a.Server = "https://kubernetes/?a=b" }},
		{`server "[hidden]": it has a user or a password`, func(a *KubeconfigArgs) { a.Server = "https://admin:hunter2@kubernetes" }},
		{`server "[hidden]": not the address of an API server`, func(a *KubeconfigArgs) { a.Server = "http://admin:hunter2@kubernetes" }},
		{`certificateAuthority "/etc/ca.crt": not a whole certificate in PEM`, func(a *KubeconfigArgs) { a.CertificateAuthority = "/etc/ca.crt" }},
		{`not a whole certificate in PEM`, func(a *KubeconfigArgs) { a.CertificateAuthority = cut }},
		{`a certificate that cannot be read, so it is probably cut off`, func(a *KubeconfigArgs) {
			a.CertificateAuthority = cut + "\n-----END CERTIFICATE-----\n"
		}},
		{`not a whole certificate in PEM`, func(a *KubeconfigArgs) { a.CertificateAuthority = authority + cut }},
		{`certificateAuthority "[hidden]": it holds a private key`, func(a *KubeconfigArgs) {
			a.CertificateAuthority = authority + "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"
		}},
		{`command "[]": it is missing; write for example [kubectl, oidc-login, get-token]`, func(a *KubeconfigArgs) { a.Command = nil }},
		{`command[0] "": it is empty; write the name of the program`, func(a *KubeconfigArgs) { a.Command = []string{""} }},
		{`it has an invisible character, U+200B`, func(a *KubeconfigArgs) { a.Command = []string{"kubectl", "oidc\u200b-login"} }},
	} {
		t.Run(c.says, func(t *testing.T) {
			args := KubeconfigArgs{
				Cluster: "shared", Server: "https://kubernetes.example.com:6443", CertificateAuthority: authority + authority,
				Namespace: "team-a", Command: []string{"kubectl", "oidc-login"},
			}
			assert.NoError(t, args.Check().Err())
			c.change(&args)
			faults := args.Check()
			require.Len(t, faults, 1, "%v", faults.Err())
			assert.ErrorContains(t, faults.Err(), c.says)
			assert.NotContains(t, faults.Err().Error(), "hunter2")
			_, err := Kubeconfig(args)
			assert.ErrorContains(t, err, c.says)
		})
	}
}
