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
	for _, r := range []struct {
		key, name string
		has       *big.Rat
		of        func(kube.Resources) (request, limit string)
		format    func(*big.Rat) string
	}{
		{"cpu", "CPUs", big.NewRat(int64(cpus), 1), func(r kube.Resources) (string, string) { return r.CPU, r.CPULimit }, rules.FormatNumber},
		{"memory", "of memory", new(big.Rat).SetUint64(memory), func(r kube.Resources) (string, string) { return r.Memory, r.MemoryLimit }, rules.FormatBytes},
	} {
		sum := new(big.Rat)
		for _, part := range parts {
			request, _ := r.of(part.Resources)
			each, err := rules.ParseQuantity(request)
			if err != nil {
				return nil, "" // the check of the stack reports it
			}
			sum.Add(sum, each.Mul(each, big.NewRat(int64(part.Replicas+part.Surge), 1)))
		}
		room := new(big.Rat).Mul(share, r.has)
		if sum.Cmp(room) <= 0 {
			continue
		}
		factor := room.Quo(room, sum)
		for _, part := range parts {
			request, limit := r.of(part.Resources)
			each, _ := rules.ParseQuantity(request)
			smaller := r.format(each.Mul(each, factor))
			if rules.CompareQuantities(smaller, request) >= 0 {
				continue // rounding left nothing to gain
			}
			path := part.Part + ".resources." + r.key
			values[path], values[path+"Limit"] = smaller, limit
			notes = append(notes, fmt.Sprintf("%s %s %s instead of %s", part.Part, smaller, r.name, request))
		}
	}
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
