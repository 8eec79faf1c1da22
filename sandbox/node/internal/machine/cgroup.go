package machine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

const cgroupRoot = "/sys/fs/cgroup"

// Cgroup is the name of the cgroup below which all pods are.
type Cgroup string

// CgroupOf is another one for each cache folder, as a kubelet removes pods that it does not know.
func CgroupOf(folder string) Cgroup {
	sum := sha256.Sum256([]byte(folder))
	return Cgroup("journal-sandbox-" + hex.EncodeToString(sum[:4]))
}

// unified says whether the machine has the one cgroup hierarchy of version 2 instead of one for each controller.
func unified() bool {
	_, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers"))
	return err == nil
}

// hierarchies returns the folders that each are the root of a cgroup hierarchy.
func hierarchies() ([]string, error) {
	if unified() {
		return []string{cgroupRoot}, nil
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		// Links such as cpu -> cpu,cpuacct lead to a hierarchy that is listed under its own name.
		if entry.IsDir() {
			found = append(found, filepath.Join(cgroupRoot, entry.Name()))
		}
	}
	return found, nil
}

// Make makes the cgroup in each hierarchy, ready to have children.
func (c Cgroup) Make() error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		folder := filepath.Join(root, string(c))
		if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if unified() {
			for _, parent := range []string{root, folder} {
				if err := delegate(parent); err != nil {
					return err
				}
			}
			continue
		}
		// A new version 1 cpuset has neither processors nor memory until it is told, and takes no process before.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(root, file))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(folder, file), value, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// delegate lets the children of a version 2 cgroup have the controllers that the kubelet wants.
func delegate(folder string) error {
	available, err := os.ReadFile(filepath.Join(folder, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, controller := range []string{"cpu", "cpuset", "memory", "pids", "io", "hugetlb"} {
		if !slices.Contains(strings.Fields(string(available)), controller) {
			continue
		}
		if err := os.WriteFile(filepath.Join(folder, "cgroup.subtree_control"), []byte("+"+controller), 0o644); err != nil {
			return fmt.Errorf("give the cgroup controller %s to %s: %w", controller, folder, err)
		}
	}
	return nil
}

// Remove removes the cgroups. They are empty soon after the node's end, when the kernel has ended all processes, so a busy
// one is tried again for some seconds.
func (c Cgroup) Remove(ctx context.Context) error {
	var err error
	waited := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		err = c.removeAll()
		return !errors.Is(err, unix.EBUSY), nil
	})
	if waited != nil {
		return fmt.Errorf("%w: processes of the sandbox are still in it", err)
	}
	return err
}

func (c Cgroup) removeAll() error {
	roots, err := hierarchies()
	for _, root := range roots {
		err = errors.Join(err, removeTree(filepath.Join(root, string(c))))
	}
	return err
}

// removeTree removes a cgroup and those below it. The files in it go with their folder.
func removeTree(folder string) error {
	entries, err := os.ReadDir(folder)
	for _, entry := range entries {
		if entry.IsDir() {
			err = errors.Join(err, removeTree(filepath.Join(folder, entry.Name())))
		}
	}
	if err == nil {
		err = os.Remove(folder)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
