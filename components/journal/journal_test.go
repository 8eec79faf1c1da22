package journal_test

import (
	"fmt"
	"strings"
	"testing"

	"example.com/journal/components/journal"
	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	statefulSet = "kubernetes:apps/v1:StatefulSet"
	deployment  = "kubernetes:apps/v1:Deployment"
	service     = "kubernetes:core/v1:Service"
	secret      = "kubernetes:core/v1:Secret"

	randomPassword = "random:index/randomPassword:RandomPassword"
	policy         = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
	budget         = "kubernetes:policy/v1:PodDisruptionBudget"
	account        = "kubernetes:core/v1:ServiceAccount"
	ingress        = "kubernetes:networking.k8s.io/v1:Ingress"
)

const (
	redisImage = "docker.io/library/redis:7.4.2"
	ownImage   = "registry.example.com/app:v0.1.0-0a1b2c3"
)

// workloads are the types that hold a pod template.
var workloads = []string{deployment, statefulSet}

// args are the least that a journal needs.
func args() *journal.Args {
	return &journal.Args{
		Namespace: pulumi.String("team-a"),
		Redis:     journal.RedisArgs{Image: redisImage},
		API:       journal.APIArgs{Image: ownImage},
		Frontend:  journal.FrontendArgs{Image: ownImage},
	}
}

// declare runs a program that declares one journal.
func declare(t *testing.T, a *journal.Args, options ...graph.Option) *graph.Graph {
	t.Helper()
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := journal.New(ctx, "journal", a)
		return err
	}, options...)
	require.NoError(t, err)
	return g
}

// find returns the one registration with this type and name.
func find(t *testing.T, g *graph.Graph, token, name string) graph.Resource {
	t.Helper()
	r, err := g.Find(token, name)
	require.NoError(t, err)
	return r
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
		r := find(t, g, deployment, name)
		assert.Equal(t, 2, r.Field("spec.replicas"))
		assert.Equal(t, 0, r.Field("spec.strategy.rollingUpdate.maxUnavailable"))
		assert.Equal(t, 1, r.Field("spec.strategy.rollingUpdate.maxSurge"))
		assert.Equal(t, 5, r.Field("spec.template.spec.containers[0].lifecycle.preStop.sleep.seconds"))
		assert.Equal(t, 1, find(t, g, budget, name).Field("spec.maxUnavailable"))
		assert.Equal(t, false, find(t, g, account, name).Field("automountServiceAccountToken"))
	}
}

func TestSelectorsHoldNothingThatAnUpdateChanges(t *testing.T) {
	for _, r := range pods(t, declare(t, args())) {
		assert.Len(t, r.Field("spec.selector.matchLabels"), 1, r.Name)
	}
}

func TestPodZeroOfRedisIsThePrimary(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		redis, err := journal.NewRedis(ctx, "cache", &journal.RedisArgs{Image: redisImage, Namespace: pulumi.String("team-a")})
		if err != nil {
			return err
		}
		ctx.Export("write", redis.WriteAddress)
		ctx.Export("read", redis.ReadAddress)
		ctx.Export("secret", redis.SecretName)
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"write":  "cache-write.team-a.svc:6379",
		"read":   "cache-read.team-a.svc:6379",
		"secret": "cache-password-8457939160",
	}, g.Outputs())

	write := find(t, g, service, "cache-write")
	assert.Equal(t, map[string]any{"statefulset.kubernetes.io/pod-name": "cache-0"}, write.Field("spec.selector"))
	assert.Equal(t, true, write.Field("spec.publishNotReadyAddresses"), "replicas wait for the primary while it starts")
	set := find(t, g, statefulSet, "cache")
	assert.Equal(t, "cache", set.Field("metadata.name"))
	assert.Equal(t, "cache", set.Field("spec.serviceName"))
	assert.Equal(t, 3, set.Field("spec.replicas"))
	assert.Equal(t, "1Gi", set.Field("spec.volumeClaimTemplates[0].spec.resources.requests.storage"))
	assert.Nil(t, set.Field("spec.volumeClaimTemplates[0].spec.storageClassName"))
	assert.Equal(t, "None", find(t, g, service, "cache").Field("spec.clusterIP"))
	assert.Equal(t, true, find(t, g, service, "cache").Field("spec.publishNotReadyAddresses"))
	assert.Nil(t, find(t, g, service, "cache-read").Field("spec.publishNotReadyAddresses"))
}

func TestAQuorumIsAMajorityOfAllRedisPods(t *testing.T) {
	for replicas, want := range map[int]string{1: "0", 3: "1", 5: "2", 9: "4"} {
		a := args()
		a.Redis.Replicas, a.Redis.Quorum = replicas, true
		variables := environment(t, find(t, declare(t, a), statefulSet, "journal-redis"))
		assert.Equal(t, want, variables["MIN_REPLICAS_TO_WRITE"], "%d replicas", replicas)
	}
	assert.Equal(t, "0", environment(t, find(t, declare(t, args()), statefulSet, "journal-redis"))["MIN_REPLICAS_TO_WRITE"])
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
	found := find(t, g, secret, "journal-redis-1")
	password, _ := found.Field("stringData.password").(string)
	require.Len(t, password, 32)
	assert.True(t, found.IsSecret("stringData.password"), "the password is in the state in the clear")
	for _, r := range g.All() {
		if r.Type == secret {
			continue
		}
		for _, hidden := range []string{password, "the-generated-password"} { // and what it comes from
			assert.NotContains(t, fmt.Sprint(r.Inputs), hidden, "%s %s", r.Type, r.Name)
		}
	}
	manifests, err := g.Manifests()
	require.NoError(t, err)
	assert.NotContains(t, manifests, password)

	for _, workload := range []graph.Resource{find(t, g, statefulSet, "journal-redis"), find(t, g, deployment, "journal-api")} {
		volumes, _ := workload.Field("spec.template.spec.volumes").([]any)
		var names []any
		for _, volume := range volumes {
			if projected, ok := volume.(map[string]any)["projected"].(map[string]any); ok {
				for _, source := range projected["sources"].([]any) {
					names = append(names, source.(map[string]any)["secret"].(map[string]any)["name"])
				}
			}
		}
		assert.Equal(t, []any{"redis-password-8457939160"}, names, workload.Name)
	}
}

func TestOnlyTheAPIAndRedisReachRedis(t *testing.T) {
	g := declare(t, args())
	fence := find(t, g, policy, "journal-redis")
	assert.Equal(t, []any{
		map[string]any{"podSelector": map[string]any{"matchLabels": map[string]any{"app": "redis"}}},
		map[string]any{"podSelector": map[string]any{"matchLabels": map[string]any{"app": "api"}}},
	}, fence.Field("spec.ingress[0].from"))
	assert.Nil(t, find(t, g, policy, "journal-frontend").Field("spec.egress"), "the page connects to nothing")
	for _, r := range g.OfType(policy) {
		assert.Equal(t, []any{"Ingress", "Egress"}, r.Field("spec.policyTypes"), r.Name)
	}
}

func TestOnlyTheIngressControllersNamespaceReachesTheServersWhenItIsNamed(t *testing.T) {
	from := "spec.ingress[0].from[0].namespaceSelector"
	assert.Empty(t, find(t, declare(t, args()), policy, "journal-api").Field(from))
	a := args()
	a.IngressNamespace = "traefik"
	for _, name := range []string{"journal-api", "journal-frontend"} {
		assert.Equal(t, map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "traefik"}},
			find(t, declare(t, a), policy, name).Field(from), name)
	}
}

func TestTheRoutesLeadToTheAPIAndThePage(t *testing.T) {
	r := find(t, declare(t, args()), ingress, "journal-exposure")
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
		"https://journal.example.com/":   {Host: "journal.example.com", TLSSecret: "journal-tls"},
	} {
		a := args()
		a.Exposure = exposure
		g, err := graph.Run(func(ctx *pulumi.Context) error {
			j, err := journal.New(ctx, "journal", a)
			if err != nil {
				return err
			}
			ctx.Export("url", j.Exposure.URL)
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, want, g.Outputs()["url"])
		if exposure.TLSSecret != "" {
			r := find(t, g, ingress, "journal-exposure")
			assert.Equal(t, "journal-tls", r.Field("spec.tls[0].secretName"))
			assert.Equal(t, []any{"journal.example.com"}, r.Field("spec.tls[0].hosts"))
		}
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
	assert.Equal(t, "team-a", find(t, g, statefulSet, "team-a-redis").Field("metadata.namespace"))
	assert.Equal(t, "team-b", find(t, g, statefulSet, "team-b-redis").Field("metadata.namespace"))
}

func TestTwoOfEachPartFitIntoOneNamespace(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		for _, suffix := range []string{"-1", "-2"} {
			redis, err := journal.NewRedis(ctx, "redis"+suffix, &journal.RedisArgs{Image: redisImage, Clients: []string{"api" + suffix}})
			if err != nil {
				return err
			}
			api, err := journal.NewAPI(ctx, "api"+suffix, &journal.APIArgs{Image: ownImage, Redis: redis})
			if err != nil {
				return err
			}
			frontend, err := journal.NewFrontend(ctx, "frontend"+suffix, &journal.FrontendArgs{Image: ownImage})
			if err != nil {
				return err
			}
			if _, err := journal.NewExposure(ctx, "exposure"+suffix, &journal.ExposureArgs{Host: "journal" + suffix + ".example.com", API: api, Frontend: frontend}); err != nil {
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

func TestEveryBrokenRuleOfAJournalIsOneLineOfOneErrorAndNothingIsDeclared(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := journal.New(ctx, "journal", &journal.Args{
			Redis:            journal.RedisArgs{Image: "redis:7", Replicas: 4, Quorum: true},
			API:              journal.APIArgs{Image: "api:latest", Replicas: 1},
			Frontend:         journal.FrontendArgs{Image: ownImage, Replicas: -1},
			Exposure:         journal.ExposureArgs{Host: "http://example.com"},
			IngressNamespace: "Traefik",
		})
		return err
	})
	require.Error(t, err)
	for _, key := range []string{`redisImage "redis:7"`, `redisReplicas "4"`, `apiImage "api:latest"`, `apiReplicas "1"`, `frontendReplicas "-1"`, `exposureHost "http://example.com"`, `ingressNamespace "Traefik"`} {
		assert.ErrorContains(t, err, key)
	}
	assert.Empty(t, g.All())
}

func TestEachRuleOfAPartIsReported(t *testing.T) {
	redis := func(change func(*journal.RedisArgs)) kube.Faults {
		a := &journal.RedisArgs{Image: redisImage}
		change(a)
		return a.Check("redis")
	}
	api := func(change func(*journal.APIArgs)) kube.Faults {
		a := &journal.APIArgs{Image: ownImage}
		change(a)
		return a.Check("api")
	}
	exposure := func(change func(*journal.ExposureArgs)) kube.Faults {
		a := &journal.ExposureArgs{}
		change(a)
		return a.Check("exposure")
	}
	for _, c := range []struct {
		says   string
		faults kube.Faults
	}{
		{`app "Redis": not a DNS label`, redis(func(a *journal.RedisArgs) { a.App = "Redis" })},
		{`image "": it is missing`, redis(func(a *journal.RedisArgs) { a.Image = "" })},
		{`replicas "-1": it must be 1 to 9`, redis(func(a *journal.RedisArgs) { a.Replicas = -1 })},
		{`replicas "10": it must be 1 to 9`, redis(func(a *journal.RedisArgs) { a.Replicas = 10 })},
		{`replicas "2": a quorum needs an odd number, since an even one survives no more failures than one less; write 3`, redis(func(a *journal.RedisArgs) { a.Replicas, a.Quorum = 2, true })},
		{`cpu "10 cores": not a Kubernetes quantity`, redis(func(a *journal.RedisArgs) { a.Resources.CPU = "10 cores" })},
		{`maxMemory "10 GB": not a Kubernetes quantity`, redis(func(a *journal.RedisArgs) { a.MaxMemory = "10 GB" })},
		{`memoryLimit "192Mi": below the dataset limit maxMemory of 1Gi`, redis(func(a *journal.RedisArgs) { a.MaxMemory = "1Gi" })},
		{`storageSize "1": less than 1Mi`, redis(func(a *journal.RedisArgs) { a.StorageSize = "1" })},
		{`storageClass "Fast SSD": not an object name`, redis(func(a *journal.RedisArgs) { a.StorageClass = "Fast SSD" })},
		{`image "api": it has no tag`, api(func(a *journal.APIArgs) { a.Image = "api" })},
		{`replicas "1": with less than 2`, api(func(a *journal.APIArgs) { a.Replicas = 1 })},
		{`cpuLimit "50m": below the request of 100m`, api(func(a *journal.APIArgs) { a.Resources.CPULimit = "50m" })},
		{`logLevel "loud": no log level; write one of debug, info, warn, error`, api(func(a *journal.APIArgs) { a.LogLevel = "loud" })},
		{`ingressNamespace "kube system": not a DNS label`, api(func(a *journal.APIArgs) { a.IngressNamespace = "kube system" })},
		{`host "10.0.0.1": not a DNS name`, exposure(func(a *journal.ExposureArgs) { a.Host = "10.0.0.1" })},
		{`class "Traefik": not an object name`, exposure(func(a *journal.ExposureArgs) { a.Class = "Traefik" })},
		{`tlsSecret "my tls": not an object name`, exposure(func(a *journal.ExposureArgs) { a.TLSSecret = "my tls" })},
		{`port "70000": no port`, exposure(func(a *journal.ExposureArgs) { a.Port = 70000 })},
	} {
		require.Len(t, c.faults, 1, c.says)
		assert.ErrorContains(t, c.faults.Err(), c.says)
	}
}

func TestNilArgumentsAreAllDefaultsAndOnlyWhatHasNoneIsMissing(t *testing.T) {
	_, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := journal.New(ctx, "journal", nil)
		return err
	})
	require.Error(t, err)
	for _, part := range []string{"redis", "api", "frontend"} {
		assert.ErrorContains(t, err, part+`Image "": it is missing`)
	}
	assert.Len(t, (*journal.Args)(nil).Check(), 3)
}

func TestAPartWithoutWhatItLeadsToIsRefused(t *testing.T) {
	_, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := journal.NewAPI(ctx, "api", &journal.APIArgs{Image: ownImage})
		return err
	})
	assert.ErrorContains(t, err, `api "api": redis is missing`)
	_, err = graph.Run(func(ctx *pulumi.Context) error {
		_, err := journal.NewExposure(ctx, "exposure", nil)
		return err
	})
	assert.ErrorContains(t, err, `exposure "exposure": api or frontend is missing`)
}

func TestAChangeOfAConfigurationIsANewObjectAndTheOthersStay(t *testing.T) {
	a := args()
	a.Frontend.Title, a.API.LogLevel = "Third", "debug"
	a.History = journal.History{
		Frontend: []map[string]string{{"config.json": "second"}, {"config.json": "first"}, {"config.json": "none"}},
		API:      []map[string]string{{"JOURNAL_LOG_LEVEL": "debug", "JOURNAL_READ_ONLY": "false"}},
	}
	g := declare(t, a)
	contents := map[any][]any{}
	for _, r := range g.OfType("kubernetes:core/v1:ConfigMap") {
		assert.Equal(t, true, r.Field("immutable"), r.Name)
		app := r.Field("metadata.labels.app")
		contents[app] = append(contents[app], r.Field("metadata.name"))
	}
	assert.Len(t, contents["frontend"], 3, "the current one and the last two")
	assert.Len(t, contents["api"], 1, "nothing has changed")
	assert.Len(t, contents["redis"], 1)

	page := find(t, g, deployment, "journal-frontend").Field("spec.template.spec.volumes[1].configMap.name")
	assert.Equal(t, kube.ContentName("frontend-config", map[string]string{"config.json": `{"pageSize":20,"readOnly":false,"title":"Third"}`}), page)
	assert.Contains(t, contents["frontend"], page)
	api := find(t, g, deployment, "journal-api")
	assert.Equal(t, contents["api"][0], api.Field("spec.template.spec.containers[0].envFrom[0].configMapRef.name"))
}

func TestRedisAcceptsTheCurrentPasswordAndTheOneBefore(t *testing.T) {
	for _, c := range []struct {
		current int
		history []int
		kept    []int
	}{
		{0, nil, []int{1}},
		{1, []int{1}, []int{1}},
		{2, []int{1}, []int{2, 1}},
		{2, []int{2, 1}, []int{2, 1}},
		{1, []int{2, 1}, []int{1, 2}}, // going back
		{4, []int{2, 1}, []int{4, 2, 1}},
		{5, []int{4, 2, 1}, []int{5, 4, 2}},
	} {
		a := args()
		a.Redis.PasswordVersion, a.History.Passwords = c.current, c.history
		g, err := graph.Run(func(ctx *pulumi.Context) error {
			j, err := journal.New(ctx, "journal", a)
			if err == nil {
				assert.Equal(t, c.kept, j.Redis.Passwords)
			}
			return err
		})
		require.NoError(t, err)
		assert.Len(t, g.OfType(secret), len(c.kept))
		assert.Len(t, g.OfType(randomPassword), 1, "what all passwords come from")
		taken := map[any]bool{}
		for _, r := range g.OfType(secret) {
			password := r.Field("stringData.password")
			assert.Len(t, password, 32)
			assert.False(t, taken[password], "two numbers have one password")
			assert.True(t, r.IsSecret("stringData.password"))
			taken[password] = true
		}
		files, _ := find(t, g, statefulSet, "journal-redis").Field("spec.template.spec.volumes[1].projected.sources").([]any)
		assert.Len(t, files, min(2, len(c.kept)), "passwords that Redis accepts with %v after %v", c.current, c.history)
	}
}

func TestTheAPIMovesWhenAllOfRedisHaveTheNewPassword(t *testing.T) {
	api := find(t, declare(t, args()), deployment, "journal-api")
	assert.Contains(t, strings.Join(api.DependsOn, " "), "StatefulSetPatch::journal-redis")
}

func TestARolloutEndsInASetTime(t *testing.T) {
	a := args()
	a.RolloutTimeout = 60
	g := declare(t, a)
	for _, name := range []string{"journal-api", "journal-frontend"} {
		r := find(t, g, deployment, name)
		assert.Equal(t, 60, r.Field("spec.progressDeadlineSeconds"))
		assert.Equal(t, "75s", r.Timeouts.GetUpdate())
	}
	for _, token := range []string{statefulSet, statefulSet + "Patch"} {
		assert.Equal(t, "75s", find(t, g, token, "journal-redis").Timeouts.GetUpdate(), token)
	}
}
