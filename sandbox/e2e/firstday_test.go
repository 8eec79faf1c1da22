//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"example.com/journal/sandbox/deploy"
	"example.com/journal/sandbox/toolchain"
)

// shopSecret is a Secret that the chart has beside what `helm create` writes.
const shopSecret = `apiVersion: v1
kind: Secret
metadata: {name: {{ include "shop.fullname" . }}}
stringData: {greeting: hello}
`

// TestFirstDay types docs/first-day.md, first as the administrator and then as carol with her own kubeconfig.
func TestFirstDay(t *testing.T) {
	n := needsNode(t, "opens a port in the node's network")
	originalStack(t)
	s := cloneShell(t)
	blocks := shellPage(t, "first-day.md")
	s.environment = append(s.environment, "IMAGE="+journalsImage(t), "SITE="+publicSite(t, n), "CHARTS="+charts(t, s))

	s.types(t, blocks, "The platform team adds her")
	t.Cleanup(func() { // prepares the return to the original stack, from which carol is gone
		if _, err := upFrom(context.Background(), changedStack(t, func(config map[string]any) {
			deploy.Override(config, "journal:cluster.unprotected", true)
		})); err != nil {
			t.Error(err)
		}
	})
	kubectlApply(t, strings.ReplaceAll(cacheOfTeam, "IMAGE", journalsImage(t)))
	t.Cleanup(func() { kubectl(t, "delete", "deployment,service", "cache", "--namespace", team) })
	kubectl(t, "rollout", "status", "deployment/cache", "--namespace", team, "--timeout=3m")

	s.types(t, blocks, "Look around")
	s.types(t, blocks, "Run something")
	text, err := s.run("kubectl set resources deployment cache --limits=memory=64Gi")
	lines := strings.Split(strings.TrimSpace(text), "\n") // warnings come first
	if said := lines[len(lines)-1]; err == nil || !strings.Contains(readFile(t, filepath.Join(repository(t), "docs", "first-day.md")), said) {
		t.Errorf("a container above the largest is let through, or the page says otherwise: %s", said)
	}
	s.types(t, blocks, "Install a chart")
	s.types(t, blocks, "Reach the Internet and the team beside")
	s.types(t, blocks, "Ask for a namespace for the team")
	preview := strings.TrimSpace(s.mustRun(t, "kubectl get service redis-8 --namespace \"$TRY\" -o jsonpath={.spec.clusterIP}"))
	asksPreview := func() string {
		answer, _ := tryKubectl("", "exec", "e2e-colleague", "--namespace", "bob", "--", "timeout", "3", "redis-cli", "-h", preview, "ping")
		return strings.TrimSpace(answer)
	}
	kubectlApply(t, strings.Replace(pod("e2e-colleague", journalsImage(t), "{}"), "metadata: {", "metadata: {namespace: bob, ", 1))
	t.Cleanup(func() { kubectl(t, "delete", "pod", "e2e-colleague", "--namespace", "bob", "--now") })
	kubectl(t, "wait", "--for=condition=Ready", "pod/e2e-colleague", "--namespace", "bob", "--timeout=3m")
	if answer := asksPreview(); answer == "PONG" {
		t.Error("bob's pod reaches the claimed namespace before it is opened")
	}
	s.types(t, blocks, "Open a port to a colleague")
	eventually(t, func() error {
		if answer := asksPreview(); answer != "PONG" {
			return fmt.Errorf("bob's pod asks the claimed namespace and gets %q", answer)
		}
		return nil
	})
	if text, err := tryKubectl("", "get", "pods", "--namespace", strings.TrimSpace(s.mustRun(t, "echo $TRY")), "--as", "bob"); err != nil {
		t.Errorf("bob, of the same team, does not see what runs in the team's claim: %s", text)
	}
	s.types(t, blocks, "Let CI deploy")
	if said := s.types(t, blocks, "Find what a pod said"); !strings.Contains(said, "Ready to accept connections") {
		t.Errorf("the lines of the pod that CI has replaced are not found: %s", said)
	}
	// They are there after the next look at the pods. Another test had a carol as well: what is left of her figures is removed first.
	eventuallyWithin(t, 3*time.Minute, func() error {
		said, err := s.run("go run -C services ./figures --query 'max_over_time(sum(container_memory_working_set_bytes) by (pod)[1h:30s])'")
		if err == nil && !strings.Contains(said, "cache-") {
			err = errors.New("no pod of the cache")
		}
		if err != nil {
			err = fmt.Errorf("there are no figures of the cache: %w\n%s", err, said)
		}
		return err
	})
	if said := s.types(t, blocks, "Find what a pod used"); !strings.Contains(said, "MEMORY QUOTA") || !strings.Contains(said, `cache-`) {
		t.Errorf("what the pod of the cache used is not found: %s", said)
	}
	s.mustRun(t, "kubectl delete namespaceclaim try-redis-8 --namespace team-a --timeout=3m")
	for heading := range blocks {
		t.Errorf("the test types nothing below %q", heading)
	}
}

// cacheOfTeam is what carol asks in the tenant beside.
const cacheOfTeam = `
{apiVersion: apps/v1, kind: Deployment, metadata: {name: cache, namespace: team-a}, spec: {selector: {matchLabels: {app: cache}}, template: {metadata: {labels: {app: cache}},
  spec: {containers: [{name: redis, image: "IMAGE", command: [redis-server, --protected-mode, "no", --save, ""]}]}}}}
---
{apiVersion: v1, kind: Service, metadata: {name: cache, namespace: team-a}, spec: {selector: {app: cache}, ports: [{port: 6379}]}}
`

// charts builds Helm, and serves a chart as `helm create` writes it, with a Secret, from a registry of the test's own. Its pods run
// the image of Redis, which the node has. It returns the address of the charts, and puts Helm into the shell's PATH.
func charts(t *testing.T, s *shell) string {
	t.Helper()
	if err := toolchain.Build(t.Context(), repository(t), world.dir, os.Stderr, toolchain.Tests...); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	address := "oci://" + strings.TrimPrefix(server.URL, "http://") + "/charts"
	home := t.TempDir()
	s.environment = append(s.environment, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	image, tag, _ := strings.Cut(journalsImage(t), ":")
	s.mustRun(t, "ln -s "+filepath.Join(world.dir.Bin(), "helm")+" ../tools/helm")
	s.mustRun(t, "cd "+home+` && helm create shop
cat > shop/templates/secret.yaml <<'END'
`+shopSecret+`END
cat >> shop/values.yaml <<'END'
image: {repository: `+image+`, tag: "`+tag+`", pullPolicy: IfNotPresent}
service: {type: ClusterIP, port: 6379}
livenessProbe: {tcpSocket: {port: http}}
readinessProbe: {tcpSocket: {port: http}}
END
helm package shop --version 1.0.0
helm push shop-1.0.0.tgz `+address+` --plain-http`)
	return address
}
