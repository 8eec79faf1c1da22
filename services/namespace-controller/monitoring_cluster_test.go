//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"example.com/journal/services/namespace-controller/api"
)

// The policy for the metric store as the stack declares it to the policy that bounds the controller, in CEL, and to the
// controller, in JSON.
const (
	monitoringPolicy = "allow-monitoring"

	closedBound = `"allow-monitoring": dyn({"podSelector": dyn({}), "policyTypes": dyn([dyn("Ingress")])})`
	openBound   = `"allow-monitoring": dyn({"ingress": dyn([dyn({"from": dyn([dyn({` +
		`"namespaceSelector": dyn({"matchLabels": dyn({"kubernetes.io/metadata.name": dyn("journal-metrics")})}), ` +
		`"podSelector": dyn({"matchLabels": dyn({"app.kubernetes.io/name": dyn("metrics-store")})})})])})]), ` +
		`"podSelector": dyn({}), "policyTypes": dyn([dyn("Ingress")])})`
	closedApplied = `{"podSelector": {}, "policyTypes": ["Ingress"]}`
	openApplied   = `{"ingress": [{"from": [{` +
		`"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "journal-metrics"}}, ` +
		`"podSelector": {"matchLabels": {"app.kubernetes.io/name": "metrics-store"}}}]}], "podSelector": {}, "policyTypes": ["Ingress"]}`
)

// boundBy makes the policy that bounds the controller hold this policy for the metric store to be the stack's.
func boundBy(t *testing.T, literal string) {
	t.Helper()
	bound := &admissionregistrationv1.ValidatingAdmissionPolicy{}
	if err := cluster.Get(context.Background(), client.ObjectKey{Name: "journal-controller-policy-objects"}, bound); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(bound.Spec.Variables, func(v admissionregistrationv1.Variable) bool { return v.Name == "policies" })
	expression := &bound.Spec.Variables[i].Expression
	if !strings.Contains(*expression, closedBound) && !strings.Contains(*expression, openBound) {
		t.Fatalf("the stack declares another policy: %s", *expression)
	}
	*expression = strings.NewReplacer(closedBound, literal, openBound, literal).Replace(*expression)
	if err := cluster.Update(context.Background(), bound); err != nil {
		t.Fatal(err)
	}
}

// applying makes the controller apply this specification in namespaces of the class small.
func applying(t *testing.T, spec string) {
	t.Helper()
	class := &corev1.ConfigMap{}
	if err := cluster.Get(context.Background(), client.ObjectKey{Namespace: platform, Name: classPrefix + "small"}, class); err != nil {
		t.Fatal(err)
	}
	var objects []map[string]any
	if err := json.Unmarshal([]byte(class.Data["objects.json"]), &objects); err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if object["metadata"].(map[string]any)["name"] == monitoringPolicy {
			object["spec"] = json.RawMessage(spec)
		}
	}
	text, _ := json.Marshal(objects)
	class.Data["objects.json"] = string(text)
	if err := cluster.Update(context.Background(), class); err != nil {
		t.Fatal(err)
	}
}

// A stack turns the metric store on and off. It changes the policy that bounds the controller first.
func TestAClaimedNamespaceThatIsThereIsOpenedToTheMetricStoreAndClosedAgain(t *testing.T) {
	startReplica(t)
	newTenant(t, "watched")
	claim := claimFor("watched", "try", "1h")
	apply(t, claim)
	inPhase(t, claim, api.Active)
	was := len(policyOf(t, claim.Status.Namespace, monitoringPolicy).Spec.Ingress) > 0
	set := func(open bool) {
		if open {
			boundBy(t, openBound)
			applying(t, openApplied)
			return
		}
		boundBy(t, closedBound)
		applying(t, closedApplied)
	}
	t.Cleanup(func() { set(was) })
	for _, open := range []bool{true, false, true} {
		set(open)
		eventually(t, "the policy follows", func() bool {
			spec := policyOf(t, claim.Status.Namespace, monitoringPolicy).Spec
			if len(spec.PolicyTypes) != 1 || spec.PolicyTypes[0] != "Ingress" {
				t.Fatalf("the policy is %+v", spec)
			}
			return (len(spec.Ingress) == 1 && len(spec.Ingress[0].From) == 1) == open
		})
	}
}
