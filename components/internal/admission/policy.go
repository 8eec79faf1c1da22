// Package admission declares ValidatingAdmissionPolicies: rules in CEL that the API server checks before a request changes
// anything. https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
package admission

import (
	"fmt"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// Policy is a ValidatingAdmissionPolicy with its bindings. It refuses a request when one of its expressions fails.
type Policy struct {
	// Name is the name of the policy. The API server writes it into a refusal.
	Name string
	// Requests are the requests that the policy checks.
	Requests admissionv1.NamedRuleWithOperationsArray
	// Namespaces selects the namespaces in which it checks them. The default is all.
	Namespaces metav1.LabelSelectorPtrInput
	// Conditions must hold for a request to be checked.
	Conditions []Expression
	// Params is the kind of object that the expressions read as params. The default is none.
	Params *admissionv1.ParamKindArgs
	// Outputs are variables whose expressions are known later. They come before the others.
	Outputs []Output
	// Variables are expressions that the others use. Each may use those before it.
	Variables []Expression
	// Validations must hold for a request to be accepted.
	Validations admissionv1.ValidationArray
	// Bindings say where the policy holds and what happens when a validation does not. The default is one that denies.
	Bindings []Binding
}

// Expression is an expression in CEL with a name.
type Expression struct{ Name, CEL string }

// Output is an expression in CEL that is an output, with a name.
type Output struct {
	Name string
	CEL  pulumi.StringInput
}

// Binding is a ValidatingAdmissionPolicyBinding.
type Binding struct {
	// Suffix is added to the policy's name to make the binding's.
	Suffix string
	// Namespaces selects the namespaces in which the binding holds. The default is all that the policy selects.
	Namespaces metav1.LabelSelectorPtrInput
	// Params is the name of the object that the expressions read as params, in the namespace of the request. A request in a
	// namespace without such an object is accepted.
	Params string
	// Actions are what happens when a validation does not hold: Deny, Warn, Audit. The default is Deny.
	Actions []string
}

// Declare declares the policy and its bindings and returns the bindings. The policy takes effect once they exist.
func Declare(ctx *pulumi.Context, p Policy, parent pulumi.Resource) ([]pulumi.Resource, error) {
	spec := admissionv1.ValidatingAdmissionPolicySpecArgs{
		FailurePolicy:    pulumi.String("Fail"),
		MatchConstraints: admissionv1.MatchResourcesArgs{NamespaceSelector: p.Namespaces, ResourceRules: p.Requests},
		Validations:      p.Validations,
	}
	if p.Params != nil {
		spec.ParamKind = p.Params
	}
	if len(p.Conditions) > 0 {
		var conditions admissionv1.MatchConditionArray
		for _, c := range p.Conditions {
			conditions = append(conditions, admissionv1.MatchConditionArgs{Name: pulumi.String(c.Name), Expression: pulumi.String(c.CEL)})
		}
		spec.MatchConditions = conditions
	}
	var variables admissionv1.VariableArray
	for _, v := range p.Outputs {
		variables = append(variables, admissionv1.VariableArgs{Name: pulumi.String(v.Name), Expression: v.CEL})
	}
	for _, v := range p.Variables {
		variables = append(variables, admissionv1.VariableArgs{Name: pulumi.String(v.Name), Expression: pulumi.String(v.CEL)})
	}
	if len(variables) > 0 {
		spec.Variables = variables
	}
	policy, err := admissionv1.NewValidatingAdmissionPolicy(ctx, p.Name, &admissionv1.ValidatingAdmissionPolicyArgs{
		Metadata: metadata(p.Name), Spec: spec,
	}, pulumi.Parent(parent))
	if err != nil {
		return nil, fmt.Errorf("admission policy %s: %w", p.Name, err)
	}
	bindings := p.Bindings
	if len(bindings) == 0 {
		bindings = []Binding{{}}
	}
	var declared []pulumi.Resource
	for _, b := range bindings {
		binding, err := b.declare(ctx, policy, p.Name+b.Suffix, parent)
		if err != nil {
			return nil, fmt.Errorf("admission policy binding %s: %w", p.Name+b.Suffix, err)
		}
		declared = append(declared, binding)
	}
	return declared, nil
}

func (b Binding) declare(ctx *pulumi.Context, policy *admissionv1.ValidatingAdmissionPolicy, name string, parent pulumi.Resource) (pulumi.Resource, error) {
	actions := b.Actions
	if len(actions) == 0 {
		actions = []string{"Deny"}
	}
	spec := admissionv1.ValidatingAdmissionPolicyBindingSpecArgs{
		PolicyName: policy.Metadata.Name().Elem(), ValidationActions: pulumi.ToStringArray(actions),
	}
	if b.Namespaces != nil {
		spec.MatchResources = admissionv1.MatchResourcesArgs{NamespaceSelector: b.Namespaces}
	}
	if b.Params != "" {
		spec.ParamRef = admissionv1.ParamRefArgs{Name: pulumi.String(b.Params), ParameterNotFoundAction: pulumi.String("Allow")}
	}
	return admissionv1.NewValidatingAdmissionPolicyBinding(ctx, name, &admissionv1.ValidatingAdmissionPolicyBindingArgs{
		Metadata: metadata(name), Spec: spec,
	}, pulumi.Parent(parent))
}

func metadata(name string) metav1.ObjectMetaArgs {
	return metav1.ObjectMetaArgs{Name: pulumi.String(name), Labels: pulumi.ToStringMap(kube.ManagedLabels("journal"))}
}
