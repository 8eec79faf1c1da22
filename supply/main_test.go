package main

import (
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/registry"
)

// The page docs/supply-chain.md makes a key, signs and verifies by these commands.
func TestTheCommandsOfThePage(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	tagged := host + "/team-a/app:1.0.0"
	image, err := crane.Image(map[string][]byte{"var/lib/dpkg/status": []byte("Package: nginx\nVersion: 1.22.1\nArchitecture: amd64\n")})
	if err != nil {
		t.Fatal(err)
	}
	if err := crane.Push(image, tagged); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	reference := tagged + "@" + digest.String()

	folder := t.TempDir()
	page, err := os.ReadFile(os.Getenv("PWD") + "/../docs/supply-chain.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language, start string) string {
		t.Helper()
		_, rest, found := strings.Cut(string(page), "```"+language+"\n"+start)
		text, _, _ := strings.Cut(rest, "```")
		if !found {
			t.Fatalf("docs/supply-chain.md has no block of %s that begins with %q", language, start)
		}
		return start + text
	}
	key := exec.CommandContext(t.Context(), "bash", "-euc", block("sh", "openssl "))
	key.Dir = folder
	if text, err := key.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	at := func(name string) string { return filepath.Join(folder, name) }
	policy := strings.ReplaceAll(block("json", "{"), "registry.example.com/team-a/", host+"/team-a/")
	if err := os.WriteFile(at("trust/trustpolicy.json"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}

	runs := func(says string, args ...string) {
		t.Helper()
		var out bytes.Buffer
		if err := run(t.Context(), args, &out); err != nil || !strings.Contains(out.String(), says) {
			t.Errorf("supply %s: got %q (%v), want %q", strings.Join(args, " "), out.String(), err, says)
		}
	}
	fails := func(says string, args ...string) {
		t.Helper()
		if err := run(t.Context(), args, io.Discard); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("supply %s: got %v, want %q", strings.Join(args, " "), err, says)
		}
	}
	fails(`redis.image "`+reference+`": signature: `, "verify", "--trust", at("trust"), "redis.image="+reference)
	fails("no digest", "sign", "--key", at("release.key"), "--chain", at("release.pem"), tagged)
	runs("signed "+reference, "sign", "--key", at("release.key"), "--chain", at("release.pem"), reference)
	runs("verified 1 images", "verify", "--trust", at("trust"), "redis.image="+reference)
	runs("verified 2 images", "verify", "--trust", at("trust"), reference, host+"/team-a/app@"+digest.String())
	runs(`"pkg:deb/debian/nginx@1.22.1?arch=amd64"`, "bill", reference)
	fails(`redis.image "`+tagged+`": no digest`, "verify", "--trust", at("trust"), "redis.image="+tagged)
	runs("redis.image: "+reference+"\napi.image: "+reference+"\n", "digest", "redis.image="+tagged, "api.image="+reference)
	fails(`redis.image "`+host+`/team-a/app": no tag and no digest`, "digest", "redis.image="+host+"/team-a/app")
	fails(`redis.image "`+host+`/team-a/app:2.0.0": digest: the registry does not say what the tag 2.0.0 is`, "digest", "redis.image="+host+"/team-a/app:2.0.0")
	fails("digest: the registry has no ", "digest", tagged+"@sha256:"+strings.Repeat("0a", 32))
	fails("redis.image: is there twice", "verify", "--trust", at("trust"), "redis.image="+reference, "redis.image="+tagged)
	fails("trust policy: ", "verify", "--trust", at("nothing"), reference)
	fails(`required flag(s) "chain"`, "sign", "--key", at("release.key"), reference)
	fails("requires at least 1 arg", "verify", "--trust", at("trust"))
}
