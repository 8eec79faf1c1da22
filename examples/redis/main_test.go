package main

import (
	"testing"

	"example.com/journal/internal/graphtest"
)

func TestTheProgramDeclaresItsComponent(t *testing.T) {
	graphtest.Example(t, program, "journal:components:Redis", "cache", "writeAddress", "cache-write.cache.svc:6379")
}
