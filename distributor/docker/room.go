package docker

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

const (
	// manifestTimeout bounds the look at what a registry says of an image.
	manifestTimeout = 5 * time.Second
	// contentTimeout is the same for a content, whose mirrors have time limits of their own.
	contentTimeout = 15 * time.Second
)

// Room reads the image's manifest, and compares it with the images that the engine
// has. A pull takes as much as travels and as much as that is unpacked, at one time: the classic store keeps
// what it fetched until it is unpacked, containerd's for as long as the image.
func (e *Engine) Room(ctx context.Context, image messages.Image, from distributor.Content) (distributor.Room, error) {
	stores, err := e.stores(ctx)
	if err != nil {
		return distributor.Room{}, err
	}
	r := distributor.Room{Needs: -1, Free: -1}
	if len(disksOf(stores)) == 0 { // no registry need be asked
		return r, nil
	}
	e.looking.Lock()
	defer e.looking.Unlock()
	limit := manifestTimeout
	if from != nil {
		limit = contentTimeout
	}
	look, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found, err := e.toFetch(look, image, from)
	if err != nil {
		r.Unknown = fmt.Errorf("reading the manifest of %s: %w", image, err)
		return r, context.Cause(ctx)
	}
	held, err := e.sharedWith(ctx, found)
	if err != nil {
		return distributor.Room{}, err
	}
	found.measure(look, held)
	fetch, unpacked := distributor.Takes(found.layers[held:])
	if e.isBefore(apiDigests) { // it keeps the archive, and takes that apart, before it unpacks the layers
		fetch = distributor.Sum(fetch, fetch)
	}
	for _, d := range disksOf(stores) {
		on := distributor.Room{Free: d.free}
		if d.fetched {
			on.Fetch = fetch
		}
		if d.unpacked {
			on.Unpacked = unpacked
		}
		on.Needs = distributor.Sum(on.Fetch, on.Unpacked)
		if r.Free < 0 || on.Free-on.Needs < r.Free-r.Needs {
			r = on
		}
	}
	return r, nil
}

// toFetch reads the manifest of an image, from its registry where no content is given. An engine that is fed is fed
// from a content.
func (e *Engine) toFetch(ctx context.Context, image messages.Image, from distributor.Content) (*remoteImage, error) {
	stacks, err := e.stacks(ctx)
	if err == nil && stacks && from == nil {
		from, err = e.open(image)
	}
	if err != nil {
		return nil, err
	}
	return e.manifestOf(ctx, image, from)
}

// sharedWith is how many layers of an image, from the lowest, the engine has.
func (e *Engine) sharedWith(ctx context.Context, image *remoteImage) (int, error) {
	if e.isBefore(apiDigests) {
		ids, err := image.legacyIDs()
		if err != nil {
			return 0, err
		}
		held, err := e.heldStack(ctx, ids)
		if err != nil {
			return 0, e.fault(ctx, "looking for layers", err)
		}
		return held, nil
	}
	return e.held(ctx, distributor.ContentOf(image.layers))
}

// disk is a file system with images.
type disk struct {
	device            uint64
	free              int64
	fetched, unpacked bool
}

// disksOf are the disks that folders are on, without those that are not to be seen from here.
func disksOf(stores []store) []disk {
	var out []disk
	for _, s := range stores {
		free := freeBytes(s.root)
		if free < 0 {
			continue
		}
		d := disk{deviceOf(s.root), free, s.fetched, s.unpacked}
		known := false
		for i := range out {
			if out[i].device == d.device {
				out[i].fetched, out[i].unpacked, known = out[i].fetched || d.fetched, out[i].unpacked || d.unpacked, true
			}
		}
		if !known {
			out = append(out, d)
		}
	}
	return out
}

// held is how many layers of an image, from the lowest, the engine has. What an update is based on is known from an
// earlier look: where that image is still there, no more is to be gained by a list of all, which takes an engine
// with many images longer than all else that is asked before a pull.
func (e *Engine) held(ctx context.Context, layers []string) (int, error) {
	if nearest, n := e.nearest(layers); n > 0 && n >= len(layers)-1 {
		if _, err := e.api().ImageInspect(ctx, nearest); err == nil {
			return n, nil
		}
	}
	if err := e.learnChains(ctx); err != nil {
		return 0, err
	}
	_, n := e.nearest(layers)
	return n, nil
}

// noteChain takes in the layers of an image that the engine has since it was asked last.
func (e *Engine) noteChain(id string, layers []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known := maps.Clone(e.layers) // a look may have the old one in hand
	if known == nil {
		known = map[string][]string{}
	}
	known[id] = layers
	e.layers = known
}

// nearest is the ID of the known image that shares the most layers with another, and how many those are.
func (e *Engine) nearest(layers []string) (id string, most int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, chain := range e.layers {
		if n := distributor.Shared(layers, chain); n > most {
			id, most = i, n
		}
	}
	return id, most
}

// learnChains has the layers of each image that the engine has known, from the lowest, by their content.
func (e *Engine) learnChains(ctx context.Context) error {
	list, err := e.api().ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return e.fault(ctx, "listing images", err)
	}
	e.mu.Lock()
	known := e.layers
	e.mu.Unlock()
	now := map[string][]string{}
	for _, i := range list.Items {
		chain, is := known[i.ID]
		if !is {
			got, err := e.api().ImageInspect(ctx, i.ID)
			if err != nil { // what it can't read it has to fetch
				continue
			}
			chain = got.RootFS.Layers
		}
		now[i.ID] = chain
	}
	e.mu.Lock()
	e.layers = now
	e.mu.Unlock()
	return nil
}
