package tenancy

import (
	"cmp"
	"fmt"

	"example.com/journal/components/kube"
	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// exactImage matches the references that kube.CheckImage accepts of either origin: an exact version, which a build's
// v<semver>-<git sha> is as well, or a digest. It stands in an expression of the cluster, which cannot ask
// kube.CheckImage; a test holds the two together.
const exactImage = `^([a-zA-Z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*` +
	`(:v?[0-9]+[.][0-9]+[.][0-9]+([-._][0-9A-Za-z._-]+)?|(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?@sha256:[a-f0-9]{64})$`

// The actions of the image policy on a reference that can change.
const (
	// Deny refuses it.
	Deny = "deny"
	// Warn lets it pass with a warning, for a cluster that is being cleaned up.
	Warn = "warn"
)

// ImagePolicyArgs are the parameters of the image policy.
type ImagePolicyArgs struct {
	// Action is deny or warn. The default is deny. Either is written to the audit log.
	Action string
}

// ImagePolicy refuses images in the namespaces of tenants whose content can change under the same name, with the rule
// that the configuration's images are held against. What ran before goes on: an update that leaves the images as they
// are is let through.
type ImagePolicy struct {
	pulumi.ResourceState
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *ImagePolicyArgs) withDefaults() ImagePolicyArgs {
	var a ImagePolicyArgs
	if args != nil {
		a = *args
	}
	a.Action = cmp.Or(a.Action, Deny)
	return a
}

// Check returns every rule that the arguments break, or nothing.
func (args *ImagePolicyArgs) Check() kube.Faults {
	var f kube.Faults
	if action := args.withDefaults().Action; action != Deny && action != Warn {
		f.Refuse("action", action, "no action; write %s or %s", Deny, Warn)
	}
	return f
}

// images is the CEL expression for the images of a pod, or of the template of a workload. Below dyn the cluster does not
// check fields, since no kind has them all.
func images(object string) string {
	pod := fmt.Sprintf(`(dyn(%[1]s).kind == "Pod" ? dyn(%[1]s).spec : dyn(%[1]s).kind == "CronJob" ? dyn(%[1]s).spec.jobTemplate.spec.template.spec : dyn(%[1]s).spec.template.spec)`, object)
	list := func(field string) string {
		return fmt.Sprintf(`(has(%[1]s.%[2]s) ? %[1]s.%[2]s.map(c, has(c.image) ? string(c.image) : "") : [])`, pod, field)
	}
	return list("containers") + " + " + list("initContainers") + " + " + list("ephemeralContainers")
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
	write := []string{"CREATE", "UPDATE"}
	if _, err := newAdmission(ctx, admission{
		name: "journal-image-policy",
		requests: admissionv1.NamedRuleWithOperationsArray{
			requestsFor("", "v1", write, "pods", "pods/ephemeralcontainers"),
			requestsFor("apps", "v1", write, "deployments", "statefulsets", "daemonsets", "replicasets"),
			requestsFor("batch", "v1", write, "jobs", "cronjobs"),
		},
		namespaces: tenantNamespaces(),
		variables: map[string]string{
			"accepted": "oldObject == null ? [] : " + images("oldObject"),
			"refused":  fmt.Sprintf("(%s).filter(image, !(image in variables.accepted || image.matches(r'%s')))", images("object"), exactImage),
		},
		validations: admissionv1.ValidationArray{validation(
			`size(variables.refused) == 0`,
			`"image \"" + variables.refused[0] + "\": its content can change under the same name; write an exact version such as registry.example.com/app:1.2.3, an own build such as registry.example.com/app:v1.2.3-0a1b2c3, or a digest such as registry.example.com/app@sha256:..."`,
		)},
		actions: actions,
	}, p); err != nil {
		return nil, fmt.Errorf("image policy %q: %w", name, err)
	}
	return p, ctx.RegisterResourceOutputs(p, pulumi.Map{})
}

// tenantNamespaces selects the namespaces of all tenants, claimed ones among them.
func tenantNamespaces() metav1.LabelSelectorArgs {
	return metav1.LabelSelectorArgs{MatchExpressions: metav1.LabelSelectorRequirementArray{metav1.LabelSelectorRequirementArgs{
		Key: pulumi.String(TenantLabel), Operator: pulumi.String("Exists"),
	}}}
}
