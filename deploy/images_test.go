package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

var someDigest = "@sha256:" + strings.Repeat("0a", 32)

func TestAStackSaysWithAReasonThatItsImagesNeedNoSignature(t *testing.T) {
	for text, says := range map[string]string{
		"{}":                                  "",
		"deploy:images: {}":                   "",
		"deploy:images: {verify: signatures}": "",
		"deploy:images: {verify: digests}":    "deploy:images.reason: is missing; write why digests is enough",
		"deploy:images: {verify: none, reason: a sandbox}":        "",
		"deploy:images: {verify: signatures, reason: a sandbox}":  `deploy:images.reason "a sandbox": signatures need no reason`,
		"deploy:images: {verify: off, reason: a sandbox}":         `deploy:images.verify "off": must be one of signatures, digests, none`,
		"deploy:images: {verify: none, reason: a, trust: theirs}": "field trust not found",
		"deploy:images: none":                             "write for example deploy:images: {verify: digests, reason: ",
		"deploy:image: {verify: none, reason: a sandbox}": "deploy:image: unknown; write deploy:images",
	} {
		var config map[string]yaml.Node
		require.NoError(t, yaml.Unmarshal([]byte(text), &config))
		v, err := readVerification(config)
		switch {
		case says != "":
			assert.ErrorContains(t, err, says, text)
		case strings.Contains(text, "none"):
			assert.Equal(t, verification{verifyNone, "a sandbox"}, v)
		default:
			assert.NoError(t, err, text)
			assert.Equal(t, verification{Verify: verifySignatures}, v, text)
		}
	}
}

// asking is a verifier whose program writes down what it is asked, says this and ends with this exit code.
func asking(t *testing.T, says string, code int) (v verifier, asked string) {
	t.Helper()
	dir := t.TempDir()
	v, asked = verifier{program: filepath.Join(dir, "supply"), trust: "/project/trust"}, filepath.Join(dir, "asked")
	script := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' \"$@\" > %q\necho %q >&2\nexit %d\n", asked, says, code)
	require.NoError(t, os.WriteFile(v.program, []byte(script), 0o700))
	return v, asked
}

func TestImagesAreVerifiedAsTheStackSays(t *testing.T) {
	images := map[string]string{"journal:api.image": "a:1", "journal:redis.image": "b:1" + someDigest}
	v, asked := asking(t, "error: journal:api.image: signature: none", 1)
	assert.EqualError(t, v.verify(t.Context(), verification{Verify: verifySignatures}, images), "journal:api.image: signature: none")
	args, err := os.ReadFile(asked)
	require.NoError(t, err)
	assert.Equal(t, "verify\n--trust\n/project/trust\n--\njournal:api.image=a:1\njournal:redis.image=b:1"+someDigest+"\n", string(args))

	v, asked = asking(t, "", 0)
	require.NoError(t, v.verify(t.Context(), verification{Verify: verifySignatures}, images))
	assert.FileExists(t, asked)

	v, asked = asking(t, "", 0)
	assert.EqualError(t, v.verify(t.Context(), verification{verifyDigests, "a"}, images),
		`journal:api.image "a:1": no digest, so its content can change; write it with one, as `+"`make pin` does")
	for _, almost := range []string{"a@sha256:0a", "a" + someDigest + "0", "a@sha512:" + strings.Repeat("0a", 32), "a@sha256:" + strings.Repeat("0A", 32)} {
		assert.Error(t, v.verify(t.Context(), verification{verifyDigests, "a"}, map[string]string{"a.image": almost}), almost)
	}
	require.NoError(t, v.verify(t.Context(), verification{verifyNone, "a"}, images))
	require.NoError(t, v.verify(t.Context(), verification{Verify: verifySignatures}, nil), "a stack without images")
	assert.NoFileExists(t, asked, "digests are asked of no registry")
}

func TestWithoutTheProgramNoImageIsTrusted(t *testing.T) {
	images, how := map[string]string{"a.image": "a:1"}, verification{Verify: verifySignatures}
	assert.ErrorContains(t, verifier{program: "/none"}.verify(t.Context(), how, images), "build it with `go build -C supply -o ../bin/supply .`")
	v, _ := asking(t, "", 3)
	assert.Error(t, v.verify(t.Context(), how, images), "a program that fails without a word")
}

// aPlan is the engine's plan of one object, as a part of which it adds and updates fields.
func aPlan(t *testing.T, kind string, adds, updates string) []byte {
	t.Helper()
	object := func(text string) (fields map[string]any) {
		require.NoError(t, yaml.Unmarshal([]byte(text), &fields))
		return fields
	}
	text, err := json.Marshal(map[string]any{"resourcePlans": map[string]any{
		"urn:pulumi:prod::journal::" + kind + "::api":   map[string]any{"goal": map[string]any{"type": kind, "inputDiff": map[string]any{"adds": object(adds), "updates": object(updates)}}},
		"urn:pulumi:prod::journal::" + kind + "::older": map[string]any{"steps": []string{"delete"}},
	}})
	require.NoError(t, err)
	return text
}

func TestTheImagesOfAPlanAreThoseOfItsPods(t *testing.T) {
	const deployment, custom = "kubernetes:apps/v1:Deployment", "kubernetes:example.com/v1:App"
	secret := `{4dabf18193072939515e22adb298388d: 1b47061264138c4ac30d75fd1eb44270, ciphertext: v1}`
	for _, c := range []struct {
		sentence, kind, adds, updates string
		images                        []string // besides the one that the stack's file names
		hidden                        bool
	}{
		{"an image of the stack's file is there once", deployment, "", "spec: {template: {spec: {containers: [{image: named}]}}}", nil, false},
		{"each kind of container", deployment, "spec: {template: {spec: {containers: [{image: a}, {image: b}], initContainers: [{image: c}], ephemeralContainers: [{image: d}]}}}", "", []string{"a", "b", "c", "d"}, false},
		{"volumes of images", "kubernetes:core/v1:Pod", "spec: {volumes: [{image: {reference: a}}, {emptyDir: {}}]}", "", []string{"a"}, false},
		{"pods of custom resources", custom, "spec: {deep: [{pod: {containers: [{image: a}]}}]}", "", []string{"a"}, false},
		{"a secret in the environment hides no image", deployment, "spec: {template: {spec: {containers: [{image: a, env: [{value: " + secret + "}]}]}}}", "", []string{"a"}, false},
		{"what only looks like an image", "kubernetes:core/v1:ConfigMap", "data: {image: a, containers: text}", "", nil, false},
		{"a Secret", "kubernetes:core/v1:Secret", "stringData: " + secret, "", nil, false},
		{"a secret image", deployment, "", "spec: {template: {spec: {containers: [{image: " + secret + "}]}}}", nil, true},
		{"an image that the update decides", deployment, "", "spec: {template: {spec: {containers: [{image: " + unknown + "}]}}}", nil, true},
		{"containers that the update decides", custom, "spec: {containers: " + unknown + "}", "", nil, true},
		{"a secret container", custom, "spec: {containers: [" + secret + "]}", "", nil, true},
		{"a secret specification", deployment, "spec: " + secret, "", nil, true},
		{"a chart that is made during the update", releaseType, "chart: traefik", "", nil, true},
		{"a secret specification of what has no pods", custom, "spec: " + secret, "", nil, false},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			images, err := imagesOf(map[string]string{"journal:api.image": "named"}, aPlan(t, c.kind, c.adds, c.updates))
			if c.hidden {
				assert.ErrorContains(t, err, " api: its images are secret, or known only during the update")
				return
			}
			require.NoError(t, err)
			got := []string{}
			for place, image := range images {
				got = append(got, image)
				if image != "named" {
					assert.Contains(t, place, " api, image ")
				}
			}
			assert.ElementsMatch(t, append(c.images, "named"), got)
		})
	}
	_, err := imagesOf(nil, []byte("none"))
	assert.ErrorContains(t, err, "steps.json: ")
}

func TestAPlanSaysWhatApplyWouldRefuse(t *testing.T) {
	f := facts{Stack: "prod", Images: map[string]string{"a.image": "b:1"}, Verify: verification{Verify: verifySignatures}}
	assert.NotContains(t, summarize(f, nil, nil), "image")
	assert.Contains(t, summarize(f, nil, errors.New("one\ntwo")), "make apply refuses the images as they are now:\n  one\n  two\n")
	f.Verify = verification{verifyNone, "a sandbox"}
	assert.Contains(t, summarize(f, nil, nil), "the signatures and bills of images are not verified: a sandbox\na.image: b:1 is a tag, ")
}

func TestImagesArePinnedAndNothingElseIsChanged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "Pulumi.prod.yaml")
	const before = `# Größe
config:

  journal:redis: {image: "redis:7", exporter: {image: 'a:1'}} # both
  journal:api:
      image:   registry.example.com/api:1   # pushed
      list: [{image: c:3}, {image: c:4}]
  other:api: {image: a:1}
  journal:shared: {image: &it b:2}
`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte("name: journal\nruntime: go\n"), 0o600))
	pinned := func(lines ...string) (said string, err error) {
		require.NoError(t, os.WriteFile(path, []byte(before), 0o640))
		var out bytes.Buffer
		err = pin(dir, "prod", strings.NewReader(strings.Join(lines, "\n")), &out)
		return out.String(), err
	}
	text := func() string {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(text)
	}
	said, err := pinned("redis.image: redis:8"+someDigest, "redis.exporter.image: e:1"+someDigest, "", "journal:api.image: api:2"+someDigest, "api.list[1].image: c:5"+someDigest, "claims.image: f:1"+someDigest)
	require.NoError(t, err)
	assert.Equal(t, strings.NewReplacer("redis:7", "redis:8"+someDigest, "'a:1'", "'e:1"+someDigest+"'", "registry.example.com/api:1", "api:2"+someDigest, "c:4", "c:5"+someDigest).Replace(before), text())
	assert.Equal(t, "journal:api.image: registry.example.com/api:1 -> api:2"+someDigest+"\njournal:api.list[1].image: c:4 -> c:5"+someDigest+
		"\njournal:claims.image: Pulumi.prod.yaml has no such image, left out\njournal:redis.exporter.image: a:1 -> e:1"+someDigest+"\njournal:redis.image: redis:7 -> redis:8"+someDigest+"\n", said)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode().Perm())

	for says, lines := range map[string][]string{
		"journal:apl.image: Pulumi.prod.yaml has no such image":     {"apl.image: a:1" + someDigest},
		"must be the key of an image and a reference with a digest": {"api.image: a:1"},
		"api.image=a:1":                          {"api.image=a:1" + someDigest},
		`"api.image: a:1, b:2`:                   {"api.image: a:1, b:2" + someDigest},
		"journal:api.image: is there twice, as ": {"api.image: a:1" + someDigest, "api.image: a:2" + someDigest},
		"no image is given":                      {""},
		"Pulumi.prod.yaml:9: journal:shared.image: the image is not written in one piece": {"api.image: a:1" + someDigest, "shared.image: a:1" + someDigest},
	} {
		_, err := pinned(lines...)
		assert.ErrorContains(t, err, says)
		assert.Equal(t, before, text(), "half of it is written")
	}
}

func TestWhatIsPinnedAlreadyStays(t *testing.T) {
	dir := t.TempDir()
	before := "config:\n  journal:api: {image: a:1" + someDigest + "}\n"
	require.NoError(t, errors.Join(os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte("name: journal\nruntime: go\n"), 0o600),
		os.WriteFile(filepath.Join(dir, "Pulumi.prod.yaml"), []byte(before), 0o600)))
	var out bytes.Buffer
	require.NoError(t, pin(dir, "prod", strings.NewReader("api.image: a:1"+someDigest), &out))
	assert.Equal(t, "journal:api.image: is a:1"+someDigest+" already\n", out.String())
	text, err := os.ReadFile(filepath.Join(dir, "Pulumi.prod.yaml"))
	require.NoError(t, err)
	assert.Equal(t, before, string(text))
}
