package apply

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// variable is FormatEnv: the lines that set one variable in a file as systemd's EnvironmentFile= and
// shells read it. All else stays to the byte.
type variable struct{ key string }

var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func newVariable(key string) (form, error) {
	if key == "" {
		key = DefaultVariable
	}
	if !variableForm.MatchString(key) {
		return nil, wrong(FieldKey, "%.60q is not the name of a variable: letters, digits and _ only", key)
	}
	return variable{key}, nil
}

func (e variable) name() string { return e.key + "=value" }

// render sets each assignment of the variable, as the last one counts and people look at the first, or
// adds one at the end.
func (e variable) render(content []byte, v Values) ([]byte, string, error) {
	all, open := assignments(content)
	out, had := slices.Clone(content), ""
	found := false
	for _, a := range slices.Backward(all) {
		if string(content[a.key[0]:a.key[1]]) != e.key {
			continue
		}
		if !found {
			had = firstLine(content[a.value[0]:a.value[1]])
		}
		found = true
		out = slices.Replace(out, a.value[0], a.value[1], []byte(v.Image)...)
	}
	switch {
	case open > 0:
		return nil, "", fmt.Errorf("line %d: its quote is not closed, so that what follows can't be told from it: close it", open)
	case found:
		return out, had, nil
	}
	if len(out) > 0 && !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, '\n')
	}
	out = append(out, e.key+"="+v.Image+"\n"...)
	if all, _ = assignments(out); len(all) == 0 || string(out[all[len(all)-1].key[0]:all[len(all)-1].key[1]]) != e.key {
		return nil, "", errors.New("its last line ends in a backslash, so that no line can follow: remove that")
	}
	return out, "", nil
}

// assignment is where a variable and its value stand.
type assignment struct{ key, value [2]int }

// assignments finds the assignments of an environment file, and the line of a quote that is not closed,
// or 0.
func assignments(b []byte) (all []assignment, open int) {
	for at := 0; at < len(b); {
		for at < len(b) && (b[at] == ' ' || b[at] == '\t') {
			at++
		}
		if bytes.HasPrefix(b[at:], []byte("export ")) {
			at += len("export ")
		}
		key := at
		for at < len(b) && b[at] != '=' && b[at] != '\n' && b[at] != '#' && b[at] != ';' {
			at++
		}
		if at == len(b) || b[at] != '=' { // empty, a comment, or nothing that sets a variable
			at = lineEnd(b, at)
			continue
		}
		a := assignment{key: [2]int{key, at}}
		value := at + 1
		end := valueEnd(b, value)
		if end < 0 {
			return all, 1 + bytes.Count(b[:value], []byte("\n"))
		}
		stop := end
		for stop > value && (b[stop-1] == '\r' || b[stop-1] == ' ' || b[stop-1] == '\t') {
			stop--
		}
		a.value = [2]int{value, stop}
		all, at = append(all, a), end+1
	}
	return all, 0
}

// lineEnd is where the line after at begins.
func lineEnd(b []byte, at int) int {
	if i := bytes.IndexByte(b[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(b)
}

// valueEnd is where the line of a value ends, that may go on over quotes and backslashes; -1 where a
// quote is not closed.
func valueEnd(b []byte, at int) int {
	var quote byte
	for ; at < len(b); at++ {
		switch c := b[at]; {
		case c == '\\' && quote != '\'':
			at++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '\n':
			return at
		}
	}
	if quote != 0 {
		return -1
	}
	return len(b)
}
