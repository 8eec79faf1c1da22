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
	errs := []error{
		err,
		writeKubeconfig(outside, fmt.Sprintf("https://127.0.0.1:%d", port), main, clients[Admin]),
		writeCertificates(main, frontProxy),
		writeEncryption(),
	}
	for name, client := range clients {
		errs = append(errs, writeKubeconfig(Kubeconfig(name), machine.APIServer, main, client))
	}
	return errors.Join(errs...)
}

// writeCertificates writes the certificates of the API server and the kubelet, and the API server's client certificates.
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
		certificate, key, err := c.issuer.issue(c.subject)
		if err != nil {
			return err
		}
		path := filepath.Join(machine.Run, c.name)
		if err := errors.Join(disk.Write(path+".crt", certificate, 0o600), disk.Write(path+".key", key, 0o600)); err != nil {
			return err
		}
	}
	return nil
}

// writeKubeconfig issues a client certificate for the user, and writes a kubeconfig with it.
func writeKubeconfig(path, server string, authority *authority, user subject) error {
	certificate, key, err := authority.issue(user)
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
