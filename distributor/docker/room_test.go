package docker

import (
	"fmt"
	"math"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func sized(digest, content string, size, unpacked int64) layer {
	return layer{v1.Descriptor{Digest: v1.Hash{Hex: digest}, Size: size}, content, unpacked, false}
}

func TestWhatAPullTakes(t *testing.T) {
	image := []layer{sized("a", "A", 10, 30), sized("b", "B", 5, 20), sized("b", "B", 5, 20), sized("c", "C", 1, 2)}
	for what, c := range map[string]struct {
		layers          []layer
		there           [][]string
		fetch, unpacked int64
	}{
		"of an engine that has nothing; a blob that is there twice travels once": {image, nil, 16, 72},
		"beside the base":                                     {image, [][]string{{"X"}, {"A", "Y"}}, 6, 42},
		"beside two images, of which one has more":            {image, [][]string{{"A"}, {"A", "B", "B"}}, 1, 2},
		"beside a layer that is on another one":               {image, [][]string{{"B", "B", "C"}}, 16, 72},
		"of an image that is there":                           {image, [][]string{{"A", "B", "B", "C", "D"}}, 0, 0},
		"of sizes that nobody can have":                       {[]layer{sized("a", "A", math.MaxInt64, 1), sized("b", "B", math.MaxInt64, math.MaxInt64)}, nil, math.MaxInt64, math.MaxInt64},
		"of sizes below nothing, which make up for no others": {[]layer{sized("a", "A", -5, -1), sized("b", "B", 7, 9)}, nil, 7, 9},
		"of no layer": {nil, [][]string{nil, {"A"}}, 0, 0},
	} {
		fetch, unpacked := takes(c.layers[most(c.layers, c.there):])
		if fetch != c.fetch || unpacked != c.unpacked {
			t.Errorf("%s: %d bytes travel and unpack to %d, want %d and %d", what, fetch, unpacked, c.fetch, c.unpacked)
		}
	}
}

// most is how many layers the nearest of some images shares.
func most(layers []layer, there [][]string) int {
	e := Engine{layers: map[string][]string{}}
	for i, chain := range there {
		e.layers[fmt.Sprint(i)] = chain
	}
	_, n := e.nearest(contents(layers))
	return n
}

func TestHowLargeAGzipFileUnpacks(t *testing.T) {
	for _, c := range []struct {
		size int64
		said uint32
		want int64
	}{
		{1000, 5000, 5000},
		{1000, 990, 990},            // what can't be compressed
		{1000, 7, 1<<32 + 7},        // beyond what four bytes say
		{5 << 30, 7, 2<<32 + 7},     // far beyond
		{5 << 30, 5, 2<<32 + 5},     //
		{math.MaxInt64, 0, 1 << 62}, // a lie, and no long work
		{-1, 3, 3},
	} {
		got := unpackedSize(c.size, c.said)
		if c.size == math.MaxInt64 && got >= c.want || got == c.want {
			continue
		}
		t.Errorf("%d bytes that end with %d unpack to %d, want %d", c.size, c.said, got, c.want)
	}
}

// A disk each for what is fetched and what is unpacked, or one for both.
func TestDisksOfStores(t *testing.T) {
	one := disksOf([]store{{t.TempDir(), true, false}, {t.TempDir(), false, true}, {"/no/such/folder", true, true}})
	if len(one) != 1 || !one[0].fetched || !one[0].unpacked || one[0].free <= 0 {
		t.Errorf("two folders of one disk are %+v", one)
	}
	two := disksOf([]store{{t.TempDir(), true, false}, {"/proc", false, true}})
	if len(two) != 2 || two[0].unpacked || two[1].fetched {
		t.Errorf("folders of two disks are %+v", two)
	}
}
