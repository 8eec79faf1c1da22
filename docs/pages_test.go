package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"example.com/journal/components/rules"
	"example.com/journal/components/tenancy"
	"example.com/journal/internal/markdown"
)

// readme is read first, so it is short: what the program is, how to start it, and where to read on.
const readmeBytes = 5 << 10

// files returns the files of the repository, as git lists them.
func files(t *testing.T, patterns ...string) []string {
	t.Helper()
	list := exec.Command("git", append([]string{"-C", root, "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--"}, patterns...)...)
	text, err := list.Output()
	require.NoError(t, err, "list the files of the repository")
	names := strings.FieldsFunc(string(text), func(r rune) bool { return r == 0 })
	return slices.DeleteFunc(names, func(name string) bool { // deleted, and not committed
		_, err := os.Lstat(filepath.Join(root, name))
		return err != nil
	})
}

// pages returns the text of every page of the repository by its path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range files(t, "*.md") {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		all[name] = string(text)
	}
	require.Greater(t, len(all), 10)
	return all
}

func TestTheReadmeIsShort(t *testing.T) {
	assert.LessOrEqual(t, len(pages(t)["README.md"]), readmeBytes, "README.md has more bytes; move a part to docs/")
}

func TestEveryLinkLeadsToAFileAndAHeading(t *testing.T) {
	all := pages(t)
	for name, page := range all {
		for _, link := range markdown.Links(page) {
			if strings.Contains(link.Target, "://") {
				continue
			}
			at := fmt.Sprintf("%s:%d: link to %s", name, link.Line, link.Target)
			target, anchor, _ := strings.Cut(link.Target, "#")
			file := name
			if target != "" {
				file = filepath.ToSlash(filepath.Join(filepath.Dir(name), target))
			}
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s: there is no %s", at, file)
			} else if anchor != "" && !markdown.Anchors(all[file])[anchor] {
				t.Errorf("%s: %s has no such heading", at, file)
			}
		}
	}
}

func TestEveryPageIsLinkedFromTheReadme(t *testing.T) {
	all := pages(t)
	linked := map[string]bool{}
	for _, link := range markdown.Links(all["README.md"]) {
		linked[link.Target] = true
	}
	for name := range all {
		if strings.HasPrefix(name, "docs/") && !linked[name] {
			t.Errorf("README.md does not link %s", name)
		}
	}
}

// TestTheTableOfSizesIsThatOfTheClasses holds docs/tenants.md to the classes.
func TestTheTableOfSizesIsThatOfTheClasses(t *testing.T) {
	_, table, found := strings.Cut(pages(t)["docs/tenants.md"], "| | `small` | `medium` | `large` |\n")
	require.True(t, found)
	sizes := make([]map[string]any, 3)
	for i, class := range []tenancy.Class{tenancy.Small(), tenancy.Medium(), tenancy.Large()} {
		text, err := yaml.Marshal(fields(reflect.ValueOf(class)))
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(text, &sizes[i]))
	}
	compared := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(line, "|\n "), "|")
		if len(cells) != 4 || strings.Contains(line, "---") {
			continue
		}
		var names []string
		for _, name := range regexp.MustCompile("`([A-Za-z]+)`").FindAllStringSubmatch(cells[0], -1) {
			names = append(names, name[1])
		}
		for i, size := range sizes {
			values := strings.Split(strings.TrimSpace(cells[i+1]), ", ")
			if len(values) != len(names) || values[0] == "none" || strings.Contains(cells[0], ":") && names[0] == "pods" {
				continue // a row about what follows from the class
			}
			for j, name := range names {
				compared++
				assert.Equal(t, values[j], fmt.Sprint(size[name]), "%s of the %d. class", name, i+1)
			}
		}
	}
	assert.GreaterOrEqual(t, compared, 3*12)
}

// fields returns the fields of a struct by their names in a configuration.
func fields(v reflect.Value) map[string]any {
	all := map[string]any{}
	for i := range v.NumField() {
		value := reflect.Indirect(v.Field(i))
		if value.IsValid() {
			all[rules.FieldName(v.Type().Field(i))] = value.Interface()
		}
	}
	return all
}
