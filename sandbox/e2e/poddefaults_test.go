//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// podDefaults is a part of TestTenancy: bob is a developer of team-a, and writes no security context.
func podDefaults(t *testing.T) {
	image := tenancy.image // its user is 10001
	t.Cleanup(func() {
		_, _ = as(t, "bob", "", "delete", "deployment,pod", "--namespace", "team-a", "--selector", "app in (e2e-shop, e2e-big)", "--ignore-not-found", "--wait=false")
		_, _ = as(t, "bob", "", "delete", "pod", "e2e-bare", "e2e-root", "e2e-burst", "--namespace", "team-a", "--ignore-not-found", "--grace-period=0", "--wait=false")
	})
	for _, args := range [][]string{
		{"run", "e2e-bare", "--image", image},
		{"create", "deployment", "e2e-shop", "--image", image},
	} {
		if said := mustAs(t, "bob", "", append(args, "--namespace", "team-a")...); strings.Contains(strings.ToLower(said), "warning") {
			t.Errorf("kubectl %s warns: %s", args[0], said)
		}
	}
	mustAs(t, "bob", "", "wait", "--for=condition=Ready", "pod/e2e-bare", "--namespace", "team-a", "--timeout=3m")
	mustAs(t, "bob", "", "wait", "--for=condition=Available", "deployment/e2e-shop", "--namespace", "team-a", "--timeout=3m")
	for what, want := range map[string]string{
		"{.spec.securityContext}":               `{"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}`,
		"{.spec.containers[0].securityContext}": `{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}`,
		"{.spec.volumes}":                       "", // no token
	} {
		if got := mustAs(t, "bob", "", "get", "pod", "e2e-bare", "--namespace", "team-a", "--output", "jsonpath="+what); got != want {
			t.Errorf("%s is %s, want %s", what, got, want)
		}
	}
	for _, namespace := range []string{"team-a", "bob", world.outputs.Namespace} {
		if got := kubectl(t, "get", "serviceaccount", "default", "--namespace", namespace, "--output", "jsonpath={.automountServiceAccountToken}"); got != "false" {
			t.Errorf("the account default of %s says %q", namespace, got)
		}
	}
}

// rootImage gives the node an image that has no user, and returns its name. It has no content either: the kubelet refuses it
// before it starts anything.
func rootImage(t *testing.T) string {
	t.Helper()
	tag, err := name.NewTag("journal.example.com/e2e-root:1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: runtime.GOARCH, OS: "linux", RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{Cmd: []string{"/none"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	layer := static.NewLayer([]byte(strings.Repeat("\x00", 1024)), types.DockerUncompressedLayer) // an empty tar
	if image, err = mutate.AppendLayers(image, layer); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := tarball.WriteToFile(archive, tag, image); err != nil {
		t.Fatal(err)
	}
	if err := needsNode(t, "imports images").ImportImage(t.Context(), archive); err != nil {
		t.Fatal(err)
	}
	return tag.String()
}

// rootImages is a part of TestTenancy: an image that runs as root is let in, and the kubelet says what is wrong.
func rootImages(t *testing.T) {
	mustAs(t, "bob", "", "run", "e2e-root", "--image", rootImage(t), "--namespace", "team-a")
	t.Cleanup(func() {
		_, _ = as(t, "bob", "", "delete", "pod", "e2e-root", "--namespace", "team-a", "--ignore-not-found", "--grace-period=0", "--wait=false")
	})
	eventually(t, func() error {
		said := mustAs(t, "bob", "", "get", "pod", "e2e-root", "--namespace", "team-a", "--output", "jsonpath={.status.containerStatuses[0].state.waiting}")
		if !strings.Contains(said, "CreateContainerConfigError") || !strings.Contains(said, "runAsNonRoot") {
			return fmt.Errorf("the pod waits for %q", said)
		}
		return nil
	})
}

// overLimits is a part of TestTenancy: a Deployment over the limits is refused when it is applied.
func overLimits(t *testing.T) {
	manifest := `
apiVersion: apps/v1
kind: Deployment
metadata: {name: e2e-big}
spec:
  selector: {matchLabels: {app: e2e-big}}
  template: {metadata: {labels: {app: e2e-big}}, spec: {containers: [{name: main, image: ` + tenancy.image + `, resources: %s}]}}
`
	refused(t, "bob", fmt.Sprintf(manifest, "{limits: {memory: 3Gi}}"),
		[]string{"spec.template.spec.containers[main].resources, memory 3Gi: above the maximum of one container; write at most 2Gi"}, "apply", "--filename", "-")
	refused(t, "bob", fmt.Sprintf(manifest, "{requests: {memory: 256Mi}}"),
		[]string{"spec.template.spec.containers[main].resources.limits.memory: it is missing, and the default of 128Mi is below the request; write 256Mi or more"}, "apply", "--filename", "-")
}

// burst is a part of TestTenancy: in an idle namespace a pod uses more CPU than it requests. It counts the CPU time of a busy
// loop, which is the container's first process.
func burst(t *testing.T) {
	mustAs(t, "bob", pod("e2e-burst", tenancy.image, "{requests: {cpu: 50m}, limits: {cpu: 500m}}", "sh", "-c", "while :; do :; done"), "create", "--namespace", "team-a", "--filename", "-")
	t.Cleanup(func() {
		_, _ = as(t, "bob", "", "delete", "pod", "e2e-burst", "--namespace", "team-a", "--ignore-not-found", "--grace-period=0", "--wait=false")
	})
	mustAs(t, "bob", "", "wait", "--for=condition=Ready", "pod/e2e-burst", "--namespace", "team-a", "--timeout=3m")
	used := func() time.Duration {
		said := mustAs(t, "bob", "", "exec", "e2e-burst", "--namespace", "team-a", "--", "cat", "/proc/1/stat")
		_, rest, _ := strings.Cut(said, ") ")
		fields := append(strings.Fields(rest), make([]string, 12)...)
		ticks, err := strconv.Atoi(fields[11]) // the 14th field of all: time in user mode
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		return time.Duration(ticks) * time.Second / 100
	}
	start, before := time.Now(), used()
	time.Sleep(5 * time.Second)
	share := float64(used()-before) / float64(time.Since(start))
	t.Logf("a pod that requests 0.05 CPUs uses %.2f", share)
	if share < 0.1 {
		t.Errorf("it uses %.2f CPUs, not even twice its request", share)
	}
}
