//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/journal/sandbox/node"
)

func TestExposure(t *testing.T) {
	needsNode(t, "has a controller of Ingresses and Gateways on ports that are known")
	t.Run("every exposure gives the same answers", exposures)
	t.Run("the exposure changes without a failed request", switchOfExposure)
}

// exposures is one test, since each Ingress or Gateway replaces the one before.
func exposures(t *testing.T) {
	n := needsNode(t, "has a port for HTTPS")
	original := originalStack(t)
	made := tlsSecret(t)
	var want map[string]string // the answers through the first one
	for _, c := range []struct {
		what   string
		values map[string]any
	}{
		{"an Ingress", nil},
		{"a Gateway", map[string]any{"exposure.kind": "gateway"}},
		{"a Gateway with a certificate from a Secret", map[string]any{"exposure.kind": "gateway", "exposure.tls.secret": made}},
		{"a Gateway with a self-signed certificate", map[string]any{"exposure.kind": "gateway", "exposure.tls.selfSigned": 1}},
		{"an Ingress with a self-signed certificate", map[string]any{"exposure.tls.selfSigned": 1}},
		{"an Ingress with a certificate from a Secret", map[string]any{"exposure.tls.secret": made}},
	} {
		t.Run(c.what, func(t *testing.T) {
			values := maps.Clone(c.values)
			secret, _ := values["exposure.tls.secret"].(string)
			if secret != "" || values["exposure.tls.selfSigned"] != nil {
				values["exposure.port"] = n.HTTPSPort
			}
			start := time.Now()
			result, err := upFrom(t.Context(), with(t, original, values))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("up in %s", time.Since(start).Round(100*time.Millisecond))
			address, _ := result.Outputs["url"].(string)
			page, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			var trusted *x509.CertPool
			if page.Scheme == "https" {
				if secret == "" {
					secret = strings.TrimSpace(kubectl(t, "get", "secrets", "--namespace", world.outputs.Namespace, "--selector", "app=exposure",
						"--field-selector", "type=kubernetes.io/tls", "--output", "jsonpath={.items[*].metadata.name}"))
				}
				trusted = certificateOf(t, secret)
			}
			// The controller takes a moment to apply new routes and certificates.
			eventually(t, func() error {
				if status, _, err := visit(n, trusted, http.MethodGet, address, "", nil); err != nil || status != http.StatusOK {
					return fmt.Errorf("status %d (%w)", status, err)
				}
				return nil
			})
			got := answers(t, n, trusted, address)
			if want == nil {
				want = got
			}
			for request, answer := range want {
				if got[request] != answer {
					t.Errorf("%s is answered\n%s\nand by the first one\n%s", request, got[request], answer)
				}
			}
			if page.Scheme != "https" {
				return
			}
			if _, header, _ := visit(n, trusted, http.MethodGet, address, "", nil); header.Get("Strict-Transport-Security") == "" {
				t.Errorf("the page does not ask for HTTPS for good: %v", header)
			}
			plain := fmt.Sprintf("http://%s:%d/some/page?a=b", page.Hostname(), n.HTTPPort)
			status, header, err := visit(n, nil, http.MethodGet, plain, "", nil)
			if status != http.StatusMovedPermanently && status != http.StatusPermanentRedirect || header.Get("Location") != address+"some/page?a=b" {
				t.Errorf("%s is answered with %d (%v) and leads to %q", plain, status, err, header.Get("Location"))
			}
			if status, _, err := visit(n, x509.NewCertPool(), http.MethodGet, address, "", nil); err == nil {
				t.Errorf("who does not trust the certificate is answered with %d", status)
			}
		})
	}
}

func switchOfExposure(t *testing.T) {
	original := originalStack(t)
	l := startLoad(t)
	l.during(t, "from an Ingress to a Gateway", func() { change(t, original, map[string]any{"exposure.kind": "gateway"}) })
	if left := kubectl(t, "get", "ingresses", "--namespace", world.outputs.Namespace, "--output", "name"); left != "" {
		t.Errorf("there is still %s", left)
	}
	l.during(t, "from a Gateway to an Ingress", func() { change(t, original, nil) })
	if left := kubectl(t, "get", "gateways,httproutes", "--namespace", world.outputs.Namespace, "--output", "name"); left != "" {
		t.Errorf("there is still %s", left)
	}
}

// instance is the URN that the API gives to each refusal.
var instance = regexp.MustCompile(`urn:uuid:[0-9a-f-]+`)

// answers returns the answers to requests of all kinds: status, headers and content, without what differs each time.
func answers(t *testing.T, n *node.Node, trusted *x509.CertPool, address string) map[string]string {
	t.Helper()
	answers := map[string]string{}
	for _, request := range []struct{ method, path, body string }{
		{http.MethodGet, "", ""},
		{http.MethodGet, "journal.css", ""},
		{http.MethodGet, "nothing", ""},
		{http.MethodGet, "api/nothing", ""},
		{http.MethodGet, "apiary", ""},
		{http.MethodGet, "api/entries?limit=0", ""},
		{http.MethodPost, "api/entries", "{"},
		{http.MethodPost, "api/entries", `{"text": "` + strings.Repeat("x", 200_000) + `"}`},
		{http.MethodPost, "", "x"},
		{http.MethodDelete, "api/entries/none", ""},
	} {
		var body bytes.Buffer
		status, header, err := visit(n, trusted, request.method, address+request.path, request.body, &body)
		if err != nil {
			t.Fatalf("%s /%s: %v", request.method, request.path, err)
		}
		for _, name := range []string{"Date", "Strict-Transport-Security", "X-Request-Id"} {
			header.Del(name)
		}
		if header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s /%s lets browsers guess the type of the content: %v", request.method, request.path, header)
		}
		key := fmt.Sprintf("%s /%s with %d bytes", request.method, request.path, len(request.body))
		answers[key] = fmt.Sprint(status, header, instance.ReplaceAllString(body.String(), ""))
	}
	if wanted := "413"; !strings.HasPrefix(answers["POST /api/entries with 200012 bytes"], wanted) {
		t.Errorf("a body that is too large is answered %s", answers["POST /api/entries with 200012 bytes"])
	}
	other := strings.Replace(address, "journal.localhost", "other.localhost", 1)
	if status, _, err := visit(n, trusted, http.MethodGet, other, "", nil); err == nil && status != http.StatusNotFound {
		t.Errorf("another host is answered with %d", status)
	}
	return answers
}

// visit sends one request to the node, without the machine's resolver, and follows no redirect.
func visit(n *node.Node, trusted *x509.CertPool, method, address, body string, answer io.Writer) (int, http.Header, error) {
	client := http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12},
			DialContext: func(ctx context.Context, network, target string) (net.Conn, error) {
				_, port, err := net.SplitHostPort(target)
				if err != nil {
					return nil, err
				}
				return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
			},
		},
	}
	request, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if answer == nil {
		answer = io.Discard
	}
	_, err = io.Copy(answer, response.Body)
	return response.StatusCode, response.Header, err
}

// tlsSecret makes a Secret with a certificate for the host, which is deleted with the test, and returns its name.
func tlsSecret(t *testing.T) string {
	t.Helper()
	const secret = "e2e-tls"
	manifest, _ := selfSigned(t, world.outputs.Namespace, secret, "journal.localhost")
	kubectlApply(t, manifest)
	return secret
}

// selfSigned returns the manifest of a Secret with a certificate for a host, which is its own authority, and that certificate in PEM.
func selfSigned(t *testing.T, namespace, secret, host string) (manifest, certificate string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
	return tlsManifest(t, namespace, secret, map[string][]byte{
		"tls.crt": encoded, "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}), string(encoded)
}

// tlsManifest returns the manifest of a Secret of type kubernetes.io/tls.
func tlsManifest(t *testing.T, namespace, secret string, data map[string][]byte) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": map[string]string{"name": secret, "namespace": namespace},
		"data": data,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// certificateOf returns a pool that trusts only the certificate of a Secret.
func certificateOf(t *testing.T, secret string) *x509.CertPool {
	t.Helper()
	encoded := kubectl(t, "get", "secret", secret, "--namespace", world.outputs.Namespace, "--output", `jsonpath={.data.tls\.crt}`)
	certificate, err := base64.StdEncoding.DecodeString(encoded)
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(certificate) {
		t.Fatalf("Secret %s holds no certificate: %q (%v)", secret, certificate, err)
	}
	return pool
}
