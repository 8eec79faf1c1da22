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
	"slices"
	"strings"
	"testing"

	"example.com/journal/internal/markdown"
	"example.com/journal/sandbox/deploy"
)

// tutorials are the pages with blocks that a person types from top to bottom, in this order.
var tutorials = []string{"README.md", "docs/getting-started.md", "docs/changes.md", "docs/tenants.md"}

// TestDocs types the blocks that these pages mark with <!-- e2e -->, in a clone of the repository. It is one test, since each
// block starts from what the previous one left.
func TestDocs(t *testing.T) {
	needsNode(t, "types make up without a cluster's name")
	originalStack(t)
	t.Cleanup(func() { // prepares the return to the original stack
		repo := changedStack(t, func(config map[string]any) {
			deploy.Override(config, "journal:cluster.unprotected", true)
			redis, _ := config["journal:redis"].(map[string]any)
			if numbers, _ := redis["passwords"].([]any); len(numbers) > 1 { // clients stop using the new password before Redis does
				slices.Reverse(numbers)
			}
		})
		if _, err := upFrom(context.Background(), repo); err != nil {
			t.Error(err)
		}
		rolledOut(t)
	})
	s := cloneShell(t)
	first := secretName(t)

	for _, page := range tutorials {
		t.Run(page, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(repository(t), page))
			if err != nil {
				t.Fatal(err)
			}
			typed := 0
			for _, block := range markdown.Blocks(string(text)) {
				if block.Marker == "e2e" {
					typed++
					s.mustRun(t, block.Text)
				}
			}
			if typed == 0 {
				t.Error("the page has no block that is marked")
			}
			rolledOut(t)
			if status, err := ask(http.MethodGet, "", nil, nil); err != nil || status != http.StatusOK {
				t.Errorf("the journal's page answers %d, %v", status, err)
			}
			switch page {
			case "docs/changes.md": // the page ends with kubectl rollout undo
				if text := settings(t); !strings.Contains(text, "Our journal") {
					t.Errorf("the page's settings are %s", text)
				}
				if secretName(t) == first {
					t.Error("the API still has its first password")
				}
			case "docs/tenants.md":
				eventually(t, func() error { // a namespace ends only after the objects in it
					left := strings.Fields(kubectl(t, "get", "namespaces", "--output", "jsonpath={.items[*].metadata.name}"))
					if slices.Contains(left, "carol") || slices.Contains(left, "team-b") {
						return fmt.Errorf("left are %v", left)
					}
					return nil
				})
			}
		})
		if t.Failed() {
			return // the next page could not start
		}
	}
}

// cloneShell returns a shell in a clone of the repository with its uncommitted changes, and with the sandbox's kubectl. Its
// environment has nothing of the make that runs the tests.
func cloneShell(t *testing.T) *shell {
	t.Helper()
	home := t.TempDir()
	s := &shell{folder: filepath.Join(home, "journal")}
	if text, err := exec.Command("git", "clone", "--quiet", repository(t), s.folder).CombinedOutput(); err != nil {
		t.Fatalf("git clone: %v\n%s", err, text)
	}
	copyRepository(t, s.folder)
	tools := filepath.Join(home, "tools")
	script := fmt.Sprintf("#!/bin/sh\nexec %q kubectl \"$@\"\n", filepath.Join(world.dir.Bin(), "kubernetes"))
	if err := errors.Join(os.Mkdir(tools, 0o755), os.WriteFile(filepath.Join(tools, "kubectl"), []byte(script), 0o755)); err != nil {
		t.Fatal(err)
	}
	ofMake := []string{"RUN", "CLUSTER", "REGISTRY", "STACK", "APP", "WHO", "FOR", "KUBECONFIG", "PR", "TENANT", "CLASS", "TTL", "SET"}
	s.environment = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(ofMake, name) || strings.HasPrefix(name, "MAKE") || strings.HasPrefix(name, "MFLAGS") || strings.HasPrefix(name, "GIT_")
	})
	s.environment = append(s.environment, "PATH="+tools+":"+os.Getenv("PATH"), "XDG_CACHE_HOME="+filepath.Dir(world.dir.Root()),
		"GIT_AUTHOR_NAME=alice", "GIT_AUTHOR_EMAIL=alice@example.com", "GIT_COMMITTER_NAME=alice", "GIT_COMMITTER_EMAIL=alice@example.com")
	s.mustRun(t, "git add --all && git commit --quiet --allow-empty --message 'what is not committed'")
	return s
}
