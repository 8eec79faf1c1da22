package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"path/filepath"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"

	"example.com/journal/sandbox/internal/disk"
)

// lifetime of the certificates that are issued anew at each start and kept in memory only (a tmpfs), so that none has to be
// renewed. The authorities, of ten years, are kept with the cluster's data.
const lifetime = 365 * 24 * time.Hour

// skew is how far the clock of a virtual machine may step back after it was suspended.
const skew = time.Hour

// authority is a certificate authority of the cluster.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// identity is a certificate and its key, in PEM.
type identity struct{ certificate, key []byte }

// subject says what a certificate is for: a client's user and groups, or a server's names and addresses.
type subject struct {
	user      string
	groups    []string
	names     []string
	addresses []net.IP
}

// openAuthority reads the authority from folder, or makes it there at the cluster's first start.
func openAuthority(folder, name string) (*authority, error) {
	key, err := openKey(filepath.Join(folder, name+".key"))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, name+".crt")
	certificates, err := cert.CertsFromFile(path)
	if err == nil {
		return &authority{certificate: certificates[0], key: key}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	made, err := cert.NewSelfSignedCACert(cert.Config{CommonName: "journal-sandbox-" + name, NotBefore: time.Now().Add(-skew)}, key)
	if err != nil {
		return nil, err
	}
	a := &authority{certificate: made, key: key}
	text, err := a.pem()
	if err != nil {
		return nil, err
	}
	return a, disk.Write(path, text, 0o600)
}

// openKey reads a private key, or makes it at the cluster's first start.
func openKey(path string) (crypto.Signer, error) {
	text, _, err := keyutil.LoadOrGenerateKeyFile(path)
	if err != nil {
		return nil, err
	}
	key, err := keyutil.ParsePrivateKeyPEM(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: a %T, which cannot sign", path, key)
	}
	return signer, nil
}

func (a *authority) pem() ([]byte, error) { return cert.EncodeCertificates(a.certificate) }

// issue makes a new key and a certificate for it.
func (a *authority) issue(s subject) (identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return identity{}, err
	}
	now := time.Now()
	usage := x509.ExtKeyUsageClientAuth
	if len(s.addresses) > 0 {
		usage = x509.ExtKeyUsageServerAuth
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: s.user, Organization: s.groups},
		NotBefore:    now.Add(-skew), NotAfter: now.Add(lifetime),
		DNSNames: s.names, IPAddresses: s.addresses,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}, a.certificate, key.Public(), a.key)
	if err != nil {
		return identity{}, err
	}
	certificate, err := cert.EncodeCertificates(&x509.Certificate{Raw: der})
	if err != nil {
		return identity{}, err
	}
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	return identity{certificate: certificate, key: keyPEM}, err
}
