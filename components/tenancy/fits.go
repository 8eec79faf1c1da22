package tenancy

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// term is what one part takes of a quota: a count, the surge that an update adds, and the quantity of each. The quantity is
// empty for things that are only counted.
type term struct {
	count, surge int
	each         string
}

// amount returns the term's value. A quantity that is not valid counts as 0, since its own check reports it.
func (t term) amount() *big.Rat {
	count := big.NewRat(int64(max(t.count+t.surge, 0)), 1)
	if t.each == "" {
		return count
	}
	each, err := rules.ParseQuantity(t.each)
	if err != nil {
		return new(big.Rat)
	}
	return count.Mul(count, each)
}

// String returns the term as a formula, such as (3 + 1) × 50m.
func (t term) String() string {
	text := strconv.Itoa(t.count)
	if t.surge > 0 {
		text = fmt.Sprintf("(%d + %d)", t.count, t.surge)
	}
	if t.each == "" {
		return text
	}
	return text + " × " + t.each
}

// total is one quota of a class, and what parts take of it.
type total struct {
	field  string // of the class
	quota  string
	takes  string // what an application does with so much
	write  string // how the field is written
	format func(*big.Rat) string
	of     func(kube.Demand) term
}

// totals are the quotas that an application can exceed. A limit of memory is never below its request, so pods whose limits fit
// into a quota fit with their requests too. See Class.fitsBurst for limits of CPU.
func (c Class) totals() []total {
	return []total{
		{"cpu", c.CPU, "pods request %s CPUs", "%q", rules.FormatNumber, func(d kube.Demand) term { return term{d.Replicas, d.Surge, d.Pod().CPU} }},
		{"memory", c.Memory, "pods may use %s of memory", "%q", rules.FormatBytes, func(d kube.Demand) term { return term{d.Replicas, d.Surge, d.Pod().MemoryLimit} }},
		{"storage", c.Storage, "volumes hold %s", "%q", rules.FormatBytes, func(d kube.Demand) term { return term{d.Volumes, 0, d.VolumeSize} }},
		{"pods", strconv.Itoa(c.Pods), "parts have %s pods", "%s", rules.FormatNumber, func(d kube.Demand) term { return term{d.Replicas, d.Surge, ""} }},
		{"services", strconv.Itoa(c.Services), "parts have %s Services", "%s", rules.FormatNumber, func(d kube.Demand) term { return term{d.Services, 0, ""} }},
		{"volumeClaims", strconv.Itoa(value(c.VolumeClaims)), "parts have %s volumes", "%s", rules.FormatNumber, func(d kube.Demand) term { return term{d.Volumes, 0, ""} }},
	}
}

// sum returns what the parts take together, and how it comes about.
func (t total) sum(parts []kube.Demand) (*big.Rat, string) {
	sum, terms, surge := new(big.Rat), []string{}, ""
	for _, part := range parts {
		term := t.of(part)
		if term.amount().Sign() > 0 {
			sum.Add(sum, term.amount())
			terms = append(terms, part.Part+" "+term.String())
		}
		if term.surge > 0 {
			surge = "; + is what an update adds"
		}
	}
	return sum, strings.Join(terms, ", ") + surge
}

// fitsBurst returns a fault if the parts' limits of CPU exceed the total of limits. Its fix raises the burst, since the requests
// have a quota of their own, and cpu where no burst is enough.
func (c Class) fitsBurst(whose string, parts []kube.Demand) (f rules.Faults) {
	limits := total{of: func(d kube.Demand) term { return term{d.Replicas, d.Surge, d.Pod().CPULimit} }}
	sum, formula := limits.sum(parts)
	cpu, err := rules.ParseQuantity(c.CPU)
	if err != nil || sum.Cmp(new(big.Rat).Mul(cpu, big.NewRat(int64(c.Burst), 1))) <= 0 {
		return nil
	}
	says := fmt.Sprintf("%s pods may use %s CPUs (%s) and the quota is %s, burst %d × cpu %s", whose, rules.FormatNumber(sum), formula, c.CPULimits(), c.Burst, c.CPU)
	factor := new(big.Rat).Quo(sum, cpu)
	if factor.Cmp(big.NewRat(maxBurst, 1)) > 0 {
		f.Refuse("cpu", c.CPU, "%s; write %q, or give the parts less", says, rules.FormatNumber(new(big.Rat).Quo(sum, big.NewRat(int64(c.Burst), 1))))
		return f
	}
	f.Refuse("burst", c.Burst, "%s; write %d, or give the parts less", says, ceiling(factor))
	return f
}

// maxBurst is the highest Class.Burst, as its tag says.
const maxBurst = 100

// ceiling returns the lowest whole number that is not below this one.
func ceiling(number *big.Rat) int64 {
	whole, rest := new(big.Int).QuoRem(number.Num(), number.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		return whole.Int64() + 1
	}
	return whole.Int64()
}

// Fits returns a fault for each limit of a complete class that an application can exceed in a namespace: a quota that its
// parts exceed together, with the sum, and a maximum that one container exceeds. Whose names the owner of the parts in the
// fault, such as "the journal's".
func (c Class) Fits(whose string, parts []kube.Demand) rules.Faults {
	var f rules.Faults
	for _, total := range c.totals() {
		sum, formula := total.sum(parts)
		quota, err := rules.ParseQuantity(total.quota)
		if err != nil { // a count may be zero, which is no quantity
			quota = new(big.Rat)
		}
		if sum.Cmp(quota) > 0 {
			needs := total.format(sum)
			f.Refuse(total.field, total.quota, "%s %s (%s) and the quota is %s; write "+total.write+", or give the parts less",
				whose, fmt.Sprintf(total.takes, needs), formula, total.quota, needs)
		}
	}
	f = append(f, c.fitsBurst(whose, parts)...)
	for _, part := range parts {
		for _, most := range []struct{ field, quantity, what, limit string }{
			{"maxCpu", c.MaxCPU, "CPUs", part.Resources.CPULimit},
			{"maxMemory", c.MaxMemory, "of memory", part.Resources.MemoryLimit},
		} {
			if rules.CompareQuantities(most.limit, most.quantity) > 0 {
				f.Refuse(most.field, most.quantity, "%s %s has a container that may use %s %s, and the most for one is %s; write %q, or give it less",
					whose, part.Part, most.limit, most.what, most.quantity, most.limit)
			}
		}
	}
	return f
}
