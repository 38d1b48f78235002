package kato

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// naming are the words to kato that make image the current one. The plain words of the guide are enough for
// a name that kato takes for a string: without -j it guesses the type, as YAML does.
func (d document) naming(image string) ([]string, error) {
	var guessed, value any = nil, image
	if err := yaml.Unmarshal([]byte(image), &guessed); !d.isList && err == nil && guessed == value {
		return []string{"config", "set", component, d.key, image}, nil
	}
	if d.isList {
		value = d.leading(image)
	}
	b, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("writing %s %s: %w", component, d.key, err)
	}
	return []string{"config", "set", "-j", component, d.key, string(b)}, nil
}

// leading is the list with image first, then the one that was first until now, then what was there, each
// once. Earlier builds of the same image leave, or the list would grow with each flip: names with a digest,
// which nobody keeps as a fallback, since nodes don't keep them.
func (d document) leading(image string) []string {
	list := []string{image}
	for i, old := range d.images {
		name, _, pinned := strings.Cut(old, "@")
		earlier := i > 0 && pinned && name == repository(image)
		if !earlier && !slices.Contains(list, old) {
			list = append(list, old)
		}
	}
	return list
}

// repository is an image's name without its digest.
func repository(image string) string {
	name, _, _ := strings.Cut(image, "@")
	return name
}
