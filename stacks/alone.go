package stacks

import (
	"reflect"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// completeAlone fits the journal into a namespace that exists, and returns every rule that it breaks there. Keys of what the stack
// does not declare are refused: they would have no effect.
func (c *Config) completeAlone() rules.Faults {
	c.Journal.Fenced = true
	f := c.Journal.Check()
	f.Check("namespace", c.Namespace, kube.CheckNamespace(pulumi.String(c.Namespace)))
	values := reflect.ValueOf(*c)
	for _, key := range keysOf() {
		if ofJournal := len(key.Index) > 1; ofJournal || slices.Contains([]string{"namespace", "existingNamespace"}, key.name) {
			continue
		}
		if value := values.FieldByIndex(key.Index); given(value) {
			f.Refuse(key.name, "{...}", "existingNamespace declares the journal alone, and this is for a stack that declares the cluster; remove one of the two keys")
		}
	}
	return f
}

// given says whether a key has a value. Pulumi passes {} and [] for some that no file has.
func given(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Map, reflect.Slice:
		return value.Len() > 0
	default:
		return !value.IsZero()
	}
}
