package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"example.com/journal/sandbox/internal/disk"
)

// errStaleLists says that the lists name package files which the archive no longer has.
var errStaleLists = errors.New("the package lists are older than the archive: run `apt-get update`")

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
 init-system-helpers (= 999), lsb-base (= 999), sysvinit-utils (= 999)
`

// alternatives are links that the packages' maintainer scripts would make.
var alternatives = map[string]string{
	"usr/sbin/iptables":          "iptables-nft",
	"usr/sbin/iptables-restore":  "iptables-nft-restore",
	"usr/sbin/iptables-save":     "iptables-nft-save",
	"usr/sbin/ip6tables":         "ip6tables-nft",
	"usr/sbin/ip6tables-restore": "ip6tables-nft-restore",
	"usr/sbin/ip6tables-save":    "ip6tables-nft-save",
}

// install is apt's line for a package it would install: Inst redis-tools (5:7.0.15-1 Debian-Security:12 [amd64]).
var install = regexp.MustCompile(`(?m)^Inst (\S+) \((\S+) .*\[(\S+)\]\)`)

// apt is apt-get with a package status of its own, and package lists of its own where the machine has none.
type apt struct {
	status, lists, ownLists string
}

func openApt(ctx context.Context, cacheDir string) (*apt, error) {
	a := &apt{status: filepath.Join(cacheDir, "apt-status"), ownLists: filepath.Join(cacheDir, "apt-lists")}
	if err := disk.Write(a.status, []byte(installed), 0o644); err != nil {
		return nil, err
	}
	out, err := command(ctx, "", "apt-config", "shell", "lists", "Dir::State::lists/d")
	if err != nil {
		return nil, err
	}
	// The answer is lists='/var/lib/apt/lists/'.
	a.lists = strings.Trim(strings.TrimPrefix(strings.TrimSpace(out), "lists="), "'")
	own := &apt{lists: a.ownLists}
	if a.stamp() == "" || own.stamp() > a.stamp() {
		a.lists = a.ownLists
	}
	return a, nil
}

// stamp changes when the package lists do: it is the newest change among them, and empty if there are none.
func (a *apt) stamp() string {
	lists, _ := filepath.Glob(filepath.Join(a.lists, "*_Packages*"))
	stamp := ""
	for _, file := range lists {
		if info, err := os.Stat(file); err == nil {
			stamp = max(stamp, info.ModTime().UTC().Format("2006-01-02T15:04:05.000000000"))
		}
	}
	return stamp
}

func (a *apt) run(ctx context.Context, dir string, args ...string) (string, error) {
	return command(ctx, dir, "apt-get", append(args,
		"-q", "-y", "-o", "Dir::State::status="+a.status, "-o", "Dir::State::lists="+a.lists,
		"-o", "APT::Immediate-Configure=false", // nothing is configured; the order does not matter
		"-o", "APT::Sandbox::User=root", // a root's downloads land in folders that the user _apt cannot enter
		"-o", "Acquire::Retries=2",
	)...)
}

// updateOwnLists fetches package lists into the cache and uses these from now on.
func (a *apt) updateOwnLists(ctx context.Context) error {
	a.lists = a.ownLists
	if err := os.MkdirAll(a.lists, 0o755); err != nil {
		return err
	}
	_, err := a.run(ctx, "", "update", "-o", "APT::Update::Error-Mode=any")
	return err
}

// extract resolves the packages and unpacks them, unless a root with these very versions is there already.
func (a *apt) extract(ctx context.Context, cacheDir, name string, packages []string) (string, error) {
	if a.stamp() == "" {
		if err := a.updateOwnLists(ctx); err != nil {
			return "", err
		}
	}
	plan, err := a.run(ctx, "", append([]string{"install", "-s", "--no-install-recommends"}, packages...)...)
	if err != nil {
		return "", err
	}
	var wanted, holds []string
	for _, m := range install.FindAllStringSubmatch(plan, -1) {
		name, version, arch := m[1], m[2], m[3]
		holds = append(holds, name+"="+version)
		if arch != "all" && !strings.Contains(name, ":") {
			name += ":" + arch
		}
		wanted = append(wanted, name+"="+version)
	}
	if len(wanted) == 0 {
		return "", fmt.Errorf("apt-get names no package to install: %s", strings.TrimSpace(plan))
	}
	slices.Sort(holds)

	abandoned, _ := filepath.Glob(filepath.Join(cacheDir, ".extract-*")) // by a run that was killed: the lock is ours
	for _, dir := range abandoned {
		_ = os.RemoveAll(dir)
	}
	root := filepath.Join(cacheDir, name+"-"+digest(holds))
	if _, err := os.Stat(filepath.Join(root, packagesFile)); err == nil {
		return root, nil
	}
	work, err := os.MkdirTemp(cacheDir, ".extract-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if _, err := a.run(ctx, work, append([]string{"download"}, wanted...)...); err != nil {
		return "", err
	}
	temporary := filepath.Join(work, "root")
	if err := unpack(ctx, work, temporary, len(wanted)); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(temporary, packagesFile), []byte(strings.Join(holds, "\n")+"\n"), 0o644); err != nil {
		return "", err
	}
	return root, os.Rename(temporary, root)
}

// unpack puts the contents of the .deb files in dir below root.
func unpack(ctx context.Context, dir, root string, want int) error {
	for _, usr := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(root, "usr", usr), 0o755); err != nil {
			return err
		}
		// Packages still ship files below /lib and /bin, which are links on every Debian machine since release 12.
		if err := os.Symlink(filepath.Join("usr", usr), filepath.Join(root, usr)); err != nil {
			return err
		}
	}
	archives, _ := filepath.Glob(filepath.Join(dir, "*.deb"))
	if len(archives) != want {
		return fmt.Errorf("apt-get downloaded %d packages of %d", len(archives), want)
	}
	for _, file := range archives {
		if err := unpackOne(ctx, file, root); err != nil {
			return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
		}
	}
	for link, target := range alternatives {
		link = filepath.Join(root, link)
		if _, err := os.Lstat(filepath.Join(filepath.Dir(link), target)); err != nil {
			continue
		}
		if err := os.Symlink(target, link); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// unpackOne goes through tar because `dpkg-deb -x` turns the links /bin and /lib into folders. Owners and set-user-id bits are
// dropped: a cache is no place for them.
func unpackOne(ctx context.Context, file, root string) error {
	deb := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	tar := exec.CommandContext(ctx, "tar", "-x", "--keep-directory-symlink", "--no-same-owner", "--no-same-permissions", "-C", root)
	var debErrors, tarErrors bytes.Buffer
	deb.Stderr, tar.Stderr = &debErrors, &tarErrors
	var err error
	if tar.Stdin, err = deb.StdoutPipe(); err != nil {
		return err
	}
	if err := deb.Start(); err != nil {
		return err
	}
	tarErr := tar.Run()
	if err := errors.Join(tarErr, deb.Wait()); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(tarErrors.String()+debErrors.String()))
	}
	return nil
}

// command runs a program of apt's and returns its output, or what it says went wrong.
func command(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = explain(program+" "+args[0], err, string(exit.Stderr))
	}
	return string(out), err
}

// explain turns apt's messages into an error that says what to do.
func explain(what string, err error, stderr string) error {
	var said []string
	for line := range strings.Lines(stderr) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "E: "); ok {
			said = append(said, text)
		}
	}
	message := strings.TrimSpace(stderr)
	if len(said) > 0 {
		message = said[0]
	}
	if len(said) > 1 {
		message += fmt.Sprintf(" (and %d more)", len(said)-1)
	}
	switch {
	case strings.Contains(message, "404  Not Found"):
		return fmt.Errorf("%s: %s: %w", what, message, errStaleLists)
	case strings.Contains(message, "Unable to locate package"), strings.Contains(message, "has no installation candidate"):
		return fmt.Errorf("%s: %s: this machine's package sources do not have it; check the name and /etc/apt/sources.list*", what, message)
	case strings.Contains(message, "Failed to fetch"):
		return fmt.Errorf("%s: %s: the Debian archive cannot be reached; check the network and apt's proxy settings", what, message)
	}
	return fmt.Errorf("%s: %w: %s", what, err, message)
}
