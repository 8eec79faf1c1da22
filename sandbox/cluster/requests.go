package cluster

import (
	"fmt"
	"math/big"
	"runtime"
	"strings"
	"syscall"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
	"example.com/journal/stacks"
)

// share is the part of the machine that the journal may request. The rest is for the pods of tenants and of the platform.
var share = big.NewRat(3, 4)

// smallerRequests returns values that reduce the requests of a stack's pods, with the pods that an update adds, to share of the
// machine. All requests shrink by the same factor. Limits and replicas stay, so that a small machine tries the stack as it is
// written. The note says in one line what differs.
func smallerRequests(decided stacks.Config, cpus int, memory uint64) (values map[string]any, note string) {
	values = map[string]any{}
	var notes []string
	parts := decided.Journal.Demand()
	shrink := func(key, unit string, has *big.Rat, format func(*big.Rat) string, of func(kube.Resources) (request, limit string)) {
		sum := new(big.Rat)
		for _, part := range parts {
			request, _ := of(part.Resources)
			each, err := rules.ParseQuantity(request)
			if err != nil {
				return // the check of the stack reports it
			}
			sum.Add(sum, each.Mul(each, big.NewRat(int64(part.Replicas+part.Surge), 1)))
		}
		room := new(big.Rat).Mul(share, has)
		if sum.Cmp(room) <= 0 {
			return
		}
		factor := room.Quo(room, sum)
		for _, part := range parts {
			request, limit := of(part.Resources)
			each, _ := rules.ParseQuantity(request)
			smaller := format(each.Mul(each, factor))
			if rules.CompareQuantities(smaller, request) >= 0 {
				continue // rounding left nothing to gain
			}
			path := part.Part + ".resources." + key
			values[path], values[path+"Limit"] = smaller, limit
			notes = append(notes, fmt.Sprintf("%s %s %s instead of %s", part.Part, smaller, unit, request))
		}
	}
	shrink("cpu", "CPUs", big.NewRat(int64(cpus), 1), rules.FormatNumber, func(r kube.Resources) (string, string) { return r.CPU, r.CPULimit })
	shrink("memory", "of memory", new(big.Rat).SetUint64(memory), rules.FormatBytes, func(r kube.Resources) (string, string) { return r.Memory, r.MemoryLimit })
	if len(notes) == 0 {
		return nil, ""
	}
	return values, "this machine is smaller than the stack, so pods request less here: " + strings.Join(notes, ", ") + "; limits and replicas are the stack's\n"
}

// machine returns the number of CPUs and the bytes of memory of this machine.
func machine() (cpus int, memory uint64, err error) {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 0, 0, fmt.Errorf("memory of this machine: %w", err)
	}
	return runtime.NumCPU(), info.Totalram * uint64(info.Unit), nil
}
