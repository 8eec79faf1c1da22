package stacks

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/journal/internal/graph"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
			assert.Equal(t, string(want), manifests, "the stack declares something else; read the difference, then run: go test ./stacks -update")
		})
	}
}
