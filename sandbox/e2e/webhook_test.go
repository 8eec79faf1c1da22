//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/journal/sandbox/node"
)

// webhook types how a person has alerts posted with Pulumi, to a pod that prints what it is sent. That pod's own namespace has an
// alert: its quota has room for one pod.
func webhook(t *testing.T, s *shell, n *node.Node) {
	t.Helper()
	const (
		namespace = "e2e-webhook"
		url       = "http://hook." + namespace + ".svc:9000/e2e-token"
		image     = "registry.example.com/team-a/alertmanager:v0.25.0"
		set       = "pulumi config set --path 'journal:metrics."
	)
	t.Cleanup(func() { kubectl(t, "delete", "namespace", namespace, "--ignore-not-found", "--timeout=60s") })
	kubectlApply(t, fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: one-pod, namespace: %[1]s}
spec: {hard: {pods: "1"}}
---
apiVersion: v1
kind: Service
metadata: {name: hook, namespace: %[1]s}
spec: {selector: {app: hook}, ports: [{port: 9000}]}
`, namespace))
	// It answers after it has read the post, and takes one at a time: Alertmanager sends the others again.
	receiver := pod("hook", journalsImage(t), "{}", "sh", "-c", `while :; do { sleep 1; printf 'HTTP/1.0 200 OK\r\n\r\n'; } | nc -l -p 9000; done`)
	receiver = strings.Replace(receiver, "{name: hook}", "{name: hook, labels: {app: hook}}", 1)
	startIn(t, namespace, receiver)
	importAs(t, n, []string{image})
	said := s.mustRun(t, "echo "+url+" | "+set+"alerts.webhook' --secret && "+set+"alerts.alertmanagerImage' "+image+" && "+
		set+"alerts.for' 1 && "+set+"store.interval' 10 && "+pulumiUp)
	start := time.Now()
	eventually(t, 4*time.Minute, func() error {
		posts := kubectl(t, "logs", "hook", "--namespace", namespace)
		for _, part := range []string{"POST /e2e-token ", `"status":"firing"`, `"alertname":"QuotaNearlyFull"`, `"namespace":"` + namespace + `"`} {
			if !strings.Contains(posts, part) {
				return fmt.Errorf("no %s in what was posted:\n%s", part, posts)
			}
		}
		return nil
	})
	t.Logf("an alert is posted %s after the update", time.Since(start).Round(time.Second))
	for _, object := range []string{"pod metrics-store-0", "configmaps"} {
		if strings.Contains(kubectl(t, append([]string{"get", "--namespace", "journal-metrics", "--output", "yaml"}, strings.Fields(object)...)...), "e2e-token") {
			t.Errorf("the URL of the webhook is in %s", object)
		}
	}
	if strings.Contains(said, "e2e-token") {
		t.Error("the URL of the webhook was printed")
	}
	for _, field := range []string{"alerts.webhook", "alerts.alertmanagerImage", "alerts.for", "store.interval"} {
		s.mustRun(t, "pulumi config rm --path 'journal:metrics."+field+"'")
	}
	s.mustRun(t, pulumiUp)
	if containers := kubectl(t, "get", "pod", "metrics-store-0", "--namespace", "journal-metrics", "--output", "jsonpath={.spec.containers[*].name}"); containers != "metrics-store vmalert" {
		t.Errorf("without a webhook the store's pod has %s", containers)
	}
}
