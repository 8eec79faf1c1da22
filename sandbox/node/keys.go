package node

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

// Files of keyFolder, which are kept, and of runFolder, which are made at each start.
const (
	authorityFile           = keyFolder + "/ca.crt"
	authorityKeyFile        = keyFolder + "/ca.key"
	frontProxyAuthorityFile = keyFolder + "/front-proxy-ca.crt"
	serviceAccountKeyFile   = keyFolder + "/service-account.key"
	encryptionKeyFile       = keyFolder + "/secrets.key"

	encryptionFile = runFolder + "/encryption.json"
)

// clients are the users of the cluster, each with a kubeconfig in runFolder. Kubernetes itself grants the rights of the first
// five; addons/rbac.yaml those of the rest.
var clients = map[string]subject{
	"admin":                   {user: "sandbox-admin", groups: []string{"system:masters"}},
	"kube-controller-manager": {user: "system:kube-controller-manager"},
	"kube-scheduler":          {user: "system:kube-scheduler"},
	"kubelet":                 {user: "system:node:" + Name, groups: []string{"system:nodes"}},
	"kube-proxy":              {user: "system:kube-proxy"},
	"coredns":                 {user: "sandbox:coredns"},
	"local-storage":           {user: "sandbox:local-storage"},
	"network-policy":          {user: "sandbox:network-policy"},
	"traefik":                 {user: "sandbox:traefik"},
}

// writeKeys writes every key, certificate and kubeconfig that the components read.
func (d *daemon) writeKeys() error {
	for _, folder := range []string{keyFolder, runFolder} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
	}
	authority, err := openAuthority(keyFolder, "ca")
	if err != nil {
		return err
	}
	frontProxy, err := openAuthority(keyFolder, "front-proxy-ca")
	if err != nil {
		return err
	}
	if _, err := openKey(serviceAccountKeyFile); err != nil {
		return err
	}
	if err := writeEncryption(); err != nil {
		return err
	}
	for name, client := range clients {
		id, err := authority.issue(client)
		if err != nil {
			return err
		}
		if err := writeSecret(kubeconfigFile(name), kubeconfig(apiserverURL, authority, id)); err != nil {
			return err
		}
		if name != "admin" {
			continue
		}
		outside := fmt.Sprintf("https://127.0.0.1:%d", d.APIPort)
		if err := writeSecret(filepath.Join(nodeFiles, "kubeconfig"), kubeconfig(outside, authority, id)); err != nil {
			return err
		}
		config, err := authority.clientTLS(id)
		if err != nil {
			return err
		}
		d.client = &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	}
	return writeServerKeys(authority, frontProxy)
}

// writeServerKeys writes the apiserver's and the kubelet's certificates, and those by which the apiserver is a client.
func writeServerKeys(main, frontProxy *authority) error {
	loopback := net.IPv4(127, 0, 0, 1)
	for _, c := range []struct {
		name    string
		issuer  *authority
		subject subject
	}{
		{"apiserver", main, subject{
			user:      "kube-apiserver",
			names:     []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
			addresses: []net.IP{loopback, net.ParseIP(nodeIP), net.ParseIP(serviceIP)},
		}},
		{"apiserver-kubelet", main, subject{user: "sandbox:apiserver"}},
		{"apiserver-proxy", frontProxy, subject{user: frontProxyUser}},
		{"kubelet", main, subject{user: "system:node:" + Name, names: []string{Name}, addresses: []net.IP{loopback, net.ParseIP(nodeIP)}}},
	} {
		id, err := c.issuer.issue(c.subject)
		if err != nil {
			return err
		}
		if err := errors.Join(writeSecret(certificateFile(c.name), id.certificate), writeSecret(keyFile(c.name), id.key)); err != nil {
			return err
		}
	}
	return nil
}

func certificateFile(name string) string { return filepath.Join(runFolder, name+".crt") }
func keyFile(name string) string         { return filepath.Join(runFolder, name+".key") }
func kubeconfigFile(name string) string  { return filepath.Join(runFolder, name+".kubeconfig") }

// kubeconfig is the file by which a user reaches the apiserver. YAML readers take JSON.
func kubeconfig(server string, authority *authority, id identity) []byte {
	type object = map[string]any
	text, err := json.MarshalIndent(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "sandbox",
		"clusters": []any{object{"name": "sandbox", "cluster": object{"server": server, "certificate-authority-data": authority.pem}}},
		"users":    []any{object{"name": "sandbox", "user": object{"client-certificate-data": id.certificate, "client-key-data": id.key}}},
		"contexts": []any{object{"name": "sandbox", "context": object{"cluster": "sandbox", "user": "sandbox"}}},
	}, "", "  ")
	if err != nil {
		panic(err) // strings and bytes can always be written
	}
	return text
}

// writeEncryption has Secrets encrypted in etcd, with a key that is made once.
func writeEncryption() error {
	key, err := os.ReadFile(encryptionKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return err
		}
		err = writeSecret(encryptionKeyFile, key)
	}
	if err != nil {
		return err
	}
	return writeSecret(encryptionFile, fmt.Appendf(nil, `{
  "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
  "resources": [{"resources": ["secrets"], "providers": [{"secretbox": {"keys": [{"name": "key1", "secret": %q}]}}]}]
}`, base64.StdEncoding.EncodeToString(key)))
}

// writeSecret writes a file that only root reads, with its folder.
func writeSecret(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
