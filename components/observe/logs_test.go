package observe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

const (
	daemonSet   = "kubernetes:apps/v1:DaemonSet"
	statefulSet = "kubernetes:apps/v1:StatefulSet"

	agentImage  = "registry.example.com/journal/log-agent:v0.1.0-0a1b2c3"
	storeImage  = "docker.io/victoriametrics/victoria-logs:v1.51.0"
	readerImage = "registry.example.com/journal/reader:v0.1.0-0a1b2c3"
)

// leastLogs are the least arguments, with changes.
func leastLogs(changes ...func(*LogServiceArgs)) *LogServiceArgs {
	args := &LogServiceArgs{Agent: LogAgentArgs{Image: pulumi.String(agentImage)}, Store: LogStoreArgs{Image: pulumi.String(storeImage)}}
	for _, change := range changes {
		change(args)
	}
	return args
}

// logs is the graph of a program with logs and their reader.
func logs(t *testing.T, args *LogServiceArgs, options ...graph.Option) *graph.Graph {
	t.Helper()
	return graphtest.Run(t, func(ctx *pulumi.Context) error {
		reader := &ReaderArgs{Image: pulumi.String(readerImage), ViewerLabel: "example.com/viewer", Platform: []kube.Subject{"group:platform"}}
		args.Readers = reader.Peers()
		service, err := NewLogService(ctx, "logs", args)
		if err != nil {
			return err
		}
		reader.Logs = service.Store
		_, err = NewReader(ctx, "reader", reader)
		return err
	}, options...)
}

func TestTheAgentReadsTheNodesFilesAndWritesItsOwnFolderAlone(t *testing.T) {
	agent := graphtest.Find(t, logs(t, leastLogs()), daemonSet, "logs-agent")
	for path, want := range map[string]any{
		"volumes[1].hostPath":                            map[string]any{"path": "/var/log/pods", "type": "Directory"},
		"volumes[2].hostPath":                            map[string]any{"path": "/var/lib/journal-log-agent", "type": "DirectoryOrCreate"},
		"containers[0].volumeMounts[1]":                  map[string]any{"name": "pods", "mountPath": "/var/log/pods", "readOnly": true},
		"containers[0].volumeMounts[2]":                  map[string]any{"name": "state", "mountPath": "/var/lib/journal-log-agent", "readOnly": false},
		"containers[0].securityContext.runAsUser":        10001,
		"containers[0].securityContext.runAsGroup":       0,
		"containers[0].securityContext.capabilities":     map[string]any{"drop": []any{"ALL"}},
		"containers[0].securityContext.runAsNonRoot":     true,
		"initContainers[0].command":                      []any{"/log-agent", "prepare", "/var/lib/journal-log-agent"},
		"initContainers[0].securityContext.runAsUser":    0,
		"initContainers[0].securityContext.capabilities": map[string]any{"drop": []any{"ALL"}},
		"initContainers[0].volumeMounts":                 []any{map[string]any{"name": "state", "mountPath": "/var/lib/journal-log-agent", "readOnly": false}},
		"tolerations":                                    []any{map[string]any{"operator": "Exists"}},
		"hostNetwork":                                    nil,
		"hostPID":                                        nil,
		"serviceAccountName":                             "log-agent",
	} {
		assert.Equal(t, want, agent.Field("spec.template.spec."+path), path)
	}
}

func TestTheAgentKnowsItsNodeTheStoreAndTheSharesInBytes(t *testing.T) {
	args := leastLogs(func(a *LogServiceArgs) {
		a.Agent.Buffer, a.PlatformShare = "512Mi", LogShare{Rate: "8Ki", Burst: "1Mi"}
	})
	agent := graphtest.Find(t, logs(t, args), daemonSet, "logs-agent")
	assert.Equal(t, []any{
		map[string]any{"name": "NODE_NAME", "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": "spec.nodeName"}}},
		map[string]any{"name": "NAMESPACE", "value": "journal-log-agent"},
		map[string]any{"name": "STORE_URL", "value": "http://log-store.journal-logs.svc:9428"},
		map[string]any{"name": "BUFFER_BYTES", "value": "536870912"},
		map[string]any{"name": "PLATFORM_RATE", "value": "8192"},
		map[string]any{"name": "PLATFORM_BURST", "value": "1048576"},
	}, agent.Field("spec.template.spec.containers[0].env"))
}

func TestTheAgentsMayReadPodsAndNamespacesAndNothingElse(t *testing.T) {
	assert.Equal(t, []string{"/pods:list", "/pods:watch", "/namespaces:get", "/namespaces:list", "/namespaces:watch"},
		graphtest.Grants(graphtest.Find(t, logs(t, leastLogs()), rbac+"ClusterRole", "logs-agent")))
}

// TestThePolicyOfTheAgentsNamespaceIsAboutEveryPod reads what the policy is about. The end-to-end tests ask an API server what it
// refuses.
func TestThePolicyOfTheAgentsNamespaceIsAboutEveryPod(t *testing.T) {
	g := logs(t, leastLogs())
	in := graphtest.Find(t, g, namespace, "logs-agent")
	labels, _ := in.Field("metadata.labels").(map[string]any)
	assert.Equal(t, "privileged", labels["pod-security.kubernetes.io/enforce"])
	assert.Contains(t, in.Field(`metadata.annotations["journal.example.com/pod-security-reason"]`), "/var/log/pods")

	policy := graphtest.Find(t, g, graphtest.AdmissionPolicy, "journal-log-agent")
	assert.Equal(t, map[string]any{"kubernetes.io/metadata.name": "journal-log-agent"}, policy.Field("spec.matchConstraints.namespaceSelector.matchLabels"))
	assert.Equal(t, []any{"pods", "pods/ephemeralcontainers"}, policy.Field("spec.matchConstraints.resourceRules[0].resources"))
	assert.Equal(t, "Fail", policy.Field("spec.failurePolicy"))
	assert.Equal(t, fmt.Sprintf("%q", agentImage), policy.Field("spec.variables[0].expression"))
	binding := graphtest.Find(t, g, graphtest.AdmissionBinding, "journal-log-agent")
	assert.Equal(t, []any{"Deny", "Audit"}, binding.Field("spec.validationActions"))
	assert.Contains(t, strings.Join(graphtest.Find(t, g, daemonSet, "logs-agent").DependsOn, " "), "ValidatingAdmissionPolicyBinding::journal-log-agent",
		"pods could run there before the policy holds")
}

func TestAnImageThatIsKnownLaterIsThePolicysToo(t *testing.T) {
	args := leastLogs(func(a *LogServiceArgs) { a.Agent.Image = pulumi.String(agentImage).ToStringOutput() })
	policy := graphtest.Find(t, logs(t, args), graphtest.AdmissionPolicy, "journal-log-agent")
	assert.Equal(t, fmt.Sprintf("%q", agentImage), policy.Field("spec.variables[0].expression"))
}

func TestTheStoreIsRestrictedAndKeepsWhatItsArgumentsSay(t *testing.T) {
	args := leastLogs(func(a *LogServiceArgs) {
		a.Store.Storage = kube.Storage{Size: "20Gi", Class: "fast"}
		a.Store.Resources.MemoryLimit = "1Gi"
		a.Retention = LogRetention{Days: 14, Size: "16Gi"}
	})
	g := logs(t, args)
	labels, _ := graphtest.Find(t, g, namespace, "logs-store").Field("metadata.labels").(map[string]any)
	assert.Equal(t, "restricted", labels["pod-security.kubernetes.io/enforce"])
	store := graphtest.Find(t, g, statefulSet, "logs-store")
	assert.Equal(t, []any{
		"-storageDataPath=/data", "-httpListenAddr=:9428", "-enableTCP6", "-retentionPeriod=14d", "-retention.maxDiskSpaceUsageBytes=17179869184",
		"-storage.minFreeDiskSpaceBytes=1073741824", "-memory.allowedBytes=268435456", "-search.maxQueryDuration=30s", "-search.maxConcurrentRequests=16",
		"-inmemoryDataFlushInterval=1s", "-loggerFormat=json",
	}, store.Field("spec.template.spec.containers[0].args"))
	assert.Equal(t, false, store.Field("spec.template.spec.automountServiceAccountToken"))
	assert.Equal(t, "fast", store.Field("spec.volumeClaimTemplates[0].spec.storageClassName"))
	claim := graphtest.Find(t, g, "kubernetes:core/v1:PersistentVolumeClaimPatch", "logs-store-0")
	assert.Equal(t, "data-log-store-0", claim.Field("metadata.name"))
	assert.Equal(t, "20Gi", claim.Field("spec.resources.requests.storage"))
}

func TestTheAgentsAndTheReaderReachTheStoreAndNobodyElse(t *testing.T) {
	g := logs(t, leastLogs(func(a *LogServiceArgs) { a.APIServerPorts = []int{16443} }))
	pods := func(namespace, app string) any {
		return map[string]any{
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": namespace}},
			"podSelector":       map[string]any{"matchLabels": map[string]any{"app": app}},
		}
	}
	tcp := func(port int) any { return []any{map[string]any{"protocol": "TCP", "port": port}} }
	store := graphtest.Find(t, g, networkPolicy, "logs-store")
	assert.Equal(t, []any{map[string]any{
		"from": []any{pods("journal-log-agent", "log-agent"), pods("journal-reader", "reader")}, "ports": tcp(9428),
	}}, store.Field("spec.ingress"))
	assert.Nil(t, store.Field("spec.egress"), "the store connects to nothing")

	agent := graphtest.Find(t, g, networkPolicy, "logs-agent")
	assert.Nil(t, agent.Field("spec.ingress"))
	assert.Equal(t, map[string]any{"to": []any{pods("journal-logs", "log-store")}, "ports": tcp(9428)}, agent.Field("spec.egress[1]"))
	assert.Equal(t, map[string]any{"ports": tcp(16443)}, agent.Field("spec.egress[2]"))
	for _, name := range []string{"logs-store", "logs-agent", "reader"} {
		assert.Equal(t, map[string]any{}, graphtest.Find(t, g, networkPolicy, name+"-default-deny").Field("spec.podSelector"), name)
		assert.Equal(t, []any{"Ingress", "Egress"}, graphtest.Find(t, g, networkPolicy, name).Field("spec.policyTypes"), name)
	}
}

func TestEveryContainerOfTheLogsHasLimits(t *testing.T) {
	g := logs(t, leastLogs())
	for token, name := range map[string]string{daemonSet: "logs-agent", statefulSet: "logs-store", deployment: "reader"} {
		for _, list := range []string{"containers", "initContainers"} {
			found, _ := graphtest.Find(t, g, token, name).Field("spec.template.spec." + list).([]any)
			for _, container := range found {
				limits := container.(map[string]any)["resources"].(map[string]any)["limits"].(map[string]any)
				assert.Len(t, limits, 3, "%s %s", name, list)
			}
		}
	}
}

func TestAPreviewOfTheLogsDeclaresTheSameAsAnUpdate(t *testing.T) {
	names := func(g *graph.Graph) (all []string) {
		for _, r := range g.All() {
			all = append(all, r.Type+" "+r.Name)
		}
		return all
	}
	assert.Equal(t, names(logs(t, leastLogs())), names(logs(t, leastLogs(), graph.Preview())))
}

func TestEachBrokenRuleOfTheLogsIsReportedWithAFixThatIsAccepted(t *testing.T) {
	many := map[string]LogShare{"team-a": {Rate: "1Mi", Burst: "64Mi"}, "bob": {Rate: "4Ki", Burst: "64Mi"}}
	for _, c := range []struct {
		says   string
		change func(*LogServiceArgs)
		fix    func(*LogServiceArgs)
	}{
		{`agent.image "log-agent:latest": the tag of an own image`, func(a *LogServiceArgs) { a.Agent.Image = pulumi.String("log-agent:latest") }, nil},
		{`store.image "victoria-logs": it has no tag`, func(a *LogServiceArgs) { a.Store.Image = pulumi.String("victoria-logs") }, nil},
		{`agent.buffer "1GB": not a Kubernetes quantity`, func(a *LogServiceArgs) { a.Agent.Buffer = "1GB" }, nil},
		{`agent.resources.memoryLimit "64Mi": below the request of 100Mi`, func(a *LogServiceArgs) { a.Agent.Resources.MemoryLimit = "64Mi" }, nil},
		{`retention.days "366": must be 1 to 365`, func(a *LogServiceArgs) { a.Retention.Days = 366 }, nil},
		{`retention.size "9Gi": above 80% of store.storage.size of 10Gi, so the volume could be full before the oldest day is dropped; write a store.storage.size of 11520Mi or more`,
			func(a *LogServiceArgs) { a.Retention.Size = "9Gi" }, func(a *LogServiceArgs) { a.Store.Storage.Size = "11520Mi" }},
		{`retention.size "8Gi": the last two days are always kept, and all shares together can fill them with 29363Mi on one node (the largest share is that of the tenant team-a, 28800Mi); ` +
			`write 29363Mi or more, with a store.storage.size of 36704Mi or more`,
			func(a *LogServiceArgs) { a.Shares = many },
			func(a *LogServiceArgs) { a.Retention.Size, a.Store.Storage.Size = "29363Mi", "36704Mi" }},
		{`agent.buffer "128Mi": too small for twice the largest burst and what all shares write in the ten minutes that the store may be away; write 138Mi or more`,
			func(a *LogServiceArgs) { a.Agent.Buffer = "128Mi" }, func(a *LogServiceArgs) { a.Agent.Buffer = "138Mi" }},
		{`platformShare.rate "4": less than 1Ki a second`, func(a *LogServiceArgs) { a.PlatformShare.Rate = "4" }, nil},
		{`platformShare.burst "64Ki": less than 1Mi`, func(a *LogServiceArgs) { a.PlatformShare.Burst = "64Ki" }, nil},
		{`store.storage.class "Fast": not an object name`, func(a *LogServiceArgs) { a.Store.Storage.Class = "Fast" }, nil},
		{`namespace "kube-logs": it belongs to Kubernetes`, func(a *LogServiceArgs) { a.Namespace = "kube-logs" }, nil},
		{`agentNamespace "journal-logs": the store's namespace`, func(a *LogServiceArgs) { a.AgentNamespace = "journal-logs" }, nil},
	} {
		t.Run(c.says, func(t *testing.T) {
			args := leastLogs(c.change)
			faults := args.Check()
			require.Len(t, faults, 1)
			require.ErrorContains(t, faults.Err(), c.says)
			if c.fix != nil {
				c.fix(args)
				assert.NoError(t, args.Check().Err(), "the fix is refused")
			}
		})
	}
}

func TestSharesThatJustFitAreAccepted(t *testing.T) {
	fits := func(rate string) error {
		return leastLogs(func(a *LogServiceArgs) {
			a.Retention.Size, a.PlatformShare = "1Gi", LogShare{Rate: "1Ki", Burst: "1Mi"}
			a.Shares = map[string]LogShare{"bob": {Rate: rate, Burst: "1Mi"}}
		}).Check().Err()
	}
	// (1024 + 36258) × 172800 / 6 is just below 1Gi.
	require.NoError(t, fits("36258"))
	require.ErrorContains(t, fits("36259"), `retention.size "1Gi"`)
}
