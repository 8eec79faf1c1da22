package rules

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"strings"
)

// ParseCertificates returns one or more whole certificates in PEM, and refuses what is not. The fault, one at most, has an empty
// path, and never shows a private key. It does not look at the time: a certificate that has ended is accepted.
func ParseCertificates(text string) (all []*x509.Certificate, f Faults) {
	const fix = "write all lines from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"
	if strings.Contains(text, "PRIVATE KEY") {
		f.Refuse("", "[hidden]", "it holds a private key, which nobody else may have; write the certificate alone")
		return nil, f
	}
	for rest := []byte(strings.TrimSpace(text)); ; {
		var block *pem.Block
		before := rest
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" || !bytes.HasPrefix(before, []byte("-----BEGIN CERTIFICATE-----")) {
			f.Refuse("", text, "not a whole certificate in PEM; %s", fix)
			return nil, f
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			f.Refuse("", text, "a certificate that cannot be read, so it is probably cut off; %s", fix)
			return nil, f
		}
		all = append(all, certificate)
		if rest = bytes.TrimSpace(rest); len(rest) == 0 {
			return all, nil
		}
	}
}
