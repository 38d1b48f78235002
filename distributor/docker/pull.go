package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// Pull fetches an image by digest. The bytes are those of the layers as they travel. Those of layers that come fast are known
// where Room has read the image's manifest before.
func (e *Engine) Pull(ctx context.Context, image messages.Image, progress func(distributor.Progress)) (int64, error) {
	doing := "pulling " + string(image)
	if stacks, err := e.stacks(ctx); err != nil || stacks {
		if err != nil {
			return 0, e.fault(ctx, doing, err)
		}
		return e.pullStack(ctx, image, progress)
	}
	login, err := e.logins.of(image)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	fixes := fixes()
	fixes[distributor.ErrRegistry] = "check that the registry runs and that the engine's host reaches it"
	fixes[distributor.ErrUnauthorized] = login.fix
	answer, err := e.api().ImagePull(ctx, string(image), client.ImagePullOptions{RegistryAuth: login.header})
	if err != nil {
		return 0, e.explain(ctx, doing, err, fixes)
	}
	e.mu.Lock()
	r := e.wanted
	e.mu.Unlock()
	if r != nil && r.image != image {
		r = nil
	}
	layers := newFetchedLayers(r)
	for m, err := range answer.JSONMessages(ctx) {
		if err == nil && m.Error != nil {
			err = m.Error
		}
		if err != nil {
			return layers.bytes(), e.pullFault(ctx, doing, e.orGone(ctx, err), fixes)
		}
		layers.note(m)
		progress(layers.progress(m.ID))
	}
	// That the stream ended without an error proves nothing, as it ends like this when the engine dies.
	got, err := e.Inspect(ctx, image)
	if err != nil {
		return layers.bytes(), err
	}
	if r != nil {
		e.noteChain(got.ID, distributor.ContentOf(r.layers))
	}
	return layers.bytes(), nil
}

// pullFault is explain for what ended a pull. What keeps the engine from taking in this image and not
// another one is the image's fault.
func (e *Engine) pullFault(ctx context.Context, doing string, err error, fixes map[error]string) error {
	hint, suspect := unfit(err, versions.LessThan(e.api().ClientVersion(), "1.42"))
	if ctx.Err() == nil && suspect && kindOf(err) == nil && e.takesAnother(ctx, doing) == nil {
		return fmt.Errorf("%s: %w: %w%s", doing, distributor.ErrImage, err, hint)
	}
	return e.explain(ctx, doing, err, fixes)
}

// unfit tells whether an error of a pull reads as if the engine could not take in what it fetched, with
// what that means where its words don't say. An engine is old where it can't unpack zstd.
func unfit(err error, old bool) (hint string, suspect bool) {
	text := strings.ToLower(err.Error())
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	switch {
	case has("max depth exceeded", "mount options is too long"):
		return "; the image has more layers than this engine can stack: join RUN and COPY steps, or build from the base's first image", true
	case old && has("invalid tar header", "error processing tar file", "zstd"):
		return "; an engine before 23 can't unpack layers that are compressed with zstd, which reads like this: build from a base with gzip layers, or update the engine", true
	case has("failed to register layer", "failed to extract layer", "failed to unpack", "failed to apply", "no matching manifest", "media type", "mediatype"):
		return "", true
	}
	return "", false
}

// orGone adds to the error of a stream that broke off that the engine is gone, where it is.
func (e *Engine) orGone(ctx context.Context, err error) error {
	if gone := e.alive(ctx); gone != nil {
		return errors.Join(gone, err)
	}
	return err
}

// fetchedLayers has what was fetched of each layer, by the short ID the engine gives it.
type fetchedLayers struct {
	sizes map[string]int64 // of all layers, by the manifest, where that was read
	all   map[string]fetchedLayer
}

// fetchedLayer is how far the fetch of one layer is.
type fetchedLayer struct {
	bytes, size int64
	there       bool // the engine had it
}

// newFetchedLayers has none fetched yet of an image, or of one whose manifest was not read where that is nil.
func newFetchedLayers(r *remoteImage) fetchedLayers {
	f := fetchedLayers{map[string]int64{}, map[string]fetchedLayer{}}
	if r != nil {
		for _, l := range r.layers {
			if hex := hexOf(l.Digest); len(hex) > shortID {
				f.sizes[hex[:shortID]] = l.Size
			}
		}
	}
	return f
}

// shortID is how long the IDs are that engines give layers.
const shortID = 12

// note takes a line of progress. "Downloading" counts bytes that travel; "Extracting" counts the same
// bytes again, or time. Engines leave lines out: they look every 100 ms how far they are, or drop what nobody has read yet. So the
// last line seldom has all bytes, and a layer that comes fast has no line with bytes at all. The size counts once the layer is
// complete, from whichever line has it, or from the manifest.
func (f fetchedLayers) note(m jsonstream.Message) {
	l := f.all[m.ID]
	switch counts := m.Progress != nil && m.Progress.Units == ""; {
	case m.Status == "Already exists":
		l = fetchedLayer{there: true}
	case m.Status == "Downloading" && counts:
		l.there = false // it had the layer elsewhere than where the image has it too
		l.bytes, l.size = max(l.bytes, m.Progress.Current), max(l.size, m.Progress.Total)
	case l.there:
		return
	case m.Status == "Verifying Checksum", m.Status == "Download complete", m.Status == "Extracting", m.Status == "Pull complete":
		l.size = max(l.size, f.sizes[m.ID])
		if m.Status == "Extracting" && counts {
			l.size = max(l.size, m.Progress.Total)
		}
		l.bytes = max(l.bytes, l.size)
	default:
		return
	}
	f.all[m.ID] = l
}

// progress is how far the fetch is, of the layers whose sizes were told. moved is the ID of a line; that
// of the first names the image's tag or digest.
func (f fetchedLayers) progress(moved string) distributor.Progress {
	p := distributor.Progress{Bytes: f.bytes()}
	for id, layer := range f.all {
		p.Total += layer.size
		if id == moved && !layer.there {
			p.Layer = id
		}
	}
	return p
}

// bytes is how many were fetched of all layers.
func (f fetchedLayers) bytes() int64 {
	var sum int64
	for _, layer := range f.all {
		sum += layer.bytes
	}
	return sum
}
