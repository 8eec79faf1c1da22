package tenancy

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"example.com/journal/components/rules"
)

// Class is the size of a namespace: what all its pods together may use, and the defaults and maxima of one container. With
// takes an empty field from another class.
type Class struct {
	// CPU is the total of the pods' CPU requests: what the tenant gets at any time, however busy the nodes are.
	CPU string `json:"cpu,omitempty" format:"quantity"`
	// Burst is how often the total of the pods' CPU limits holds that of their requests: what the tenant may use while the nodes
	// have CPU to spare. With 1 it is never more than its requests.
	Burst int `json:"burst,omitempty" minimum:"1" maximum:"100"`
	// Memory is the total of the pods' memory requests, and also the total of their memory limits.
	Memory string `json:"memory,omitempty" format:"quantity"`
	// Storage is the total size of the volumes.
	Storage string `json:"storage,omitempty" format:"quantity"`
	// Scratch is the total that the pods may write outside their volumes: writable layers, logs and emptyDir.
	Scratch string `json:"scratch,omitempty" format:"quantity"`
	// Pods is the maximum number of pods. The maximum numbers of most other kinds follow from it.
	Pods int `json:"pods,omitempty" minimum:"1"`
	// Services is the maximum number of Services, and also of Ingresses and of the owners' NetworkPolicies.
	Services int `json:"services,omitempty" minimum:"1"`
	// LoadBalancers is the maximum number of Services of the type LoadBalancer. It may be 0.
	LoadBalancers *int `json:"loadBalancers,omitempty" minimum:"0"`
	// VolumeClaims is the maximum number of PersistentVolumeClaims. It may be 0.
	VolumeClaims *int `json:"volumeClaims,omitempty" minimum:"0"`
	// ResourceClaims is the maximum number of ResourceClaims (API group resource.k8s.io), which claim devices. The default is 0.
	ResourceClaims *int `json:"resourceClaims,omitempty" minimum:"0"`
	// Devices are the maximum numbers of the nodes' extended resources, by name. The default is 0 of nvidia.com/gpu and of
	// amd.com/gpu. A resource that is not listed has no maximum, so list every one that the cluster's nodes have.
	Devices map[string]int `json:"devices,omitempty"`
	// DefaultCPU is the CPU request of a container that states none. Its limit is burst times as high, and at most maxCpu.
	DefaultCPU string `json:"defaultCpu,omitempty" format:"quantity"`
	// DefaultMemory is the memory request and limit of a container that states none.
	DefaultMemory string `json:"defaultMemory,omitempty" format:"quantity"`
	// MaxCPU is the highest CPU limit that one container may have. It may be above cpu, up to burst times as high.
	MaxCPU string `json:"maxCpu,omitempty" format:"quantity"`
	// MaxMemory is the highest memory limit that one container may have.
	MaxMemory string `json:"maxMemory,omitempty" format:"quantity"`
	// LogRate is how many bytes a second the pods on one node may write to their logs for long, in all namespaces of the tenant
	// together. What is more is missing in the logs that are kept. It matters where the stack keeps logs.
	LogRate string `json:"logRate,omitempty" format:"quantity"`
	// LogBurst is how many bytes they may write at once.
	LogBurst string `json:"logBurst,omitempty" format:"quantity"`
}

// defaultBurst is the Burst of the default classes. Requests are what the scheduler fills nodes by, and the pods of a development
// cluster are idle most of the time. With four times the requests, a quarter of the tenants can be busy at once before they
// notice each other.
const defaultBurst = 4

// defaultLogBurst is the LogBurst of the default classes: 300,000 lines of 200 bytes.
const defaultLogBurst = "64Mi"

// Small is for one developer.
func Small() Class {
	return Class{
		CPU: "2", Burst: defaultBurst, Memory: "4Gi", Storage: "10Gi", Scratch: "10Gi", Pods: 20, Services: 10, LoadBalancers: new(0), VolumeClaims: new(5),
		ResourceClaims: new(0), Devices: noDevices(), DefaultCPU: "100m", DefaultMemory: "128Mi", MaxCPU: "1", MaxMemory: "2Gi",
		LogRate: "4Ki", LogBurst: defaultLogBurst,
	}
}

// Medium is for a team.
func Medium() Class {
	return Class{
		CPU: "4", Burst: defaultBurst, Memory: "8Gi", Storage: "50Gi", Scratch: "25Gi", Pods: 50, Services: 20, LoadBalancers: new(0), VolumeClaims: new(10),
		ResourceClaims: new(0), Devices: noDevices(), DefaultCPU: "100m", DefaultMemory: "128Mi", MaxCPU: "2", MaxMemory: "4Gi",
		LogRate: "16Ki", LogBurst: defaultLogBurst,
	}
}

// Large is for an application of many parts.
func Large() Class {
	return Class{
		CPU: "8", Burst: defaultBurst, Memory: "16Gi", Storage: "200Gi", Scratch: "50Gi", Pods: 100, Services: 50, LoadBalancers: new(1), VolumeClaims: new(30),
		ResourceClaims: new(0), Devices: noDevices(), DefaultCPU: "100m", DefaultMemory: "128Mi", MaxCPU: "4", MaxMemory: "8Gi",
		LogRate: "32Ki", LogBurst: defaultLogBurst,
	}
}

// noDevices are the extended resources that no class has by default.
func noDevices() map[string]int { return map[string]int{"nvidia.com/gpu": 0, "amd.com/gpu": 0} }

// With returns the class with the fields that the override sets in place of its own.
func (c Class) With(override Class) Class {
	devices := maps.Clone(c.Devices)
	if devices == nil {
		devices = override.Devices
	}
	maps.Copy(devices, override.Devices)
	return Class{
		CPU:            cmp.Or(override.CPU, c.CPU),
		Burst:          cmp.Or(override.Burst, c.Burst),
		Memory:         cmp.Or(override.Memory, c.Memory),
		Storage:        cmp.Or(override.Storage, c.Storage),
		Scratch:        cmp.Or(override.Scratch, c.Scratch),
		Pods:           cmp.Or(override.Pods, c.Pods),
		Services:       cmp.Or(override.Services, c.Services),
		LoadBalancers:  cmp.Or(override.LoadBalancers, c.LoadBalancers),
		VolumeClaims:   cmp.Or(override.VolumeClaims, c.VolumeClaims),
		ResourceClaims: cmp.Or(override.ResourceClaims, c.ResourceClaims),
		Devices:        devices,
		DefaultCPU:     cmp.Or(override.DefaultCPU, c.DefaultCPU),
		DefaultMemory:  cmp.Or(override.DefaultMemory, c.DefaultMemory),
		MaxCPU:         cmp.Or(override.MaxCPU, c.MaxCPU),
		MaxMemory:      cmp.Or(override.MaxMemory, c.MaxMemory),
		LogRate:        cmp.Or(override.LogRate, c.LogRate),
		LogBurst:       cmp.Or(override.LogBurst, c.LogBurst),
	}
}

// CPULimits returns the total of the pods' CPU limits.
func (c Class) CPULimits() string { return times(c.CPU, c.Burst) }

// times returns a quantity of CPUs so many times, in the form in which Kubernetes writes it. An invalid one stays as it is, since
// its own check reports it.
func times(quantity string, factor int) string {
	number, err := rules.ParseQuantity(quantity)
	if err != nil || factor == 1 {
		return quantity
	}
	number.Mul(number, big.NewRat(int64(factor), 1))
	if number.IsInt() {
		return number.Num().String()
	}
	return rules.FormatNumber(number.Mul(number, big.NewRat(1000, 1))) + "m"
}

// Check returns every rule that a complete class breaks.
func (c Class) Check() rules.Faults { return c.check(c) }

// check returns every rule that a complete class breaks. When two of its fields contradict each other, the fault names the one
// that was written.
func (c Class) check(written Class) rules.Faults {
	f := rules.CheckTags(&c)
	f.Check("cpu", c.CPU, rules.CheckCPU(c.CPU))
	f.Check("memory", c.Memory, rules.CheckBytes(c.Memory))
	f.Check("storage", c.Storage, rules.CheckBytes(c.Storage))
	f.Check("scratch", c.Scratch, rules.CheckBytes(c.Scratch))
	if rules.CompareQuantities(c.Scratch, defaultScratch) < 0 {
		f.Refuse("scratch", c.Scratch, "below the %s of one container that states none; write %s or more", defaultScratch, defaultScratch)
	}
	for _, device := range slices.Sorted(maps.Keys(c.Devices)) {
		if domain, name, found := strings.Cut(device, "/"); !found || domain == "" || name == "" {
			f.Refuse("devices", device, "not an extended resource; write a domain and a name, such as nvidia.com/gpu")
		} else if count := c.Devices[device]; count < 0 {
			f.Refuse("devices."+device, count, "must be 0 or more")
		}
	}
	for _, r := range []struct {
		suffix                                     string
		check                                      func(string) error
		standard, most, total                      string
		writtenStandard, writtenMost, writtenTotal string
	}{
		{"Cpu", rules.CheckCPU, c.DefaultCPU, c.MaxCPU, c.CPU, written.DefaultCPU, written.MaxCPU, written.CPU},
		{"Memory", rules.CheckBytes, c.DefaultMemory, c.MaxMemory, c.Memory, written.DefaultMemory, written.MaxMemory, written.Memory},
	} {
		f.Check("default"+r.suffix, r.standard, r.check(r.standard))
		f.Check("max"+r.suffix, r.most, r.check(r.most))
		f = append(f, checkOrder("default"+r.suffix, r.standard, r.writtenStandard, "max"+r.suffix, r.most, r.writtenMost)...)
	}
	f.Check("logRate", c.LogRate, rules.CheckRate(c.LogRate))
	f.Check("logBurst", c.LogBurst, rules.CheckBytes(c.LogBurst))
	f = append(f, checkOrder("maxMemory", c.MaxMemory, written.MaxMemory, "memory", c.Memory, written.Memory)...)
	f = append(f, c.checkBurst(written)...)
	return f
}

// checkBurst refuses a default request above the total of the requests, and a maximum of one container above the total of the
// limits: no pod could have it.
func (c Class) checkBurst(written Class) rules.Faults {
	f := checkOrder("defaultCpu", c.DefaultCPU, written.DefaultCPU, "cpu", c.CPU, written.CPU)
	if len(f) > 0 || rules.CompareQuantities(c.MaxCPU, c.CPULimits()) <= 0 {
		return f
	}
	switch {
	case written.MaxCPU != "" || written.CPU == "" && written.Burst == 0:
		f.Refuse("maxCpu", c.MaxCPU, "above the total of the limits, %s (burst %d × cpu %s); lower it to that, or raise cpu or burst", c.CPULimits(), c.Burst, c.CPU)
	case written.CPU != "":
		f.Refuse("cpu", c.CPU, "with burst %d the total of the limits is %s, below maxCpu of %s; raise it, or lower maxCpu", c.Burst, c.CPULimits(), c.MaxCPU)
	default:
		f.Refuse("burst", c.Burst, "with cpu %s the total of the limits is %s, below maxCpu of %s; raise it, or lower maxCpu", c.CPU, c.CPULimits(), c.MaxCPU)
	}
	return f
}

// checkOrder refuses a lower quantity that is above a higher one. The fault names the lower one, unless only the higher one
// was written.
func checkOrder(lowField, low, lowWritten, highField, high, highWritten string) (f rules.Faults) {
	switch {
	case rules.CompareQuantities(low, high) <= 0:
	case lowWritten == "" && highWritten != "":
		f.Refuse(highField, high, "below %s of %s; raise it, or lower %s", lowField, low, lowField)
	default:
		f.Refuse(lowField, low, "above %s of %s; lower it, or raise %s", highField, high, highField)
	}
	return f
}

// value returns a count, and 0 for nil.
func value(count *int) int {
	if count == nil {
		return 0
	}
	return *count
}

// Classes are the sizes that tenants and claims choose from, by their names.
type Classes map[string]Class

// DefaultClass is the class that a new class takes its missing fields from, and the default of TenantArgs.Class.
const DefaultClass = "small"

// WithDefaults returns the classes, with small, medium and large among them. A class of one of these names takes its missing
// fields from that default; every other class takes them from small.
func (c Classes) WithDefaults() Classes {
	all := Classes{"small": Small(), "medium": Medium(), "large": Large()}
	for name, class := range c {
		base, known := all[name]
		if !known {
			base = all[DefaultClass].With(c[DefaultClass])
		}
		all[name] = base.With(class)
	}
	return all
}

// Names returns the names of the classes in alphabetical order.
func (c Classes) Names() []string { return slices.Sorted(maps.Keys(c)) }

// Check returns every rule that the classes break, with their defaults in place. A fault's field begins with the name of the
// class, as in small.cpu.
func (c Classes) Check() rules.Faults {
	var all rules.Faults
	classes := c.WithDefaults()
	for _, name := range classes.Names() {
		if err := rules.CheckName(name); err != nil {
			all.Check(name, name, fmt.Errorf("the name of a class is %w", err))
		}
		all = append(all, classes[name].check(c.written(name)).In(name)...)
	}
	return all
}

// written returns the fields of a class as they are written. A default class that is not overridden counts as written.
func (c Classes) written(name string) Class {
	if class, changed := c[name]; changed {
		return class
	}
	return c.WithDefaults()[name]
}
