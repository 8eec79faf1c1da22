//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// deployer brings up team-a with a deployer. alice issues a token, and with it a CI deploys what bob may deploy too.
func deployer(t *testing.T) {
	repo := changedStackOf(t, originalStack(t), func(config map[string]any) {
		tenants, _ := config["journal:tenants"].([]any)
		for _, tenant := range tenants {
			if tenant := tenant.(map[string]any); tenant["name"] == team {
				tenant["deployer"] = true
			}
		}
	})
	if _, err := upFrom(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	issue := []string{"create", "token", "deployer", "--namespace", team}
	if said, err := onboard(t, "alice"); err != nil || !strings.Contains(said, strings.Join([]string{"--namespace", team, "create token deployer --duration 30m"}, " ")) {
		t.Errorf("onboard does not tell alice how to issue a token: %v %s", err, said)
	}
	refused(t, "bob", "", []string{`cannot create resource "serviceaccounts/token"`}, issue...)
	refused(t, "alice", "", []string{"spec.expirationSeconds 7200", "write 3600 or less"}, append(issue, "--duration", "2h")...)
	refused(t, "alice", "", []string{`spec.audiences "https://vault.example.com"`}, append(issue, "--audience", "https://vault.example.com")...)

	tenancy.config["ci"] = tokenKubeconfig(t, strings.TrimSpace(mustAs(t, "alice", "", append(issue, "--duration", "30m")...)))
	t.Cleanup(func() { delete(tenancy.config, "ci") })
	if who := mustAs(t, "ci", "", "auth", "whoami", "--output", "jsonpath={.status.userInfo.username}"); who != "system:serviceaccount:team-a:deployer" {
		t.Errorf("the token is that of %s", who)
	}
	refused(t, "ci", "", []string{`cannot create resource "serviceaccounts/token"`}, issue...)
	refused(t, "ci", "", []string{"cannot list resource"}, "get", "secrets", "--namespace", team)
	refused(t, "ci", "", []string{"cannot list resource"}, "get", "pods", "--namespace", "alice")
	deployment := manifestOf("apps/v1", "Deployment", "e2e-deployed", "spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: "+
		podOf(fmt.Sprintf("image: %q, command: [sleep, '3600']", tenancy.image), "terminationGracePeriodSeconds: 0")+"}}")
	mustAs(t, "ci", deployment, "apply", "--filename", "-")
	t.Cleanup(func() {
		kubectl(t, "delete", "deployment", "e2e-deployed", "--namespace", team, "--ignore-not-found")
		kubectl(t, "delete", "pod", "e2e-token", "--namespace", team, "--ignore-not-found")
	})
	mustAs(t, "ci", "", "rollout", "status", "deployment/e2e-deployed", "--namespace", team, "--timeout", "90s")

	// The node gives pods their tokens as before, for other services and for longer too.
	token := "volumes: [{name: token, projected: {sources: [{serviceAccountToken: {path: token, audience: 'https://vault.example.com', expirationSeconds: 7200}}]}}]"
	mustAs(t, "bob", manifestOf("v1", "Pod", "e2e-token", "spec: "+podOf(fmt.Sprintf("image: %q, command: [sh, -c, 'test -s /token/token && sleep 3600'], volumeMounts: [{name: token, mountPath: /token}]",
		tenancy.image), "terminationGracePeriodSeconds: 0, restartPolicy: Never, "+token)), "apply", "--filename", "-")
	mustAs(t, "bob", "", "wait", "--for", "condition=Ready", "pod/e2e-token", "--namespace", team, "--timeout", "90s")

	// What was issued ends with the account, and the next update makes it again.
	mustAs(t, "bob", "", "delete", "serviceaccount", "deployer", "--namespace", team)
	eventually(t, func() error {
		if text, err := as(t, "ci", "", "get", "pods", "--namespace", team); err == nil || !strings.Contains(text, "Unauthorized") && !strings.Contains(text, "must be logged in") {
			return fmt.Errorf("the token of a deleted account is accepted: %s", text)
		}
		return nil
	})
	if _, err := upFrom(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	mustAs(t, "alice", "", issue...)
}

// tokenKubeconfig returns the path of a kubeconfig of the cluster with a token and nothing else.
func tokenKubeconfig(t *testing.T, token string) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(world.cluster.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	user := config.Contexts[config.CurrentContext].AuthInfo
	config.AuthInfos = map[string]*api.AuthInfo{user: {Token: token}}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// pullSecret types how a person sets the credentials of a registry with Pulumi. Every tenant has them, every pod uses them, and a
// new password replaces nothing but the Secret.
func pullSecret(t *testing.T, s *shell) {
	t.Helper()
	const set = "pulumi config set --path journal:cluster.pullSecret."
	pods := func() string {
		return kubectl(t, "get", "pods", "--namespace", world.outputs.Namespace, "--output", "jsonpath={.items[*].metadata.uid}")
	}
	s.mustRun(t, set+"registry registry.example.com && "+set+"username puller && "+set+"password e2e-plain 2>/dev/null")
	if said, err := s.run("pulumi preview"); err == nil || !strings.Contains(said, `journal:cluster.pullSecret.password "[hidden]": must be encrypted`) || strings.Contains(said, "e2e-plain") {
		t.Errorf("a password in plain text: %v\n%s", err, said)
	}
	before := pods()
	said := ""
	for _, password := range []string{"e2e-first", "e2e-second"} {
		said += s.mustRun(t, "echo "+password+" | "+set+"password --secret && "+pulumiUp)
		for _, namespace := range []string{team, world.outputs.Namespace} {
			content := kubectl(t, "get", "secret", "journal-pull", "--namespace", namespace, "--output", `go-template={{index .data ".dockerconfigjson" | base64decode}}`)
			if !strings.Contains(content, `"password":"`+password+`"`) || !strings.Contains(content, `"registry.example.com"`) {
				t.Errorf("the pull secret of %s is %s", namespace, content)
			}
		}
	}
	if after := pods(); after != before {
		t.Errorf("the journal's pods were %s and are %s", before, after)
	}
	if text := said + everything(t, filepath.Join(filepath.Dir(s.folder), "journal-state")); strings.Contains(text, "e2e-first") || strings.Contains(text, "e2e-second") {
		t.Error("a password is in the state or was printed")
	}
	for fields, want := range map[string]string{"": "journal-pull", "imagePullSecrets: [{name: own}]": "own journal-pull"} {
		manifest := manifestOf("v1", "Pod", "e2e-pulls", "spec: "+podOf("", fields))
		found, err := tryKubectl(manifest, "create", "--dry-run=server", "--filename", "-", "--output", "jsonpath={.spec.imagePullSecrets[*].name}")
		if err != nil || found != want {
			t.Errorf("a pod with %q pulls with %q, not %q: %v", fields, found, want, err)
		}
	}
	s.mustRun(t, "pulumi config rm --path journal:cluster.pullSecret && "+pulumiUp)
	if found := kubectl(t, "get", "secret", "journal-pull", "--namespace", team, "--ignore-not-found", "--output", "name"); found != "" {
		t.Errorf("%s is left", found)
	}
}
