package debian

import (
	"errors"
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
	if a, err := openApt(t.Context(), t.TempDir()); err != nil || a.stamp() == "" {
		t.Skipf("needs apt's package lists (run `apt-get update`): %v", err)
	}
}

func TestPackageIsUnpackedWithItsDependenciesAndRunsFromThere(t *testing.T) {
	needApt(t)
	cache := t.TempDir()

	var calls sync.WaitGroup
	roots := make([]string, 3)
	for i := range roots {
		calls.Go(func() {
			root, err := Extract(t.Context(), cache, "tools", "busybox")
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
	if left, _ := filepath.Glob(filepath.Join(cache, ".extract-*")); len(left) > 0 {
		t.Errorf("temporary folders are left: %q", left)
	}

	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		if target, err := os.Readlink(filepath.Join(root, link)); err != nil || target != "usr/"+link {
			t.Errorf("/%s: got link to %q (%v), want usr/%s", link, target, err, link)
		}
	}
	versions, err := Versions(root)
	if err != nil {
		t.Fatal(err)
	}
	if versions["busybox"] == "" || versions["libc6"] == "" {
		t.Errorf("versions: got %v, want busybox and libc6 among them", versions)
	}
	if versions["dpkg"] != "" {
		t.Errorf("versions: got dpkg, which only maintainer scripts need")
	}

	wrapper, err := Wrapper(root, "bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), wrapper, "echo", "it's", "a  test").Output()
	if err != nil || string(out) != "it's a  test\n" {
		t.Errorf("wrapper: got %q (%v)", out, err)
	}
	files, err := Closure(root, "bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	if list := strings.Join(files, " "); !strings.Contains(list, "usr/bin/busybox") || !strings.Contains(list, "/libc.so.6") || !strings.Contains(list, "/ld-linux") {
		t.Errorf("closure: got %s, want busybox, libc.so.6 and the loader", list)
	}

	start := time.Now()
	if again, err := Extract(t.Context(), cache, "tools", "busybox"); err != nil || again != root {
		t.Errorf("second call: got %s (%v), want %s", again, err, root)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("second call took %s, want it to reuse the root", took)
	}
}

func TestUnknownPackageIsNamed(t *testing.T) {
	needApt(t)
	_, err := Extract(t.Context(), t.TempDir(), "tools", "busybox", "no-such-package")
	wantError(t, err, `debian packages for "tools"`, "Unable to locate package no-such-package", "sources.list")
}

func TestBadArgumentsAreRefusedBeforeAnythingRuns(t *testing.T) {
	for _, c := range []struct {
		name     string
		packages []string
		want     string
	}{
		{"../out", []string{"busybox"}, `name "../out": not a plain folder name`},
		{"tools", nil, "no package is named"},
		{"tools", []string{"--allow-unauthenticated"}, `package "--allow-unauthenticated": not a Debian package name`},
		{"tools", []string{"libc6-"}, `package "libc6-": not a Debian package name`},
	} {
		_, err := Extract(t.Context(), t.TempDir(), c.name, c.packages...)
		wantError(t, err, c.want)
	}
}

func TestOtherMachinesAreToldToUseDebian(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Extract(t.Context(), t.TempDir(), "tools", "busybox")
	wantError(t, err, "not a Debian machine", `"apt-get"`, "use Debian 12")
}

func TestMessagesOfAptSayWhatToDo(t *testing.T) {
	exit := errors.New("exit status 100")
	err := explain("apt-get download", exit, "E: Failed to fetch http://deb.example.com/a.deb  404  Not Found [IP: 192.0.2.1 80]\n")
	if !errors.Is(err, errStaleLists) {
		t.Errorf("a file that is gone: got %v, want errStaleLists", err)
	}
	wantError(t, err, "apt-get update")
	wantError(t, explain("apt-get download", exit, "W: noise\nE: Failed to fetch http://deb.example.com/a.deb  Could not resolve 'deb.example.com'\n"),
		"cannot be reached", "check the network")
	wantError(t, explain("apt-get install", exit, "E: Unmet dependencies\n"), "apt-get install: exit status 100: Unmet dependencies")
}

func TestRootIsUsedAgainOnlyForTheSameLists(t *testing.T) {
	dir := t.TempDir()
	latest := filepath.Join(dir, "latest")
	if err := disk.Write(latest, []byte(dir+"\nmonday\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := recall(latest, "monday"); ok {
		t.Error("a root that is gone was used")
	}
	if err := disk.Write(filepath.Join(dir, packagesFile), []byte("a=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for stamp, want := range map[string]bool{"monday": true, "tuesday": false, "": true} {
		if root, ok := recall(latest, stamp); ok != want || (ok && root != dir) {
			t.Errorf("lists %q: got %q, %v, want %v", stamp, root, ok, want)
		}
	}
}

func TestLinksAreFollowedWithinTheRoot(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "usr/lib/sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "usr/lib/sub/file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"lib": "usr/lib", "one": "/lib/two", "usr/lib/two": "../../../../lib/sub/file", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	steps, err := follow(root, "/one")
	if got := strings.Join(steps, " "); err != nil || got != "one usr/lib/two usr/lib/sub/file" {
		t.Errorf("steps: got %s (%v)", got, err)
	}
	_, err = follow(root, "loop")
	wantError(t, err, "loop: too many links")
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
