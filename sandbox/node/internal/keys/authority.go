package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"

	"example.com/journal/sandbox/internal/disk"
)

// lifetime is that of the certificates that each start issues anew. They are only in memory (a tmpfs), so none has to be
// renewed. The certificate authorities last ten years, and are kept with the cluster's data.
const lifetime = 365 * 24 * time.Hour

// skew is how far the clock of a virtual machine may step back after it was suspended.
const skew = time.Hour

// authority is a certificate authority of the cluster.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// subject says what a certificate is for: a client's user and groups, or a server's names and addresses.
type subject struct {
	user      string
	groups    []string
	names     []string
	addresses []net.IP
}

// openAuthority reads the authority from folder, or creates it there at the cluster's first start.
func openAuthority(folder, name string) (*authority, error) {
	path, keyPath := filepath.Join(folder, name+".crt"), filepath.Join(folder, name+".key")
	if _, _, err := keyutil.LoadOrGenerateKeyFile(keyPath); err != nil {
		return nil, err
	}
	key, err := keyutil.PrivateKeyFromFile(keyPath)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: a %T, which cannot sign", keyPath, key)
	}
	certificates, err := cert.CertsFromFile(path)
	if err == nil {
		return &authority{certificates[0], signer}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	certificate, err := cert.NewSelfSignedCACert(cert.Config{CommonName: "journal-sandbox-" + name, NotBefore: time.Now().Add(-skew)}, signer)
	if err != nil {
		return nil, err
	}
	return &authority{certificate, signer}, disk.Write(path, encode(certificate.Raw), 0o600)
}

// encode writes a certificate as PEM.
func encode(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: der})
}

// issue makes a new key and a certificate for it, both in PEM.
func (a *authority) issue(s subject) (certificatePEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	usage := x509.ExtKeyUsageClientAuth
	if len(s.addresses) > 0 {
		usage = x509.ExtKeyUsageServerAuth
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		Subject:   pkix.Name{CommonName: s.user, Organization: s.groups},
		NotBefore: now.Add(-skew), NotAfter: now.Add(lifetime),
		DNSNames: s.names, IPAddresses: s.addresses,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err = keyutil.MarshalPrivateKeyToPEM(key)
	return encode(certificate), keyPEM, err
}
