package tenancy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"

	"example.com/journal/components/rules"
	"example.com/journal/internal/graphtest"
)

func TestTheClusterAndTheConfigurationAcceptTheSameImages(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0a", 32)
	cluster := regexp.MustCompile(exactImage) // the cluster's expressions have Go's regular expressions
	accepted := 0
	for _, reference := range []string{
		"redis:7.4.2", "docker.io/library/redis:7.4.2-bookworm", "nginx:v1.29.0_debian-12", "app:v1.2.3-rc.1-0a1b2c3",
		"registry.example.com/team-a/app:v1.2.3-0a1b2c3", "registry.example.com:5000/app:v0.1.0-0123456789abcdef", "app:v1.2.3",
		"app:v1.2.3-dirty", "registry.example.com/app" + digest, "registry.example.com/app:latest" + digest, "localhost:5000/a/b:1.2.3",
		"redis", "redis:", "redis:latest", "redis:7", "redis:7.4", "redis:bookworm", "registry.example.com:5000/app", "redis:v7",
		"Redis:7.4.2", "redis:7.4.2 ", " redis:7.4.2", "redis:7.4.2\n", "redis:latest\nredis:7.4.2", "redis@sha256:abc", "redis:latest@sha256:abc",
		"redis:1.2.3@sha256:abc", "redis:1.2.3" + digest, "redis" + digest + digest, "redis:1.2.3:latest", "redis:1.2.3/latest",
		"registry.example.com/app:1.2.3-", "redis:1.2.3+build", "redis:.1.2.3", "", ":1.2.3", "/redis:1.2.3", "a//b:1.2.3",
		"redis:1x2y3", "redis:1.2.3latest", "redis:1.2.latest", "a/../b:1.2.3", "a/./b:1.2.3", "a/-b:1.2.3", "a.-b:1.2.3", "a-/b:1.2.3", "a/b-:1.2.3", "a..b:1.2.3", "a___b:1.2.3",
		"../b:1.2.3", "./b:1.2.3", "-a/b:1.2.3", "a.-b/c:1.2.3", "a:5000//b:1.2.3", "a:x/b:1.2.3", "a/b/:1.2.3", "a--b/c__d/e.f:1.2.3", "Registry.example.com/a:1.2.3", "a/B:1.2.3",
		"[::1]:5000/a:1.2.3", "a..b/c:1.2.3", "a.b./c:1.2.3", "redis" + strings.ToUpper(digest), "redis:v1.2.3-" + strings.Repeat("f", 40),
	} {
		want := rules.CheckImage(reference, rules.OwnImage) == nil || rules.CheckImage(reference, rules.ForeignImage) == nil
		assert.Equal(t, want, cluster.MatchString(reference), "%q", reference)
		if want {
			accepted++
		}
	}
	assert.Greater(t, accepted, 10)
}

// CheckImage and the cluster's policy agree about registries and digests as well.
func TestTheConfigurationKnowsWhichImagesThePolicyRefuses(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0a", 32)
	for _, c := range []struct {
		sentence string
		args     ImagePolicyArgs
		image    string
		says     string // empty where the policy lets the image through
	}{
		{"without rules, an exact tag", ImagePolicyArgs{}, "redis:7.4.2", ""},
		{"an image of the registry", ImagePolicyArgs{Registries: []string{"registry.example.com"}}, "registry.example.com/a:1.2.3", ""},
		{"a host that begins with the registry's", ImagePolicyArgs{Registries: []string{"registry.example.com"}}, "registry.example.com.example.net/a:1.2.3", "cluster.imagePolicy.registries refuses it; write an image of registry.example.com"},
		{"another port of the registry", ImagePolicyArgs{Registries: []string{"registry.example.com"}}, "registry.example.com:5000/a:1.2.3", "cluster.imagePolicy.registries"},
		{"an image below the registry's path", ImagePolicyArgs{Registries: []string{"registry.example.com/team-a"}}, "registry.example.com/team-a/app:1.2.3", ""},
		{"a path that begins with the registry's", ImagePolicyArgs{Registries: []string{"registry.example.com/team-a"}}, "registry.example.com/team-ab/app:1.2.3", "cluster.imagePolicy.registries"},
		{"a short name, where the library is allowed", ImagePolicyArgs{Registries: []string{"docker.io/library"}}, "redis:7.4.2", ""},
		{"the library's full name", ImagePolicyArgs{Registries: []string{"docker.io/library"}}, "docker.io/library/redis:7.4.2", ""},
		{"a short name of another repository, where the library is allowed", ImagePolicyArgs{Registries: []string{"docker.io/library"}}, "somebody/redis:7.4.2", "cluster.imagePolicy.registries"},
		{"a short name of another repository, where its host is allowed", ImagePolicyArgs{Registries: []string{"docker.io"}}, "somebody/redis:7.4.2", ""},
		{"a registry with a port", ImagePolicyArgs{Registries: []string{"localhost:5000"}}, "localhost:5000/a:1.2.3", ""},
		{"a local registry without a port", ImagePolicyArgs{Registries: []string{"localhost"}}, "localhost/a:1.2.3", ""},
		{"an image of another registry, where the policy only warns", ImagePolicyArgs{Registries: []string{"registry.example.com"}, Action: Warn}, "redis:7.4.2", ""},
		{"a tag, where digests are required", ImagePolicyArgs{DigestsOnly: true}, "redis:7.4.2", "cluster.imagePolicy.digestsOnly refuses it"},
		{"a digest, where digests are required", ImagePolicyArgs{DigestsOnly: true}, "redis:7.4.2" + digest, ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			err := c.args.CheckImage("cluster.imagePolicy", c.image)
			if c.says == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, c.says)
			}
		})
	}
	assert.True(t, regexp.MustCompile(digestImage).MatchString("redis:latest"+digest))
	assert.False(t, regexp.MustCompile(digestImage).MatchString("redis:7.4.2"))
	for _, registry := range []string{"", "https://registry.example.com", "registry.example.com/", "registry", "registry.example.com/a:1", "*.example.com"} {
		t.Run(fmt.Sprintf("%q is no registry", registry), func(t *testing.T) {
			assert.ErrorContains(t, (&ImagePolicyArgs{Registries: []string{registry}}).Check().Err(), "no registry; write its host")
		})
	}
}

func TestAListOfRegistriesIsARuleOfTheCluster(t *testing.T) {
	g := graphtest.Run(t, func(ctx *pulumi.Context) error {
		_, err := NewImagePolicy(ctx, "images", &ImagePolicyArgs{Registries: []string{"registry.example.com", "docker.io/library"}, DigestsOnly: true})
		return err
	})
	policy := graphtest.Find(t, g, graphtest.AdmissionPolicy, "journal-image-policy")
	assert.Len(t, policy.Field("spec.validations"), 2)
	variables := fmt.Sprint(policy.Field("spec.variables"))
	assert.Contains(t, variables, `["registry.example.com","docker.io/library"]`)
	assert.Contains(t, variables, "r'"+digestImage+"'")
}

func TestTheImagePolicyHoldsForTenantsAndWarnsOrDenies(t *testing.T) {
	for action, want := range map[string][]any{"": {"Deny", "Audit"}, Deny: {"Deny", "Audit"}, Warn: {"Warn", "Audit"}} {
		g := graphtest.Run(t, func(ctx *pulumi.Context) error {
			_, err := NewImagePolicy(ctx, "images", &ImagePolicyArgs{Action: action})
			return err
		})
		policy := graphtest.Find(t, g, graphtest.AdmissionPolicy, "journal-image-policy")
		assert.Equal(t, "Fail", policy.Field("spec.failurePolicy"))
		assert.Equal(t, []any{map[string]any{"key": "journal.example.com/tenant", "operator": "Exists"}},
			policy.Field("spec.matchConstraints.namespaceSelector.matchExpressions"))
		assert.Contains(t, fmt.Sprint(policy.Field("spec.matchConstraints.resourceRules")), "pods/ephemeralcontainers")
		variables := fmt.Sprint(policy.Field("spec.variables"))
		for _, field := range []string{"containers", "initContainers", "ephemeralContainers", "volumes"} {
			assert.Contains(t, variables, "variables.after.?"+field)
		}
		assert.Contains(t, variables, "r'"+exactImage+"'")
		assert.Equal(t, want, graphtest.Find(t, g, graphtest.AdmissionBinding, "journal-image-policy").Field("spec.validationActions"))
	}
	assert.ErrorContains(t, (&ImagePolicyArgs{Action: "audit"}).Check().Err(), `action "audit": must be one of deny, warn`)
}
