package stacks

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
)

// update rewrites the golden files: go test ./stacks -update
var update = flag.Bool("update", false, "rewrite the golden files")

// root is the folder of Pulumi.yaml.
const root = ".."

// stackNames are the stacks of the repository, by their files.
func stackNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "Pulumi.*.yaml"))
	require.NoError(t, err)
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "Pulumi."), ".yaml")
	}
	require.Contains(t, names, "dev")
	require.Contains(t, names, "prod")
	return names
}

func TestEachStackDeclaresWhatItsGoldenFileShows(t *testing.T) {
	for _, stack := range stackNames(t) {
		t.Run(stack, func(t *testing.T) {
			g, err := graph.Run(Deploy, graph.Root(root, stack))
			require.NoError(t, err)
			manifests, err := g.Manifests()
			require.NoError(t, err)

			golden := filepath.Join("testdata", stack+".yaml")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(manifests), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			if line, was, is := firstDifference(string(want), manifests); line > 0 {
				t.Errorf("%s line %d:\n  it was: %s\n  it is:  %s\nif that is meant, run `make golden` and read the whole difference with git diff", golden, line, was, is)
			}
		})
	}
}

func TestEveryObjectIsFoundAgainWithoutTheState(t *testing.T) {
	for _, stack := range stackNames(t) {
		g, err := graph.Run(Deploy, graph.Root(root, stack))
		require.NoError(t, err)
		taken := map[string]bool{}
		for _, r := range g.All() {
			if !r.IsObject() {
				continue
			}
			name, _ := r.Field("metadata.name").(string)
			assert.NotEmpty(t, name, "%s %s: the engine makes up its name", r.Type, r.Name)
			key := fmt.Sprint(r.Type, r.Field("metadata.namespace"), name)
			assert.False(t, taken[key], "%s is declared twice", key)
			taken[key] = true
			assert.Equal(t, FieldManager("journal", stack), r.Field(`metadata.annotations["`+kube.FieldManagerAnnotation+`"]`), "%s %s", r.Type, r.Name)
		}
	}
}

// firstDifference returns the first line in which two texts differ, counted from 1, or 0 when they are the same.
func firstDifference(a, b string) (line int, inA, inB string) {
	linesA, linesB := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range max(len(linesA), len(linesB)) {
		inA, inB = "(nothing)", "(nothing)"
		if i < len(linesA) {
			inA = linesA[i]
		}
		if i < len(linesB) {
			inB = linesB[i]
		}
		if inA != inB {
			return i + 1, inA, inB
		}
	}
	return 0, "", ""
}
