//go:build e2e

package e2e

import "strings"

// sleeping is a suspended tenant of alice, with bob as a developer.
const sleeping = "e2e-sleeping"

// opsRows are about suspended tenants, and about budgets.
func opsRows() []row {
	const (
		controller = controllerUser + " system:serviceaccounts system:serviceaccounts:journal-platform"
		noRight    = "cannot create resource"
		onlyPods   = "the controller deletes pods of namespaces with the label journal.example.com/suspended, and does nothing else to pods"
		onlyItself = "the controller of claims writes what the quotas say; change the class or the overrides of the tenant"
		full       = "exceeded quota: tenant"
	)
	budget := func(name string) string {
		return manifestOf("journal.example.com/v1alpha1", "Budget", name, "")
	}
	inSleeping := func(manifest string) string { return within(sleeping, manifest) }
	small := strings.Replace(podWith(""), "name: main", "name: main, resources: {limits: {cpu: 100m, memory: 64Mi}}", 1)
	return []row{
		// The members of a suspended tenant read. Whoever may write starts nothing.
		{ownerAlice, "create", inSleeping(manifestOf("v1", "ConfigMap", "e2e-row", "data: {a: b}")), "", noRight},
		{developerBob, "create", inSleeping(small), "", noRight},
		{developerBob, "create", inSleeping(workload("Deployment", "e2e-row", "")), "", noRight},
		{ownerAlice, "create", inSleeping(claimManifest("alice", "e2e-row", "1h")), "", noRight},
		{admin, "create", inSleeping(small), "", full},
		{admin, "create", inSleeping(workload("Job", "e2e-row", "")), "", full},
		{admin, "create", inSleeping(workload("Deployment", "e2e-row", "")), "", ""},
		{admin, "create", inSleeping(manifestOf("v1", "ConfigMap", "e2e-row", "data: {a: b}")), "", ""},

		// The controller stops pods of suspended tenants and touches no other.
		{controller, "delete", "Pod/e2e-there", "{}", onlyPods},
		{controller, "create", small, "", noRight},

		// A budget says what the quotas say.
		{viewerVera, "get", "Budget/tenant", "", ""},
		{somebodyMallory, "get", "Budget/tenant", "", "cannot get resource"},
		{ownerAlice, "create", budget("tenant"), "", noRight},
		{admin, "create", budget("tenant"), "", onlyItself},
		{admin, "create", budget("more"), "", `a tenant has one budget; write "tenant"`},
		{admin, "patch", "Budget/tenant", `{"metadata":{"labels":{"a":"b"}}}`, onlyItself},
		{admin, "patch", "Budget/tenant/status", `{"status":{"cpu":"0/1000"}}`, onlyItself},
		{controller, "patch", "Budget/tenant/status", `{"status":{"cpu":"0/1000"}}`, ""},
		{controller, "delete", "Budget/tenant", "{}", "cannot delete resource"},
		{admin, "delete", "Budget/tenant", "{}", ""},
	}
}
