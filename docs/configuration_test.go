package docs

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"example.com/journal/components/rules"
	"example.com/journal/internal/markdown"
	"example.com/journal/stacks"
)

var isFile = regexp.MustCompile(`[.](go|conf|sh|yaml|md)$`)

// mention is a key of the configuration in the text of a page: journal:redis.replicas, or `redis.replicas`.
var mention = regexp.MustCompile("journal:([a-z][A-Za-z]*(?:[.][A-Za-z]+)*)|`((?:redis|api|frontend|exposure|ingressController|tenant|claims|cluster|tls)[.][A-Za-z.]+)`")

func TestEveryKeyThatAPageNamesExists(t *testing.T) {
	for name, page := range pages(t) {
		for _, found := range mention.FindAllStringSubmatch(page, -1) {
			path := found[1] + found[2]
			if strings.HasPrefix(path, "components") || isFile.MatchString(path) {
				continue // a type of Pulumi's
			}
			if strings.HasPrefix(path, "tls.") {
				path = "exposure." + path
			}
			if !exists(reflect.TypeFor[stacks.Config](), strings.Split(path, ".")) {
				t.Errorf("%s names %s, which is no key of the configuration", name, found[0])
			}
		}
	}
}

// exists says whether a field of the configuration is at a path.
func exists(in reflect.Type, path []string) bool {
	if len(path) == 0 {
		return true
	}
	for in.Kind() == reflect.Pointer || in.Kind() == reflect.Slice {
		in = in.Elem()
	}
	if in.Kind() == reflect.Map { // its keys are the user's
		return exists(in.Elem(), path[1:])
	}
	if in.Kind() != reflect.Struct {
		return false
	}
	for field := range in.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		inline := name == "" && (field.Anonymous || options == "inline")
		if inline && exists(field.Type, path) || !inline && field.IsExported() && name != "-" && rules.FieldName(field) == path[0] && exists(field.Type, path[1:]) {
			return true
		}
	}
	return false
}

// TestEveryExampleOfAStackFileIsAccepted puts each block of YAML with keys of this program into the file of the stack dev.
func TestEveryExampleOfAStackFileIsAccepted(t *testing.T) {
	tested := 0
	for name, page := range pages(t) {
		for _, block := range markdown.Blocks(page) {
			if block.Language != "yaml" || !strings.HasPrefix(block.Text, "journal:") {
				continue
			}
			tested++
			t.Run(fmt.Sprintf("%s:%d", name, block.Line), func(t *testing.T) {
				var example map[string]any
				require.NoError(t, yaml.Unmarshal([]byte(block.Text), &example))
				text, err := os.ReadFile(filepath.Join(root, "Pulumi.dev.yaml"))
				require.NoError(t, err)
				var stack map[string]any
				require.NoError(t, yaml.Unmarshal(text, &stack))
				maps.Copy(stack["config"].(map[string]any), example)
				text, err = yaml.Marshal(stack)
				require.NoError(t, err)
				dir := t.TempDir()
				project, err := os.ReadFile(filepath.Join(root, "Pulumi.yaml"))
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), project, 0o600))
				require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.dev.yaml"), text, 0o600))
				assert.NoError(t, stacks.Check(dir, "dev"))
			})
		}
	}
	assert.NotZero(t, tested, "no page has an example that begins with journal:")
}

// TestTheTutorialsEditTheStackFileAsTheySay runs the blocks of the group docs with a make and a kubectl that do nothing: make asks the
// Makefile whether it knows the target, and make up keeps the stack file. What the blocks do to it is real.
func TestTheTutorialsEditTheStackFileAsTheySay(t *testing.T) {
	folder, bin, kept := repository(t), t.TempDir(), t.TempDir()
	for name, script := range map[string]string{
		"make": `PATH="$REAL" make --dry-run "$@" >/dev/null
			case $1 in
			up) mkdir "$KEPT/$(ls "$KEPT" | wc -l)" && cp Pulumi.yaml Pulumi.dev.yaml "$KEPT/$(($(ls "$KEPT" | wc -l) - 1))" ;;
			onboard) echo >"${2#WHO=}.kubeconfig" ;;
			esac`,
		"kubectl": `case $* in *"-f -"*) cat >/dev/null ;; esac`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/bash\nset -euo pipefail\n"+script+"\n"), 0o755))
	}
	environment := []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "REAL=" + os.Getenv("PATH"), "KEPT=" + kept}
	file := func() string {
		text, err := os.ReadFile(filepath.Join(folder, "Pulumi.dev.yaml"))
		require.NoError(t, err)
		return string(text)
	}
	all := pages(t)
	for name := range strings.FieldsSeq(tutorials) {
		before := file()
		for _, block := range markdown.Blocks(all[name]) {
			if !isShell(block) || block.Marker != runE2E {
				continue
			}
			last := file()
			bash(t, folder, environment, block.Text)
			if edits := regexp.MustCompile(`sed -i|>> Pulumi|git revert`).MatchString(block.Text); edits == (file() == last) {
				t.Errorf("%s:%d: the block changes Pulumi.dev.yaml: %t", name, block.Line, !edits)
			}
		}
		if name == "docs/tenants.md" {
			assert.Equal(t, before, file(), "%s does not remove what it adds", name)
		}
	}
	versions, err := os.ReadDir(kept)
	require.NoError(t, err)
	assert.Greater(t, len(versions), 6)
	for _, version := range versions {
		assert.NoError(t, stacks.Check(filepath.Join(kept, version.Name()), "dev"), "the stack file of make up number %s", version.Name())
	}
}

// TestTheTableOfPoliciesHasEveryPolicyOfTheStack holds docs/security.md to the golden objects.
func TestTheTableOfPoliciesHasEveryPolicyOfTheStack(t *testing.T) {
	golden, err := os.Open(filepath.Join(root, "stacks", "testdata", "dev.yaml"))
	require.NoError(t, err)
	defer func() { _ = golden.Close() }()
	declared := map[string]bool{}
	for objects := yaml.NewDecoder(golden); ; {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
		}
		err := objects.Decode(&object)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if strings.HasSuffix(object.Kind, "AdmissionPolicy") {
			declared[object.Metadata.Name] = true
		}
	}
	require.NotEmpty(t, declared)
	_, section, _ := strings.Cut(pages(t)["docs/security.md"], "\n## What each rule is for\n")
	section, _, _ = strings.Cut(section, "\n## ")
	named := map[string]bool{}
	for _, found := range regexp.MustCompile("`(journal-(?:budgets|log-agent|(?:tenant|image|quota|limit|controller|claim|pod|account)-[a-z-]+))`").FindAllStringSubmatch(section, -1) {
		named[found[1]] = true
	}
	assert.Equal(t, declared, named)
}
