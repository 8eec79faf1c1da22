package kube

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	// imageReference is the grammar of an image reference: registry and path, then a tag, a digest or both.
	imageReference = regexp.MustCompile(`^((?:[a-zA-Z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::([A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(sha256:[a-f0-9]{64}))?$`)
	// ownTag is what this project's pipeline gives an image: a semantic version and the commit it was built from.
	ownTag = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.]+)*-[a-f0-9]{7,40}$`)
	// exactTag is a tag that names one release: at least major, minor and patch, with an optional variant.
	exactTag = regexp.MustCompile(`^v?[0-9]+\.[0-9]+\.[0-9]+(?:[-._+][0-9A-Za-z._-]+)?$`)
)

// ImageOrigin says who publishes an image, and with it which tags cannot be moved to another content.
type ImageOrigin int

const (
	// OwnImage is built by this project: its tag is v<semver>-<git sha>.
	OwnImage ImageOrigin = iota
	// ForeignImage is built by somebody else: its tag is an exact version such as 7.4.2.
	ForeignImage
)

// CheckImage refuses an image reference whose content can change under the same name. A digest is always exact.
// The error says which rule the reference breaks and what to write instead.
func CheckImage(reference string, origin ImageOrigin) error {
	if reference == "" {
		return fmt.Errorf("it is missing; write registry/path:tag, such as %s", exampleImage("registry.example.com/team/app", origin))
	}
	parts := imageReference.FindStringSubmatch(reference)
	if parts == nil {
		return fmt.Errorf("not an image reference; write registry/path:tag, such as %s", exampleImage("registry.example.com/team/app", origin))
	}
	name, tag, digest := parts[1], parts[2], parts[3]
	switch {
	case digest != "":
		return nil
	case tag == "":
		return fmt.Errorf("it has no tag, which means latest and changes under the pods; write an exact one, such as %s", exampleImage(name, origin))
	case origin == OwnImage && !ownTag.MatchString(tag):
		return fmt.Errorf("the tag of an own image is v<semver>-<git sha>, so that it names one build; write for example %s", exampleImage(name, origin))
	case origin == ForeignImage && !exactTag.MatchString(tag):
		return fmt.Errorf("the tag %q can be moved to another content; write an exact version or a digest, such as %s", tag, exampleImage(name, origin))
	}
	return nil
}

// exampleImage is the same image with a tag as it should be.
func exampleImage(name string, origin ImageOrigin) string {
	if origin == OwnImage {
		return name + ":v1.2.3-0a1b2c3"
	}
	return name + ":1.2.3"
}

// imageVersion returns the tag of an image as a label value, or nothing if it has none.
func imageVersion(reference string) string {
	parts := imageReference.FindStringSubmatch(reference)
	if parts == nil || len(parts[2]) > 63 {
		return ""
	}
	return strings.TrimRight(parts[2], "-._")
}
