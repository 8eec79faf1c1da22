package keys

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func TestAuthoritiesAreKeptAndTheirCertificatesHold(t *testing.T) {
	folder := t.TempDir()
	first, err := openAuthority(folder, "ca")
	if err != nil {
		t.Fatal(err)
	}
	again, err := openAuthority(folder, "ca")
	if err != nil {
		t.Fatal(err)
	}
	if !first.certificate.Equal(again.certificate) {
		t.Error("the second opening has made a new authority")
	}
	for _, file := range []string{"ca.crt", "ca.key"} {
		if info, err := os.Stat(filepath.Join(folder, file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode is not 0600: %v, %v", file, info.Mode(), err)
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(first.certificate)
	client := parse(t, again, x509.Certificate{Subject: pkix.Name{CommonName: "alice", Organization: []string{"team-a"}}})
	if client.Subject.CommonName != "alice" || strings.Join(client.Subject.Organization, " ") != "team-a" {
		t.Errorf("the client is %s", client.Subject)
	}
	if _, err := client.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	server := parse(t, again, x509.Certificate{DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	for _, name := range []string{"localhost", "127.0.0.1"} {
		if _, err := server.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Error(err)
		}
	}
	if _, err := server.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err == nil {
		t.Error("a server's certificate is good for a client")
	}
}

func TestKubeconfigLeadsToTheServerThatTheAuthorityVouchesFor(t *testing.T) {
	authority, err := openAuthority(t.TempDir(), "ca")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	certificate, key, err := authority.issue(x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(authority.certificate)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert}
	server.StartTLS()
	defer server.Close()

	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := writeKubeconfig(path, server.URL, authority, pkix.Name{CommonName: "alice"}); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if user, err := io.ReadAll(response.Body); err != nil || string(user) != "alice" {
		t.Errorf("the server sees %q (%v), not alice", user, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the kubeconfig's mode is not 0600: %v, %v", info.Mode(), err)
	}
}

func parse(t *testing.T, a *authority, template x509.Certificate) *x509.Certificate {
	t.Helper()
	text, _, err := a.issue(template)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
