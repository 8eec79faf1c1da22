package rules_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/rules"
)

// The fuzz targets hold what is true of every text. Their seeds run with the tests; `go test -fuzz FuzzNames ./components/rules` looks
// for more.

func FuzzNames(f *testing.F) {
	for _, seed := range []string{"", "journal", "team-a", "a.b", "10.0.0.1", "A", "-a", "a-", "a..b", "a\n", "ä", strings.Repeat("a", 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if rules.CheckName(name) == nil {
			assert.NoError(t, rules.CheckObjectName(name), "a label is a subdomain")
		}
		if rules.CheckHost(name) == nil {
			assert.NoError(t, rules.CheckObjectName(name), "a host is a subdomain")
		}
	})
}

// suggested is the image that a message says to write.
var suggested = regexp.MustCompile(`(?:such as|for example) (\S+)$`)

// labelValue is what may stand in a label: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
var labelValue = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$`)

func FuzzImages(f *testing.F) {
	for _, seed := range []string{
		"", "redis", "redis:7", "redis:7.4.2", "Redis:7.4.2", "redis:7.4.2 ", "redis@sha256:abc", "redis" + digest, "a/b:v1.2.3-0a1b2c3",
		"registry.example.com:5000/app", "https://registry.example.com/app:1.2.3", "a:1.2.3+4", ":", "@", "a:", "a:_", "a:.-_", "/", "a//b:1.2.3",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, reference string) {
		for _, origin := range []rules.ImageOrigin{rules.OwnImage, rules.ForeignImage} {
			if err := rules.CheckImage(reference, origin); err != nil {
				fix := suggested.FindStringSubmatch(err.Error())
				require.NotNil(t, fix, err)
				assert.NoError(t, rules.CheckImage(fix[1], origin), "the fix is refused itself")
			}
		}
		assert.Regexp(t, labelValue, rules.ImageVersion(reference))
	})
}

func FuzzQuantities(f *testing.F) {
	for _, seed := range []string{"", "0", "1", "100m", "1.5", "0.0001", "128Mi", "1Gi", "10 GB", "1e3", "-1", "9999999999999999999E", "0.0m", "1.Mi"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := rules.ParseQuantity(text)
		if err != nil {
			assert.Equal(t, 0, rules.CompareQuantities(text, "1"), "its own check reports it")
			return
		}
		assert.Positive(t, value.Sign())
		assert.Equal(t, 0, rules.CompareQuantities(text, text))
		for _, format := range []string{rules.FormatNumber(value), rules.FormatBytes(value)} {
			again, err := rules.ParseQuantity(format)
			require.NoError(t, err, "what is written can be read")
			assert.GreaterOrEqual(t, again.Cmp(value), 0, "%s is rounded up, and not less than %s", format, text)
		}
	})
}
