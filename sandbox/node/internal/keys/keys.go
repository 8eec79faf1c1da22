// Package keys makes every key, certificate and kubeconfig of the cluster.
package keys

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"example.com/journal/sandbox/internal/disk"
	"example.com/journal/sandbox/node/internal/machine"
)

// kept is the folder of what is made at the cluster's first start. Everything else is in machine.Run, and made at each.
const kept = "/var/lib/kubernetes"

// Files that programs read.
const (
	Authority           = kept + "/ca.crt"
	AuthorityKey        = kept + "/ca.key"
	FrontProxyAuthority = kept + "/front-proxy-ca.crt"
	ServiceAccountKey   = kept + "/service-account.key"
	// Encryption says how Secrets are encrypted in etcd.
	Encryption = machine.Run + "/encryption.json"
)

// Admin is the user that may do everything.
const Admin = "admin"

// FrontProxy is the user that the apiserver is for further API servers.
const FrontProxy = "front-proxy-client"

// clients are the users of the cluster, each with a kubeconfig. Kubernetes itself grants the rights of the first five; the
// addons those of the rest.
var clients = map[string]subject{
	Admin:                     {user: "sandbox-admin", groups: []string{"system:masters"}},
	"kube-controller-manager": {user: "system:kube-controller-manager"},
	"kube-scheduler":          {user: "system:kube-scheduler"},
	"kubelet":                 {user: "system:node:" + machine.Name, groups: []string{"system:nodes"}},
	"kube-proxy":              {user: "system:kube-proxy"},
	"coredns":                 {user: "sandbox:coredns"},
	"local-storage":           {user: "sandbox:local-storage"},
	"network-policy":          {user: "sandbox:network-policy"},
	"traefik":                 {user: "sandbox:traefik"},
}

// Certificate is the certificate of a program or user.
func Certificate(name string) string { return filepath.Join(machine.Run, name+".crt") }

// Key is the private key of Certificate.
func Key(name string) string { return filepath.Join(machine.Run, name+".key") }

// Kubeconfig is how a client reaches the apiserver from inside of the node.
func Kubeconfig(name string) string { return filepath.Join(machine.Run, name+".kubeconfig") }

// Write writes all of them. Outside is the administrator's kubeconfig for the machine, which reaches the apiserver at a port
// of 127.0.0.1.
func Write(outside string, port int) error {
	for _, folder := range []string{kept, machine.Run} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
	}
	authority, err := openAuthority(kept, "ca")
	if err != nil {
		return err
	}
	frontProxy, err := openAuthority(kept, "front-proxy-ca")
	if err != nil {
		return err
	}
	if _, err := openKey(ServiceAccountKey); err != nil {
		return err
	}
	for name, client := range clients {
		if err := writeKubeconfig(Kubeconfig(name), machine.APIServer, authority, client); err != nil {
			return err
		}
	}
	if err := writeKubeconfig(outside, fmt.Sprintf("https://127.0.0.1:%d", port), authority, clients[Admin]); err != nil {
		return err
	}
	return errors.Join(writeCertificates(authority, frontProxy), writeEncryption())
}

// writeCertificates writes those of the apiserver and the kubelet, and those by which the apiserver is a client.
func writeCertificates(main, frontProxy *authority) error {
	loopback, node := net.IPv4(127, 0, 0, 1), net.ParseIP(machine.NodeIP)
	for _, c := range []struct {
		name    string
		issuer  *authority
		subject subject
	}{
		{"apiserver", main, subject{
			user:      "kube-apiserver",
			names:     []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
			addresses: []net.IP{loopback, node, net.ParseIP(machine.ServiceIP)},
		}},
		{"apiserver-kubelet", main, subject{user: "sandbox:apiserver"}},
		{"apiserver-proxy", frontProxy, subject{user: FrontProxy}},
		{"kubelet", main, subject{user: "system:node:" + machine.Name, names: []string{machine.Name}, addresses: []net.IP{loopback, node}}},
	} {
		id, err := c.issuer.issue(c.subject)
		if err != nil {
			return err
		}
		if err := errors.Join(disk.Write(Certificate(c.name), id.certificate, 0o600), disk.Write(Key(c.name), id.key, 0o600)); err != nil {
			return err
		}
	}
	return nil
}

// writeKubeconfig writes the file by which a new identity of a user reaches the apiserver.
func writeKubeconfig(path, server string, authority *authority, user subject) error {
	id, err := authority.issue(user)
	if err != nil {
		return err
	}
	certificate, err := authority.pem()
	if err != nil {
		return err
	}
	config := api.NewConfig()
	config.CurrentContext = "sandbox"
	config.Contexts["sandbox"] = &api.Context{Cluster: "sandbox", AuthInfo: "sandbox"}
	config.Clusters["sandbox"] = &api.Cluster{Server: server, CertificateAuthorityData: certificate}
	config.AuthInfos["sandbox"] = &api.AuthInfo{ClientCertificateData: id.certificate, ClientKeyData: id.key}
	text, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	return disk.Write(path, text, 0o600)
}

// writeEncryption has Secrets encrypted in etcd, with a key that is made once.
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
	return disk.Write(Encryption, fmt.Appendf(nil, `{
  "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
  "resources": [{"resources": ["secrets"], "providers": [{"secretbox": {"keys": [{"name": "key1", "secret": %q}]}}]}]
}`, base64.StdEncoding.EncodeToString(key)), 0o600)
}
