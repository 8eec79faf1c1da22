//go:build e2e

package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"example.com/journal/services/namespace-controller/api"
	"example.com/journal/services/namespace-controller/kubetest"
)

// budgetIn reads the budget of a tenant, which may be missing.
func budgetIn(t *testing.T, tenant string) *api.Budget {
	t.Helper()
	budget := &api.Budget{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: tenant, Name: api.BudgetName}, budget); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return budget
}

func used(cpu, pods string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceRequestsCPU: resource.MustParse(cpu), corev1.ResourcePods: resource.MustParse(pods)}
}

func TestABudgetFollowsTheQuotasOfATenantAndItsClaims(t *testing.T) {
	startReplica(t)
	newTenant(t, "spend")
	giveQuota(t, "spend")
	measure(t, "spend", used("1500m", "3"))
	eventually(t, "the tenant has a budget", func() bool {
		return budgetIn(t, "spend").Status.CPU == "1500m/1002" && budgetIn(t, "spend").Status.Claims == "0/100"
	})
	claim := claimFor("spend", "try", "")
	apply(t, claim)
	inPhase(t, claim, api.Active)
	measure(t, claim.Status.Namespace, used("250m", "1"))
	eventually(t, "the claim is part of it", func() bool {
		status := budgetIn(t, "spend").Status
		return status.CPU == "1750m/1002" && status.Pods == "4/10020" && status.Claims == "1/100" && len(status.Namespaces) == 2 &&
			status.Namespaces[1].Name == claim.Status.Namespace && status.Namespaces[1].CPU == "250m/2"
	})

	// As the tenant's people see it.
	folder := t.TempDir()
	program, err := kubetest.Program()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, folder+"/kubectl"); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(folder+"/kubectl", "--kubeconfig", cluster.kubeconfig, "get", "budget", "--namespace", "spend").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("\n%s", out)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if got, want := strings.Fields(lines[0]), "NAME CPU MEMORY STORAGE PODS CLAIMS"; strings.Join(got, " ") != want || len(lines) != 2 {
		t.Errorf("the table is %s, want the columns %s and one row", out, want)
	}
	if got, want := strings.Join(strings.Fields(lines[1]), " "), "tenant 1750m/1002 0/1004Gi 0/1010Gi 4/10020 1/100"; got != want {
		t.Errorf("the row is %q, want %q", got, want)
	}

	if err := cluster.Delete(t.Context(), budgetIn(t, "spend")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a deleted budget is made again", func() bool { return budgetIn(t, "spend").Status.CPU == "1750m/1002" })
	if err := cluster.Delete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	deleted(t, claim.Status.Namespace)
	gone(t, claim)
	eventually(t, "the claim is no part of it any more", func() bool {
		status := budgetIn(t, "spend").Status
		return status.CPU == "1500m/1002" && status.Claims == "0/100" && len(status.Namespaces) == 1
	})
}

func TestABusyTenantsBudgetIsWrittenNowAndThen(t *testing.T) {
	startReplica(t)
	newTenant(t, "busy")
	giveQuota(t, "busy")
	eventually(t, "the tenant has a budget", func() bool { return budgetIn(t, "busy").Status.Pods == "0/10020" })
	watch, err := watchBudgets(t, "busy")
	if err != nil {
		t.Fatal(err)
	}
	start, writes, changes := time.Now(), 0, 0
	for time.Since(start) < 12*time.Second {
		changes++
		measure(t, "busy", used("100m", strconv.Itoa(changes)))
		time.Sleep(50 * time.Millisecond)
	}
	last := fmt.Sprintf("%d/10020", changes)
	eventually(t, "the last change is in it", func() bool { return budgetIn(t, "busy").Status.Pods == last })
	for stop := false; !stop; {
		select {
		case <-watch:
			writes++
		default:
			stop = true
		}
	}
	t.Logf("%d changes of a quota in 12 s are %d writes", changes, writes)
	if writes < 2 || writes > 5 {
		t.Errorf("%d writes, want one every %s", writes, budgetRest)
	}
}

// watchBudgets returns the changes of the budgets of a namespace from now on.
func watchBudgets(t *testing.T, namespace string) (<-chan struct{}, error) {
	t.Helper()
	watching, err := client.NewWithWatch(cluster.config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		return nil, err
	}
	events, err := watching.Watch(t.Context(), &api.BudgetList{}, client.InNamespace(namespace), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: budgetIn(t, namespace).ResourceVersion}})
	if err != nil {
		return nil, err
	}
	t.Cleanup(events.Stop)
	changes := make(chan struct{}, 1000)
	go func() {
		for range events.ResultChan() {
			changes <- struct{}{}
		}
	}()
	return changes, nil
}

func TestNobodyButTheControllerWritesABudget(t *testing.T) {
	for _, namespace := range []string{"ledger", "ledger-elsewhere"} {
		apply(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{api.LabelTenant: "ledger"}}})
	}
	claimed := claimedNamespace("claim-ledger-try-abcde", "ledger")
	apply(t, claimed)
	budget := func(namespace, name string) *api.Budget {
		return &api.Budget{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	}
	kept := budget("ledger", api.BudgetName)
	if err := cluster.controller.Create(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	const only, own = "the controller of claims writes what the quotas say", "a tenant has its budget in its own namespace and nowhere else"
	finalizing := budget("ledger", api.BudgetName)
	finalizing.Finalizers = []string{"example.com/keep"}
	for name, test := range map[string]struct {
		by     client.Client
		object *api.Budget
		says   string
	}{
		"an administrator":                 {cluster.Client, budget("ledger", api.BudgetName), only},
		"another name":                     {cluster.controller, budget("ledger", "more"), `a tenant has one budget; write "tenant"`},
		"a namespace of the same tenant":   {cluster.controller, budget("ledger-elsewhere", api.BudgetName), own},
		"a claimed namespace":              {cluster.controller, budget(claimed.Name, api.BudgetName), own},
		"the platform's namespace":         {cluster.controller, budget(platform, api.BudgetName), own},
		"one that keeps its namespace":     {cluster.controller, finalizing, "it keeps no namespace from its end"},
		"the controller, where it belongs": {cluster.controller, budget("ledger", api.BudgetName), "already exists"},
	} {
		t.Run(name, func(t *testing.T) { judge(t, test.by.Create(t.Context(), test.object, client.DryRunAll), test.says) })
	}
	kept.Status.CPU = "0/1000"
	judge(t, cluster.Status().Update(t.Context(), kept.DeepCopyObject().(*api.Budget), client.DryRunAll), only)
	judge(t, cluster.controller.Status().Update(t.Context(), kept.DeepCopyObject().(*api.Budget), client.DryRunAll), "")
	judge(t, cluster.controller.Delete(t.Context(), kept, client.DryRunAll), "cannot delete resource")
	alice, err := client.New(impersonating("alice"), client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	judge(t, alice.Status().Update(t.Context(), kept.DeepCopyObject().(*api.Budget), client.DryRunAll), "cannot update resource")
	judge(t, cluster.Delete(t.Context(), kept), "") // whoever may, as everything in the namespace
}

func impersonating(user string) *rest.Config {
	config := rest.CopyConfig(cluster.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	return config
}

// TestBudgetsOfManyTenantsCostFewRequests counts the requests of the controller.
func TestBudgetsOfManyTenantsCostFewRequests(t *testing.T) {
	const many = 100
	tenants := make([]string, many)
	for i := range tenants {
		tenants[i] = fmt.Sprintf("many-%d", i)
		newTenant(t, tenants[i])
		giveQuota(t, tenants[i])
	}
	const address = "127.0.0.1:18482"
	startReplica(t, "--metrics-address="+address)
	all := func(want string) func() bool {
		return func() bool {
			list := &api.BudgetList{}
			if err := cluster.List(t.Context(), list); err != nil {
				t.Fatal(err)
			}
			count := 0
			for _, budget := range list.Items {
				if strings.HasPrefix(budget.Namespace, "many-") && budget.Status.Pods+" "+budget.Status.Claims == want {
					count++
				}
			}
			return count == many
		}
	}
	start := time.Now()
	eventually(t, "every tenant has a budget", all("0/10020 0/100"))
	first := requestsOf(t, address)
	t.Logf("%d tenants have budgets after %s and %d requests", many, time.Since(start).Round(100*time.Millisecond), first)

	start = time.Now()
	for _, tenant := range tenants {
		claim := claimFor(tenant, "try", "")
		claim.Spec.Owner, claim.Spec.Access = tenant, api.AccessTenant // each has an owner of its own: the number of claims of one is limited
		apply(t, claim)
	}
	eventually(t, "every claim is in its budget", all("0/10020 1/100"))
	second := settled(t, address) // what the claims themselves need
	t.Logf("%d claims are served and in the budgets after %s and %d more requests", many, time.Since(start).Round(100*time.Millisecond), second-first)

	const rounds = 10
	for i := range rounds {
		for _, tenant := range tenants {
			measure(t, tenant, used("100m", strconv.Itoa(i+1)))
		}
	}
	eventually(t, "every change is in its budget", all(strconv.Itoa(rounds)+"/10020 1/100"))
	third := requestsOf(t, address)
	t.Logf("%d changes of quotas are %d requests", rounds*many, third-second)
	if third-second > rounds*many/2 {
		t.Errorf("%d requests for %d changes", third-second, rounds*many)
	}
	time.Sleep(budgetRest + time.Second)
	idle := requestsOf(t, address)
	time.Sleep(10 * time.Second)
	if now := requestsOf(t, address); now-idle > 20 { // the lease, and claims that look again
		t.Errorf("%d requests in 10 s of rest", now-idle)
	} else {
		t.Logf("%d requests in 10 s of rest, and %s of memory", now-idle, memoryOf(t, address))
	}

	// So many claims would keep the controller of the next tests busy.
	claims := make([]*api.NamespaceClaim, many)
	for i, tenant := range tenants {
		claims[i] = claimFor(tenant, "try", "")
		if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(claims[i]), claims[i]); err != nil {
			t.Fatal(err)
		}
		if err := cluster.Delete(t.Context(), claims[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, claim := range claims {
		deleted(t, claim.Status.Namespace)
	}
	for _, claim := range claims {
		gone(t, claim)
	}
}

// settled waits until a replica is at rest, and returns how many requests it has sent.
func settled(t *testing.T, address string) (requests int) {
	t.Helper()
	eventually(t, "the controller is at rest", func() bool {
		before := requestsOf(t, address)
		time.Sleep(budgetRest)
		requests = requestsOf(t, address)
		return requests-before < 10
	})
	return requests
}

// requestsOf returns how many requests a replica has sent to the API server.
func requestsOf(t *testing.T, address string) int {
	t.Helper()
	total := 0.0
	for line := range metricsOf(t, address) {
		if strings.HasPrefix(line, "rest_client_requests_total{") {
			value, err := strconv.ParseFloat(line[strings.LastIndex(line, " ")+1:], 64)
			if err != nil {
				t.Fatal(err)
			}
			total += value
		}
	}
	return int(total)
}

// memoryOf returns the memory that a replica takes of its machine.
func memoryOf(t *testing.T, address string) string {
	t.Helper()
	for line := range metricsOf(t, address) {
		if value, found := strings.CutPrefix(line, "process_resident_memory_bytes "); found {
			bytes, _ := strconv.ParseFloat(value, 64)
			return fmt.Sprintf("%.0f MiB", bytes/(1<<20))
		}
	}
	return "unknown"
}

// metricsOf returns the lines of a replica's metrics.
func metricsOf(t *testing.T, address string) map[string]bool {
	t.Helper()
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	lines := map[string]bool{}
	for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
		lines[scanner.Text()] = true
	}
	return lines
}
