package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
	"example.com/journal/stacks"
)

const gib = 1 << 30

func TestOnASmallMachineOnlyRequestsAreSmaller(t *testing.T) {
	repo := filepath.Join("..", "..")
	// Go's test cache notices changes only in files whose name begins with the module's folder, as here.
	for _, name := range []string{"Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml"} {
		if _, err := os.Stat(os.Getenv("PWD") + "/../../" + name); err != nil {
			t.Fatal(err)
		}
	}
	prod, err := stacks.Read(repo, "prod")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cpus   int
		memory uint64
	}{{1, 2 * gib}, {2, 24 * gib}, {4, 4 * gib}, {64, 256 * gib}} {
		t.Run(fmt.Sprintf("%d CPUs, %d GiB", c.cpus, c.memory/gib), func(t *testing.T) {
			values, note := smallerRequests(prod, c.cpus, c.memory)
			if c.cpus == 64 {
				if len(values) > 0 || note != "" {
					t.Errorf("a large machine changes %v and says %q", values, note)
				}
				return
			}
			if !strings.Contains(note, "instead of") || !strings.Contains(note, "limits and replicas are the stack's") {
				t.Errorf("it says %q", note)
			}
			small := prod
			for key, value := range values {
				set(t, &small, key, value.(string))
			}
			sums := map[string]float64{}
			for i, part := range small.Journal.Demand() {
				before := prod.Journal.Demand()[i]
				if part.Resources.CPULimit != before.Resources.CPULimit || part.Resources.MemoryLimit != before.Resources.MemoryLimit {
					t.Errorf("the limits of %s are %+v and were %+v", part.Part, part.Resources, before.Resources)
				}
				for resource, quantity := range map[string]string{"cpu": part.Resources.CPU, "memory": part.Resources.Memory} {
					each, err := rules.ParseQuantity(quantity)
					if err != nil {
						t.Fatal(err)
					}
					number, _ := each.Float64()
					sums[resource] += number * float64(part.Replicas+part.Surge)
				}
				part.Resources, before.Resources = kube.Resources{}, kube.Resources{}
				if part != before {
					t.Errorf("%+v was %+v", part, before)
				}
			}
			if sums["cpu"] > 0.8*float64(c.cpus) || sums["memory"] > 0.8*float64(c.memory) {
				t.Errorf("the pods request %v", sums)
			}
		})
	}
}

func TestTheStackOfTheSandboxFitsASmallMachine(t *testing.T) {
	dev, err := stacks.Read(filepath.Join("..", ".."), "dev")
	if err != nil {
		t.Fatal(err)
	}
	if values, note := smallerRequests(dev, 2, 4*gib); len(values) > 0 {
		t.Errorf("on 2 CPUs and 4 GiB: %v, %s", values, note)
	}
}

// set sets a value of a configuration by its path.
func set(t *testing.T, config *stacks.Config, key, value string) {
	t.Helper()
	for name, r := range map[string]*kube.Resources{
		"redis": &config.Journal.Redis.Resources, "api": &config.Journal.API.Resources, "frontend": &config.Journal.Frontend.Resources,
	} {
		path := name + ".resources."
		fields := map[string]*string{path + "cpu": &r.CPU, path + "cpuLimit": &r.CPULimit, path + "memory": &r.Memory, path + "memoryLimit": &r.MemoryLimit}
		if field, ok := fields[key]; ok {
			*field = value
			return
		}
	}
	t.Fatalf("no key of a stack: %s", key)
}

func TestTheMachineIsKnown(t *testing.T) {
	if cpus, memory, err := machine(); err != nil || cpus < 1 || memory < gib/4 {
		t.Errorf("%d CPUs, %d bytes (%v)", cpus, memory, err)
	}
}
