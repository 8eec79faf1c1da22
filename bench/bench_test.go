package main

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/node"
)

func TestATableComparesEachToolWithKubectlAndWithTheSmallestSize(t *testing.T) {
	var out strings.Builder
	err := table(&out, []result{
		{tool: "kubectl", phase: "first", tenants: 10, seconds: 2, memory: 50, requests: map[string]int{"GET": 3, "PATCH": 80}},
		{tool: "pulumi", phase: "first", tenants: 10, seconds: 3},
		{tool: "pulumi", phase: "first", tenants: 50, seconds: 30},
		{tool: "pulumi", phase: "preview", tenants: 10, seconds: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, want := range map[int][]string{
		2: {"10", "kubectl", "first", "2.0", "1.0", "200", "1.0", "50", "83", "3", "0", "80", "0", "0", "0", "0"},
		3: {"10", "pulumi", "first", "3.0", "1.5", "300", "1.0", "0", "0", "0", "0", "0", "0", "0", "0", "0"},
		4: {"50", "pulumi", "first", "30.0", "-", "600", "2.0", "0", "0", "0", "0", "0", "0", "0", "0", "0"},
		5: {"10", "pulumi", "preview", "1.0", "-", "100", "1.0", "0", "0", "0", "0", "0", "0", "0", "0", "0"},
	} {
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(lines[i], "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		if !slices.Equal(cells, want) {
			t.Errorf("line %d is %q, want %q", i, cells, want)
		}
	}
}

func TestTheNodeOfABenchmarkTakesNoPortOfARunningSandbox(t *testing.T) {
	ports, release := freePorts()
	config, err := node.ConfigFromEnv(cache.Dir{}, ports, nil)
	if err != nil {
		t.Fatal(err)
	}
	usual, err := node.ConfigFromEnv(cache.Dir{}, func(string) string { return "" }, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]int{{config.HTTPPort, usual.HTTPPort}, {config.HTTPSPort, usual.HTTPSPort}, {config.APIPort, usual.APIPort}} {
		if pair[0] == pair[1] {
			t.Errorf("port %d is the usual one", pair[0])
		}
	}
	release()
	for _, port := range []int{config.HTTPPort, config.HTTPSPort, config.APIPort} {
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			t.Fatalf("after the release: %v", err)
		}
		_ = listener.Close()
	}
}

func TestMemoryIsTheSumOfThePeaksOfTheProcessesInTheTree(t *testing.T) {
	found := peaks{}
	found.add([]process{{pid: 9, parent: 5, started: "3", peak: 7}, {pid: 5, parent: 1, started: "1", peak: 10}, {pid: 6, parent: 1, started: "1", peak: 900}}, 5)
	found.add([]process{{pid: 5, parent: 1, started: "1", peak: 12}, {pid: 9, parent: 5, started: "8", peak: 1}}, 5)
	if found.total() != 12+7+1 {
		t.Errorf("the total is %d of %v", found.total(), found)
	}
}

func TestAProcessIsReadWhateverItsNameIs(t *testing.T) {
	stat := "12 (a b) c) S 3 12 12 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 5 0 777 1000 1"
	got, ok := parseProcess(stat, "Name:\ta b) c\nVmHWM:\t    4096 kB\nVmRSS:\t 1 kB\n")
	if want := (process{pid: 12, parent: 3, name: "a b) c", started: "777", peak: 4096}); !ok || got != want {
		t.Errorf("got %+v, %v", got, ok)
	}
	if _, ok := parseProcess(stat, "Name:\tkworker\n"); ok {
		t.Error("a kernel thread counts as a process with memory")
	}
}

func TestOnlyWhatTheTenantsAddIsAppliedNamespacesFirst(t *testing.T) {
	base := split("# journal:components:Platform platform, of the stack\n# kubernetes:core/v1:Namespace shared, of the stack\nkind: Namespace\n---\n")
	all := split("# kubernetes:core/v1:ConfigMap a, of b\nkind: ConfigMap\n---\n# kubernetes:core/v1:Namespace shared, of the stack\nkind: Namespace\n---\n" +
		"# journal:components:Tenant a, of the stack\n# kubernetes:core/v1:Namespace a, of b\nkind: Namespace\nname: a\n---\n")
	if got, want := added(base, all), []string{"kind: Namespace\nname: a\n", "kind: ConfigMap\n"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestAnAddressSaysWhetherKindsOrObjectsAreAsked(t *testing.T) {
	for path, want := range map[string]bool{
		"/api": true, "/api/v1": true, "/apis/apps/v1": true, "/openapi/v3/apis/apps/v1": true, "/version": true,
		"/api/v1/namespaces": false, "/apis/apps/v1/deployments": false,
	} {
		t.Run(path, func(t *testing.T) {
			if got := isDiscovery(path); got != want {
				t.Errorf("is %v, want %v", got, want)
			}
		})
	}
}

func TestTheStackDeclaresTheSameObjectsForEachTenant(t *testing.T) {
	// Go's test cache notices a change of a file whose name begins with the module's folder, as here.
	for _, name := range []string{"Pulumi.yaml", "Pulumi.dev.yaml"} {
		if _, err := os.Stat(os.Getenv("PWD") + "/../" + name); err != nil {
			t.Fatal(err)
		}
	}
	one, err := manifests("..", 1)
	if err != nil {
		t.Fatal(err)
	}
	three, err := manifests("..", 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(one) == 0 || len(three) != 3*len(one) {
		t.Errorf("%d objects for one tenant, %d for three", len(one), len(three))
	}
	if !strings.Contains(one[0], "kind: Namespace") {
		t.Errorf("the first object is\n%s", one[0])
	}
}
