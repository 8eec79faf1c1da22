package rules

import (
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
	if name == "" {
		return errors.New("it is missing; write up to 63 lower-case letters, digits and hyphens, such as team-a")
	}
	if !dnsLabel.MatchString(name) {
		return errors.New("not a DNS label; write up to 63 lower-case letters, digits and hyphens, such as team-a")
	}
	return nil
}

// CheckHost refuses what cannot be the host of an Ingress: a lower-case DNS name, not an address, not a URL.
func CheckHost(host string) error {
	if host == "" {
		return errors.New("it is missing; write a DNS name, such as journal.example.com")
	}
	if len(host) > 253 || !dnsSubdomain.MatchString(host) || allNumeric.MatchString(host) {
		return errors.New("not a DNS name; write it in lower case, without scheme, port or path, such as journal.example.com")
	}
	return nil
}

// CheckObjectName refuses what cannot be the name of most objects: an RFC 1123 subdomain.
func CheckObjectName(name string) error {
	if name == "" {
		return errors.New("it is missing; write lower-case letters, digits, hyphens and dots, such as journal-tls")
	}
	if len(name) > 253 || !dnsSubdomain.MatchString(name) {
		return errors.New("not an object name; write lower-case letters, digits, hyphens and dots, such as journal-tls")
	}
	return nil
}
