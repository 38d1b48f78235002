package component

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Put is the document's text with an image in front, as With has it. Nothing else in it is
// written anew: each other byte stays what it was, and what stays of a list too.
func (d *Document) Put(name string) []byte {
	value := quoted(name)
	if d.List {
		value = d.list(name)
	}
	switch {
	case d.value != nil:
		return d.replaced(*d.value, value)
	case d.null != nil:
		return d.replaced(*d.null, slices.Concat([]byte(`{"image":`), value, []byte("}")))
	case d.docker != nil:
		return d.added(*d.docker, image, value)
	default:
		return d.added(d.root, docker, slices.Concat([]byte(`{"image":`), value, []byte("}")))
	}
}

func (d *Document) list(name string) []byte {
	parts := [][]byte{quoted(name)}
	for _, n := range kept(d.Images, name) {
		parts = append(parts, d.items[n].of(d.text))
	}
	return slices.Concat([]byte("["), bytes.Join(parts, []byte(",")), []byte("]"))
}

// added is the text with one more member at the end of an object.
func (d *Document) added(o object, name string, value []byte) []byte {
	m := slices.Concat(quoted(name), []byte(":"), value)
	if len(o.members) > 0 {
		m = slices.Concat([]byte(","), m)
	}
	return d.replaced(span{o.end, o.end}, m)
}

func (d *Document) replaced(at span, value []byte) []byte {
	return slices.Concat(d.text[:at.from], value, d.text[at.to:])
}

// quoted is a string as JSON has it, with no more escaped than must be.
func quoted(s string) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // strings can always be written
		panic(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
