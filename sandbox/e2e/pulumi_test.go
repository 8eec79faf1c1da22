//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"example.com/journal/internal/markdown"
	"example.com/journal/sandbox/cluster"
	"example.com/journal/sandbox/deploy"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/node"
	"example.com/journal/stacks"
)

// pulumiUp is every update but the first, as docs/pulumi.md types it.
const pulumiUp = "PULUMI_SKIP_CHECKPOINTS=true pulumi up --yes --skip-preview --refresh --parallel 64"

// TestPulumi types the commands of docs/pulumi.md, with Pulumi's own command. It is one test, since each command starts from what
// the previous one left.
func TestPulumi(t *testing.T) {
	n := needsNode(t, "imports images under the names that a person makes up")
	page := shellPage(t, "pulumi.md")
	s := ownStack(t, n, page)
	doctor := filepath.Join(repository(t), "sandbox", "doctor", "doctor.sh")
	if said, err := s.run(doctor + " --cluster my-cluster --registry registry.example.com/team-a"); err != nil {
		t.Errorf("something is missing: %v\n%s", err, said)
	}
	if said, err := s.run(doctor + " --for node"); err != nil || strings.Count(said, "the running sandbox has it") != 3 {
		t.Errorf("the doctor does not know the node (%v):\n%s", err, said)
	}

	s.mustRun(t, "pulumi config set --path journal:frontend.titel Diary && pulumi config set journal:pageSize 50")
	for _, command := range []string{"pulumi preview", "pulumi up --yes --skip-preview"} {
		said, err := s.run(command)
		for _, part := range []string{
			"the configuration of stack \"dev\" is refused, nothing was changed:",
			`journal:frontend.titel "Diary": unknown field; did you mean title?`, `journal:pageSize "50": unknown key`,
		} {
			if err == nil || !strings.Contains(said, part) {
				t.Errorf("%s with unknown names does not say %s: %v\n%s", command, part, err, said)
			}
		}
	}
	s.mustRun(t, "pulumi config rm --path journal:frontend.titel && pulumi config rm journal:pageSize")
	// The commands of docs/configuration.md set one field of an object, with its type, and keep the comments.
	s.types(t, shellPage(t, "configuration.md"), "Configuration")
	s.mustRun(t, "pulumi preview")
	file := s.mustRun(t, "cat Pulumi.dev.yaml")
	for _, line := range []string{"# yaml-language-server: $schema=Pulumi.schema.json\n", "replicas: 5\n", "cpu: 6\n"} {
		if !strings.Contains(file, line) {
			t.Errorf("after pulumi config set --path there is no %q:\n%s", line, file)
		}
	}
	s.mustRun(t, "pulumi config rm --path 'journal:redis.replicas' && pulumi config rm --path 'journal:tenants[0].overrides'")
	if left := ownNamespaces(t); left != "" {
		t.Errorf("refused commands have made %s", left)
	}

	s.types(t, page, "The first update")
	if address := strings.TrimSpace(s.mustRun(t, "pulumi stack output url 2>/dev/null")); address != "http://journal.localhost/" {
		t.Errorf("the address of the journal is %q", address)
	}
	rolledOut(t)
	eventually(t, func() error {
		status, err := ask(http.MethodGet, "", nil, nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("the page answers %d", status)
		}
		return err
	})
	write(t, unique("Brought up by Pulumi itself."))

	s.types(t, page, "Every other update")
	pullSecret(t, s)
	webhook(t, s, n)

	kubectl(t, "delete", "service", "frontend", "--namespace", world.outputs.Namespace)
	s.types(t, page, "What others have changed")
	kubectl(t, "get", "service", "frontend", "--namespace", world.outputs.Namespace)

	entry := write(t, unique("Still there when nothing is deleted."))
	for _, command := range []string{"pulumi destroy --yes", "pulumi destroy --yes --skip-preview"} {
		t.Run(command+" refuses while tenants are protected", func(t *testing.T) {
			before := stackObjects(t)
			if said, err := s.run(command); err == nil || !strings.Contains(said, "lifted-by-the-key-unprotected") {
				t.Errorf("%v\n%s", err, said)
			}
			if after := stackObjects(t); !slices.Equal(before, after) {
				t.Errorf("has left %v of %v", after, before)
			}
		})
	}
	s.mustRun(t, "pulumi preview --refresh --expect-no-changes")
	if status, err := ask(http.MethodGet, "api/entries/"+entry.ID, nil, nil); err != nil || status != http.StatusOK {
		t.Errorf("the entry is gone (%d, %v)", status, err)
	}
	// The others name team-a as a tenant to which they connect.
	s.mustRun(t, "cp Pulumi.dev.yaml ../with-team-a")
	s.mustRun(t, "for of in '[2].egress' '[1].egress' '[0]'; do pulumi config rm --path \"journal:tenants$of\"; done")
	for _, command := range []string{"pulumi preview", "pulumi up --yes --skip-preview"} {
		if said, err := s.run(command); err == nil || !strings.Contains(said, `journal:tenants "team-a": it is protected`) {
			t.Errorf("%s without a protected tenant: %v\n%s", command, err, said)
		}
	}
	s.mustRun(t, "mv ../with-team-a Pulumi.dev.yaml")

	s.types(t, page, "Clean up")
	eventually(t, func() error { // a namespace ends only after the objects in it
		if left := ownNamespaces(t); left != "" {
			return fmt.Errorf("these are left: %s", left)
		}
		return nil
	})
	for heading := range page {
		t.Errorf("nobody has typed the section %q", heading)
	}
}

// ownNamespaces lists the namespaces that the stack has created.
func ownNamespaces(t *testing.T) string {
	t.Helper()
	return kubectl(t, "get", "namespaces", "--selector", "app.kubernetes.io/managed-by=pulumi", "--output", "jsonpath={.items[*].metadata.name}")
}

// stackObjects lists the objects in the cluster that a stack has applied, each with its UID.
func stackObjects(t *testing.T) (names []string) {
	t.Helper()
	all, err := deploy.Objects(t.Context(), world.cluster.Kubectl)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		if slices.ContainsFunc(o.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool { return strings.HasPrefix(f.Manager, "pulumi-journal-") }) {
			names = append(names, fmt.Sprint(o.GetKind(), " ", o.GetNamespace(), "/", o.GetName(), " ", o.GetUID()))
		}
	}
	slices.Sort(names)
	return names
}

// makeRoom removes the sandbox's own stack from the cluster until the test ends, since a cluster has room for one.
func makeRoom(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { // the new stack may have other objects than the old one
		if err := connect(); err != nil {
			t.Error(err)
		}
	})
	original := originalStack(t)
	unprotected := changedStackOf(t, original, func(config map[string]any) {
		deploy.Override(config, "journal:cluster.unprotected", true)
	})
	if _, err := upFrom(t.Context(), unprotected); err != nil {
		t.Fatal(err)
	}
	mustSandbox(t, "destroy", "--yes", "--stack", stack)
}

// ownStack makes room for a stack of a person's own, and types the sections of docs/pulumi.md that make its configuration. At the end
// of the test, it destroys what the test has left.
func ownStack(t *testing.T, n *node.Node, page map[string][]string) *shell {
	t.Helper()
	makeRoom(t)
	s := newShell(t, n)
	importAs(t, n, regexp.MustCompile(`registry\.example\.com/\S+:\S+`).FindAllString(strings.Join(page["A stack"], "\n"), -1))
	s.types(t, page, "A place for the state")
	t.Cleanup(func() {
		if out, err := s.run("if pulumi stack --show-name; then pulumi state unprotect --all --yes; pulumi destroy --yes --skip-preview; fi"); err != nil {
			t.Logf("%v\n%s", err, out)
		}
	})
	s.types(t, page, "A stack")
	s.mustRun(t, "pulumi config set --path 'journal:cluster.dns[0]' "+node.DNS) // the node's own address, as in docs/clusters.md
	s.importForeign(t, n)
	return s
}

// importAs gives the node our images under other names, as if it had pulled them.
func importAs(t *testing.T, n *node.Node, references []string) {
	t.Helper()
	kinds := slices.Concat(images.Journal, images.Services, images.Foreign)
	for _, reference := range references {
		as, err := name.NewTag(reference)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(kinds, func(kind images.Kind) bool { return kind.Name == path.Base(as.RepositoryStr()) })
		if i < 0 {
			t.Fatalf("%s is none of our images", reference)
		}
		built, err := images.Build(t.Context(), repository(t), world.dir, io.Discard, kinds[i])
		if err != nil {
			t.Fatal(err)
		}
		content, err := tarball.ImageFromPath(built[0].Archive, nil)
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

// importForeign gives the node the images of others that the stack's file names and the page leaves.
func (s *shell) importForeign(t *testing.T, n *node.Node) {
	t.Helper()
	decided, err := stacks.Read(repository(t), stack)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range cluster.Needs(decided, slices.Concat(images.Journal, images.Foreign)) {
		reference := strings.TrimSpace(s.mustRun(t, "pulumi config get --path 'journal:"+kind.Key+"' 2>/dev/null"))
		if !strings.HasPrefix(reference, "registry.example.com/") {
			importAs(t, n, []string{reference})
		}
	}
}

// shellPage returns the shell blocks of a page of docs by the heading above them.
func shellPage(t *testing.T, name string) map[string][]string {
	t.Helper()
	blocks := map[string][]string{}
	for _, block := range markdown.Blocks(readFile(t, filepath.Join(repository(t), "docs", name))) {
		if block.Language == "sh" {
			blocks[block.Heading] = append(blocks[block.Heading], block.Text)
		}
	}
	return blocks
}

// shell is where a person types: a folder, and an environment that one command passes to the next.
type shell struct {
	folder      string
	environment []string
}

// newShell returns a shell with the cluster in its kubeconfig. It runs in a copy of the repository, since Pulumi writes into the
// files of stacks, and with its own home.
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
	// Go's caches of compiled and downloaded packages stay where they are.
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
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
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

// mustRun types a command and fails the test unless it succeeds.
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

// types types the blocks of a section of a page, and removes the section from it. It returns what they say.
func (s *shell) types(t *testing.T, page map[string][]string, heading string) (said string) {
	t.Helper()
	if len(page[heading]) == 0 {
		t.Fatalf("the page has no shell below %q", heading)
	}
	for _, block := range page[heading] {
		said += s.mustRun(t, block)
	}
	delete(page, heading)
	return said
}
