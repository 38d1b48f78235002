package producer

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
	"github.com/fenceline/fenceline/suggest"
	"go.yaml.in/yaml/v3"
)

// reader reads a YAML document node by node, so that every problem has its line, and goes
// on after each, so that all are reported together.
type reader struct {
	file     string
	problems []Problem
	warnings []Problem
	visits   int
}

const (
	// maxVisits bounds how many nodes are looked at, which aliases can multiply.
	maxVisits = 50_000
	// maxProblems bounds how many are told at once.
	maxProblems = 50
)

// stopped tells that nothing more is read.
func (r *reader) stopped() bool { return r.visits >= maxVisits || len(r.problems) >= maxProblems }

func (r *reader) problem(n *yaml.Node, field, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: r.file, Line: line(n), Field: field, Text: fmt.Sprintf(format, args...)})
}

func (r *reader) warn(n *yaml.Node, field, format string, args ...any) {
	r.warnings = append(r.warnings, Problem{File: r.file, Line: line(n), Field: field, Text: fmt.Sprintf(format, args...)})
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

// document parses content, which must be one document, and returns its root or nil.
func (r *reader) document(content []byte) *yaml.Node {
	if !r.printable(content) {
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(content))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if err == nil {
		if err = dec.Decode(&second); err == nil {
			r.problem(&second, "", "a second YAML document begins here: one file is one document, remove the ---")
			return nil
		}
	} else if errors.Is(err, io.EOF) {
		r.problem(nil, "", "the file is empty: it needs version: 1 and a list of pipelines")
		return nil
	}
	if !errors.Is(err, io.EOF) {
		r.problems = append(r.problems, r.syntax(content, err.Error()))
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		r.problem(&doc, "", "the file is empty: it needs version: 1 and a list of pipelines")
		return nil
	}
	return doc.Content[0]
}

// printable refuses what is not text, since the parser does so without a line.
func (r *reader) printable(content []byte) bool {
	line := 1
	for rest := content; len(rest) > 0; {
		c, size := utf8.DecodeRune(rest)
		p := Problem{File: r.file, Line: line}
		switch {
		case c == '\n':
			line++
		case c == utf8.RuneError && size == 1:
			p.Text = "is not UTF-8: save the file in that encoding"
		case c != '\t' && c != '\r' && c != '\u0085' && unicode.IsControl(c):
			p.Text = fmt.Sprintf("has the control character %q: remove it", c)
		}
		if p.Text != "" {
			r.problems = append(r.problems, p)
			return false
		}
		rest = rest[size:]
	}
	return true
}

// syntax makes a problem of what the parser said.
func (r *reader) syntax(content []byte, said string) Problem {
	p := Problem{File: r.file, Text: "is not YAML: " + said}
	if m := anchorWords.FindStringSubmatch(said); m != nil {
		before, _, _ := bytes.Cut(content, []byte("*"+m[1]))
		p.Line = 1 + bytes.Count(before, []byte("\n"))
		p.Text = fmt.Sprintf("alias *%s has no anchor &%s before it: write the value out, or put it in quotes if it is text", clip(m[1]), clip(m[1]))
	} else if m := syntaxLine.FindStringSubmatch(said); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Text = "is not YAML: " + m[2] + ": check the indentation and quotes there and on the line above"
	}
	return p
}

// node follows an alias and counts the visit. It is nil when there were too many.
func (r *reader) node(n *yaml.Node, field string) *yaml.Node {
	if r.stopped() {
		return nil
	}
	if r.visits++; r.visits == maxVisits {
		r.problem(n, field, "the file has more than %d values, counting aliases each time: remove some", maxVisits)
		return nil
	}
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// key is a field of a mapping and what reads its value.
type key struct {
	name     string
	required string // why it is needed, or "" when it may be left out
	read     func(n *yaml.Node, field string)
}

// mapping reads a mapping with the given keys and no others.
func (r *reader) mapping(n *yaml.Node, field string, keys []key) {
	seen := r.pairs(n, field, func(name string, k, v *yaml.Node) {
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
		if i >= 0 {
			keys[i].read(v, join(field, name))
			return
		}
		names := make([]string, len(keys))
		for i, k := range keys {
			names[i] = k.name
		}
		if name == "<<" {
			r.problem(k, field, "merge keys (<<) are not read: write the fields out, or alias a whole value")
			return
		}
		r.problem(k, field, "unknown field %q%s (known: %s)", clip(name), suggest.DidYouMean(name, names), strings.Join(names, ", "))
	})
	if seen == nil {
		return
	}
	for _, k := range keys {
		if k.required != "" && !seen[k.name] {
			r.problem(n, join(field, k.name), "is missing: %s", k.required)
		}
	}
}

// pairs calls read for each pair of a mapping whose key is new, and returns the keys, or
// nil when n is no mapping.
func (r *reader) pairs(n *yaml.Node, field string, read func(name string, k, v *yaml.Node)) map[string]bool {
	at := n
	n = r.node(n, field)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		// Without the value, which may be a secret in the wrong place.
		r.problem(at, field, "a %s where fields were expected: write it as name: value, one a line", kinds[n.Kind])
		return nil
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content) && !r.stopped(); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			r.problem(k, field, "%s where the name of a field was expected", describe(k))
			continue
		}
		if seen[k.Value] {
			r.problem(k, join(field, k.Value), "is given twice: remove one of them")
			continue
		}
		seen[k.Value] = true
		read(k.Value, k, v)
	}
	return seen
}

// list calls read for each item of a list.
func (r *reader) list(n *yaml.Node, field string, read func(n *yaml.Node, field string)) {
	at := n
	n = r.node(n, field)
	if n == nil {
		return
	}
	if n.Kind != yaml.SequenceNode {
		// Without the value, as above.
		r.problem(at, field, "a %s where a list was expected: begin each item with a hyphen, or write [a, b]", kinds[n.Kind])
		return
	}
	for i, item := range n.Content {
		if r.stopped() {
			return
		}
		read(item, fmt.Sprintf("%s[%d]", field, i))
	}
}

// scalar returns a scalar's node if it has one of the tags.
func (r *reader) scalar(n *yaml.Node, field, want string, tags ...string) (*yaml.Node, bool) {
	at := n
	n = r.node(n, field)
	switch {
	case n == nil:
		return nil, false
	case n.Kind != yaml.ScalarNode:
		r.problem(at, field, "%s where %s was expected", describe(n), want)
		return nil, false
	case n.Tag == "!!null":
		r.problem(at, field, "has no value: give %s, or remove the line", want)
		return nil, false
	case !slices.Contains(tags, n.Tag):
		fix := ""
		if slices.Contains(tags, "!!str") {
			fix = ": put it in quotes"
		}
		r.problem(at, field, "%s where %s was expected%s", describe(n), want, fix)
		return nil, false
	}
	return n, true
}

// text reads a string that check, when there is one, does not refuse.
func (r *reader) text(to *string, check func(string) error) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		v, ok := r.scalar(n, field, "text", "!!str")
		if !ok {
			return
		}
		if check != nil {
			if err := check(v.Value); err != nil {
				r.problem(n, field, "%v", err)
				return
			}
		}
		*to = v.Value
	}
}

// integer reads a whole number from low to high.
func (r *reader) integer(to *int, low, high int) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		want := fmt.Sprintf("a whole number from %d to %d", low, high)
		v, ok := r.scalar(n, field, want, "!!int")
		if !ok {
			return
		}
		i, err := strconv.Atoi(v.Value)
		if err != nil || i < low || i > high {
			r.problem(n, field, "%s is not %s", clip(v.Value), want)
			return
		}
		*to = i
	}
}

// percent reads a percentage from 1% to 100%, with its sign.
func (r *reader) percent(n *yaml.Node, field string) (int, bool) {
	const want = "a percentage from 1% to 100%"
	v, ok := r.scalar(n, field, want, "!!str", "!!int", "!!float")
	if !ok {
		return 0, false
	}
	digits, ok := strings.CutSuffix(v.Value, "%")
	i, err := strconv.Atoi(digits)
	if !ok || err != nil || i < 1 || i > 100 {
		r.problem(n, field, "%s is not %s: write it with its sign, such as 50%%", clip(v.Value), want)
		return 0, false
	}
	return i, true
}

// truth reads true or false.
func (r *reader) truth(to *bool) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		v, ok := r.scalar(n, field, "true or false", "!!bool")
		switch {
		case !ok:
		case strings.EqualFold(v.Value, "true"), strings.EqualFold(v.Value, "false"):
			*to = strings.EqualFold(v.Value, "true")
		default: // by a tag of its own
			r.problem(n, field, "%s is neither true nor false", clip(v.Value))
		}
	}
}

// duration reads a duration of at least low.
func (r *reader) duration(to *messages.Duration, low messages.Duration) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		v, ok := r.scalar(n, field, "a duration such as 90s or 10m", "!!str", "!!int", "!!float")
		if !ok {
			return
		}
		d, err := messages.ParseDuration(v.Value)
		switch {
		case err != nil:
			r.problem(n, field, "%v", err)
		case d < low:
			r.problem(n, field, "duration %s is too short: give at least %s", clip(v.Value), low)
		default:
			*to = d
		}
	}
}

// words reads a list of strings, each once.
func (r *reader) words(to *[]string, check func(string) error) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		seen := map[string]bool{}
		r.list(n, field, func(n *yaml.Node, field string) {
			var word string
			before := len(r.problems)
			r.text(&word, check)(n, field)
			switch {
			case len(r.problems) > before:
			case seen[word]:
				r.problem(n, field, "%q is listed twice: remove one of them", clip(word))
			default:
				seen[word] = true
				*to = append(*to, word)
			}
		})
	}
}

var kinds = map[yaml.Kind]string{yaml.SequenceNode: "list", yaml.ScalarNode: "single value", yaml.MappingNode: "mapping"}

func describe(n *yaml.Node) string {
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
		return "the number " + clip(n.Value)
	case "!!bool":
		return "the truth value " + clip(n.Value)
	case "!!str":
		return fmt.Sprintf("the text %q", clip(n.Value))
	}
	return fmt.Sprintf("%q, a %s,", clip(n.Value), clip(strings.TrimPrefix(n.Tag, "!!")))
}

func join(field, name string) string {
	if field == "" {
		return clip(name)
	}
	return field + "." + clip(name)
}

// clip shortens outside input for an error.
func clip(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}
