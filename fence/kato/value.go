package kato

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// checkValue refuses what kato would not keep as the string that it is. Without -j kato guesses a value's
// type, as YAML does.
func checkValue(value string) error {
	if value == "" {
		return errors.New("the value is empty: give an image")
	}
	if !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return fmt.Errorf("the value %q is no image: it has spaces or control characters", clip(value, 80))
	}
	var guessed any
	if err := yaml.Unmarshal([]byte(value), &guessed); err != nil || guessed != value || value[0] == '-' {
		return fmt.Errorf("the value %q is no image: kato would take it for something else than a name", clip(value, 80))
	}
	return nil
}

// naming are the words to kato that make image the current one.
func (d document) naming(image string) ([]string, error) {
	if !d.isList {
		return []string{"config", "set", component, d.key, image}, nil
	}
	list, err := json.Marshal(d.leading(image))
	if err != nil {
		return nil, fmt.Errorf("writing the list of images: %w", err)
	}
	return []string{"config", "set", "-j", component, d.key, string(list)}, nil
}

// leading is the list with image first, then the one that was first until now, then what was there, each
// once. Earlier builds of the same image leave, or the list would grow with each flip: those are names with
// a digest, which nobody keeps as a fallback for long, since nodes don't.
func (d document) leading(image string) []string {
	list := []string{image}
	for i, old := range d.images {
		name, digest, pinned := strings.Cut(old, "@")
		earlier := i > 0 && pinned && digest != "" && name == repository(image)
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
