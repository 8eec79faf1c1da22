package journal_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/journal"
	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

const (
	statefulSet = "kubernetes:apps/v1:StatefulSet"
	deployment  = "kubernetes:apps/v1:Deployment"
	service     = "kubernetes:core/v1:Service"
	secret      = "kubernetes:core/v1:Secret"

	randomPassword = "random:index/randomPassword:RandomPassword"
	policy         = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
	autoscaler     = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
	budget         = "kubernetes:policy/v1:PodDisruptionBudget"
	account        = "kubernetes:core/v1:ServiceAccount"
	ingress        = "kubernetes:networking.k8s.io/v1:Ingress"
)

const (
	redisImage = "docker.io/library/redis:7.4.2"
	ownImage   = "registry.example.com/app:v0.1.0-0a1b2c3"
)

// redisUsers are the users of Redis.
var redisUsers = []string{"api", "replica", "probe"}

// workloads are the types that hold a pod template.
var workloads = []string{deployment, statefulSet}

// args are the least that a journal needs.
func args() *journal.Args {
	return &journal.Args{
		Namespace: pulumi.String("team-a"),
		Redis:     journal.RedisArgs{Image: pulumi.String(redisImage)},
		API:       journal.APIArgs{Image: pulumi.String(ownImage)},
		Frontend:  journal.FrontendArgs{Image: pulumi.String(ownImage)},
	}
}

// declare runs a program that declares one journal, and has its URL as the output url.
func declare(t *testing.T, a *journal.Args, options ...graph.Option) *graph.Graph {
	t.Helper()
	return graphtest.Run(t, func(ctx *pulumi.Context) error {
		j, err := journal.New(ctx, "journal", a)
		if err != nil {
			return err
		}
		ctx.Export("url", j.Exposure.URL)
		return nil
	}, options...)
}

// pods returns every workload of the graph.
func pods(t *testing.T, g *graph.Graph) []graph.Resource {
	t.Helper()
	var all []graph.Resource
	for _, token := range workloads {
		all = append(all, g.OfType(token)...)
	}
	require.Len(t, all, 3)
	return all
}

func TestEveryPodIsRestricted(t *testing.T) {
	for _, r := range pods(t, declare(t, args())) {
		pod, container := "spec.template.spec.", "spec.template.spec.containers[0].securityContext."
		for path, want := range map[string]any{
			pod + "automountServiceAccountToken":                       false,
			pod + "securityContext.runAsNonRoot":                       true,
			pod + "securityContext.seccompProfile.type":                "RuntimeDefault",
			container + "allowPrivilegeEscalation":                     false,
			container + "capabilities.drop[0]":                         "ALL",
			container + "readOnlyRootFilesystem":                       true,
			container + "runAsNonRoot":                                 true,
			container + "runAsUser":                                    kube.UserID,
			container + "seccompProfile.type":                          "RuntimeDefault",
			"spec.template.spec.containers[0].resources.limits.memory": r.Field("spec.template.spec.containers[0].resources.requests.memory"),
			"spec.template.spec.containers[0].resources.limits.cpu":    r.Field("spec.template.spec.containers[0].resources.requests.cpu"),
		} {
			assert.Equal(t, want, r.Field(path), "%s: %s", r.Name, path)
		}
		assert.NotNil(t, r.Field("spec.template.spec.containers[0].resources.limits.memory"), r.Name)
		assert.Equal(t, "kubernetes.io/hostname", r.Field(pod+"topologySpreadConstraints[0].topologyKey"), r.Name)
		for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
			assert.NotNil(t, r.Field(pod+"containers[0]."+probe), "%s has no %s", r.Name, probe)
		}
	}
}

func TestEveryObjectIsFoundByItsPartAndCarriesTheRecommendedLabels(t *testing.T) {
	parts := map[string]int{}
	for _, r := range declare(t, args()).All() {
		if !r.IsObject() {
			continue
		}
		labels, _ := r.Field("metadata.labels").(map[string]any)
		require.NotNil(t, labels, "%s %s has no labels", r.Type, r.Name)
		assert.Contains(t, []any{"redis", "api", "frontend", "exposure"}, labels["app"], r.Name)
		for _, label := range []string{"name", "instance", "component", "part-of", "managed-by"} {
			assert.NotEmpty(t, labels["app.kubernetes.io/"+label], "%s %s: %s", r.Type, r.Name, label)
		}
		assert.Equal(t, "team-a", r.Field("metadata.namespace"), r.Name)
		parts[labels["app"].(string)]++
	}
	assert.Equal(t, map[string]int{"redis": 9, "api": 6, "frontend": 6, "exposure": 1}, parts)
}

func TestServersUpdateWithoutLosingCapacity(t *testing.T) {
	g := declare(t, args())
	for _, name := range []string{"journal-api", "journal-frontend"} {
		r := graphtest.Find(t, g, deployment, name)
		assert.Equal(t, 2, r.Field("spec.replicas"))
		assert.Equal(t, 0, r.Field("spec.strategy.rollingUpdate.maxUnavailable"))
		assert.Equal(t, 1, r.Field("spec.strategy.rollingUpdate.maxSurge"))
		assert.Equal(t, 5, r.Field("spec.template.spec.containers[0].lifecycle.preStop.sleep.seconds"))
		assert.Equal(t, 1, graphtest.Find(t, g, budget, name).Field("spec.maxUnavailable"))
		assert.Equal(t, false, graphtest.Find(t, g, account, name).Field("automountServiceAccountToken"))
	}
}

func TestTheClusterScalesAServerThatSaysSoAndAnUpdateDoesNotScaleItBack(t *testing.T) {
	a := args()
	a.API.Replicas, a.API.Autoscaling = 3, &kube.Autoscaling{MaxReplicas: 6}
	g := declare(t, a)
	require.Len(t, g.OfType(autoscaler), 1)
	scaler := graphtest.Find(t, g, autoscaler, "journal-api")
	for path, want := range map[string]any{
		"scaleTargetRef.apiVersion": "apps/v1", "scaleTargetRef.kind": "Deployment", "scaleTargetRef.name": "api",
		"minReplicas": 3, "maxReplicas": 6, "metrics[0].type": "Resource", "metrics[0].resource.name": "cpu",
		"metrics[0].resource.target.averageUtilization": 70, "behavior.scaleDown.stabilizationWindowSeconds": 300,
	} {
		assert.Equal(t, want, scaler.Field("spec."+path), path)
	}
	scaled, fixed := graphtest.Find(t, g, deployment, "journal-api"), graphtest.Find(t, g, deployment, "journal-frontend")
	assert.Equal(t, 3, scaled.Field("spec.replicas"), "they are there from the start")
	assert.Equal(t, []string{"spec.replicas"}, scaled.IgnoreChanges)
	assert.Empty(t, fixed.IgnoreChanges)

	// Turning it on or off is an update of the Deployment, which takes the number back from the autoscaler.
	annotations := func(r graph.Resource) any { return r.Field("metadata.annotations") }
	assert.Equal(t, map[string]any{"journal.example.com/scaled-by": "load", "pulumi.com/patchForce": "true"}, annotations(scaled))
	assert.Equal(t, map[string]any{"pulumi.com/patchForce": "true"}, annotations(fixed))
}

func TestTheMostPodsOfAScaledServerAreItsDemand(t *testing.T) {
	a := args()
	a.API.Autoscaling, a.Frontend.Replicas = &kube.Autoscaling{MaxReplicas: 9}, 4
	demand := map[string]int{}
	for _, d := range a.Demand() {
		demand[d.Part] = d.Replicas
	}
	assert.Equal(t, map[string]int{"redis": 3, "api": 9, "frontend": 4}, demand)
}

func TestSelectorsHoldNothingThatAnUpdateChanges(t *testing.T) {
	for _, r := range pods(t, declare(t, args())) {
		assert.Len(t, r.Field("spec.selector.matchLabels"), 1, r.Name)
	}
}

func TestPodZeroOfRedisIsThePrimary(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		redis, err := journal.NewRedis(ctx, "cache", &journal.RedisArgs{Image: pulumi.String(redisImage), Namespace: pulumi.String("team-a")})
		if err != nil {
			return err
		}
		ctx.Export("write", redis.WriteAddress)
		ctx.Export("read", redis.ReadAddress)
		ctx.Export("secret", redis.SecretName)
		return nil
	})
	require.NoError(t, err)
	outputs := g.Outputs()
	delete(outputs, "cache-history")
	assert.Equal(t, map[string]any{
		"write":  "cache-write.team-a.svc:6379",
		"read":   "cache-read.team-a.svc:6379",
		"secret": "cache-password-6a1d086afc",
	}, outputs)

	write := graphtest.Find(t, g, service, "cache-write")
	assert.Equal(t, map[string]any{"statefulset.kubernetes.io/pod-name": "cache-0"}, write.Field("spec.selector"))
	assert.Equal(t, true, write.Field("spec.publishNotReadyAddresses"), "replicas wait for the primary while it starts")
	set := graphtest.Find(t, g, statefulSet, "cache")
	assert.Equal(t, "cache", set.Field("metadata.name"))
	assert.Equal(t, "cache", set.Field("spec.serviceName"))
	assert.Equal(t, 3, set.Field("spec.replicas"))
	assert.Equal(t, "1Gi", set.Field("spec.volumeClaimTemplates[0].spec.resources.requests.storage"))
	assert.Nil(t, set.Field("spec.volumeClaimTemplates[0].spec.storageClassName"))
	assert.Equal(t, "None", graphtest.Find(t, g, service, "cache").Field("spec.clusterIP"))
	assert.Equal(t, true, graphtest.Find(t, g, service, "cache").Field("spec.publishNotReadyAddresses"))
	assert.Nil(t, graphtest.Find(t, g, service, "cache-read").Field("spec.publishNotReadyAddresses"))
}

func TestAQuorumIsAMajorityOfAllRedisPods(t *testing.T) {
	minReplicas := func(a *journal.Args) (redis, api any) {
		g := declare(t, a)
		for _, r := range g.OfType("kubernetes:core/v1:ConfigMap") {
			if value := r.Field("data.JOURNAL_REDIS_MIN_REPLICAS"); value != nil {
				api = value
			}
		}
		return environment(t, graphtest.Find(t, g, statefulSet, "journal-redis"))["MIN_REPLICAS_TO_WRITE"], api
	}
	for replicas, want := range map[int]string{1: "0", 3: "1", 5: "2", 9: "4"} {
		a := args()
		a.Redis.Replicas, a.Redis.Quorum = replicas, true
		redis, api := minReplicas(a)
		assert.Equal(t, want, redis, "%d replicas", replicas)
		assert.Equal(t, want, api, "%d replicas", replicas)
	}
	redis, api := minReplicas(args())
	assert.Equal(t, "0", redis)
	assert.Equal(t, "0", api)
}

func TestPodsOfAQuorumNeverShareANodeUnlessTheyMay(t *testing.T) {
	for _, c := range []struct {
		sentence              string
		quorum, shared, apart bool
	}{
		{"a quorum is on nodes of its own", true, false, true},
		{"a quorum may share nodes", true, true, false},
		{"without a quorum, any node will do", false, false, false},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			a := args()
			a.Redis.Quorum, a.Redis.SharedNodes = c.quorum, c.shared
			g := declare(t, a)
			var want any
			if c.apart {
				want = []any{map[string]any{
					"labelSelector": map[string]any{"matchLabels": map[string]any{"app": "redis"}},
					"topologyKey":   "kubernetes.io/hostname",
				}}
			}
			const path = "spec.template.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"
			assert.Equal(t, want, graphtest.Find(t, g, statefulSet, "journal-redis").Field(path))
			assert.Nil(t, graphtest.Find(t, g, deployment, "journal-api").Field(path))
		})
	}
}

// environment returns the variables of a workload's container.
func environment(t *testing.T, r graph.Resource) map[string]any {
	t.Helper()
	variables := map[string]any{}
	list, _ := r.Field("spec.template.spec.containers[0].env").([]any)
	for _, entry := range list {
		variable := entry.(map[string]any)
		variables[variable["name"].(string)] = variable["value"]
	}
	return variables
}

func TestThePasswordIsASecretFileAndNothingElse(t *testing.T) {
	g := declare(t, args())
	found := graphtest.Find(t, g, secret, "journal-redis-1")
	hidden := []string{"the-generated-password"} // what they come from
	for _, user := range redisUsers {
		password, _ := found.Field("stringData." + user).(string)
		require.Len(t, password, 32, user)
		assert.NotContains(t, hidden, password, "two users have one password")
		hidden = append(hidden, password)
	}
	assert.True(t, found.IsSecret("stringData"), "the passwords are in the state in the clear")
	manifests, err := g.Manifests()
	require.NoError(t, err)
	for _, text := range hidden {
		for _, r := range g.All() {
			if r.Type != secret {
				assert.NotContains(t, fmt.Sprint(r.Inputs), text, "%s %s", r.Type, r.Name)
			}
		}
		assert.NotContains(t, manifests, text)
	}

	for _, c := range []struct {
		workload graph.Resource
		has      []string
	}{{graphtest.Find(t, g, statefulSet, "journal-redis"), redisUsers}, {graphtest.Find(t, g, deployment, "journal-api"), []string{"api"}}} {
		t.Run(c.workload.Name, func(t *testing.T) {
			items := []any{}
			for _, user := range c.has {
				items = append(items, map[string]any{"key": user, "path": user})
			}
			assert.Equal(t, []any{map[string]any{"secret": map[string]any{"name": found.Field("metadata.name"), "items": items}}},
				c.workload.Field("spec.template.spec.volumes[1].projected.sources"))
		})
	}
}

func TestOnlyTheAPIAndRedisReachRedis(t *testing.T) {
	g := declare(t, args())
	networkPolicy := graphtest.Find(t, g, policy, "journal-redis")
	assert.Equal(t, []any{
		map[string]any{"podSelector": map[string]any{"matchLabels": map[string]any{"app": "redis"}}},
		map[string]any{"podSelector": map[string]any{"matchLabels": map[string]any{"app": "api"}}},
	}, networkPolicy.Field("spec.ingress[0].from"))
	assert.Nil(t, graphtest.Find(t, g, policy, "journal-frontend").Field("spec.egress"), "the page connects to nothing")
	for _, r := range g.OfType(policy) {
		assert.Equal(t, []any{"Ingress", "Egress"}, r.Field("spec.policyTypes"), r.Name)
	}
}

func TestOnlyTheIngressControllersNamespaceReachesTheServersWhenItIsNamed(t *testing.T) {
	from := "spec.ingress[0].from[0].namespaceSelector"
	assert.Empty(t, graphtest.Find(t, declare(t, args()), policy, "journal-api").Field(from))
	a := args()
	a.IngressNamespace = "traefik"
	for _, name := range []string{"journal-api", "journal-frontend"} {
		assert.Equal(t, map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "traefik"}},
			graphtest.Find(t, declare(t, a), policy, name).Field(from), name)
	}
}

func TestAJournalInAFencedNamespaceDeclaresNoNetworkPolicy(t *testing.T) {
	a := args()
	a.Fenced = true
	g := declare(t, a)
	assert.Empty(t, g.OfType(policy))
	for _, r := range pods(t, g) {
		assert.Contains(t, r.Field(`spec.template.metadata.annotations["`+kube.ScoreIgnore+`"]`), "pod-networkpolicy", "kube-score looks for one of %s", r.Name)
	}
	a.IngressNamespace, a.MetricsNamespace, a.DNS = "traefik", "metrics", kube.DNS{"169.254.20.10/32"}
	err := a.Check().Err()
	for _, field := range []string{`ingressNamespace "traefik"`, `metricsNamespace "metrics"`, `dns "[169.254.20.10/32]"`} {
		assert.ErrorContains(t, err, field+": the namespace is fenced, and its own NetworkPolicies say who may connect")
	}
	a.Fenced = false
	assert.NoError(t, a.Check().Err())
}

func TestTheRoutesLeadToTheAPIAndThePage(t *testing.T) {
	r := graphtest.Find(t, declare(t, args()), ingress, "journal-exposure")
	assert.Equal(t, "traefik", r.Field("spec.ingressClassName"))
	assert.Equal(t, "journal.localhost", r.Field("spec.rules[0].host"))
	assert.Equal(t, "/api", r.Field("spec.rules[0].http.paths[0].path"))
	assert.Equal(t, "api", r.Field("spec.rules[0].http.paths[0].backend.service.name"))
	assert.Equal(t, "/", r.Field("spec.rules[0].http.paths[1].path"))
	assert.Equal(t, "frontend", r.Field("spec.rules[0].http.paths[1].backend.service.name"))
	assert.Nil(t, r.Field("spec.tls"))
}

func TestTheURLSaysWhatUsersType(t *testing.T) {
	for want, exposure := range map[string]journal.ExposureArgs{
		"http://journal.localhost/":      {},
		"http://journal.localhost:8080/": {Port: 8080},
		"https://journal.example.com/":   {Host: "journal.example.com", TLS: journal.TLSArgs{Secret: "journal-tls"}},
	} {
		t.Run(want, func(t *testing.T) {
			g := exposed(t, exposure)
			assert.Equal(t, want, g.Outputs()["url"])
			if exposure.TLS.Secret != "" {
				r := graphtest.Find(t, g, ingress, "journal-exposure")
				assert.Equal(t, "journal-tls", r.Field("spec.tls[0].secretName"))
				assert.Equal(t, []any{"journal.example.com"}, r.Field("spec.tls[0].hosts"))
			}
		})
	}
}

func TestTwoJournalsFitIntoOneStack(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		for _, name := range []string{"team-a", "team-b"} {
			a := args()
			a.Namespace = pulumi.String(name)
			if _, err := journal.New(ctx, name, a); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, r := range g.All() {
		key := r.Type + " " + r.Name
		assert.False(t, seen[key], "%s is registered twice", key)
		seen[key] = true
	}
	assert.Equal(t, "team-a", graphtest.Find(t, g, statefulSet, "team-a-redis").Field("metadata.namespace"))
	assert.Equal(t, "team-b", graphtest.Find(t, g, statefulSet, "team-b-redis").Field("metadata.namespace"))
}

func TestTwoOfEachPartFitIntoOneNamespace(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		for _, suffix := range []string{"-1", "-2"} {
			redis, err := journal.NewRedis(ctx, "redis"+suffix, &journal.RedisArgs{Namespace: pulumi.String("team-a"), Image: pulumi.String(redisImage), Clients: []string{"api" + suffix}})
			if err != nil {
				return err
			}
			api, err := journal.NewAPI(ctx, "api"+suffix, &journal.APIArgs{Namespace: pulumi.String("team-a"), Image: pulumi.String(ownImage), Redis: redis.Client()})
			if err != nil {
				return err
			}
			frontend, err := journal.NewFrontend(ctx, "frontend"+suffix, &journal.FrontendArgs{Namespace: pulumi.String("team-a"), Image: pulumi.String(ownImage)})
			if err != nil {
				return err
			}
			if _, err := journal.NewExposure(ctx, "exposure"+suffix, &journal.ExposureArgs{Namespace: pulumi.String("team-a"), Host: "journal" + suffix + ".example.com", API: api.Backend(), Frontend: frontend.Backend()}); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	names := map[any]bool{}
	for _, r := range g.OfType(service) {
		assert.False(t, names[r.Field("metadata.name")], "two Services are called %v", r.Field("metadata.name"))
		names[r.Field("metadata.name")] = true
	}
	assert.Len(t, names, 10)
}

func TestEveryChildBelongsToItsComponent(t *testing.T) {
	parents := map[string]string{}
	for _, r := range declare(t, args()).All() {
		parents[r.Type+" "+r.Name] = r.ParentName()
	}
	for child, parent := range map[string]string{
		"journal:components:Journal journal":           "the stack",
		"journal:components:Redis journal-redis":       "journal:components:Journal journal",
		"journal:components:API journal-api":           "journal:components:Journal journal",
		"journal:components:Frontend journal-frontend": "journal:components:Journal journal",
		"journal:components:Exposure journal-exposure": "journal:components:Journal journal",
		statefulSet + " journal-redis":                 "journal:components:Redis journal-redis",
		randomPassword + " journal-redis":              "the stack", // as the one target of a first update
		deployment + " journal-api":                    "journal:components:API journal-api",
		deployment + " journal-frontend":               "journal:components:Frontend journal-frontend",
		ingress + " journal-exposure":                  "journal:components:Exposure journal-exposure",
	} {
		assert.Equal(t, parent, parents[child], child)
	}
}

func TestAPreviewDeclaresTheSameAsAnUpdate(t *testing.T) {
	previewed, updated := declare(t, args(), graph.Preview()), declare(t, args())
	require.Len(t, previewed.All(), len(updated.All()))
	for i, r := range updated.All() {
		assert.Equal(t, r.Type+" "+r.Name, previewed.All()[i].Type+" "+previewed.All()[i].Name)
	}
}

func TestAPreviewOfAFirstUpdateLeavesTheGenerationThatIsRolledOutOpen(t *testing.T) {
	given := func(options ...graph.Option) bool {
		patch := graphtest.Find(t, declare(t, args(), options...), "kubernetes:apps/v1:StatefulSetPatch", "journal-redis")
		_, is := patch.Inputs["metadata"].ObjectValue()["annotations"].ObjectValue()["journal.example.com/rolled-out-generation"]
		return is
	}
	assert.False(t, given(graph.Preview()), "a plan holds the update to what the preview says")
	assert.True(t, given())
}

func TestEveryBrokenRuleOfAJournalIsOneLineOfOneErrorAndNothingIsDeclared(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := journal.New(ctx, "journal", &journal.Args{
			Redis:            journal.RedisArgs{Image: pulumi.String("redis:7"), Replicas: 4, Quorum: true},
			API:              journal.APIArgs{Image: pulumi.String("api:latest"), Replicas: 1},
			Frontend:         journal.FrontendArgs{Image: pulumi.String(ownImage), Replicas: -1},
			Exposure:         journal.ExposureArgs{Host: "http://example.com"},
			IngressNamespace: "Traefik",
		})
		return err
	})
	require.Error(t, err)
	for _, key := range []string{`redis.image "redis:7"`, `redis.replicas "4"`, `api.image "api:latest"`, `api.replicas "1"`, `frontend.replicas "-1"`, `exposure.host "http://example.com"`, `ingressNamespace "Traefik"`} {
		assert.ErrorContains(t, err, key)
	}
	assert.Empty(t, g.All())
}

func TestEachRuleOfAPartIsReported(t *testing.T) {
	redis := func(change func(*journal.RedisArgs)) rules.Faults {
		a := &journal.RedisArgs{Image: pulumi.String(redisImage)}
		change(a)
		return a.Check("redis")
	}
	api := func(change func(*journal.APIArgs)) rules.Faults {
		a := &journal.APIArgs{Image: pulumi.String(ownImage)}
		change(a)
		return a.Check("api")
	}
	exposure := func(change func(*journal.ExposureArgs)) rules.Faults {
		a := &journal.ExposureArgs{}
		change(a)
		return a.Check("exposure")
	}
	for _, c := range []struct {
		sentence string
		says     string
		faults   rules.Faults
	}{
		{"an app with upper case", `app "Redis": not a DNS label`, redis(func(a *journal.RedisArgs) { a.App = "Redis" })},
		{"no image", `image "": it is missing`, redis(func(a *journal.RedisArgs) { a.Image = nil })},
		{"fewer than no replicas", `replicas "-1": must be 1 to 9`, redis(func(a *journal.RedisArgs) { a.Replicas = -1 })},
		{"too many replicas", `replicas "10": must be 1 to 9`, redis(func(a *journal.RedisArgs) { a.Replicas = 10 })},
		{"an even quorum", `replicas "2": a quorum needs an odd number, since an even one survives no more failures than one less; write 3`, redis(func(a *journal.RedisArgs) { a.Replicas, a.Quorum = 2, true })},
		{"a CPU that is no quantity", `resources.cpu "10 cores": not a Kubernetes quantity`, redis(func(a *journal.RedisArgs) { a.Resources.CPU = "10 cores" })},
		{"a memory limit that is no quantity", `maxMemory "10 GB": not a Kubernetes quantity`, redis(func(a *journal.RedisArgs) { a.MaxMemory = "10 GB" })},
		{"a dataset larger than the container's memory", `resources.memoryLimit "192Mi": below the dataset limit maxMemory of 1Gi`, redis(func(a *journal.RedisArgs) { a.MaxMemory = "1Gi" })},
		{"a volume of one byte", `storage.size "1": less than 1Mi`, redis(func(a *journal.RedisArgs) { a.Storage.Size = "1" })},
		{"a StorageClass with a space", `storage.class "Fast SSD": not an object name`, redis(func(a *journal.RedisArgs) { a.Storage.Class = "Fast SSD" })},
		{"a password below 1", `passwords[1] "0": must be 1 or more`, redis(func(a *journal.RedisArgs) { a.Passwords = []int{2, 0} })},
		{"a password listed twice", `passwords[2] "2": it is listed before; remove this one`, redis(func(a *journal.RedisArgs) { a.Passwords = []int{2, 1, 2} })},
		{"too many passwords", `passwords "[9 8 7 6 5 4 3 2 1]": at most 8 numbers`, redis(func(a *journal.RedisArgs) { a.Passwords = []int{9, 8, 7, 6, 5, 4, 3, 2, 1} })},
		{"an image without a tag", `image "api": it has no tag`, api(func(a *journal.APIArgs) { a.Image = pulumi.String("api") })},
		{"one replica of the API", `replicas "1": must be 2 or more`, api(func(a *journal.APIArgs) { a.Replicas = 1 })},
		{"a limit below the request", `resources.cpuLimit "50m": below the request of 100m`, api(func(a *journal.APIArgs) { a.Resources.CPULimit = "50m" })},
		{"a log level that does not exist", `logLevel "loud": must be one of debug, info, warn, error`, api(func(a *journal.APIArgs) { a.LogLevel = "loud" })},
		{"fewer than no requests in flight", `maxInFlight "-1": must be 1 to 10000`, api(func(a *journal.APIArgs) { a.MaxInFlight = -1 })},
		{"autoscaling without a maximum", `autoscaling.maxReplicas "0": it is missing; write for example 6`, api(func(a *journal.APIArgs) { a.Autoscaling = &kube.Autoscaling{} })},
		{"too few pods to scale", `autoscaling.maxReplicas "2": must be 3 to 1000`, api(func(a *journal.APIArgs) { a.Replicas, a.Autoscaling = 2, &kube.Autoscaling{MaxReplicas: 2} })},
		{"autoscaling that could add nothing", `autoscaling.maxReplicas "5": there are 5 replicas without load, so nothing could be added; write 6 or more`, api(func(a *journal.APIArgs) { a.Replicas, a.Autoscaling = 5, &kube.Autoscaling{MaxReplicas: 5} })},
		{"a target that is never exceeded", `autoscaling.targetCPU "100": must be 10 to 90`, api(func(a *journal.APIArgs) { a.Autoscaling = &kube.Autoscaling{MaxReplicas: 6, TargetCPU: 100} })},
		{"a window below a look at the figures", `autoscaling.scaleDownWindow "5": must be 15 to 3600`, api(func(a *journal.APIArgs) { a.Autoscaling = &kube.Autoscaling{MaxReplicas: 6, ScaleDownWindow: 5} })},
		{"a namespace with a space", `ingressNamespace "kube system": not a DNS label`, api(func(a *journal.APIArgs) { a.IngressNamespace = "kube system" })},
		{"a host that is an address", `host "10.0.0.1": not a DNS name`, exposure(func(a *journal.ExposureArgs) { a.Host = "10.0.0.1" })},
		{"a class with upper case", `class "Traefik": not an object name`, exposure(func(a *journal.ExposureArgs) { a.Class = "Traefik" })},
		{"a Secret with a space", `tls.secret "my tls": not an object name`, exposure(func(a *journal.ExposureArgs) { a.TLS.Secret = "my tls" })},
		{"a port above 65535", `port "70000": must be 0 to 65535`, exposure(func(a *journal.ExposureArgs) { a.Port = 70000 })},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			require.Len(t, c.faults, 1)
			assert.ErrorContains(t, c.faults.Err(), c.says)
		})
	}
}

func TestNilArgumentsAreAllDefaultsAndOnlyWhatHasNoneIsMissing(t *testing.T) {
	_, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := journal.New(ctx, "journal", nil)
		return err
	})
	require.Error(t, err)
	for _, part := range []string{"redis", "api", "frontend"} {
		assert.ErrorContains(t, err, part+`.image "": it is missing`)
	}
	assert.ErrorContains(t, err, `namespace "": it is missing`)
	assert.Len(t, (*journal.Args)(nil).Check(), 3)
}

func TestAPartWithoutWhatItLeadsToIsRefused(t *testing.T) {
	_, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := journal.NewAPI(ctx, "api", &journal.APIArgs{Namespace: pulumi.String("team-a"), Image: pulumi.String(ownImage)})
		return err
	})
	for _, field := range []string{"writeAddress", "readAddress", "secretName", "peers", "port"} {
		assert.ErrorContains(t, err, `redis.`+field+` "": it is missing; pass what the method Client of a Redis returns`)
	}
	_, err = graph.Run(func(ctx *pulumi.Context) error {
		_, err := journal.NewExposure(ctx, "exposure", nil)
		return err
	})
	assert.ErrorContains(t, err, `api "": it is missing; pass what the method Backend of an API or a Frontend returns`)
	assert.ErrorContains(t, err, `frontend "": it is missing`)
}

func TestEveryComponentNamesANamespaceAndItIsNotDefault(t *testing.T) {
	image := pulumi.String(ownImage)
	for _, c := range []struct {
		namespace pulumi.StringInput
		says      string
	}{
		{nil, `namespace "": it is missing; write the name of a namespace made for it, such as journal`},
		{pulumi.String("default"), `namespace "default": must be a namespace made for it, such as journal: default is where everything lands that names none`},
		{pulumi.String("Team A"), `namespace "Team A": not a DNS label`},
	} {
		for component, declare := range map[string]func(*pulumi.Context) error{
			"redis": func(ctx *pulumi.Context) error {
				_, err := journal.NewRedis(ctx, "a", &journal.RedisArgs{Namespace: c.namespace, Image: pulumi.String(redisImage)})
				return err
			},
			"api": func(ctx *pulumi.Context) error {
				_, err := journal.NewAPI(ctx, "a", &journal.APIArgs{Namespace: c.namespace, Image: image})
				return err
			},
			"frontend": func(ctx *pulumi.Context) error {
				_, err := journal.NewFrontend(ctx, "a", &journal.FrontendArgs{Namespace: c.namespace, Image: image})
				return err
			},
			"exposure": func(ctx *pulumi.Context) error {
				_, err := journal.NewExposure(ctx, "a", &journal.ExposureArgs{Namespace: c.namespace})
				return err
			},
			"journal": func(ctx *pulumi.Context) error {
				a := args()
				a.Namespace = c.namespace
				_, err := journal.New(ctx, "a", a)
				return err
			},
		} {
			t.Run(component, func(t *testing.T) {
				g, err := graph.Run(declare)
				assert.ErrorContains(t, err, c.says)
				assert.Empty(t, g.All())
			})
		}
	}
}

func TestAPartTakesWhatAnotherProgramDeclares(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := journal.NewAPI(ctx, "api", &journal.APIArgs{Namespace: pulumi.String("team-a"), Image: pulumi.String(ownImage), Redis: journal.RedisClient{
			WriteAddress: pulumi.String("redis.example.com:6380"), ReadAddress: pulumi.String("replica.example.com:6380"),
			SecretName: pulumi.String("redis"), Port: 6380,
			Peers: networkingv1.NetworkPolicyPeerArray{networkingv1.NetworkPolicyPeerArgs{IpBlock: networkingv1.IPBlockArgs{Cidr: pulumi.String("192.0.2.0/24")}}},
		}})
		if err != nil {
			return err
		}
		_, err = journal.NewExposure(ctx, "exposure", &journal.ExposureArgs{
			Namespace: pulumi.String("team-a"),
			API:       journal.Backend{Service: pulumi.String("rest"), Port: 8080},
			Frontend:  journal.Backend{Service: pulumi.String("page"), Port: 8081},
		})
		return err
	})
	require.NoError(t, err)
	api := graphtest.Find(t, g, deployment, "api")
	assert.Equal(t, "redis.example.com:6380", environment(t, api)["JOURNAL_REDIS_WRITE_ADDRESS"])
	assert.Equal(t, "redis", api.Field("spec.template.spec.volumes[1].projected.sources[0].secret.name"))
	assert.Equal(t, "192.0.2.0/24", graphtest.Find(t, g, policy, "api").Field("spec.egress[1].to[0].ipBlock.cidr"))
	assert.Equal(t, 6380, graphtest.Find(t, g, policy, "api").Field("spec.egress[1].ports[0].port"))
	assert.Equal(t, map[string]any{"name": "page", "port": map[string]any{"number": 8081}},
		graphtest.Find(t, g, ingress, "exposure").Field("spec.rules[0].http.paths[1].backend.service"))
}

func TestAJournalRefusesWhatItWouldOverwrite(t *testing.T) {
	a := args()
	a.API.Redis.SecretName = pulumi.String("other")
	a.Exposure.API.Port, a.Exposure.Frontend.Port = 1, 1
	for _, fault := range []string{`api.redis "": the parts of a journal lead to each other`, `exposure.api "": the parts`, `exposure.frontend "": the parts`} {
		assert.ErrorContains(t, a.Check().Err(), fault)
	}
}

func TestAnImageThatIsKnownLaterIsCheckedThen(t *testing.T) {
	run := func(redis, own string, options ...graph.Option) (*graph.Graph, error) {
		return graph.Run(func(ctx *pulumi.Context) error {
			a := args()
			a.Redis.Image = pulumi.String(redis).ToStringOutput()
			a.API.Image = pulumi.String(own).ToStringOutput()
			a.Frontend.Image = pulumi.String(own).ToStringOutput()
			_, err := journal.New(ctx, "journal", a)
			return err
		}, options...)
	}
	g, err := run(redisImage, ownImage)
	require.NoError(t, err)
	for _, r := range pods(t, g) {
		assert.NotEmpty(t, r.Field("spec.template.spec.containers[0].image"), r.Name)
		assert.Contains(t, []any{"7.4.2", "v0.1.0-0a1b2c3"}, r.Field(`spec.template.metadata.labels["app.kubernetes.io/version"]`), r.Name)
	}
	_, err = run("redis:latest", ownImage)
	assert.ErrorContains(t, err, `redis "journal-redis": image "redis:latest": the tag "latest" can be moved`)
	_, err = run(redisImage, "app:latest")
	assert.ErrorContains(t, err, `image "app:latest": the tag of an own image is v<semver>-<git sha>`)
}

func TestAnImageThatAPreviewCannotKnowIsNoFault(t *testing.T) {
	_, err := graph.Run(func(ctx *pulumi.Context) error {
		built, err := corev1.NewConfigMap(ctx, "built", nil) // a preview does not know its name
		if err != nil {
			return err
		}
		_, err = journal.NewFrontend(ctx, "page", &journal.FrontendArgs{Namespace: pulumi.String("team-a"), Image: built.Metadata.Name().Elem()})
		return err
	}, graph.Preview())
	assert.NoError(t, err)
}

// update declares a journal as the next update after another graph.
func update(t *testing.T, last *graph.Graph, a *journal.Args) *graph.Graph {
	t.Helper()
	return declare(t, a, graph.LastOutputs(last.Outputs()))
}

func TestAChangeOfAConfigurationIsANewObjectAndTheOthersStay(t *testing.T) {
	a := args()
	g := declare(t, a)
	for _, title := range []string{"First", "Second", "Third"} {
		a.Frontend.Title = title
		g = update(t, g, a)
	}
	contents := map[any][]any{}
	for _, r := range g.OfType("kubernetes:core/v1:ConfigMap") {
		assert.Equal(t, true, r.Field("immutable"), r.Name)
		app := r.Field("metadata.labels.app")
		contents[app] = append(contents[app], r.Field("metadata.name"))
	}
	page := func(title string) string {
		return kube.ContentName("frontend-config", map[string]string{"config.json": `{"pageSize":20,"readOnly":false,"title":"` + title + `"}`})
	}
	assert.ElementsMatch(t, []any{page("Third"), page("Second"), page("First")}, contents["frontend"], "the current one and the last two")
	assert.Len(t, contents["api"], 1, "nothing has changed")
	assert.Len(t, contents["redis"], 1)
	assert.Equal(t, page("Third"), graphtest.Find(t, g, deployment, "journal-frontend").Field("spec.template.spec.volumes[1].configMap.name"))
	api := graphtest.Find(t, g, deployment, "journal-api")
	assert.Equal(t, contents["api"][0], api.Field("spec.template.spec.containers[0].envFrom[0].configMapRef.name"))
}

func TestAPartAloneKeepsItsVersionsToo(t *testing.T) {
	declare := func(last map[string]any, title string) *graph.Graph {
		g, err := graph.Run(func(ctx *pulumi.Context) error {
			if _, err := journal.NewRedis(ctx, "cache", &journal.RedisArgs{Namespace: pulumi.String("team-a"), Image: pulumi.String(redisImage), Passwords: []int{2, 1}}); err != nil {
				return err
			}
			_, err := journal.NewFrontend(ctx, "page", &journal.FrontendArgs{Namespace: pulumi.String("team-a"), Image: pulumi.String(ownImage), Title: title})
			return err
		}, graph.LastOutputs(last))
		require.NoError(t, err)
		return g
	}
	first := declare(nil, "First")
	assert.Contains(t, first.Outputs(), "cache-history")
	pages := 0
	for _, r := range declare(first.Outputs(), "Second").OfType("kubernetes:core/v1:ConfigMap") {
		if r.Field("metadata.labels.app") == "page" {
			pages++
		}
	}
	assert.Equal(t, 2, pages)
}

func TestRedisAcceptsEveryPasswordThatIsListed(t *testing.T) {
	for _, c := range []struct {
		sentence     string
		listed, kept []int
	}{
		{"none is listed", nil, []int{1}},
		{"the first", []int{1}, []int{1}},
		{"the second, and the first is still accepted", []int{2, 1}, []int{2, 1}},
		{"going back", []int{1, 2}, []int{1, 2}},
		{"three, with a number left out", []int{5, 4, 2}, []int{5, 4, 2}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			a := args()
			a.Redis.Passwords = c.listed
			g := declare(t, a)
			assert.Len(t, g.OfType(secret), len(c.kept))
			assert.Len(t, g.OfType(randomPassword), 1, "what all passwords come from")
			taken := map[any]bool{}
			for _, r := range g.OfType(secret) {
				for _, user := range redisUsers {
					password := r.Field("stringData." + user)
					assert.Len(t, password, 32)
					assert.False(t, taken[password], "two numbers or users have one password")
					taken[password] = true
				}
				assert.True(t, r.IsSecret("stringData"))
			}
			files, _ := graphtest.Find(t, g, statefulSet, "journal-redis").Field("spec.template.spec.volumes[1].projected.sources").([]any)
			require.Len(t, files, len(c.kept), "passwords that Redis accepts")
			for i := range files {
				prefix := ""
				if i > 0 {
					prefix = fmt.Sprintf("previous-%d-", i)
				}
				set := graphtest.Find(t, g, statefulSet, "journal-redis")
				assert.Equal(t, prefix+"api", set.Field(fmt.Sprintf("spec.template.spec.volumes[1].projected.sources[%d].secret.items[0].path", i)))
			}
		})
	}
}

func TestPasswordsComeFromSecretsThatExist(t *testing.T) {
	a := args()
	a.Redis.Passwords, a.Redis.PasswordSecret = []int{3, 2}, "from-vault"
	g := declare(t, a)
	assert.Empty(t, g.OfType(secret))
	assert.Empty(t, g.OfType(randomPassword), "nothing that only the state has")
	source := func(name string, paths ...any) map[string]any {
		items := []any{}
		for i, user := range redisUsers {
			if i < len(paths) {
				items = append(items, map[string]any{"key": user, "path": paths[i]})
			}
		}
		return map[string]any{"secret": map[string]any{"name": name, "items": items}}
	}
	const path = "spec.template.spec.volumes[1].projected.sources"
	assert.Equal(t, []any{
		source("from-vault-3", "api", "replica", "probe"), source("from-vault-2", "previous-1-api", "previous-1-replica", "previous-1-probe"),
	}, graphtest.Find(t, g, statefulSet, "journal-redis").Field(path))
	assert.Equal(t, []any{source("from-vault-3", "api")}, graphtest.Find(t, g, deployment, "journal-api").Field(path))

	update(t, g, a)
	a.Redis.PasswordSecret = ""
	refused(t, g, a, `redis.passwordSecret "": the passwords of the last update are in Secrets that exist, and generated ones would be others; write from-vault`)
	a.Redis.PasswordSecret = "From_Vault"
	assert.ErrorContains(t, a.Check().Err(), `redis.passwordSecret "From_Vault"`)
}

func TestVolumesGrowInPlaceAndTheirTemplateStays(t *testing.T) {
	a := args()
	first := declare(t, a)
	a.Redis.Storage.Size = "2Gi"
	g := update(t, first, a)
	assert.Contains(t, graphtest.Find(t, g, statefulSet, "journal-redis").IgnoreChanges, "spec.volumeClaimTemplates")
	claims := g.OfType("kubernetes:core/v1:PersistentVolumeClaimPatch")
	require.Len(t, claims, 3)
	assert.Contains(t, strings.Join(graphtest.Find(t, g, statefulSet+"Patch", "journal-redis").DependsOn, " "), "PersistentVolumeClaimPatch::journal-redis-2",
		"a size that was refused is not remembered")
	for i, claim := range claims {
		assert.Equal(t, fmt.Sprintf("data-redis-%d", i), claim.Field("metadata.name"))
		assert.Equal(t, "team-a", claim.Field("metadata.namespace"))
		annotations, _ := claim.Field("metadata.annotations").(map[string]any)
		assert.Equal(t, "true", annotations[kube.SkipAwait], "the engine waits in vain for a claim that is bound")
		assert.Equal(t, map[string]any{"resources": map[string]any{"requests": map[string]any{"storage": "2Gi"}}}, claim.Field("spec"))
	}
}

func TestVolumesThatWouldShrinkOrChangeTheirClassAreRefused(t *testing.T) {
	for _, c := range []struct {
		sentence     string
		had, storage kube.Storage
		refused      string
	}{
		{"nothing changes", kube.Storage{Size: "10Gi", Class: "fast"}, kube.Storage{Size: "10Gi", Class: "fast"}, ""},
		{"the same size in another unit", kube.Storage{}, kube.Storage{Size: "1024Mi"}, ""},
		{"a smaller size", kube.Storage{Size: "10Gi"}, kube.Storage{Size: "9Gi"}, `redis.storage.size "9Gi": the volumes have 10Gi, and Kubernetes shrinks none; write 10Gi or more`},
		{"a class where there was none", kube.Storage{}, kube.Storage{Class: "fast"}, `redis.storage.class "fast": the volumes are of class "", and a volume stays in its class; write that again`},
		{"no class where there was one", kube.Storage{Class: "fast"}, kube.Storage{}, `redis.storage.class "": the volumes are of class "fast"`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			a := args()
			a.Redis.Storage = c.had
			last := declare(t, a)
			a.Redis.Storage = c.storage
			refused(t, last, a, c.refused)
		})
	}
}

// refused asserts that the next update after another graph is refused with this text and declares nothing. Without a text the
// update must be accepted.
func refused(t *testing.T, last *graph.Graph, a *journal.Args, says string) {
	t.Helper()
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := journal.New(ctx, "journal", a)
		return err
	}, graph.LastOutputs(last.Outputs()))
	if says == "" {
		assert.NoError(t, err)
		return
	}
	assert.ErrorContains(t, err, says)
	assert.Empty(t, g.All())
}

func TestAPasswordThatIsStillUsedStaysListed(t *testing.T) {
	for _, c := range []struct {
		sentence    string
		had, listed []int
		refused     string
	}{
		{"another password, while the first is accepted", []int{1}, []int{2, 1}, ""},
		{"the first is accepted no more", []int{2, 1}, []int{2}, ""},
		{"one step further", []int{2, 1}, []int{3, 2}, ""},
		{"going back", []int{2, 1}, []int{1, 2}, ""},
		{"after an update to 4 that has failed", []int{3}, []int{5, 3, 4}, ""},
		{"the password of the running clients is left out", []int{2, 1}, []int{3}, `redis.passwords "[3]": the clients of the last update sign in with password 2; write [3, 2], and leave 2 out in a later update`},
		{"the second number is one that the running pods do not accept", []int{1}, []int{3, 2, 1}, `redis.passwords "[3, 2, 1]": replicas sign in with the second number, and the pods of the last update accept [1]; make 1 the second`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			a := args()
			a.Redis.Passwords = c.had
			last := declare(t, a)
			a.Redis.Passwords = c.listed
			refused(t, last, a, c.refused)
		})
	}
}

func TestTheAPIMovesWhenAllOfRedisHaveTheNewPassword(t *testing.T) {
	api := graphtest.Find(t, declare(t, args()), deployment, "journal-api")
	assert.Contains(t, strings.Join(api.DependsOn, " "), "StatefulSetPatch::journal-redis")
}

func TestAPartHasItsOwnValueOrTheJournals(t *testing.T) {
	a := args()
	a.PriorityClass, a.IngressNamespace, a.DNS, a.ReadOnly = pulumi.String("shared"), "shared", kube.DNS{"169.254.20.10/32"}, true
	a.API.PriorityClass, a.API.IngressNamespace, a.API.DNS, a.API.ReadOnly = pulumi.String("own"), "own", kube.DNS{}, new(bool)
	a.API.App, a.API.RolloutTimeout = "rest", 60
	g := declare(t, a)
	api, page := graphtest.Find(t, g, deployment, "journal-api"), graphtest.Find(t, g, deployment, "journal-frontend")
	assert.Equal(t, "own", api.Field("spec.template.spec.priorityClassName"))
	assert.Equal(t, "shared", page.Field("spec.template.spec.priorityClassName"))
	assert.Equal(t, 60, api.Field("spec.progressDeadlineSeconds"))
	assert.Equal(t, 180, page.Field("spec.progressDeadlineSeconds"))
	from := `spec.ingress[0].from[0].namespaceSelector.matchLabels["kubernetes.io/metadata.name"]`
	assert.Equal(t, "own", graphtest.Find(t, g, policy, "journal-api").Field(from))
	assert.Equal(t, "shared", graphtest.Find(t, g, policy, "journal-frontend").Field(from))
	assert.Len(t, graphtest.Find(t, g, policy, "journal-api").Field("spec.egress[0].to"), 1)
	assert.Len(t, graphtest.Find(t, g, policy, "journal-redis").Field("spec.egress[0].to"), 2)
	assert.Equal(t, "rest", graphtest.Find(t, g, service, "journal-api").Field("metadata.name"))
	assert.Equal(t, "rest", graphtest.Find(t, g, policy, "journal-redis").Field("spec.ingress[0].from[1].podSelector.matchLabels.app"), "Redis lets the API in by its name")
	for _, r := range g.OfType("kubernetes:core/v1:ConfigMap") {
		if value := r.Field("data.JOURNAL_READ_ONLY"); value != nil {
			assert.Equal(t, "false", value)
		}
		if value := r.Field(`data["config.json"]`); value != nil {
			assert.Contains(t, value, `"readOnly":true`)
		}
	}
}

func TestAFaultOfWhatIsSharedIsReportedOnce(t *testing.T) {
	a := args()
	a.RolloutTimeout, a.ConfigVersions, a.IngressNamespace, a.DNS = 5, 1, "Traefik", kube.DNS{"10.0.0.1"}
	a.API.RolloutTimeout = 6
	assert.EqualError(t, a.Check().Err(), `api.rolloutTimeout "6": must be 30 or more
rolloutTimeout "5": must be 30 or more
configVersions "1": must be 2 to 20
ingressNamespace "Traefik": not a DNS label; write up to 63 lower-case letters, digits and hyphens, such as team-a
dns[0] "10.0.0.1": must be a range of addresses, such as 169.254.20.10/32`)
}

func TestARolloutEndsInASetTime(t *testing.T) {
	a := args()
	a.RolloutTimeout = 60
	g := declare(t, a)
	for _, name := range []string{"journal-api", "journal-frontend"} {
		r := graphtest.Find(t, g, deployment, name)
		assert.Equal(t, 60, r.Field("spec.progressDeadlineSeconds"))
		assert.Equal(t, "75s", r.Timeouts.GetUpdate())
	}
	for _, token := range []string{statefulSet, statefulSet + "Patch"} {
		assert.Equal(t, "75s", graphtest.Find(t, g, token, "journal-redis").Timeouts.GetUpdate(), token)
	}
}
