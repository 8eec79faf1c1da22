//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/journal/sandbox/node"
)

// webhook types how a person has alerts posted with Pulumi, to NGINX, which prints what it is sent. NGINX's own namespace has an alert:
// its quota has room for one pod.
func webhook(t *testing.T, s *shell, n *node.Node) {
	t.Helper()
	const (
		namespace = "e2e-webhook"
		url       = "http://hook." + namespace + ".svc:9000/e2e-token"
		image     = "registry.example.com/team-a/alertmanager:v0.25.0"
		set       = "pulumi config set --path 'journal:metrics."
	)
	t.Cleanup(func() { kubectl(t, "delete", "namespace", namespace, "--ignore-not-found", "--timeout=3m") })
	nginx := kubectl(t, "get", "deployment", "frontend", "--namespace", world.outputs.Namespace,
		"--output", "jsonpath={.spec.template.spec.containers[0].image}")
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
kind: ConfigMap
metadata: {name: hook, namespace: %[1]s}
data:
  nginx.conf: |
    pid /tmp/nginx.pid;
    error_log stderr;
    events {}
    http {
      client_body_temp_path /tmp/client_body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
      uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
      log_format posts escape=none '$request $request_body';
      access_log off;
      # NGINX has read the body of a request that it forwards.
      server { listen 9000; client_body_buffer_size 1m; access_log /dev/stdout posts; location / { proxy_pass http://127.0.0.1:9001; } }
      server { listen 9001; return 200; }
    }
---
apiVersion: v1
kind: Service
metadata: {name: hook, namespace: %[1]s}
spec: {selector: {app: hook}, ports: [{port: 9000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hook, namespace: %[1]s}
spec:
  selector: {matchLabels: {app: hook}}
  template:
    metadata: {labels: {app: hook}}
    spec:
      containers:
      - name: main
        image: %[2]s
        command: [/usr/sbin/nginx, -e, stderr, -g, daemon off;, -c, /config/nginx.conf]
        securityContext: {runAsNonRoot: true, runAsUser: 10001, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
        volumeMounts: [{name: config, mountPath: /config}]
      volumes: [{name: config, configMap: {name: hook}}]
`, namespace, nginx))
	kubectl(t, "rollout", "status", "deployment/hook", "--namespace", namespace, "--timeout=3m")
	t.Cleanup(func() {
		if t.Failed() {
			said, _ := tryKubectl("", "logs", "metrics-store-0", "--namespace", "journal-metrics", "--all-containers", "--prefix", "--tail=20")
			t.Log(said)
		}
	})
	importAs(t, n, []string{image})
	said := s.mustRun(t, "echo "+url+" | "+set+"alerts.webhook' --secret && "+set+"alerts.alertmanagerImage' "+image+" && "+
		set+"alerts.for' 1 && "+set+"store.interval' 10 && "+pulumiUp)
	start := time.Now()
	eventuallyWithin(t, 4*time.Minute, func() error {
		posts := kubectl(t, "logs", "deployment/hook", "--namespace", namespace)
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
