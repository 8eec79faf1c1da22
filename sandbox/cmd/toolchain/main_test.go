package main

import (
	"io"
	"strings"
	"testing"
)

func TestWrongArgumentsAreExplained(t *testing.T) {
	for _, args := range [][]string{nil, {"push"}, {"pull", "a", "b"}, {"debian", "redis-server"}, {"drop", "a"}} {
		_, err := run(t.Context(), args, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "toolchain debian <package>") {
			t.Errorf("arguments %q: got %v, want the usage", args, err)
		}
	}
}
