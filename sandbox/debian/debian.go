// Package debian unpacks Debian packages into a folder and runs programs out of it. Nothing is installed: no maintainer
// script runs, no service starts, and the machine's own package database, engines and services stay as they are.
package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// packagesFile names the file in a root that lists what the root holds, one name=version a line.
const packagesFile = ".packages"

// packageName is what Debian policy 5.6.1 allows. It also keeps options and apt's "name-" (remove) out of command lines.
var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*[a-z0-9+]$`)

// Extract returns a folder that holds the packages and everything they depend on, libc6 included, laid out as under "/".
// The folder is <cacheDir>/<name>-<hash of the packages' versions>: it is made once, never changed afterwards, and used
// again as long as apt's package lists stay the same or still name the same versions. Recommended packages are left out, and
// so are those that only maintainer scripts use, as none of these is run.
//
// The packages come from the sources this machine's apt is configured with, checked by apt against the archive's signatures.
// Root is not needed. Package lists are read where apt keeps them; if there are none, or if they are older than
// the archive, Extract fetches lists of its own into cacheDir and leaves the machine's alone.
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
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return "", err
	}
	// One process at a time: apt-get takes locks of its own, and gives up at once.
	lock, err := disk.Lock(ctx, filepath.Join(cacheDir, "lock"))
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	source, err := openApt(ctx, cacheDir)
	if err != nil {
		return "", err
	}
	latest := filepath.Join(cacheDir, name+"-"+digest(packages)+".latest")
	if root, ok := recall(latest, source.stamp()); ok {
		return root, nil
	}
	root, err := source.extract(ctx, cacheDir, name, packages)
	if errors.Is(err, errStaleLists) {
		if err := source.updateOwnLists(ctx); err != nil {
			return "", err
		}
		root, err = source.extract(ctx, cacheDir, name, packages)
	}
	if err != nil {
		return "", err
	}
	return root, disk.Write(latest, []byte(root+"\n"+source.stamp()+"\n"), 0o644)
}

// Versions returns the Debian version of every package in a root that Extract made.
func Versions(root string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(root, packagesFile))
	if err != nil {
		return nil, fmt.Errorf("%s: not a folder made by debian.Extract: %w", root, err)
	}
	versions := map[string]string{}
	for line := range strings.FieldsSeq(string(text)) {
		name, version, _ := strings.Cut(line, "=")
		versions[name] = version
	}
	return versions, nil
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
	for _, tool := range []string{"apt-get", "apt-config", "dpkg-deb", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("not a Debian machine: there is no %q; use Debian 12 or newer (or Ubuntu), also in a container", tool)
		}
	}
	return nil
}

// recall returns the root that the last call made of the same packages, if it saw the same package lists. An empty stamp
// says that there are no lists now: what is there is then better than a download.
func recall(latest, stamp string) (root string, ok bool) {
	text, err := os.ReadFile(latest)
	if err != nil {
		return "", false
	}
	root, seen, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if stamp != "" && stamp != seen {
		return "", false
	}
	_, err = os.Stat(filepath.Join(root, packagesFile))
	return root, err == nil
}

func digest(words []string) string {
	sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(slices.Values(words)), "\n")))
	return hex.EncodeToString(sum[:6])
}
