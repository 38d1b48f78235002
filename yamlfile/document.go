package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
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
	if isUTF16(content) {
		r.Problems = append(r.Problems, Problem{File: r.File, Line: 1, Text: "is UTF-16, which Windows calls Unicode: save the file as UTF-8"})
		return false
	}
	line, column := 1, 0
	for rest := content; len(rest) > 0; {
		c, size := utf8.DecodeRune(rest)
		column++
		p := Problem{File: r.File, Line: line, Column: column}
		switch {
		case c == '\n':
			line, column = line+1, 0
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

// isUTF16 tells whether content begins as text in that encoding does: with its mark, or with one byte of two zero.
func isUTF16(content []byte) bool {
	if len(content) < 2 {
		return false
	}
	a, b := content[0], content[1]
	return a == 0xff && b == 0xfe || a == 0xfe && b == 0xff || (a == 0) != (b == 0)
}
