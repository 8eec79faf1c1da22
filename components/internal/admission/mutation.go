package admission

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/internal/declare"
	"example.com/journal/components/kube"
)

// Mutation is a MutatingAdmissionPolicy with one binding: it changes an object before the API server checks it. Kubernetes has
// the kind since 1.36: https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
type Mutation struct {
	// Name is the name of the policy and of its binding.
	Name string
	// Requests are the requests whose objects the policy changes. See Rule.
	Requests []map[string]any
	// Namespaces are the conditions on the labels of the namespaces in which it changes them. See LabelCondition.
	Namespaces []map[string]any
	// Conditions must hold for an object to be changed.
	Conditions []Expression
	// Variables are expressions that the others use. Each may use those before it.
	Variables []Expression
	// Patch is the expression for the list of changes, each of the type JSONPatch. Applied twice, it must change nothing the
	// second time.
	Patch string
}

// Rule is the plain form of Requests.
func Rule(group, version string, operations []string, resources ...string) map[string]any {
	return map[string]any{"apiGroups": []string{group}, "apiVersions": []string{version}, "operations": operations, "resources": resources}
}

// LabelCondition is the condition that a label exists, or that it has one of these values.
func LabelCondition(key string, values ...string) map[string]any {
	if len(values) == 0 {
		return map[string]any{"key": key, "operator": "Exists"}
	}
	return map[string]any{"key": key, "operator": "In", "values": values}
}

// DeclareMutation declares the policy and its binding and returns the binding. The policy takes effect once it exists. A request
// is refused when an expression fails. Another mutation that runs later, such as one that adds a container, makes the policy run
// again.
func DeclareMutation(ctx *pulumi.Context, m Mutation, parent pulumi.Resource) (pulumi.Resource, error) {
	spec := map[string]any{
		"failurePolicy":      "Fail",
		"reinvocationPolicy": "IfNeeded",
		"matchConstraints":   map[string]any{"namespaceSelector": map[string]any{"matchExpressions": m.Namespaces}, "resourceRules": m.Requests},
		"matchConditions":    named(m.Conditions),
		"variables":          named(m.Variables),
		"mutations":          []any{map[string]any{"patchType": "JSONPatch", "jsonPatch": map[string]any{"expression": m.Patch}}},
	}
	for field, value := range spec {
		if list, ok := value.([]any); ok && len(list) == 0 {
			delete(spec, field)
		}
	}
	const apiVersion = "admissionregistration.k8s.io/v1" // the SDK has no types for this version of the two kinds
	policy, err := kube.Declare(ctx, m.Name, declare.Object(apiVersion, "MutatingAdmissionPolicy", m.Name, spec), nil, pulumi.Parent(parent))
	if err != nil {
		return nil, fmt.Errorf("admission policy %s: %w", m.Name, err)
	}
	bound := declare.Object(apiVersion, "MutatingAdmissionPolicyBinding", m.Name, map[string]any{"policyName": m.Name})
	binding, err := kube.Declare(ctx, m.Name, bound, nil, pulumi.Parent(parent), pulumi.DependsOn([]pulumi.Resource{policy}))
	if err != nil {
		return nil, fmt.Errorf("admission policy binding %s: %w", m.Name, err)
	}
	return binding, nil
}

func named(expressions []Expression) []any {
	var list []any
	for _, e := range expressions {
		list = append(list, map[string]any{"name": e.Name, "expression": e.CEL})
	}
	return list
}
