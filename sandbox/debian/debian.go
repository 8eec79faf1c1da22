// Package debian unpacks Debian packages into a folder and runs programs out of it. Nothing is installed: no maintainer
// script runs, no service starts, and the machine's own package database, engines and services stay as they are.
package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// packageName is what Debian policy 5.6.1 allows. It also keeps options and apt's "name-" (remove) out of command lines.
var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*[a-z0-9+]$`)

// installed is a dpkg status file for apt's resolver: a machine that has nothing but what maintainer scripts and init
// scripts need. None of these is run, so this keeps Perl and dpkg out of the roots, and the host's packages do not count.
const installed = `Package: journal-sandbox-scripts
Status: install ok installed
Maintainer: journal <journal@example.com>
Architecture: all
Multi-Arch: foreign
Version: 1
Description: stands for what only maintainer scripts use
Provides: adduser (= 999), debconf (= 999), debconf-2.0 (= 999), debianutils (= 999), dpkg (= 999),
 init-system-helpers (= 999), iproute2 (= 999), lsb-base (= 999), sysvinit-utils (= 999)
`

// settings are apt's, read after those of the machine: where packages come from is the machine's, everything else our own.
const settings = `Dir::Cache "%[2]s";
Dir::Cache::archives "%[2]s";
Dir::State::lists "%[1]s/apt-lists";
Dir::State::status "%[2]s/status";
Acquire::Languages "none";
Acquire::Retries "2";
APT::Get::Assume-Yes "true";
APT::Immediate-Configure "false"; // nothing is configured; the order does not matter
APT::Install-Recommends "false";
APT::Sandbox::User "root"; // a root's downloads land in folders that the user _apt cannot enter
APT::Update::Error-Mode "any";
quiet "1";
`

// unpack makes the folder root of the *.deb files beside it. It goes through tar because dpkg-deb itself would turn the links
// /bin and /lib, which every Debian machine has since release 12, into folders. Owners and set-user-id bits are dropped: a
// cache is no place for them. Left out is what no program needs to run. The links at the end would be made by maintainer scripts.
const unpack = `set -e
mkdir -p root/usr/bin root/usr/sbin root/usr/lib root/usr/lib64
ln -s usr/bin usr/sbin usr/lib usr/lib64 root
for deb in *.deb; do
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C root --keep-directory-symlink --no-same-owner --no-same-permissions \
		--exclude=./usr/share --exclude=./usr/include --exclude='./usr/lib/*/gconv' --exclude='./usr/lib/systemd' --exclude='./lib/systemd'
done
cd root/usr/sbin
for program in *-nft *-nft-restore *-nft-save; do
	if test -e "$program"; then ln -sf "$program" "${program%%-nft*}${program##*-nft}"; fi
done
`

// Extract returns a folder that holds the packages and everything they depend on, libc6 included, laid out as under "/",
// without documents and the like. The folder is <cacheDir>/<name>-<hash of the packages' versions>, and is never changed.
// The same folder is returned for a day; then the archive is asked whether it has newer versions, and a machine that cannot
// ask goes on with what it has. Recommended packages are left out, and so are those that only maintainer scripts use.
//
// The packages come from the sources this machine's apt is configured with, checked by apt against the archive's signatures.
// Root is not needed, and the machine's own package lists are neither read nor changed.
func Extract(ctx context.Context, cacheDir, name string, packages ...string) (string, error) {
	root, err := extract(ctx, cacheDir, name, packages)
	if err != nil {
		return "", fmt.Errorf("debian packages for %q (%s): %w", name, strings.Join(packages, " "), err)
	}
	return root, nil
}

func extract(ctx context.Context, cacheDir, name string, packages []string) (string, error) {
	if err := validate(name, packages); err != nil {
		return "", err
	}
	cacheDir, err := filepath.Abs(cacheDir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(cacheDir, "apt-lists"), 0o755); err != nil {
		return "", err
	}
	// One process at a time: apt-get takes locks of its own, and gives up at once.
	lock, err := disk.Lock(ctx, filepath.Join(cacheDir, "lock"))
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()

	// The file has the path of the last root, and the time at which the archive had nothing newer.
	latest := filepath.Join(cacheDir, name+"-"+digest(packages)+".latest")
	text, _ := os.ReadFile(latest)
	known := string(text)
	if _, err := os.Stat(filepath.Join(known, packagesFile)); err != nil {
		known = ""
	}
	if info, err := os.Stat(latest); err == nil && known != "" && time.Since(info.ModTime()) < fresh {
		return known, nil
	}
	root, err := fetch(ctx, cacheDir, name, packages)
	if err != nil && known != "" && ctx.Err() == nil {
		return known, nil
	}
	if err != nil {
		return "", err
	}
	return root, disk.Write(latest, []byte(root), 0o644)
}

// fetch resolves the packages and unpacks them, unless a root with these very versions is there already.
func fetch(ctx context.Context, cacheDir, name string, packages []string) (string, error) {
	const temporary = ".extract-*"
	abandoned, _ := filepath.Glob(filepath.Join(cacheDir, temporary)) // by a run that was killed: the lock is ours
	for _, dir := range abandoned {
		_ = os.RemoveAll(dir)
	}
	work, err := os.MkdirTemp(cacheDir, temporary)
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(work) }()
	conf := filepath.Join(work, "apt.conf")
	if err := errors.Join(
		disk.Write(conf, fmt.Appendf(nil, settings, cacheDir, work), 0o644),
		disk.Write(filepath.Join(work, "status"), []byte(installed), 0o644),
		os.Mkdir(filepath.Join(work, "partial"), 0o755),
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
	plan, err := apt(append([]string{"install", "--print-uris"}, packages...)...)
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
	if _, err := apt(append([]string{"install", "--download-only"}, packages...)...); err != nil {
		return "", err
	}
	if _, err := run("sh", "-c", unpack); err != nil {
		return "", err
	}
	temporaryRoot := filepath.Join(work, "root")
	if err := disk.Write(filepath.Join(temporaryRoot, packagesFile), []byte(strings.Join(files, "\n")), 0o644); err != nil {
		return "", err
	}
	return root, os.Rename(temporaryRoot, root)
}

// Version returns the Debian version of a package in a root that Extract made, and nothing if it is not in there.
func Version(root, name string) string {
	text, _ := os.ReadFile(filepath.Join(root, packagesFile))
	_, rest, _ := strings.Cut("\n"+string(text), "\n"+name+"_")
	escaped, _, _ := strings.Cut(rest, "_")
	version, _ := url.PathUnescape(escaped)
	return version
}

// Wrapper returns a script that runs one program of a root (program is a path in it, such as usr/bin/redis-server) with
// the root's own loader and libraries, so that it does not matter which ones the machine has. The script
// has the program's name, in a folder that can be put on PATH.
//
// It is not for programs that run themselves again through /proc/self/exe, as runc does: that is the loader here.
func Wrapper(root, program string) (string, error) {
	loaders, _ := filepath.Glob(filepath.Join(root, "usr/lib/*/ld-linux*.so.*"))
	if len(loaders) == 0 {
		return "", fmt.Errorf("program %s of %s: there is no loader", program, root)
	}
	if _, err := os.Stat(filepath.Join(root, program)); err != nil {
		return "", err
	}
	loader, err := filepath.Rel(root, loaders[0])
	if err != nil {
		return "", err
	}
	wrapper := filepath.Join(root, ".wrappers", filepath.Base(program))
	return wrapper, disk.Write(wrapper, fmt.Appendf(nil, `#!/bin/sh
root="${0%%/.wrappers/*}"
exec "$root/%s" --argv0 "$0" --library-path "$root/%s" "$root/%s" "$@"
`, loader, filepath.Dir(loader), program), 0o755)
}

func validate(name string, packages []string) error {
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return fmt.Errorf("name %q: not a plain folder name", name)
	}
	if len(packages) == 0 {
		return errors.New("no package is named: name at least one")
	}
	for _, p := range packages {
		if !packageName.MatchString(p) {
			return fmt.Errorf("package %q: not a Debian package name (lower case letters, digits, \"+\", \"-\" and \".\")", p)
		}
	}
	for _, tool := range []string{"apt-get", "dpkg-deb", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("not a Debian machine: there is no %q; use Debian 12 or newer (or Ubuntu), also in a container", tool)
		}
	}
	return nil
}

func digest(words []string) string {
	sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(slices.Values(words)), "\n")))
	return hex.EncodeToString(sum[:6])
}
