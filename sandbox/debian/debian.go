// Package debian unpacks Debian packages into a folder and runs programs out of it. Nothing is installed: no maintainer
// script runs, no service starts, and the machine's own package database, engines and services stay as they are.
package debian

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.com/journal/sandbox/internal/command"
	"example.com/journal/sandbox/internal/disk"
)

// fresh is how long a root is used before the archive is asked for newer versions.
const fresh = 24 * time.Hour

// packagesFile names the file in a root that lists the package files it was made of, one name_version_architecture.deb a line.
const packagesFile = ".packages"

var (
	// installed is a dpkg status file for apt's resolver. By it, the machine has only what maintainer scripts and init scripts need.
	// None of these scripts runs, so the file keeps Perl and dpkg out of the roots. The host's own packages do not count.
	//
	//go:embed status
	installed string

	// settings are apt's settings, read after the machine's. The machine decides where packages come from; all else is ours.
	// The text is a format for the cache's folder and a work folder.
	//
	//go:embed apt.conf
	settings string

	// unpack is a script that makes the folder root from the *.deb files beside it.
	//
	//go:embed unpack.sh
	unpack string
)

// Extract returns a folder that holds the packages and everything they depend on, libc6 included, laid out as under "/",
// without documents and the like. The folder is <cacheDir>/<name>-<hash of the packages' versions>, and is never changed.
// Extract returns the same folder for a day. Then it asks the archive for newer versions. If it cannot ask, it goes on with the
// old folder, and says so in log. It leaves out recommended packages, and packages that only maintainer scripts
// use.
//
// The packages come from the sources this machine's apt is configured with, checked by apt against the archive's signatures.
// Root is not needed, and the machine's own package lists are neither read nor changed.
func Extract(ctx context.Context, cacheDir string, log io.Writer, name string, packages ...string) (root string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("debian packages for %q (%s): %w", name, strings.Join(packages, " "), err)
		}
	}()
	for _, tool := range []string{"apt-get", "dpkg-deb", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", fmt.Errorf("not a Debian machine: there is no %q; use Debian 12 or newer (or Ubuntu), also in a container", tool)
		}
	}
	if err := os.MkdirAll(filepath.Join(cacheDir, "apt-lists"), 0o755); err != nil {
		return "", err
	}
	// One process at a time: apt-get has its own locks, but gives up at once if they are taken.
	lock, err := disk.Lock(ctx, filepath.Join(cacheDir, "lock"))
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()

	// The file has the path of the last root, and the time at which the archive had nothing newer.
	latest := filepath.Join(cacheDir, name+"-"+digest(append(slices.Clone(packages), unpack))+".latest")
	known, _ := os.ReadFile(latest)
	info, missing := os.Stat(latest)
	if _, err := os.Stat(filepath.Join(string(known), packagesFile)); err != nil {
		missing = err
	}
	if missing == nil && time.Since(info.ModTime()) < fresh {
		return string(known), nil
	}
	root, err = fetch(ctx, cacheDir, name, packages)
	if err == nil {
		err = disk.Write(latest, []byte(root), 0o644)
	}
	if err != nil && missing == nil && ctx.Err() == nil {
		fmt.Fprintf(log, "debian packages for %q are still those of %s, since newer ones cannot be asked for: %v\n",
			name, info.ModTime().Format(time.DateOnly), err)
		return string(known), nil
	}
	return root, err
}

// fetch resolves the packages and unpacks them, unless a root with exactly these versions exists.
func fetch(ctx context.Context, cacheDir, name string, packages []string) (string, error) {
	work := filepath.Join(cacheDir, ".extract")
	defer func() { _ = os.RemoveAll(work) }()
	conf := filepath.Join(work, "apt.conf")
	if err := errors.Join(
		os.RemoveAll(work), // of a run that was killed: the lock is ours
		os.MkdirAll(filepath.Join(work, "partial"), 0o755),
		os.WriteFile(conf, fmt.Appendf(nil, settings, cacheDir, work), 0o644),
		os.WriteFile(filepath.Join(work, "status"), []byte(installed), 0o644),
	); err != nil {
		return "", err
	}
	run := func(program string, args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		return command.Output(cmd)
	}
	apt := func(args ...string) (string, error) {
		out, err := run("apt-get", append([]string{"-c", conf}, args...)...)
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w; check /etc/apt/sources.list*, apt's proxy settings and the network", err)
		}
		return out, err
	}
	if _, err := apt("update"); err != nil {
		return "", err
	}
	plan, err := apt(append([]string{"install", "--print-uris", "--"}, packages...)...)
	if err != nil {
		return "", err
	}
	var files []string
	for line := range strings.Lines(plan) {
		// 'http://deb.example.com/redis.deb' redis-server_5%3a7.0.15-1_amd64.deb 65700 SHA256:...
		if fields := strings.Fields(line); strings.HasPrefix(line, "'") && len(fields) > 1 {
			files = append(files, fields[1])
		}
	}
	slices.Sort(files)
	root := filepath.Join(cacheDir, name+"-"+digest(append(files, unpack)))
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	if _, err := apt(append([]string{"install", "--download-only", "--"}, packages...)...); err != nil {
		return "", err
	}
	if _, err := run("sh", "-c", unpack); err != nil {
		return "", err
	}
	unpacked := filepath.Join(work, "root")
	if err := os.WriteFile(filepath.Join(unpacked, packagesFile), []byte(strings.Join(files, "\n")), 0o644); err != nil {
		return "", err
	}
	return root, os.Rename(unpacked, root)
}

// Version returns the Debian version of a package in a root that Extract made, and nothing if it is not in there.
func Version(root, name string) string {
	text, _ := os.ReadFile(filepath.Join(root, packagesFile))
	_, rest, _ := strings.Cut("\n"+string(text), "\n"+name+"_")
	escaped, _, _ := strings.Cut(rest, "_")
	version, _ := url.PathUnescape(escaped)
	return version
}

// Wrapper returns a script that runs one program of a root with the root's own loader and libraries, so that the machine's do not
// matter. Program is a path in the root, such as usr/bin/redis-server. The script has the program's name, in a folder that can be
// put on PATH.
//
// It does not work for programs that run themselves through /proc/self/exe, as runc does: here, that is the loader.
func Wrapper(root, program string) (string, error) {
	loaders, _ := filepath.Glob(filepath.Join(root, "usr/lib/*/ld-linux*.so.*"))
	if len(loaders) == 0 {
		return "", fmt.Errorf("program %s of %s: there is no loader", program, root)
	}
	if _, err := os.Stat(filepath.Join(root, program)); err != nil {
		return "", err
	}
	loader := strings.TrimPrefix(loaders[0], filepath.Clean(root)+"/")
	wrapper := filepath.Join(root, ".wrappers", filepath.Base(program))
	return wrapper, disk.Write(wrapper, fmt.Appendf(nil, `#!/bin/sh
root="${0%%/.wrappers/*}"
exec "$root/%s" --argv0 "$0" --library-path "$root/%s" "$root/%s" "$@"
`, loader, filepath.Dir(loader), program), 0o755)
}

func digest(words []string) string {
	sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(slices.Values(words)), "\n")))
	return fmt.Sprintf("%x", sum[:6])
}
