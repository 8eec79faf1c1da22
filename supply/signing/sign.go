package signing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"

	"example.com/journal/supply/bill"
)

// Signer signs images with a key.
type Signer struct {
	signer notation.Signer
	// own trusts what this signer has signed, and nothing else.
	own *Trust
}

// NewSigner returns a signer with the key of a PEM file. The chain is a PEM file with the key's certificate, which must be for code
// signing, and with those of its issuers up to the root.
func NewSigner(key, chain string) (*Signer, error) {
	pair, err := tls.LoadX509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("key %s with the certificates of %s: %w; write PEM files of a key and its certificate", key, chain, err)
	}
	var certificates []*x509.Certificate
	for _, each := range pair.Certificate {
		certificate, err := x509.ParseCertificate(each)
		if err != nil {
			return nil, fmt.Errorf("certificates of %s: %w", chain, err)
		}
		certificates = append(certificates, certificate)
	}
	s := &Signer{}
	if s.signer, err = signer.NewGenericSigner(pair.PrivateKey, certificates); err != nil {
		return nil, fmt.Errorf("key %s with the certificates of %s: %w", key, chain, err)
	}
	s.own, err = newTrust(&trustpolicy.Document{Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{{
		Name: "own", RegistryScopes: []string{"*"}, TrustStores: []string{"ca:own"}, TrustedIdentities: []string{"*"},
		SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: trustpolicy.LevelStrict.Name},
	}}}, certificate{certificates[0]})
	return s, err
}

// certificate is a trust store that holds one.
type certificate struct{ *x509.Certificate }

// GetCertificates returns it, whatever the store is called.
func (c certificate) GetCertificates(context.Context, truststore.Type, string) ([]*x509.Certificate, error) {
	return []*x509.Certificate{c.Certificate}, nil
}

// Sign makes the bill of an image, and signs both in the registry. The reference must have the digest of what was built: a tag could
// be somebody else's by now. What this key has signed already stays as it is.
func (s *Signer) Sign(ctx context.Context, written string) error {
	i, err := open(written)
	if err != nil {
		return fmt.Errorf("%q: %w", written, err)
	}
	if s.own.verify(ctx, i) == nil {
		return nil
	}
	found, err := i.resolve(ctx)
	if err != nil {
		return fmt.Errorf("%q: %w", written, err)
	}
	text, err := bill.Of(ctx, i.remote, i.repository, found)
	if err != nil {
		return fmt.Errorf("%q: bill: %w", written, err)
	}
	attached, err := i.attach(ctx, found, text)
	if err != nil {
		return fmt.Errorf("%q: push the bill: %w", written, err)
	}
	// The image comes last: one with a signature has a bill.
	for _, each := range []ocispec.Descriptor{attached, found} {
		if _, err := notation.Sign(ctx, s.signer, registry.NewRepository(i.remote), notation.SignOptions{
			SignerSignOptions: notation.SignerSignOptions{SignatureMediaType: jws.MediaTypeEnvelope},
			ArtifactReference: i.repository + "@" + each.Digest.String(),
		}); err != nil {
			return fmt.Errorf("%q: sign: %w", written, err)
		}
	}
	return nil
}

// attach pushes a bill that refers to the image.
func (i image) attach(ctx context.Context, subject ocispec.Descriptor, text []byte) (ocispec.Descriptor, error) {
	blob, err := oras.PushBytes(ctx, i.remote.Blobs(), bill.MediaType, text)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	// Some registries tell the type by the configuration, which has nothing in it.
	config, err := oras.PushBytes(ctx, i.remote.Blobs(), bill.MediaType, ocispec.DescriptorEmptyJSON.Data)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return oras.PackManifest(ctx, i.remote, oras.PackManifestVersion1_1, bill.MediaType, oras.PackManifestOptions{
		Subject: &subject, ConfigDescriptor: &config, Layers: []ocispec.Descriptor{blob},
		ManifestAnnotations: map[string]string{ocispec.AnnotationCreated: "1970-01-01T00:00:00Z"}, // the same bill has the same digest
	})
}

// Bill returns the bill of an image, made anew of its layers.
func Bill(ctx context.Context, written string) ([]byte, error) {
	i, err := open(written)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", written, err)
	}
	found, err := i.resolve(ctx)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", written, err)
	}
	text, err := bill.Of(ctx, i.remote, i.repository, found)
	if err != nil {
		return nil, fmt.Errorf("%q: bill: %w", written, err)
	}
	return text, nil
}
