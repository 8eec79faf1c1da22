package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"example.com/journal/sandbox/cache"
)

// neededSpace is about what images, volumes, etcd and the toolchain take together, in bytes.
const neededSpace = 10 << 30

// Check says why the node cannot start on this machine, before anything is built or started. A running node is fine.
func Check(_ context.Context, config Config) error {
	config = config.withDefaults()
	if _, err := Running(config.Dir); err == nil {
		return nil
	}
	errs := []error{checkMachine(config.Dir)}
	for _, p := range config.ports() {
		file, err := p.listen()
		if err == nil {
			err = file.Close()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// checkMachine returns all that is wrong with the machine at once.
func checkMachine(dir cache.Dir) error {
	var errs []error
	if uid := os.Geteuid(); uid != 0 {
		errs = append(errs, fmt.Errorf("user %d: the sandbox makes namespaces, mounts and cgroups, so it has to run as root; use sudo", uid))
	}
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			errs = append(errs, fmt.Errorf("%s is missing: the sandbox takes containerd and more from Debian's packages; use a Debian machine", tool))
		}
	}
	var space unix.Statfs_t
	if err := unix.Statfs(dir.State(), &space); err != nil {
		errs = append(errs, fmt.Errorf("free space in %s: %w", dir.State(), err))
	} else if free := space.Bavail * uint64(space.Bsize); free < neededSpace { //nolint:gosec // a block size is positive
		errs = append(errs, fmt.Errorf("%s has %.1f GiB free: the sandbox needs 10 GiB; make room, or set XDG_CACHE_HOME to a larger disk",
			dir.Root(), float64(free)/(1<<30)))
	}
	if space.Type == unix.OVERLAYFS_SUPER_MAGIC {
		errs = append(errs, fmt.Errorf("%s is on overlayfs, as a container's files are: images need another one; set XDG_CACHE_HOME to a volume",
			dir.Root()))
	}
	return errors.Join(append(errs, checkKernel()...)...)
}

func checkKernel() []error {
	var errs []error
	for _, namespace := range []string{"net", "mnt", "pid", "uts", "ipc"} {
		if _, err := os.Stat("/proc/self/ns/" + namespace); err != nil {
			errs = append(errs, fmt.Errorf("the kernel has no %s namespaces (%w); use Debian's own kernel", namespace, err))
		}
	}
	if !kernelHasOverlay() {
		errs = append(errs, errors.New("the kernel has no overlayfs, which containers' root filesystems are; use Debian's own kernel"))
	}
	for _, controller := range []string{"cpu", "memory", "pids"} {
		if !kernelHasController(controller) {
			errs = append(errs, fmt.Errorf("the kernel's cgroup controller %q is missing or off: pods' limits need it; boot with cgroup_enable=%s",
				controller, controller))
		}
	}
	return errs
}

// kernelHasOverlay also finds a module that is not loaded yet: the kernel loads it with the first mount.
func kernelHasOverlay() bool {
	if text, err := os.ReadFile("/proc/filesystems"); err == nil && strings.Contains(string(text), "\toverlay\n") {
		return true
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return false
	}
	modules := filepath.Join("/lib/modules", unix.ByteSliceToString(name.Release[:]), "kernel/fs/overlayfs")
	_, err := os.Stat(modules)
	return err == nil
}

func kernelHasController(name string) bool {
	if text, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return slices.Contains(strings.Fields(string(text)), name)
	}
	_, err := os.Stat(filepath.Join("/sys/fs/cgroup", name))
	return err == nil
}
