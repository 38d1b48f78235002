package console

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

const (
	// textMost is the longest text that is shared, in bytes, and textsMost how many bytes are, with textCost for each: with more all
	// are let go, and are shared anew as they come.
	textMost  = 400
	textCost  = 64
	textsMost = 1 << 20
)

// texts has what many records say the same, once: of a fleet of ten thousand nodes most of what is kept.
type texts struct {
	bytes  int
	all    map[string]string
	labels map[string]map[string]string // by their texts
}

// one is a text, of which another copy may be there already.
func (t *texts) one(s string) string {
	if kept, is := t.all[s]; is {
		return kept
	}
	if s == "" || len(s) > textMost {
		return s
	}
	s = strings.Clone(s) // it may be part of a longer one
	t.room(len(s))
	t.all[s] = s
	return s
}

// room makes room for so many bytes.
func (t *texts) room(bytes int) {
	if t.bytes += bytes + textCost; t.bytes > textsMost || t.all == nil {
		*t = texts{bytes + textCost, map[string]string{}, map[string]map[string]string{}}
	}
}

// keep makes a heartbeat into what is kept of it. Slices have the room that they need, and no more.
func (t *texts) keep(v *messages.NodeStatus) {
	for _, s := range []*string{&v.Version, &v.Engine.Name, &v.Engine.Version, &v.Engine.API, &v.Mirror} {
		*s = t.one(*s)
	}
	v.Labels = t.set(v.Labels)
	v.Images, v.Containers = slices.Clone(v.Images), slices.Clone(v.Containers)
	for i := range v.Images {
		p := &v.Images[i]
		p.Image, p.ID, p.Local = messages.Image(t.one(string(p.Image))), t.one(p.ID), t.one(p.Local)
	}
	for i := range v.Containers {
		c := &v.Containers[i]
		c.Container, c.Image = t.one(c.Container), t.one(c.Image)
	}
}

// set is a node's labels, which many have alike.
func (t *texts) set(labels map[string]string) map[string]string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(&b, "%q=%q ", name, labels[name]) // whatever a node says, no other labels are written so
	}
	if kept := t.labels[b.String()]; kept != nil {
		return kept
	}
	if b.Len() > 0 && b.Len() <= textMost {
		t.room(b.Len())
		t.labels[b.String()] = labels
	}
	return labels
}
