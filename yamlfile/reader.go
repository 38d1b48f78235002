// Package yamlfile reads YAML documents that people write, node by node: every problem has its
// line, and reading goes on after each, so that all are reported together.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fenceline/fenceline/messages"
	"go.yaml.in/yaml/v3"
)

// Reader reads one file. Its methods add to Problems what is wrong.
type Reader struct {
	File     string // as it is named in problems
	Problems []Problem
	Warnings []Problem
	visits   int
}

const (
	// maxVisits bounds how many nodes are looked at, which aliases can multiply.
	maxVisits = 50_000
	// MaxProblems bounds how many are told at once: at so many nothing more is read.
	MaxProblems = 50
)

// Stopped tells that nothing more is read.
func (r *Reader) Stopped() bool { return r.visits >= maxVisits || len(r.Problems) >= MaxProblems }

// Problem adds one about a field at a node, which may be nil.
func (r *Reader) Problem(n *yaml.Node, field, format string, args ...any) {
	r.Problems = append(r.Problems, Problem{File: r.File, Line: line(n), Field: field, Text: fmt.Sprintf(format, args...)})
}

// Warn is Problem for what may be meant.
func (r *Reader) Warn(n *yaml.Node, field, format string, args ...any) {
	r.Warnings = append(r.Warnings, Problem{File: r.File, Line: line(n), Field: field, Text: fmt.Sprintf(format, args...)})
}

func line(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	return n.Line
}

var (
	syntaxLine  = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)
	anchorWords = regexp.MustCompile(`^yaml: unknown anchor '(.*)' referenced`)
)

// Document parses content, which must be one document, and returns its root, or nil where there
// is none to read. An empty one is a problem where empty says which.
func (r *Reader) Document(content []byte, empty string) *yaml.Node {
	if !r.printable(content) {
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(content))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if err == nil {
		if err = dec.Decode(&second); err == nil {
			r.Problem(&second, "", "a second YAML document begins here: one file is one document, remove the ---")
			return nil
		}
	} else if errors.Is(err, io.EOF) {
		r.empty(nil, empty)
		return nil
	}
	if !errors.Is(err, io.EOF) {
		r.Problems = append(r.Problems, r.syntax(content, err.Error()))
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		r.empty(&doc, empty)
		return nil
	}
	return doc.Content[0]
}

func (r *Reader) empty(n *yaml.Node, needs string) {
	if needs != "" {
		r.Problem(n, "", "the file is empty: it needs %s", needs)
	}
}

// printable refuses what is not text, since the parser does so without a line.
func (r *Reader) printable(content []byte) bool {
	line := 1
	for rest := content; len(rest) > 0; {
		c, size := utf8.DecodeRune(rest)
		p := Problem{File: r.File, Line: line}
		switch {
		case c == '\n':
			line++
		case c == utf8.RuneError && size == 1:
			p.Text = "is not UTF-8: save the file in that encoding"
		case c != '\t' && c != '\r' && c != '\u0085' && unicode.IsControl(c):
			p.Text = fmt.Sprintf("has the control character %q: remove it", c)
		}
		if p.Text != "" {
			r.Problems = append(r.Problems, p)
			return false
		}
		rest = rest[size:]
	}
	return true
}

// syntax makes a problem of what the parser said.
func (r *Reader) syntax(content []byte, said string) Problem {
	p := Problem{File: r.File, Text: "is not YAML: " + said}
	if m := anchorWords.FindStringSubmatch(said); m != nil {
		before, _, _ := bytes.Cut(content, []byte("*"+m[1]))
		p.Line = 1 + bytes.Count(before, []byte("\n"))
		p.Text = fmt.Sprintf("alias *%s has no anchor &%s before it: write the value out, or put it in quotes if it is text", Clip(m[1]), Clip(m[1]))
	} else if m := syntaxLine.FindStringSubmatch(said); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Text = "is not YAML: " + m[2] + ": check the indentation and quotes there and on the line above"
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
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content) && !r.Stopped(); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			r.Problem(k, field, "%s where the name of a field was expected", Describe(k))
			continue
		}
		if seen[k.Value] {
			r.Problem(k, Join(field, k.Value), "is given twice: remove one of them")
			continue
		}
		seen[k.Value] = true
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
	switch {
	case n == nil:
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
