//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/journal/sandbox/deploy"
	"example.com/journal/sandbox/node"
)

// served are the API groups that pods serve, by the key of each. Their certificates come from Secrets here, since those that Pulumi
// makes need its state.
var served = []struct{ key, namespace, host string }{
	{"reader", "journal-reader", "reader.journal-reader.svc"},
	{"resourceMetrics", "journal-metrics-server", "metrics-server.journal-metrics-server.svc"},
}

// TestRender deploys what `make render` writes, without Pulumi.
func TestRender(t *testing.T) {
	needsNode(t, "starts a second one beside it")
	t.Run("the files are what Pulumi has made", renderedIsDeployed)
	t.Run("kubectl alone brings up the journal", kubectlAlone)
}

// rendered renders the stack of a folder, and returns the folder of the files.
func rendered(t *testing.T, project string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "rendered")
	inRepository(t, fmt.Sprintf("go run ./render --project %q --stack %s --out %q", project, stack, out))
	return out
}

// renderedIsDeployed compares the files with the cluster, after an update that takes the certificates from copies of Pulumi's Secrets.
func renderedIsDeployed(t *testing.T) {
	originalStack(t)
	certificates := map[string]map[string]any{}
	for _, s := range served {
		var made struct {
			Items []struct {
				Data map[string][]byte `json:"data"`
			} `json:"items"`
		}
		secrets := kubectl(t, "get", "secrets", "--namespace", s.namespace, "--field-selector", "type=kubernetes.io/tls", "--output", "json")
		if err := json.Unmarshal([]byte(secrets), &made); err != nil || len(made.Items) != 1 {
			t.Fatalf("%s has %d Secrets with certificates: %v", s.namespace, len(made.Items), err)
		}
		kubectlApply(t, tlsManifest(t, s.namespace, "e2e-tls", made.Items[0].Data))
		certificates[s.key] = map[string]any{"secret": "e2e-tls", "caBundle": string(made.Items[0].Data["ca.crt"])}
	}
	changed := changedStack(t, func(config map[string]any) {
		for key, certificate := range certificates {
			deploy.Override(config, "journal:"+key+".certificate", certificate)
		}
	})
	if _, err := upFrom(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	rolledOut(t)
	out := rendered(t, changed)
	// The only name that the state decides.
	for _, name := range []string{"statefulset-redis.yaml", "deployment-api.yaml"} {
		path := filepath.Join(out, world.outputs.Namespace, name)
		text := readFile(t, path)
		if !strings.Contains(text, "redis-password-1") {
			t.Fatalf("%s does not name redis-password-1", path)
		}
		text = strings.ReplaceAll(text, "redis-password-1", world.outputs.SecretNames[0])
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := tryKubectl("", "diff", "--server-side", "--force-conflicts", "--kustomize", out); err != nil { // it fails if anything differs
		t.Errorf("the cluster differs: %v\n%s", err, said)
	}
}

// kubectlAlone applies the files to an empty node, and writes an entry.
func kubectlAlone(t *testing.T) {
	second, _, httpPort := secondNode(t)
	repo := clone(t)
	values := map[string]any{"exposure.port": httpPort, "cluster.dns": []string{node.DNS}}
	var secrets strings.Builder
	for _, s := range served {
		manifest, certificate := selfSigned(t, s.namespace, "own-tls", s.host)
		values[s.key+".certificate"] = map[string]any{"secret": "own-tls", "caBundle": certificate}
		secrets.WriteString("---\n" + manifest + "\n")
	}
	setKeys(t, repo, values)
	importAs(t, second, imagesOf(t, repo))
	there := func(args ...string) {
		t.Helper()
		if text, err := second.Kubectl(t.Context(), args...).CombinedOutput(); err != nil {
			t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, text)
		}
	}
	out := rendered(t, repo)
	there("apply", "--server-side", "--kustomize", out)
	there("create", "secret", "generic", "redis-password-1", "--namespace", "journal",
		"--from-literal=api=one", "--from-literal=replica=two", "--from-literal=probe=three")
	file := filepath.Join(t.TempDir(), "secrets.yaml")
	if err := os.WriteFile(file, []byte(secrets.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	there("apply", "--filename", file)
	for _, namespace := range []string{"journal", "journal-platform", "journal-log-agent", "journal-logs", "journal-metrics", "journal-reader", "journal-metrics-server"} {
		there("rollout", "status", "deployments,statefulsets,daemonsets", "--namespace", namespace, "--timeout=3m")
	}
	there("wait", "apiservices", "--all", "--for=condition=Available", "--timeout=3m")

	web := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dialer(fmt.Sprintf("127.0.0.1:%d", httpPort))}}
	body, err := json.Marshal(map[string]string{"text": unique("Written without Pulumi.")})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { // the Ingress controller learns of the pods a little later
		response, err := web.Post(fmt.Sprintf("http://journal.localhost:%d/api/entries", httpPort), "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if text, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusCreated {
			return fmt.Errorf("an entry is answered with %d (%w): %s", response.StatusCode, err, text)
		}
		return nil
	})
	there("apply", "--server-side", "--kustomize", out) // again, without a change
}

// imagesOf returns the images of the stack in a folder.
func imagesOf(t *testing.T, repo string) []string {
	t.Helper()
	var references []string
	for line := range strings.SplitSeq(readFile(t, filepath.Join(repo, "Pulumi."+stack+".yaml")), "\n") {
		if reference, found := strings.CutPrefix(strings.TrimSpace(line), "image: "); found {
			references = append(references, reference)
		}
	}
	return references
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
