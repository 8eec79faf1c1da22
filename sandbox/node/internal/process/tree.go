package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Child is a process that another has started or inherited.
type Child struct {
	Name string // what it was called by
	PID  int
}

// shim begins the names of the processes that are between containerd and containers. They are orphans, and so children of
// the node.
const shim = "containerd-shim"

// Programs returns the children of the node that are programs of the cluster, and not pods' shims.
func Programs(node int) []Child {
	var found []Child
	for _, child := range children(node) {
		if child.Name != "" && !strings.HasPrefix(child.Name, shim) {
			found = append(found, child)
		}
	}
	return found
}

// EndContainers sends SIGTERM to the first process of each container (Redis then closes its files), and waits for them.
func EndContainers(node int, grace time.Duration) {
	told := map[int]bool{}
	for deadline := time.Now().Add(grace); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		left := 0
		for _, parent := range children(node) {
			if !strings.HasPrefix(parent.Name, shim) {
				continue
			}
			for _, container := range children(parent.PID) {
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

// children returns the children of a process; those that have ended have no name.
func children(pid int) []Child {
	var found []Child
	// Each thread has children of its own.
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended in the meantime
		}
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				found = append(found, Child{Name: NameOf(child), PID: child})
			}
		}
	}
	return found
}

// NameOf is the name that a process was called by, or nothing if it has ended.
func NameOf(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(string(text), "\x00")
	if name == "" {
		return "" // a zombie
	}
	return filepath.Base(name)
}
