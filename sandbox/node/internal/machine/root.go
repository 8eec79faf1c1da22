// Package machine makes the part of this machine that is the node's own: its root directory, its network and its cgroups.
package machine

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"example.com/journal/sandbox/internal/disk"
)

// Name is the name of the Kubernetes node, and its host name.
const Name = "sandbox"

// Paths in the node's own root.
const (
	Bin   = "/sandbox/bin"  // what the toolchain built
	Logs  = "/sandbox/logs" // one file for each process
	Files = "/sandbox/node" // what outlives the node: status, kubeconfig, and /var
	Run   = "/run/sandbox"  // generated configuration and certificates, in memory
)

// Sysctls are those that the kubelet would otherwise set for the whole machine. Files in the node's mount namespace cover
// the real ones and hold these values already, so the machine keeps its own.
var Sysctls = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// mount is one mount of the node's root.
type mount struct {
	target, source, kind string // an empty kind is a bind mount of source
	flags                uintptr
	data                 string
}

// EnterRoot gives this process its own root and leaves the machine's. The root consists of folders of the machine (the unpacked
// Debian packages, Bin, Logs and Files) and the kernel's file systems. Later mounts are visible only to the node and its
// pods.
func EnterRoot(debian, bin, logs, kept string) error {
	// No mount in here may reach the machine, and none may keep the machine from a later unmount.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	root := filepath.Join(kept, "root")
	data := filepath.Join(kept, "var")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	noSuid := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	for _, m := range []mount{
		{"", "tmpfs", "tmpfs", 0, "mode=755,size=64m"},
		{"usr", filepath.Join(debian, "usr"), "", unix.MS_RDONLY, ""},
		{Bin, bin, "", unix.MS_RDONLY, ""},
		{Logs, logs, "", 0, ""},
		{Files, kept, "", 0, ""},
		{"var", data, "", 0, ""},
		{"tmp", "tmpfs", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
		{"run", "tmpfs", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
		{"proc", "proc", "proc", noSuid, ""},
		{"sys", "sysfs", "sysfs", noSuid, ""},
		{"sys/fs/cgroup", cgroupRoot, "", unix.MS_REC, ""},
		{"dev", "/dev", "", 0, ""},
		{"dev/pts", "devpts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"},
		{"dev/shm", "tmpfs", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	} {
		if err := m.do(root); err != nil {
			return err
		}
	}
	if err := fill(root); err != nil {
		return err
	}
	return pivot(root)
}

// do mounts below root.
func (m mount) do(root string) error {
	target := filepath.Join(root, m.target)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	flags := m.flags
	if m.kind == "" {
		flags = unix.MS_BIND | m.flags&unix.MS_REC
	}
	err := unix.Mount(m.source, target, m.kind, flags, m.data)
	// The kernel applies other flags to a bind mount only in a remount.
	if err == nil && m.kind == "" && m.flags&unix.MS_RDONLY != 0 {
		err = unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	}
	if err != nil {
		return fmt.Errorf("mount %s on %s: %w", m.source, target, err)
	}
	return nil
}

// fill writes the files and links that programs expect in a root.
func fill(root string) error {
	for link, target := range map[string]string{
		"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64", "var/run": "/run",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	for path, text := range map[string]string{
		"etc/hostname":   Name + "\n",
		"etc/hosts":      "127.0.0.1 localhost\n" + NodeIP + " " + Name + "\n",
		"etc/os-release": "PRETTY_NAME=\"journal sandbox\"\n", // what `kubectl get node -o wide` shows
		"etc/passwd":     "root:x:0:0:root:/run:/usr/sbin/nologin\n",
		"etc/group":      "root:x:0:\n",
		// Pods that ask for the node's own resolver get the cluster's: this network has no other.
		"etc/resolv.conf": "nameserver " + NodeIP + "\n",
		// Kubernetes reports it as the machine's identity. The real one must not show in the cluster.
		"etc/machine-id": "00000000000000000000000000005a4d\n",
	} {
		if err := disk.Write(filepath.Join(root, path), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for path, value := range Sysctls {
		cover := filepath.Join(root, "sandbox/sysctl", path)
		if err := disk.Write(cover, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(cover, filepath.Join(root, "proc/sys", path), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("cover the sysctl %s: %w", path, err)
		}
	}
	return nil
}

// pivot makes root this process's root directory, and unmounts the old one, which covers the new one until then.
func pivot(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root to %s: %w", root, err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the machine's root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	// A volume that a pod gets after its start reaches it by mount propagation, so the kubelet needs this.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share the mounts with pods: %w", err)
	}
	return nil
}
