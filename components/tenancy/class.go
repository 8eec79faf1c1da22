package tenancy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/journal/components/kube"
)

// Class is a size of namespace: what all its pods together may take, and what one container gets and may take.
// What is empty is taken from another class by With.
type Class struct {
	// CPU and Memory are the totals that the pods may request, and also the totals of their limits, so that what a
	// tenant was given is there when it is used.
	CPU    string `json:"cpu,omitempty"`
	Memory string `json:"memory,omitempty"`
	// Storage is the total size of the volumes.
	Storage string `json:"storage,omitempty"`
	// Pods and Services are how many there may be.
	Pods     int `json:"pods,omitempty"`
	Services int `json:"services,omitempty"`
	// LoadBalancers and VolumeClaims are how many there may be; they may be none.
	LoadBalancers *int `json:"loadBalancers,omitempty"`
	VolumeClaims  *int `json:"volumeClaims,omitempty"`
	// DefaultCPU and DefaultMemory are requests and limits of a container that states none.
	DefaultCPU    string `json:"defaultCpu,omitempty"`
	DefaultMemory string `json:"defaultMemory,omitempty"`
	// MaxCPU and MaxMemory are the most that one container may have as its limits.
	MaxCPU    string `json:"maxCpu,omitempty"`
	MaxMemory string `json:"maxMemory,omitempty"`
}

// Small is for one developer.
func Small() Class {
	return Class{
		CPU: "2", Memory: "4Gi", Storage: "10Gi", Pods: 20, Services: 10, LoadBalancers: new(0), VolumeClaims: new(5),
		DefaultCPU: "100m", DefaultMemory: "128Mi", MaxCPU: "1", MaxMemory: "2Gi",
	}
}

// Medium is for a team.
func Medium() Class {
	return Class{
		CPU: "4", Memory: "8Gi", Storage: "50Gi", Pods: 50, Services: 20, LoadBalancers: new(0), VolumeClaims: new(10),
		DefaultCPU: "100m", DefaultMemory: "128Mi", MaxCPU: "2", MaxMemory: "4Gi",
	}
}

// Large is for an application of many parts.
func Large() Class {
	return Class{
		CPU: "8", Memory: "16Gi", Storage: "200Gi", Pods: 100, Services: 50, LoadBalancers: new(1), VolumeClaims: new(30),
		DefaultCPU: "100m", DefaultMemory: "128Mi", MaxCPU: "4", MaxMemory: "8Gi",
	}
}

// With returns the class with what the override sets in place of its own.
func (c Class) With(override Class) Class {
	return Class{
		CPU:           cmp.Or(override.CPU, c.CPU),
		Memory:        cmp.Or(override.Memory, c.Memory),
		Storage:       cmp.Or(override.Storage, c.Storage),
		Pods:          cmp.Or(override.Pods, c.Pods),
		Services:      cmp.Or(override.Services, c.Services),
		LoadBalancers: cmp.Or(override.LoadBalancers, c.LoadBalancers),
		VolumeClaims:  cmp.Or(override.VolumeClaims, c.VolumeClaims),
		DefaultCPU:    cmp.Or(override.DefaultCPU, c.DefaultCPU),
		DefaultMemory: cmp.Or(override.DefaultMemory, c.DefaultMemory),
		MaxCPU:        cmp.Or(override.MaxCPU, c.MaxCPU),
		MaxMemory:     cmp.Or(override.MaxMemory, c.MaxMemory),
	}
}

// Check returns every rule that a complete class breaks.
func (c Class) Check() kube.Faults {
	var f kube.Faults
	f.Check("cpu", c.CPU, kube.CheckCPU(c.CPU))
	f.Check("memory", c.Memory, kube.CheckBytes(c.Memory))
	f.Check("storage", c.Storage, kube.CheckBytes(c.Storage))
	for _, count := range []struct {
		field   string
		value   int
		atLeast int
	}{
		{"pods", c.Pods, 1}, {"services", c.Services, 1},
		{"loadBalancers", value(c.LoadBalancers), 0}, {"volumeClaims", value(c.VolumeClaims), 0},
	} {
		if count.value < count.atLeast {
			f.Refuse(count.field, count.value, "it must be %d or more; write for example 10", count.atLeast)
		}
	}
	for _, r := range []struct {
		suffix                string
		check                 func(string) error
		standard, most, total string
	}{
		{"Cpu", kube.CheckCPU, c.DefaultCPU, c.MaxCPU, c.CPU},
		{"Memory", kube.CheckBytes, c.DefaultMemory, c.MaxMemory, c.Memory},
	} {
		f.Check("default"+r.suffix, r.standard, r.check(r.standard))
		f.Check("max"+r.suffix, r.most, r.check(r.most))
		if kube.CompareQuantities(r.standard, r.most) > 0 {
			f.Refuse("default"+r.suffix, r.standard, "above max%s of %s, so no container could start without stating its own; lower it or raise max%s", r.suffix, r.most, r.suffix)
		}
		if kube.CompareQuantities(r.most, r.total) > 0 {
			f.Refuse("max"+r.suffix, r.most, "above the whole quota of %s, so a container within its limit would not fit; lower it or raise %s", r.total, strings.ToLower(r.suffix))
		}
	}
	return f
}

// value returns a count, where none is zero.
func value(count *int) int {
	if count == nil {
		return 0
	}
	return *count
}

// Classes are the sizes that tenants and claims choose from, by their names.
type Classes map[string]Class

// defaultClass is the class of a tenant that names none, and what a new class starts from.
const defaultClass = "small"

// WithDefaults returns the classes with small, medium and large among them. What a class of one of these names leaves
// out keeps its default; what any other class leaves out is small's.
func (c Classes) WithDefaults() Classes {
	all := Classes{"small": Small(), "medium": Medium(), "large": Large()}
	for name, class := range c {
		base, known := all[name]
		if !known {
			base = all[defaultClass].With(c[defaultClass])
		}
		all[name] = base.With(class)
	}
	return all
}

// Names returns the names of the classes in alphabetical order.
func (c Classes) Names() []string { return slices.Sorted(maps.Keys(c)) }

// Check returns every rule that the classes break, with their defaults in place. A fault's field begins with its
// class's name, as in small.cpu.
func (c Classes) Check() kube.Faults {
	var all kube.Faults
	classes := c.WithDefaults()
	for _, name := range classes.Names() {
		if err := kube.CheckName(name); err != nil {
			all.Check(name, name, fmt.Errorf("the name of a class is %w", err))
		}
		all = append(all, classes[name].Check().Under(name)...)
	}
	return all
}
