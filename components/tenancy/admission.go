package tenancy

import (
	"fmt"
	"maps"
	"slices"

	"example.com/journal/components/kube"
	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// admission is a rule in CEL that the API server holds requests against, before they change anything.
// https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
type admission struct {
	// name is what a refusal is signed with.
	name string
	// requests are which requests the rule is about.
	requests admissionv1.NamedRuleWithOperationsArray
	// namespaces limits the rule to namespaces. All by default.
	namespaces metav1.LabelSelectorPtrInput
	// account limits the rule to the requests of one user. All by default.
	account string
	// variables are expressions that the others use, by name. Each may use those that come before it in the alphabet.
	variables map[string]string
	// validations must all hold.
	validations admissionv1.ValidationArray
	// actions are what happens when one does not. The default is to deny.
	actions []string
}

// requestsFor are the requests for resources of one API group.
func requestsFor(group, version string, operations []string, resources ...string) admissionv1.NamedRuleWithOperationsArgs {
	return admissionv1.NamedRuleWithOperationsArgs{
		ApiGroups: pulumi.ToStringArray([]string{group}), ApiVersions: pulumi.ToStringArray([]string{version}),
		Operations: pulumi.ToStringArray(operations), Resources: pulumi.ToStringArray(resources),
	}
}

// validation is an expression that must hold, and an expression for the message when it does not.
func validation(expression, message string) admissionv1.ValidationArgs {
	return admissionv1.ValidationArgs{Expression: pulumi.String(expression), MessageExpression: pulumi.String(message), Reason: pulumi.String("Forbidden")}
}

// newAdmission declares a ValidatingAdmissionPolicy and its binding, and returns the binding, with which the rule holds.
// When an expression fails, the request is refused.
func newAdmission(ctx *pulumi.Context, a admission, parent pulumi.Resource) (pulumi.Resource, error) {
	meta := metav1.ObjectMetaArgs{Name: pulumi.String(a.name), Labels: pulumi.ToStringMap(kube.ManagedLabels())}
	spec := admissionv1.ValidatingAdmissionPolicySpecArgs{
		FailurePolicy:    pulumi.String("Fail"),
		MatchConstraints: admissionv1.MatchResourcesArgs{NamespaceSelector: a.namespaces, ResourceRules: a.requests},
		Validations:      a.validations,
	}
	if a.account != "" {
		spec.MatchConditions = admissionv1.MatchConditionArray{admissionv1.MatchConditionArgs{
			Name: pulumi.String("account"), Expression: pulumi.Sprintf("request.userInfo.username == %q", a.account),
		}}
	}
	var variables admissionv1.VariableArray
	for _, name := range slices.Sorted(maps.Keys(a.variables)) {
		variables = append(variables, admissionv1.VariableArgs{Name: pulumi.String(name), Expression: pulumi.String(a.variables[name])})
	}
	if len(variables) > 0 {
		spec.Variables = variables
	}
	policy, err := admissionv1.NewValidatingAdmissionPolicy(ctx, a.name, &admissionv1.ValidatingAdmissionPolicyArgs{Metadata: meta, Spec: spec}, pulumi.Parent(parent))
	if err != nil {
		return nil, fmt.Errorf("admission policy: %w", err)
	}
	actions := a.actions
	if len(actions) == 0 {
		actions = []string{"Deny"}
	}
	binding, err := admissionv1.NewValidatingAdmissionPolicyBinding(ctx, a.name, &admissionv1.ValidatingAdmissionPolicyBindingArgs{
		Metadata: meta,
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpecArgs{
			PolicyName: policy.Metadata.Name().Elem(), ValidationActions: pulumi.ToStringArray(actions),
		},
	}, pulumi.Parent(parent))
	if err != nil {
		return nil, fmt.Errorf("admission policy binding: %w", err)
	}
	return binding, nil
}
