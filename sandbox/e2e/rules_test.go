//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"example.com/journal/sandbox/deploy"
)

// The users of the table, with their groups. The stack that the tests bring up gives them their roles in team-a. The owners of
// the journal have theirs in any stack.
const (
	ownerAlice      = "alice"          // owner
	developerBob    = "bob"            // developer
	developerDan    = "dan"            // another developer
	viewerVera      = "vera"           // viewer
	memberErin      = "erin guild"     // developer by her group
	journalsCarol   = "carol platform" // owner of the journal's namespace by her group
	somebodyMallory = "mallory"        // nobody
	admin           = "admin"          // whoever has the administrator's kubeconfig
	robot           = "system:serviceaccount:team-a:robot guild"
	collector       = "system:serviceaccount:kube-system:generic-garbage-collector system:serviceaccounts:kube-system"
	cleaner         = "system:serviceaccount:kube-system:namespace-controller system:serviceaccounts:kube-system"
)

// The namespaces of the table. One allows its tenant more than the rules do, and one sets no hosts.
const (
	team      = "team-a"
	permitted = "e2e-permitted"
	silent    = "e2e-silent"
)

// row is one request of the table: a user does something to an object, and the API server allows it or refuses it with a message.
type row struct {
	who, verb string
	object    string // a manifest, or the kind and the name of an object that is there, and a subresource
	change    string // a merge patch, or the options of a deletion
	says      string // empty for what is let through
}

// resources are the kinds of the table.
var resources = map[string]schema.GroupVersionResource{
	"Pod":                   {Version: "v1", Resource: "pods"},
	"Eviction":              {Version: "v1", Resource: "pods"},
	"ServiceAccount":        {Version: "v1", Resource: "serviceaccounts"},
	"TokenRequest":          {Version: "v1", Resource: "serviceaccounts"},
	"Service":               {Version: "v1", Resource: "services"},
	"Secret":                {Version: "v1", Resource: "secrets"},
	"ConfigMap":             {Version: "v1", Resource: "configmaps"},
	"Endpoints":             {Version: "v1", Resource: "endpoints"},
	"PersistentVolumeClaim": {Version: "v1", Resource: "persistentvolumeclaims"},
	"ReplicationController": {Version: "v1", Resource: "replicationcontrollers"},
	"EndpointSlice":         {Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"},
	"Deployment":            {Group: "apps", Version: "v1", Resource: "deployments"},
	"StatefulSet":           {Group: "apps", Version: "v1", Resource: "statefulsets"},
	"DaemonSet":             {Group: "apps", Version: "v1", Resource: "daemonsets"},
	"Job":                   {Group: "batch", Version: "v1", Resource: "jobs"},
	"CronJob":               {Group: "batch", Version: "v1", Resource: "cronjobs"},
	"Ingress":               {Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"},
	"NetworkPolicy":         {Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"},
	"HTTPRoute":             {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"},
	"GRPCRoute":             {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "grpcroutes"},
	"Gateway":               {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"},
	"ListenerSet":           {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "listenersets"},
	"TCPRoute":              {Group: "gateway.networking.k8s.io", Version: "v1alpha2", Resource: "tcproutes"},
	"NamespaceClaim":        {Group: "journal.example.com", Version: "v1alpha1", Resource: "namespaceclaims"},
	"Budget":                {Group: "journal.example.com", Version: "v1alpha1", Resource: "budgets"},
}

// TestRules sends the API server requests that RBAC allows and the stack's rules refuse, and requests that both allow.
func TestRules(t *testing.T) {
	prepare(t)
	t.Run("what may stand in an object is held to the namespace, whoever asks", table)
	t.Run("roles that a vendor labels are no part of a tenant's", vendors)
}

// prepare brings up the stack with the table's users and tenants, and creates the objects that the table changes and deletes.
func prepare(t *testing.T) {
	t.Helper()
	original := originalStack(t)
	repo := changedStackOf(t, original, func(config map[string]any) {
		tenants, _ := config["journal:tenants"].([]any)
		for _, tenant := range tenants {
			if tenant := tenant.(map[string]any); tenant["name"] == team {
				tenant["deployer"] = true
				tenant["members"] = map[string]any{
					"developers": []any{"user:bob", "user:dan", "group:guild"}, "viewers": []any{"user:vera"},
				}
			}
		}
		registries := []any{"journal.example.com", "registry.example.com", "docker.io/library"}
		if own := os.Getenv(registryVariable); own != "" {
			registries = append(registries, own)
		}
		deploy.Override(config, "journal:cluster.imagePolicy.registries", registries)
		config["journal:tenants"] = append(tenants, map[string]any{
			"name": permitted, "owner": "user:alice", "contact": "alice@example.com", "unprotected": true,
			"hosts": []any{"*.e2e-permitted.localhost", "shop.example.com"}, "certificates": true, "tolerations": []any{"example.com/gpu"},
		}, map[string]any{
			"name": sleeping, "owner": "user:alice", "contact": "alice@example.com", "unprotected": true, "suspended": true,
			"members": map[string]any{"developers": []any{"user:bob"}},
		})
	})
	if _, err := upFrom(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	kubectlApply(t, definition("ListenerSet", "v1")+definition("TCPRoute", "v1alpha2")+`
{apiVersion: v1, kind: Namespace, metadata: {name: e2e-silent, labels: {journal.example.com/tenant: alice}}}
---
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: e2e-high}, value: 1000}
---
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: e2e-low}, value: -1000}
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: e2e-nothing}, provisioner: example.com/nothing}
---
{apiVersion: v1, kind: Service, metadata: {name: e2e-web, namespace: team-a}, spec: {selector: {app: web}, ports: [{port: 80}]}}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: e2e-web, namespace: team-a}, spec: {rules: [{host: web.team-a.localhost, http: `+paths+`}]}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: e2e-pending, namespace: team-a},
  spec: {storageClassName: e2e-nothing, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}
---
`+workload("Deployment", "e2e-web", "")+`
---
`+strings.Replace(pod("e2e-there", journalsImage(t), "{}"), "metadata: {", "metadata: {namespace: team-a, ", 1))
	kubectl(t, "wait", "--for=condition=Established", "crd/listenersets.gateway.networking.k8s.io", "crd/tcproutes.gateway.networking.k8s.io", "--timeout=30s")
	kubectl(t, "wait", "--for=condition=Ready", "pod/e2e-there", "--namespace", team, "--timeout=3m")
	if _, err := tryKubectl(claimManifest("bob", "e2e-bobs", "1h"), "apply", "--filename", "-", "--as", "bob"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kubectl(t, "delete", "namespaceclaim", "e2e-bobs", "--namespace", team, "--ignore-not-found") })
}

const (
	exactImage = "registry.example.com/app:1.2.3"
	paths      = `{paths: [{path: /, pathType: Prefix, backend: {service: {name: e2e-web, port: {number: 80}}}}]}`
)

// manifestOf returns an object of team-a. Its fields are YAML.
func manifestOf(apiVersion, kind, name, fields string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: team-a}\n%s\n", apiVersion, kind, name, fields)
}

// podOf returns the spec of a pod that meets the restricted Pod Security Standard, with further fields of the container and of
// the pod.
func podOf(container, pod string) string {
	if !strings.Contains(container, "image:") {
		container = strings.TrimSuffix("image: "+exactImage+", "+container, ", ")
	}
	return fmt.Sprintf(`{containers: [{name: main, %s, securityContext: {runAsNonRoot: true, runAsUser: 10001, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, `+
		`seccompProfile: {type: RuntimeDefault}}}], %s}`, container, pod)
}

// workload is an object that makes pods with these fields, of which none is made.
func workload(kind, name, pod string) string {
	template := "{metadata: {labels: {app: web}}, spec: " + podOf("", pod) + "}"
	selected := "selector: {matchLabels: {app: web}}, template: " + template
	once := "{metadata: {labels: {app: web}}, spec: " + podOf("", strings.TrimPrefix("restartPolicy: Never, "+pod, ", ")) + "}"
	switch kind {
	case "DaemonSet":
		return manifestOf("apps/v1", kind, name, "spec: {"+selected+"}")
	case "Job":
		return manifestOf("batch/v1", kind, name, "spec: {suspend: true, template: "+once+"}")
	case "CronJob":
		return manifestOf("batch/v1", kind, name, `spec: {schedule: "0 0 1 1 *", jobTemplate: {spec: {template: `+once+"}}}")
	case "ReplicationController":
		return manifestOf("v1", kind, name, "spec: {replicas: 0, selector: {app: web}, template: "+template+"}")
	case "StatefulSet":
		selected = "serviceName: web, " + selected
	}
	return manifestOf("apps/v1", kind, name, "spec: {replicas: 0, "+selected+"}")
}

// The rest are manifests by what differs between the rows.
func ingressOf(spec string) string {
	return manifestOf("networking.k8s.io/v1", "Ingress", "e2e-row", "spec: "+spec)
}
func host(name string) string {
	return ingressOf(fmt.Sprintf("{rules: [{host: %q, http: %s}]}", name, paths))
}
func annotated(manifest, annotation, value string) string {
	return strings.Replace(manifest, "namespace: team-a}", fmt.Sprintf("namespace: team-a, annotations: {%s: %q}}", annotation, value), 1)
}
func finalizing(manifest, finalizer string) string {
	return strings.Replace(manifest, "namespace: team-a}", "namespace: team-a, finalizers: ["+finalizer+"]}", 1)
}
func ordered(annotation, value string) string {
	return annotated(host("app.team-a.localhost"), annotation, value)
}
func within(namespace, manifest string) string {
	return strings.ReplaceAll(strings.ReplaceAll(manifest, "namespace: team-a", "namespace: "+namespace), "team-a.localhost", namespace+".localhost")
}
func service(spec string) string { return manifestOf("v1", "Service", "e2e-row", "spec: "+spec) }
func podWith(fields string) string {
	return manifestOf("v1", "Pod", "e2e-row", "spec: "+podOf("", fields))
}
func podWithImage(image string) string {
	return manifestOf("v1", "Pod", "e2e-row", "spec: "+podOf(fmt.Sprintf("image: %q", image), ""))
}
func volume(fields string) string {
	return manifestOf("v1", "PersistentVolumeClaim", "e2e-row", "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}, "+fields+"}")
}
func gatewayOf(listener, spec string) string {
	return manifestOf("gateway.networking.k8s.io/v1", "Gateway", "e2e-row", "spec: {gatewayClassName: traefik, listeners: [{name: http, protocol: HTTP, port: 80, "+listener+"}], "+spec+"}")
}
func listeners(listener, parent string) string {
	return manifestOf("gateway.networking.k8s.io/v1", "ListenerSet", "e2e-row", "spec: {parentRef: {"+parent+"}, listeners: [{name: http, protocol: HTTP, port: 80, "+listener+"}]}")
}

// definition returns a CRD of the Gateway API that Traefik does not install. It does not validate fields.
func definition(kind, version string) string {
	plural := strings.ToLower(kind) + "s"
	return fmt.Sprintf(`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition,
  metadata: {name: %[2]s.gateway.networking.k8s.io, annotations: {api-approved.kubernetes.io: "https://github.com/kubernetes-sigs/gateway-api"}},
  spec: {group: gateway.networking.k8s.io, scope: Namespaced, names: {kind: %[1]s, plural: %[2]s},
    versions: [{name: %[3]s, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}
---
`, kind, plural, version)
}
func route(kind, hosts, parent, rule string) string {
	return manifestOf("gateway.networking.k8s.io/v1", kind, "e2e-row", fmt.Sprintf("spec: {hostnames: [%s], parentRefs: [{%s}], rules: [{%s}]}", hosts, parent, rule))
}

// rows is the table.
func rows() []row {
	digest := "registry.example.com/app@sha256:" + strings.Repeat("0a", 32)
	const (
		service80   = "{selector: {app: web}, ports: [{port: 80}]}"
		notAHost    = "not a host of this namespace; write a host within *.team-a.localhost"
		everyHost   = "without a host it answers for every host"
		anOrder     = "an order to a controller that all tenants share"
		certificate = "controllers keep all certificates in one store"
		evicts      = "above the priority of tenants, 0"
		changes     = "its content can change under the same name"
		elsewhere   = "not of a registry that tenants may use"
		year        = `{"gracePeriodSeconds": 31536000}`
		there       = "may hold what somebody left"
		theirs      = "it belongs to bob; ask them"
		own         = "hostname: app.team-a.localhost"
	)
	everything := []row{
		// Hosts of Ingresses.
		{developerBob, "create", host("app.team-a.localhost"), "", ""},
		{ownerAlice, "create", host("app.team-a.localhost"), "", ""},
		{memberErin, "create", host("a.b.team-a.localhost"), "", ""},
		{developerBob, "create", host("*.team-a.localhost"), "", ""},
		{developerBob, "create", host("*.b.team-a.localhost"), "", ""},
		{developerBob, "create", ingressOf(`{rules: [{host: a.team-a.localhost, http: ` + paths + `}], tls: [{hosts: [a.team-a.localhost]}]}`), "", ""},
		{journalsCarol, "create", strings.ReplaceAll(host("journal.localhost"), "team-a", "journal"), "", ""},
		{ownerAlice, "create", within(permitted, host("shop.example.com")), "", ""},
		{developerBob, "create", host("journal.localhost"), "", `spec.rules or spec.tls, host "journal.localhost": ` + notAHost},
		{ownerAlice, "create", host("journal.localhost"), "", notAHost},
		{memberErin, "create", host("journal.localhost"), "", notAHost},
		{admin, "create", host("journal.localhost"), "", notAHost},
		{developerBob, "create", host("app.alice.localhost"), "", notAHost},
		{developerBob, "create", host("team-a.localhost"), "", notAHost},
		{developerBob, "create", host("not-team-a.localhost"), "", notAHost},
		{developerBob, "create", host("app.team-a.localhost.example.com"), "", notAHost},
		{developerBob, "create", host("*.localhost"), "", notAHost},
		{developerBob, "create", host("shop.example.com"), "", notAHost},
		{developerBob, "create", host(""), "", everyHost},
		{developerBob, "create", ingressOf(`{rules: [{http: ` + paths + `}]}`), "", everyHost},
		{developerBob, "create", ingressOf(`{rules: [{host: a.team-a.localhost, http: ` + paths + `}, {host: journal.localhost, http: ` + paths + `}]}`), "", notAHost},
		{developerBob, "create", ingressOf(`{rules: [{host: a.team-a.localhost, http: ` + paths + `}], tls: [{hosts: [journal.localhost]}]}`), "", notAHost},
		{developerBob, "create", ingressOf(`{defaultBackend: {service: {name: e2e-web, port: {number: 80}}}}`), "", "spec.defaultBackend: it answers for every host"},
		{developerBob, "create", ingressOf(`{defaultBackend: {service: {name: e2e-web, port: {number: 80}}}, rules: [{host: a.team-a.localhost, http: ` + paths + `}]}`), "", "spec.defaultBackend"},
		{journalsCarol, "create", strings.ReplaceAll(host("other.localhost"), "team-a", "journal"), "", "write a host within journal.localhost"},
		{admin, "create", strings.ReplaceAll(host("app.e2e-silent.localhost"), "team-a", silent), "", "this namespace has no hosts"},
		{developerBob, "patch", "Ingress/e2e-web", `{"spec":{"rules":[{"host":"journal.localhost"}]}}`, notAHost},
		{developerBob, "patch", "Ingress/e2e-web", `{"metadata":{"labels":{"a":"b"}}}`, ""},

		// Orders to controllers, and certificates.
		{developerBob, "create", ordered("example.com/contact", "bob"), "", ""},
		{developerBob, "create", ordered("kubernetes.io/ingress.class", "traefik"), "", ""},
		{developerBob, "create", ordered("traefik.ingress.kubernetes.io/router.entrypoints", "web,websecure"), "", ""},
		{developerBob, "create", ordered("traefik.ingress.kubernetes.io/router.tls", "true"), "", ""},
		{developerBob, "create", ordered("traefik.ingress.kubernetes.io/router.middlewares", "team-a-headers@kubernetescrd"), "", ""},
		{developerBob, "create", ordered("traefik.ingress.kubernetes.io/router.pathmatcher", "PathPrefix(`/`) || Host(`journal.localhost`) || Path"), "", anOrder},
		{ownerAlice, "create", ordered("traefik.ingress.kubernetes.io/router.pathmatcher", "Path"), "", anOrder},
		{developerBob, "create", ordered("traefik.ingress.kubernetes.io/router.middlewares", "journal-exposure-redirect@kubernetescrd"), "", anOrder},
		{developerBob, "create", ordered("traefik.ingress.kubernetes.io/router.middlewares", "team-a-headers@kubernetescrd,journal-x@kubernetescrd"), "", anOrder},
		{developerBob, "create", ordered("traefik.ingress.kubernetes.io/router.middlewares", "team-a-auth@file"), "", anOrder},
		{developerBob, "create", ordered("traefik.ingress.kubernetes.io/router.entrypoints", "traefik"), "", anOrder},
		{developerBob, "create", ordered("traefik.ingress.kubernetes.io/router.priority", "1000000"), "", anOrder},
		{developerBob, "create", ordered("traefik.ingress.kubernetes.io/router.tls.options", "journal-options@kubernetescrd"), "", anOrder},
		{developerBob, "create", ordered("Traefik.Ingress.kubernetes.io/router.pathmatcher", "Path"), "", anOrder},
		{developerBob, "create", ordered("nginx.ingress.kubernetes.io/server-alias", "journal.localhost"), "", anOrder},
		{developerBob, "create", ordered("nginx.ingress.kubernetes.io/configuration-snippet", "return 200;"), "", anOrder},
		{developerBob, "create", ordered("nginx.org/server-snippets", "return 200;"), "", anOrder},
		{developerBob, "create", ordered("haproxy.org/backend-config-snippet", "x"), "", anOrder},
		{developerBob, "create", ordered("konghq.com/host-aliases", "journal.localhost"), "", anOrder},
		{developerBob, "create", ordered("alb.ingress.kubernetes.io/group.name", "journal"), "", anOrder},
		{developerBob, "create", ordered("kubernetes.io/ingress.global-static-ip-name", "journal"), "", anOrder},
		{developerBob, "create", ordered("external-dns.alpha.kubernetes.io/hostname", "journal.example.com"), "", anOrder},
		{developerBob, "create", ordered("dns.alpha.kubernetes.io/external", "journal.example.com"), "", anOrder},
		{developerBob, "create", ordered("beta.cloud.google.com/backend-config", "x"), "", anOrder},
		{developerBob, "create", ordered("kubernetes.azure.com/tls-cert-keyvault-uri", "x"), "", anOrder},
		{developerBob, "create", ordered("app.kubernetes.io/managed-by", "Helm"), "", ""},
		{developerBob, "create", ordered("meta.helm.sh/release-name", "web"), "", ""},
		{developerBob, "create", ordered("argocd.argoproj.io/sync-wave", "1"), "", ""},
		{developerBob, "create", ordered("cert-manager.io/cluster-issuer", "letsencrypt"), "", anOrder},
		{ownerAlice, "create", within(permitted, ordered("cert-manager.io/cluster-issuer", "letsencrypt")), "", ""},
		{ownerAlice, "create", within(permitted, ordered("cert-manager.io/common-name", "journal.localhost")), "", anOrder},
		{developerBob, "patch", "Ingress/e2e-web", `{"metadata":{"annotations":{"traefik.ingress.kubernetes.io/router.pathmatcher":"Path"}}}`, anOrder},
		{developerBob, "create", ingressOf(`{rules: [{host: a.team-a.localhost, http: ` + paths + `}], tls: [{hosts: [a.team-a.localhost], secretName: mine}]}`), "", `spec.tls, secretName "mine": ` + certificate},
		{ownerAlice, "create", within(permitted, ingressOf(`{rules: [{host: a.team-a.localhost, http: `+paths+`}], tls: [{hosts: [a.team-a.localhost], secretName: mine}]}`)), "", ""},

		// The Gateway API.
		{admin, "create", gatewayOf(own, ""), "", ""},
		{admin, "create", gatewayOf(`hostname: "*.team-a.localhost"`, ""), "", ""},
		{admin, "create", route("HTTPRoute", "app.team-a.localhost", "name: e2e-row", "backendRefs: [{name: e2e-web, port: 80}]"), "", ""},
		{admin, "create", route("GRPCRoute", "app.team-a.localhost", "name: e2e-row", "backendRefs: [{name: e2e-web, port: 80}]"), "", ""},
		{admin, "create", gatewayOf("hostname: journal.localhost", ""), "", "spec.listeners, hostname \"journal.localhost\": " + notAHost},
		{admin, "create", gatewayOf("", ""), "", everyHost},
		{admin, "create", gatewayOf(own, "addresses: [{value: 10.0.0.1}]"), "", "spec.addresses and spec.infrastructure"},
		{admin, "create", gatewayOf(own, "infrastructure: {annotations: {a: b}}"), "", "spec.addresses and spec.infrastructure"},
		{admin, "create", strings.Replace(gatewayOf(own+", tls: {certificateRefs: [{name: mine}]}", ""), "protocol: HTTP,", "protocol: HTTPS,", 1), "", certificate},
		{admin, "create", within(permitted, strings.Replace(gatewayOf(own+", tls: {certificateRefs: [{name: mine}]}", ""), "protocol: HTTP,", "protocol: HTTPS,", 1)), "", ""},
		{admin, "create", within(permitted, strings.Replace(gatewayOf(own+", tls: {certificateRefs: [{name: theirs, namespace: journal}]}", ""), "protocol: HTTP,", "protocol: HTTPS,", 1)), "", "a Secret of the Gateway's own namespace"},
		{admin, "create", annotated(gatewayOf(own, ""), "external-dns.alpha.kubernetes.io/target", "10.0.0.1"), "", anOrder},
		{admin, "create", route("HTTPRoute", "journal.localhost", "name: e2e-row", ""), "", "spec.hostnames \"journal.localhost\": " + notAHost},
		{admin, "create", route("HTTPRoute", "", "name: e2e-row", ""), "", everyHost},
		{admin, "create", route("HTTPRoute", "app.team-a.localhost", "name: exposure, namespace: journal", ""), "", `spec.parentRefs "journal/exposure": a route attaches to a Gateway of its own namespace`},
		{admin, "create", route("HTTPRoute", "app.team-a.localhost", `name: e2e-web, kind: Service, group: ""`, ""), "", "a route attaches to a Gateway"},
		{admin, "create", route("HTTPRoute", "app.team-a.localhost", "name: e2e-row", "backendRefs: [{name: api, namespace: journal, port: 80}]"), "", `spec.rules, backendRef "journal/api": a route leads to a Service of its own namespace`},
		{admin, "create", route("HTTPRoute", "app.team-a.localhost", "name: e2e-row", "backendRefs: [{name: api@internal, kind: TraefikService, group: traefik.io}]"), "", "a route leads to a Service"},
		{admin, "create", route("HTTPRoute", "app.team-a.localhost", "name: e2e-row", "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: api, namespace: journal, port: 80}}}]"), "", "a route leads to a Service"},
		{admin, "create", route("GRPCRoute", "journal.localhost", "name: e2e-row", ""), "", notAHost},
		{admin, "create", annotated(route("HTTPRoute", "app.team-a.localhost", "name: e2e-row", ""), "external-dns.alpha.kubernetes.io/hostname", "journal.example.com"), "", anOrder},
		{admin, "create", listeners(own, "name: e2e-row"), "", ""},
		{admin, "create", listeners("hostname: journal.localhost", "name: e2e-row"), "", notAHost},
		{admin, "create", listeners(own, "name: exposure, namespace: journal"), "", "spec.parentRef: listeners are added to a Gateway of their own namespace"},
		{admin, "create", manifestOf("gateway.networking.k8s.io/v1alpha2", "TCPRoute", "e2e-row", "spec: {parentRefs: [{name: e2e-row}]}"), "", everyHost},

		// Services.
		{developerBob, "create", service(service80), "", ""},
		{developerBob, "create", service("{clusterIP: None, selector: {app: web}, ports: [{port: 80}]}"), "", ""},
		{developerBob, "create", service("{ports: [{port: 80}]}"), "", ""},
		{developerBob, "create", annotated(service(service80), "service.beta.kubernetes.io/aws-load-balancer-internal", "true"), "", ""},
		{developerBob, "patch", "Service/e2e-web", `{"spec":{"ports":[{"port":81}]}}`, ""},
		{developerBob, "create", service("{externalIPs: [192.0.2.1], ports: [{port: 80}]}"), "", `spec.externalIPs "192.0.2.1": the cluster would send what goes to that address to these pods`},
		{ownerAlice, "create", service("{externalIPs: [10.96.0.1], ports: [{port: 443}]}"), "", "spec.externalIPs"},
		{developerBob, "patch", "Service/e2e-web", `{"spec":{"externalIPs":["192.0.2.1"]}}`, "spec.externalIPs"},
		{developerBob, "create", service("{type: ExternalName, externalName: api.journal.svc.cluster.local}"), "", `spec.type "ExternalName"`},
		{developerBob, "patch", "Service/e2e-web", `{"spec":{"type":"ExternalName","externalName":"example.com"}}`, `spec.type "ExternalName"`},
		{developerBob, "create", service("{type: LoadBalancer, loadBalancerIP: 192.0.2.1, ports: [{port: 80}]}"), "", `spec.loadBalancerIP "192.0.2.1"`},
		{developerBob, "create", annotated(service(service80), "metallb.universe.tf/loadBalancerIPs", "192.0.2.1"), "", anOrder},
		{developerBob, "create", annotated(service(service80), "lbipam.cilium.io/ips", "192.0.2.1"), "", anOrder},
		{developerBob, "create", annotated(service(service80), "external-dns.alpha.kubernetes.io/hostname", "journal.example.com"), "", anOrder},
		{developerBob, "create", annotated(service(service80), "traefik.ingress.kubernetes.io/service.serverstransport", "journal-x@kubernetescrd"), "", anOrder},
		{developerBob, "create", manifestOf("v1", "Endpoints", "e2e-row", "subsets: [{addresses: [{ip: 192.0.2.1}], ports: [{port: 80}]}]"), "", "cannot create resource"},
		{developerBob, "create", manifestOf("discovery.k8s.io/v1", "EndpointSlice", "e2e-row", "addressType: IPv4\nendpoints: [{addresses: [192.0.2.1]}]"), "", "cannot create resource"},

		// Where pods run, and which gives way.
		{developerBob, "create", podWith(""), "", ""},
		{developerBob, "create", podWith("priorityClassName: e2e-low"), "", ""},
		{developerBob, "create", podWith("schedulerName: default-scheduler"), "", ""},
		{developerBob, "create", podWith("nodeSelector: {kubernetes.io/os: linux}"), "", ""},
		{developerBob, "create", podWith("terminationGracePeriodSeconds: 600"), "", ""},
		{developerBob, "create", podWith("tolerations: [{key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute}]"), "", ""},
		{ownerAlice, "create", within(permitted, podWith("tolerations: [{key: example.com/gpu, operator: Exists}]")), "", ""},
		{journalsCarol, "create", within("journal", podWith("priorityClassName: journal-application")), "", ""},
		{developerBob, "create", podWith("priorityClassName: system-node-critical"), "", `spec.priorityClassName "system-node-critical": ` + evicts},
		{ownerAlice, "create", podWith("priorityClassName: system-cluster-critical"), "", evicts},
		{admin, "create", podWith("priorityClassName: system-cluster-critical"), "", evicts},
		{developerBob, "create", podWith("priorityClassName: journal-platform"), "", evicts},
		{developerBob, "create", podWith("priorityClassName: journal-application"), "", evicts},
		{developerBob, "create", podWith("priorityClassName: e2e-high"), "", evicts},
		{journalsCarol, "create", within("journal", podWith("priorityClassName: journal-platform")), "", evicts},
		{journalsCarol, "create", within("journal", podWith("priorityClassName: system-node-critical")), "", evicts},
		{developerBob, "create", podWith("nodeName: node"), "", `spec.nodeName "node": it goes past the scheduler`},
		{developerBob, "create", podWith("tolerations: [{operator: Exists}]"), "", "without a key it tolerates every taint"},
		{developerBob, "create", podWith("tolerations: [{key: node-role.kubernetes.io/control-plane, operator: Exists}]"), "", "that taint keeps tenants off a node"},
		{developerBob, "create", podWith("tolerations: [{key: example.com/gpu, operator: Exists}]"), "", `spec.tolerations, key "example.com/gpu"`},
		{ownerAlice, "create", within(permitted, podWith("tolerations: [{operator: Exists}]")), "", "without a key"},
		{developerBob, "create", podWith("schedulerName: mine"), "", `spec.schedulerName "mine"`},
		{developerBob, "create", podWith("terminationGracePeriodSeconds: 601"), "", "spec.terminationGracePeriodSeconds 601: a namespace cannot end before its pods do; write 600 or less"},
		{developerBob, "create", podWith("terminationGracePeriodSeconds: 31536000"), "", "terminationGracePeriodSeconds"},
		{developerBob, "patch", "Pod/e2e-there", tolerant, "without a key"},
		{developerBob, "patch", "Pod/e2e-there", `{"metadata":{"labels":{"a":"b"}}}`, ""},
		{developerBob, "delete", "Pod/e2e-there", year, "gracePeriodSeconds 31536000: a namespace cannot end before its pods do"},
		{developerBob, "deletecollection", "Pod/e2e-there", year, "gracePeriodSeconds 31536000"},
		{developerBob, "deletecollection", "Pod/e2e-there", `{}`, ""},
		{developerBob, "delete", "Pod/e2e-there", `{"gracePeriodSeconds": 60}`, ""},
		{developerBob, "delete", "Pod/e2e-there", `{}`, ""},
		{developerBob, "create", manifestOf("policy/v1", "Eviction", "e2e-there", "deleteOptions: "+year), "", "gracePeriodSeconds 31536000"},
		{developerBob, "create", manifestOf("policy/v1", "Eviction", "e2e-there", "deleteOptions: {}"), "", ""},
		{developerBob, "create", workload("Deployment", "e2e-row", "runtimeClassName: other"), "", `spec.template.spec.runtimeClassName "other"`},
		{developerBob, "create", workload("Deployment", "e2e-row", "nodeName: node"), "", `spec.template.spec.nodeName "node"`},
		{developerBob, "create", workload("CronJob", "e2e-row", "priorityClassName: system-node-critical"), "", `spec.jobTemplate.spec.template.spec.priorityClassName "system-node-critical"`},
		{developerBob, "create", workload("StatefulSet", "e2e-row", "tolerations: [{operator: Exists}]"), "", "spec.template.spec.tolerations"},
		{developerBob, "create", workload("DaemonSet", "e2e-row", "priorityClassName: journal-application"), "", "spec.template.spec.priorityClassName"},
		{developerBob, "create", workload("Job", "e2e-row", "schedulerName: mine"), "", "spec.template.spec.schedulerName"},
		{developerBob, "create", workload("ReplicationController", "e2e-row", "priorityClassName: system-node-critical"), "", "spec.template.spec.priorityClassName"},
		{developerBob, "patch", "Deployment/e2e-web", `{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":31536000}}}}`, "spec.template.spec.terminationGracePeriodSeconds"},
		{developerBob, "patch", "Deployment/e2e-web", `{"spec":{"replicas":1}}`, ""},

		// Images.
		{developerBob, "create", podWithImage("docker.io/library/redis:7.4.2"), "", ""},
		{developerBob, "create", podWithImage(digest), "", ""},
		{developerBob, "create", podWith("volumes: [{name: data, image: {reference: " + digest + "}}]"), "", ""},
		{developerBob, "create", podWithImage("redis:7.4.2"), "", ""},
		{developerBob, "create", podWithImage("somebody/redis:7.4.2"), "", `image "somebody/redis:7.4.2": not of a registry that tenants may use; write an image of journal.example.com, registry.example.com, docker.io/library`},
		{developerBob, "create", podWithImage("registry.example.com.example.net/app:1.2.3"), "", elsewhere},
		{developerBob, "create", podWithImage("registry.example.com:5000/app:1.2.3"), "", elsewhere},
		{developerBob, "create", podWithImage("docker.io/library/../somebody/redis:7.4.2"), "", changes},
		{developerBob, "create", podWith("volumes: [{name: data, image: {reference: quay.io/a/b:1.2.3}}]"), "", elsewhere},
		{developerBob, "create", podWithImage("redis:latest"), "", `image "redis:latest": ` + changes},
		{developerBob, "create", podWithImage("redis"), "", changes},
		{developerBob, "create", podWithImage("a/../b:1.2.3"), "", changes},
		{developerBob, "create", podWithImage("a//b:1.2.3"), "", changes},
		{developerBob, "create", podWithImage("a/-b:1.2.3"), "", changes},
		{developerBob, "create", podWithImage("a.-b:1.2.3"), "", changes},
		{developerBob, "create", podWith("initContainers: [{name: first, image: redis:7, securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}}]"), "", changes},
		{developerBob, "create", podWith("volumes: [{name: data, image: {reference: redis:latest}}]"), "", `image "redis:latest": ` + changes},
		{developerBob, "create", strings.Replace(workload("ReplicationController", "e2e-row", ""), exactImage, "redis:latest", 1), "", changes},
		{developerBob, "create", strings.Replace(workload("CronJob", "e2e-row", ""), exactImage, "redis:latest", 1), "", changes},
		{developerBob, "create", workload("Deployment", "e2e-row", "volumes: [{name: data, image: {reference: redis:latest}}]"), "", changes},

		{developerBob, "patch", "Pod/e2e-there/ephemeralcontainers", `{"spec":{"ephemeralContainers":[{"name":"debug","image":"redis:latest","securityContext":{"runAsNonRoot":true,"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"seccompProfile":{"type":"RuntimeDefault"}}}]}}`, changes},

		// Finalizers that would keep a namespace from ending.
		{developerBob, "create", finalizing(manifestOf("v1", "ConfigMap", "e2e-row", ""), "example.com/never"), "", `metadata.finalizers "example.com/never": the namespace could not end`},
		{ownerAlice, "create", finalizing(podWith(""), "example.com/never"), "", "metadata.finalizers"},
		{developerBob, "create", finalizing(service(service80), "service.kubernetes.io/load-balancer-cleanup"), "", "metadata.finalizers"},
		{developerBob, "patch", "Ingress/e2e-web", `{"metadata":{"finalizers":["example.com/never"]}}`, "metadata.finalizers"},
		{developerBob, "create", manifestOf("v1", "ConfigMap", "e2e-row", ""), "", ""},
		{admin, "create", finalizing(manifestOf("v1", "ConfigMap", "e2e-row", ""), "example.com/cleanup"), "", ""},
		{collector, "patch", "PersistentVolumeClaim/e2e-pending", `{"metadata":{"finalizers":["example.com/cleanup"]}}`, ""},

		// Volumes.
		{developerBob, "create", volume(""), "", ""},
		{developerBob, "create", volume("storageClassName: standard"), "", ""},
		{developerBob, "create", volume("volumeName: somebodys"), "", `spec.volumeName "somebodys": a volume that is there ` + there},
		{developerBob, "create", volume("selector: {matchLabels: {a: b}}"), "", "spec.selector: it chooses among volumes that are there"},
		{developerBob, "create", volume(`storageClassName: ""`), "", `spec.storageClassName "": it takes a volume that is there`},
		{developerBob, "patch", "PersistentVolumeClaim/e2e-pending", `{"spec":{"volumeName":"somebodys"}}`, "spec.volumeName"},
		{admin, "create", volume("volumeName: somebodys"), "", ""},

		// Claims of others.
		{developerDan, "create", claimManifest("dan", "e2e-row", "1h"), "", ""},
		{memberErin, "create", claimManifest("erin", "e2e-row", "1h"), "", ""},
		{developerBob, "patch", "NamespaceClaim/e2e-bobs", `{"spec":{"ttl":"2h"}}`, ""},
		{ownerAlice, "patch", "NamespaceClaim/e2e-bobs", `{"spec":{"ttl":"2h"}}`, ""},
		{ownerAlice, "delete", "NamespaceClaim/e2e-bobs", `{}`, ""},
		{cleaner, "delete", "NamespaceClaim/e2e-bobs", `{}`, ""},
		{developerDan, "create", claimManifest("bob", "e2e-row", "1h"), "", "nobody claims in another's name"},
		{developerDan, "patch", "NamespaceClaim/e2e-bobs", `{"spec":{"ttl":"2h"}}`, theirs},
		{developerDan, "patch", "NamespaceClaim/e2e-bobs", `{"metadata":{"labels":{"a":"b"}}}`, theirs},
		{developerDan, "patch", "NamespaceClaim/e2e-bobs", adopted, theirs},
		{developerDan, "patch", "NamespaceClaim/e2e-bobs", finalized, "is forbidden: ValidatingAdmissionPolicy"},
		{developerDan, "delete", "NamespaceClaim/e2e-bobs", `{}`, theirs},
		{memberErin, "delete", "NamespaceClaim/e2e-bobs", `{}`, theirs},
		{robot, "delete", "NamespaceClaim/e2e-bobs", `{}`, theirs},
		{robot, "patch", "NamespaceClaim/e2e-bobs", `{"metadata":{"labels":{"a":"b"}}}`, theirs},
		{developerBob, "patch", "NamespaceClaim/e2e-bobs", adopted, "metadata.ownerReferences"},
		{ownerAlice, "patch", "NamespaceClaim/e2e-bobs", adopted, "metadata.ownerReferences"},
		{admin, "patch", "NamespaceClaim/e2e-bobs", adopted, "metadata.ownerReferences"},
		{developerBob, "patch", "NamespaceClaim/e2e-bobs", finalized, "metadata.finalizers"},
		{developerBob, "patch", "NamespaceClaim/e2e-bobs", `{"metadata":{"finalizers":[]}}`, "metadata.finalizers: the controller removes"},

		// A viewer, and nobody.
		{viewerVera, "get", "Pod/e2e-there", "", ""},
		{viewerVera, "get", "Ingress/e2e-web", "", ""},
		{viewerVera, "get", "NamespaceClaim/e2e-bobs", "", ""},
		{viewerVera, "create", podWith(""), "", "cannot create resource"},
		{viewerVera, "create", host("app.team-a.localhost"), "", "cannot create resource"},
		{viewerVera, "create", claimManifest("vera", "e2e-row", "1h"), "", "cannot create resource"},
		{viewerVera, "delete", "Pod/e2e-there", `{}`, "cannot delete resource"},
		{viewerVera, "get", "Secret/none", "", "cannot get resource"},
		{memberErin, "create", workload("Deployment", "e2e-row", ""), "", ""},
		{memberErin, "get", "Secret/none", "", "cannot get resource"},
		{somebodyMallory, "get", "Pod/e2e-there", "", "cannot get resource"},
	}
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController"} {
		everything = append(everything, row{developerBob, "create", workload(kind, "e2e-row", ""), "", ""})
	}
	return slices.Concat(everything, networkRows(), claimsRows(), ciRows(), podsRows(), opsRows())
}

// What tolerates every taint, what deletes a claim when something else is gone, and what keeps it for good.
const (
	// tolerant keeps the tolerations that the API server has added, since a pod's tolerations can only grow.
	tolerant = `{"spec":{"tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300},` +
		`{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":300},{"operator":"Exists"}]}}`
	adopted   = `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"none","uid":"00000000-0000-0000-0000-000000000000"}]}}`
	finalized = `{"metadata":{"finalizers":["journal.example.com/namespace","example.com/never"]}}`
)

// table sends every row as a dry run, which goes through all of admission and changes nothing.
func table(t *testing.T) {
	start := time.Now()
	clients := map[string]dynamic.Interface{}
	for _, r := range rows() {
		if clients[r.who] == nil {
			clients[r.who] = clientOf(t, r.who)
		}
	}
	var text strings.Builder
	refused, all := 0, rows()
	for i, r := range all {
		t.Run(fmt.Sprintf("row %d: %s", i+1, r), func(t *testing.T) {
			what, err := r.ask(t.Context(), clients[r.who])
			message := "let through"
			if err != nil {
				message = err.Error()
				refused++
			}
			fmt.Fprintf(&text, "%3d  %s %s %s: %s\n", i+1, strings.Fields(r.who)[0], r.verb, what, message)
			switch {
			case r.says == "" && err != nil:
				t.Errorf("%s is refused: %s", what, message)
			case r.says != "" && err == nil:
				t.Errorf("%s is let through", what)
			case err != nil && !strings.Contains(message, r.says):
				t.Errorf("%s is refused without %q: %s", what, r.says, message)
			}
		})
	}
	path := filepath.Join(world.out, "rules.txt")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests, %d refused and %d let through, in %s: %s", len(all), refused, len(all)-refused, time.Since(start).Round(100*time.Millisecond), path)
}

// clientOf returns a client for a user, or the administrator's.
func clientOf(t *testing.T, who string) dynamic.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", world.cluster.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	if who != admin {
		names := strings.Fields(who)
		config.Impersonate = rest.ImpersonationConfig{UserName: names[0], Groups: append(names[1:], "system:authenticated")}
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// String says who may do what, or may not.
func (r row) String() string {
	may, object := "may", strings.ReplaceAll(r.object, "/", " ")
	if r.says != "" {
		may = "may not"
	}
	var manifest unstructured.Unstructured
	if yaml.Unmarshal([]byte(r.object), &manifest.Object) == nil {
		object = manifest.GetKind() + " " + manifest.GetName()
	}
	return fmt.Sprintf("%s %s %s %s", strings.Fields(r.who)[0], may, r.verb, object)
}

// ask sends the row's request, and says what it is about.
func (r row) ask(ctx context.Context, client dynamic.Interface) (what string, err error) {
	dry := []string{metav1.DryRunAll}
	if kind, name, there := strings.Cut(r.object, "/"); there && !strings.Contains(r.object, "\n") {
		var subresources []string
		if object, subresource, more := strings.Cut(name, "/"); more {
			name, subresources = object, []string{subresource}
		}
		objects := client.Resource(resources[kind]).Namespace(team)
		switch r.verb {
		case "get":
			_, err = objects.Get(ctx, name, metav1.GetOptions{})
		case "patch":
			_, err = objects.Patch(ctx, name, types.MergePatchType, []byte(r.change), metav1.PatchOptions{DryRun: dry}, subresources...)
		case "delete", "deletecollection":
			options := metav1.DeleteOptions{}
			if err := json.Unmarshal([]byte(r.change), &options); err != nil {
				return r.object, err
			}
			options.DryRun = dry
			if r.verb == "delete" {
				err = objects.Delete(ctx, name, options)
			} else {
				err = objects.DeleteCollection(ctx, options, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
			}
		default:
			err = errors.New("the table has no such verb")
		}
		return r.object + " " + r.change, err
	}
	var object unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(r.object), &object.Object); err != nil {
		return r.object, err
	}
	var subresources []string
	switch object.GetKind() {
	case "Eviction":
		subresources = []string{"eviction"}
	case "TokenRequest":
		subresources = []string{"token"}
	}
	content, err := json.Marshal(object.Object)
	if err != nil {
		return r.object, err
	}
	_, err = client.Resource(resources[object.GetKind()]).Namespace(object.GetNamespace()).Create(ctx, &object, metav1.CreateOptions{DryRun: dry}, subresources...)
	return string(content), err
}

// vendors adds a role of a vendor, which says by Kubernetes' own labels that it belongs to edit, and one with the stack's.
func vendors(t *testing.T) {
	kubectlApply(t, `
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole,
  metadata: {name: e2e-vendor, labels: {rbac.authorization.k8s.io/aggregate-to-edit: "true", rbac.authorization.k8s.io/aggregate-to-view: "true"}},
  rules: [{apiGroups: [""], resources: [secrets], verbs: [get, list]}, {apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [delete]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: e2e-own, labels: {journal.example.com/aggregate-to-developer: "true"}},
  rules: [{apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}]}
`)
	eventually(t, func() error {
		if text, err := tryKubectl("", "auth", "can-i", "create", "leases.coordination.k8s.io", "--namespace", team, "--as", "bob"); err != nil {
			return fmt.Errorf("a role with the stack's label is not taken in: %s", text)
		}
		return nil
	})
	for _, question := range [][]string{{"get", "secrets"}, {"delete", "networkpolicies"}} {
		t.Run("by a vendor's role bob may not "+strings.Join(question, " "), func(t *testing.T) {
			text, _ := tryKubectl("", append([]string{"auth", "can-i", "--namespace", team, "--as", "bob"}, question...)...)
			if !slices.Contains(strings.Fields(text), "no") {
				t.Errorf("says %s", text)
			}
		})
	}
}
