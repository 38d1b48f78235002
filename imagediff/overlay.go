package imagediff

import (
	"path"
	"strings"
)

// node is a place in an image.
type node struct {
	kind   kind // isFolder, isFile, isLink or isOther
	target string
	file   *file
	inside map[string]*node // of a folder
}

func newFolder() *node { return &node{kind: isFolder, inside: map[string]*node{}} }

// overlay is what layers make of the entries that are wanted.
type overlay struct {
	root  *node
	far   map[string]bool // what hard links name and is not there
	steps int             // that were gone along paths
}

// newOverlay lays layers over each other, the lowest first.
func newOverlay(layers [][]entry) *overlay {
	o := &overlay{root: newFolder(), far: map[string]bool{}}
	for _, l := range layers {
		o.lay(l)
	}
	return o
}

// lay lays a layer over what is there. What it takes away is of lower layers, wherever in the layer that stands.
func (o *overlay) lay(layer []entry) {
	for _, e := range layer {
		switch e.kind {
		case isWhiteout:
			if at := o.find(path.Dir(e.path)); at.node != nil && at.node.kind == isFolder {
				delete(at.node.inside, path.Base(e.path))
			}
		case isOpaque:
			if at := o.find(e.path); at.node != nil && at.node.kind == isFolder {
				clear(at.node.inside)
			}
		default:
		}
	}
	for _, e := range layer {
		if e.kind != isWhiteout && e.kind != isOpaque && e.path != "." {
			o.put(e)
		}
	}
}

// put puts an entry where its path leads, as what unpacks a layer does: folders on the way that are links are followed.
func (o *overlay) put(e entry) {
	dir, base := o.folder(path.Dir(e.path)), path.Base(e.path)
	if dir == nil {
		return
	}
	was := dir.inside[base]
	switch e.kind {
	case isFolder:
		if was == nil || was.kind != isFolder {
			dir.inside[base] = newFolder()
		}
	case isFile:
		dir.inside[base] = &node{kind: isFile, file: e.file}
	case isLink:
		dir.inside[base] = &node{kind: isLink, target: e.target}
	case isSameAs:
		same := o.lookUp(path.Dir(e.target), path.Base(e.target))
		if same != nil && same.kind == isFolder { // which no engine makes
			same = &node{kind: isOther}
		}
		if same == nil {
			o.far[e.target] = true
			same = &node{kind: isFile, file: &file{lost: "it is a link to /" + e.target + ", which is not there"}}
		}
		dir.inside[base] = same
	default:
		dir.inside[base] = &node{kind: isOther}
	}
}

// lookUp is what stands in a folder under a name: a link itself, not what it leads to.
func (o *overlay) lookUp(dir, base string) *node {
	at := o.find(dir)
	if at.node == nil || at.node.kind != isFolder {
		return nil
	}
	return at.node.inside[base]
}

// folder is a folder that is made where it is not there, in place of what isn't one.
func (o *overlay) folder(name string) *node {
	for range mostLinks {
		at := o.find(name)
		if at.node != nil && at.node.kind == isFolder {
			return at.node
		}
		if at.loops {
			return nil
		}
		dir := o.root // as far as it is there, without links
		for _, part := range strings.Split(at.real, "/") {
			next := dir.inside[part]
			if next == nil || next.kind != isFolder {
				next = newFolder()
				dir.inside[part] = next
			}
			dir = next
		}
	}
	return nil
}

// mostLinks bounds the links that are followed, as the kernel does (path_resolution(7)).
const mostLinks = 40

// mostSteps bounds how many parts of paths are looked at altogether: each link may have thousands of them. Beyond it all links lead
// on and on.
const mostSteps = 20_000_000

// place is what a path leads to.
type place struct {
	node  *node  // nil where nothing is
	real  string // where that is, or would be
	loops bool   // links lead on and on
}

// find goes along a path and follows links, the last one too. Those that lead out of the image stay at its root.
func (o *overlay) find(name string) place {
	stack, names := []*node{o.root}, []string{}
	rest := strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		o.steps++
		if part == ".." && len(names) > 0 {
			stack, names = stack[:len(stack)-1], names[:len(names)-1]
		}
		if part == "" || part == "." || part == ".." {
			continue
		}
		var next *node
		if at := stack[len(stack)-1]; at.kind == isFolder {
			next = at.inside[part]
		}
		if next == nil {
			return place{real: cleaned(path.Join(append(append(names, part), rest...)...))}
		}
		if next.kind != isLink {
			stack, names = append(stack, next), append(names, part)
			continue
		}
		if links++; links > mostLinks || o.steps > mostSteps {
			return place{real: path.Join(append(names, part)...), loops: true}
		}
		if path.IsAbs(next.target) {
			stack, names = stack[:1], names[:0]
		}
		rest = append(strings.Split(next.target, "/"), rest...)
	}
	real := strings.Join(names, "/")
	if real == "" {
		real = "."
	}
	return place{node: stack[len(stack)-1], real: real}
}
