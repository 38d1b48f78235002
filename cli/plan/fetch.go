package plan

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// Fetch is what a node would fetch.
type Fetch struct {
	Node string `json:"node"`
	// Bytes are of the layers that the node lacks of the last image, on the bases as they are now; Most are those of an
	// image none of whose own layers is the last one's. -1 where that is not known.
	Bytes int64 `json:"bytes"`
	Most  int64 `json:"most"`
	Free  int64 `json:"free"` // of its engine's disk, as it says; -1 where that is not known
	// Short is what is wrong where the most it may fetch, unpacked, leaves less free than the node keeps.
	Short string `json:"short,omitempty"`
}

// expected is the image that a push would make, as far as it can be told before: the last one, on the bases as
// they are now.
type expected struct {
	shelf    *shelf
	layers   []distributor.Layer
	contents []string // what they unpack to
	base     int      // so many of layers, from the lowest, are its base's
	why      string   // it is not known; or ""
}

// expect puts together what an image would be made of.
func (c *Config) expect(ctx context.Context, last *messages.ImageReady, b *Bases) *expected {
	e := &expected{shelf: newShelf(c.Catalog, c.Pipeline.Platform)}
	if last == nil {
		e.why = "there is no image yet to go by"
		return e
	}
	layers, err := e.shelf.layers(ctx, last.Image)
	if err != nil {
		e.why = fmt.Sprintf("reading the last image's layers: %v", c.NameFlags(err))
		return e
	}
	e.layers = layers
	defer func() { e.contents = distributor.ContentOf(e.layers) }()
	var under messages.PinnedBase
	for _, p := range last.Bases {
		below := e.shelf.contents(ctx, p.Image)
		if n := len(below); n > e.base && distributor.Shared(e.shelf.contents(ctx, last.Image), below) == n {
			e.base, under = n, p
		}
	}
	i := slices.IndexFunc(b.Sources, func(s Source) bool {
		return s.State == BaseMoved && s.Source == under.Source && s.Before == under.Image
	})
	if i < 0 {
		return e
	}
	if below, err := e.shelf.layers(ctx, b.Sources[i].Image); err == nil {
		e.layers, e.base = append(slices.Clone(below), layers[e.base:]...), len(below)
	} else {
		e.why = fmt.Sprintf("reading the layers of the base as it is now: %v", c.NameFlags(err))
	}
	return e
}

// fetch says what a node would fetch, by the images that it says it has.
func (e *expected) fetch(ctx context.Context, n *messages.NodeStatus) Fetch {
	f := Fetch{Node: n.Node, Bytes: -1, Most: -1, Free: n.FreeBytes}
	if e.why != "" {
		return f
	}
	held := e.held(ctx, n)
	f.Bytes, _ = distributor.Takes(e.layers[held:])
	room := distributor.Room{Free: n.FreeBytes}
	room.Fetch, room.Unpacked = distributor.Takes(e.layers[min(held, e.base):])
	room.Needs = distributor.Sum(room.Fetch, room.Unpacked)
	f.Most = room.Fetch
	if stays := cmp.Or(n.MinFreeBytes, distributor.DefaultMinFreeBytes); !room.Fits(stays) {
		f.Short = fmt.Sprintf("no room: it may need %s (%s to fetch, %s unpacked), %s are free and %s must stay free",
			messages.Size(room.Needs), messages.Size(room.Fetch), messages.Size(room.Unpacked), messages.Size(room.Free), messages.Size(stays))
	}
	return f
}

// held is how many of the layers, from the lowest, a node has.
func (e *expected) held(ctx context.Context, n *messages.NodeStatus) int {
	most := 0
	see := func(image messages.Image) {
		if image != "" {
			most = max(most, distributor.Shared(e.contents, e.shelf.contents(ctx, image)))
		}
	}
	for _, i := range n.Images {
		see(i.Image)
	}
	for _, l := range n.Ledger {
		see(l.Image)
	}
	return most
}
