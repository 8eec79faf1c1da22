package rules

import (
	"fmt"
	"regexp"
	"strings"
)

// ImageName is the regular expression of an image's registry and path.
const ImageName = `(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:[.][a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?/)?` +
	`[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*)*`

var (
	// imageReference is the grammar of an image reference: registry and path, then a tag, a digest or both. Parts of a path are
	// joined by one slash, and begin and end with a letter or a digit: https://github.com/distribution/reference
	imageReference = regexp.MustCompile(`^(` + ImageName + `)(?::([A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(sha256:[a-f0-9]{64}))?$`)
	imageDigest    = regexp.MustCompile(`^sha256:[a-f0-9]{64}$`)
	// ownTag is what this project's pipeline gives an image: a semantic version and the commit it was built from.
	ownTag = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.]+)*-[a-f0-9]{7,40}$`)
	// exactTag is a tag that names one release: at least major, minor and patch, with an optional variant.
	exactTag = regexp.MustCompile(`^v?[0-9]+\.[0-9]+\.[0-9]+(?:[-._+][0-9A-Za-z._-]+)?$`)
)

// ImageOrigin says who publishes an image, and thus which tags cannot move to other content.
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
		return fmt.Errorf("not an image reference%s; write registry/path:tag, such as %s", whyNoImage(reference), exampleImage("registry.example.com/team/app", origin))
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

// whyNoImage names the usual mistake that keeps a text from being an image reference, if it has one.
func whyNoImage(reference string) string {
	name, digest, hasDigest := strings.Cut(reference, "@")
	path, tag := name, ""
	if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
		path, tag = name[:colon], name[colon+1:]
	}
	if _, below, found := strings.Cut(path, "/"); found {
		path = below
	}
	switch {
	case strings.Contains(reference, "://"):
		return ": it has a scheme"
	case strings.ContainsAny(reference, " \t\n"):
		return ": it has a space"
	case path != strings.ToLower(path):
		return ": it has upper case in the path"
	case hasDigest && !imageDigest.MatchString(digest):
		return ": a digest is sha256: and 64 hexadecimal digits"
	case strings.Contains(tag, "+"):
		return ": a tag has no +"
	case len(tag) > 128:
		return ": a tag has at most 128 characters"
	}
	return ""
}

// exampleImage returns the same image with a valid tag.
func exampleImage(name string, origin ImageOrigin) string {
	if origin == OwnImage {
		return name + ":v1.2.3-0a1b2c3"
	}
	return name + ":1.2.3"
}

// ImageVersion returns the tag of an image as a label value, or nothing if it has none.
func ImageVersion(reference string) string {
	parts := imageReference.FindStringSubmatch(reference)
	if parts == nil || len(parts[2]) > 63 {
		return ""
	}
	return strings.TrimRight(parts[2], "-._")
}
