package producer

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/suggest"
	"github.com/fenceline/fenceline/yamlfile"
	"go.yaml.in/yaml/v3"
)

// reader reads the kinds of values that a pipeline file has. Where it has a schema it reads nothing: what
// would read a value says there what it takes.
type reader struct {
	yamlfile.Reader
	schema *Schema

	partial bool // what is read completes something else: nothing of it is required
}

// key is a field of a mapping and what reads its value.
type key struct {
	name     string
	required string // why it is needed, or "" when it may be left out
	read     func(n *yaml.Node, field string)
}

// mapping reads a mapping with the given keys and no others.
func (r *reader) mapping(n *yaml.Node, field string, keys []key) {
	if r.schema != nil {
		r.describeFields(field, keys)
		return
	}
	seen := r.Pairs(n, field, func(name string, k, v *yaml.Node) {
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
		if i >= 0 {
			keys[i].read(v, join(field, name))
			return
		}
		names := make([]string, len(keys))
		for i, k := range keys {
			names[i] = k.name
		}
		r.Problem(k, field, "unknown field %q%s (known: %s)", clip(name), suggest.DidYouMean(name, names), strings.Join(names, ", "))
	})
	if seen == nil || r.partial {
		return
	}
	for _, k := range keys {
		if k.required != "" && !seen[k.name] {
			r.Problem(n, join(field, k.name), "is missing: %s", k.required)
		}
	}
}

// text reads a string that check, when there is one, does not refuse.
func (r *reader) text(to *string, check func(string) error) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		if r.schema != nil {
			r.schema.text(*to)
			return
		}
		v, ok := r.Scalar(n, field, "text", "!!str")
		if !ok {
			return
		}
		switch {
		case strings.ContainsAny(v.Value, "\r\n"):
			r.Problem(n, field, "has several lines: write it on one")
			return
		case strings.TrimSpace(v.Value) != v.Value:
			r.Problem(n, field, "has a space before or after it: remove that")
			return
		}
		if check != nil {
			if err := check(v.Value); err != nil {
				r.Problem(n, field, "%v", err)
				return
			}
		}
		*to = v.Value
		r.warnOfVariable(v, field)
	}
}

// List calls read for each item of a list.
func (r *reader) List(n *yaml.Node, field string, read func(n *yaml.Node, field string)) {
	if r.schema != nil {
		r.describeItems(field, read)
		return
	}
	r.Reader.List(n, field, read)
}

// Pairs calls read for each pair of a mapping whose key is new, and returns the keys, or nil when n is no mapping.
func (r *reader) Pairs(n *yaml.Node, field string, read func(name string, k, v *yaml.Node)) map[string]bool {
	if r.schema != nil {
		r.describePairs(read)
		return nil
	}
	return r.Reader.Pairs(n, field, read)
}

// Scalar returns a scalar's node if it has one of the tags.
func (r *reader) Scalar(n *yaml.Node, field, want string, tags ...string) (*yaml.Node, bool) {
	if r.schema != nil {
		r.schema.scalar(tags)
		return nil, false
	}
	return r.Reader.Scalar(n, field, want, tags...)
}

// variableForm is what other programs put values in the place of: ${NAME}, $NAME, $(COMMAND), {{ NAME }}, %NAME%.
var variableForm = regexp.MustCompile(`\$\{[^}]*\}?|\$\([^)]*\)?|\$[A-Za-z_][A-Za-z0-9_]*|\{\{.*\}\}|<%.*%>|%[A-Z_][A-Z0-9_]*%`)

// warnOfVariable warns of text that looks as if its author expected a value in its place.
func (r *reader) warnOfVariable(v *yaml.Node, field string) {
	if r.Replaced(v) {
		return
	}
	if found := variableForm.FindString(v.Value); found != "" {
		r.Warn(v, field, "%q is taken as it is, since a pipeline file has the variables ${env:NAME} and ${file:PATH} alone: write one of them, or the value itself (and $${ for ${)", clip(found))
	}
}

// Whole numbers as everybody reads them, and with a zero before them, which some take for octal.
var (
	numberForm = regexp.MustCompile(`^[+-]?(0|[1-9][0-9]*)$`)
	octalForm  = regexp.MustCompile(`^[+-]?0[0-9_]+$`)
)

// integer reads a whole number from low to high.
func (r *reader) integer(to *int, low, high int) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		if r.schema != nil {
			r.schema.integer(*to, low, high)
			return
		}
		want := fmt.Sprintf("a whole number from %d to %d", low, high)
		v, ok := r.Scalar(n, field, want, "!!int", "!!float", "!!str")
		if !ok {
			return
		}
		i, err := strconv.Atoi(v.Value)
		switch {
		case octalForm.MatchString(v.Value):
			r.Problem(n, field, "%s is octal to some readers and decimal to others: leave out the 0 before it", clip(v.Value))
		case v.Tag == "!!str" && err == nil:
			r.Problem(n, field, "the text %q where %s was expected: remove the quotes", clip(v.Value), want)
		case v.Tag == "!!str":
			r.Problem(n, field, "the text %q where %s was expected", clip(v.Value), want)
		case err == nil && !numberForm.MatchString(v.Value), err != nil, i < low, i > high:
			r.Problem(n, field, "%s is not %s: write it in plain digits", clip(v.Value), want)
		default:
			*to = i
		}
	}
}

// percent reads a percentage from 1% to 100%, with its sign.
func (r *reader) percent(n *yaml.Node, field string) (int, bool) { return r.percentFrom(1, n, field) }

// percentFrom is percent from another least one.
func (r *reader) percentFrom(least int, n *yaml.Node, field string) (int, bool) {
	if r.schema != nil {
		r.schema.percent(least)
		return 0, false
	}
	want := fmt.Sprintf("a percentage from %d%% to 100%%", least)
	v, ok := r.Scalar(n, field, want, "!!str", "!!int", "!!float")
	if !ok {
		return 0, false
	}
	digits, ok := strings.CutSuffix(v.Value, "%")
	i, err := strconv.Atoi(digits)
	if !ok || err != nil || i < least || i > 100 {
		r.Problem(n, field, "%s is not %s: write it with its sign, such as 50%%", clip(v.Value), want)
		return 0, false
	}
	return i, true
}

// truth reads true or false.
func (r *reader) truth(to *bool) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		if r.schema != nil {
			r.schema.truth(*to)
			return
		}
		v, ok := r.Scalar(n, field, "true or false", "!!bool", "!!str")
		if !ok {
			return
		}
		switch word := strings.ToLower(v.Value); {
		case v.Tag == "!!bool" && (word == "true" || word == "false"):
			*to = word == "true"
		case v.Tag == "!!bool": // by a tag of its own
			r.Problem(n, field, "%s is neither true nor false", clip(v.Value))
		case slices.Contains([]string{"yes", "y", "on", "true"}, word):
			r.Problem(n, field, "the text %q where true or false was expected: write true, without quotes", clip(v.Value))
		case slices.Contains([]string{"no", "n", "off", "false"}, word):
			r.Problem(n, field, "the text %q where true or false was expected: write false, without quotes", clip(v.Value))
		default:
			r.Problem(n, field, "the text %q where true or false was expected", clip(v.Value))
		}
	}
}

// dayForm is a duration with days or weeks, which have no one length.
var dayForm = regexp.MustCompile(`^[0-9.]+ ?[dw]`)

// duration reads a duration of at least low.
func (r *reader) duration(to *messages.Duration, low messages.Duration) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		if r.schema != nil {
			r.schema.duration(*to)
			return
		}
		v, ok := r.Scalar(n, field, "a duration such as 90s or 10m", "!!str", "!!int", "!!float")
		if !ok {
			return
		}
		d, err := messages.ParseDuration(v.Value)
		switch {
		case err != nil && dayForm.MatchString(v.Value):
			r.Problem(n, field, "duration %q has days: write them in hours, such as 24h", clip(v.Value))
		case err != nil:
			r.Problem(n, field, "%v", err)
		case d < low:
			r.Problem(n, field, "duration %s is too short: give at least %s", clip(v.Value), low)
		default:
			*to = d
		}
	}
}

// words reads a list of strings, each once.
func (r *reader) words(to *[]string, check func(string) error) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		seen := map[string]bool{}
		if r.schema != nil {
			r.schema.UniqueItems = true
		}
		r.List(n, field, func(n *yaml.Node, field string) {
			var word string
			before := r.Troubles()
			r.text(&word, check)(n, field)
			switch {
			case r.Troubles() > before:
			case seen[word]:
				r.Problem(n, field, "%q is listed twice: remove one of them", clip(word))
			default:
				seen[word] = true
				*to = append(*to, word)
			}
		})
	}
}

func join(field, name string) string { return yamlfile.Join(field, name) }

// clip shortens outside input for an error.
func clip(s string) string { return yamlfile.Clip(s) }
