package tenancy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/internal/admission"
	"example.com/journal/components/rules"
)

// The image references that rules.CheckImage accepts: an exact version, which includes a build's v<semver>-<git sha>, or a
// digest. CEL expressions cannot call rules.CheckImage, so the rule is written twice; a test checks that both agree.
const (
	imageDigest = `(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?@sha256:[a-f0-9]{64}`
	exactImage  = `^` + rules.ImageName + `(:v?[0-9]+[.][0-9]+[.][0-9]+([-._][0-9A-Za-z._-]+)?|` + imageDigest + `)$`
	digestImage = `^` + rules.ImageName + imageDigest + `$`
	// ownRegistry matches references that begin with a registry. All others are of docker.io.
	ownRegistry = `^([^/]*[.:][^/]*|localhost)/`
)

// The actions of the image policy on a reference whose content can change.
const (
	// Deny refuses it.
	Deny = "deny"
	// Warn lets it pass with a warning, for a cluster that is being cleaned up.
	Warn = "warn"
)

// ImagePolicyArgs are the parameters of the image policy.
type ImagePolicyArgs struct {
	// Action is what happens to an image that the policy refuses: deny, or warn for a cluster that is being cleaned up. Both
	// are written to the audit log.
	Action string `json:"action" default:"deny" enum:"deny,warn"`
	// Registries are where images may come from: a registry, or the beginning of a path in one, such as
	// registry.example.com/team-a. An image without a registry is of docker.io, and one without a path of docker.io/library.
	// By default images may come from everywhere.
	Registries []string `json:"registries"`
	// DigestsOnly also refuses versions, because some registries let a version be pushed again. Off by default.
	DigestsOnly bool `json:"digestsOnly"`
}

// ImagePolicy refuses images in the namespaces of tenants whose content can change under the same name, and images of
// registries that are not allowed. The configuration's own images follow the same rule, and so do images that pods mount as
// volumes. An update that leaves the images as they are is accepted.
type ImagePolicy struct {
	pulumi.ResourceState
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *ImagePolicyArgs) withDefaults() ImagePolicyArgs {
	var a ImagePolicyArgs
	if args != nil {
		a = *args
	}
	rules.SetDefaults(&a)
	return a
}

// Check returns every rule that the arguments break, or nothing.
func (args *ImagePolicyArgs) Check() rules.Faults {
	a := args.withDefaults()
	f := rules.CheckTags(&a)
	for i, registry := range a.Registries {
		if !registryName.MatchString(registry) {
			f.Refuse(fmt.Sprintf("registries[%d]", i), registry, "no registry; write its host, and the beginning of a path if you like, without scheme, tag or final slash, such as registry.example.com/team-a")
		}
	}
	return f
}

// registryName matches a registry, with or without a path.
var registryName = regexp.MustCompile(`^([a-zA-Z0-9-]+([.][a-zA-Z0-9-]+)+(:[0-9]+)?|[a-zA-Z0-9-]+:[0-9]+|localhost)(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)

// CheckImage refuses an image that the policy would refuse, so that a stack does not declare what its own cluster refuses. It
// leaves to rules.CheckImage whether the content can change. The path is that of the arguments in the configuration.
func (args *ImagePolicyArgs) CheckImage(path, reference string) error {
	a := args.withDefaults()
	if a.Action != Deny {
		return nil
	}
	if a.DigestsOnly && !strings.Contains(reference, "@sha256:") {
		return fmt.Errorf("%s.digestsOnly refuses it; write a digest such as registry.example.com/app@sha256:…", path)
	}
	whole := reference
	if !regexp.MustCompile(ownRegistry).MatchString(reference) {
		if !strings.Contains(reference, "/") {
			whole = "library/" + whole
		}
		whole = "docker.io/" + whole
	}
	from := func(registry string) bool { return strings.HasPrefix(whole, registry+"/") }
	if len(a.Registries) > 0 && !slices.ContainsFunc(a.Registries, from) {
		return fmt.Errorf("%s.registries refuses it; write an image of %s, or add its registry", path, strings.Join(a.Registries, ", "))
	}
	return nil
}

// images is the CEL expression for the images of a pod, by its specification: those of its containers and of its volumes.
func images(pod string) string {
	list := func(field string) string {
		return fmt.Sprintf(`%s.?%s.orValue([]).map(c, c.?image.orValue(""))`, pod, field)
	}
	volumes := pod + `.?volumes.orValue([]).filter(v, has(v.image)).map(v, v.image.?reference.orValue(""))`
	return list("containers") + " + " + list("initContainers") + " + " + list("ephemeralContainers") + " + " + volumes
}

// NewImagePolicy declares the image policy. There is one in a cluster.
func NewImagePolicy(ctx *pulumi.Context, name string, args *ImagePolicyArgs, opts ...pulumi.ResourceOption) (*ImagePolicy, error) {
	if err := args.Check().Err(); err != nil {
		return nil, fmt.Errorf("image policy %q: %w", name, err)
	}
	a := args.withDefaults()
	p := &ImagePolicy{}
	if err := ctx.RegisterComponentResourceV2(imagePolicyType, name, pulumi.Map{"action": pulumi.String(a.Action)}, p, opts...); err != nil {
		return nil, err
	}
	actions := []string{"Deny", "Audit"}
	if a.Action == Warn {
		actions = []string{"Warn", "Audit"}
	}
	policy, err := imagePolicy(a)
	if err != nil {
		return nil, fmt.Errorf("image policy %q: %w", name, err)
	}
	policy.Bindings = []admission.Binding{{Actions: actions}}
	if _, err := admission.Declare(ctx, policy, p); err != nil {
		return nil, fmt.Errorf("image policy %q: %w", name, err)
	}
	return p, ctx.RegisterResourceOutputs(p, pulumi.Map{})
}

// imagePolicy returns the policy in the form that the cluster takes.
func imagePolicy(a ImagePolicyArgs) (admission.Policy, error) {
	exact, fix := exactImage, "an exact version such as registry.example.com/app:1.2.3, an own build such as registry.example.com/app:v1.2.3-0a1b2c3, or a digest such as registry.example.com/app@sha256:..."
	if a.DigestsOnly {
		exact, fix = digestImage, "a digest such as registry.example.com/app@sha256:..."
	}
	policy := admission.Policy{
		Name:       "journal-image-policy",
		Requests:   podRequests("pods/ephemeralcontainers"),
		Namespaces: tenantNamespaces(),
		Variables: []admission.Expression{
			{Name: "after", CEL: podSpec("object")},
			{Name: "before", CEL: "oldObject == null ? dyn({}) : " + podSpec("oldObject")},
			{Name: "created", CEL: fmt.Sprintf("(%s).filter(image, !(image in (%s)))", images("variables.after"), images("variables.before"))},
			{Name: "movable", CEL: fmt.Sprintf("variables.created.filter(image, !image.matches(r'%s'))", exact)},
		},
		Validations: admissionv1.ValidationArray{admission.Validation(`size(variables.movable) == 0`,
			fmt.Sprintf(`"image \"" + variables.movable[0] + "\": its content can change under the same name; write %s"`, fix))},
	}
	if len(a.Registries) > 0 {
		registries, err := json.Marshal(a.Registries)
		if err != nil {
			return admission.Policy{}, err
		}
		whole := fmt.Sprintf(`(image.matches(r'%s') ? image : image.contains("/") ? "docker.io/" + image : "docker.io/library/" + image)`, ownRegistry)
		policy.Variables = append(policy.Variables, admission.Expression{Name: "registries", CEL: string(registries)}, admission.Expression{Name: "unlisted", CEL: fmt.Sprintf(`variables.created.filter(image, !variables.registries.exists(r, %s.startsWith(r + "/")))`, whole)})
		policy.Validations = append(policy.Validations, admission.Validation(`size(variables.unlisted) == 0`,
			`"image \"" + variables.unlisted[0] + "\": not of a registry that tenants may use; write an image of " + variables.registries.join(", ")`))
	}
	return policy, nil
}
