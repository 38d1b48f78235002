package producer

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Names are the names of the pipelines, in the order of the file.
func (p *Pipelines) Names() []string { return p.names() }

// Render is a pipeline file in which the named pipelines are as they are resolved: with the file's defaults, and those
// of every field, with what variables stand for, and without aliases. Secrets are the names of theirs. Read again it declares
// the same. Names of no pipeline are left out.
func (p *Pipelines) Render(names ...string) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	schema := FileSchema().Properties["pipelines"].Items
	for _, d := range p.declared {
		if slices.Contains(names, d.pipeline.Name) {
			list.Content = append(list.Content, render(d.written(), schema))
		}
	}
	return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
		text("version"), {Kind: yaml.ScalarNode, Value: "1"}, text("pipelines"), list,
	}}
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// written is the pipeline as its file has it, with the defaults of its fleets.
func (d *declared) written() *yaml.Node {
	out := *d.node
	out.Content = slices.Clone(d.node.Content)
	for i := 0; i+1 < len(out.Content); i += 2 {
		if out.Content[i].Value != "fleets" {
			continue
		}
		fleets := *followed(out.Content[i+1])
		fleets.Content = slices.Clone(fleets.Content)
		for j, f := range fleets.Content {
			fleets.Content[j] = merged(f, d.fleetDefaults, mostNested)
		}
		out.Content[i+1] = &fleets
	}
	return &out
}

// followed is what an alias stands for, or the node itself.
func followed(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// render is a value in the form that a schema tells, with what it has where the value says nothing.
func render(n *yaml.Node, s *Schema) *yaml.Node {
	n = followed(n)
	switch {
	case n.Kind == yaml.MappingNode && s.Properties != nil:
		return renderFields(n, s)
	case n.Kind == yaml.MappingNode:
		of, _ := s.AdditionalProperties.(*Schema)
		out := &yaml.Node{Kind: yaml.MappingNode}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out.Content = append(out.Content, text(n.Content[i].Value), render(n.Content[i+1], of))
		}
		return out
	case n.Kind == yaml.SequenceNode:
		out := &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range n.Content {
			out.Content = append(out.Content, render(item, s.Items))
		}
		return out
	}
	out := &yaml.Node{Kind: yaml.ScalarNode, Tag: n.Tag, Value: strings.ReplaceAll(n.Value, "${", "$${")}
	kind := s.Type
	if s.AnyOf != nil {
		kind = s.AnyOf[0].Type
	}
	switch kind {
	case "string":
		out.Tag = "!!str"
	case "integer", "boolean":
		out.Tag = ""
	}
	return out
}

// always are the fields with fields of their own that count where they are not written, too.
var always = []string{"rollout", "trial", "rebuild_on"}

// namesRefs tells whether a pipeline says what it builds in place of a branch.
func namesRefs(pipeline *yaml.Node) bool {
	return value(pipeline, "branches") != nil || value(pipeline, "tags") != nil
}

// renderFields is render for a mapping, in the order of the code that reads it.
func renderFields(n *yaml.Node, s *Schema) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range s.order {
		part := s.Properties[name]
		v := value(n, name)
		switch {
		case v != nil:
			v = render(v, part)
		case slices.Contains(always, name):
			v = renderFields(&yaml.Node{Kind: yaml.MappingNode}, part)
		case name == "branch" && namesRefs(n):
			continue
		case part.Default != nil:
			v = &yaml.Node{}
			if v.Encode(part.Default) != nil { // can't be: it is text, a number, a truth value or a list of text
				continue
			}
		default:
			continue
		}
		out.Content = append(out.Content, text(name), v)
	}
	return out
}
