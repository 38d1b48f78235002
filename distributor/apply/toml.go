package apply

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlKey is FormatTOML: the value of one key, wherever it stands in the file. All else stays to the byte.
type tomlKey struct {
	path []string
	of   string // the name of the table, among those that an array of tables has; "" for all
	at   int    // how many parts of path, from its beginning, name that array
}

var keyForm = regexp.MustCompile(`^([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)(?:\[([^\[\]]+)\])?((?:\.[A-Za-z0-9_-]+)*)$`)

func newTOMLKey(key string) (form, error) {
	if key == "" {
		key = DefaultTOMLKey
	}
	m := keyForm.FindStringSubmatch(key)
	if m == nil || m[2] != "" && m[3] == "" {
		return nil, wrong(FieldKey, "%.80q is not the key of a TOML file, such as %s, or runners[NAME].docker.image for the runner of that name alone", key, DefaultTOMLKey)
	}
	k := tomlKey{path: strings.Split(m[1]+m[3], "."), of: m[2], at: strings.Count(m[1], ".") + 1}
	return k, nil
}

func (k tomlKey) name() string {
	array, rest := strings.Join(k.path[:k.at], "."), strings.Join(k.path[k.at:], ".")
	switch {
	case k.of != "":
		return array + "[" + k.of + "]." + rest
	case rest != "":
		return array + "." + rest
	}
	return array
}

// render sets each value of the key, in quotes.
func (k tomlKey) render(content []byte, v Values) ([]byte, string, error) {
	w := walk{tomlKey: k}
	w.Reset(content)
	for w.NextExpression() {
		w.expression(w.Expression())
	}
	if err := w.Error(); err != nil {
		return nil, "", asDecodeError(content, err)
	}
	if len(w.found) == 0 {
		return nil, "", fmt.Errorf("has no %s: write it once, with any image, so that it is known where it belongs", k.name())
	}
	out, had := slices.Clone(content), string(bytes.Trim(content[w.found[0][0]:w.found[0][1]], `"'`))
	for _, at := range slices.Backward(w.found) {
		out = slices.Replace(out, at[0], at[1], []byte(`"`+v.Image+`"`)...)
	}
	return out, firstLine([]byte(had)), nil
}

// asDecodeError says where a file is no TOML.
func asDecodeError(content []byte, err error) error {
	var at *toml.DecodeError
	var any map[string]any
	if errors.As(toml.Unmarshal(content, &any), &at) {
		line, column := at.Position()
		return fmt.Errorf("line %d, column %d: is no TOML: %w", line, column, err)
	}
	return fmt.Errorf("is no TOML: %w", err)
}

// walk looks for a key while it reads a file.
type walk struct {
	unstable.Parser
	tomlKey
	table []string // the one that it is in
	named string   // the name of the last table of the array
	found [][2]int // where the values stand
}

func (w *walk) expression(n *unstable.Node) {
	switch n.Kind {
	case unstable.Table, unstable.ArrayTable:
		w.table = parts(n.Key())
		if n.Kind == unstable.ArrayTable && slices.Equal(w.table, w.path[:w.at]) {
			w.named = ""
		}
	case unstable.KeyValue:
		w.pair(w.table, n)
	}
}

// pair looks at a key and its value, and into what that holds.
func (w *walk) pair(under []string, n *unstable.Node) {
	path, value := slices.Concat(under, parts(n.Key())), n.Value()
	switch {
	case value.Kind == unstable.InlineTable:
		for all := value.Children(); all.Next(); {
			w.pair(path, all.Node())
		}
	case value.Kind != unstable.String:
	case len(path) == w.at+1 && path[w.at] == "name" && slices.Equal(path[:w.at], w.path[:w.at]):
		w.named = string(value.Data)
	case slices.Equal(path, w.path) && (w.of == "" || w.of == w.named):
		from := int(value.Raw.Offset)
		w.found = append(w.found, [2]int{from, from + int(value.Raw.Length)})
	}
}

// parts are those of a dotted key.
func parts(key unstable.Iterator) []string {
	var out []string
	for key.Next() {
		out = append(out, string(key.Node().Data))
	}
	return out
}
