package tenancy

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"example.com/journal/components/internal/admission"
	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// PullSecretName is the name of the pull secret in the tenants' namespaces. It is fixed: pods keep it for life, and a new
// password must reach them.
const PullSecretName = "journal-pull"

// PullSecretArgs are the credentials of a registry with which the nodes pull images.
type PullSecretArgs struct {
	// Registry is the registry's host, with or without a port and the beginning of a path, such as registry.example.com/team-a.
	Registry string `json:"registry" required:"true" example:"registry.example.com"`
	// Username is the user of the registry.
	Username string `json:"username" required:"true" example:"puller"`
	// Password is the user's password or token. It must be encrypted: pulumi config set --secret --path. Whoever may run pods
	// in a tenant can read it, so it should only let its holder pull.
	Password pulumi.StringInput `json:"password" required:"true" secret:"true"`
}

// Check returns every rule that the arguments break.
func (args *PullSecretArgs) Check() rules.Faults {
	f := rules.CheckTags(args)
	if args.Registry != "" && !registryName.MatchString(args.Registry) {
		value := args.Registry
		if strings.Contains(value, "@") {
			value = hidden
		}
		f.Refuse("registry", value, "no registry; write its host, and the beginning of a path if you like, without scheme, tag or final slash, such as registry.example.com")
	}
	if strings.Contains(args.Username, ":") {
		f.Refuse("username", hidden, "it has a colon, which ends a user's name in HTTP; write the user alone, such as puller")
	}
	return f
}

// dockerHub is the name by which Docker and the kubelet look up the credentials of docker.io.
const dockerHub = "https://index.docker.io/v1/"

// config returns the content of the Secret: https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets
func (args *PullSecretArgs) config() pulumi.StringOutput {
	registry := args.Registry
	if registry == "docker.io" {
		registry = dockerHub
	}
	password := pulumi.ToSecret(args.Password).(pulumi.StringOutput)
	return pulumix.Cast[pulumi.StringOutput](pulumix.ApplyErr(password, func(password string) (string, error) {
		auth := base64.StdEncoding.EncodeToString([]byte(args.Username + ":" + password))
		text, err := json.Marshal(map[string]any{"auths": map[string]any{
			registry: map[string]string{"username": args.Username, "password": password, "auth": auth},
		}})
		return string(text), err
	}))
}

// declarePullSecret declares the Secret. Nothing may depend on it: a new password replaces it, by deleting it first, and the engine
// would delete and create again whatever depends on it. A pod that comes before it waits for its image.
func (t *Tenant) declarePullSecret(ctx *pulumi.Context, name string, args *PullSecretArgs, opts ...pulumi.ResourceOption) error {
	_, err := corev1.NewSecret(ctx, name+"-pull", &corev1.SecretArgs{
		Metadata:   metav1.ObjectMetaArgs{Name: pulumi.String(PullSecretName), Namespace: t.Name, Labels: pulumi.ToStringMap(kube.ManagedLabels("journal"))},
		Type:       pulumi.String("kubernetes.io/dockerconfigjson"),
		StringData: pulumi.StringMap{".dockerconfigjson": args.config()},
	}, opts...)
	return err
}

// PullSecretPolicy is a MutatingAdmissionPolicy that adds the pull secret to the pods of tenants, whatever their ServiceAccount.
// It leaves out claimed namespaces, which have no such Secret. The cluster must have Kubernetes 1.36 or newer.
//
// A tenant's developers write ServiceAccounts and charts bring their own, so the Secret in the account default would miss pods.
type PullSecretPolicy struct {
	pulumi.ResourceState

	// Bindings are the policy's bindings. The policy takes effect once its binding exists.
	Bindings []pulumi.Resource
}

// NewPullSecretPolicy declares the policy. There is one in a cluster.
func NewPullSecretPolicy(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (*PullSecretPolicy, error) {
	p := &PullSecretPolicy{}
	if err := ctx.RegisterComponentResourceV2(pullSecretPolicyType, name, pulumi.Map{}, p, opts...); err != nil {
		return nil, err
	}
	// The patch adds one entry to the list, and leaves those of the pod and of its account.
	binding, err := admission.DeclareMutation(ctx, admission.Mutation{
		Name:     "journal-pull-secret",
		Requests: []map[string]any{admission.Rule("", "v1", []string{"CREATE"}, "pods")},
		Namespaces: []map[string]any{
			admission.LabelCondition(TenantLabel), {"key": ClaimUIDLabel, "operator": "DoesNotExist"},
		},
		Conditions: []admission.Expression{{
			Name: "absent", CEL: fmt.Sprintf(`!object.spec.?imagePullSecrets.orValue([]).exists(s, s.?name.orValue("") == %q)`, PullSecretName),
		}},
		Patch: fmt.Sprintf(`size(object.spec.?imagePullSecrets.orValue([])) > 0`+
			` ? [JSONPatch{op: "add", path: "/spec/imagePullSecrets/-", value: Object.spec.imagePullSecrets{name: %[1]q}}]`+
			` : [JSONPatch{op: "add", path: "/spec/imagePullSecrets", value: [Object.spec.imagePullSecrets{name: %[1]q}]}]`, PullSecretName),
	}, p)
	if err != nil {
		return nil, fmt.Errorf("pull secret policy %q: %w", name, err)
	}
	p.Bindings = []pulumi.Resource{binding}
	return p, ctx.RegisterResourceOutputs(p, pulumi.Map{})
}
