package kato

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	stackato "github.com/fenceline/fenceline/fence/component"
)

const (
	component = "fence"
	section   = "docker"
)

// parse reads what `kato config get -j fence` printed. Errors go on from these words. They quote little
// of it: a component's document can hold secrets.
func parse(out []byte) (*stackato.Document, error) {
	out = withoutWarnings(out)
	if len(out) == 0 {
		return nil, errors.New("printed nothing: is this kato the cluster's own?")
	}
	var top map[string]json.RawMessage
	if err := decode(out, &top); err != nil {
		return nil, fmt.Errorf("printed no JSON document (%s): %w: is this kato the cluster's own, and does a login script of its user print?", beginning(out), err)
	}
	if top == nil { // null: nothing was ever set
		out = []byte("{}")
	}
	if _, ok := top[section]; !ok && len(top) > 0 {
		return nil, fmt.Errorf("answered for another component: there is no %q in it, but %s", section, names(top))
	}
	d, err := stackato.Read(out)
	if err != nil {
		return nil, fmt.Errorf("answered what fence can't read: %w", err)
	}
	return d, nil
}

// decode reads one JSON value with nothing behind it.
func decode(b []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the document")
	}
	return nil
}

// withoutWarnings leaves out the lines that begin with WARNING. No line within a JSON document does.
func withoutWarnings(out []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(out) {
		if !bytes.HasPrefix(line, []byte("WARNING")) {
			kept = append(kept, line...)
		}
	}
	return bytes.TrimSpace(kept)
}

// names are some of a document's keys.
func names(top map[string]json.RawMessage) string {
	keys := slices.Sorted(maps.Keys(top))
	var quoted []string
	for _, k := range keys[:min(len(keys), 4)] {
		quoted = append(quoted, fmt.Sprintf("%q", clip(k, 40)))
	}
	return strings.Join(quoted, ", ")
}

// beginning quotes how an answer begins, without passwords of addresses.
func beginning(out []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return fmt.Sprintf("it begins with %q", clip(hidden(line), 60))
}

var userinfo = regexp.MustCompile(`://[^\s/@]*@`)

// hidden is a text without the userinfo of its URLs.
func hidden(s string) string { return userinfo.ReplaceAllString(s, "://…@") }

// clip is the beginning of a text.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
