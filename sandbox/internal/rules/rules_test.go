// Package rules_test compares the rules by which the components check a stack with the libraries of Kubernetes itself. The tests
// are in this module, since the program's own module imports none of these libraries.
package rules_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"example.com/journal/components/rules"
)

func FuzzNamesAsKubernetesTakesThem(f *testing.F) {
	for _, seed := range []string{
		"", "journal", "team-a", "0", "a.b", "A", "a_b", "-a", "a-", "a--b", "a.", ".a", "a..b", "a\n", "\na", "ä", " a", "10.0.0.1", "3com.example.com",
		strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a.", 126) + "a", strings.Repeat("a.", 127) + "a", strings.Repeat("a", 64) + ".b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if ours, theirs := rules.CheckName(text), validation.IsDNS1123Label(text); (ours == nil) != (len(theirs) == 0) {
			t.Errorf("name of a Namespace %q: we say %v, Kubernetes says %v", text, ours, theirs)
		}
		ours, theirs := rules.CheckObjectName(text), validation.IsDNS1123Subdomain(text)
		if ours == nil && len(theirs) > 0 {
			t.Errorf("name of an object %q: we accept it, Kubernetes says %v", text, theirs)
		}
		long := false // Kubernetes takes a long label in a name, which DNS does not
		for label := range strings.SplitSeq(text, ".") {
			long = long || len(label) > 63
		}
		if ours != nil && len(theirs) == 0 && !long {
			t.Errorf("name of an object %q: Kubernetes accepts it, we say %v", text, ours)
		}
		if rules.CheckHost(text) == nil && len(theirs) > 0 {
			t.Errorf("host %q: we accept it, Kubernetes says %v", text, theirs)
		}
	})
}

func FuzzQuantitiesAsKubernetesReadsThem(f *testing.F) {
	for _, seed := range []string{
		"", "0", "1", "100m", "1.5", "0.001", "0.0001", "128Mi", "1Gi", "1G", "1k", "1K", "1Ki", "8Ei", "10 GB", "1e3", "1E3", "-1", "+1", "1.", ".5", "1n",
		"01", "9223372036854775807", "9223372036854775808", "1\n", "１",
	} {
		f.Add(seed)
	}
	most, least := new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), 63)), big.NewRat(1, 1_000_000_000)
	f.Fuzz(func(t *testing.T, text string) {
		ours, err := rules.ParseQuantity(text)
		theirs, theirErr := resource.ParseQuantity(text)
		switch {
		case err == nil && theirErr != nil:
			t.Errorf("%q: we read %v, Kubernetes says %v", text, ours, theirErr)
		case err != nil && theirErr == nil && theirs.Sign() > 0 && !strings.ContainsAny(text, "eE+nu") && !strings.HasPrefix(text, ".") &&
			!strings.Contains(text, ".m") && strings.Trim(text, "0123456789mkMGTPEi.") == "" && !loneDot(text):
			t.Errorf("%q: Kubernetes reads %v, we say %v", text, theirs.String(), err)
		case err == nil && ours.Cmp(most) < 0 && isMultiple(ours, least): // beyond that Kubernetes cuts and rounds
			if value, ok := new(big.Rat).SetString(theirs.AsDec().String()); !ok || value.Cmp(ours) != 0 {
				t.Errorf("%q: we read %s, Kubernetes %s", text, ours.RatString(), theirs.AsDec())
			}
		}
	})
}

// loneDot says whether no digit follows the point, which Kubernetes takes.
func loneDot(text string) bool {
	_, after, found := strings.Cut(text, ".")
	return found && (after == "" || after[0] < '0' || after[0] > '9')
}

func isMultiple(value, unit *big.Rat) bool { return new(big.Rat).Quo(value, unit).IsInt() }

func FuzzImagesAsRegistriesTakeThem(f *testing.F) {
	digest := "@sha256:" + strings.Repeat("0a", 32)
	for _, seed := range []string{
		"redis:7.4.2", "docker.io/library/redis:7.4.2-bookworm", "registry.example.com:5000/app:v0.1.0-0a1b2c3", "redis" + digest, "app:latest" + digest,
		"a/b/c_d/e__f:1.2.3", "A.example.com/b:1.2.3", "Redis:7.4.2", "a//b:1.2.3", "a/:1.2.3", "localhost/a:1.2.3", "x.1:1.2.3", "1.2.3.4:5/a:1.2.3",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, reference string) {
		for _, origin := range []rules.ImageOrigin{rules.OwnImage, rules.ForeignImage} {
			if rules.CheckImage(reference, origin) != nil {
				continue
			}
			// Container runtimes take a first part in upper case for a host; this client wants a dot, a port or localhost.
			if first, _, found := strings.Cut(reference, "/"); found && !strings.ContainsAny(first, ".:") && first != strings.ToLower(first) {
				continue
			}
			if _, err := name.ParseReference(reference); err != nil {
				t.Errorf("%q: we accept it, and a client of registries says %v", reference, err)
			}
		}
	})
}
