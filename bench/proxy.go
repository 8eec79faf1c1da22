package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

// proxy stands between the tools and the apiserver and counts requests. All three tools go through it alike, and the
// cluster's own components do not. It accepts the administrator's certificate alone.
type proxy struct {
	server *httptest.Server
	mu     sync.Mutex
	counts map[string]int
}

// kubeconfig has the parts of a kubeconfig that the proxy reads and changes.
type kubeconfig struct {
	Clusters []struct {
		Cluster map[string]string `yaml:"cluster"`
		Name    string            `yaml:"name"`
	} `yaml:"clusters"`
	Users []struct {
		User map[string]string `yaml:"user"`
		Name string            `yaml:"name"`
	} `yaml:"users"`
	Rest map[string]any `yaml:",inline"`
}

// startProxy starts a proxy for the cluster of the kubeconfig at from, and writes a kubeconfig for the proxy to the path to.
func startProxy(from, to string) (*proxy, error) {
	text, err := os.ReadFile(from)
	if err != nil {
		return nil, err
	}
	var config kubeconfig
	if err := yaml.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	if len(config.Clusters) != 1 || len(config.Users) != 1 {
		return nil, fmt.Errorf("%s: %d clusters and %d users; the sandbox's has one of each", from, len(config.Clusters), len(config.Users))
	}
	cluster, user := config.Clusters[0].Cluster, config.Users[0].User
	target, err := url.Parse(cluster["server"])
	if err != nil {
		return nil, err
	}
	authority, err := data(cluster, "certificate-authority")
	if err != nil {
		return nil, err
	}
	certificate, err := data(user, "client-certificate")
	if err != nil {
		return nil, err
	}
	key, err := data(user, "client-key")
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	p := &proxy{counts: map[string]int{}}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: cluster["tls-server-name"]},
			ForceAttemptHTTP2: true,
		},
		FlushInterval: -1,
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.count(r)
		forward.ServeHTTP(w, r)
	}))
	p.server.EnableHTTP2 = true
	p.server.TLS = &tls.Config{
		ClientAuth: tls.RequireAnyClientCert,
		VerifyConnection: func(state tls.ConnectionState) error { // of resumed sessions too
			if !bytes.Equal(state.PeerCertificates[0].Raw, pair.Certificate[0]) {
				return errors.New("not the administrator's certificate")
			}
			return nil
		},
	}
	p.server.StartTLS()
	cluster["server"] = p.server.URL
	delete(cluster, "certificate-authority")
	delete(cluster, "tls-server-name")
	cluster["certificate-authority-data"] = base64.StdEncoding.EncodeToString(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw}))
	if text, err = yaml.Marshal(config); err != nil {
		return nil, err
	}
	return p, os.WriteFile(to, text, 0o600)
}

// data is a certificate or key of a kubeconfig, which holds it or the path of its file.
func data(from map[string]string, name string) ([]byte, error) {
	if path := from[name]; path != "" {
		return os.ReadFile(path)
	}
	return base64.StdEncoding.DecodeString(from[name+"-data"])
}

// count counts a request by its method, or as a watch or discovery.
func (p *proxy) count(r *http.Request) {
	kind := r.Method
	switch {
	case r.URL.Query().Get("watch") != "":
		kind = "WATCH"
	case isDiscovery(r.URL.Path):
		kind = "DISCOVERY"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[kind]++
}

// take returns the counts since the last call.
func (p *proxy) take() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := p.counts
	p.counts = map[string]int{}
	return counts
}

// isDiscovery says whether a path asks for the kinds of the API, not for objects.
func isDiscovery(path string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch parts[0] {
	case "api":
		return len(parts) <= 2
	case "apis":
		return len(parts) <= 3
	}
	return true // openapi, version
}
