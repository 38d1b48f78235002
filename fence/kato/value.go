package kato

import (
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"

	stackato "github.com/fenceline/fenceline/fence/component"
)

// naming are the words to kato that make image the current one. The plain words of the guide are enough for
// a name that kato takes for a string: without -j it guesses the type, as YAML does.
func (d document) naming(image string) ([]string, error) {
	var guessed, value any = nil, image
	if err := yaml.Unmarshal([]byte(image), &guessed); !d.isList && err == nil && guessed == value {
		return []string{"config", "set", component, d.key, image}, nil
	}
	if d.isList {
		value = stackato.Leading(d.images, image)
	}
	b, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("writing %s %s: %w", component, d.key, err)
	}
	return []string{"config", "set", "-j", component, d.key, string(b)}, nil
}
