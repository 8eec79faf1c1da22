package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestAMachineWithoutGoIsToldSoAndTheRestStaysRight(t *testing.T) {
	with, _ := doctor(t, nil, "--for", "up")
	without, code := doctor(t, []string{"PATH=" + pathWithout(t, "go")}, "--for", "up")
	if code != 1 {
		t.Errorf("the exit code is %d", code)
	}
	wantRow(t, without, "Go", "missing", "not on PATH; "+wanted(t)+" or newer is needed")
	if repair := without["Go"].repair; !strings.Contains(repair, "https://go.dev/doc/install") && repair != "export PATH=$PATH:/usr/local/go/bin" {
		t.Errorf("the repair is %q", repair)
	}
	for check, row := range with {
		if check != "Go" && check != "modules" && without[check].state != row.state {
			t.Errorf("%s is %q with Go, and %q without", check, row.state, without[check].state)
		}
	}
}

func TestAnOldGoIsRefusedUnlessItDownloadsANewerOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ version, toolchain, state, found string }{
		{"go1.19.8", "auto", "missing", "go1.19.8; " + wanted(t) + " or newer is needed"},
		{"go1.24.4", "auto", "warning", "go1.24.4, which downloads " + wanted(t) + " by itself"},
		{"go1.24.4", "local", "missing", "go1.24.4; " + wanted(t) + " or newer is needed"},
		{"go" + wanted(t), "local", "ok", "go" + wanted(t)},
		{"go" + wanted(t) + "rc1", "local", "missing", "rc1; " + wanted(t) + " or newer is needed"},
		{"go1.100.1", "auto", "ok", "go1.100.1"},
	} {
		t.Run(c.version+" "+c.toolchain, func(t *testing.T) {
			path := program(t, "go", `case "$*" in
"env GOTOOLCHAIN") echo `+c.toolchain+` ;;
*) printf '%s\n' `+c.version+` https://proxy.example.com /nowhere '' ;;
esac`)
			rows, _ := doctor(t, []string{"PATH=" + path + ":" + os.Getenv("PATH")}, "--for", "test")
			wantRow(t, rows, "Go", c.state, c.found)
		})
	}
}

func TestModulesThatCannotBeHadAreMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ env, state, found string }{
		{"GOFLAGS=-v -mod=vendor", "missing", "nothing is vendored"},
		{"GOPROXY=off", "missing", "GOPROXY=off and an empty module cache"},
		{"GOPROXY=https://alice:password@proxy.example.com", "ok", "from a proxy, which was not asked"},
	} {
		t.Run(c.env, func(t *testing.T) {
			rows, _ := doctor(t, []string{"GOMODCACHE=" + t.TempDir(), "XDG_CACHE_HOME=" + t.TempDir(), c.env}, "--for", "test")
			wantRow(t, rows, "modules", c.state, c.found)
		})
	}
}

func TestABusyPortIsNamedWithItsProgramAndAFreeOne(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "0.0.0.0", "::"} {
		t.Run(address, func(t *testing.T) {
			// The kernel gives ports above 32767 to clients, so the next one may be taken at any moment.
			var listener net.Listener
			err := errors.New("none tried")
			for port := 20000; err != nil && port < 20100; port += 10 {
				listener, err = net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
			}
			if err != nil {
				t.Skip(err)
			}
			defer func() { _ = listener.Close() }()
			port := listener.Addr().(*net.TCPAddr).Port
			rows, code := doctor(t, []string{fmt.Sprintf("JOURNAL_HTTP_PORT=%d", port)}, "--for", "node")
			if code != 1 {
				t.Errorf("the exit code is %d", code)
			}
			wantRow(t, rows, "HTTP port", "missing", fmt.Sprintf("%d is in use by doctor.test (process %d)", port, os.Getpid()))
			said := regexp.MustCompile(`^set JOURNAL_HTTP_PORT to a free port, such as (\d+), or end that program$`).FindStringSubmatch(rows["HTTP port"].repair)
			if said == nil {
				t.Fatalf("the repair is %q", rows["HTTP port"].repair)
			}
			free, err := net.Listen("tcp", "127.0.0.1:"+said[1])
			if err != nil {
				t.Fatalf("the port that it calls free: %v", err)
			}
			_ = free.Close()
		})
	}
}

func TestAPortOfAnotherAddressIsFree(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip(err)
	}
	defer func() { _ = listener.Close() }()
	rows, _ := doctor(t, []string{fmt.Sprintf("JOURNAL_API_PORT=%d", listener.Addr().(*net.TCPAddr).Port)}, "--for", "node")
	wantRow(t, rows, "API port", "ok", "")
}

func TestThePortOfTheRunningSandboxIsFine(t *testing.T) {
	cache := t.TempDir()
	folder := filepath.Join(cache, "journal-sandbox", "state")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Create(filepath.Join(folder, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	node := exec.Command("sleep", "60")
	node.ExtraFiles = []*os.File{lock, file}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = node.Process.Kill(); _ = node.Wait() }()
	_, _, _ = lock.Close(), file.Close(), listener.Close()
	env := fmt.Sprintf("JOURNAL_HTTPS_PORT=%d", port)
	rows, _ := doctor(t, []string{env, "XDG_CACHE_HOME=" + cache}, "--for", "node")
	wantRow(t, rows, "HTTPS port", "ok", fmt.Sprintf("%d, the running sandbox has it", port))
	rows, _ = doctor(t, []string{env, "XDG_CACHE_HOME=" + t.TempDir()}, "--for", "node")
	wantRow(t, rows, "HTTPS port", "missing", fmt.Sprintf("%d is in use by sleep (process %d)", port, node.Process.Pid))
}

func TestWrongPortsAreRefusedWithTheirVariable(t *testing.T) {
	for _, c := range []struct{ env, check, found, repair string }{
		{"JOURNAL_HTTP_PORT=web", "HTTP port", `JOURNAL_HTTP_PORT "web": not a TCP port`, "set JOURNAL_HTTP_PORT to a number from 1 to 65535"},
		{"JOURNAL_HTTP_PORT=0", "HTTP port", `JOURNAL_HTTP_PORT "0": not a TCP port`, "number from 1 to 65535"},
		{"JOURNAL_API_PORT=70000", "API port", `JOURNAL_API_PORT "70000": not a TCP port`, "number from 1 to 65535"},
		{"JOURNAL_HTTP_PORT=16443", "API port", "JOURNAL_HTTP_PORT and JOURNAL_API_PORT are both 16443", "set JOURNAL_API_PORT to another port"},
	} {
		t.Run(c.env, func(t *testing.T) {
			rows, code := doctor(t, []string{c.env}, "--for", "node")
			if code != 1 {
				t.Errorf("the exit code is %d", code)
			}
			wantRow(t, rows, c.check, "missing", c.found)
			if !strings.Contains(rows[c.check].repair, c.repair) {
				t.Errorf("the repair is %q, without %q", rows[c.check].repair, c.repair)
			}
		})
	}
}

func TestAFullDiskIsMissingWithItsFolder(t *testing.T) {
	folder, env := t.TempDir(), []string(nil)
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=64k"); err == nil {
		defer func() { _ = syscall.Unmount(folder, 0) }()
		if err := os.WriteFile(filepath.Join(folder, "full"), make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("the disk is not full: %v", err)
		}
		env = []string{"TMPDIR=" + folder}
	} else { // only root may mount
		path := program(t, "df", `echo "Filesystem 1024-blocks Used Available Capacity Mounted on"; echo "tmpfs 64 64 0 100% /full"`)
		env = []string{"PATH=" + path + ":" + os.Getenv("PATH")}
	}
	for _, need := range []string{"up", "test", "node"} {
		t.Run(need, func(t *testing.T) {
			rows, code := doctor(t, append(env, "XDG_CACHE_HOME="+filepath.Join(folder, "not", "there")), "--for", need)
			if code != 1 {
				t.Errorf("the exit code is %d", code)
			}
			wantRow(t, rows, "disk", "missing", "0.0 GiB free in "+folder)
			if !strings.Contains(rows["disk"].repair, "set XDG_CACHE_HOME") {
				t.Errorf("the repair is %q", rows["disk"].repair)
			}
		})
	}
}

func TestAKubeconfigThatLeadsNowhereIsMissing(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{apiVersion: v1, kind: Config, current-context: gone, clusters: [{name: gone, cluster: {server: "https://` + address + `"}}],
contexts: [{name: gone, context: {cluster: gone, user: gone}}], users: [{name: gone, user: {token: none}}]}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"KUBECONFIG=" + kubeconfig}
	for _, args := range [][]string{{"--for", "cluster"}, {"--cluster", "current"}, {"--cluster", "gone"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			rows, code := doctor(t, env, append(args, "--registry", "registry.example.com/team-a")...)
			if code != 1 {
				t.Errorf("the exit code is %d", code)
			}
			wantRow(t, rows, "kubeconfig", "ok", "context gone")
			wantRow(t, rows, "server", "missing", address+" was refused")
		})
	}
	rows, _ := doctor(t, env, "--cluster", "other")
	wantRow(t, rows, "kubeconfig", "missing", `no context "other" in `+kubeconfig)
	rows, _ = doctor(t, []string{"KUBECONFIG=" + kubeconfig + ".none"}, "--for", "cluster")
	wantRow(t, rows, "kubeconfig", "missing", "no current context in "+kubeconfig+".none")
}

// answers are kubectl's answers about a cluster that has everything.
var answers = map[string]string{
	"config current-context": "echo kind-dev",
	"get --raw /version":     `echo '{ "major": "1", "minor": "33+", "gitVersion": "v1.33.1-eks-1a2b" }'`,
	"auth can-i create":      "true",
	"get storageclasses":     "echo 'standard true'",
	"get ingressclasses":     "echo 'nginx traefik'",
}

func TestAClusterThatHasEverythingIsInOrder(t *testing.T) {
	t.Parallel()
	rows := askCluster(t, "", "")
	for check, found := range map[string]string{
		"server":       "Kubernetes 1.33.1-eks-1a2b",
		"rights":       "may create namespaces",
		"StorageClass": "standard",
		"IngressClass": "nginx traefik",
		"images":       "loaded by kind",
	} {
		wantRow(t, rows, check, "ok", found)
	}
}

func TestAClusterIsToldWhatItLacks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ sentence, question, answer, check, state, found string }{
		{"k3d is not installed", "config current-context", "echo k3d-dev", "images", "missing", "k3d is not on PATH"},
		{"no registry is given", "config current-context", "echo dev", "images", "missing", "no registry"},
		{"Kubernetes is too old", "get --raw /version", `echo '{ "gitVersion": "v1.29.4" }'`, "server", "missing", "1.29.4; 1.30 or newer is needed"},
		{"the user may create nothing", "auth can-i create", "echo no; exit 1", "rights", "missing", "may not create namespaces clusterroles validatingadmissionpolicies"},
		{"the user is not signed in", "auth can-i create", "echo 'error: You must be logged in to the server' >&2; exit 1", "rights", "missing", "must be logged in"},
		{"there is no StorageClass", "get storageclasses", "true", "StorageClass", "missing", "none"},
		{"no StorageClass is the default", "get storageclasses", "echo 'fast '; echo 'slow '", "StorageClass", "warning", "none of fast slow is the default"},
		{"there is no IngressClass", "get ingressclasses", "true", "IngressClass", "warning", "none, so that nobody can reach the page"},
		{"the IngressClass is another one", "get ingressclasses", "echo nginx", "IngressClass", "warning", "nginx, and the stack asks for traefik"},
	} {
		t.Run(c.sentence, func(t *testing.T) { wantRow(t, askCluster(t, c.question, c.answer), c.check, c.state, c.found) })
	}
}

// askCluster runs the script with a kubectl that answers one question differently.
func askCluster(t *testing.T, question, other string) map[string]row {
	t.Helper()
	text := "set -- \"$*\"\ncase $1 in\n"
	for q, answer := range answers {
		if q == question {
			answer = other
		}
		text += `*"` + q + `"*) ` + answer + " ;;\n"
	}
	path := program(t, "kubectl", text+"*) echo \"error: unexpected $1\" >&2; exit 1 ;;\nesac")
	if err := os.WriteFile(filepath.Join(path, "kind"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	rows, _ := doctor(t, []string{"PATH=" + path + ":" + os.Getenv("PATH")}, "--for", "cluster")
	return rows
}

func TestTheExitCodeGoesByWhatWasAskedFor(t *testing.T) {
	env := []string{"JOURNAL_HTTP_PORT=web"} // matters to the sandbox alone
	for _, need := range []string{"node", "up", "all"} {
		t.Run("for "+need, func(t *testing.T) {
			if rows, code := doctor(t, env, "--for", need); code != 1 || rows["HTTP port"].state != "missing" {
				t.Errorf("the exit code is %d, and the rows are %v", code, rows)
			}
		})
	}
	for _, need := range []string{"test", "cluster"} {
		t.Run("for "+need, func(t *testing.T) {
			if rows, _ := doctor(t, env, "--for", need); rows["HTTP port"] != (row{}) || rows["Go"].state == "" {
				t.Errorf("the rows are %v", rows)
			}
		})
	}
	for _, args := range [][]string{{"--for"}, {"--for", "fun"}, {"up"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			if _, code := doctor(t, nil, args...); code != 2 {
				t.Errorf("the exit code is %d, not 2", code)
			}
		})
	}
}

func TestCheckReturnsEachThingThatIsMissingWithItsRepair(t *testing.T) {
	env := append(os.Environ(), "JOURNAL_HTTP_PORT=web", "JOURNAL_API_PORT=70000")
	err := Check(t.Context(), "node", env)
	for _, want := range []string{
		`HTTP port: JOURNAL_HTTP_PORT "web": not a TCP port; set JOURNAL_HTTP_PORT to a number from 1 to 65535`,
		`API port: JOURNAL_API_PORT "70000": not a TCP port; set JOURNAL_API_PORT to a number from 1 to 65535`,
	} {
		if err == nil || !strings.Contains("\n"+err.Error()+"\n", "\n"+want+"\n") {
			t.Errorf("no line of the error is %q:\n%v", want, err)
		}
	}
	if err := Check(t.Context(), "fun", nil); err == nil || !strings.Contains(err.Error(), `"fun": must be one of`) {
		t.Errorf("a need that nobody has: %v", err)
	}
}

func TestCheckIsContentWithWhatTheScriptIsContentWith(t *testing.T) {
	var env []string
	for _, name := range []string{"HTTP", "HTTPS", "API"} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = listener.Close() }()
		env = append(env, "JOURNAL_"+name+"_PORT="+strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
	}
	for _, e := range [][]string{env, nil} {
		_, code := doctor(t, e, "--for", "node")
		if err := Check(t.Context(), "node", append(slices.Concat(os.Environ(), usualPorts), e...)); (err != nil) != (code != 0) {
			t.Errorf("the exit code is %d, and the error %v", code, err)
		}
	}
}

// row is one line of the table.
type row struct{ state, found, repair string }

// columns are two spaces apart or more.
var columns = regexp.MustCompile(`  +`)

// usualPorts is an environment that chooses no ports.
var usualPorts = []string{"JOURNAL_HTTP_PORT=", "JOURNAL_HTTPS_PORT=", "JOURNAL_API_PORT="}

// doctor runs the script with some more environment, and returns the rows of its table by check, and its exit code.
func doctor(t *testing.T, env []string, args ...string) (map[string]row, int) {
	t.Helper()
	cmd := exec.Command("./doctor.sh", args...)
	cmd.Env = append(slices.Concat(os.Environ(), usualPorts), env...)
	out, err := cmd.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	rows, missing := map[string]row{}, 0
	for line := range strings.Lines(string(out)) {
		cells := append(columns.Split(strings.TrimSpace(line), 4), "")
		if len(cells) < 4 || cells[0] == "NEED" {
			continue
		}
		state, found, _ := strings.Cut(cells[2], ": ")
		if state == "missing" {
			missing++
		}
		if state != "ok" && cells[3] == "" {
			t.Errorf("nothing repairs this: %s", line)
		}
		rows[cells[1]] = row{state, found, cells[3]}
	}
	if code := cmd.ProcessState.ExitCode(); code != 2 && (code == 1) != (missing > 0) {
		t.Errorf("%d things are missing, and the exit code is %d:\n%s", missing, code, out)
	}
	return rows, cmd.ProcessState.ExitCode()
}

func wantRow(t *testing.T, rows map[string]row, check, state, found string) {
	t.Helper()
	if got := rows[check]; got.state != state || !strings.Contains(got.found, found) {
		t.Errorf("%s is %q: %q, not %q: %q", check, got.state, got.found, state, found)
	}
}

// repository is the checkout. Go's test cache notices a change of a file whose name begins with the module's folder, as here,
// and filepath.Join would shorten the name.
var repository = os.DirFS(os.Getenv("PWD") + "/../..")

// wanted returns the version of Go that the repository requires.
func wanted(t *testing.T) string {
	t.Helper()
	text, err := fs.ReadFile(repository, "go.mod")
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(string(text))[1]
}

// program returns a folder with a shell script as the only program.
func program(t *testing.T, name, text string) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

// pathWithout returns a folder with links to every program on PATH but one.
func pathWithout(t *testing.T, name string) string {
	t.Helper()
	folder := t.TempDir()
	for _, from := range filepath.SplitList(os.Getenv("PATH")) {
		programs, _ := os.ReadDir(from)
		for _, p := range programs {
			if p.Name() != name {
				_ = os.Symlink(filepath.Join(from, p.Name()), filepath.Join(folder, p.Name())) // the first on PATH stays
			}
		}
	}
	return folder
}
