package observe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// certificates are an authority that signs for one host only, and a serving certificate of the host, in PEM.
type certificates struct {
	authority, certificate, key string
}

// The validity of both certificates. The end is that of a certificate without a known end (RFC 5280, section 4.1.2.5). A
// certificate that expires unseen would stop the API group, and with it the deletion of every namespace; a key is replaced by
// its number.
var (
	notBefore = time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
)

// deriveCertificates returns the certificates of a server, such as the metrics server, and its host. They are a function of the secret source and the number, so an update
// without a change makes the same ones. Another number gives another serving key below the same authority: the API server
// trusts both, so the pods change theirs one after the other. Nobody stores the authority's key.
func deriveCertificates(source, server string, number int, host string) (certificates, error) {
	authorityKey, err := deriveKey(source, server+" authority")
	if err != nil {
		return certificates{}, err
	}
	servingKey, err := deriveKey(source, fmt.Sprintf("%s certificate %d", server, number))
	if err != nil {
		return certificates{}, err
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "authority of the " + server},
		NotBefore:    notBefore, NotAfter: notAfter,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage:                    x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{host},
	}
	serving := &x509.Certificate{
		SerialNumber: big.NewInt(int64(number) + 1),
		Subject:      pkix.Name{CommonName: server}, // the host may be longer than a common name
		DNSNames:     []string{host},
		NotBefore:    notBefore, NotAfter: notAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	// Without a source of randomness, the signatures are those of RFC 6979.
	authorityDER, err := x509.CreateCertificate(nil, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return certificates{}, err
	}
	servingDER, err := x509.CreateCertificate(nil, serving, authority, servingKey.Public(), authorityKey)
	if err != nil {
		return certificates{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(servingKey)
	if err != nil {
		return certificates{}, err
	}
	return certificates{
		authority:   encodePEM("CERTIFICATE", authorityDER),
		certificate: encodePEM("CERTIFICATE", servingDER),
		key:         encodePEM("PRIVATE KEY", keyDER),
	}, nil
}

// deriveKey returns a key of the source for a purpose, by HKDF (RFC 5869).
func deriveKey(source, purpose string) (*ecdsa.PrivateKey, error) {
	// A scalar of P-256 is not zero and below the order of the curve. One in 2^32 numbers is not, and the next one is taken.
	for try := range 4 {
		scalar, err := hkdf.Key(sha256.New, []byte(source), nil, fmt.Sprintf("journal %s try %d", purpose, try), 32)
		if err != nil {
			return nil, err
		}
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar); err == nil {
			return key, nil
		}
	}
	return nil, fmt.Errorf("no key of the %s", purpose)
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
