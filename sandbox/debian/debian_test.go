package debian

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/journal/sandbox/internal/disk"
)

// needApt skips a test that resolves and downloads packages where that cannot work.
func needApt(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("downloads Debian packages: left out by -short")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("needs a Debian machine: there is no apt-get")
	}
}

func TestPackageIsUnpackedWithItsDependenciesAndRunsFromThere(t *testing.T) {
	needApt(t)
	cache := t.TempDir()

	var calls sync.WaitGroup
	roots := make([]string, 3)
	for i := range roots {
		calls.Go(func() {
			root, err := Extract(t.Context(), cache, io.Discard, "tools", "busybox")
			if err != nil {
				t.Errorf("Extract: %v", err)
			}
			roots[i] = root
		})
	}
	calls.Wait()
	root := roots[0]
	if t.Failed() || root != roots[1] || root != roots[2] {
		t.Fatalf("concurrent callers got different roots: %q", roots)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, ".extract*")); len(left) > 0 {
		t.Errorf("temporary folders are left: %q", left)
	}

	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		if target, err := os.Readlink(filepath.Join(root, link)); err != nil || target != "usr/"+link {
			t.Errorf("/%s: got link to %q (%v), want usr/%s", link, target, err, link)
		}
	}
	if Version(root, "busybox") == "" || Version(root, "libc6") == "" {
		t.Error("busybox or libc6, which it needs, is not there")
	}
	if version := Version(root, "dpkg"); version != "" {
		t.Errorf("dpkg %s is there, which only maintainer scripts need", version)
	}

	wrapper, err := Wrapper(root, "bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), wrapper, "echo", "it's", "a  test").Output()
	if err != nil || string(out) != "it's a  test\n" {
		t.Errorf("wrapper: got %q (%v)", out, err)
	}
	for _, needless := range []string{"usr/share/*", "usr/lib/*/gconv"} {
		if found, _ := filepath.Glob(filepath.Join(root, needless)); len(found) > 0 {
			t.Errorf("%q is there, which no program needs to run", found)
		}
	}

	extracted := stat(t, root)
	if again, err := Extract(t.Context(), cache, io.Discard, "tools", "busybox"); err != nil || again != root {
		t.Errorf("second call: got %s (%v), want %s", again, err, root)
	}
	if !os.SameFile(extracted, stat(t, root)) {
		t.Error("the second call has extracted the packages anew")
	}
	makeOld(t, cache)
	if again, err := Extract(t.Context(), cache, io.Discard, "tools", "busybox"); err != nil || again != root {
		t.Errorf("call after a day, with nothing new in the archive: got %s (%v), want %s", again, err, root)
	}
	if latest, _ := filepath.Glob(filepath.Join(cache, "*.latest")); len(latest) != 1 || time.Since(stat(t, latest[0]).ModTime()) > fresh {
		t.Error("the archive will be asked again at the next call")
	}
}

func TestMachineThatCannotAskTheArchiveGoesOnWithWhatItHas(t *testing.T) {
	cache, bin := t.TempDir(), t.TempDir()
	for _, tool := range []string{"apt-get", "dpkg-deb", "tar"} {
		if err := disk.Write(filepath.Join(bin, tool), []byte("#!/bin/sh\necho 'E: no network' >&2\nexit 100\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	_, err := Extract(t.Context(), cache, io.Discard, "tools", "busybox")
	wantError(t, err, "apt-get", "exit status 100: E: no network", "sources.list", "proxy")

	root := filepath.Join(cache, "tools-1")
	if err := errors.Join(
		disk.Write(filepath.Join(root, packagesFile), []byte("busybox_1%3a1.35.0-4_amd64.deb\n"), 0o644),
		disk.Write(filepath.Join(cache, "tools-"+digest([]string{"busybox", unpack})+".latest"), []byte(root), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	makeOld(t, cache)
	var log bytes.Buffer
	if got, err := Extract(t.Context(), cache, &log, "tools", "busybox"); err != nil || got != root {
		t.Errorf("got %s (%v), want the root of last week", got, err)
	}
	if said, day := log.String(), time.Now().Add(-7*fresh).Format(time.DateOnly); !strings.Contains(said, `"tools" are still those of `+day) || !strings.Contains(said, "no network") {
		t.Errorf("it does not say of which day they are, and why: %q", said)
	}
	if version := Version(root, "busybox"); version != "1:1.35.0-4" {
		t.Errorf("version: got %s", version)
	}
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	_, err = Extract(t.Context(), cache, io.Discard, "tools", "busybox")
	wantError(t, err, "no network")
}

// makeOld has the roots of a cache be of last week.
func makeOld(t *testing.T, cache string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(cache, "*.latest"))
	when := time.Now().Add(-7 * fresh)
	for _, file := range files {
		if err := os.Chtimes(file, when, when); err != nil {
			t.Fatal(err)
		}
	}
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestUnknownPackageIsNamed(t *testing.T) {
	needApt(t)
	_, err := Extract(t.Context(), t.TempDir(), io.Discard, "tools", "busybox", "no-such-package")
	wantError(t, err, `debian packages for "tools"`, "Unable to locate package no-such-package", "sources.list")
}

func TestOtherMachinesAreToldToUseDebian(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Extract(t.Context(), t.TempDir(), io.Discard, "tools", "busybox")
	wantError(t, err, "not a Debian machine", `"apt-get"`, "use Debian 12")
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got error %q, want it to contain %q", err, part)
		}
	}
}
