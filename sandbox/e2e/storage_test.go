//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/journal"
	"example.com/journal/components/kube"
	"example.com/journal/sandbox/node"
)

// storage grows the volumes of a Redis of its own: those of the journal could not be made small again. The node's volumes are
// folders, which have no size, so it sees what the API server accepts, and not that a volume is larger.
func storage(t *testing.T) {
	const namespace, class = "e2e-storage", "e2e-storage"
	image := kubectl(t, "get", "pod", "redis-0", "--namespace", world.outputs.Namespace, "--output", "jsonpath={.spec.containers[0].image}")
	kubectlApply(t, fmt.Sprintf(`
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: %s}
provisioner: sandbox.journal.example.com/local
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: false
---
apiVersion: v1
kind: Namespace
metadata: {name: %s}
`, class, namespace))

	args := journal.RedisArgs{
		Namespace: pulumi.String(namespace), Image: pulumi.String(image), Storage: kube.Storage{Size: "64Mi", Class: class}, Replicas: 2, DNS: kube.DNS{node.DNS},
	}
	stack := inlineStack(t, func(ctx *pulumi.Context) error {
		_, err := journal.NewRedis(ctx, "redis", &args)
		return err
	})
	up := func() error {
		_, err := stack.Up(t.Context(), optup.Color("never"), optup.SuppressProgress())
		return err
	}
	sizes := func() string {
		return kubectl(t, "get", "persistentvolumeclaims", "--namespace", namespace, "--output", "jsonpath={.items[*].spec.resources.requests.storage}")
	}
	running := func(names ...string) string { // the StatefulSet and its pods, by what a replacement changes
		return kubectl(t, append([]string{"get", "--namespace", namespace, "--output",
			"jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}"}, names...)...)
	}
	if err := up(); err != nil {
		t.Fatal(err)
	}
	if got := sizes(); got != "64Mi 64Mi" {
		t.Errorf("at first the claims have %s", got)
	}
	before := running("statefulset/redis", "pod/redis-0", "pod/redis-1")

	args.Storage.Size = "128Mi"
	if err := up(); err == nil || !strings.Contains(err.Error(), "the storageclass that provisions the pvc must support resize") {
		t.Errorf("a class that cannot grow volumes: up says %v", err)
	}
	if got := sizes(); got != "64Mi 64Mi" {
		t.Errorf("after the refusal the claims have %s", got)
	}
	kubectl(t, "patch", "storageclass", class, "--patch", `{"allowVolumeExpansion": true}`)
	if err := up(); err != nil {
		t.Error(err)
	}
	if got := sizes(); got != "128Mi 128Mi" {
		t.Errorf("grown claims have %s", got)
	}
	if after := running("statefulset/redis", "pod/redis-0", "pod/redis-1"); after != before {
		t.Errorf("volumes grew, and something was replaced:\n%s\nis now\n%s", before, after)
	}

	args.Replicas = 3
	if err := up(); err != nil {
		t.Error(err)
	}
	if got := sizes(); got != "128Mi 128Mi 128Mi" {
		t.Errorf("with another replica the claims have %s", got)
	}
	args.Replicas = 2
	if err := up(); err != nil {
		t.Error(err)
	}
	if got := sizes(); got != "128Mi 128Mi 128Mi" {
		t.Errorf("without that replica the claims, which stay, have %s", got)
	}
	// Redis knows by itself what its last update has declared.
	args.Storage.Size = "32Mi"
	if err := up(); err == nil || !strings.Contains(err.Error(), "Kubernetes shrinks none") {
		t.Errorf("a volume that would shrink: up says %v", err)
	}
}

// inlineStack returns a stack of a program on the tests' cluster, with its own state. When the test ends, it deletes what the
// stack has created.
func inlineStack(t *testing.T, program pulumi.RunFunc) auto.Stack {
	t.Helper()
	engine, err := auto.NewPulumiCommand(&auto.PulumiCommandOptions{Root: world.dir.Root()})
	if err != nil {
		t.Fatal(err)
	}
	stack, err := auto.UpsertStackInlineSource(t.Context(), "e2e", "e2e", program, auto.Pulumi(engine), auto.WorkDir(t.TempDir()), auto.EnvVars(map[string]string{
		"KUBECONFIG":                                  world.cluster.Kubeconfig(),
		"PULUMI_HOME":                                 t.TempDir(),
		"PULUMI_BACKEND_URL":                          "file://" + t.TempDir(),
		"PULUMI_CONFIG_PASSPHRASE":                    "e2e",
		"PULUMI_SKIP_UPDATE_CHECK":                    "1",
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := stack.Destroy(context.Background(), optdestroy.Color("never"), optdestroy.SuppressProgress()); err != nil {
			t.Error(err)
		}
	})
	return stack
}
