//go:build e2e

package e2e

import "strings"

// policyOf is a NetworkPolicy of team-a.
func policyOf(name, spec string) string {
	return manifestOf("networking.k8s.io/v1", "NetworkPolicy", name, "spec: {podSelector: {matchLabels: {app: web}}, "+spec+"}")
}

// networkRows are the requests about NetworkPolicies.
func networkRows() []row {
	const (
		from      = "from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: bob}}}], ports: [{port: 8080}]"
		inward    = "policyTypes: [Ingress], ingress: [{" + from + "}]"
		stacks    = "the stack's own, by its name or its labels"
		outward   = "owners open their pods to others, and ways out are the configuration's"
		everybody = "a rule without from is for everybody"
		managed   = "labels: {app.kubernetes.io/managed-by: pulumi, app.kubernetes.io/part-of: journal}"
	)
	open := `{"spec":{"ingress":[{}]}}`
	labelled := `{"metadata":{"labels":{"a":"b"}}}`
	return []row{
		{ownerAlice, "create", policyOf("e2e-row", inward), "", ""},
		{ownerAlice, "create", policyOf("e2e-row", "ingress: [{"+from+"}]"), "", ""},
		{ownerAlice, "create", policyOf("e2e-row", "ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]"), "", ""},
		{journalsCarol, "create", strings.ReplaceAll(policyOf("e2e-row", inward), "namespace: team-a", "namespace: journal"), "", ""},
		{admin, "create", policyOf("e2e-row", "policyTypes: [Egress], egress: [{}]"), "", ""},
		{admin, "patch", "NetworkPolicy/default-deny", labelled, ""},
		{admin, "delete", "NetworkPolicy/allow-egress", `{}`, ""},
		{cleaner, "deletecollection", "NetworkPolicy/default-deny", `{}`, ""},
		{collector, "delete", "NetworkPolicy/default-deny", `{}`, ""},
		{developerBob, "create", policyOf("e2e-row", inward), "", "cannot create resource"},
		{memberErin, "create", policyOf("e2e-row", inward), "", "cannot create resource"},
		{viewerVera, "create", policyOf("e2e-row", inward), "", "cannot create resource"},
		{robot, "create", policyOf("e2e-row", inward), "", "cannot create resource"},
		{developerBob, "delete", "NetworkPolicy/default-deny", `{}`, "cannot delete resource"},
		{ownerAlice, "create", policyOf("e2e-row", "policyTypes: [Egress], egress: [{}]"), "", outward},
		{ownerAlice, "create", policyOf("e2e-row", "egress: [{to: [{ipBlock: {cidr: 169.254.169.254/32}}]}]"), "", outward},
		{ownerAlice, "create", policyOf("e2e-row", "policyTypes: [Ingress, Egress], ingress: [{"+from+"}]"), "", outward},
		{ownerAlice, "create", policyOf("e2e-row", "policyTypes: [Ingress], egress: [{}]"), "", outward},
		{journalsCarol, "create", strings.ReplaceAll(policyOf("e2e-row", "egress: [{}]"), "namespace: team-a", "namespace: journal"), "", outward},
		{ownerAlice, "create", policyOf("e2e-row", "ingress: [{}]"), "", everybody},
		{ownerAlice, "create", policyOf("e2e-row", "ingress: [{ports: [{port: 8080}]}]"), "", everybody},
		{ownerAlice, "create", policyOf("e2e-row", "ingress: ["+strings.Repeat("{"+from+"}, ", 11)+"]"), "", "write at most 10 rules"},
		{ownerAlice, "create", annotated(policyOf("e2e-row", inward), "kube-router.io/anything", "x"), "", "an order to a controller that all tenants share"},
		{ownerAlice, "create", policyOf("allow-tenants", inward), "", stacks},
		{ownerAlice, "create", strings.Replace(policyOf("e2e-row", inward), "namespace: team-a}", "namespace: team-a, "+managed+"}", 1), "", stacks},
		{ownerAlice, "patch", "NetworkPolicy/default-deny", open, stacks},
		{ownerAlice, "patch", "NetworkPolicy/default-deny", labelled, stacks},
		{ownerAlice, "patch", "NetworkPolicy/allow-egress", `{"spec":{"egress":[{}]}}`, stacks},
		{ownerAlice, "patch", "NetworkPolicy/allow-same-tenant", open, stacks},
		{ownerAlice, "delete", "NetworkPolicy/default-deny", `{}`, stacks},
		{ownerAlice, "delete", "NetworkPolicy/allow-dns", `{}`, stacks},
		{ownerAlice, "deletecollection", "NetworkPolicy/default-deny", `{}`, stacks},
	}
}
