package kato

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// localHost is what the names begin with that nodes give images, a tag for each build.
const localHost = "fenceline.local/"

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
// once. Earlier builds of the same image leave, or the list would grow with each flip: nodes don't keep
// them, so that they are no fallback.
func (d document) leading(image string) []string {
	list := []string{image}
	for i, old := range d.images {
		earlier := i > 0 && builtAs(image) != "" && builtAs(old) == builtAs(image)
		if !earlier && !slices.Contains(list, old) {
			list = append(list, old)
		}
	}
	return list
}

// builtAs is what the names of all builds of an image begin with, in either form that a flip sets: with a
// digest, or as nodes name them. It is "" for names that people give.
func builtAs(image string) string {
	if name, _, ok := strings.Cut(image, "@"); ok {
		return name
	}
	if i := strings.LastIndex(image, ":"); i >= 0 && strings.HasPrefix(image, localHost) {
		return image[:i]
	}
	return ""
}
