package producer

import (
	"bytes"
	"encoding/json"
	"iter"
	"reflect"
	"strings"
)

// textList is a list of texts in a payload. It stays as it came until it is looked through: as strings, many short ones would take
// many times the memory of the payload.
type textList struct{ raw []byte } // a JSON array of strings, a part of the payload; nil for none

var _ json.Unmarshaler = (*textList)(nil)

// UnmarshalJSON takes a list, or null for none. The payload has to stay as it is.
func (l *textList) UnmarshalJSON(raw []byte) error {
	l.raw = nil
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	if !bytes.HasPrefix(raw, []byte("[")) {
		return &json.UnmarshalTypeError{Value: kindOf(raw[0]), Type: reflect.TypeFor[[]string]()}
	}
	for i := 1; i < len(raw)-1; {
		switch raw[i] {
		case '"':
			i = textEnd(raw, i)
		case ' ', '\t', '\r', '\n', ',':
			i++
		default:
			return &json.UnmarshalTypeError{Value: kindOf(raw[i]), Type: reflect.TypeFor[string]()}
		}
	}
	l.raw = raw
	return nil
}

// kindOf is what begins with a byte, in JSON's words.
func kindOf(first byte) string {
	switch first {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "bool"
	case 'n':
		return "null"
	}
	return "number"
}

// textEnd is the index after the string that begins at one, in JSON that is known to be well formed.
func textEnd(raw []byte, at int) int {
	for i := at + 1; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}

// given tells whether there is a list, be it an empty one.
func (l textList) given() bool { return l.raw != nil }

// all are the texts of it.
func (l textList) all() iter.Seq[string] {
	return func(yield func(string) bool) {
		for at := bytes.IndexByte(l.raw, '"'); at >= 0 && at < len(l.raw); {
			end := textEnd(l.raw, at)
			if !yield(textOf(l.raw[at:end])) {
				return
			}
			next := bytes.IndexByte(l.raw[end:], '"')
			if next < 0 {
				return
			}
			at = end + next
		}
	}
}

// textOf is what a string in JSON says.
func textOf(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return strings.ToValidUTF8(string(quoted[1:len(quoted)-1]), "\ufffd")
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // it is known to be well formed
	return s
}

// first are the first n texts of it.
func (l textList) first(n int) []string {
	var out []string
	for s := range l.all() {
		if out = append(out, s); len(out) == n {
			break
		}
	}
	return out
}

// fileLists are lists of files.
type fileLists []textList

// all are the files of them.
func (f fileLists) all() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, l := range f {
			for s := range l.all() {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// atLeast tells whether there are as many.
func (f fileLists) atLeast(n int) bool {
	for range f.all() {
		if n--; n <= 0 {
			break
		}
	}
	return n <= 0
}

// count is how many there are.
func (f fileLists) count() int {
	n := 0
	for range f.all() {
		n++
	}
	return n
}
