package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

const (
	// longest is the number of characters of a value that are shown.
	longest = 60
	// hidden is what Pulumi shows in place of a secret.
	hidden = "[secret]"
	// none is shown where there is no value.
	none = "none"

	secretType    = "kubernetes:core/v1:Secret"
	passwordType  = "random:index/randomPassword:RandomPassword"
	referenceType = "pulumi:pulumi:StackReference"
)

// step is what one update does with one resource.
type step struct {
	apitype.StepEventMetadata
}

// isChange says whether a step of a preview changes something, and counts a replacement once.
func (s step) isChange() bool {
	switch s.Op {
	case apitype.OpCreate, apitype.OpUpdate, apitype.OpDelete, apitype.OpReplace:
		return s.custom()
	}
	return false
}

// custom says whether it is a resource that exists outside of the state.
func (s step) custom() bool {
	return s.Type != referenceType && !strings.HasPrefix(s.Type, "pulumi:providers:") &&
		(s.New != nil && s.New.Custom || s.Old != nil && s.Old.Custom)
}

// protected says whether the engine refuses to delete the resource.
func (s step) protected() bool {
	return s.New != nil && s.New.Protect || s.Old != nil && s.Old.Protect
}

// rank orders steps by what can be lost: first what deletes, then what changes something protected, then the others.
func (s step) rank() int {
	switch {
	case s.Op == apitype.OpReplace:
		return 0
	case s.Op == apitype.OpDelete:
		return 1
	case s.protected() && s.Op != apitype.OpCreate:
		return 2
	case s.Op == apitype.OpUpdate:
		return 3
	}
	return 4
}

// dangerous says whether something can be lost.
func (s step) dangerous() bool { return s.rank() <= 2 }

// sorted orders steps, the dangerous ones first.
func sorted(steps []step) []step {
	slices.SortStableFunc(steps, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.name(), b.name()))
	})
	return steps
}

// name is the name under which the cluster knows the resource, or the program's name of it.
func (s step) name() string {
	for _, state := range []*apitype.StepEventStateMetadata{s.New, s.Old} {
		if state == nil || !strings.HasPrefix(s.Type, "kubernetes:") {
			continue
		}
		metadata, _ := state.Inputs["metadata"].(map[string]any)
		name, _ := metadata["name"].(string)
		if namespace, _ := metadata["namespace"].(string); name != "" && namespace != "" {
			name = namespace + "/" + name
		}
		if name != "" {
			return string(resource.URN(s.URN).Type().Name()) + " " + name
		}
	}
	return nameOf(s.URN)
}

// nameOf is the kind of a resource and the program's name of it.
func nameOf(urn string) string {
	return string(resource.URN(urn).Type().Name()) + " " + resource.URN(urn).Name()
}

// change is a field with another value.
type change struct{ path, old, new string }

// changes returns the fields that differ in a part of the resource, in the order of their names. A field with twice the same value
// does not differ.
func (s step) changes(in part) (fields []change) {
	paths := slices.Sorted(maps.Keys(s.DetailedDiff))
	if len(paths) == 0 {
		paths = slices.Sorted(slices.Values(s.Diffs)) // of a plugin that names no paths
	}
	for _, path := range paths {
		c := change{path: path, old: hidden, new: hidden}
		if s.Type != secretType || path == "type" || path == "immutable" { // annotations may repeat what is in there
			c.old, c.new = valueAt(s.Old, in, path), valueAt(s.New, in, path)
		}
		if c.old != c.new || c.old == hidden || c.old == none {
			c.old, c.new = shortened(c.old, c.new)
			fields = append(fields, c)
		}
	}
	return fields
}

// shortened returns two texts with what differs first in both of them.
func shortened(a, b string) (shortA, shortB string) {
	before, after := []rune(a), []rune(b)
	same := 0
	for same < min(len(before), len(after)) && before[same] == after[same] {
		same++
	}
	cut := func(text []rune) string {
		from := 0
		if len(text) > longest {
			from = max(0, min(same-longest/3, len(text)-longest))
		}
		short := string(text[from:min(len(text), from+longest)])
		if from > 0 {
			short = "…" + short
		}
		if from+longest < len(text) {
			short += "…"
		}
		return short
	}
	return cut(before), cut(after)
}

// part is what a program has declared of a resource, or what the plugin has answered.
type part func(*apitype.StepEventStateMetadata) map[string]any

func inputs(s *apitype.StepEventStateMetadata) map[string]any  { return s.Inputs }
func outputs(s *apitype.StepEventStateMetadata) map[string]any { return s.Outputs }

// valueAt returns the value at a path as JSON in one line.
func valueAt(state *apitype.StepEventStateMetadata, in part, path string) string {
	if state == nil {
		return none
	}
	var value any = in(state)
	keys, err := resource.ParsePropertyPath(path)
	if err != nil {
		return hidden
	}
	for _, key := range keys {
		switch inner := value.(type) {
		case map[string]any:
			if isSecret(inner) {
				return hidden
			}
			name, _ := key.(string)
			value = inner[name]
		case []any:
			i, isIndex := key.(int)
			if !isIndex || i < 0 || i >= len(inner) {
				return none
			}
			value = inner[i]
		case string:
			if inner == hidden {
				return hidden
			}
			return none
		default:
			return none
		}
	}
	if value == nil {
		return none
	}
	if holdsSecret(value) {
		return hidden
	}
	text, err := json.Marshal(value)
	if err != nil {
		return hidden
	}
	return string(text)
}

// isSecret says whether an object stands for a secret: the engine's mark of it, whatever else is in there.
func isSecret(object map[string]any) bool {
	_, is := object[resource.SigKey]
	return is
}

// holdsSecret says whether a part of a value is secret.
func holdsSecret(value any) bool {
	switch value := value.(type) {
	case string:
		return strings.Contains(value, hidden)
	case []any:
		return slices.ContainsFunc(value, holdsSecret)
	case map[string]any:
		if isSecret(value) {
			return true
		}
		for _, inner := range value {
			if holdsSecret(inner) {
				return true
			}
		}
	}
	return false
}

// describe is the line of a step in a plan.
func (s step) describe() string {
	text := fmt.Sprintf("%s %s", s.Op, s.name())
	if s.protected() && s.Op != apitype.OpCreate {
		text += ", which is protected"
	}
	var fields []string
	for _, c := range s.changes(inputs) {
		fields = append(fields, fmt.Sprintf("%s %s -> %s", c.path, c.old, c.new))
	}
	if len(fields) > 0 {
		text += ": " + strings.Join(fields, ", ")
	}
	return text
}
