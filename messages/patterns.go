package messages

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Patterns are a list of patterns of names, as pipelines have of branches, tags and paths. The last one
// that matches a name decides: a pattern with ! in front takes out what those before it took in.
//
// In a pattern * stands for any text without a slash, ** for any text, ? for one character that is no slash, [a-c]
// for one of these and [!a-c] or [^a-c] for one of the others, [0-9]+ for one or more of these, and {a,b} for one of
// these texts. A \ takes the next character as it is. Case counts. The zero value matches nothing.
type Patterns struct{ list []pattern }

type pattern struct {
	text  string
	out   bool // it takes out
	match *regexp.Regexp
}

// maxPatterns bounds a list, and maxPatternBytes one pattern.
const (
	maxPatterns     = 100
	maxPatternBytes = 500
)

// NewPatterns reads a list of patterns. The error names the first that is none.
func NewPatterns(list []string) (Patterns, error) {
	var p Patterns
	for _, text := range list {
		x, err := readPattern(text)
		if err != nil {
			return Patterns{}, err
		}
		p.list = append(p.list, x)
	}
	if err := CheckPatternList(list); err != nil {
		return Patterns{}, err
	}
	return p, nil
}

// CheckPatternList tells whether a list of patterns, each of which is one, can match anything.
func CheckPatternList(list []string) error {
	if len(list) > maxPatterns {
		return fmt.Errorf("lists %d patterns, and %d are read at most: write fewer that match more", len(list), maxPatterns)
	}
	if len(list) > 0 && strings.HasPrefix(list[0], "!") {
		return fmt.Errorf("begins with %q, which takes out of what comes before it, and nothing does: begin with what is taken, such as \"**\"", clip(list[0]))
	}
	return nil
}

// CheckPattern tells whether s is a pattern.
func CheckPattern(s string) error {
	_, err := readPattern(s)
	return err
}

// CheckRefPattern tells whether s is a pattern that a branch or a tag can match. what is which of them.
func CheckRefPattern(what, s string) error {
	name := strings.TrimPrefix(s, "!")
	for _, full := range []string{"refs/heads/", "refs/tags/", "refs/"} {
		if rest, ok := strings.CutPrefix(name, full); ok {
			return fmt.Errorf("%q is a full ref: write the name of a %s alone, such as %q", clip(s), what, clip(rest))
		}
	}
	if err := CheckPattern(s); err != nil {
		return err
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("~:", r) }); i >= 0 {
		return fmt.Errorf("%q has %q, which no %s has in its name: remove it", clip(s), name[i:i+1], what)
	}
	switch {
	case strings.HasPrefix(name, "/"), strings.Contains(name, "//"):
		return fmt.Errorf("%q has a slash too many: no %s matches it", clip(s), what)
	case strings.HasSuffix(name, "/"):
		return fmt.Errorf("%q ends in a slash, which no %s does: write %q for all below it", clip(s), what, clip(s+"**"))
	}
	return nil
}

// IsPattern tells whether s is a pattern that is no plain name.
func IsPattern(s string) bool { return strings.ContainsAny(s, `*?[]{}\`) || strings.HasPrefix(s, "!") }

// Match tells whether the list takes a name, and the pattern that decided; "" where none matches.
func (p Patterns) Match(name string) (by string, ok bool) {
	for i := len(p.list) - 1; i >= 0; i-- {
		if x := p.list[i]; x.match.MatchString(name) {
			return x.text, !x.out
		}
	}
	return "", false
}

func readPattern(text string) (pattern, error) {
	p := pattern{text: text}
	glob, out := strings.CutPrefix(text, "!")
	p.out = out
	bad := func(format string, args ...any) (pattern, error) {
		return pattern{}, fmt.Errorf("%q is not a pattern: %w", clip(text), fmt.Errorf(format, args...))
	}
	switch {
	case glob == "":
		return bad("it is empty: write a name, or ** for all")
	case len(text) > maxPatternBytes:
		return bad("it has %d bytes, and %d are read at most", len(text), maxPatternBytes)
	case strings.HasPrefix(glob, "!"):
		return bad("it has two ! in front: write one to take out, none to take in")
	}
	expression, err := expressionOf(glob)
	if err != nil {
		return bad("%w", err)
	}
	if p.match, err = regexp.Compile(`^(?:` + expression + `)$`); err != nil { // cannot be: all is quoted
		return bad("%w", err)
	}
	return p, nil
}

// expressionOf translates a pattern into a regular expression, which takes time in proportion to a name's length.
func expressionOf(glob string) (string, error) {
	out, braces := strings.Builder{}, false
	out.WriteString(`(?s)`)
	runes := []rune(glob)
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; {
		case c == '\\' && i+1 == len(runes):
			return "", errors.New(`nothing follows the \ at its end: remove it`)
		case c == '\\':
			i++
			out.WriteString(regexp.QuoteMeta(string(runes[i])))
		case c == '*' && i+1 < len(runes) && runes[i+1] == '*':
			for i+1 < len(runes) && runes[i+1] == '*' {
				i++
			}
			// **/ matches nothing, too, so that **/x is x in whatever folder.
			if i+1 < len(runes) && runes[i+1] == '/' && (out.Len() == len(`(?s)`) || strings.HasSuffix(out.String(), "/")) {
				i++
				out.WriteString(`(?:.*/)?`)
			} else {
				out.WriteString(`.*`)
			}
		case c == '*':
			out.WriteString(`[^/]*`)
		case c == '?':
			out.WriteString(`[^/]`)
		case c == '[':
			class, length, err := classOf(runes[i:])
			if err != nil {
				return "", err
			}
			out.WriteString(class)
			i += length - 1
		case c == ']':
			return "", errors.New(`a ] without a [ before it: write \] for the character`)
		case c == '{' && braces:
			return "", errors.New("a { within another: write the texts out")
		case c == '{':
			braces = true
			out.WriteString(`(?:`)
		case c == '}' && !braces:
			return "", errors.New(`a } without a { before it: write \} for the character`)
		case c == '}':
			braces = false
			out.WriteString(`)`)
		case c == ',' && braces:
			out.WriteString(`|`)
		default:
			out.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	if braces {
		return "", errors.New(`a { without a } after it: write \{ for the character`)
	}
	return out.String(), nil
}

// classOf translates the class that a pattern begins with, and returns its length.
func classOf(runes []rune) (expression string, length int, err error) {
	i, not := 1, ""
	if i < len(runes) && (runes[i] == '!' || runes[i] == '^') {
		not = "/" // as * does, it stays within a folder
		i++
	}
	var out strings.Builder
	first := i
	for ; i < len(runes) && (runes[i] != ']' || i == first); i++ {
		low := runes[i]
		if low == '\\' && i+1 < len(runes) {
			i++
			low = runes[i]
		}
		high := low
		if i+2 < len(runes) && runes[i+1] == '-' && runes[i+2] != ']' {
			high = runes[i+2]
			i += 2
		}
		if high < low {
			return "", 0, fmt.Errorf("the range %c-%c runs backwards: write %c-%c", low, high, high, low)
		}
		fmt.Fprintf(&out, `\x{%x}-\x{%x}`, low, high)
	}
	if i >= len(runes) {
		return "", 0, errors.New(`a [ without a ] after it: write \[ for the character`)
	}
	expression, length = "["+out.String()+"]", i+1
	if not != "" {
		expression = "[^/" + out.String() + "]"
	}
	if length < len(runes) && runes[length] == '+' {
		return expression + "+", length + 1, nil
	}
	if length < len(runes) && runes[length] == '?' {
		return "", 0, errors.New("a ? after a [...] does not make it optional: write two patterns, one with it and one without")
	}
	return expression, length, nil
}
