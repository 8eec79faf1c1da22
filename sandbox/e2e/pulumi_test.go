//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/node"
)

// TestPulumi types what docs/pulumi.md tells people to type, with Pulumi's own command. It is one test, since each command goes
// on with what the one before has left.
func TestPulumi(t *testing.T) {
	n := needsNode(t, "imports images under the names that a person makes up")
	text, err := os.ReadFile(filepath.Join(repository(t), "docs", "pulumi.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := shellBlocks(string(text))
	makeRoom(t)
	s := newShell(t, n)
	importAs(t, n, regexp.MustCompile(`registry\.example\.com/\S+:\S+`).FindAllString(strings.Join(page["A stack"], "\n"), -1))

	s.types(t, page, "A place for the state")
	t.Cleanup(func() { // of a test that ended before the last section
		if out, err := s.run("if pulumi stack --show-name; then pulumi state unprotect --all --yes; pulumi destroy --yes --skip-preview; fi"); err != nil {
			t.Logf("%v\n%s", err, out)
		}
	})
	s.types(t, page, "A stack")
	importAs(t, n, []string{strings.TrimSpace(s.mustRun(t, "pulumi config get journal:redisImage 2>/dev/null"))})
	doctor := filepath.Join(repository(t), "sandbox", "doctor", "doctor.sh")
	if said, err := s.run(doctor + " --cluster my-cluster --registry registry.example.com/team-a"); err != nil {
		t.Errorf("something is missing: %v\n%s", err, said)
	}
	if said, err := s.run(doctor + " --for node"); err != nil || strings.Count(said, "the running sandbox has it") != 3 {
		t.Errorf("the doctor does not know the node (%v):\n%s", err, said)
	}

	s.mustRun(t, "pulumi config set journal:pageTitel Diary")
	for _, command := range []string{"pulumi preview", "pulumi up --yes --skip-preview"} {
		if said, err := s.run(command); err == nil || !strings.Contains(said, `journal:pageTitel "Diary": unknown key`) {
			t.Errorf("%s with an unknown key: %v\n%s", command, err, said)
		}
	}
	s.mustRun(t, "pulumi config rm journal:pageTitel")
	if left := ownNamespaces(t); left != "" {
		t.Errorf("refused commands have made %s", left)
	}

	s.types(t, page, "The first update")
	if address := strings.TrimSpace(s.mustRun(t, "pulumi stack output url 2>/dev/null")); address != "http://journal.localhost/" {
		t.Errorf("the address of the journal is %q", address)
	}
	rolledOut(t)
	eventually(t, time.Minute, func() error {
		status, err := ask(http.MethodGet, "", nil, nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("the page answers %d", status)
		}
		return err
	})
	write(t, unique("Brought up by Pulumi itself."))

	s.types(t, page, "Every other update")

	kubectl(t, "delete", "service", "frontend", "--namespace", world.outputs.Namespace)
	s.types(t, page, "What others have changed")
	kubectl(t, "get", "service", "frontend", "--namespace", world.outputs.Namespace)

	s.types(t, page, "Clean up")
	eventually(t, time.Minute, func() error { // a namespace goes after what is in it
		if left := ownNamespaces(t); left != "" {
			return fmt.Errorf("these are left: %s", left)
		}
		return nil
	})
	for heading := range page {
		t.Errorf("nobody has typed the section %q", heading)
	}
}

// ownNamespaces lists the namespaces that the stack has made.
func ownNamespaces(t *testing.T) string {
	t.Helper()
	return kubectl(t, "get", "namespaces", "--selector", "app.kubernetes.io/managed-by=pulumi", "--output", "jsonpath={.items[*].metadata.name}")
}

// makeRoom takes the sandbox's own stack out of the cluster until the test ends: there is room for one.
func makeRoom(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { // when the stack is up again, other objects than before may be its own
		if err := connect(); err != nil {
			t.Error(err)
		}
	})
	original := originalStack(t)
	unprotected := changedStackOf(t, original, func(config map[string]any) {
		tenants, _ := config["journal:tenants"].([]any)
		for _, tenant := range tenants {
			tenant.(map[string]any)["unprotected"] = true
		}
	})
	if _, err := upFrom(t.Context(), unprotected); err != nil {
		t.Fatal(err)
	}
	mustSandbox(t, "destroy", "--yes", "--stack", stack)
}

// importAs gives the node our images under other names, as if it had pulled them.
func importAs(t *testing.T, n *node.Node, references []string) {
	t.Helper()
	built, err := images.Build(t.Context(), repository(t), world.dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, reference := range references {
		as, err := name.NewTag(reference)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(built, func(image images.Image) bool {
			from, err := name.NewTag(image.Reference)
			return err == nil && filepath.Base(from.RepositoryStr()) == filepath.Base(as.RepositoryStr())
		})
		if i < 0 {
			t.Fatalf("%s is none of our images", reference)
		}
		content, err := tarball.ImageFromPath(built[i].Archive, nil)
		if err != nil {
			t.Fatal(err)
		}
		archive := filepath.Join(t.TempDir(), "image.tar")
		if err := tarball.WriteToFile(archive, as, content); err != nil {
			t.Fatal(err)
		}
		if err := n.ImportImage(t.Context(), archive); err != nil {
			t.Fatal(err)
		}
	}
}

// shellBlocks returns the blocks of shell on a page by the heading that they are below.
func shellBlocks(page string) map[string][]string {
	blocks := map[string][]string{}
	for _, section := range strings.Split(page, "\n## ")[1:] {
		heading, text, _ := strings.Cut(section, "\n")
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
			blocks[heading] = append(blocks[heading], block[1])
		}
	}
	return blocks
}

// shell is where a person types: a folder, and an environment that goes from one command to the next.
type shell struct {
	folder      string
	environment []string
}

// newShell is a shell in a copy of the repository, since Pulumi writes into the files of stacks, and in a home of its own, with
// the cluster in its kubeconfig.
func newShell(t *testing.T, n *node.Node) *shell {
	t.Helper()
	home := t.TempDir()
	s := &shell{folder: filepath.Join(home, "journal"), environment: os.Environ()}
	kubeconfig, err := os.ReadFile(n.Kubeconfig())
	if err := errors.Join(err, os.Mkdir(s.folder, 0o755), os.WriteFile(filepath.Join(home, "kubeconfig"), kubeconfig, 0o600)); err != nil {
		t.Fatal(err)
	}
	host := filepath.Join(world.dir.Bin(), "pulumi-language-go")
	copyRepository(t, s.folder)
	inRepository(t, "go -C sandbox/toolchain/language-go build -ldflags '-s -w' -o "+host+" github.com/pulumi/pulumi/sdk/v3/go/pulumi-language-go")
	// What Go has compiled and downloaded stays where it is.
	caches, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	folders := strings.Fields(string(caches))
	s.environment = append(s.environment,
		"HOME="+home, "PULUMI_HOME="+filepath.Join(home, ".pulumi"), "KUBECONFIG="+filepath.Join(home, "kubeconfig"),
		"XDG_CACHE_HOME="+filepath.Dir(world.dir.Root()), "GOCACHE="+folders[0], "GOMODCACHE="+folders[1],
		"PATH="+world.dir.Bin()+":"+os.Getenv("PATH"), "PULUMI_SKIP_UPDATE_CHECK=1", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true")
	s.mustRun(t, `kubernetes kubectl config rename-context "$(kubernetes kubectl config current-context)" my-cluster`)
	return s
}

// run types a command, and returns everything that it prints.
func (s *shell) run(command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	after := filepath.Join(filepath.Dir(s.folder), "environment")
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", command+"\nenv -0 > "+after)
	cmd.Dir, cmd.Env = s.folder, s.environment
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w", strings.TrimSpace(command), err)
	}
	text, err := os.ReadFile(after)
	s.environment = strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	return string(out), err
}

// mustRun types a command, which has to succeed.
func (s *shell) mustRun(t *testing.T, command string) string {
	t.Helper()
	start := time.Now()
	out, err := s.run(command)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s: %s", strings.TrimSpace(command), time.Since(start).Round(100*time.Millisecond))
	return out
}

// types types the blocks of a section of a page, and takes the section off it.
func (s *shell) types(t *testing.T, page map[string][]string, heading string) {
	t.Helper()
	if len(page[heading]) == 0 {
		t.Fatalf("the page has no shell below %q", heading)
	}
	for _, block := range page[heading] {
		s.mustRun(t, block)
	}
	delete(page, heading)
}
