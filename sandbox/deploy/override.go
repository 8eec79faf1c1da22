package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	pulumiconfig "github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
)

// Override sets a value of a configuration by its path, such as redis.storage.class, and leaves the values beside it as they
// are. Nil removes the value.
func Override(config map[string]any, path string, value any) {
	name, inner, isInner := strings.Cut(path, ".")
	switch {
	case isInner:
		object, isObject := config[name].(map[string]any)
		if !isObject {
			if value == nil {
				return
			}
			object = map[string]any{}
			config[name] = object
		}
		Override(object, inner, value)
	case value == nil:
		delete(config, name)
	default:
		config[name] = value
	}
}

// override applies the overrides to the configuration of a stack, each to the key that its path begins with.
func (s *Stack) override(config pulumiconfig.Map) error {
	values := map[string]any{}
	paths := slices.Sorted(maps.Keys(s.config.Overrides)) // an object comes before its fields
	for _, path := range paths {
		name, _, _ := strings.Cut(path, ".")
		has, set := config[s.key(name)]
		if _, begun := values[name]; begun || !set {
			continue
		}
		text, err := has.Value(pulumiconfig.NewPanicCrypter()) // nothing is encrypted
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		var value any = text
		if has.Object() {
			if err := json.Unmarshal([]byte(text), &value); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		values[name] = value
	}
	for _, path := range paths {
		Override(values, path, s.config.Overrides[path])
	}
	for _, path := range paths {
		name, _, _ := strings.Cut(path, ".")
		value, set := values[name]
		if !set {
			delete(config, s.key(name))
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		config[s.key(name)] = pulumiconfig.NewObjectValue(string(text))
	}
	return nil
}

func (s *Stack) key(name string) pulumiconfig.Key {
	return pulumiconfig.MustMakeKey(string(s.project.Name), name)
}
