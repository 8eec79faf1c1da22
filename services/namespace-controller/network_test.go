package main

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// inOtherTypes returns a value as its JSON is read.
func inOtherTypes(t *testing.T, value any) (read any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// The stack and the controller are two programs that make the same policies, one in the namespace of a tenant and one in what
// the tenant claims.
func TestAClaimedNamespaceHasTheNetworkPoliciesOfItsTenant(t *testing.T) {
	t.Parallel()
	n, err := parseNetwork(declaredAs[corev1.ConfigMap](t, "ConfigMap", limitsName))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, want := range declaredIn(t, "NetworkPolicy", "team-a") {
		for _, made := range n.policies("team-a") {
			if made.GetName() != want.GetName() {
				continue
			}
			found++
			if got, want := inOtherTypes(t, made.Object["spec"]), inOtherTypes(t, want.Object["spec"]); !reflect.DeepEqual(got, want) {
				t.Errorf("%s is %v, and the tenant's is %v", made.GetName(), got, want)
			}
		}
	}
	if found != 2 {
		t.Errorf("of two policies the tenant has %d", found)
	}
}

func TestWithoutWaysOutThePolicyForThemIsThereAndOpensNothing(t *testing.T) {
	t.Parallel()
	for ways, rules := range map[string]int{"": 0, "internet": 1, "10.20.0.0/16": 1, "10.20.0.0/16 10.30.0.0/16": 1, "internet 10.20.0.0/16": 2} {
		t.Run(strconv.Quote(ways), func(t *testing.T) {
			n := network{Internet: []any{map[string]any{"ipBlock": map[string]any{"cidr": "0.0.0.0/0"}}}, Egress: map[string][]string{"team-a": strings.Fields(ways)}}
			var typed networkingv1.NetworkPolicySpec
			text, err := json.Marshal(n.policies("team-a")[1].Object["spec"])
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &typed); err != nil {
				t.Fatal(err)
			}
			if len(typed.Egress) != rules || len(typed.Ingress) != 0 || len(typed.PolicyTypes) != 1 || typed.PolicyTypes[0] != networkingv1.PolicyTypeEgress {
				t.Errorf("the policy is %s", text)
			}
			for _, rule := range typed.Egress {
				if len(rule.To) == 0 {
					t.Errorf("a rule to nobody is one to everybody: %s", text)
				}
			}
		})
	}
}

func TestNetworksThatAreWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, says string }{
		"none":            {"", "network.json: is not there"},
		"no Internet":     {`{"internet":[],"egress":{"team-a":["internet"]}}`, "network.json internet: it is empty"},
		"something else":  {`{"internet":[{}],"ways":{}}`, `unknown field "ways"`},
		"a text for many": {`{"internet":[{}],"egress":{"team-a":"internet"}}`, "cannot unmarshal string"},
	} {
		t.Run(name, func(t *testing.T) {
			data := map[string]string{"network.json": test.text}
			if test.text == "" {
				data = nil
			}
			if _, err := parseNetwork(configMap(limitsName, data)); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q in it", err, test.says)
			}
		})
	}
}

// declaredIn returns the objects of one kind that the stack dev declares in a namespace.
func declaredIn(t *testing.T, kind, namespace string) (found []*unstructured.Unstructured) {
	t.Helper()
	for _, object := range all(t) {
		if object.GetKind() == kind && object.GetNamespace() == namespace {
			found = append(found, object)
		}
	}
	return found
}
