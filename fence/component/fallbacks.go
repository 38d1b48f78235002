package component

import (
	"slices"
	"strings"

	"github.com/fenceline/fenceline/fence"
)

// localHost is what the names begin with that nodes give images, a tag for each build.
const localHost = "fenceline.local/"

// Leading is a list of images with one in front, then the one that was in front until now, then what was
// there, each once. So it grows by one at most. Earlier builds of the same image leave, or it would grow with
// each flip: nodes don't keep them, so that they are no fallback.
func Leading(images []string, image string) []string {
	list := []string{image}
	for _, n := range kept(images, image) {
		list = append(list, images[n])
	}
	return list
}

// kept are the places of the images that stay behind a new one.
func kept(images []string, image string) []int {
	var out []int
	seen := []string{image}
	for n, old := range images {
		earlier := n > 0 && builtAs(image) != "" && builtAs(old) == builtAs(image)
		if !earlier && !slices.Contains(seen, old) {
			seen, out = append(seen, old), append(out, n)
		}
	}
	return out
}

// builtAs is what the names of all builds of an image begin with, in either form that a flip sets: with a
// digest, or as nodes name them. It is "" for names that people give.
func builtAs(image string) string {
	if name, _, ok := strings.Cut(image, "@"); ok {
		return name
	}
	if i := strings.LastIndex(image, ":"); i >= 0 && strings.HasPrefix(image, localHost) {
		return image[:i]
	}
	return ""
}

// With is what stands under the key once an image is in front: the image alone where the key holds a
// string, else the list that it leads.
func (d *Document) With(image string) []string {
	if !d.List {
		return []string{image}
	}
	return Leading(d.Images, image)
}

// After is the setting that Put makes.
func (d *Document) After(image string) fence.Setting {
	return (&Document{Key: d.Key, List: d.List, Images: d.With(image)}).Setting()
}
