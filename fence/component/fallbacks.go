package component

import (
	"slices"
	"strings"

	"github.com/fenceline/fenceline/fence"
)

// ours is how many images of one repository by digest a list keeps: the one in front, the one
// before it, and as many as nodes keep by default besides these. Without a bound each flip would
// leave one more, of images that no node has any longer.
const ours = 4

// With is what stands under the key once an image is in front: the image alone where the key holds a
// string; in a list the image, then what was in front, then the rest in its order, without repeats.
// So the list grows by one at most. Of the images that came with earlier flips, which are of the same
// repository and named by their digest, the oldest are left out.
func (d *Document) With(image string) []string {
	if !d.List {
		return []string{image}
	}
	names := []string{image}
	for _, n := range d.kept(image) {
		names = append(names, d.Images[n])
	}
	return names
}

// kept are the places of the images that stay behind a new one.
func (d *Document) kept(image string) []int {
	var out []int
	seen := []string{image}
	same := 1
	for n, name := range d.Images {
		if slices.Contains(seen, name) {
			continue
		}
		if r := repository(name); r != "" && r == repository(image) {
			if same++; same > ours {
				continue
			}
		}
		seen = append(seen, name)
		out = append(out, n)
	}
	return out
}

// repository is that of an image that is named by its digest.
func repository(image string) string {
	name, _, _ := strings.Cut(image, "@sha256:")
	if name == image {
		return ""
	}
	return name
}

// After is the setting that Put makes.
func (d *Document) After(image string) fence.Setting {
	return (&Document{Key: d.Key, List: d.List, Images: d.With(image)}).Setting()
}
