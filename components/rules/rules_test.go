package rules_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/rules"
)

var digest = "@sha256:" + strings.Repeat("0a", 32)

func TestAnImageReferenceThatNamesOneContentIsAccepted(t *testing.T) {
	for _, reference := range []string{
		"registry.example.com/team-a/app:v1.2.3-0a1b2c3",
		"registry.example.com:5000/app:v0.1.0-0123456789abcdef0123456789abcdef01234567",
		"app:v1.2.3-rc.1-0a1b2c3",
		"registry.example.com/app" + digest,
		"registry.example.com/app:latest" + digest, // the digest decides
	} {
		t.Run(strconv.Quote(reference), func(t *testing.T) {
			assert.NoError(t, rules.CheckImage(reference, rules.OwnImage))
		})
	}
	for _, reference := range []string{
		"redis:7.4.2",
		"docker.io/library/redis:7.4.2-bookworm",
		"nginx:v1.29.0_debian-12",
		"redis" + digest,
	} {
		t.Run(strconv.Quote(reference), func(t *testing.T) {
			assert.NoError(t, rules.CheckImage(reference, rules.ForeignImage))
		})
	}
}

func TestAnImageReferenceThatCanMoveIsRefusedWithTheFix(t *testing.T) {
	for _, c := range []struct {
		sentence  string
		reference string
		origin    rules.ImageOrigin
		says      string
	}{
		{"nothing", "", rules.OwnImage, "it is missing; write registry/path:tag"},
		{"an image of one's own without a tag", "registry.example.com/app", rules.OwnImage, "no tag, which means latest"},
		{"a registry with a port, and no tag", "registry.example.com:5000/app", rules.ForeignImage, "no tag, which means latest"},
		{"the tag latest of an image of one's own", "app:latest", rules.OwnImage, "app:v1.2.3-0a1b2c3"},
		{"a tag without a revision", "app:v1.2.3", rules.OwnImage, "v<semver>-<git sha>"},
		{"a tag without a v", "app:1.2.3-0a1b2c3", rules.OwnImage, "v<semver>-<git sha>"},
		{"a tag of a changed checkout", "app:v1.2.3-dirty", rules.OwnImage, "v<semver>-<git sha>"},
		{"the tag latest", "redis:latest", rules.ForeignImage, `the tag "latest" can be moved`},
		{"a major version", "redis:7", rules.ForeignImage, "redis:1.2.3"},
		{"a major and a minor version", "redis:7.4", rules.ForeignImage, "exact version or a digest"},
		{"the name of a distribution", "redis:bookworm", rules.ForeignImage, "exact version or a digest"},
		{"upper case", "Redis:7.4.2", rules.ForeignImage, "not an image reference: it has upper case in the path; write"},
		{"upper case in the middle of the path", "registry.example.com/Team/app:7.4.2", rules.ForeignImage, "it has upper case in the path"},
		{"a space at the end", "redis:7.4.2 ", rules.ForeignImage, "not an image reference: it has a space"},
		{"a scheme", "https://registry.example.com/app:1.2.3", rules.ForeignImage, "it has a scheme"},
		{"a digest that is cut off", "redis@sha256:abc", rules.ForeignImage, "a digest is sha256: and 64 hexadecimal digits"},
		{"a tag with a plus", "app:v1.2.3+1-0a1b2c3", rules.OwnImage, "a tag has no +"},
		{"a tag that is too long", "redis:1.2.3-" + strings.Repeat("a", 123), rules.ForeignImage, "a tag has at most 128 characters"},
		{"a tag that is empty", "redis:", rules.ForeignImage, "not an image reference; write registry/path:tag"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			assert.ErrorContains(t, rules.CheckImage(c.reference, c.origin), c.says)
		})
	}
}

func TestQuantitiesAreReadExactly(t *testing.T) {
	for text, want := range map[string]string{"100m": "1/10", "1.5": "3/2", "2": "2", "1Ki": "1024", "1k": "1000", "0.5Gi": "536870912", "8Ei": "9223372036854775808"} {
		t.Run(text, func(t *testing.T) {
			value, err := rules.ParseQuantity(text)
			require.NoError(t, err)
			assert.Equal(t, want, value.RatString())
		})
	}
	assert.Equal(t, 0, rules.CompareQuantities("1Gi", "1024Mi"))
	assert.Equal(t, -1, rules.CompareQuantities("1G", "1Gi"))
	assert.Equal(t, 1, rules.CompareQuantities("1", "999m"))
	assert.Equal(t, "67108864", rules.WholeNumber("64Mi"))
	assert.Equal(t, "64 MB", rules.WholeNumber("64 MB"), "its own check reports it")
}

func TestWhatIsNoQuantityIsRefused(t *testing.T) {
	for _, text := range []string{"", "10 GB", "10GB", "-1", "0", "0Mi", "1,5", "Mi", "1mi", "ten", "1e3", "+1", " 1"} {
		t.Run(strconv.Quote(text), func(t *testing.T) {
			_, err := rules.ParseQuantity(text)
			assert.Error(t, err)
		})
	}
	assert.ErrorContains(t, rules.CheckCPU("128Mi"), "more than 1024 CPUs")
	assert.ErrorContains(t, rules.CheckBytes("128m"), "less than 1Mi")
	assert.NoError(t, rules.CheckCPU("250m"))
	assert.NoError(t, rules.CheckBytes("128Mi"))
	assert.ErrorContains(t, rules.CheckRate("1023"), "less than 1Ki a second")
	assert.ErrorContains(t, rules.CheckRate("4 KiB"), "not a Kubernetes quantity")
	assert.NoError(t, rules.CheckRate("1Ki"))
}

func TestNamesFollowTheRulesOfDNS(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, name := range []string{"journal", "team-a", "a", "0", long[:63]} {
		t.Run(strconv.Quote(name), func(t *testing.T) {
			assert.NoError(t, rules.CheckName(name))
		})
	}
	for _, name := range []string{"", "Team", "a_b", "-a", "a-", "a.b", long} {
		t.Run(strconv.Quote(name), func(t *testing.T) {
			assert.Error(t, rules.CheckName(name))
		})
	}
	for _, host := range []string{"journal.example.com", "localhost", "journal.localhost", "3com.example.com"} {
		t.Run(strconv.Quote(host), func(t *testing.T) {
			assert.NoError(t, rules.CheckHost(host))
		})
	}
	for _, host := range []string{"", "http://example.com", "example.com:80", "example.com/", "Example.com", "10.0.0.1", "a..b", "example.com.", "*.example.com", strings.Repeat("a.", 127) + "a"} {
		t.Run(strconv.Quote(host), func(t *testing.T) {
			assert.Error(t, rules.CheckHost(host))
		})
	}
}

func TestWhatIsMissingIsSaidToBe(t *testing.T) {
	for name, check := range map[string]func(string) error{"name": rules.CheckName, "host": rules.CheckHost, "object": rules.CheckObjectName} {
		t.Run(name, func(t *testing.T) { assert.ErrorContains(t, check(""), "it is missing; write ") })
	}
}
