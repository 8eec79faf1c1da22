package stacks

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

// least is the least that a stack must configure.
const least = `redis: {image: docker.io/library/redis:7.4.2}
api: {image: registry.example.com/journal-api:v0.1.0-0a1b2c3}
frontend: {image: registry.example.com/journal-web:v0.1.0-0a1b2c3}
tenant: {class: large, owner: group:platform, contact: platform@example.com, purpose: the journal, isolated: true}
`

// claimed begins the key of temporary namespaces.
const claimed = "claims: {image: registry.example.com/namespace-controller:v0.1.0-0a1b2c3"

// project makes a folder with the real Pulumi.yaml and the file of a stack called test.
func project(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	declared, err := os.ReadFile(filepath.Join(root, "Pulumi.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), declared, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.test.yaml"), []byte(text), 0o644))
	return dir
}

// stack makes a folder with a stack called test that configures the least and these changes of it. A change is YAML of the project's
// keys, without namespace; in objects it replaces single fields.
func stack(t *testing.T, changes ...string) string {
	t.Helper()
	values := map[string]any{}
	for _, text := range append([]string{least}, changes...) {
		var change map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(text), &change), text)
		merge(values, change)
	}
	keys := map[string]any{}
	for key, value := range values {
		keys["journal:"+key] = value
	}
	text, err := yaml.Marshal(map[string]any{"config": keys})
	require.NoError(t, err)
	return project(t, string(text))
}

func merge(values, change map[string]any) {
	for key, value := range change {
		inner, isObject := value.(map[string]any)
		if before, had := values[key].(map[string]any); had && isObject {
			merge(before, inner)
		} else {
			values[key] = value
		}
	}
}

// deployed is the graph of a stack that configures the least and these changes of it.
func deployed(t *testing.T, changes ...string) *graph.Graph {
	t.Helper()
	g, err := graph.Run(Deploy, graph.Root(stack(t, changes...), "test"))
	require.NoError(t, err)
	return g
}

// faultsOf are the lines of an error below its heading.
func faultsOf(t *testing.T, err error) []string {
	t.Helper()
	require.Error(t, err)
	_, lines, found := strings.Cut(err.Error(), "the configuration of stack \"test\" is refused, nothing was changed:\n")
	require.True(t, found, "%v", err)
	return strings.Split(strings.TrimSpace(lines), "\n") // Pulumi's own lines are empty
}

func TestTheStacksOfTheRepositoryAreAccepted(t *testing.T) {
	for _, stack := range stackNames(t) {
		assert.NoError(t, Check(root, stack), stack)
	}
}

func TestEachFaultOfAConfigurationIsOneLineWithPathValueRuleAndFix(t *testing.T) {
	const a = "name: team-a, owner: user:alice, contact: a"
	for _, c := range []struct{ change, says string }{
		// the journal
		{"redis: {replicas: 0}", `journal:redis.replicas "0": must be 1 to 9`},
		{"redis: {replicas: 10, quorum: true}", `journal:redis.replicas "10": must be 1 to 9`},
		{"redis: {replicas: 4, quorum: true}", `journal:redis.replicas "4": a quorum needs an odd number, since an even one survives no more failures than one less; write 5`},
		{"redis: {quorum: maybe}", `journal:redis.quorum "maybe": must be true or false, without quotes`},
		{"redis: {image: redis:latest}", `journal:redis.image "redis:latest": the tag "latest" can be moved to another content; write an exact version or a digest, such as redis:1.2.3`},
		{"redis: {image: redis}", `journal:redis.image "redis": it has no tag`},
		{"redis: {image: Redis:7.4.2}", `journal:redis.image "Redis:7.4.2": not an image reference: it has upper case in the path`},
		{"redis: {image: 'redis@sha256:abc'}", `journal:redis.image "redis@sha256:abc": not an image reference: a digest is sha256: and 64 hexadecimal digits`},
		{"redis: {resources: {memory: 64Mi}}", `journal:redis.resources.memoryLimit "64Mi": below the dataset limit maxMemory of 128Mi`},
		{"redis: {storage: 1Gi}", `journal:redis.storage "1Gi": a text where an object is expected; write its fields, such as {size: 1Gi}`},
		{"redis: {passwords: 2}", `journal:redis.passwords "2": a number where a list is expected; write [2]`},
		{"redis: {passwords: [2, 0]}", `journal:redis.passwords[1] "0": must be 1 or more`},
		{"api: {replicas: 1}", `journal:api.replicas "1": must be 2 or more`},
		{"api: {replicas: 0}", `journal:api.replicas "0": must be 2 or more`},
		{"api: {replicas: 4294967298}", `journal:api.replicas "4294967298": too large; must be 2 or more`},
		{"api: {resources: {memory: 10 GB}}", `journal:api.resources.memory "10 GB": not a Kubernetes quantity; write a number with a suffix and no space`},
		{"api: {resources: {cpu: .inf}}", `journal:api.resources.cpu ".inf": not a Kubernetes quantity; write digits alone`},
		{"api: {logLevel: loud}", `journal:api.logLevel "loud": must be one of debug, info, warn, error`},
		{"frontend: {pageSize: 101}", `journal:frontend.pageSize "101": must be 1 to 100`},
		{"frontend: {title: null}", `journal:frontend.title "null": must have a value; write one, or leave the field out for the default`},
		{"configVersions: 1", `journal:configVersions "1": must be 2 to 20`},
		{"configVersions: 0", `journal:configVersions "0": must be 2 to 20`},
		{"rolloutTimeout: 1m", `journal:rolloutTimeout "1m": not a whole number`},
		{"readOnly: 'yes'", `journal:readOnly "yes": must be true or false`},
		{"namespace: Team A", `journal:namespace "Team A": not a DNS label`},
		{"namespace: default", `journal:namespace "default": reserved: default, journal-platform, kube and every name that begins with kube- belong to the cluster`},
		{"namespace: kube-system", `journal:namespace "kube-system": reserved`},
		{"namespace: journal-platform", `journal:namespace "journal-platform": reserved`},
		// the exposure
		{"exposure: {host: http://journal}", `journal:exposure.host "http://journal": not a DNS name; write it in lower case`},
		{"exposure: {tls: {secret: a, selfSigned: 1}}", `journal:exposure.tls`},
		{"exposure: {tls: null}", `journal:exposure.tls "null": must have a value`},
		{"exposure: {port: 65536}", `journal:exposure.port "65536": must be 0 to 65535`},
		// the resource metrics, and what scales by them
		{"resourceMetrics: {}", `journal:resourceMetrics.image "": it is missing; write for example registry.k8s.io/metrics-server/metrics-server:v0.9.0`},
		{"resourceMetrics: {image: 'metrics-server:latest'}", `journal:resourceMetrics.image "metrics-server:latest": the tag "latest" can be moved`},
		{"resourceMetrics: {image: 'a:v0.9.0', replicas: 1}", `journal:resourceMetrics.replicas "1": must be 2 or more`},
		{"resourceMetrics: {image: 'a:v0.9.0', certificate: 2}", `journal:resourceMetrics.certificate "2": a number where an object is expected; write its fields, such as {number: 2}`},
		{"resourceMetrics: {image: 'a:v0.9.0', certificate: {secret: own-tls}}", `journal:resourceMetrics.certificate.caBundle "": it is missing, and the API server trusts no other authority`},
		{"resourceMetrics: {image: 'a:v0.9.0', certificate: {issuer: internal}}", `journal:resourceMetrics.certificate.issuer "internal": must be an issuer of cert-manager by kind and name, such as ClusterIssuer/internal`},
		{"resourceMetrics: {image: 'a:v0.9.0', certificate: {insecureSkipTLSVerify: true}}", `journal:resourceMetrics.certificate.insecureSkipTLSVerify "true": unknown field`},
		{"resourceMetrics: {image: 'a:v0.9.0', resolution: 15s}", `journal:resourceMetrics.resolution "15s": not a whole number`},
		{"resourceMetrics: {image: 'a:v0.9.0', resources: {memory: 1 GB}}", `journal:resourceMetrics.resources.memory "1 GB": not a Kubernetes quantity`},
		{"resourceMetrics: {image: 'a:v0.9.0'}\ncluster: {resourceMetrics: true}", `journal:cluster.resourceMetrics "true": the cluster serves resource metrics itself, and the key resourceMetrics brings others; remove one of the two`},
		{"resourceMetrics: {image: 'a:v0.9.0'}\nnamespace: journal-metrics-server", `journal:namespace "journal-metrics-server": the namespace of the key resourceMetrics; write another name, such as journal`},
		{"api: {autoscaling: {maxReplicas: 4}}", `journal:api.autoscaling.maxReplicas "4": nothing can be scaled by load without resource metrics; add the key resourceMetrics, or write cluster: {resourceMetrics: true} if the cluster serves them`},
		{"frontend: {autoscaling: {maxReplicas: 4}}", `journal:frontend.autoscaling.maxReplicas "4": nothing can be scaled by load`},
		{"resourceMetrics: {image: 'a:v0.9.0'}\napi: {autoscaling: {}}", `journal:api.autoscaling.maxReplicas "0": it is missing; write for example 6`},
		{"resourceMetrics: {image: 'a:v0.9.0'}\napi: {replicas: 4, autoscaling: {maxReplicas: 4}}", `journal:api.autoscaling.maxReplicas "4": there are 4 replicas without load, so nothing could be added; write 5 or more`},
		// the Ingress controller
		{"ingressController: true", `journal:ingressController "true": true or false where an object is expected; write its fields, such as {namespace: traefik}`},
		{"namespace: traefik\ningressController: {}", `journal:namespace "traefik": the namespace of the Ingress controller; write another name`},
		{"namespace: edge\ncluster: {ingressNamespace: edge}", `journal:namespace "edge": the namespace of the Ingress controller`},
		{"namespace: kube-system\ncluster: {ingressNamespace: kube-system}", `journal:namespace "kube-system": reserved`},
		{"ingressController: {namespace: kube-system}", `journal:ingressController.namespace "kube-system": it belongs to Kubernetes`},
		{"ingressController: {namespace: journal}", `journal:namespace "journal": the namespace of the Ingress controller`},
		{"ingressController: {namespace: journal-platform}", `journal:ingressController.namespace "journal-platform": another namespace of the stack`},
		{"cluster: {ingressNamespace: other}\ningressController: {namespace: team-a}\ntenants: [{" + a + "}]", `journal:ingressController.namespace "team-a": another namespace of the stack has this name; write another one, such as traefik`},
		{"cluster: {ingressNamespace: other}\ningressController: {}\ntenants: [{name: traefik, owner: user:alice, contact: a}]", `journal:ingressController.namespace "traefik": another namespace of the stack has this name; write another one, such as ingress`},
		{"ingressController: {chart: traefik/traefik}", `journal:ingressController.chart "traefik/traefik": must be a chart in an OCI registry`},
		{"ingressController: {version: latest}", `journal:ingressController.version "latest": must be an exact version`},
		{"ingressController: {version: 39.0}", `journal:ingressController.version "39": a number where a text is expected; write it in quotes`},
		{"ingressController: {skipCRDs: 1}", `journal:ingressController.skipCRDs "1": must be true or false`},
		{"ingressController: {class: Edge}", `journal:ingressController.class "Edge": not an object name`},
		{"ingressController: {replicas: 1}", `journal:ingressController.replicas "1": must be 2 or more`},
		{"ingressController: {serviceType: Node}", `journal:ingressController.serviceType "Node": must be one of LoadBalancer, NodePort, ClusterIP`},
		// tenants
		{"tenants: [{" + a + ", ownr: bob}]", `journal:tenants[0].ownr "bob": unknown field; did you mean owner?`},
		{"tenants: {name: team-a}", `journal:tenants "{...}": an object where a list is expected; begin each entry with a hyphen`},
		{"tenants: [team-a]", `journal:tenants[0] "team-a": a text where an object is expected; write its fields, such as {name: team-a, owner: user:alice, contact: alice@example.com}`},
		{"tenant: [large]", `journal:tenant "[...]": a list where an object is expected; write its fields, such as {owner: user:alice, contact: alice@example.com}`},
		{"tenants: [{" + a + ", overrides: {cpu: 0}}]", `journal:tenants[0].overrides.cpu "0": zero means none at all; write a quantity above zero`},
		{"tenants: [{" + a + ", overrides: {pods: '20'}}]", `journal:tenants[0].overrides.pods "20": a text where a whole number is expected; write it without quotes`},
		{"tenants: [{" + a + ", overrides: {pods: 0}}]", `journal:tenants[0].overrides.pods "0": must be 1 or more`},
		{"tenants: [{" + a + ", isolated: 'true'}]", `journal:tenants[0].isolated "true": must be true or false, without quotes`},
		{"tenants: [{" + a + ", members: {developers: user:bob}}]", `journal:tenants[0].members.developers "user:bob": a text where a list is expected; write [user:bob]`},
		{"tenants: [{name: team-a, owner: [user:alice, user:bob], contact: a}]", `journal:tenants[0].owner "[...]": a list where one text is expected`},
		{"tenants: [{" + a + ", members: {developers: [user:bob, '']}}]", `journal:tenants[0].members.developers[1] "": it is empty`},
		{"tenants: [{name: team-a, owner: user:alice}]", `journal:tenants[0].contact "": it is missing`},
		{"tenants: [{owner: user:alice, contact: a}]", `journal:tenants[0].name "": it is missing; write`},
		{"tenants: [{name: kube-system, owner: user:alice, contact: a}]", `journal:tenants[0].name "kube-system": reserved`},
		{"tenants: [{" + a + "}, {name: team-a, owner: user:bob, contact: b}]", `journal:tenants[1].name "team-a": the name of tenants[0] as well`},
		{"tenants: [{name: journal-x, owner: user:alice, contact: a}]", `journal:tenants[0].name "journal-x": reserved: names that begin with journal-`},
		{"namespace: team-a-x\ntenants: [{" + a + "}]", `journal:tenants[0].name "team-a": "team-a-x" is "team-a" and more behind a hyphen`},
		{"tenants: [{name: journal, owner: user:alice, contact: a}]", `journal:tenants[0].name "journal": the journal's own namespace`},
		{"tenants: [{" + a + ", class: huge}]", `journal:tenants[0].class "huge": no class; write one of large, medium, small`},
		{"tenants: [{" + a + ", overrides: {memory: 10 GB}}]", `journal:tenants[0].overrides.memory "10 GB": not a Kubernetes quantity`},
		{"tenants: [{name: team, owner: user:alice, contact: a}, {" + a + "}]", `journal:tenants[1].name "team-a": "team-a" is "team" and more behind a hyphen`},
		{"namespace: team\ntenants: [{" + a + "}]", `journal:tenants[0].name "team-a": "team-a" is "team" and more`},
		{"tenant: {name: other}", `journal:tenant.name "other": the journal's namespace is named by the key namespace`},
		{"tenant: {hosts: [shop.example.com]}", `journal:tenant.hosts "[shop.example.com]": the journal's own host is not among them; add journal.localhost`},
		{"tenant: {suspended: true}", `journal:tenant.suspended "true": the stack's own namespace`},
		{"tenants: [{" + a + ", suspended: 'yes'}]", `journal:tenants[0].suspended "yes": must be true or false, without quotes`},
		{"tenants: [{" + a + ", hosts: [Shop]}]", `journal:tenants[0].hosts[0] "Shop": not a DNS name`},
		{"tenants: [{" + a + ", hosts: [journal.localhost]}]", `journal:tenants[0].hosts[0] "journal.localhost": the hosts of the journal as well`},
		{"exposure: {host: journal.example.com}\ntenants: [{" + a + ", hosts: ['*.example.com']}]", `journal:tenants[0].hosts[0] "*.example.com": the hosts of the journal as well`},
		{"tenants: [{" + a + ", egress: {internet: 'yes'}}]", `journal:tenants[0].egress.internet "yes": must be true or false`},
		{"tenants: [{" + a + ", egress: {cidrs: [169.254.169.254/32]}}]", `journal:tenants[0].egress.cidrs[0] "169.254.169.254/32": it holds link-local addresses`},
		{"tenants: [{" + a + ", egress: {tenants: [team-b]}}, {name: team-b, owner: user:bob, contact: b}]", `journal:tenants[0].egress.tenants[0] "team-b": both must name each other; add team-a to tenants[1].egress.tenants, or remove this`},
		{"tenants: [{" + a + ", egress: {tenants: [journal]}}]", `journal:tenants[0].egress.tenants[0] "journal": no tenant of the list`},
		{"tenant: {egress: {tenants: [team-a]}}\ntenants: [{" + a + "}]", `journal:tenant.egress.tenants "[team-a]": the journal is reached by its host; remove them`},
		{"tenant: {isolated: true, egress: {internet: true}}", `journal:tenant.egress "internet": an isolated tenant's application brings its own policies, which decide on ways out as well; remove egress, or isolated`},
		{"classes: {small: {maxMemory: 64Gi}}", `journal:classes.small.maxMemory "64Gi": above memory of 4Gi`},
		{"classes: {small: {cpu: -1}}", `journal:classes.small.cpu "-1": not a Kubernetes quantity; write digits alone`},
		{"classes: {small: {ram: 4Gi, loadBalancers: 0}}", `journal:classes.small.ram "4Gi": unknown field; remove it, or write one of cpu, burst, memory,`},
		// claims
		{"claims: {image: controller:latest}", `journal:claims.image "controller:latest": the tag of an own image`},
		{"claims: {}", `journal:claims.image "": it is missing`},
		{"claims: 72h", `journal:claims "72h": a text where an object is expected; write its fields, such as {image: registry.example.com/`},
		{claimed + ", maxTTL: 1 day}", `journal:claims.maxTTL "1 day": not a duration`},
		{claimed + ", maxTTL: 72}", `journal:claims.maxTTL "72": no unit; write 72h`},
		{claimed + ", maxTTL: 4h}", `journal:claims.defaultTTL "8h": above maxTTL of 4h; lower it or raise maxTTL`},
		{claimed + ", warnBefore: 8h}", `journal:claims.warnBefore "8h": `},
		{claimed + ", claimsPerOwner: '2'}", `journal:claims.claimsPerOwner "2": a text where a whole number is expected`},
		{claimed + ", share: [team-a]}", `journal:claims.share "[...]": a list where an object is expected`},
		{claimed + ", dryRun: 'yes'}", `journal:claims.dryRun "yes": must be true or false`},
		// the cluster
		{"cluster: {dns: [10.0.0.10/32, 10.0.0.1]}\n" + claimed + "}\ntenants: [{" + a + "}]", `journal:cluster.dns[1] "10.0.0.1": must be a range of addresses, such as 169.254.20.10/32`},
		{"cluster: {addresses: [198.51.100.0/24, 203.0.113.1/24]}\n" + claimed + "}\ntenants: [{" + a + "}]", `journal:cluster.addresses[1] "203.0.113.1/24": must be a range as it is usually written; write 203.0.113.0/24`},
		{"cluster: {ingressNamespace: Traefik System}\n" + claimed + "}\ntenants: [{" + a + "}]", `journal:cluster.ingressNamespace "Traefik System": not a DNS label`},
		{"cluster: {imagePolicy: {action: maybe}}", `journal:cluster.imagePolicy.action "maybe": must be one of deny, warn`},
		{"cluster: {imagePolicy: deny}", `journal:cluster.imagePolicy "deny": a text where an object is expected; write its fields, such as {action: deny}`},
		{"cluster: {imagePolicy: {registries: ['https://registry.example.com']}}", `journal:cluster.imagePolicy.registries[0] "https://registry.example.com": no registry; write its host`},
		{"cluster: {imagePolicy: {registries: [registry.example.com]}}", `journal:redis.image "docker.io/library/redis:7.4.2": cluster.imagePolicy.registries refuses it`},
		{"cluster: {domain: dev_example}\n" + claimed + "}\ntenants: [{" + a + "}]", `journal:cluster.domain "dev_example": not a DNS name`},
		{"cluster: {tenantPriority: 2000000}", `journal:cluster.tenantPriority "2000000": must be -2147483648 to 899999`},
		{"cluster: {tenantPriority: 4294967296}", `journal:cluster.tenantPriority "4294967296": too large; must be -2147483648 to 899999`},
		{"cluster: {unprotected: 'true'}", `journal:cluster.unprotected "true": must be true or false, without quotes`},
		{"cluster: {kubeconfig: {cluster: dev, command: [kubectl]}}", `journal:cluster.kubeconfig.server "": it is missing`},
		{"cluster: {kubeconfig: {cluster: dev, server: 'https://a:6443', command: kubectl oidc-login}}", `journal:cluster.kubeconfig.command "kubectl oidc-login": a text where a list is expected; write [kubectl, oidc-login]`},
		{"cluster: {kubeconfig: {cluster: dev, server: 'https://a:6443', command: ['']}}", `journal:cluster.kubeconfig.command[0] "": it is empty`},
		{"cluster: {kubeconfig: {cluster: dev, server: 'https://alice:hunter2@a:6443', command: [kubectl]}}", `journal:cluster.kubeconfig.server "https://[password]@a:6443": it holds a private key or a password`},
		{"cluster: {kubeconfig: {cluster: dev, server: 'https://a:65536', command: [kubectl]}}", `journal:cluster.kubeconfig.server "https://a:65536": `},
		{"cluster: {kubeconfig: {cluster: dev, server: 'https://a', command: [kubectl], certificateAuthority: '-----BEGIN CERTIFICATE-----'}}", `journal:cluster.kubeconfig.certificateAuthority "-----BEGIN CERTIFICATE-----": `},
		// keys
		{"redsi: {replicas: 3}", `journal:redsi "{...}": unknown key; did you mean journal:redis?`},
		{"colour: blue", `journal:colour "blue": unknown key; remove it, or write one of namespace, redis, api, frontend, exposure, readOnly,`},
		{"redisReplicas: 3", `journal:redisReplicas "3": unknown key`},
		{"redis.replicas: 3", `journal:redis.replicas "3": unknown key; write what is inside of journal:redis below that key`},
		{"redis: {replicas: {count: 3}}", `journal:redis.replicas "{...}": an object where a whole number is expected; write 3`},
		{"api: {image: {secure: hunter2}}", `journal:api.image "[secret]": it is encrypted (secure:), and this field is no secret; write it in plain`},
		{"frontend: {pageSize: {secure: hunter2}}", `journal:frontend.pageSize "[secret]": it is encrypted`},
	} {
		t.Run(c.change, func(t *testing.T) {
			faults := faultsOf(t, Check(stack(t, c.change), "test"))
			assert.Len(t, faults, 1, "%s", strings.Join(faults, "\n"))
			assert.Regexp(t, `^Pulumi\.test\.yaml(:[0-9]+)?: `, faults[0])
			assert.Contains(t, faults[0], c.says)
			assert.NotContains(t, faults[0], "hunter2")
		})
	}
}

func TestTheJournalsOwnNamespaceMayBeginWithItsName(t *testing.T) {
	assert.NoError(t, Check(stack(t, "namespace: journal-staging"), "test"))
}

func TestEveryPodThatMayAskForNamesAsksTheClustersDNSAlone(t *testing.T) {
	g := deployed(t, "cluster: {dns: [169.254.20.10/32]}\n"+claimed+"}")
	rules := 0
	for _, policy := range g.OfType("kubernetes:networking.k8s.io/v1:NetworkPolicy") {
		egress, _ := policy.Field("spec.egress").([]any)
		for _, entry := range egress {
			rule := entry.(map[string]any)
			if !strings.Contains(fmt.Sprint(rule["ports"]), "port:53") {
				continue
			}
			rules++
			assert.Equal(t, []any{
				map[string]any{
					"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "kube-system"}},
					"podSelector":       map[string]any{"matchLabels": map[string]any{"k8s-app": "kube-dns"}},
				},
				map[string]any{"ipBlock": map[string]any{"cidr": "169.254.20.10/32"}},
			}, rule["to"], policy.Name)
		}
	}
	assert.Equal(t, 3, rules, "of Redis, of the API, and of the journal's namespace")
	classes := 0
	for _, configMap := range g.OfType("kubernetes:core/v1:ConfigMap") {
		if objects, _ := configMap.Field(`data["objects.json"]`).(string); objects != "" {
			assert.Contains(t, objects, `"cidr":"169.254.20.10/32"`, configMap.Name)
			classes++
		}
	}
	assert.Equal(t, 3, classes)
}

func TestTheInternetLeavesOutTheAddressesOfTheClusterEverywhere(t *testing.T) {
	g := deployed(t, "cluster: {addresses: [198.51.100.0/24]}\n"+claimed+"}\ntenants: [{name: team-a, owner: user:alice, contact: a, egress: {internet: true}}]")
	for _, text := range []any{
		graphtest.Find(t, g, graphtest.NetworkPolicy, "team-a-allow-egress").Field("spec.egress[0].to[0].ipBlock.except"),
		graphtest.Find(t, g, graphtest.ConfigMap, "claims-limits").Field(`data["network.json"]`),
		graphtest.Find(t, g, graphtest.AdmissionPolicy, "journal-controller-policy-objects").Field("spec.variables"),
	} {
		assert.Contains(t, fmt.Sprint(text), "198.51.100.0/24")
	}
}

func TestAllFaultsAreReportedAtOnceInTheOrderOfTheFileAndNothingIsDeclared(t *testing.T) {
	dir := project(t, `config:
  journal:frontend: {image: journal-web}
  journal:redis:
    image: redis:7.4.2
    replicas: two
    replcas: 3
  journal:api: {replicas: 0}
  journal:exposure: {host: a_b}
  journal:tenant: {owner: user:alice, contact: a, isolated: true, class: large}
`)
	g, err := graph.Run(Deploy, graph.Root(dir, "test"))
	assert.Equal(t, []string{
		`Pulumi.test.yaml:2: journal:frontend.image "journal-web": it has no tag, which means latest and changes under the pods; write an exact one, such as journal-web:v1.2.3-0a1b2c3`,
		`Pulumi.test.yaml:5: journal:redis.replicas "two": not a whole number; write digits alone, such as 3`,
		`Pulumi.test.yaml:6: journal:redis.replcas "3": unknown field; did you mean replicas?`,
		`Pulumi.test.yaml:7: journal:api.replicas "0": must be 2 or more`,
		`Pulumi.test.yaml:7: journal:api.image "": it is missing; write it`,
		`Pulumi.test.yaml:8: journal:exposure.host "a_b": not a DNS name; write it in lower case, without scheme, port or path, such as journal.example.com`,
	}, faultsOf(t, err))
	assert.Empty(t, g.All())
	assert.ErrorContains(t, err, Check(dir, "test").Error(), "without an engine the text is the same")
}

func TestFaultsBeyondFiftyAreCounted(t *testing.T) {
	tenants := "tenants:\n"
	for i := range 300 {
		tenants += fmt.Sprintf("- {name: a%d, owner: user:alice, contact: 5}\n", i)
	}
	faults := faultsOf(t, Check(stack(t, tenants), "test"))
	require.Len(t, faults, 51)
	assert.Equal(t, "and 250 more", faults[50])
}

func TestUnknownKeysAreRefusedByAnOlderPulumiThatNamesNoRootFolder(t *testing.T) {
	named, working := stack(t), stack(t, "redis: {replcas: 3}")
	t.Chdir(working)
	g, err := graph.Run(Deploy, FindRoot)
	assert.ErrorContains(t, err, `journal:redis.replcas "3": unknown field`)
	assert.Empty(t, g.All())

	// The folder that Pulumi names comes before the working directory.
	_, err = graph.Run(Deploy, graph.Root(named, "test"), FindRoot)
	assert.NoError(t, err)
}

func TestAnotherProjectsFolderIsNoRoot(t *testing.T) {
	dir := stack(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte("name: other\nruntime: go\n"), 0o644))
	for _, dir := range []string{dir, t.TempDir()} {
		t.Chdir(dir)
		info := pulumi.RunInfo{Project: "journal", Stack: "test"}
		FindRoot(&info)
		assert.Empty(t, info.RootDirectory)
	}
}

func TestAnotherProvidersKeysAreLeftAlone(t *testing.T) {
	dir := stack(t)
	file := filepath.Join(dir, "Pulumi.test.yaml")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(text, "    kubernetes:context: dev\n    pulumi:tags: {a: b}\n"...), 0o644))
	assert.NoError(t, Check(dir, "test"))
}

func TestTheEnginesValuesComeBeforeTheFiles(t *testing.T) {
	dir := stack(t)
	g, err := graph.Run(Deploy, graph.Root(dir, "test"), graph.Config(map[string]string{
		"journal:api": `{"image":"registry.example.com/journal-api:v0.1.0-0a1b2c3","replicas":5}`, "journal:configVersions": "4",
	}))
	require.NoError(t, err)
	api := graphtest.Find(t, g, "kubernetes:apps/v1:Deployment", "journal-api")
	assert.Equal(t, 5, api.Field("spec.replicas"))

	_, err = graph.Run(Deploy, graph.Root(dir, "test"), graph.Config(map[string]string{"journal:api": `{"replicas":1}`, "journal:redis": "3"}))
	assert.ElementsMatch(t, []string{
		`journal:api.image "": it is missing; write it`,
		`journal:api.replicas "1": must be 2 or more`,
		`journal:redis "3": a number where an object is expected; write its fields, such as {image: ...}`,
	}, faultsOf(t, err), "no file and no line")
}

func TestAnEncryptedValueIsRefusedAndNotShown(t *testing.T) {
	dir := stack(t, "api: {logLevel: {secure: c2VjcmV0}}")
	_, err := graph.Run(Deploy, graph.Root(dir, "test"), graph.Config(map[string]string{
		"journal:api": `{"image":"registry.example.com/journal-api:v0.1.0-0a1b2c3","logLevel":"hunter2"}`,
	}))
	require.ErrorContains(t, err, `journal:api.logLevel "[secret]": it is encrypted`)
	assert.NotContains(t, err.Error(), "hunter2")

	_, err = graph.Run(Deploy, graph.Root(stack(t), "test"), graph.Config(map[string]string{"journal:readOnly": "hunter2"}),
		func(info *pulumi.RunInfo) { info.ConfigSecretKeys = []string{"journal:readOnly"} })
	require.ErrorContains(t, err, `journal:readOnly "[secret]": it is encrypted`)
	assert.NotContains(t, err.Error(), "hunter2")
}

func TestWhatPulumiWritesInQuotesForAKeyIsRead(t *testing.T) {
	dir := project(t, "config:\n  journal:readOnly: \"true\"\n  journal:configVersions: '5'\n")
	c, err := Read(dir, "test")
	require.Error(t, err) // the images are missing
	assert.NotContains(t, err.Error(), "readOnly")
	assert.True(t, c.Journal.ReadOnly)
	assert.Equal(t, 5, c.Journal.ConfigVersions)
}

func TestAFileThatIsNoConfigurationIsRefusedWithItsLineAndTheFix(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"", `Pulumi.test.yaml: config "": is missing: the file is empty; write config: and the keys below it`},
		{"# nothing\n", `Pulumi.test.yaml: config "": is missing: the file is empty`},
		{"hello", `Pulumi.test.yaml:1: config "hello": is missing: the file holds a text; write config:`},
		{"- a", `Pulumi.test.yaml:1: config "[...]": is missing: the file holds a list`},
		{"config: [a]", `Pulumi.test.yaml:1: config "[...]": a list where keys are expected; write journal:<key>: value below it`},
		{"config: none", `Pulumi.test.yaml:1: config "none": a text where keys are expected`},
		{"config:", `Pulumi.test.yaml:1: config "null": no value where keys are expected`},
		{"confg: {}", `Pulumi.test.yaml:1: confg "{...}": unknown section; did you mean config?`},
		{"Config: {}", `Pulumi.test.yaml:1: Config "{...}": unknown section; did you mean config?`},
		{"other: {}", `Pulumi.test.yaml:1: other "{...}": unknown section; remove it, or write one of config, environment,`},
		{"config:\n  journal:redis: {}\n  journal:redis: {}", `Pulumi.test.yaml:3: journal:redis "{...}": must be there once, and is there already, in line 2; remove one of the two`},
		{"config:\n  journal:config:readOnly: true", `Pulumi.test.yaml:2: journal:config:readOnly "true": must be written as journal:readOnly`},
		{"config:\n  readOnly: true", `Pulumi.test.yaml:2: readOnly "true": must be written as journal:readOnly`},
		{"config:\n  journal:redis:replicas: 5", `Pulumi.test.yaml:2: journal:redis:replicas "5": unknown key; write what is inside of journal:redis below that key`},
		{"config:\n  journal:redis.replicas: 5", `Pulumi.test.yaml:2: journal:redis.replicas "5": unknown key; write what is inside`},
		{"config:\n  colour: blue", `Pulumi.test.yaml:2: colour "blue": has no namespace; write the project's before it, as in journal:namespace`},
		{"config:\n  jornal:redis: {}", `Pulumi.test.yaml:2: jornal:redis "{...}": unknown namespace; did you mean journal:redis?`},
		{"config:\n  aws:region: a", `Pulumi.test.yaml:2: aws:region "a": unknown namespace; write one of journal, kubernetes, random, pulumi, deploy`},
		{"config: {}\n---\nconfig: {}", `Pulumi.test.yaml:2: a second document begins here, and would be ignored`},
		{"config:\n\tjournal:readOnly: true", `Pulumi.test.yaml:2: not YAML: a tab; indent with spaces`},
		{"config:\n  journal:namespace: \"a", `not YAML: found unexpected end of stream: a quote is open; close it`},
		{"config:\n  journal:redis: {image: a", `a bracket is open, or a comma is missing; close it with ] or }`},
		{"config:\n  journal:redis: [a, b", `a bracket is open, or a comma is missing; close it with ] or }`},
		{"config:\n  journal:namespace: a: b", `Pulumi.test.yaml:2: not YAML: mapping values are not allowed in this context: a second colon`},
		{"config:\n  journal:namespace: *a", `unknown anchor 'a' referenced: a text that begins with * stands for another value`},
		{"config:\n  journal:namespace: @a", `a text begins with a character that has a meaning in YAML; write the text in quotes`},
		{"config:\n  journal:readOnly: true\n journal:namespace: a", `not YAML:`},
		{"config:\n  journal:redis: {image: &a x, resources: &a {cpu: 100m}}\n  journal:api: {<<: *a}", `merge keys are not supported; write the fields out`},
		{"config:\n  journal:classes: &a {x: &b {y: &c [" + strings.Repeat("z,", 100) + "]}}\n  journal:tenants: [" + strings.Repeat("{hosts: *c},", 200) + "]", `aliases stand for more than 1000 values; write the values out`},
		{"\x00\x01", `not a text; write it in UTF-8 without control characters`},
		{"\xff\xfe\xfd", `not a text; write it in UTF-8 without control characters`},
	} {
		t.Run(c.text, func(t *testing.T) {
			faults := faultsOf(t, Check(project(t, c.text), "test"))
			assert.Contains(t, faults[0], "Pulumi.test.yaml")
			assert.Contains(t, strings.Join(faults, "\n"), c.says)
		})
	}
}

func TestAFileThatCannotBeReadIsRefusedWithTheFix(t *testing.T) {
	dir := project(t, "config: {}")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "Pulumi.folder.yaml"), 0o755))
	broken := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(broken, "Pulumi.yaml"), []byte("name: \"a\nruntime"), 0o644))
	nameless := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(nameless, "Pulumi.yaml"), []byte("runtime: go\n"), 0o644))
	for name, c := range map[string]struct{ dir, stack, says string }{
		"missing":                {dir, "staging", "Pulumi.staging.yaml: is missing; write it, or choose a stack that has one"},
		"a folder":               {dir, "folder", "Pulumi.folder.yaml: must be a file, and is a folder"},
		"Pulumi.yaml missing":    {t.TempDir(), "test", "Pulumi.yaml: is missing in "},
		"Pulumi.yaml broken":     {broken, "test", "Pulumi.yaml:2: not YAML: "},
		"Pulumi.yaml no project": {nameless, "test", "Pulumi.yaml: not a project of Pulumi: "},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check(c.dir, c.stack)
			assert.ErrorContains(t, err, c.says)
			assert.ErrorContains(t, err, fmt.Sprintf("the configuration of stack %q is refused, nothing was changed:\n", c.stack))
		})
	}
}

func TestTheOutputsSayWhereEverythingIs(t *testing.T) {
	g := deployed(t, "exposure: {port: 8080}")
	outputs := g.Outputs()
	for _, name := range []string{recordOutput, JournalName + "-history"} { // they are for the next update
		assert.Contains(t, outputs, name)
		delete(outputs, name)
	}
	assert.Equal(t, map[string]any{
		"url":               "http://journal.localhost:8080/",
		"namespace":         "journal",
		"redisWriteAddress": "redis-write.journal.svc:6379",
		"redisReadAddress":  "redis-read.journal.svc:6379",
		"secretNames":       []string{"redis-password-6a1d086afc"},
	}, outputs)
}

func TestAnUpdateGoesOnFromTheVersionsOfTheLastOne(t *testing.T) {
	deploy := func(title string, last map[string]any) (configMaps int, outputs map[string]any) {
		g, err := graph.Run(Deploy, graph.Root(stack(t, "frontend: {title: "+title+"}"), "test"), graph.LastOutputs(last))
		require.NoError(t, err)
		for _, r := range g.OfType("kubernetes:core/v1:ConfigMap") {
			if r.Field("metadata.labels.app") == "frontend" {
				configMaps++
			}
		}
		return configMaps, g.Outputs()
	}
	count, last := deploy("First", nil)
	assert.Equal(t, 1, count, "a first update")
	for _, c := range []struct {
		title string
		want  int
	}{{"First", 1}, {"Second", 2}, {"Third", 3}, {"Fourth", 3}, {"Third", 3}} {
		count, last = deploy(c.title, last)
		assert.Equal(t, c.want, count, c.title)
	}
	count, _ = deploy("Fifth", map[string]any{JournalName + "-history": `{"frontend": "of another shape"}`})
	assert.Equal(t, 1, count, "after a state of another shape")
}
