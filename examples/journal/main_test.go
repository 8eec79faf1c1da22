package main

import (
	"testing"

	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

func TestTheProgramDeclaresItsComponent(t *testing.T) {
	graphtest.Example(t, program, "journal:components:Journal", "journal", "url", "http://journal.localhost/", graph.Config(map[string]string{
		"journal:apiImage":      "registry.example.com/journal/journal-api:v0.1.0-0a1b2c3",
		"journal:frontendImage": "registry.example.com/journal/journal-web:v0.1.0-0a1b2c3",
	}))
}
