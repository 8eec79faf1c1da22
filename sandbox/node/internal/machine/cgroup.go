package machine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const cgroupRoot = "/sys/fs/cgroup"

// Cgroup is the name of the cgroup that holds all pods.
type Cgroup string

// CgroupOf returns a cgroup for a cache folder. Each folder has its own, because a kubelet removes pods that it does not know.
func CgroupOf(folder string) Cgroup {
	sum := sha256.Sum256([]byte(folder))
	return Cgroup("journal-sandbox-" + hex.EncodeToString(sum[:4]))
}

// unified says whether the machine has the single hierarchy of cgroup version 2, instead of one for each controller.
func unified() bool {
	_, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers"))
	return err == nil
}

// hierarchies returns the root folder of each cgroup hierarchy. Version 1 may list one twice, under another name.
func hierarchies() []string {
	if unified() {
		return []string{cgroupRoot}
	}
	found, _ := filepath.Glob(filepath.Join(cgroupRoot, "*"))
	return found
}

// Make makes the cgroup in each hierarchy, since the kubelet makes the cgroups of pods only below an existing one. It first
// removes what a killed node left in it.
func (c Cgroup) Make(ctx context.Context) error {
	if err := c.Remove(ctx); err != nil {
		return err
	}
	var errs []error
	for _, root := range hierarchies() {
		folder := filepath.Join(root, string(c))
		errs = append(errs, os.MkdirAll(folder, 0o755))
		if unified() {
			errs = append(errs, delegate(root), delegate(folder))
		}
	}
	return errors.Join(errs...)
}

// delegate enables for the children of a version 2 cgroup the controllers that the kubelet wants.
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

// Remove removes the cgroups and those below them. They are empty soon after the node's end, when the kernel has ended all
// processes. So Remove tries busy ones again for some seconds.
func (c Cgroup) Remove(ctx context.Context) error {
	var err error
	waited := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		err = nil
		for _, root := range hierarchies() {
			// RemoveAll cannot remove the files in a cgroup, but they go with their folder.
			err = errors.Join(err, os.RemoveAll(filepath.Join(root, string(c))))
		}
		return err == nil, nil
	})
	if waited != nil {
		return fmt.Errorf("%w: processes of the sandbox are still in it", err)
	}
	return nil
}
