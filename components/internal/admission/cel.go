package admission

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

var (
	// CreateUpdate are the operations that set an object's content.
	CreateUpdate = []string{"CREATE", "UPDATE"}
	// CreateUpdateDelete are these operations and the one that deletes the object.
	CreateUpdateDelete = []string{"CREATE", "UPDATE", "DELETE"}
)

// Requests are the requests for resources of one API group.
func Requests(group, version string, operations []string, resources ...string) admissionv1.NamedRuleWithOperationsArgs {
	return admissionv1.NamedRuleWithOperationsArgs{
		ApiGroups: pulumi.ToStringArray([]string{group}), ApiVersions: pulumi.ToStringArray([]string{version}),
		Operations: pulumi.ToStringArray(operations), Resources: pulumi.ToStringArray(resources),
	}
}

// Validation is an expression that must hold, and an expression for the message when it does not.
func Validation(expression, message string) admissionv1.ValidationArgs {
	return admissionv1.ValidationArgs{Expression: pulumi.String(expression), MessageExpression: pulumi.String(message), Reason: pulumi.String("Forbidden")}
}

// By is the condition that limits a policy to the requests of one user.
func By(user string) Expression {
	return Expression{"account", fmt.Sprintf("request.userInfo.username == %q", user)}
}

// Unless is the condition that skips every update for which an expression holds: an update that does not change what the
// policy is about. Objects that are older than the policy can then still be scaled, labelled, finished and deleted.
func Unless(unchanged string) Expression {
	return Expression{"changed", fmt.Sprintf(`request.operation != "UPDATE" || !(%s)`, unchanged)}
}

// Metadata is the CEL expression for a label or an annotation, or the empty text.
func Metadata(object, field, key string) string {
	return fmt.Sprintf(`%s.metadata.?%s[?%q].orValue("")`, object, field, key)
}

// Literal returns a value as an expression in CEL. The value must be encodable as JSON.
func Literal(value any) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // 53 is a whole number in CEL and 53.0 is none
	var plain any
	if err := decoder.Decode(&plain); err != nil {
		return "", err
	}
	return celOf(plain), nil
}

// celOf returns a value that was decoded from JSON as CEL. It makes elements of lists and values of maps dynamic, since the
// API server compiles only literals whose elements are of one type.
func celOf(plain any) string {
	switch v := plain.(type) {
	case string:
		return strconv.Quote(v)
	case []any:
		elements := make([]string, len(v))
		for i, element := range v {
			elements[i] = "dyn(" + celOf(element) + ")"
		}
		return "[" + strings.Join(elements, ", ") + "]"
	case map[string]any:
		entries := make([]string, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			entries = append(entries, strconv.Quote(key)+": dyn("+celOf(v[key])+")")
		}
		return "{" + strings.Join(entries, ", ") + "}"
	}
	return fmt.Sprint(plain) // a number, true, false or null
}
