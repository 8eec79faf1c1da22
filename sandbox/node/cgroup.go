package node

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
	"time"

	"golang.org/x/sys/unix"

	"example.com/journal/sandbox/cache"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroupName is the cgroup below which all pods are. It is another one for each cache folder, as a kubelet removes
// pods that it does not know.
func cgroupName(dir cache.Dir) string {
	sum := sha256.Sum256([]byte(dir.Root()))
	return "journal-sandbox-" + hex.EncodeToString(sum[:4])
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

// makeCgroups makes the node's cgroup in each hierarchy, ready to have children.
func makeCgroups(name string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		folder := filepath.Join(root, name)
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
		if !containsWord(string(available), controller) {
			continue
		}
		if err := os.WriteFile(filepath.Join(folder, "cgroup.subtree_control"), []byte("+"+controller), 0o644); err != nil {
			return fmt.Errorf("give the cgroup controller %s to %s: %w", controller, folder, err)
		}
	}
	return nil
}

// removeCgroups removes the node's cgroups. They are empty soon after the node's end, when the kernel has ended all
// processes, so a busy one is tried again for some seconds.
func removeCgroups(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		err := removeCgroupsOnce(name)
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		if pause(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("%w: processes of the sandbox are still in it", err)
		}
	}
}

func removeCgroupsOnce(name string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		var folders []string
		err := filepath.WalkDir(filepath.Join(root, name), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				folders = append(folders, path)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, folder := range slices.Backward(folders) { // children before parents
			if err := unix.Rmdir(folder); err != nil && !errors.Is(err, unix.ENOENT) {
				return &fs.PathError{Op: "rmdir", Path: folder, Err: err}
			}
		}
	}
	return nil
}
