package kube

import (
	"cmp"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// ephemeralStorage bounds what a container may write outside its volumes: its logs, since its file system is read-only.
const ephemeralStorage = "64Mi"

// Resources are what one container is given. Requests equal limits unless a limit is set apart, so that a pod has the
// Guaranteed quality of service and neighbors cannot take from it.
type Resources struct {
	// CPU is the request, a Kubernetes quantity such as 100m.
	CPU string
	// Memory is the request, a Kubernetes quantity such as 128Mi.
	Memory string
	// CPULimit is the limit; empty means the request.
	CPULimit string
	// MemoryLimit is the limit; empty means the request.
	MemoryLimit string
}

// WithDefaults returns the resources with what is empty taken from defaults, and the limits from the requests.
func (r Resources) WithDefaults(defaults Resources) Resources {
	r.CPU = cmp.Or(r.CPU, defaults.CPU)
	r.Memory = cmp.Or(r.Memory, defaults.Memory)
	r.CPULimit = cmp.Or(r.CPULimit, r.CPU)
	r.MemoryLimit = cmp.Or(r.MemoryLimit, r.Memory)
	return r
}

// Check records quantities that are none, and a limit below its request.
func (r Resources) Check(f *Faults) {
	f.Check("cpu", r.CPU, CheckCPU(r.CPU))
	f.Check("memory", r.Memory, CheckBytes(r.Memory))
	if r.CPULimit != r.CPU {
		f.Check("cpuLimit", r.CPULimit, CheckCPU(r.CPULimit))
	}
	if r.MemoryLimit != r.Memory {
		f.Check("memoryLimit", r.MemoryLimit, CheckBytes(r.MemoryLimit))
	}
	if CompareQuantities(r.CPULimit, r.CPU) < 0 {
		f.Refuse("cpuLimit", r.CPULimit, "below the request of %s; raise the limit or lower the request", r.CPU)
	}
	if CompareQuantities(r.MemoryLimit, r.Memory) < 0 {
		f.Refuse("memoryLimit", r.MemoryLimit, "below the request of %s; raise the limit or lower the request", r.Memory)
	}
}

// Requirements returns the resources in the form that a container takes.
func (r Resources) Requirements() corev1.ResourceRequirementsArgs {
	return corev1.ResourceRequirementsArgs{
		Requests: pulumi.StringMap{"cpu": pulumi.String(r.CPU), "memory": pulumi.String(r.Memory), "ephemeral-storage": pulumi.String(ephemeralStorage)},
		Limits:   pulumi.StringMap{"cpu": pulumi.String(r.CPULimit), "memory": pulumi.String(r.MemoryLimit), "ephemeral-storage": pulumi.String(ephemeralStorage)},
	}
}
