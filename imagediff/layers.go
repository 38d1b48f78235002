package imagediff

import (
	"strings"

	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// layers lists the layers of both images, those that both have once.
func layers(a, b *image) []Layer {
	common := sharedLayers(a.layers, b.layers)
	madeA, madeB := madeBy(&a.config, len(a.layers)), madeBy(&b.config, len(b.layers))
	in := func(all []ocispecs.Descriptor) map[digest.Digest]bool {
		out := map[digest.Digest]bool{}
		for _, l := range all {
			out[l.Digest] = true
		}
		return out
	}
	inA, inB := in(a.layers), in(b.layers)
	var out []Layer
	for i, l := range a.layers {
		of := OfFrom
		if i < common {
			of = OfBoth
		} else if inB[l.Digest] {
			continue // listed where the other one has it
		}
		out = append(out, Layer{of, l.Digest.String(), l.Size, madeA[i]})
	}
	for i, l := range b.layers[common:] {
		of := OfTo
		if inA[l.Digest] {
			of = OfBoth
		}
		out = append(out, Layer{of, l.Digest.String(), l.Size, madeB[common+i]})
	}
	return out
}

// mostBy bounds what is said of how a layer was made, in bytes.
const mostBy = 500

// madeBy says of each layer what made it, "" where the history is not of these layers.
func madeBy(config *ocispecs.Image, count int) []string {
	out := make([]string, 0, count)
	for _, h := range config.History {
		if h.EmptyLayer {
			continue
		}
		by := h.CreatedBy
		if by == "" {
			by = h.Comment
		}
		by = strings.TrimPrefix(strings.TrimPrefix(by, "/bin/sh -c "), "#(nop) ")
		if by = strings.Join(strings.Fields(by), " "); len(by) > mostBy {
			by = strings.ToValidUTF8(by[:mostBy], "") + "…"
		}
		out = append(out, by)
	}
	if len(out) != count {
		return make([]string, count)
	}
	return out
}
