//go:build e2e

package e2e

import "fmt"

// ci is the deployer of team-a, as the API server knows it.
const ci = "system:serviceaccount:team-a:deployer system:serviceaccounts system:serviceaccounts:team-a"

// token is a request for a token of an account, with these fields of its spec.
func token(account, spec string) string {
	return manifestOf("authentication.k8s.io/v1", "TokenRequest", account, "spec: {"+spec+"}")
}

// ciRows are what an account for a CI may do, and the ways around the bounds of its tokens. A dry run issues a token as well, which
// nobody keeps.
func ciRows() []row {
	const (
		noToken   = `cannot create resource "serviceaccounts/token"`
		others    = "tokens are issued for the account deployer only"
		neverEnds = "Kubernetes fills it with a token that never ends"
		outside   = `serviceAccountName "deployer": that account is for a CI`
		account   = `metadata: {name: e2e-row, namespace: team-a, annotations: {kubernetes.io/service-account.name: deployer}}`
	)
	secret := func(kind string) string { return "apiVersion: v1\nkind: Secret\n" + account + "\ntype: " + kind + "\n" }
	rows := []row{
		{ownerAlice, "create", token("deployer", ""), "", ""},
		{ownerAlice, "create", token("deployer", "expirationSeconds: 600"), "", ""},
		{ownerAlice, "create", token("deployer", "expirationSeconds: 3600"), "", ""},
		{ownerAlice, "create", token("deployer", "audiences: ['https://kubernetes.default.svc']"), "", ""},
		{ownerAlice, "create", token("deployer", "expirationSeconds: 3601"), "", "spec.expirationSeconds 3601: nobody can take a token back"},
		{ownerAlice, "create", token("deployer", "expirationSeconds: 31536000"), "", "write 3600 or less, as in --duration 30m"},
		{ownerAlice, "create", token("deployer", "audiences: ['https://vault.example.com']"), "", `spec.audiences "https://vault.example.com": not known`},
		{ownerAlice, "create", token("deployer", "audiences: ['https://kubernetes.default.svc', other]"), "", `spec.audiences "other"`},
		{ownerAlice, "create", token("deployer", "boundObjectRef: {apiVersion: v1, kind: Node, name: node}"), "", `spec.boundObjectRef.kind "Node"`},
		{ownerAlice, "create", token("deployer", "boundObjectRef: {apiVersion: v1, kind: Pod, name: e2e-there}"), "", `spec.boundObjectRef.kind "Pod"`},
		{ownerAlice, "create", token("default", ""), "", noToken},
		{ownerAlice, "create", within("alice", token("deployer", "")), "", noToken},
		{developerBob, "create", token("deployer", ""), "", noToken},
		{memberErin, "create", token("deployer", ""), "", noToken},
		{viewerVera, "create", token("deployer", ""), "", noToken},
		{ci, "create", token("deployer", ""), "", noToken},
		{admin, "create", token("deployer", "expirationSeconds: 86400"), "", "spec.expirationSeconds 86400"},
		{admin, "create", token("default", ""), "", others},
		{robot, "create", token("default", ""), "", noToken},

		// Secrets with a token that never ends.
		{admin, "create", secret("kubernetes.io/service-account-token"), "", neverEnds},
		{admin, "create", within(permitted, secret("kubernetes.io/service-account-token")), "", neverEnds},
		{admin, "create", within("journal", secret("kubernetes.io/service-account-token")), "", neverEnds},
		{admin, "create", secret("Opaque"), "", ""},
		{admin, "create", within("default", secret("kubernetes.io/service-account-token")), "", ""},

		// Pods whose token is renewed.
		{developerBob, "create", podWith("serviceAccountName: deployer"), "", "spec." + outside},
		{developerBob, "create", podWith("serviceAccount: deployer"), "", "spec." + outside},
		{ownerAlice, "create", podWith("serviceAccountName: deployer"), "", outside},
		{ci, "create", podWith("serviceAccountName: deployer"), "", outside},
		{admin, "create", podWith("serviceAccountName: deployer"), "", outside},
		{developerBob, "patch", "Deployment/e2e-web", `{"spec":{"template":{"spec":{"serviceAccountName":"deployer"}}}}`, "spec.template.spec." + outside},
		{developerBob, "create", podWith("serviceAccountName: default"), "", ""},

		// The deployer is a developer, and none of Kubernetes' own accounts.
		{ci, "create", workload("Deployment", "e2e-row", ""), "", ""},
		{ci, "create", host("app.team-a.localhost"), "", ""},
		{ci, "create", host("journal.localhost"), "", "not a host of this namespace"},
		{ci, "create", finalizing(manifestOf("v1", "ConfigMap", "e2e-row", ""), "example.com/never"), "", `metadata.finalizers "example.com/never"`},
		{ci, "get", "Secret/none", "", "cannot get resource"},
		{ci, "create", within("alice", workload("Deployment", "e2e-row", "")), "", "cannot create resource"},

		// Whoever changes or deletes the account gains nothing, and its tokens end with it.
		{developerBob, "patch", "ServiceAccount/deployer", `{"secrets":[{"name":"none"}]}`, ""},
		{developerBob, "delete", "ServiceAccount/deployer", `{}`, ""},
		{viewerVera, "delete", "ServiceAccount/deployer", `{}`, "cannot delete resource"},
	}
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController"} {
		for _, field := range []string{"serviceAccountName", "serviceAccount"} {
			rows = append(rows, row{developerBob, "create", workload(kind, "e2e-row", fmt.Sprintf("%s: deployer", field)), "", outside})
		}
	}
	return rows
}
