package rules_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/journal/components/rules"
)

func TestAMessageShowsNoSecretAndNoLongValue(t *testing.T) {
	for name, c := range map[string]struct{ value, says string }{
		"a private key":               {"-----BEGIN EC PRIVATE KEY-----\nhunter2", `ca "[private key]": no`},
		"the password of a URL":       {"https://alice:hunter2@example.com/", `ca "https://[password]@example.com/": no`},
		"the token of a URL":          {"see https://hunter2@example.com", `ca "see https://[password]@example.com": no`},
		"an address without a secret": {"https://example.com:6443", `ca "https://example.com:6443": no`},
		"a long value":                {strings.Repeat("é", 101), `ca "` + strings.Repeat("é", 99) + `…": no`},
	} {
		t.Run(name, func(t *testing.T) {
			var f rules.Faults
			f.Refuse("ca", c.value, "no")
			assert.EqualError(t, f.Err(), c.says)
			assert.Equal(t, strings.Contains(c.value, "hunter2"), rules.HidesSecret(c.value))
		})
	}
	var f rules.Faults
	f.Refuse("https://a:hunter2@b", "", "write https://a:hunter2@c")
	assert.EqualError(t, f.Err(), `https://[password]@b "": write https://[password]@c`)
}

func TestNobodyReadsAnotherTextThanTheOneThatIsWritten(t *testing.T) {
	for _, text := range []string{"", "the shop", "ü, 日本", "a\u0301"} {
		t.Run(strconv.Quote(text), func(t *testing.T) { assert.NoError(t, rules.CheckVisible(text)) })
	}
	for _, text := range []string{"a\u202eb", "a\u200bb", "a\tb", "a\nb", "a\u00a0b", "a\ufffdb", "a\x00b", "\xff"} {
		t.Run(strconv.Quote(text), func(t *testing.T) {
			assert.ErrorContains(t, rules.CheckVisible(text), "it has an invisible character, U+")
		})
	}
}
