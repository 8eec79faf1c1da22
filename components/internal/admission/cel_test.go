package admission

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestALiteralIsWrittenAsCELReadsIt(t *testing.T) {
	text, err := Literal(map[string]any{"b": []any{1, "x\"y", true}, "a": map[string]string{}})
	require.NoError(t, err)
	assert.Equal(t, `{"a": dyn({}), "b": dyn([dyn(1), dyn("x\"y"), dyn(true)])}`, text)
	_, err = Literal(func() {})
	assert.Error(t, err)
}
