//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestPrEnv types docs/pr-env.md as bob, who is a developer of team-a and nothing else. It is one test, since each command starts from
// what the one before has left.
func TestPrEnv(t *testing.T) {
	needsNode(t, "runs the images that the node has")
	prepareOnboarding(t)
	endEnvironments := func() {
		kubectl(t, "delete", "namespaceclaim", "pr-123", "pr-124", "pr-125", "--namespace", team, "--ignore-not-found", "--timeout=3m")
	}
	endEnvironments() // of an interrupted run
	t.Cleanup(endEnvironments)
	for _, user := range []string{"alice", "bob"} {
		if said, err := onboard(t, user); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	page := shellPage(t, "pr-env.md")
	s := environmentShell(t)

	said := s.types(t, page, "Bring it up")
	first, took := environmentOf(t, said)
	if took > time.Minute {
		t.Errorf("it is up after %v, and a minute is what is promised", took)
	}
	namespace := readClaim(t, "pr-123").Status.Namespace
	if want := "pr-123." + namespace + "." + "localhost"; first.Hostname() != want {
		t.Errorf("its host is %s, want %s", first.Hostname(), want)
	}
	text := unique("Kept over a push.")
	writeAt(t, first, text)

	t.Run("pods of another tenant do not reach it, and those of its own do", func(t *testing.T) { unreachable(t, namespace) })
	t.Run("the journal of the stack has another host and other entries", func(t *testing.T) {
		if entries, err := list(); err != nil || strings.Contains(fmt.Sprint(entries), text) {
			t.Errorf("it has the entry of the pull request, or %v", err)
		}
	})

	t.Run("a second push keeps the entry", func(t *testing.T) {
		before := kubectl(t, "get", "configmaps", "--namespace", namespace, "--output", "name")
		said := s.types(t, page, "Push again")
		if at, _ := environmentOf(t, said); at.Host != first.Host {
			t.Errorf("it has moved to %s", at)
		}
		eventually(t, func() error {
			if answer, err := getAt(first, "config.json"); err != nil || !strings.Contains(answer, "Another") {
				return fmt.Errorf("the page's settings are %q, %w", answer, err)
			}
			return nil
		})
		if entries, err := getAt(first, "api/entries"); err != nil || !strings.Contains(entries, text) {
			t.Errorf("the entries are %s, %v", entries, err)
		}
		after := kubectl(t, "get", "configmaps", "--namespace", namespace, "--output", "name")
		if strings.Count(after, "frontend-config-") != 1 || before == after {
			t.Errorf("the settings of the push before are still there:\n%s", after)
		}
	})

	t.Run("a push that replaces Redis keeps the entry", func(t *testing.T) {
		s.mustRun(t, `make pr-env PR=123 TENANT=team-a SET="api.image=$API frontend.image=$WEB redis.resources.memory=112Mi"`)
		if memory := kubectl(t, "get", "pod", "redis-0", "--namespace", namespace, "--output", "jsonpath={.spec.containers[0].resources.limits.memory}"); memory != "112Mi" {
			t.Errorf("the memory of Redis is %s", memory)
		}
		eventually(t, func() error {
			if entries, err := getAt(first, "api/entries"); err != nil || !strings.Contains(entries, text) {
				return fmt.Errorf("the entries are %s, %w", entries, err)
			}
			return nil
		})
	})

	t.Run("another pull request is beside it, and ends by itself", func(t *testing.T) {
		other, _ := environmentOf(t, s.mustRun(t, `make pr-env PR=124 TENANT=team-a TTL=2m SET="api.image=$API frontend.image=$WEB"`))
		if entries, err := getAt(other, "api/entries"); err != nil || strings.Contains(entries, text) {
			t.Errorf("its entries are %s, %v", entries, err)
		}
		if _, err := getAt(first, ""); err != nil {
			t.Error(err)
		}
		left := readClaim(t, "pr-124").Status.Namespace
		eventuallyWithin(t, 5*time.Minute, func() error {
			if claim := readClaim(t, "pr-124"); claim.Metadata.UID != "" {
				return errors.New("it is there: " + claim.Status.Message)
			}
			return nil
		})
		nothingLeft(t, left)
	})

	s.types(t, page, "Take it down")
	nothingLeft(t, namespace)
	if said := s.mustRun(t, "make pr-env-down PR=123 TENANT=team-a"); !strings.Contains(said, "pull request 123 has no environment in tenant team-a") {
		t.Errorf("once more it says %s", said)
	}
	for _, command := range []string{"make pr-env PR=12a TENANT=team-a", "make pr-env", "make pr-env PR=123 TENANT=alice"} {
		if said, err := s.run(command); err == nil || !strings.Contains(said, "PR=123") && !strings.Contains(said, "TENANT=team-a") {
			t.Errorf("%s: %v\n%s", command, err, said)
		}
	}
	for heading := range page {
		t.Errorf("the test types nothing below %q", heading)
	}
}

// environmentShell is a clone with bob's kubeconfig, the images that the node has, and the sandbox's port.
func environmentShell(t *testing.T) *shell {
	t.Helper()
	s := cloneShell(t)
	text, err := os.ReadFile(tenancy.config["bob"])
	if err := errors.Join(err, os.WriteFile(filepath.Join(s.folder, "bob.kubeconfig"), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	for variable, app := range map[string]string{"API": "api", "WEB": "frontend"} {
		s.environment = append(s.environment, variable+"="+kubectl(t, "get", "deployment", app, "--namespace", world.outputs.Namespace,
			"--output", "jsonpath={.spec.template.spec.containers[0].image}"))
	}
	at, err := url.Parse(world.outputs.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.mustRun(t, "make pr-env-build") // which may take longer than a push
	s.mustRun(t, fmt.Sprintf("sed -i -e 's|image: docker.io/library/redis:.*|image: %s|' -e 's|# port: 8080.*|port: %s|' Pulumi.pr.yaml", journalsImage(t), at.Port()))
	return s
}

// address matches what a push says at its end.
var address = regexp.MustCompile(`(?m)^(http://\S+) is up after (\S+)$`)

// environmentOf returns the address of an environment, and how long the push took.
func environmentOf(t *testing.T, said string) (*url.URL, time.Duration) {
	t.Helper()
	found := address.FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("a push does not say where it is up:\n%s", said)
	}
	at, err := url.Parse(found[1])
	took, failed := time.ParseDuration(found[2])
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	t.Log(found[0])
	return at, took
}

// getAt reads a path of an environment.
func getAt(at *url.URL, path string) (string, error) {
	status, text, err := sendTo(http.MethodGet, at.JoinPath(path).String(), nil)
	if err == nil && status != http.StatusOK {
		err = errors.New(http.StatusText(status))
	}
	return string(text), err
}

// writeAt writes an entry in an environment, once its Ingress is served.
func writeAt(t *testing.T, at *url.URL, text string) {
	t.Helper()
	eventually(t, func() error {
		status, _, err := sendTo(http.MethodPost, at.JoinPath("api/entries").String(), map[string]string{"text": text})
		if err == nil && status != http.StatusCreated {
			err = errors.New(http.StatusText(status))
		}
		return err
	})
}

// unreachable asks the Redis of an environment, which answers without a password that it wants one: from the tenant, and from another.
func unreachable(t *testing.T, namespace string) {
	t.Helper()
	host := kubectl(t, "get", "service", "redis-write", "--namespace", namespace, "--output", "jsonpath={.spec.clusterIP}")
	image := journalsImage(t)
	for _, in := range []string{team, "alice"} {
		kubectlApply(t, strings.Replace(pod("e2e-asks", image, "{}"), "metadata: {", "metadata: {namespace: "+in+", ", 1))
	}
	asks := func(from string) string {
		answer, _ := tryKubectl("", "exec", "e2e-asks", "--namespace", from, "--", "timeout", "3", "redis-cli", "-h", host, "ping")
		return answer
	}
	for _, in := range []string{team, "alice"} {
		kubectl(t, "wait", "--for=condition=Ready", "pod/e2e-asks", "--namespace", in, "--timeout=3m")
	}
	eventually(t, func() error {
		if answer := asks(team); !strings.Contains(answer, "NOAUTH") {
			return fmt.Errorf("a pod of the tenant is answered %q", answer)
		}
		return nil
	})
	if answer := asks("alice"); strings.Contains(answer, "NOAUTH") || strings.Contains(answer, "PONG") {
		t.Errorf("a pod of another tenant is answered %q", answer)
	}
}

// nothingLeft checks that a namespace is gone, and that no volume names it.
func nothingLeft(t *testing.T, namespace string) {
	t.Helper()
	if left := kubectl(t, "get", "namespace", namespace, "--ignore-not-found", "--output", "name"); left != "" {
		t.Errorf("%s is still there", left)
	}
	eventually(t, func() error { // a volume goes after its claim
		if left := kubectl(t, "get", "persistentvolumes", "--output", "jsonpath={.items[*].spec.claimRef.namespace}"); strings.Contains(left, namespace) {
			return errors.New("a volume is still there")
		}
		return nil
	})
}
