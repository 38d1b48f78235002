package yamlfile

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// replaced is what variables made of a value.
type replaced struct {
	given   []given
	missing bool // one of them has no value: nothing more is said of it
}

// given is a variable as it is written, and what it stands for.
type given struct{ written, value string }

// Replace puts the values of variables, ${KIND:NAME} with one of the kinds, into the values below root. $${ stands
// for ${. It says what is wrong with a variable, where lookup doesn't tell its value, and with one in a key. From then on no problem shows
// what a variable stands for, as it may be a secret.
func (r *Reader) Replace(root *yaml.Node, kinds []string, lookup func(kind, name string) (string, error)) {
	if r.variables == nil {
		r.variables = map[*yaml.Node]*replaced{}
	}
	for i, n := range root.Content {
		if r.Stopped() {
			return
		}
		if n.Kind != yaml.ScalarNode {
			r.Replace(n, kinds, lookup)
			continue
		}
		if !strings.Contains(n.Value, "${") {
			continue
		}
		if root.Kind == yaml.MappingNode && i%2 == 0 {
			if kind, _, _ := cutVariable(n.Value, kinds); kind != "" {
				r.Problem(n, "", "the name of a field has a variable: variables are for values alone")
			}
			continue
		}
		r.replaceIn(n, kinds, lookup)
	}
}

// cutVariable finds the first variable of text: its kind, and what comes before it and after its colon.
func cutVariable(text string, kinds []string) (kind, before, after string) {
	at := len(text)
	for _, k := range kinds {
		if i := strings.Index(text, "${"+k+":"); i >= 0 && i < at {
			kind, at = k, i
		}
	}
	if kind == "" {
		return "", text, ""
	}
	return kind, text[:at], text[at+len("${"+kind+":"):]
}

func (r *Reader) replaceIn(n *yaml.Node, kinds []string, lookup func(kind, name string) (string, error)) {
	made := &replaced{}
	var out strings.Builder
	rest := n.Value
	for {
		kind, before, after := cutVariable(rest, kinds)
		if kind != "" && strings.HasSuffix(before, "$") { // escaped
			out.WriteString(strings.ReplaceAll(before[:len(before)-1], "$${", "${") + "${" + kind + ":")
			rest = after
			continue
		}
		out.WriteString(strings.ReplaceAll(before, "$${", "${"))
		if kind == "" {
			break
		}
		name, next, ended := strings.Cut(after, "}")
		written := "${" + kind + ":" + name + "}"
		value, err := "", error(nil)
		if ended {
			value, err = lookup(kind, name)
		}
		switch {
		case !ended:
			r.Problem(n, "", "%s has no } that ends it: write ${%s:NAME}", Clip("${"+kind+":"+name), kind)
		case err != nil:
			before := len(r.Problems)
			r.Problem(n, "", "%s: %v", Clip(written), err)
			if len(r.Problems) > before {
				r.Problems[before].Absent = isAbsent(err)
			}
		}
		made.missing = made.missing || !ended || err != nil
		made.given = append(made.given, given{written, value})
		out.WriteString(value)
		rest = next
	}
	if len(made.given) == 0 && out.String() == n.Value {
		return // it has something else that begins like a variable
	}
	n.Value = out.String()
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0 {
		n.Tag = "" // it may be a number
		n.Tag = n.ShortTag()
	}
	r.variables[n] = made
}

// AbsentError is returned by a lookup whose variable is right, but has its value elsewhere than on this machine.
type AbsentError struct{ Text string }

// Error is what is missing, and what to do.
func (e *AbsentError) Error() string { return e.Text }

func isAbsent(err error) bool {
	_, absent := err.(*AbsentError) //nolint:errorlint // a lookup's own
	return absent
}

// Replaced tells whether variables, or $${, were replaced in a value.
func (r *Reader) Replaced(n *yaml.Node) bool { return r.variables[n] != nil }

// fitting is a value in which variables were replaced, as the kind that is wanted where it can be that: whoever
// writes the variable can't tell what its value looks like.
func (r *Reader) fitting(n *yaml.Node, tags []string) *yaml.Node {
	made := r.variables[n]
	if made == nil || n.Style&yaml.TaggedStyle != 0 {
		return n
	}
	out := *n
	out.Style, out.Tag = 0, ""
	if out.Tag = out.ShortTag(); !slices.Contains(tags, out.Tag) && slices.Contains(tags, "!!str") {
		out.Tag = "!!str"
	}
	r.variables[&out] = made
	return &out
}

const (
	// leastHidden is the length from which what a variable stands for is hidden: shorter, it is no secret.
	leastHidden = 6
	// leastPart is how much of it may not be shown.
	leastPart = 4
)

// hide puts variables in place of what they stand for in a text about a node.
func (r *Reader) hide(n *yaml.Node, text string) string {
	for _, made := range r.variables {
		for _, g := range made.given {
			if len(g.value) < leastHidden {
				continue
			}
			quoted := strconv.Quote(g.value)
			for _, form := range []string{g.value, quoted[1 : len(quoted)-1], Clip(g.value)} {
				text = strings.ReplaceAll(text, form, g.written)
			}
		}
	}
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if made := r.variables[n]; made != nil {
		for _, g := range made.given {
			if len(g.value) >= leastHidden && partOf(g.value, strings.ReplaceAll(text, g.written, "")) {
				return "what " + Clip(g.written) + " stands for can't be used here (it is not shown): see what the field takes"
			}
		}
	}
	return text
}

// partOf tells whether any few characters of a value are in text.
func partOf(value, text string) bool {
	runes := []rune(value)
	for i := 0; i+leastPart <= len(runes); i++ {
		if strings.Contains(text, string(runes[i:i+leastPart])) {
			return true
		}
	}
	return false
}
