package deploy

import (
	"maps"
	"slices"
	"strings"

	pulumiconfig "github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"gopkg.in/yaml.v3"
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

// override applies the overrides to the configuration of a stack, through the form that it has in the stack's file.
func (s *Stack) override(config *pulumiconfig.Map) error {
	text, err := yaml.Marshal(*config)
	if err != nil {
		return err
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(text, &values); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(s.config.Overrides)) { // an object comes before its fields
		Override(values, string(s.project.Name)+":"+path, s.config.Overrides[path])
	}
	if text, err = yaml.Marshal(values); err != nil {
		return err
	}
	return yaml.Unmarshal(text, config)
}
