// Package machine makes the part of this machine that is the node's own: its root directory, its network and its cgroups.
package machine

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"example.com/journal/sandbox/internal/disk"
)

// Name is the Kubernetes node's name, and its host name.
const Name = "sandbox"

// Where things are in the node's own root.
const (
	Bin   = "/sandbox/bin"  // what the toolchain built
	Logs  = "/sandbox/logs" // one file for each process
	Files = "/sandbox/node" // what is kept: status, kubeconfig, and /var
	Run   = "/run/sandbox"  // generated configuration and certificates, in memory
)

// Sysctls are what the kubelet wants to set, and would set for the whole machine. It finds them set already, in
// files that cover the real ones in the node's mount namespace only, so the machine keeps its own values.
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
	target, source, kind string // kind "" is a bind mount of source
	flags                uintptr
	data                 string
}

// Root says what the node's own root is made of: folders of the machine.
type Root struct {
	Debian string // the unpacked packages
	Bin    string
	Logs   string
	Files  string
}

// Enter gives this process a root of its own, made of Debian's packages, the cache's folders and the kernel's file
// systems, and leaves the machine's root. What is mounted from now on is seen by the node and its pods only.
func (r Root) Enter() error {
	// Nothing may get back to the machine, and a later unmount there must not be held up by a copy in here.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	root := filepath.Join(r.Files, "root")
	data := filepath.Join(r.Files, "var")
	for _, folder := range []string{root, data} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	noSuid := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	for _, m := range []mount{
		{"", "tmpfs", "tmpfs", 0, "mode=755,size=64m"},
		{"usr", filepath.Join(r.Debian, "usr"), "", unix.MS_RDONLY, ""},
		{Bin, r.Bin, "", unix.MS_RDONLY, ""},
		{Logs, r.Logs, "", 0, ""},
		{Files, r.Files, "", 0, ""},
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
	// A bind mount takes other flags only when it is there.
	if err == nil && m.kind == "" && m.flags&unix.MS_RDONLY != 0 {
		err = unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	}
	if err != nil {
		return fmt.Errorf("mount %s on %s: %w", m.source, target, err)
	}
	return nil
}

// fill writes what programs expect to find in a root.
func fill(root string) error {
	for link, target := range map[string]string{
		"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64", "var/run": "/run",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	files := map[string]string{
		"etc/hostname":   Name + "\n",
		"etc/hosts":      "127.0.0.1 localhost\n" + NodeIP + " " + Name + "\n",
		"etc/os-release": "PRETTY_NAME=\"journal sandbox\"\n", // what `kubectl get node -o wide` shows
		"etc/passwd":     "root:x:0:0:root:/run:/usr/sbin/nologin\n",
		"etc/group":      "root:x:0:\n",
		// Pods that ask for the node's own resolver get the cluster's: there is no other in this network.
		"etc/resolv.conf": "nameserver " + NodeIP + "\n",
		// Kubernetes reports it as the machine's identity; the real one is nobody's business in there.
		"etc/machine-id": "00000000000000000000000000005a4d\n",
	}
	for path, value := range Sysctls {
		files[filepath.Join("sandbox/sysctl", path)] = value + "\n"
	}
	for path, text := range files {
		if err := disk.Write(filepath.Join(root, path), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for path := range Sysctls {
		cover := filepath.Join(root, "sandbox/sysctl", path)
		if err := unix.Mount(cover, filepath.Join(root, "proc/sys", path), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("cover the sysctl %s: %w", path, err)
		}
	}
	return nil
}

// pivot makes root this process's root directory, and lets go of the old one, which is mounted over the new one until then.
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
	// Volumes that a pod gets after its start travel by mount propagation, so the kubelet wants it.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share the mounts with pods: %w", err)
	}
	return nil
}
