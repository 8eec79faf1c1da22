package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"gopkg.in/yaml.v3"
)

// verifyKey is the key of a stack's file that says how its images are verified. The stack's program does not read it.
const verifyKey = "deploy:images"

// What apply asks of every image before it changes anything.
const (
	// verifySignatures asks the registry for the digest, and for a signature and a bill that the folder trust accepts.
	verifySignatures = "signatures"
	// verifyDigests asks that each image is named with its digest, and asks no registry.
	verifyDigests = "digests"
	// verifyNone asks nothing.
	verifyNone = "none"
)

// verification is the value of deploy:images.
type verification struct {
	// Verify is signatures, digests or none. By default it is signatures.
	Verify string `json:"verify" yaml:"verify"`
	// Reason says why it is not signatures, and must be there then. Each plan shows it.
	Reason string `json:"reason,omitempty" yaml:"reason"`
}

// readVerification reads the keys of a configuration that are for this program.
func readVerification(config map[string]yaml.Node) (verification, error) {
	v := verification{Verify: verifySignatures}
	for key := range config {
		if strings.HasPrefix(key, "deploy:") && key != verifyKey {
			return v, fmt.Errorf("%s: unknown; write %s", key, verifyKey)
		}
	}
	if node, there := config[verifyKey]; there {
		text, err := yaml.Marshal(&node)
		if err != nil {
			return v, err
		}
		strict := yaml.NewDecoder(bytes.NewReader(text))
		strict.KnownFields(true)
		if err := strict.Decode(&v); err != nil {
			return v, fmt.Errorf("%s: %w; write for example %s: {verify: digests, reason: they are signed elsewhere}", verifyKey, err, verifyKey)
		}
	}
	switch {
	case !slices.Contains([]string{verifySignatures, verifyDigests, verifyNone}, v.Verify):
		return v, fmt.Errorf("%s.verify %q: must be one of %s, %s, %s", verifyKey, v.Verify, verifySignatures, verifyDigests, verifyNone)
	case v.Verify != verifySignatures && v.Reason == "":
		return v, fmt.Errorf("%s.reason: is missing; write why %s is enough for this stack, or remove %s", verifyKey, v.Verify, verifyKey)
	case v.Verify == verifySignatures && v.Reason != "":
		return v, fmt.Errorf("%s.reason %q: signatures need no reason; remove it", verifyKey, v.Reason)
	}
	return v, nil
}

// verifier verifies images.
type verifier struct {
	// program is the command supply, which asks the registries.
	program string
	// trust is the folder that says whose signatures count.
	trust string
}

// pinned matches a reference that names one content.
var pinned = regexp.MustCompile(`@sha256:[0-9a-f]{64}$`)

// verifyPlan verifies the images of a plan, and returns them.
func (v verifier) verifyPlan(ctx context.Context, f facts, steps []byte) (map[string]string, error) {
	images, err := imagesOf(f.Images, steps)
	if err != nil {
		return nil, err
	}
	return images, v.verify(ctx, f.Verify, images)
}

// verify refuses images that are not as a stack asks, each by its place. It changes nothing.
func (v verifier) verify(ctx context.Context, how verification, images map[string]string) error {
	switch {
	case how.Verify == verifyNone || len(images) == 0:
		return nil
	case how.Verify == verifyDigests:
		var errs []error
		for _, place := range slices.Sorted(maps.Keys(images)) {
			if image := images[place]; !pinned.MatchString(image) {
				errs = append(errs, fmt.Errorf("%s %q: no digest, so its content can change; write it with one, as `make pin` does", place, image))
			}
		}
		return errors.Join(errs...)
	}
	args := []string{"verify", "--trust", v.trust, "--"}
	for _, place := range slices.Sorted(maps.Keys(images)) {
		args = append(args, place+"="+images[place])
	}
	var stderr bytes.Buffer
	command := exec.CommandContext(ctx, v.program, args...)
	command.Stderr = &stderr
	err := command.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %w", context.Cause(ctx))
	case errors.As(err, &exit) && stderr.Len() > 0:
		return errors.New(strings.TrimPrefix(strings.TrimSpace(stderr.String()), "error: "))
	}
	return fmt.Errorf("the program that verifies images: %w; build it with `go build -C supply -o ../bin/supply .`", err)
}

// notVerified begins the line about a stack that asks for less than signatures. Its reason follows.
const notVerified = "the signatures and bills of images are not verified: "

// said is the line that a person reads about what was verified.
func (how verification) said(w io.Writer, images map[string]string) error {
	text := notVerified + how.Reason
	if how.Verify == verifySignatures {
		text = fmt.Sprintf("verified %d images, as the folder trust asks", len(images))
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// imagesIn adds the images in a value by their paths: the texts below keys such as image and alertmanagerImage.
func imagesIn(path string, value *yaml.Node, images map[string]*yaml.Node) {
	switch value.Kind {
	case yaml.AliasNode:
		imagesIn(path, value.Alias, images)
	case yaml.ScalarNode:
		if strings.HasSuffix(strings.ToLower(path), "image") && value.ShortTag() == "!!str" && value.Value != "" {
			images[path] = value
		}
	case yaml.SequenceNode:
		for i, inner := range value.Content {
			imagesIn(fmt.Sprintf("%s[%d]", path, i), inner, images)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(value.Content); i += 2 {
			imagesIn(path+"."+value.Content[i].Value, value.Content[i+1], images)
		}
	}
}

// unknown stands in a plan for a value that exists only when the update is made. The engine lets any value take its place.
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

// imagesOf returns the images that a stack's file names, by their paths, and those that only the engine's plan has, by the objects
// whose pods run them. The engine refuses an object that is not as planned, so no pod gets another image.
func imagesOf(named map[string]string, steps []byte) (map[string]string, error) {
	var planned apitype.DeploymentPlanV1
	if err := json.Unmarshal(steps, &planned); err != nil {
		return nil, fmt.Errorf("%s: %w; plan again", stepsName, err)
	}
	all := maps.Clone(named)
	if all == nil {
		all = map[string]string{}
	}
	known := map[string]bool{}
	for _, image := range named {
		known[image] = true
	}
	for _, urn := range slices.Sorted(maps.Keys(planned.ResourcePlans)) {
		r := planned.ResourcePlans[urn]
		if r.Goal == nil {
			continue
		}
		found := podImages{pods: hasPods.MatchString(string(r.Goal.Type)), hidden: r.Goal.Type == releaseType}
		found.object(r.Goal.InputDiff.Adds)
		found.object(r.Goal.InputDiff.Updates)
		if found.hidden {
			return nil, fmt.Errorf("%s: its images are secret, or known only during the update, and cannot be verified; "+
				"write references that a plan can show", nameOf(string(urn)))
		}
		i := 0
		for _, image := range found.images {
			if known[image] {
				continue
			}
			known[image] = true
			i++
			all[fmt.Sprintf("%s, image %d", nameOf(string(urn)), i)] = image
		}
	}
	return all, nil
}

// releaseType is a chart whose objects the plugin makes of templates, during the update.
const releaseType = "kubernetes:helm.sh/v3:Release"

// hasPods matches the types of objects whose specification may be that of pods.
var hasPods = regexp.MustCompile(`^kubernetes:(apps|batch|core|extensions)/`)

// podImages are the images in an object of the engine's plan.
type podImages struct {
	// pods says whether a specification that cannot be read may be that of pods.
	pods   bool
	images []string
	// hidden says whether there may be images that cannot be read.
	hidden bool
}

// object looks at the fields of an object, at any depth: custom resources have pods in other places than Kubernetes' own.
func (p *podImages) object(fields map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		switch value := fields[key]; key {
		case "containers", "initContainers", "ephemeralContainers":
			p.list(value, func(container map[string]any) { p.image(container["image"]) })
		case "volumes":
			p.list(value, func(volume map[string]any) {
				if source, is := volume["image"].(map[string]any); is {
					p.image(source["reference"])
				}
			})
		case "spec", "template", "jobTemplate":
			p.hidden = p.hidden || p.pods && unread(value)
			p.value(value)
		default:
			p.value(value)
		}
	}
}

// value looks at the objects in a value.
func (p *podImages) value(value any) {
	switch value := value.(type) {
	case map[string]any:
		p.object(value)
	case []any:
		for _, inner := range value {
			p.value(inner)
		}
	}
}

// list looks at the elements of a list of containers or volumes.
func (p *podImages) list(value any, each func(map[string]any)) {
	p.hidden = p.hidden || unread(value)
	elements, _ := value.([]any)
	for _, element := range elements {
		p.hidden = p.hidden || unread(element)
		if fields, is := element.(map[string]any); is && !isSecret(fields) {
			each(fields)
		}
	}
}

// image takes the image of a container. Without one, a container belongs to a patch, or to an object that Kubernetes refuses.
func (p *podImages) image(value any) {
	p.hidden = p.hidden || unread(value)
	if image, is := value.(string); is && image != "" && image != unknown {
		p.images = append(p.images, image)
	}
}

// unread says whether a value of the engine's plan is secret, or exists only during the update.
func unread(value any) bool {
	if text, is := value.(string); is {
		return text == unknown
	}
	fields, is := value.(map[string]any)
	return is && isSecret(fields)
}
