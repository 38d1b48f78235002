package producer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"go.yaml.in/yaml/v3"
)

// Schema is a JSON Schema (2020-12), as far as a pipeline file needs one.
type Schema struct {
	Dialect              string             `json:"$schema,omitempty"`
	ID                   string             `json:"$id,omitempty"`
	Ref                  string             `json:"$ref,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Type                 any                `json:"type,omitempty"` // a string, or several
	Properties           map[string]*Schema `json:"properties,omitempty"`
	Required             []string           `json:"required,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"` // false, or a *Schema
	Items                *Schema            `json:"items,omitempty"`
	UniqueItems          bool               `json:"uniqueItems,omitempty"`
	AnyOf                []*Schema          `json:"anyOf,omitempty"`
	AllOf                []*Schema          `json:"allOf,omitempty"`
	If                   *Schema            `json:"if,omitempty"`
	Then                 *Schema            `json:"then,omitempty"`
	Else                 *Schema            `json:"else,omitempty"`
	Enum                 []string           `json:"enum,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	Format               string             `json:"format,omitempty"`
	Minimum              *int               `json:"minimum,omitempty"`
	Maximum              *int               `json:"maximum,omitempty"`
	Default              any                `json:"default,omitempty"`

	order []string // of the properties, in the code that reads them
}

// SchemaID names the schema.
const SchemaID = "https://raw.githubusercontent.com/fenceline/fenceline/main/docs/fenceline.schema.json"

// FileSchema is the schema of pipeline files. It is what the reader says of itself: the code that reads a
// field tells, where it is asked to, what the field takes. It takes whatever the reader takes, and refuses what shows in a
// field alone.
func FileSchema() *Schema {
	s := &Schema{
		Dialect: "https://json-schema.org/draft/2020-12/schema", ID: SchemaID, Title: "fenceline.yaml",
		Description: "The pipelines of a fenceline producer.",
	}
	d := &document{reader: reader{schema: s}}
	d.read(&yaml.Node{Kind: yaml.ScalarNode})
	for name, part := range s.Properties {
		if name != "version" {
			part.takeVariables()
		}
	}
	if required := s.Properties["pipelines"].withoutRequired(); required != nil {
		s.If = &Schema{Required: []string{"defaults"}}
		s.Then, s.Else = &Schema{}, &Schema{Properties: map[string]*Schema{"pipelines": required}}
	}
	return s
}

// withoutRequired has a part of the schema ask for no field that defaults can have, and returns one that asks for these alone,
// or nil where there are none.
func (s *Schema) withoutRequired() *Schema {
	asks := &Schema{Properties: map[string]*Schema{}}
	s.Required = slices.DeleteFunc(s.Required, func(name string) bool {
		if name == "name" {
			return false
		}
		asks.Required = append(asks.Required, name)
		return true
	})
	for name, part := range s.Properties {
		if name == "mirrors" || name == "schedule" { // lists, which defaults have as a whole
			continue
		}
		if a := part.withoutRequired(); a != nil {
			asks.Properties[name] = a
		}
	}
	if s.Items != nil {
		asks.Items = s.Items.withoutRequired()
	}
	if asks.Required == nil && len(asks.Properties) == 0 && asks.Items == nil {
		return nil
	}
	return asks
}

// takeVariables has every value be a variable, too.
func (s *Schema) takeVariables() {
	for _, part := range s.Properties {
		part.takeVariables()
	}
	if s.Items != nil {
		s.Items.takeVariables()
	}
	if s.Type != "integer" && s.Type != "boolean" && s.Pattern == "" && s.Enum == nil {
		return
	}
	s.AnyOf = []*Schema{
		{Type: s.Type, Enum: s.Enum, Pattern: s.Pattern, Minimum: s.Minimum, Maximum: s.Maximum},
		{Type: "string", Pattern: `\$\{(env|file):`},
	}
	s.Type, s.Enum, s.Pattern, s.Minimum, s.Maximum = nil, nil, "", nil, nil
}

// JSON is the schema as a file.
func (s *Schema) JSON() []byte {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("a schema always marshals: %v", err))
	}
	return append(b, '\n')
}

// within has read describe a part of the schema.
func (r *reader) within(part *Schema, field string, read func(n *yaml.Node, field string)) {
	outer := r.schema
	r.schema = part
	read(&yaml.Node{Kind: yaml.ScalarNode}, field)
	r.schema = outer
}

// describeFields describes a mapping that has these keys and no others.
func (r *reader) describeFields(field string, keys []key) {
	s := r.schema
	s.Type, s.Properties, s.AdditionalProperties = "object", map[string]*Schema{}, false
	for _, k := range keys {
		path := join(field, k.name)
		part := &Schema{}
		r.within(part, path, k.read)
		part.say(wordsOf(path))
		s.Properties[k.name], s.order = part, append(s.order, k.name)
		if k.required != "" && !r.partial {
			s.Required = append(s.Required, k.name)
		}
	}
}

// describeItems describes a list. The field of its items is that of the list and [].
func (r *reader) describeItems(field string, read func(n *yaml.Node, field string)) {
	s := r.schema
	s.Type, s.Items = "array", &Schema{}
	r.within(s.Items, field+"[]", read)
	s.Items.say(wordsOf(field + "[]"))
}

// describePairs describes a mapping of any keys.
func (r *reader) describePairs(read func(name string, k, v *yaml.Node)) {
	s, value := r.schema, &Schema{}
	s.Type, s.AdditionalProperties = "object", value
	r.within(value, "", func(n *yaml.Node, _ string) { read("NAME", &yaml.Node{Kind: yaml.ScalarNode, Value: "NAME"}, n) })
}

// say adds what people are told of a field, and what its own check takes.
func (s *Schema) say(w fieldWords) {
	s.Description = w.about
	if w.otherwise != nil {
		s.Default = w.otherwise
	}
	switch {
	case w.values != nil:
		s.Enum = w.values()
	case w.pattern != "":
		s.Pattern = w.pattern
	}
}

func (s *Schema) text(now string) {
	s.Type = "string"
	if now != "" {
		s.Default = now
	}
}

func (s *Schema) integer(now, low, high int) {
	s.Type, s.Minimum, s.Maximum = "integer", &low, &high
	if now >= low && now <= high {
		s.Default = now
	}
}

func (s *Schema) truth(now bool) { s.Type, s.Default = "boolean", now }

func (s *Schema) percent(least int) {
	s.Type, s.Pattern = "string", `^\+?0*(100|[1-9]?[0-9])%$`
	if least > 0 {
		s.Pattern = `^\+?0*(100|[1-9][0-9]?)%$`
	}
}

func (s *Schema) duration(now messages.Duration) {
	// What time.ParseDuration takes, but for a sign.
	s.Type, s.Pattern = "string", `^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$|^[+-]?0$`
	if now > 0 {
		s.Default = shortDuration(now.Std())
	}
}

// shortDuration is a duration as people write it: 30m, not 30m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	for _, none := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, none) {
			text = strings.TrimSuffix(text, none[1:])
		}
	}
	return text
}

// jsonTypes are those of YAML's tags.
var jsonTypes = map[string]string{"!!str": "string", "!!timestamp": "string", "!!int": "number", "!!float": "number", "!!bool": "boolean"}

func (s *Schema) scalar(tags []string) {
	var types []string
	seen := map[string]bool{}
	for _, tag := range tags {
		if t := jsonTypes[tag]; !seen[t] {
			seen[t] = true
			types = append(types, t)
		}
	}
	s.Type = types
}

// Fields are the schema's fields, by their path. The fields of a list's items have [] after the list.
func (s *Schema) Fields() map[string]*Schema {
	out := map[string]*Schema{}
	s.collect("", out)
	return out
}

func (s *Schema) collect(path string, out map[string]*Schema) {
	for name, part := range s.Properties {
		out[join(path, name)] = part
		part.collect(join(path, name), out)
	}
	if s.Items != nil {
		s.Items.collect(path+"[]", out)
	}
}
