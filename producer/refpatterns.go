package producer

import (
	"strings"

	"github.com/fenceline/fenceline/messages"
	"go.yaml.in/yaml/v3"
)

// refPatterns reads the patterns of branches or tags. what is which of them.
func (d *document) refPatterns(to *[]string, what string) func(*yaml.Node, string) {
	return d.patterns(to, func(s string) error { return messages.CheckRefPattern(what, s) })
}

// patterns reads a list of patterns, each as check has it.
func (d *document) patterns(to *[]string, check func(string) error) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		before := len(d.Problems)
		d.unquoted(n, field)
		if len(d.Problems) > before {
			return
		}
		d.words(to, check)(n, field)
		if len(d.Problems) > before {
			return
		}
		if len(*to) == 0 {
			d.Problem(n, field, "lists no pattern: write some, or leave it out")
		} else if err := messages.CheckPatternList(*to); err != nil {
			d.Problem(n, field, "%v", err)
		}
	}
}

// unquoted refuses what YAML makes of a pattern with ! in front that has no quotes: an empty value with a tag.
func (d *document) unquoted(n *yaml.Node, field string) {
	if n.Kind != yaml.SequenceNode {
		return
	}
	for _, item := range n.Content {
		if strings.HasPrefix(item.Tag, "!") && !strings.HasPrefix(item.Tag, "!!") {
			d.Problem(item, field, "%s without quotes is a tag of YAML, not a pattern: write %q", clip(item.Tag), clip(item.Tag+item.Value))
		}
	}
}

// resolveRefs completes what a pipeline says of its branches, tags and paths.
func (d *document) resolveRefs(x *declared, n *yaml.Node, field string) {
	p := &x.pipeline
	if v := value(n, "branches"); v != nil && value(n, "branch") != nil {
		d.Problem(v, join(field, "branches"), "is given beside branch: put that one into the list, and remove branch")
		return
	}
	if value(n, "branch") != nil && len(p.Tags) > 0 {
		p.Branches = []string{literal(p.Branch)}
	}
	for _, b := range p.Branches { // the first that is one stands for the pipeline where a person names none
		if !messages.IsPattern(b) {
			p.Branch = b
			break
		}
	}
	var err error
	if x.branches, err = messages.NewPatterns(p.Branches); err != nil {
		d.Problem(n, join(field, "branches"), "%v", err)
	}
	if x.tags, err = messages.NewPatterns(p.Tags); err != nil {
		d.Problem(n, join(field, "tags"), "%v", err)
	}
	if x.paths, err = messages.NewPatterns(x.pathList); err != nil {
		d.Problem(n, join(field, "paths"), "%v", err)
	}
	if len(p.Tags) == 0 && len(p.Branches) == 1 && p.Branch == p.Branches[0] {
		p.Branches = nil // as branch says it
	}
}

// literal is the pattern that matches a name alone.
func literal(name string) string {
	return strings.NewReplacer(`{`, `\{`, `}`, `\}`, `]`, `\]`, `!`, `\!`).Replace(name)
}
