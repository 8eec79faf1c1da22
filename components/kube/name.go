package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"regexp"
)

var (
	dnsLabel     = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	dnsSubdomain = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$`)
	allNumeric   = regexp.MustCompile(`^[0-9.]+$`)
)

// CheckName refuses what cannot be the name of a Namespace or a Service: an RFC 1123 label.
func CheckName(name string) error {
	if !dnsLabel.MatchString(name) {
		return errors.New("not a DNS label; write up to 63 lower-case letters, digits and hyphens, such as team-a")
	}
	return nil
}

// CheckHost refuses what cannot be the host of an Ingress: a lower-case DNS name, not an address, not a URL.
func CheckHost(host string) error {
	if len(host) > 253 || !dnsSubdomain.MatchString(host) || allNumeric.MatchString(host) {
		return errors.New("not a DNS name; write it in lower case, without scheme, port or path, such as journal.example.com")
	}
	return nil
}

// CheckObjectName refuses what cannot be the name of most objects: an RFC 1123 subdomain.
func CheckObjectName(name string) error {
	if len(name) > 253 || !dnsSubdomain.MatchString(name) {
		return errors.New("not an object name; write lower-case letters, digits, hyphens and dots, such as journal-tls")
	}
	return nil
}

// contentDigits is how many hexadecimal digits of its hash an object is called by: 40 bits, so that two of the few contents
// that one prefix ever has do not meet.
const contentDigits = 10

// ContentName returns the name of an object that never changes, by what is in it: another content is another object, and the
// same content the same one, in whatever order.
func ContentName(prefix string, content map[string]string) string {
	text, _ := json.Marshal(content) // of texts, sorted by key: it does not fail
	sum := sha256.Sum256(text)
	return prefix + "-" + hex.EncodeToString(sum[:])[:contentDigits]
}
