package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Lifetimes of certificates. The authorities and the ServiceAccount key are kept with the cluster's data; every other
// certificate is issued anew at each start and kept in memory only (a tmpfs), so none has to be renewed.
const (
	authorityLifetime   = 10 * 365 * 24 * time.Hour
	certificateLifetime = 365 * 24 * time.Hour
)

// authority is a certificate authority of the cluster.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
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
	der, err := readPEM(path)
	if errors.Is(err, fs.ErrNotExist) {
		der, err = newAuthority(name, key)
		if err == nil {
			err = os.WriteFile(path, encodePEM("CERTIFICATE", der), 0o600)
		}
	}
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &authority{certificate: certificate, key: key, pem: encodePEM("CERTIFICATE", der)}, nil
}

func newAuthority(name string, key *ecdsa.PrivateKey) ([]byte, error) {
	template, err := newTemplate(authorityLifetime)
	if err != nil {
		return nil, err
	}
	template.Subject = pkix.Name{CommonName: "journal-sandbox-" + name}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// issue makes a new key and a certificate for it.
func (a *authority) issue(s subject) (identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, err
	}
	template, err := newTemplate(certificateLifetime)
	if err != nil {
		return identity{}, err
	}
	template.Subject = pkix.Name{CommonName: s.user, Organization: s.groups}
	template.DNSNames, template.IPAddresses = s.names, s.addresses
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(s.addresses) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return identity{}, err
	}
	keyPEM, err := encodeKey(key)
	return identity{certificate: encodePEM("CERTIFICATE", der), key: keyPEM}, err
}

// clientTLS lets this process speak to the apiserver with a certificate.
func (a *authority) clientTLS(id identity) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(id.certificate, id.key)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, Certificates: []tls.Certificate{pair}}, nil
}

func newTemplate(lifetime time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	// The clock of a virtual machine may step back after it was suspended.
	return &x509.Certificate{SerialNumber: serial, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lifetime)}, nil
}

// openKey reads a private key, or makes it at the cluster's first start.
func openKey(path string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		text, err := encodeKey(key)
		if err != nil {
			return nil, err
		}
		return key, os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	return encodePEM("EC PRIVATE KEY", der), err
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func readPEM(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: not a PEM file", path)
	}
	return block.Bytes, nil
}
