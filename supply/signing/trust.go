package signing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/dir"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"example.com/journal/supply/bill"
)

const (
	// attempts is how many signatures of one object, and how many bills of one image, are looked at.
	attempts = 50
	// patience is how long the registry of one image may take.
	patience = 2 * time.Minute
)

// Trust says whose signatures count, for which repositories.
type Trust struct {
	policy   *trustpolicy.Document
	verifier notation.Verifier
}

// LoadTrust reads a folder that is laid out as the configuration of the program notation: trustpolicy.json says which certificates
// count for which repositories, and truststore/x509/ca/<name> holds the certificates.
func LoadTrust(folder string) (*Trust, error) {
	path := filepath.Join(folder, dir.PathTrustPolicy)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("trust policy: %w; write it, and the certificates beside it: docs/supply-chain.md#verify", err)
	}
	policy := new(trustpolicy.Document)
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(policy); err != nil {
		return nil, fmt.Errorf("trust policy %s: %w", path, err)
	}
	store := truststore.NewX509TrustStore(dir.NewSysFS(folder))
	t, err := newTrust(policy, store)
	if err != nil {
		return nil, fmt.Errorf("trust policy %s: %w", path, err)
	}
	for _, statement := range policy.TrustPolicies {
		for _, named := range statement.TrustStores {
			kind, name, _ := strings.Cut(named, ":")
			if _, err := store.GetCertificates(context.Background(), truststore.Type(kind), name); err != nil {
				return nil, fmt.Errorf("trust policy %s: %s: %w", path, statement.Name, err)
			}
		}
	}
	return t, nil
}

// newTrust refuses a policy that lets everything pass.
func newTrust(policy *trustpolicy.Document, store truststore.X509TrustStore) (*Trust, error) {
	checks, err := verifier.New(policy, store, nil)
	if err != nil {
		return nil, err
	}
	for _, statement := range policy.TrustPolicies {
		level, err := statement.SignatureVerification.GetVerificationLevel()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", statement.Name, err)
		}
		skips := level.Name == trustpolicy.LevelSkip.Name
		if skips && slices.Contains(statement.RegistryScopes, "*") {
			return nil, fmt.Errorf(`%s: level "skip" for all repositories checks nothing; write the repositories in registryScopes`, statement.Name)
		}
		if !skips && level.Enforcement[trustpolicy.TypeAuthenticity] != trustpolicy.ActionEnforce {
			return nil, fmt.Errorf(`%s: level %q lets everybody's signature pass; write "strict" or "permissive", or "skip" for repositories that need no signature`,
				statement.Name, statement.SignatureVerification.VerificationLevel)
		}
	}
	return &Trust{policy, checks}, nil
}

// VerifyAll verifies images by the keys that a configuration has for them, and returns every fault. It changes nothing.
func (t *Trust) VerifyAll(ctx context.Context, references map[string]string) error {
	faults := map[string]error{}
	var lock sync.Mutex
	var wait sync.WaitGroup
	for key, reference := range references {
		wait.Go(func() {
			if err := t.Verify(ctx, reference); err != nil {
				lock.Lock()
				defer lock.Unlock()
				faults[key] = fmt.Errorf("%s %w", key, err)
			}
		})
	}
	wait.Wait()
	var all []error
	for _, key := range slices.Sorted(maps.Keys(faults)) {
		all = append(all, faults[key])
	}
	return errors.Join(all...)
}

// Verify refuses an image without a digest that the registry has, without a signature that the policy trusts, or without a bill
// that names this digest and is signed like the image. Of a repository that the policy skips, it asks for the digest alone.
func (t *Trust) Verify(ctx context.Context, written string) error {
	i, err := open(written)
	if err == nil {
		err = t.verify(ctx, i)
	}
	if err != nil {
		return fmt.Errorf("%q: %w", written, err)
	}
	return nil
}

func (t *Trust) verify(ctx context.Context, i image) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	statement, err := t.policy.GetApplicableTrustPolicy(i.pinned())
	if err != nil {
		return fmt.Errorf("signature: no statement of the trust policy is for %s; add one with it in registryScopes", i.repository)
	}
	found, err := i.resolve(ctx)
	if err != nil || statement.SignatureVerification.VerificationLevel == trustpolicy.LevelSkip.Name {
		return err
	}
	if err := i.tagged(ctx); err != nil {
		return err
	}
	if err := t.signed(ctx, i, found); err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if err := t.billed(ctx, i, found); err != nil {
		return fmt.Errorf("bill: %w", err)
	}
	return nil
}

// signed refuses an object of the image's repository that nobody has signed whom the policy trusts.
func (t *Trust) signed(ctx context.Context, i image, object ocispec.Descriptor) error {
	_, _, err := notation.Verify(ctx, t.verifier, registry.NewRepository(i.remote), notation.VerifyOptions{
		ArtifactReference: i.repository + "@" + object.Digest.String(), MaxSignatureAttempts: attempts,
	})
	return err
}

// billed refuses an image without a good bill. Whoever may push to the repository can add others, which do not count.
func (t *Trust) billed(ctx context.Context, i image, subject ocispec.Descriptor) error {
	done, seen := errors.New("a good bill"), 0
	var refused []error
	err := i.remote.Referrers(ctx, subject, bill.MediaType, func(referrers []ocispec.Descriptor) error {
		for _, each := range referrers {
			if seen++; seen > attempts {
				return fmt.Errorf("more than %d refer to the image; delete those that nobody has signed", attempts)
			}
			err := t.good(ctx, i, subject, each)
			if err == nil {
				return done
			}
			refused = append(refused, fmt.Errorf("%s: %w", each.Digest, err))
		}
		return nil
	})
	switch {
	case errors.Is(err, done):
		return nil
	case err != nil:
		return errors.Join(append([]error{err}, refused...)...)
	case seen == 0:
		return fmt.Errorf("none refers to %s; sign the image again, which makes one", i.pinned())
	default:
		return errors.Join(refused...)
	}
}

// good refuses what is not a signed bill of the image.
func (t *Trust) good(ctx context.Context, i image, subject, referrer ocispec.Descriptor) error {
	if err := t.signed(ctx, i, referrer); err != nil {
		return err
	}
	text, err := fetch(ctx, i.remote.Manifests(), referrer)
	if err != nil {
		return err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(text, &manifest); err != nil {
		return err
	}
	if manifest.Subject == nil || manifest.Subject.Digest != subject.Digest {
		return errors.New("it refers to another image")
	}
	if len(manifest.Layers) != 1 || manifest.Layers[0].MediaType != bill.MediaType {
		return fmt.Errorf("it does not consist of one file of the type %s", bill.MediaType)
	}
	if text, err = fetch(ctx, i.remote.Blobs(), manifest.Layers[0]); err != nil {
		return err
	}
	return bill.Names(text, i.digest)
}

// fetch returns what a descriptor names, if it is not too large.
func fetch(ctx context.Context, store content.Fetcher, object ocispec.Descriptor) ([]byte, error) {
	if object.Size > bill.MaxBytes {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that are read", object.Digest, object.Size, bill.MaxBytes)
	}
	return content.FetchAll(ctx, store, object)
}
