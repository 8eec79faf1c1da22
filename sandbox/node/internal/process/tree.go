package process

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Child is a child process that another process has started or inherited.
type Child struct {
	Name string // the name that it was started under
	PID  int
}

// Programs returns the children of the node, which are the programs of the cluster, sorted by name.
func Programs(node int) []Child {
	found := slices.DeleteFunc(children(node), func(c Child) bool { return c.Name == "" })
	slices.SortFunc(found, func(a, b Child) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// EndContainers sends SIGTERM to the first process of each container (Redis then closes its files), and waits for them.
// Containers are children of shims, which are children of the process containerd.
func EndContainers(containerd int, grace time.Duration) {
	told := map[int]bool{}
	for deadline := time.Now().Add(grace); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		left := 0
		for _, shim := range children(containerd) {
			if !strings.HasPrefix(shim.Name, "containerd-shim") {
				continue
			}
			for _, container := range children(shim.PID) {
				left++
				if !told[container.PID] {
					told[container.PID] = true
					_ = syscall.Kill(container.PID, syscall.SIGTERM)
				}
			}
		}
		if left == 0 {
			return
		}
	}
}

// children returns the children of a process. Those that have ended have no name.
func children(pid int) []Child {
	var found []Child
	// Each thread has children of its own.
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list) // empty when the thread has ended in the meantime
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				found = append(found, Child{Name: NameOf(child), PID: child})
			}
		}
	}
	return found
}

// NameOf returns the name under which a process was started, or nothing if it has ended.
func NameOf(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	name, _, _ := strings.Cut(string(text), "\x00")
	if name == "" {
		return "" // it has ended, and may be a zombie
	}
	return filepath.Base(name)
}
