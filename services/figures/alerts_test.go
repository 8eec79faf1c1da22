package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
)

func TestEveryAlertOfThePlatformHasAMeaning(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(os.Getenv("PWD") + "/../../components/observe/alerts.yaml") // so named, Go's test cache sees it
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, match := range regexp.MustCompile(`(?m)^ *- alert: (\w+)$`).FindAllStringSubmatch(string(rules), -1) {
		names = append(names, match[1])
	}
	slices.Sort(names)
	if known := slices.Sorted(maps.Keys(meanings)); !slices.Equal(names, known) {
		t.Errorf("the alerts are\n%q, and those with a meaning\n%q", names, known)
	}
}
