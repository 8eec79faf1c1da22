package signing

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/notation-go"
	notationregistry "github.com/notaryproject/notation-go/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote/auth"

	"example.com/journal/supply/bill"
)

// organisation is what the trust policy of the tests knows of a signer.
const organisation = "Example"

// authority is a certificate authority with signers.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	certificate, key := issue(t, authority{}, "Example", time.Now().Add(time.Hour))
	return authority{certificate, key}
}

// issue makes a certificate of an organisation, or that of an authority if there is none to issue it.
func issue(t *testing.T, by authority, of string, end time.Time) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	number, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: number, NotBefore: time.Now().Add(-time.Hour), NotAfter: end, BasicConstraintsValid: true,
		Subject:  pkix.Name{Country: []string{"DE"}, Province: []string{"Berlin"}, Organization: []string{of}, CommonName: "releases"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	parent, parentKey := by.certificate, by.key
	if parent == nil {
		template.IsCA, template.KeyUsage, template.ExtKeyUsage, template.Subject.CommonName = true, x509.KeyUsageCertSign, nil, "authority"
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

// signer returns a signer of an organisation, by the files that the command takes.
func (a authority) signer(t *testing.T, of string, end time.Time) *Signer {
	t.Helper()
	certificate, key := issue(t, a, of, end)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	keyFile, chainFile := filepath.Join(folder, "key.pem"), filepath.Join(folder, "chain.pem")
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	write(t, chainFile, append(encode(certificate), encode(a.certificate)...))
	s, err := NewSigner(keyFile, chainFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func encode(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// policy is the text of a trust policy with the fields of its statements.
func policy(statements ...string) string {
	return `{"version": "1.0", "trustPolicies": [` + strings.Join(statements, ", ") + `]}`
}

const (
	strictly = `{"name": "ours", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
		"trustStores": ["ca:journal"], "trustedIdentities": ["x509.subject: C=DE, ST=Berlin, O=` + organisation + `"]}`
)

// trust returns a folder with a policy and the certificate of an authority.
func (a authority) trust(t *testing.T, text string) string {
	t.Helper()
	folder := t.TempDir()
	write(t, filepath.Join(folder, "trustpolicy.json"), []byte(text))
	write(t, filepath.Join(folder, "truststore/x509/ca/journal/authority.pem"), encode(a.certificate))
	return folder
}

// registryServer starts a registry, and returns its host.
func registryServer(t *testing.T, options ...registry.Option) string {
	t.Helper()
	options = append(options, registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(registry.New(options...))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// program is an image with one Debian package, whose version is a text that makes it another image.
func program(t *testing.T, version string) v1.Image {
	t.Helper()
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	text := "Package: program\nVersion: " + version + "\nArchitecture: amd64\n"
	if err := archive.WriteHeader(&tar.Header{Name: "var/lib/dpkg/status.d/program", Mode: 0o644, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// push pushes an image under a tag, and returns the reference with its digest.
func push(t *testing.T, image v1.Image, tagged string) string {
	t.Helper()
	if err := crane.Push(image, tagged); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return tagged + "@" + digest.String()
}

func load(t *testing.T, folder string) *Trust {
	t.Helper()
	trust, err := LoadTrust(folder)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

// referrers returns what refers to an image, by its type.
func referrers(t *testing.T, reference string) map[string][]ocispec.Descriptor {
	t.Helper()
	i := opened(t, reference)
	found, err := i.resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]ocispec.Descriptor{}
	if err := i.remote.Referrers(t.Context(), found, "", func(some []ocispec.Descriptor) error {
		for _, each := range some {
			all[each.ArtifactType] = append(all[each.ArtifactType], each)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func opened(t *testing.T, reference string) image {
	t.Helper()
	i, err := open(reference)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("got no error, want one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got error %q, want it to contain %q", err, part)
		}
	}
}

func TestWhatIsSignedIsTrustedAndAllElseIsRefused(t *testing.T) {
	host, ours, soon := registryServer(t), newAuthority(t), time.Now().Add(30*time.Minute)
	signer := ours.signer(t, organisation, soon)
	sign := func(signer *Signer, reference string) string {
		if err := signer.Sign(t.Context(), reference); err != nil {
			t.Fatal(err)
		}
		return reference
	}
	signOnly := func(signer *Signer, i image, object ocispec.Descriptor) {
		if _, err := notation.Sign(t.Context(), signer.signer, notationregistry.NewRepository(i.remote), notation.SignOptions{
			SignerSignOptions: notation.SignerSignOptions{SignatureMediaType: jws.MediaTypeEnvelope},
			ArtifactReference: i.repository + "@" + object.Digest.String(),
		}); err != nil {
			t.Fatal(err)
		}
	}
	// attached pushes an image that only the image itself is signed of, and a bill with any text, which may be signed.
	attached := func(name, text string, billSigner *Signer) string {
		reference := push(t, program(t, name), host+"/team/"+name+":1.0.0")
		i := opened(t, reference)
		found, err := i.resolve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		object, err := i.attach(t.Context(), found, []byte(strings.ReplaceAll(text, "DIGEST", i.digest)))
		if err != nil {
			t.Fatal(err)
		}
		signOnly(signer, i, found)
		if billSigner != nil {
			signOnly(billSigner, i, object)
		}
		return reference
	}
	good := sign(signer, push(t, program(t, "good"), host+"/team/good:1.0.0"))
	_, digest, _ := strings.Cut(good, "@")
	unsigned := push(t, program(t, "unsigned"), host+"/team/unsigned:1.0.0")
	strangers := newAuthority(t)
	moved := sign(signer, push(t, program(t, "before"), host+"/team/moved:1.0.0"))
	push(t, program(t, "after"), host+"/team/moved:1.0.0")
	const named, empty = `{"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {"component": {"type": "container", "name": "x", "version": "DIGEST"}}, "components": [{"type": "library", "name": "a"}]}`,
		`{"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {"component": {"type": "container", "name": "x", "version": "DIGEST"}}}`
	alone := push(t, program(t, "alone"), host+"/team/alone:1.0.0")
	found, err := opened(t, alone).resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	signOnly(signer, opened(t, alone), found)

	trust := load(t, ours.trust(t, policy(strictly,
		fmt.Sprintf(`{"name": "foreign", "registryScopes": ["%s/team/unsigned"], "signatureVerification": {"level": "skip"}}`, host))))
	strict := load(t, ours.trust(t, policy(strictly)))
	for _, c := range []struct {
		sentence, reference string
		trust               *Trust
		says                []string // nothing if it is trusted
	}{
		{"a signed image with a bill is trusted", good, strict, nil},
		{"so it is without its tag", host + "/team/good@" + digest, strict, nil},
		{"a tag alone is no image", host + "/team/good:1.0.0", strict, []string{"no digest", "registry.example.com/app:1.2.3@sha256:"}},
		{"nor is a name alone", "redis", strict, []string{"no digest"}},
		{"text is no reference", "Registry!", strict, []string{`"Registry!": not a reference of an image`}},
		{"a digest that the registry does not have is refused", host + "/team/good@sha256:" + strings.Repeat("0a", 32), strict, []string{"digest: the registry has no " + host + "/team/good@"}},
		{"the digest of another repository is refused", host + "/team/unsigned@" + digest, strict, []string{"digest: the registry has no"}},
		{"a tag that was pushed again is refused", moved, strict, []string{"digest: the tag 1.0.0 is sha256:", "leave the tag out"}},
		{"a tag that is not there is refused", strings.Replace(good, ":1.0.0@", ":2.0.0@", 1), strict, []string{"digest:", "tag 2.0.0"}},
		{"an image without a signature is refused", unsigned, strict, []string{"signature: no signature is associated with"}},
		{"a repository that the policy skips needs a digest alone", unsigned, trust, nil},
		{"also there, a digest that does not exist is refused", host + "/team/unsigned@sha256:" + strings.Repeat("0a", 32), trust, []string{"digest: the registry has no"}},
		{"a signature of another authority is refused", sign(strangers.signer(t, organisation, soon), push(t, program(t, "stranger"), host+"/team/stranger:1.0.0")), strict, []string{"signature:", "does not contain any trusted certificate"}},
		{"a signature of somebody else with a certificate of the authority is refused", sign(ours.signer(t, "Other", soon), push(t, program(t, "other"), host+"/team/other:1.0.0")), strict, []string{"signature:", "trusted identities"}},
		{"an image whose bill is missing is refused", alone, strict, []string{"bill: none refers to"}},
		{"a bill that nobody signed is refused", attached("unsigned-bill", named, nil), strict, []string{"bill: sha256:", "no signature is associated"}},
		{"a bill that a stranger signed is refused", attached("stranger-bill", named, strangers.signer(t, organisation, soon)), strict, []string{"bill: sha256:", "does not contain any trusted certificate"}},
		{"a signed bill of this image is taken", attached("own-bill", named, signer), strict, nil},
		{"a signed bill of another image is refused", attached("wrong-bill", strings.ReplaceAll(named, "DIGEST", digest), signer), strict, []string{"bill: sha256:", "it is the bill of " + digest}},
		{"an empty bill is refused", attached("empty-bill", empty, signer), strict, []string{"it is empty"}},
		{"what is no bill is refused", attached("no-bill", "text", signer), strict, []string{"not a bill in CycloneDX JSON"}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			err := c.trust.Verify(t.Context(), c.reference)
			if len(c.says) > 0 {
				wantError(t, err, c.says...)
			} else if err != nil {
				t.Error(err)
			}
		})
	}

	t.Run("every fault is named by its key", func(t *testing.T) {
		err := strict.VerifyAll(t.Context(), map[string]string{"redis.image": unsigned, "api.image": "redis:7.4.2", "frontend.image": good})
		wantError(t, err, `api.image "redis:7.4.2": no digest`, `redis.image "`+unsigned+`": signature: `)
		if strings.Contains(err.Error(), "frontend.image") {
			t.Errorf("an image that is trusted is named: %v", err)
		}
	})
	t.Run("what others push beside the bill and the signature does not count", func(t *testing.T) {
		i := opened(t, good)
		found, err := i.resolve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for n := range 5 {
			if _, err := i.attach(t.Context(), found, fmt.Appendf(nil, "junk %d", n)); err != nil {
				t.Fatal(err)
			}
			signOnly(strangers.signer(t, organisation, soon), i, found)
		}
		if err := strict.Verify(t.Context(), good); err != nil {
			t.Error(err)
		}
	})
	t.Run("a certificate that has ended is refused", func(t *testing.T) {
		ends := time.Now().Add(2 * time.Second)
		reference := sign(ours.signer(t, organisation, ends), push(t, program(t, "ending"), host+"/team/ending:1.0.0"))
		if err := strict.Verify(t.Context(), reference); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(ends.Add(1500 * time.Millisecond)))
		wantError(t, strict.Verify(t.Context(), reference), "signature:", "expired")
		sign(signer, reference)
		if err := strict.Verify(t.Context(), reference); err != nil {
			t.Errorf("it was signed again: %v", err)
		}
	})
}

func TestSigningTwiceAddsNothing(t *testing.T) {
	host, ours, soon := registryServer(t), newAuthority(t), time.Now().Add(time.Hour)
	reference := push(t, program(t, "once"), host+"/app:1.0.0")
	signer := ours.signer(t, organisation, soon)
	for range 3 {
		if err := signer.Sign(t.Context(), reference); err != nil {
			t.Fatal(err)
		}
	}
	all := referrers(t, reference)
	if len(all) != 2 || len(all[bill.MediaType]) != 1 || len(all[notationregistry.ArtifactTypeNotation]) != 1 {
		t.Errorf("got %v, want one bill and one signature", all)
	}
	// Another certificate of the same authority signs the same bill.
	if err := ours.signer(t, "Other", soon).Sign(t.Context(), reference); err != nil {
		t.Fatal(err)
	}
	all = referrers(t, reference)
	if len(all[bill.MediaType]) != 1 || len(all[notationregistry.ArtifactTypeNotation]) != 2 {
		t.Errorf("got %v, want one bill and two signatures", all)
	}
}

func TestCredentialsAreThoseOfTheLoginAndForTheRegistryAlone(t *testing.T) {
	inner := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "alice" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	defer server.Close()
	host, login := strings.TrimPrefix(server.URL, "http://"), t.TempDir()
	t.Setenv("DOCKER_CONFIG", login)
	write(t, filepath.Join(login, "config.json"), fmt.Appendf(nil, `{"auths": {%q: {"username": "alice", "password": "secret"}}}`, host))
	ours := newAuthority(t)
	reference := push(t, program(t, "private"), host+"/app:1.0.0")
	if err := ours.signer(t, organisation, time.Now().Add(time.Hour)).Sign(t.Context(), reference); err != nil {
		t.Fatal(err)
	}
	trust := load(t, ours.trust(t, policy(strictly)))
	if err := trust.Verify(t.Context(), reference); err != nil {
		t.Error(err)
	}
	if given, err := credential(host+"/app", host)(t.Context(), "registry.example.net"); err != nil || given != auth.EmptyCredential {
		t.Errorf("another host gets %v (%v)", given, err)
	}
	write(t, filepath.Join(login, "config.json"), []byte("{}"))
	err := trust.Verify(t.Context(), reference)
	wantError(t, err, "digest: the registry does not say what "+host+"/app@")
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the password is in %v", err)
	}
}

func TestOnlyADigestIsSigned(t *testing.T) {
	host, ours := registryServer(t), newAuthority(t)
	push(t, program(t, "tagged"), host+"/app:1.0.0")
	wantError(t, ours.signer(t, organisation, time.Now().Add(time.Hour)).Sign(t.Context(), host+"/app:1.0.0"), "no digest")
}

// A registry that sends other bytes than those of the digest gets no bill signed for them.
func TestALayerThatTheRegistryHasChangedIsNotSigned(t *testing.T) {
	inner := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	other, layer := program(t, "changed"), ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || layer == "" || !strings.HasSuffix(r.URL.Path, "/blobs/"+layer) {
			inner.ServeHTTP(w, r)
			return
		}
		layers, err := other.Layers()
		if err != nil {
			t.Error(err)
			return
		}
		sent, err := layers[0].Compressed()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(w, sent)
	}))
	defer server.Close()
	original := program(t, "original")
	reference := push(t, original, strings.TrimPrefix(server.URL, "http://")+"/app:1.0.0")
	layers, err := original.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	layer = digest.String()
	wantError(t, newAuthority(t).signer(t, organisation, time.Now().Add(time.Hour)).Sign(t.Context(), reference), "bill: layer 0", "mismatch")
	if all := referrers(t, reference); len(all) > 0 {
		t.Errorf("the registry has %v", all)
	}
}

func TestABillThatIsSignedElsewhereIsNotThisImages(t *testing.T) {
	host, ours := registryServer(t), newAuthority(t)
	signer := ours.signer(t, organisation, time.Now().Add(time.Hour))
	one, two := push(t, program(t, "one"), host+"/app:1.0.0"), push(t, program(t, "two"), host+"/app:2.0.0")
	for _, reference := range []string{one, two} {
		if err := signer.Sign(t.Context(), reference); err != nil {
			t.Fatal(err)
		}
	}
	trust, i := load(t, ours.trust(t, policy(strictly))), opened(t, two)
	subject, err := i.resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// So a registry would answer that lists the bill of one image as that of the other.
	wantError(t, trust.good(t.Context(), i, subject, referrers(t, one)[bill.MediaType][0]), "it refers to another image")
}

func TestATrustPolicyThatChecksNothingIsRefused(t *testing.T) {
	ours := newAuthority(t)
	for _, c := range []struct{ sentence, policy, says string }{
		{"skipping everything", policy(`{"name": "all", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}}`), `all: level "skip" for all repositories checks nothing`},
		{"everybody's signature", policy(strings.Replace(strictly, `"strict"`, `"audit"`, 1)), `ours: level "audit" lets everybody's signature pass; write "strict"`},
		{"everybody's signature by a detail", policy(strings.Replace(strictly, `"strict"`, `"strict", "override": {"authenticity": "log"}`, 1)), `lets everybody's signature pass`},
		{"a key that is misspelt", policy(strings.Replace(strictly, `"trustedIdentities"`, `"trustedIdentity"`, 1)), `unknown field "trustedIdentity"`},
		{"certificates that are not there", policy(strings.Replace(strictly, `ca:journal`, `ca:other`, 1)), `ours: the trust store "other" of type "ca" does not exist`},
		{"no statement", policy(), "zero trust policy statements"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			_, err := LoadTrust(ours.trust(t, c.policy))
			wantError(t, err, "trust policy ", "trustpolicy.json: ", c.says)
		})
	}
	_, err := LoadTrust(t.TempDir())
	wantError(t, err, "trust policy: ", "trustpolicy.json: no such file")
	// A policy for other repositories is none for this one.
	other := strings.Replace(strictly, `["*"]`, `["registry.example.com/other"]`, 1)
	wantError(t, load(t, ours.trust(t, policy(other))).Verify(t.Context(), "registry.example.com/app@sha256:"+strings.Repeat("0a", 32)),
		"signature: no statement of the trust policy is for registry.example.com/app")
}

func TestAKeyThatCannotSignIsRefused(t *testing.T) {
	folder := t.TempDir()
	key, chain := filepath.Join(folder, "key.pem"), filepath.Join(folder, "chain.pem")
	_, err := NewSigner(key, chain)
	wantError(t, err, key, chain, "no such file")
	ours := newAuthority(t)
	_, other := issue(t, ours, organisation, time.Now().Add(time.Hour))
	der, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	write(t, chain, encode(ours.certificate))
	_, err = NewSigner(key, chain)
	wantError(t, err, "private key does not match")
	if text, _ := json.Marshal(err.Error()); bytes.Contains(text, []byte("PRIVATE KEY")) {
		t.Errorf("the key is in %s", text)
	}
}

// The manifest of an object that is not signed may not be read for minutes: what is too large is refused before.
func TestWhatIsTooLargeIsNotRead(t *testing.T) {
	_, err := fetch(t.Context(), oras.Target(nil), ocispec.Descriptor{Digest: "sha256:0", Size: bill.MaxBytes + 1})
	wantError(t, err, "more than the")
}
