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

// hierarchies returns the folders that each are the root of a cgroup hierarchy. Version 1 may list one twice, under another name.
func hierarchies() []string {
	if unified() {
		return []string{cgroupRoot}
	}
	found, _ := filepath.Glob(filepath.Join(cgroupRoot, "*"))
	return found
}

// Make makes the cgroup in each hierarchy, as the kubelet makes those of pods only below one that is there.
func (c Cgroup) Make() error {
	for _, root := range hierarchies() {
		folder := filepath.Join(root, string(c))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		if unified() {
			if err := errors.Join(delegate(root), delegate(folder)); err != nil {
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

// removeAll removes the cgroup of each hierarchy with those below it. The files in a cgroup go with their folder.
func (c Cgroup) removeAll() error {
	var folders []string
	for _, root := range hierarchies() {
		_ = filepath.WalkDir(filepath.Join(root, string(c)), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				folders = append(folders, path)
			}
			return nil // what is gone by itself need not be removed
		})
	}
	var errs []error
	for _, folder := range slices.Backward(folders) {
		if err := os.Remove(folder); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
