package rules

import (
	"fmt"
	"reflect"
	"regexp"
	"unicode"
)

// maxShown is how many characters of a value a message shows.
const maxShown = 100

var (
	privateKey  = regexp.MustCompile(`(?s)(?:-----BEGIN [A-Z0-9 ]*)?PRIVATE KEY-----.*`)
	credentials = regexp.MustCompile(`://[^/\s]*@`)
)

// HidesSecret says whether a text holds a private key, or a URL with a password.
func HidesSecret(text string) bool {
	return privateKey.MatchString(text) || credentials.MatchString(text)
}

// Redact returns a text as a message may show it, without private keys, and without the passwords of URLs.
func Redact(text string) string {
	return credentials.ReplaceAllString(privateKey.ReplaceAllString(text, "[private key]"), "://[password]@")
}

// CheckVisible refuses invisible characters, such as those that change the direction of a text: people would read something else
// than what is written. A line feed is one of them.
func CheckVisible(text string) error {
	for _, r := range text {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return fmt.Errorf("it has an invisible character, %U; remove it", r)
		}
	}
	return nil
}

// shown returns a value as a message may show it: without secrets, and cut.
func shown(value any) string {
	if v := reflect.ValueOf(value); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return "" // an input that was not given
	}
	text := []rune(Redact(fmt.Sprint(value)))
	if len(text) > maxShown {
		return string(text[:maxShown-1]) + "…"
	}
	return string(text)
}
