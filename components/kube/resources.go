package kube

import (
	"cmp"
	"math/big"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/rules"
)

// ephemeralStorage limits what a container may write outside its volumes: its logs, since its file system is read-only.
const ephemeralStorage = "64Mi"

// Resources are what one container is given. A limit equals its request unless it is set, so that the pod has the Guaranteed
// quality of service and its neighbors cannot take its resources.
type Resources struct {
	// CPU is the request, a Kubernetes quantity such as 100m.
	CPU string `json:"cpu" format:"quantity"`
	// CPULimit is the limit. The default is the request, unless the part has one of its own.
	CPULimit string `json:"cpuLimit" format:"quantity"`
	// Memory is the request, a Kubernetes quantity such as 128Mi.
	Memory string `json:"memory" format:"quantity"`
	// MemoryLimit is the limit. The default is the request, unless the part has one of its own.
	MemoryLimit string `json:"memoryLimit" format:"quantity"`
}

// WithLimits returns the resources with empty limits taken from the requests.
func (r Resources) WithLimits() Resources {
	r.CPULimit = cmp.Or(r.CPULimit, r.CPU)
	r.MemoryLimit = cmp.Or(r.MemoryLimit, r.Memory)
	return r
}

// Larger returns the larger one of each resource.
func (r Resources) Larger(other Resources) Resources {
	larger := func(a, b string) string {
		if rules.CompareQuantities(a, b) < 0 {
			return b
		}
		return a
	}
	return Resources{
		CPU: larger(r.CPU, other.CPU), Memory: larger(r.Memory, other.Memory),
		CPULimit: larger(r.CPULimit, other.CPULimit), MemoryLimit: larger(r.MemoryLimit, other.MemoryLimit),
	}
}

// Plus returns the sums. A quantity that is not valid counts as 0, since its own check reports it.
func (r Resources) Plus(other Resources) Resources {
	plus := func(a, b string, format func(*big.Rat) string) string {
		sum := new(big.Rat)
		for _, text := range []string{a, b} {
			if quantity, err := rules.ParseQuantity(text); err == nil {
				sum.Add(sum, quantity)
			}
		}
		return format(sum)
	}
	return Resources{
		CPU: plus(r.CPU, other.CPU, rules.FormatNumber), CPULimit: plus(r.CPULimit, other.CPULimit, rules.FormatNumber),
		Memory: plus(r.Memory, other.Memory, rules.FormatBytes), MemoryLimit: plus(r.MemoryLimit, other.MemoryLimit, rules.FormatBytes),
	}
}

// Check returns the faults of the resources: invalid quantities, and limits below their requests.
func (r Resources) Check() rules.Faults {
	var f rules.Faults
	f.Check("cpu", r.CPU, rules.CheckCPU(r.CPU))
	f.Check("memory", r.Memory, rules.CheckBytes(r.Memory))
	if r.CPULimit != r.CPU {
		f.Check("cpuLimit", r.CPULimit, rules.CheckCPU(r.CPULimit))
	}
	if r.MemoryLimit != r.Memory {
		f.Check("memoryLimit", r.MemoryLimit, rules.CheckBytes(r.MemoryLimit))
	}
	if rules.CompareQuantities(r.CPULimit, r.CPU) < 0 {
		f.Refuse("cpuLimit", r.CPULimit, "below the request of %s; raise the limit or lower the request", r.CPU)
	}
	if rules.CompareQuantities(r.MemoryLimit, r.Memory) < 0 {
		f.Refuse("memoryLimit", r.MemoryLimit, "below the request of %s; raise the limit or lower the request", r.Memory)
	}
	return f
}

// Requirements returns the resources in the form that a container takes.
func (r Resources) Requirements() corev1.ResourceRequirementsArgs {
	return corev1.ResourceRequirementsArgs{
		Requests: pulumi.StringMap{"cpu": pulumi.String(r.CPU), "memory": pulumi.String(r.Memory), "ephemeral-storage": pulumi.String(ephemeralStorage)},
		Limits:   pulumi.StringMap{"cpu": pulumi.String(r.CPULimit), "memory": pulumi.String(r.MemoryLimit), "ephemeral-storage": pulumi.String(ephemeralStorage)},
	}
}
