package kube_test

import (
	"strings"
	"testing"

	"example.com/journal/components/kube"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
		assert.NoError(t, kube.CheckImage(reference, kube.OwnImage), reference)
	}
	for _, reference := range []string{
		"redis:7.4.2",
		"docker.io/library/redis:7.4.2-bookworm",
		"nginx:v1.29.0_debian-12",
		"redis" + digest,
	} {
		assert.NoError(t, kube.CheckImage(reference, kube.ForeignImage), reference)
	}
}

func TestAnImageReferenceThatCanMoveIsRefusedWithTheFix(t *testing.T) {
	for _, c := range []struct {
		reference string
		origin    kube.ImageOrigin
		says      string
	}{
		{"", kube.OwnImage, "it is missing; write registry/path:tag"},
		{"registry.example.com/app", kube.OwnImage, "no tag, which means latest"},
		{"registry.example.com:5000/app", kube.ForeignImage, "no tag, which means latest"},
		{"app:latest", kube.OwnImage, "app:v1.2.3-0a1b2c3"},
		{"app:v1.2.3", kube.OwnImage, "v<semver>-<git sha>"},
		{"app:1.2.3-0a1b2c3", kube.OwnImage, "v<semver>-<git sha>"},
		{"app:v1.2.3-dirty", kube.OwnImage, "v<semver>-<git sha>"},
		{"redis:latest", kube.ForeignImage, `the tag "latest" can be moved`},
		{"redis:7", kube.ForeignImage, "redis:1.2.3"},
		{"redis:7.4", kube.ForeignImage, "exact version or a digest"},
		{"redis:bookworm", kube.ForeignImage, "exact version or a digest"},
		{"Redis:7.4.2", kube.ForeignImage, "not an image reference"},
		{"redis:7.4.2 ", kube.ForeignImage, "not an image reference"},
		{"redis@sha256:abc", kube.ForeignImage, "not an image reference"},
	} {
		assert.ErrorContains(t, kube.CheckImage(c.reference, c.origin), c.says, "%q", c.reference)
	}
}

func TestQuantitiesAreReadExactly(t *testing.T) {
	for text, want := range map[string]string{"100m": "1/10", "1.5": "3/2", "2": "2", "1Ki": "1024", "1k": "1000", "0.5Gi": "536870912", "8Ei": "9223372036854775808"} {
		value, err := kube.ParseQuantity(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, value.RatString(), text)
	}
	assert.Equal(t, 0, kube.CompareQuantities("1Gi", "1024Mi"))
	assert.Equal(t, -1, kube.CompareQuantities("1G", "1Gi"))
	assert.Equal(t, 1, kube.CompareQuantities("1", "999m"))
}

func TestWhatIsNoQuantityIsRefused(t *testing.T) {
	for _, text := range []string{"", "10 GB", "10GB", "-1", "0", "0Mi", "1,5", "Mi", "1mi", "ten", "1e3", "+1", " 1"} {
		_, err := kube.ParseQuantity(text)
		assert.Error(t, err, "%q", text)
	}
	assert.ErrorContains(t, kube.CheckCPU("128Mi"), "more than 1024 CPUs")
	assert.ErrorContains(t, kube.CheckBytes("128m"), "less than 1Mi")
	assert.NoError(t, kube.CheckCPU("250m"))
	assert.NoError(t, kube.CheckBytes("128Mi"))
}

func TestNamesFollowTheRulesOfDNS(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, name := range []string{"journal", "team-a", "a", "0", long[:63]} {
		assert.NoError(t, kube.CheckName(name), name)
	}
	for _, name := range []string{"", "Team", "a_b", "-a", "a-", "a.b", long} {
		assert.Error(t, kube.CheckName(name), "%q", name)
	}
	for _, host := range []string{"journal.example.com", "localhost", "journal.localhost", "3com.example.com"} {
		assert.NoError(t, kube.CheckHost(host), host)
	}
	for _, host := range []string{"", "http://example.com", "example.com:80", "example.com/", "Example.com", "10.0.0.1", "a..b", "example.com.", "*.example.com", strings.Repeat("a.", 127) + "a"} {
		assert.Error(t, kube.CheckHost(host), "%q", host)
	}
}

func TestLimitsEqualRequestsUnlessTheyAreSetApart(t *testing.T) {
	defaults := kube.Resources{CPU: "100m", Memory: "64Mi"}
	assert.Equal(t, kube.Resources{CPU: "100m", Memory: "64Mi", CPULimit: "100m", MemoryLimit: "64Mi"}, kube.Resources{}.WithDefaults(defaults))
	assert.Equal(t, kube.Resources{CPU: "1", Memory: "64Mi", CPULimit: "2", MemoryLimit: "64Mi"}, kube.Resources{CPU: "1", CPULimit: "2"}.WithDefaults(defaults))
}

func TestEveryBrokenRuleOfResourcesIsReported(t *testing.T) {
	var faults kube.Faults
	kube.Resources{CPU: "1", Memory: "10 GB", CPULimit: "500m", MemoryLimit: "1Gi"}.Check(&faults)
	assert.EqualError(t, faults.Err(), `memory "10 GB": not a Kubernetes quantity; write a number with a suffix and no space, such as 500m for CPU or 128Mi for memory
cpuLimit "500m": below the request of 1; raise the limit or lower the request`)
}

func TestAFaultSeenFromOutsideNamesTheWholeKey(t *testing.T) {
	fault := &kube.Fault{Field: "replicas", Value: 0, Rule: assert.AnError}
	assert.Equal(t, "redisReplicas", fault.Within("redis").Field)
	assert.ErrorIs(t, fault, assert.AnError)
}
