//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"example.com/journal/components/ingress"
	"example.com/journal/stacks"
)

// chartNamespace and chartClass belong to the test's controller. The sandbox itself has a class called traefik.
const (
	chartNamespace = "e2e-traefik"
	chartClass     = "e2e-traefik"
)

// chartMetadata is the Chart.yaml of the test's chart.
var chartMetadata = `{"apiVersion": "v2", "name": "traefik", "version": "` + ingress.Defaults().Version + `"}`

// chartTemplate takes the values of Traefik's chart and requires each: a key with another name fails. The pod runs Redis on the
// port on which Traefik would listen, since the sandbox has the image of Redis.
const chartTemplate = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
  labels: {helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}}
  annotations:
    checkNewVersion: {{ required "global.checkNewVersion" .Values.global.checkNewVersion | quote }}
    sendAnonymousUsage: {{ required "global.sendAnonymousUsage" .Values.global.sendAnonymousUsage | quote }}
    arguments: {{ join " " (required "additionalArguments" .Values.additionalArguments) }}
    image: {{ required "image.tag" .Values.image.tag }}
    kinds: {{ join "," (required "providers.kubernetesCRD.namespaces" .Values.providers.kubernetesCRD.namespaces) }}
    rights: {{ required "rbac.enabled" .Values.rbac.enabled | quote }}
    watches: {{ required "providers.kubernetesIngress.ingressClass" .Values.providers.kubernetesIngress.ingressClass }}
    gateways: {{ required "gateway.enabled" .Values.gateway.enabled }} {{ required "gatewayClass.enabled" .Values.gatewayClass.enabled }} {{ required "providers.kubernetesGateway.enabled" .Values.providers.kubernetesGateway.enabled }}
    prefixes: {{ required "providers.kubernetesIngress.strictPrefixMatching" .Values.providers.kubernetesIngress.strictPrefixMatching | quote }}
    logs: {{ required "logs.general.format" .Values.logs.general.format }} {{ required "logs.access.format" .Values.logs.access.format }}
spec:
  replicas: {{ required "deployment.replicas" .Values.deployment.replicas }}
  selector: {matchLabels: {app.kubernetes.io/name: {{ .Chart.Name }}}}
  strategy:
    type: {{ required "updateStrategy.type" .Values.updateStrategy.type }}
    rollingUpdate:
      maxUnavailable: {{ required "updateStrategy.rollingUpdate.maxUnavailable" .Values.updateStrategy.rollingUpdate.maxUnavailable }}
      maxSurge: {{ required "updateStrategy.rollingUpdate.maxSurge" .Values.updateStrategy.rollingUpdate.maxSurge }}
  template:
    metadata: {labels: {app.kubernetes.io/name: {{ .Chart.Name }}}}
    spec:
      automountServiceAccountToken: false
      securityContext: {{ required "podSecurityContext" .Values.podSecurityContext | toJson }}
      topologySpreadConstraints: {{ required "topologySpreadConstraints" .Values.topologySpreadConstraints | toJson }}
      containers:
      - name: traefik
        image: {{ .Values.runs }}
        args: [redis-server, --save, "", --protected-mode, "no", --port, "{{ required "ports.web.port" .Values.ports.web.port }}"]
        lifecycle: {{ required "deployment.lifecycle" .Values.deployment.lifecycle | toJson }}
        ports:
        - {name: web, containerPort: {{ .Values.ports.web.port }}}
        - {name: websecure, containerPort: {{ required "ports.websecure.port" .Values.ports.websecure.port }}}
        readinessProbe: {tcpSocket: {port: web}, periodSeconds: 1}
        resources: {{ required "resources" .Values.resources | toJson }}
        securityContext: {{ required "securityContext" .Values.securityContext | toJson }}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}
spec:
  type: {{ required "service.type" .Values.service.type }}
  selector: {app.kubernetes.io/name: {{ .Chart.Name }}}
  ports:
{{- range $name := list "web" "websecure" }}
{{- $port := index $.Values.ports $name }}
{{- if required "expose.default" $port.expose.default }}
  - {name: {{ $name }}, port: {{ required "exposedPort" $port.exposedPort }}, targetPort: {{ $name }}}
{{- end }}
{{- end }}
{{- if .Values.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}
spec:
  maxUnavailable: {{ required "podDisruptionBudget.maxUnavailable" .Values.podDisruptionBudget.maxUnavailable }}
  selector: {matchLabels: {app.kubernetes.io/name: {{ .Chart.Name }}}}
{{- end }}
{{- if .Values.ingressClass.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: {{ required "ingressClass.name" .Values.ingressClass.name }}
  annotations:
    ingressclass.kubernetes.io/is-default-class: {{ required "ingressClass.isDefaultClass" .Values.ingressClass.isDefaultClass | quote }}
spec: {controller: journal.example.com/e2e}
{{- end }}
`

// TestIngressController installs the controller from a chart in the test's own registry, and removes it again.
func TestIngressController(t *testing.T) {
	original := originalStack(t)
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	repository := strings.TrimPrefix(server.URL, "http://") + "/charts/traefik"
	var image string // the node has it
	changedStackOf(t, original, func(config map[string]any) { image = fmt.Sprint(config["journal:redis"].(map[string]any)["image"]) })
	if err := pushChart(t.Context(), repository, image); err != nil {
		t.Fatal(err)
	}
	changed := with(t, original, map[string]any{
		"ingressController.chart":       "oci://" + repository,
		"ingressController.namespace":   chartNamespace,
		"ingressController.class":       chartClass,
		"ingressController.replicas":    3,
		"ingressController.serviceType": "ClusterIP", // nothing in the sandbox makes load balancers
	})
	if _, err := upFrom(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ object, path, want string }{
		{"namespace/" + chartNamespace, `{.metadata.labels.pod-security\.kubernetes\.io/enforce}`, "restricted"},
		{"deployment/traefik", `{.metadata.labels.helm\.sh/chart}`, "traefik-" + ingress.Defaults().Version},
		{"deployment/traefik", `{.metadata.annotations.watches}`, chartClass},
		{"deployment/traefik", `{.metadata.annotations.image}`, "v3.6.25"},
		{"deployment/traefik", `{.metadata.annotations.kinds}`, world.outputs.Namespace},
		{"deployment/traefik", `{.metadata.annotations.gateways}`, "false false false"},
		{"deployment/traefik", `{.status.readyReplicas}`, "3"},
		{"deployment/traefik", `{.spec.strategy.rollingUpdate.maxUnavailable}`, "0"},
		{"deployment/traefik", `{.spec.template.spec.containers[0].resources.limits.memory}`, "128Mi"},
		{"deployment/traefik", `{.spec.template.spec.containers[0].ports[*].containerPort}`, "8000 8443"},
		{"service/traefik", `{.spec.type}`, "ClusterIP"},
		{"service/traefik", `{.spec.ports[*].port}`, "80 443"},
		{"poddisruptionbudget/traefik", `{.spec.maxUnavailable}`, "1"},
		{"ingressclass/" + chartClass, `{.metadata.annotations.ingressclass\.kubernetes\.io/is-default-class}`, "false"},
	} {
		t.Run(c.object+" "+c.path, func(t *testing.T) {
			if got := kubectl(t, "get", c.object, "--namespace", chartNamespace, "--output", "jsonpath="+c.path); got != c.want {
				t.Errorf("is %q, want %q", got, c.want)
			}
		})
	}
	// By this field manager, an update finds the objects again after the state was lost.
	manager := stacks.FieldManager("journal", stack)
	for _, object := range []string{"namespace/" + chartNamespace, "deployment/traefik", "service/traefik", "ingressclass/" + chartClass} {
		managers := kubectl(t, "get", object, "--namespace", chartNamespace, "--show-managed-fields", "--output",
			`jsonpath={.metadata.managedFields[?(@.operation=="Apply")].manager}`)
		if managers != manager {
			t.Errorf("%s was applied by %q, want %q", object, managers, manager)
		}
	}
	if policies := kubectl(t, "get", "networkpolicies", "--namespace", world.outputs.Namespace, "--output", "json"); !strings.Contains(policies, chartNamespace) {
		t.Error("the journal's pods do not let the controller in")
	}
	if result, err := upFrom(t.Context(), changed); err != nil || len(result.Changes) > 0 {
		t.Errorf("up again changes %v (%v)", result.Changes, err)
	}

	if _, err := upFrom(t.Context(), original); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { // a namespace ends only after the objects in it
		left, err := tryKubectl("", "get", "namespace/"+chartNamespace, "ingressclass/"+chartClass, "--ignore-not-found", "--output", "name")
		if err == nil && left != "" {
			err = fmt.Errorf("these are left: %s", left)
		}
		return err
	})
}

// manifest is the manifest of a chart as a registry stores it.
type manifest []byte

// RawManifest returns its text.
func (m manifest) RawManifest() ([]byte, error) { return m, nil }

// MediaType returns the media type of an image manifest.
func (manifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// pushChart puts the chart into a registry as Helm does, with an image for it to run.
func pushChart(ctx context.Context, repository, image string) error {
	archive, err := packChart(image)
	if err != nil {
		return err
	}
	tag, err := name.NewTag(repository + ":" + ingress.Defaults().Version)
	if err != nil {
		return err
	}
	var blobs []v1.Descriptor
	for _, blob := range []v1.Layer{
		static.NewLayer([]byte(chartMetadata), "application/vnd.cncf.helm.config.v1+json"),
		static.NewLayer(archive, "application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
	} {
		descriptor, err := partial.Descriptor(blob)
		if err != nil {
			return err
		}
		if err := remote.WriteLayer(tag.Repository, blob, remote.WithContext(ctx)); err != nil {
			return err
		}
		blobs = append(blobs, *descriptor)
	}
	text, err := json.Marshal(v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: blobs[0], Layers: blobs[1:]})
	if err != nil {
		return err
	}
	return remote.Put(tag, manifest(text), remote.WithContext(ctx))
}

// packChart returns the chart as one archive.
func packChart(image string) ([]byte, error) {
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zipped)
	for _, file := range []struct{ path, text string }{
		{"Chart.yaml", chartMetadata},
		{"values.yaml", "runs: " + image + "\n"},
		{"templates/controller.yaml", chartTemplate},
	} {
		if err := archive.WriteHeader(&tar.Header{Name: "traefik/" + file.path, Mode: 0o644, Size: int64(len(file.text))}); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(archive, file.text); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	err := zipped.Close()
	return packed.Bytes(), err
}
