package main

import (
	"strings"
	"testing"
)

func TestWrongArgumentsAreExplained(t *testing.T) {
	for _, args := range [][]string{nil, {"redis-server"}, {"redis-server", "a", "b"}} {
		_, err := wrapper(t.Context(), args)
		if err == nil || !strings.Contains(err.Error(), "usage: debian-program <package>") {
			t.Errorf("arguments %q: got %v, want the usage", args, err)
		}
	}
}
