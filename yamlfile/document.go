package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

var (
	syntaxLine  = regexp.MustCompile(`^yaml: (?:line \d+: )?(.*)`)
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
		p.Line = brokenLine(content, strings.TrimPrefix(said, "yaml: "))
		p.Text = fmt.Sprintf("alias *%s has no anchor &%s before it: write the value out, or put it in quotes if it is text", Clip(m[1]), Clip(m[1]))
	} else if m := syntaxLine.FindStringSubmatch(said); m != nil {
		p.Line = brokenLine(content, m[1])
		p.Text = "is not YAML: " + m[1] + ": check the indentation and quotes there and on the line above"
	}
	return p
}

// brokenLine is the first line with which the parser has the trouble that it has with all of them. Its own number is
// that of the line before, or of where the mapping begins that has the trouble, or it gives none.
func brokenLine(content []byte, trouble string) int {
	var ends []int // of lines, in content
	for i, c := range content {
		if c == '\n' || i == len(content)-1 {
			ends = append(ends, i+1)
		}
	}
	return 1 + sort.Search(len(ends)-1, func(n int) bool {
		dec := yaml.NewDecoder(bytes.NewReader(content[:ends[n]]))
		for {
			var doc yaml.Node
			if err := dec.Decode(&doc); err != nil {
				m := syntaxLine.FindStringSubmatch(err.Error())
				return m != nil && m[1] == trouble
			}
		}
	})
}
