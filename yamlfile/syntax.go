package yamlfile

import (
	"bytes"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

var (
	syntaxLine  = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)
	anchorWords = regexp.MustCompile(`^yaml: unknown anchor '(.*)' referenced`)
	// oddStart is what may come before a value on its line, and a character that no value begins with.
	oddStart = regexp.MustCompile("^(?:.*?[:-])?[ \t]*([@`%])")
)

// syntax makes a problem of what the parser said.
func (r *Reader) syntax(content []byte, said string) Problem {
	p := Problem{File: r.File, Text: "is not YAML: " + said}
	if m := anchorWords.FindStringSubmatch(said); m != nil {
		p.Line = brokenLine(content, strings.TrimPrefix(said, "yaml: "), 1+bytes.Count(before(content, "*"+m[1]), []byte("\n")))
		p.Text = "alias *" + Clip(m[1]) + " has no anchor &" + Clip(m[1]) + " before it: write the value out, or put it in quotes if it is text"
	} else if m := syntaxLine.FindStringSubmatch(said); m != nil {
		its, _ := strconv.Atoi(m[1]) // 0 where there is none
		p.Line = brokenLine(content, m[2], its)
		fix, column := mend(lineOf(content, p.Line), m[2])
		p.Text, p.Column = "is not YAML: "+m[2]+": "+fix, column
	}
	return p
}

// before is what content has before the first word.
func before(content []byte, word string) []byte {
	found, _, _ := bytes.Cut(content, []byte(word))
	return found
}

// lineOf is a line of content, by its number.
func lineOf(content []byte, number int) string {
	for range number - 1 {
		_, content, _ = bytes.Cut(content, []byte("\n"))
	}
	line, _, _ := bytes.Cut(content, []byte("\n"))
	return string(line)
}

// mend is what to do about a line with which the parser has trouble, and the column if that is known.
func mend(line, trouble string) (fix string, column int) {
	indentation := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	tab := strings.Index(indentation, "\t")
	odd := oddStart.FindStringSubmatchIndex(line)
	switch {
	case tab >= 0:
		return "there is a tab in the indentation: put spaces in its place", tab + 1
	case strings.Contains(trouble, "cannot start any token") && odd != nil:
		return "put text that begins with " + line[odd[2]:odd[3]] + " in quotes", 1 + utf8.RuneCountInString(line[:odd[2]])
	case strings.Contains(line, "${") && strings.Contains(trouble, "did not find expected"):
		return "put text with ${ in quotes within { } and [ ]", 0
	case strings.Contains(trouble, "unknown escape"):
		return "a backslash in double quotes begins an escape: use single quotes", 0
	case strings.Contains(trouble, "mapping values are not allowed"):
		return "put text with a colon in quotes, and check the indentation there and on the line above", 0
	case strings.Contains(trouble, "incompatible YAML"):
		return "remove the line that begins with %YAML", 0
	case strings.Contains(trouble, "max depth"):
		return "no file needs so many levels: is it the right one?", 0
	}
	return "check the indentation and quotes there and on the line above", 0
}

// maxSearched bounds the content that is parsed again and again to find a line. The parser's own number does for more.
const maxSearched = 64 << 10

// brokenLine is the first line with which the parser has the trouble that it has with all of them. Its own number is
// that of the line before, or of where the mapping begins that has the trouble, or it gives none.
func brokenLine(content []byte, trouble string, its int) int {
	if len(content) > maxSearched {
		return its
	}
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
				return m != nil && m[2] == trouble
			}
		}
	})
}
