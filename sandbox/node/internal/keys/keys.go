// Package keys makes every key, certificate and kubeconfig of the cluster.
package keys

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/keyutil"

	"example.com/journal/sandbox/internal/disk"
	"example.com/journal/sandbox/node/internal/machine"
)

// kept is the folder of the files made at the cluster's first start. All others are in machine.Run and made at each start.
const kept = "/var/lib/kubernetes"

// Files that programs read.
const (
	Authority           = kept + "/ca.crt"
	AuthorityKey        = kept + "/ca.key"
	FrontProxyAuthority = kept + "/front-proxy-ca.crt"
	ServiceAccountKey   = kept + "/service-account.key"
)

// Admin is the user with all rights.
const Admin = "admin"

// FrontProxy is the user as which the API server calls aggregated API servers.
const FrontProxy = "front-proxy-client"

// clients are the users of the cluster, each with a kubeconfig. Kubernetes grants the rights of the first five, and the addons
// those of the others.
var clients = map[string]pkix.Name{
	Admin:                     {CommonName: "sandbox-admin", Organization: []string{"system:masters"}},
	"kube-controller-manager": {CommonName: "system:kube-controller-manager"},
	"kube-scheduler":          {CommonName: "system:kube-scheduler"},
	"kubelet":                 {CommonName: "system:node:" + machine.Name, Organization: []string{"system:nodes"}},
	"kube-proxy":              {CommonName: "system:kube-proxy"},
	"coredns":                 {CommonName: "sandbox:coredns"},
	"local-storage":           {CommonName: "sandbox:local-storage"},
	"network-policy":          {CommonName: "sandbox:network-policy"},
	"traefik":                 {CommonName: "sandbox:traefik"},
}

// Kubeconfig returns the path of the kubeconfig with which a client inside the node reaches the API server.
func Kubeconfig(name string) string { return filepath.Join(machine.Run, name+".kubeconfig") }

// Write writes all keys, certificates and kubeconfigs. Outside is the path of the administrator's kubeconfig for the machine,
// which reaches the API server at a port of 127.0.0.1.
func Write(outside string, port int) error {
	main, err := openAuthority(kept, "ca")
	if err != nil {
		return err
	}
	frontProxy, err := openAuthority(kept, "front-proxy-ca")
	if err != nil {
		return err
	}
	_, _, err = keyutil.LoadOrGenerateKeyFile(ServiceAccountKey)
	loopback, node := net.IPv4(127, 0, 0, 1), net.ParseIP(machine.NodeIP)
	errs := []error{
		err,
		writeKubeconfig(outside, fmt.Sprintf("https://127.0.0.1:%d", port), main, clients[Admin]),
		writeCertificate("apiserver", main, x509.Certificate{
			Subject:     pkix.Name{CommonName: "kube-apiserver"},
			DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
			IPAddresses: []net.IP{loopback, node, net.ParseIP(machine.ServiceIP)},
		}),
		// The API server is a client of the kubelet and of aggregated API servers.
		writeCertificate("apiserver-kubelet", main, x509.Certificate{Subject: pkix.Name{CommonName: "sandbox:apiserver"}}),
		writeCertificate("apiserver-proxy", frontProxy, x509.Certificate{Subject: pkix.Name{CommonName: FrontProxy}}),
		writeCertificate("kubelet", main, x509.Certificate{
			Subject: clients["kubelet"], DNSNames: []string{machine.Name}, IPAddresses: []net.IP{loopback, node},
		}),
		writeEncryption(),
	}
	for name, client := range clients {
		errs = append(errs, writeKubeconfig(Kubeconfig(name), machine.APIServer, main, client))
	}
	return errors.Join(errs...)
}

// writeCertificate issues a certificate, and writes it and its key into machine.Run.
func writeCertificate(name string, issuer *authority, template x509.Certificate) error {
	certificate, key, err := issuer.issue(template)
	if err != nil {
		return err
	}
	path := filepath.Join(machine.Run, name)
	return errors.Join(disk.Write(path+".crt", certificate, 0o600), disk.Write(path+".key", key, 0o600))
}

// writeKubeconfig issues a client certificate for the user, and writes a kubeconfig with it.
func writeKubeconfig(path, server string, authority *authority, user pkix.Name) error {
	certificate, key, err := authority.issue(x509.Certificate{Subject: user})
	if err != nil {
		return err
	}
	text, err := clientcmd.Write(api.Config{
		CurrentContext: "sandbox",
		Contexts:       map[string]*api.Context{"sandbox": {Cluster: "sandbox", AuthInfo: "sandbox"}},
		Clusters:       map[string]*api.Cluster{"sandbox": {Server: server, CertificateAuthorityData: encode(authority.certificate.Raw)}},
		AuthInfos:      map[string]*api.AuthInfo{"sandbox": {ClientCertificateData: certificate, ClientKeyData: key}},
	})
	if err != nil {
		return err
	}
	return disk.Write(path, text, 0o600)
}

// writeEncryption has the API server encrypt Secrets in etcd, with a key that is made once.
func writeEncryption() error {
	path := filepath.Join(kept, "secrets.key")
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		err = disk.Write(path, key, 0o600)
	}
	if err != nil {
		return err
	}
	return disk.Write(machine.Run+"/encryption.json", fmt.Appendf(nil, `{
  "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
  "resources": [{"resources": ["secrets"], "providers": [{"secretbox": {"keys": [{"name": "key1", "secret": %q}]}}]}]
}`, base64.StdEncoding.EncodeToString(key)), 0o600)
}
