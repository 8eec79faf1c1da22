package stacks

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/rules"
	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

// tenantWith is the journal's own namespace with overrides of its class.
func tenantWith(overrides string) string {
	return "tenant: {overrides: {" + overrides + "}}"
}

// usage is what the declared objects take of the quota of the journal's namespace at the most, by the quota's fields, and the most
// of one container.
func usage(t *testing.T, g *graph.Graph) map[string]*big.Rat {
	t.Helper()
	used := map[string]*big.Rat{}
	add := func(name string, count int, quantity any) {
		value, err := rules.ParseQuantity(fmt.Sprint(quantity))
		require.NoError(t, err, "%s: %v", name, quantity)
		if used[name] == nil {
			used[name] = new(big.Rat)
		}
		used[name].Add(used[name], value.Mul(value, big.NewRat(int64(count), 1)))
	}
	for _, r := range g.All() {
		if !r.IsObject() || r.Field("metadata.namespace") != "journal" {
			continue
		}
		kind := r.Type[strings.LastIndex(r.Type, ":")+1:]
		pods := 0
		switch kind {
		case "Service":
			add("services", 1, 1)
			assert.Nil(t, r.Field("spec.type"), "%s takes a load balancer or a port of the nodes, which nobody counts", r.Name)
		case "Deployment", "StatefulSet":
			pods, _ = r.Field("spec.replicas").(int)
			for _, scaler := range g.OfType(autoscalerToken) {
				if scaler.Field("spec.scaleTargetRef.name") == r.Field("metadata.name") {
					pods, _ = scaler.Field("spec.maxReplicas").(int)
				}
			}
			surge, _ := r.Field("spec.strategy.rollingUpdate.maxSurge").(int)
			pods += surge
			add("pods", pods, 1)
		case "DaemonSet", "Job", "CronJob", "Pod", "PersistentVolumeClaim":
			t.Errorf("nobody counts %s %s", kind, r.Name)
		}
		containers, _ := r.Field("spec.template.spec.containers").([]any)
		assert.Nil(t, r.Field("spec.template.spec.initContainers"), "nobody counts the init containers of %s", r.Name)
		for i := range containers {
			for _, resource := range []string{"cpu", "memory"} {
				for _, side := range []string{"limits", "requests"} {
					quantity := r.Field(fmt.Sprintf("spec.template.spec.containers[%d].resources.%s.%s", i, side, resource))
					add(side+"."+resource, pods, quantity)
					single, err := rules.ParseQuantity(fmt.Sprint(quantity))
					require.NoError(t, err)
					if most := used["max."+resource]; most == nil || single.Cmp(most) > 0 {
						used["max."+resource] = single
					}
				}
			}
		}
		claims, _ := r.Field("spec.volumeClaimTemplates").([]any)
		for i := range claims {
			add("storage", pods, r.Field(fmt.Sprintf("spec.volumeClaimTemplates[%d].spec.resources.requests.storage", i)))
			add("volumeClaims", pods, 1)
		}
	}
	return used
}

// TestTheCheckCountsWhatIsDeclared compares the check with the objects themselves: it accepts a class of exactly their sums,
// and refuses one that has less of anything.
func TestTheCheckCountsWhatIsDeclared(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(values ...string) string { return values[random.IntN(len(values))] }
	for range 12 {
		lines := "cluster: {resourceMetrics: true}\n"
		for part, replicas := range map[string]int{"redis": 1 + random.IntN(9), "api": 2 + random.IntN(5), "frontend": 2 + random.IntN(5)} {
			lines += fmt.Sprintf("%s: {replicas: %d, resources: {cpu: 50m, cpuLimit: %s, memory: 200Mi, memoryLimit: %s}",
				part, replicas, pick("50m", "250m", `"1.5"`, `"2"`), pick("200Mi", "333Mi", "1Gi"))
			if part == "redis" {
				lines += ", storage: {size: " + pick("100Mi", "1Gi", "10G") + "}"
			} else {
				lines += pick("", fmt.Sprintf(", autoscaling: {maxReplicas: %d}", replicas+1+random.IntN(5)))
			}
			lines += "}\n"
		}
		roomy := tenantWith(`cpu: "1000", memory: 1Ti, storage: 10Ti, maxCpu: "64", maxMemory: 64Gi`)
		g := deployed(t, lines, roomy)
		used := usage(t, g)
		for _, resource := range []string{"cpu", "memory"} {
			assert.LessOrEqual(t, used["requests."+resource].Cmp(used["limits."+resource]), 0)
		}

		// Without burst the total of the limits is the quota of CPU. With it, that of the requests is.
		exact := map[string]*big.Rat{
			"cpu": used["limits.cpu"], "memory": used["limits.memory"], "storage": used["storage"], "pods": used["pods"],
			"services": used["services"], "volumeClaims": used["volumeClaims"], "maxCpu": used["max.cpu"], "maxMemory": used["max.memory"],
		}
		burst := 1
		class := func(less string) string {
			overrides := fmt.Sprintf(`defaultCpu: 1m, defaultMemory: 1Mi, burst: %d`, burst)
			for field, amount := range exact {
				step, write := big.NewRat(1, 1), `%s: %s`
				switch {
				case strings.HasSuffix(strings.ToLower(field), "cpu"):
					step, write = big.NewRat(1, 1000), `%s: "%s"`
				case field == "memory" || field == "maxMemory" || field == "storage":
					write = `%s: "%s"`
				}
				if field == less {
					amount = new(big.Rat).Sub(amount, step)
				}
				overrides += ", " + fmt.Sprintf(write, field, strings.TrimSuffix(amount.FloatString(3), ".000"))
			}
			return tenantWith(overrides)
		}
		assert.NoError(t, Check(stack(t, lines, class("")), "test"))
		for field := range exact {
			says := field
			if field == "cpu" && used["requests.cpu"].Cmp(used["limits.cpu"]) < 0 {
				says = "burst" // the requests fit
			}
			assert.ErrorContains(t, Check(stack(t, lines, class(field)), "test"), "journal:tenant.overrides."+says+" ", lines)
		}
		exact["cpu"], burst = used["requests.cpu"], 100
		assert.NoError(t, Check(stack(t, lines, class("")), "test"))
		assert.ErrorContains(t, Check(stack(t, lines, class("cpu")), "test"), "journal:tenant.overrides.cpu ", lines)
	}
}

func TestAStackThatDoesNotFitIsRefusedWithTheSum(t *testing.T) {
	const large = `
redis: {resources: {cpuLimit: "2"}}
api: {replicas: 3, resources: {cpuLimit: "1"}}
frontend: {replicas: 3}
`
	for _, c := range []struct{ sentence, change, says string }{
		{"too little burst", large + tenantWith("burst: 1"), `journal:tenant.overrides.burst "1": the journal's pods may use 10.2 CPUs (redis 3 × 2, api (3 + 1) × 1, frontend (3 + 1) × 50m; + is what an update adds) and the quota is 8, burst 1 × cpu 8; write 2, or give the parts less`},
		{"too little burst for limits", large + tenantWith(`cpu: "1", burst: 9, maxCpu: "2"`), `journal:tenant.overrides.burst "9": the journal's pods may use 10.2 CPUs (redis 3 × 2, api (3 + 1) × 1, frontend (3 + 1) × 50m; + is what an update adds) and the quota is 9, burst 9 × cpu 1; write 11, or give the parts less`},
		{"too little CPU for requests", tenantWith(`cpu: "0.5", burst: 8`), `journal:tenant.overrides.cpu "0.5": the journal's pods request 0.75 CPUs (redis 3 × 100m, api (2 + 1) × 100m, frontend (2 + 1) × 50m; + is what an update adds) and the quota is 0.5; write "0.75", or give the parts less`},
		{"too little storage", "redis: {storage: {size: 100Gi}}", `journal:tenant.overrides.storage "200Gi": the journal's volumes hold 300Gi (redis 3 × 100Gi) and the quota is 200Gi; write "300Gi", or give the parts less`},
		{"too few pods", tenantWith("pods: 8"), `journal:tenant.overrides.pods "8": the journal's parts have 9 pods (redis 3, api (2 + 1), frontend (2 + 1); + is what an update adds) and the quota is 8; write 9, or give the parts less`},
		{"too few Services", tenantWith("services: 4"), `journal:tenant.overrides.services "4": the journal's parts have 5 Services (redis 3, api 1, frontend 1) and the quota is 4`},
		{"too few volume claims", tenantWith("volumeClaims: 0"), `journal:tenant.overrides.volumeClaims "0": the journal's parts have 3 volumes (redis 3) and the quota is 0`},
		{"a container that is larger than the most for one", "api: {resources: {memoryLimit: 10Gi}}\n" + tenantWith("memory: 1Ti"), `journal:tenant.overrides.maxMemory "8Gi": the journal's api has a container that may use 10Gi of memory, and the most for one is 8Gi; write "10Gi", or give it less`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			err := Check(stack(t, c.change), "test")
			require.ErrorContains(t, err, c.says)
			assert.Len(t, faultsOf(t, err), 1)
		})
	}
	for _, fix := range []string{"burst: 2", `cpu: "1", burst: 11, maxCpu: "2"`, `cpu: "0.75", burst: 8`} {
		lines := large
		if fix == `cpu: "0.75", burst: 8` {
			lines = ""
		}
		assert.NoError(t, Check(stack(t, lines, tenantWith(fix)), "test"), "what the error says is accepted")
	}
}

// TestWorkloadsComeAfterTheQuotaThatTheyNeed, so that an update may raise a quota and what needs it.
func TestWorkloadsComeAfterTheQuotaThatTheyNeed(t *testing.T) {
	for _, mode := range [][]graph.Option{nil, {graph.Preview()}} {
		g, err := graph.Run(Deploy, append(mode, graph.Root(stack(t), "test"))...)
		require.NoError(t, err)
		for token, names := range map[string][]string{
			"kubernetes:apps/v1:Deployment":  {"journal-api", "journal-frontend"},
			"kubernetes:apps/v1:StatefulSet": {"journal-redis"},
		} {
			for _, name := range names {
				workload := graphtest.Find(t, g, token, name)
				assert.Equal(t, "journal", workload.Field("metadata.namespace"), "a preview knows it")
				assert.True(t, slices.ContainsFunc(workload.DependsOn, func(needed string) bool {
					return strings.HasSuffix(needed, "kubernetes:core/v1:ResourceQuota::journal-tenant")
				}), "%s does not wait for the quota: %v", name, workload.DependsOn)
			}
		}
	}
}
