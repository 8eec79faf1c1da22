package main

import (
	"testing"

	"example.com/journal/internal/graphtest"
)

func TestTheProgramDeclaresItsComponent(t *testing.T) {
	graphtest.Example(t, program, "journal:components:Tenant", "team-a", "namespace", "team-a")
}
