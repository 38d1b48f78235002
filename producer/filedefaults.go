package producer

import (
	"slices"

	"github.com/fenceline/fenceline/messages"
	"go.yaml.in/yaml/v3"
)

// fileDefaults are what a file's pipelines, and their fleets, have where they say nothing of their own. They are
// put together with a pipeline before it is read, so that a problem has the line of what causes it.
type fileDefaults struct{ pipeline, fleet *yaml.Node } // mappings, or nil

// readDefaults reads the defaults of a file, wherever they are in it, since all of its pipelines have them.
func (d *document) readDefaults(root *yaml.Node) {
	d.defaults = fileDefaults{}
	n := value(root, "defaults")
	if n == nil || d.schema != nil {
		return
	}
	pipeline, fleet := d.defaultKeys()
	d.partial = true
	d.mapping(n, "defaults", append(pipeline, d.fleetDefaults(fleet)))
	d.partial = false
	d.defaults.pipeline = only(n, pipeline)
	if f := value(n, "fleet"); f != nil {
		d.defaults.fleet = only(f, fleet)
	}
}

// defaultKeys are the fields that defaults can have: those of a pipeline and of a fleet, but for what each has of its own.
func (d *document) defaultKeys() (pipeline, fleet []key) {
	own := func(names ...string) func(key) bool {
		return func(k key) bool { return slices.Contains(names, k.name) }
	}
	pipeline = slices.DeleteFunc(d.pipelineKeys(newDeclared(), &yaml.Node{}), own("name", "fleets"))
	t := messages.FleetTarget{Policy: messages.DefaultPolicy()}
	return pipeline, slices.DeleteFunc(d.fleetKeys(&t), own("name", "fence"))
}

// of are the defaults of a pipeline. Where it says itself what of its repository is built, the defaults say nothing of that.
func (f *fileDefaults) of(n *yaml.Node) *yaml.Node {
	if f.pipeline == nil || value(n, "branch") == nil && value(n, "branches") == nil && value(n, "tags") == nil {
		return f.pipeline
	}
	out := *f.pipeline
	out.Content = nil
	for i := 0; i+1 < len(f.pipeline.Content); i += 2 {
		switch f.pipeline.Content[i].Value {
		case "branch", "branches", "tags":
		default:
			out.Content = append(out.Content, f.pipeline.Content[i:i+2]...)
		}
	}
	return &out
}

func (d *document) fleetDefaults(fleet []key) key {
	return key{"fleet", "", func(n *yaml.Node, field string) { d.mapping(n, field, fleet) }}
}

// describeDefaults tells a schema of the defaults. What they say was read before.
func (d *document) describeDefaults(n *yaml.Node, field string) {
	if d.schema == nil {
		return
	}
	pipeline, fleet := d.defaultKeys()
	d.partial = true
	d.mapping(n, field, append(pipeline, d.fleetDefaults(fleet)))
	d.partial = false
}

// only is a mapping with the known of its fields, or nil where n is none.
func only(n *yaml.Node, known []key) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	out := *n
	out.Content = nil
	for i := 0; i+1 < len(n.Content); i += 2 {
		if slices.ContainsFunc(known, func(k key) bool { return k.name == n.Content[i].Value }) {
			out.Content = append(out.Content, n.Content[i:i+2]...)
		}
	}
	return &out
}

// mostNested is above how deep a pipeline's fields are, and bounds what aliases can make endless.
const mostNested = 8

// merged is a mapping with what defaults have beside its own fields. A field that both have is its own; where that is a mapping
// in both, it is merged likewise. Lists are not put together.
func merged(own, defaults *yaml.Node, depth int) *yaml.Node {
	o, def := own, defaults
	if o.Kind == yaml.AliasNode {
		o = o.Alias
	}
	if def != nil && def.Kind == yaml.AliasNode {
		def = def.Alias
	}
	if def == nil || depth == 0 || o.Kind != yaml.MappingNode || def.Kind != yaml.MappingNode {
		return own
	}
	out := *o
	out.Content = slices.Clone(o.Content)
	for i := 0; i+1 < len(def.Content); i += 2 {
		k, v := def.Content[i], def.Content[i+1]
		at := 0
		for at < len(o.Content) && o.Content[at].Value != k.Value {
			at += 2
		}
		if at+1 < len(o.Content) {
			out.Content[at+1] = merged(o.Content[at+1], v, depth-1)
		} else {
			out.Content = append(out.Content, k, v)
		}
	}
	return &out
}
