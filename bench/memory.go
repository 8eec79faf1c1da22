package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sampleInterval is how often /proc is read. A process that lives shorter than that is not seen.
const sampleInterval = 25 * time.Millisecond

// process is one line of the process table.
type process struct {
	pid, parent int
	name        string
	// started is when it began, in clock ticks since boot: a pid that is used again is another process.
	started string
	// peak is the kernel's own record of the largest resident set (VmHWM), in KiB.
	peak int
}

// peaks collects the largest resident set of each process in a tree.
type peaks map[string]int

// add notes the processes of the tree below root as they are now.
func (p peaks) add(table []process, root int) {
	inTree := map[int]bool{root: true}
	for grown := true; grown; {
		grown = false
		for _, each := range table {
			if inTree[each.parent] && !inTree[each.pid] {
				inTree[each.pid], grown = true, true
			}
		}
	}
	for _, each := range table {
		if inTree[each.pid] {
			key := fmt.Sprintf("%d %s %s", each.pid, each.started, each.name)
			p[key] = max(p[key], each.peak)
		}
	}
}

// total is the sum of the peaks in KiB. It is an upper bound: not all processes are at their peak at the same time.
func (p peaks) total() int {
	sum := 0
	for _, peak := range p {
		sum += peak
	}
	return sum
}

// processTable reads /proc. A process that ends meanwhile is left out.
func processTable() []process {
	folders, _ := filepath.Glob("/proc/[0-9]*")
	var table []process
	for _, folder := range folders {
		stat, err := os.ReadFile(filepath.Join(folder, "stat"))
		if err != nil {
			continue
		}
		status, err := os.ReadFile(filepath.Join(folder, "status"))
		if err != nil {
			continue
		}
		if found, ok := parseProcess(string(stat), string(status)); ok {
			table = append(table, found)
		}
	}
	return table
}

// parseProcess reads /proc/<pid>/stat and status. The name may hold spaces and parentheses.
func parseProcess(stat, status string) (process, bool) {
	open, end := strings.Index(stat, " ("), strings.LastIndex(stat, ") ")
	if open < 0 || end < open {
		return process{}, false
	}
	fields := strings.Fields(stat[end+2:])
	_, peak, found := strings.Cut(status, "VmHWM:")
	if len(fields) < 20 || !found {
		return process{}, false // a kernel thread has no memory
	}
	pid, _ := strconv.Atoi(stat[:open])
	parent, _ := strconv.Atoi(fields[1])
	kib, err := strconv.Atoi(strings.Fields(peak)[0])
	return process{pid: pid, parent: parent, name: stat[open+2 : end], started: fields[19], peak: kib}, err == nil
}
