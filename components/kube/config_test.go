package kube_test

import (
	"testing"

	"example.com/journal/components/kube"
	"github.com/stretchr/testify/assert"
)

func TestTheCurrentVersionAndTheLastDifferentOnesAreKept(t *testing.T) {
	for _, c := range []struct {
		sentence string
		current  int
		history  []int
		keep     int
		want     []int
	}{
		{"a first update has one version", 1, nil, 0, []int{1}},
		{"an update without a change keeps what there is", 2, []int{2, 1}, 0, []int{2, 1}},
		{"a change comes before the others", 3, []int{2, 1}, 0, []int{3, 2, 1}},
		{"the oldest goes when there are more than three", 4, []int{3, 2, 1}, 0, []int{4, 3, 2}},
		{"going back moves a version to the front", 1, []int{3, 2, 1}, 0, []int{1, 3, 2}},
		{"going back to a version that is gone makes it anew", 1, []int{4, 3, 2}, 0, []int{1, 4, 3}},
		{"fewer are kept when fewer are asked for", 4, []int{3, 2, 1}, 2, []int{4, 3}},
		{"more are kept when more are asked for", 4, []int{3, 2, 1}, 10, []int{4, 3, 2, 1}},
		{"no version is kept twice", 1, []int{2, 2, 1, 3}, 0, []int{1, 2, 3}},
	} {
		assert.Equal(t, c.want, kube.Retain(c.current, c.history, c.keep, func(a, b int) bool { return a == b }), c.sentence)
	}
}

func TestANameSaysWhatIsInAnObject(t *testing.T) {
	one := kube.ContentName("api-config", map[string]string{"a": "1", "b": "2"})
	assert.Regexp(t, `^api-config-[0-9a-f]{10}$`, one)
	assert.Equal(t, one, kube.ContentName("api-config", map[string]string{"b": "2", "a": "1"}))
	assert.NotEqual(t, one, kube.ContentName("api-config", map[string]string{"a": "2", "b": "1"}))
}
