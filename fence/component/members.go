package component

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// span is a part of a text: from a byte on, up to another.
type span struct{ from, to int }

func (s span) of(text []byte) []byte { return text[s.from:s.to] }

// object is where the parts of an object stand in a text.
type object struct {
	members []member
	end     int // behind its last member, or behind the brace that opens it
}

type member struct {
	name  string // decoded: two ways to write a name are one name
	value span
}

// last is the value of a name. Where a document has a name twice, readers of JSON take the last.
func (o object) last(name string) (at span, ok bool) {
	for _, m := range o.members {
		if m.name == name {
			at, ok = m.value, true
		}
	}
	return at, ok
}

var errKind = errors.New("another kind of value")

// readObject finds the members of an object that stands in valid JSON.
func readObject(text []byte, at span) (object, error) {
	d, err := opened(text, at, '{')
	if err != nil {
		return object{}, err
	}
	o := object{end: at.from + int(d.InputOffset())}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return object{}, fmt.Errorf("reading a name: %w", err)
		}
		value, err := next(d, at.from)
		if err != nil {
			return object{}, err
		}
		o.members = append(o.members, member{name.(string), value})
		o.end = value.to
	}
	return o, nil
}

// readItems finds the items of a list that stands in valid JSON.
func readItems(text []byte, at span) ([]span, error) {
	d, err := opened(text, at, '[')
	if err != nil {
		return nil, err
	}
	var items []span
	for d.More() {
		item, err := next(d, at.from)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func opened(text []byte, at span, delim json.Delim) (*json.Decoder, error) {
	d := json.NewDecoder(bytes.NewReader(at.of(text)))
	d.UseNumber()
	if first, err := d.Token(); err != nil || first != delim {
		return nil, errors.Join(errKind, err)
	}
	return d, nil
}

// next is where a decoder's next value stands.
func next(d *json.Decoder, base int) (span, error) {
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return span{}, fmt.Errorf("reading a value: %w", err)
	}
	to := base + int(d.InputOffset())
	return span{to - len(raw), to}, nil
}
