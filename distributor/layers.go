package distributor

import "math"

// Layer is one of an image, from its manifest and configuration.
type Layer struct {
	Digest   string // of the blob that travels
	Content  string // the digest of what that unpacks to
	Size     int64  // of the blob
	Unpacked int64  // -1 where it is not known
}

// Takes is what is to be fetched of layers, and what it is unpacked. A blob that is several layers travels
// once.
func Takes(layers []Layer) (fetch, unpacked int64) {
	travels := map[string]bool{}
	for _, l := range layers {
		unpacked = Sum(unpacked, l.Unpacked)
		if !travels[l.Digest] {
			travels[l.Digest] = true
			fetch = Sum(fetch, l.Size)
		}
	}
	return fetch, unpacked
}

// Shared is how many layers, from the lowest, an image begins with that another has, both by what they unpack to.
// An engine knows a layer by all that are below it.
func Shared(layers, chain []string) int {
	n := 0
	for n < len(chain) && n < len(layers) && chain[n] == layers[n] {
		n++
	}
	return n
}

// ContentOf is what layers unpack to.
func ContentOf(layers []Layer) []string {
	out := make([]string, 0, len(layers))
	for _, l := range layers {
		out = append(out, l.Content)
	}
	return out
}

// Sum adds sizes that strangers may have written.
func Sum(a, b int64) int64 {
	if a, b = max(a, 0), max(b, 0); a <= math.MaxInt64-b {
		return a + b
	}
	return math.MaxInt64
}
