package yamlfile

import (
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"go.yaml.in/yaml/v3"
)

var kinds = map[yaml.Kind]string{yaml.SequenceNode: "list", yaml.ScalarNode: "single value", yaml.MappingNode: "mapping"}

// Describe says what a node is, for an error.
func Describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	case yaml.ScalarNode:
	default:
		return "something else"
	}
	switch n.Tag {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "the number " + Clip(n.Value)
	case "!!bool":
		return "the truth value " + Clip(n.Value)
	case "!!str":
		return fmt.Sprintf("the text %q", Clip(n.Value))
	}
	return fmt.Sprintf("%q, a %s,", Clip(n.Value), Clip(strings.TrimPrefix(n.Tag, "!!")))
}

// Join is the name of a field within a field.
func Join(field, name string) string {
	if field == "" {
		return Clip(name)
	}
	return field + "." + Clip(name)
}

// Clip shortens outside input for an error.
func Clip(s string) string { return messages.Shorten(s, 100) }
