package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
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

// issue makes a new key and a certificate for it, both in PEM. The template says whose it is: a client's, or that of a server, which
// has addresses.
func (a *authority) issue(template x509.Certificate) (certificatePEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-skew), time.Now().Add(lifetime)
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(template.IPAddresses) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err = keyutil.MarshalPrivateKeyToPEM(key)
	return encode(certificate), keyPEM, err
}
