//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tenancy is what the tests of the shared cluster share.
var tenancy struct {
	onboard string            // the program
	files   string            // the folder of the kubeconfigs
	config  map[string]string // the kubeconfig of each user, by name
	image   string            // an image of the node with a shell, Redis and a few network commands
}

// TestTenancy is one test, since its parts use the kubeconfigs that the first one makes.
func TestTenancy(t *testing.T) {
	prepareOnboarding(t)
	// An interrupted run may have left something.
	sweep(t)
	t.Cleanup(func() { sweep(t) })

	for _, part := range []struct {
		sentence string
		test     func(*testing.T)
	}{
		{"onboard gives a kubeconfig to whom the stack declares, and to nobody else", onboarding},
		{"everybody may do what the stack declares, and nothing more", matrix},
		{"a pod that asks for nothing gets the defaults and runs", defaults},
		{"kubectl run and create deployment need no security context", podDefaults},
		{"an image that runs as root says so", rootImages},
		{"a pod over the limits or the quota is refused", overQuota},
		{"a workload over the limits is refused when it is applied", overLimits},
		{"an idle namespace uses CPU above its requests", burst},
		{"an image that can change is refused, with what to write instead", mutableImages},
		{"a pod reaches its own namespace and DNS, and no other tenant", networkPolicies},
		{"a tenant reaches the ways out that it has, and so does what it claims", waysOut},
		{"a claim gives a temporary namespace with the same policy objects, and no more than the share", claims},
		{"the end of a claim takes its namespace alone, whatever happens to the controller", claimsEnd},
		{"a claim is for the team, holds Secrets, and is taken over", teamClaims},
		{"the controller cannot touch what it did not make", controllerIsBound},
		{"an owner issues tokens for a CI, which deploys with them until they end", deployer},
		{"a suspended tenant and its claims stop, are read, and come back", suspension},
		{"bad tenants are refused with all faults at once, and nothing is changed", badTenants},
		{"whoever is removed from the stack is locked out by the next up", removal},
	} {
		start := time.Now()
		if !t.Run(part.sentence, part.test) && len(tenancy.config) < 2 {
			return // the next parts need the users' kubeconfigs
		}
		t.Logf("%s: %s", part.sentence, time.Since(start).Round(100*time.Millisecond))
	}
}

// prepareOnboarding builds the program that makes kubeconfigs. They are gone when the test ends.
func prepareOnboarding(t *testing.T) {
	t.Helper()
	tenancy.files, tenancy.config = t.TempDir(), map[string]string{}
	tenancy.image = journalsImage(t)
	tenancy.onboard = world.dir.Path("e2e", "onboard")
	build := exec.Command("go", "build", "-o", tenancy.onboard, "./onboard")
	build.Dir = filepath.Join(repository(t), "services")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build onboard: %v\n%s", err, text)
	}
}

// journalsImage returns the image of the journal's Redis, which the node has.
func journalsImage(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(kubectl(t, "get", "pod", "redis-0", "--namespace", world.outputs.Namespace,
		"--output", "jsonpath={.spec.containers[0].image}"))
}

// sweep deletes what the tests create: the objects whose names begin with e2e-, and the namespace forged.
func sweep(t *testing.T) {
	t.Helper()
	for _, namespace := range []string{"team-a", "alice", "bob"} {
		for kind := range strings.SplitSeq("namespaceclaims,deployments,pods,services,configmaps,networkpolicies", ",") {
			var made []string
			for name := range strings.FieldsSeq(kubectl(t, "get", kind, "--namespace", namespace, "--output", "name")) {
				if _, name, _ := strings.Cut(name, "/"); strings.HasPrefix(name, "e2e-") {
					made = append(made, name)
				}
			}
			if len(made) > 0 {
				kubectl(t, append([]string{"delete", kind, "--namespace", namespace, "--now", "--ignore-not-found"}, made...)...)
			}
		}
	}
	kubectl(t, "delete", "namespace", forged, "--ignore-not-found")
}

// as runs kubectl with a user's own kubeconfig, and returns everything that it prints.
func as(t *testing.T, user, input string, args ...string) (string, error) {
	t.Helper()
	config := tenancy.config[user]
	if config == "" {
		t.Fatalf("%s has no kubeconfig", user)
	}
	return tryKubectl(input, append([]string{"--kubeconfig", config}, args...)...)
}

// mustAs is as, and fails the test unless kubectl succeeds.
func mustAs(t *testing.T, user, input string, args ...string) string {
	t.Helper()
	text, err := as(t, user, input, args...)
	if err != nil {
		t.Fatalf("%s: %v", user, err)
	}
	return text
}

// refused runs kubectl as a user, and checks that it is refused with all of these texts.
func refused(t *testing.T, user, input string, says []string, args ...string) {
	t.Helper()
	text, err := as(t, user, input, args...)
	if err == nil {
		t.Errorf("%s may kubectl %s: %s", user, strings.Join(args, " "), text)
	}
	for _, part := range says {
		if !strings.Contains(text, part) {
			t.Errorf("%s is refused, without %q: %s", user, part, text)
		}
	}
}

// onboard runs the program with the administrator's kubeconfig.
func onboard(t *testing.T, user string) (string, error) {
	t.Helper()
	out := filepath.Join(tenancy.files, user+".kubeconfig")
	text, err := exec.Command(tenancy.onboard, user, "--kubeconfig", world.cluster.Kubeconfig(), "--out", out, "--expires", "1h").CombinedOutput()
	if err == nil {
		tenancy.config[user] = out
	}
	return string(text), err
}

func onboarding(t *testing.T) {
	for user, role := range map[string]string{"alice": "owner in team-a", "bob": "developer in team-a"} {
		t.Run(user, func(t *testing.T) {
			for _, verb := range []string{"wrote", "renewed"} {
				said, err := onboard(t, user)
				if err != nil {
					t.Fatalf("%v: %s", err, said)
				}
				for _, part := range []string{verb, "user " + user + ", namespace " + user + ", until ", "(1h0m0s from now)", role} {
					if !strings.Contains(said, part) {
						t.Errorf("onboard %s says nothing of %q: %s", user, part, said)
					}
				}
			}
			if info, err := os.Stat(tenancy.config[user]); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", tenancy.config[user], info.Mode(), err)
			}
			// Without --namespace, kubectl uses the user's own namespace.
			mustAs(t, user, "", "create", "configmap", "e2e-default")
			if found := kubectl(t, "get", "configmap", "e2e-default", "--namespace", user, "--output", "name"); found == "" {
				t.Errorf("the default namespace of %s is another one", user)
			}
			if who := mustAs(t, user, "", "auth", "whoami", "--output", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}"); who != user+` ["system:authenticated"]` {
				t.Errorf("the apiserver knows %s as %s", user, who)
			}
			record := kubectl(t, "get", "configmap", "issued-certificates", "--namespace", "journal-platform", "--output", "jsonpath={.data."+user+"}")
			var given []struct{ Issued, Expires, ApprovedBy, Fingerprint string }
			if err := json.Unmarshal([]byte(record), &given); err != nil || len(given) < 2 || given[0].Fingerprint == given[1].Fingerprint {
				t.Errorf("the record says of %s: %s (%v)", user, record, err)
			}
		})
	}
	if said, err := onboard(t, "mallory"); err == nil || !strings.Contains(said, `"mallory": is not declared`) {
		t.Errorf("mallory: %v, %s", err, said)
	}
}

// pod returns the manifest of a pod that meets the restricted Pod Security Standard. Without a command, it sleeps.
func pod(name, image, resources string, command ...string) string {
	if len(command) == 0 {
		command = []string{"sleep", "3600"}
	}
	text, _ := json.Marshal(command) // strings cannot fail to encode
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: %s
    command: %s
    resources: %s
    securityContext: {runAsNonRoot: true, runAsUser: 10001, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
`, name, image, text, resources)
}

func defaults(t *testing.T) {
	mustAs(t, "bob", pod("e2e-defaults", tenancy.image, "{}"), "create", "--namespace", "team-a", "--filename", "-")
	got := mustAs(t, "bob", "", "get", "pod", "e2e-defaults", "--namespace", "team-a", "--output", "jsonpath={.spec.containers[0].resources}")
	const amounts = `"ephemeral-storage":"256Mi","memory":"128Mi"}`
	if want := `{"limits":{"cpu":"400m",` + amounts + `,"requests":{"cpu":"100m",` + amounts + `}`; got != want {
		t.Errorf("resources are %s, want %s", got, want)
	}
	mustAs(t, "bob", "", "wait", "--for=condition=Ready", "pod/e2e-defaults", "--namespace", "team-a", "--timeout=3m")
	if said := mustAs(t, "bob", "", "exec", "e2e-defaults", "--namespace", "team-a", "--", "id"); !strings.Contains(said, "uid=10001") {
		t.Errorf("the pod says %s", said)
	}
}

func overQuota(t *testing.T) {
	refused(t, "bob", pod("e2e-large", tenancy.image, "{limits: {cpu: 1500m}}"),
		[]string{"maximum cpu usage per Container is 1, but limit is 1500m"}, "create", "--filename", "-")
	// Each fits the limit of one container; the third does not fit the quota of 2 CPUs, which a claim of small has as well.
	for _, name := range []string{"e2e-first", "e2e-second"} {
		mustAs(t, "bob", pod(name, tenancy.image, `{requests: {cpu: "1"}, limits: {cpu: "1"}}`), "create", "--filename", "-")
	}
	refused(t, "bob", pod("e2e-third", tenancy.image, `{requests: {cpu: "1"}, limits: {cpu: "1"}}`),
		[]string{"exceeded quota: tenant", "requested: requests.cpu=1", "limited: requests.cpu=2"}, "create", "--filename", "-")
	mustAs(t, "bob", "", "delete", "pod", "e2e-first", "e2e-second")
}

func mutableImages(t *testing.T) {
	says := []string{`image "docker.io/library/redis:latest": its content can change under the same name`,
		"write an exact version such as registry.example.com/app:1.2.3"}
	refused(t, "alice", pod("e2e-latest", "docker.io/library/redis:latest", "{}"), says, "create", "--filename", "-")
	refused(t, "alice", "", says, "create", "deployment", "e2e-latest", "--image=docker.io/library/redis:latest")
	// The journal is a tenant like any other, and not even an administrator is exempt.
	if text, err := tryKubectl(pod("e2e-latest", "docker.io/library/redis:latest", "{}"), "create", "--namespace", world.outputs.Namespace,
		"--dry-run=server", "--filename", "-"); err == nil || !strings.Contains(text, says[0]) {
		t.Errorf("in the journal's namespace: %s", text)
	}
}

func networkPolicies(t *testing.T) {
	users := []string{"alice", "bob"}
	address := map[string]string{}
	for _, user := range users {
		manifest := pod("e2e-server", tenancy.image, "{}", "redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "") + "---" +
			pod("e2e-client", tenancy.image, "{}")
		mustAs(t, user, manifest, "create", "--filename", "-")
	}
	for _, user := range users {
		mustAs(t, user, "", "wait", "--for=condition=Ready", "pod/e2e-server", "pod/e2e-client", "--timeout=3m")
		address[user] = mustAs(t, user, "", "get", "pod", "e2e-server", "--output", "jsonpath={.status.podIP}")
	}
	ping := func(user, host string) string {
		answer, _ := as(t, user, "", "exec", "e2e-client", "--", "timeout", "3", "redis-cli", "-h", host, "ping")
		return strings.TrimSpace(answer)
	}
	for _, user := range users {
		eventually(t, func() error {
			if answer := ping(user, address[user]); answer != "PONG" {
				return fmt.Errorf("a pod of %s asks one beside it and gets %q", user, answer)
			}
			return nil
		})
		if answer, err := as(t, user, "", "exec", "e2e-client", "--", "timeout", "5", "nslookup", "kubernetes.default.svc.cluster.local"); err != nil {
			t.Errorf("a pod of %s asks DNS and gets %q", user, answer)
		}
	}
	for from, to := range map[string]string{"alice": address["bob"], "bob": address["alice"]} {
		t.Run("a pod of "+from+" does not reach one of another tenant", func(t *testing.T) {
			if answer := ping(from, to); !strings.Contains(answer, "exit code 124") && !strings.Contains(answer, "Could not connect") {
				t.Errorf("is answered %q", answer)
			}
		})
	}
	// The NetworkPolicies also block the platform and the API server.
	for _, target := range []string{"kubernetes.default.svc 443", strings.TrimSpace(kubectl(t, "get", "pods", "--namespace", "journal-platform",
		"--selector", "app=namespace-controller", "--output", "jsonpath={.items[0].status.podIP} 8080"))} {
		if answer, err := as(t, "bob", "", append([]string{"exec", "e2e-client", "--", "timeout", "3", "nc", "-w", "2"}, strings.Fields(target)...)...); err == nil {
			t.Errorf("a pod of bob connects to %s: %s", target, answer)
		}
	}
	for _, user := range users {
		mustAs(t, user, "", "delete", "pod", "e2e-server", "e2e-client")
	}
}

func badTenants(t *testing.T) {
	refusedUp(t, `
  journal:redis: {image: docker.io/library/redis:7.4.2}
  journal:api: {image: registry.example.com/journal/journal-api:v0.1.0-0000000}
  journal:frontend: {image: registry.example.com/journal/journal-web:v0.1.0-0000000}
  journal:tenant: {owner: "group:platform", contact: platform@example.com}
  journal:tenants:
    - {name: team-a, owner: "user:alice", contact: alice@example.com}
    - {name: team-a, owner: "user:bob", contact: bob@example.com}
    - {name: kube-system, owner: "user:alice", contact: alice@example.com}
    - {name: default, owner: "user:alice", contact: alice@example.com}
    - {name: huge, class: enormous, owner: "user:alice", contact: alice@example.com}
    - {name: silent, owner: "user:alice"}
    - {name: measure, owner: "user:alice", contact: alice@example.com, overrides: {memory: 10 GB}}
    - {name: limits, owner: "user:alice", contact: alice@example.com, overrides: {maxCpu: "9"}}
`, "tenants[1].name", "tenants[2].name", "tenants[3].name", "tenants[4].class", "tenants[5].contact",
		"tenants[6].overrides.memory", "tenants[7].overrides.maxCpu")
}

// removal removes bob from the stack while he has a claim.
func removal(t *testing.T) {
	applyClaim(t, "bob", "e2e-left", "10m")
	claimed := claimedNamespace(t, "e2e-left")
	if _, log := mustSandbox(t, "up", "--stack", stack); !strings.Contains(log, "nothing changed") {
		t.Errorf("a claim disturbs the next up:\n%s", log)
	}
	t.Cleanup(func() {
		if _, log := mustSandbox(t, "up", "--stack", stack); strings.Contains(log, "nothing changed") {
			t.Errorf("the stack was not put right again:\n%s", log)
		}
		if _, err := as(t, "bob", "", "get", "pods", "--namespace", "team-a"); err != nil {
			t.Errorf("bob is declared again: %v", err)
		}
	})

	start := time.Now()
	result, err := upFrom(t.Context(), withoutBob(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up without bob: %v in %s", result.Changes, time.Since(start).Round(100*time.Millisecond))
	// The certificate still names him, but grants nothing. The API server learns of removed bindings within a moment.
	if who := mustAs(t, "bob", "", "auth", "whoami", "--output", "jsonpath={.status.userInfo.username}"); who != "bob" {
		t.Errorf("bob is %s", who)
	}
	for _, args := range [][]string{
		{"get", "pods", "--namespace", "team-a"}, {"get", "pods", "--namespace", "bob"}, {"get", "pods", "--namespace", claimed}, {"get", "namespaces"},
		{"create", "configmap", "e2e-locked-out", "--namespace", "team-a"}, {"delete", "namespaceclaim", "e2e-left", "--namespace", "team-a"},
	} {
		eventually(t, func() error {
			if text, err := as(t, "bob", "", args...); err == nil || !strings.Contains(strings.ToLower(text), "forbidden") {
				return fmt.Errorf("bob is removed, and kubectl %s says %q", strings.Join(args, " "), text)
			}
			return nil
		})
	}
	if said, err := onboard(t, "bob"); err == nil || !strings.Contains(said, "is not declared") {
		t.Errorf("bob is removed and onboarded: %s", said)
	}
	mustAs(t, "alice", "", "get", "pods", "--namespace", "team-a")
	takenOver(t, "e2e-left", claimed)
}

// withoutBob returns a folder with the stack as it was last brought up, but without bob. His namespace goes to alice, since the
// stack protects it from deletion.
func withoutBob(t *testing.T) string {
	return changedStack(t, func(config map[string]any) {
		tenants, _ := config["journal:tenants"].([]any)
		for _, tenant := range tenants {
			tenant := tenant.(map[string]any)
			if tenant["owner"] == "user:bob" {
				tenant["owner"] = "user:alice"
			}
			delete(tenant, "members")
		}
	})
}

// difference says what two sets of texts do not have in common.
func difference(got, want map[string]string) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			errs = append(errs, fmt.Errorf("%s is\n%s\nand not\n%s", key, got[key], want[key]))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			errs = append(errs, fmt.Errorf("there is also %s", key))
		}
	}
	return errors.Join(errs...)
}
