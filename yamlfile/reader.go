package yamlfile

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Reader reads one file. Its methods add to Problems what is wrong.
type Reader struct {
	File     string // as it is named in problems
	Problems []Problem
	Warnings []Problem
	visits   int
	told     map[Problem]bool // what was, without its field
	passed   int              // values whose problem was told when their variables were replaced

	variables map[*yaml.Node]*replaced // the values in which some were replaced
}

const (
	// maxVisits bounds how many nodes are looked at, which aliases can multiply.
	maxVisits = 50_000
	// MaxProblems bounds how many are told at once: at so many nothing more is read.
	MaxProblems = 50
)

// Stopped tells that nothing more is read.
func (r *Reader) Stopped() bool { return r.visits >= maxVisits || len(r.Problems) >= MaxProblems }

// Troubles is how often something was wrong so far. It rises with what is read where that has a problem, also
// with one that is told elsewhere.
func (r *Reader) Troubles() int { return len(r.Problems) + r.passed }

// Problem adds one about a field at a node, which may be nil.
//
// The same about the same place is told once, however many aliases lead there.
func (r *Reader) Problem(n *yaml.Node, field, format string, args ...any) {
	r.Problems = r.with(r.Problems, n, r.at(n, field, format, args))
}

// with adds a problem at a node to others, unless it was told before.
func (r *Reader) with(others []Problem, n *yaml.Node, p Problem) []Problem {
	same := p
	same.Field = ""
	if n != nil && r.told[same] {
		return others
	}
	if r.told == nil {
		r.told = map[Problem]bool{}
	}
	r.told[same] = true
	return append(others, p)
}

// Warn is Problem for what may be meant.
func (r *Reader) Warn(n *yaml.Node, field, format string, args ...any) {
	r.Warnings = r.with(r.Warnings, n, r.at(n, field, format, args))
}

func (r *Reader) at(n *yaml.Node, field, format string, args []any) Problem {
	p := Problem{File: r.File, Field: field, Text: r.hide(n, fmt.Sprintf(format, args...))}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	return p
}

// Node follows an alias and counts the visit. It is nil when there were too many.
func (r *Reader) Node(n *yaml.Node, field string) *yaml.Node {
	if r.Stopped() {
		return nil
	}
	if r.visits++; r.visits == maxVisits {
		r.Problem(n, field, "the file has more than %d values, counting aliases each time: remove some", maxVisits)
		return nil
	}
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// Pairs calls read for each pair of a mapping whose key is new, and returns the keys, or
// nil when n is no mapping.
func (r *Reader) Pairs(n *yaml.Node, field string, read func(name string, k, v *yaml.Node)) map[string]bool {
	at := n
	n = r.Node(n, field)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		// Without the value, which may be a secret in the wrong place.
		r.Problem(at, field, "a %s where fields were expected: write it as name: value, one a line", kinds[n.Kind])
		return nil
	}
	seen, lines := map[string]bool{}, map[string]int{}
	for i := 0; i+1 < len(n.Content) && !r.Stopped(); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			r.Problem(k, field, "%s where the name of a field was expected", Describe(k))
			continue
		}
		if k.Tag == "!!merge" {
			r.Problem(k, field, "merge keys (<<) are not read: write the fields out, or alias a whole value")
			continue
		}
		if seen[k.Value] {
			r.Problem(k, Join(field, k.Value), "is given twice: remove one of them (the other is at line %d)", lines[k.Value])
			continue
		}
		seen[k.Value], lines[k.Value] = true, k.Line
		read(k.Value, k, v)
	}
	return seen
}

// List calls read for each item of a list.
func (r *Reader) List(n *yaml.Node, field string, read func(n *yaml.Node, field string)) {
	at := n
	n = r.Node(n, field)
	if n == nil {
		return
	}
	if n.Kind != yaml.SequenceNode {
		// Without the value, as above.
		r.Problem(at, field, "a %s where a list was expected: begin each item with a hyphen, or write [a, b]", kinds[n.Kind])
		return
	}
	for i, item := range n.Content {
		if r.Stopped() {
			return
		}
		read(item, fmt.Sprintf("%s[%d]", field, i))
	}
}

// Scalar returns a scalar's node if it has one of the tags.
func (r *Reader) Scalar(n *yaml.Node, field, want string, tags ...string) (*yaml.Node, bool) {
	at := n
	n = r.Node(n, field)
	if n != nil && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		n = r.fitting(n, tags)
	}
	switch {
	case n == nil:
		return nil, false
	case r.variables[n] != nil && r.variables[n].missing:
		r.passed++
		return nil, false
	case n.Kind != yaml.ScalarNode:
		r.Problem(at, field, "%s where %s was expected", Describe(n), want)
		return nil, false
	case n.Tag == "!!null":
		r.Problem(at, field, "has no value: give %s, or remove the line", want)
		return nil, false
	case !slices.Contains(tags, n.Tag):
		fix := ""
		if slices.Contains(tags, "!!str") {
			fix = ": put it in quotes"
		}
		r.Problem(at, field, "%s where %s was expected%s", Describe(n), want, fix)
		return nil, false
	}
	return n, true
}
