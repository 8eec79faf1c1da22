package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/internal/markdown"
)

// What a comment before a shell block says about it.
const (
	runHere   = "run"      // TestCommandsThatNeedNoClusterRun runs it in a copy of the repository
	runE2E    = "e2e"      // the group docs of the end-to-end tests runs it on the sandbox
	runBy     = "run by: " // a test whose file names the page
	notRun    = "not run: "
	tutorials = "README.md docs/getting-started.md docs/changes.md docs/tenants.md" // the pages of the group docs, in its order
)

func isShell(b markdown.Block) bool {
	return slices.Contains([]string{"sh", "bash", "shell", "console"}, b.Language)
}

func TestEveryShellBlockRunsOrSaysWhyNot(t *testing.T) {
	tests := map[string]string{} // the text of the file of a test
	for _, name := range files(t, "*_test.go") {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		for _, found := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			tests[found[1]] = string(text)
		}
	}
	for name, page := range pages(t) {
		for _, block := range markdown.Blocks(page) {
			at := fmt.Sprintf("%s:%d", name, block.Line)
			if block.Language == "" {
				t.Errorf("%s: the block has no language; write sh, or text for what is no command", at)
			}
			if !isShell(block) {
				continue
			}
			switch by, isBy := strings.CutPrefix(block.Marker, runBy); {
			case isBy:
				if !strings.Contains(tests[by], filepath.Base(name)) {
					t.Errorf("%s: there is no test %s in a file that names %s", at, by, filepath.Base(name))
				}
			case block.Marker == runE2E:
				assert.Contains(t, strings.Fields(tutorials), name, "%s: the group docs does not read this page", at)
			case block.Marker == runHere:
			case strings.HasPrefix(block.Marker, notRun) && len(block.Marker) > len(notRun):
			default:
				t.Errorf("%s: no test runs this block; write <!-- run -->, <!-- e2e -->, <!-- run by: TestX --> or <!-- not run: reason --> on the line before it", at)
			}
		}
	}
}

// repository copies the repository into a folder, as a person has it after git clone.
func repository(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range files(t) {
		from := filepath.Join(root, name)
		info, err := os.Lstat(from)
		require.NoError(t, err)
		to := filepath.Join(folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
		text, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, text, info.Mode().Perm()))
	}
	bash(t, folder, nil, "git init --quiet && git add --all && git commit --quiet --message 'a clone'")
	return folder
}

// bash runs commands, and returns what they print.
func bash(t *testing.T, folder string, environment []string, commands string) string {
	t.Helper()
	text, err := tryBash(folder, environment, commands)
	require.NoError(t, err, "%s\n%s", commands, text)
	return text
}

func tryBash(folder string, environment []string, commands string) (string, error) {
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = folder
	cmd.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool { // those of a make or a git that runs this test
		return strings.HasPrefix(variable, "MAKE") || strings.HasPrefix(variable, "MFLAGS") || strings.HasPrefix(variable, "GIT_")
	})
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		cmd.Env = append(cmd.Env, "GIT_"+who+"_NAME=alice", "GIT_"+who+"_EMAIL=alice@example.com")
	}
	cmd.Env = append(append(cmd.Env, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"), environment...)
	text, err := cmd.CombinedOutput()
	return string(text), err
}

func TestCommandsThatNeedNoClusterRun(t *testing.T) {
	folder, ran := repository(t), 0
	for name, page := range pages(t) {
		for _, block := range markdown.Blocks(page) {
			if isShell(block) && block.Marker == runHere {
				ran++
				t.Run(fmt.Sprintf("%s:%d", name, block.Line), func(t *testing.T) { bash(t, folder, nil, block.Text) })
			}
		}
	}
	assert.NotZero(t, ran, "no page has a block with <!-- run -->")
}

func TestTheHookRefusesWhatIsNotFormattedAndPrivateKeys(t *testing.T) {
	folder := repository(t)
	bash(t, folder, nil, "git config core.hooksPath .githooks")
	for name, text := range map[string]string{
		"unformatted.go": "package x\nvar  x = 1\n",
		"blanks.md":      "ends in blanks  \n",
		"key.pem":        "-----BEGIN " + "PRIVATE KEY-----\n",
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
			said, err := tryBash(folder, nil, "git add "+name+" && git commit --quiet --message 'bad'")
			assert.Error(t, err, "it is committed")
			assert.Contains(t, said, name)
			bash(t, folder, nil, "git rm --quiet --cached --force "+name+" && rm "+name)
		})
	}
	bash(t, folder, nil, "printf 'package x\\n' >x.go && git add x.go && git commit --quiet --message 'good'")
}
