package main

import (
	"io"
	"strings"
	"testing"
)

func TestWrongArgumentsAreExplained(t *testing.T) {
	for _, args := range [][]string{nil, {"redis-server"}, {"redis-server", "a", "b"}} {
		err := run(t.Context(), args, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "usage: debian-program <package>") {
			t.Errorf("arguments %q: got %v, want the usage", args, err)
		}
	}
}
