package kato

import (
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"

	stackato "github.com/fenceline/fenceline/fence/component"
)

// naming are the words to kato that make image the current one. The plain words of the guide are enough for
// a name that kato takes for a string: without -j it guesses the type, as YAML does.
func naming(d *stackato.Document, image string) ([]string, error) {
	var guessed, value any = nil, image
	if err := yaml.Unmarshal([]byte(image), &guessed); !d.List && err == nil && guessed == value {
		return []string{"config", "set", component, d.Key, image}, nil
	}
	if d.List {
		value = stackato.Leading(d.Images, image)
	}
	b, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("writing %s %s: %w", component, d.Key, err)
	}
	return []string{"config", "set", "-j", component, d.Key, string(b)}, nil
}
