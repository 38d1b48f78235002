package imagediff

import (
	"context"
	"errors"
	"fmt"
	"path"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// files are the wanted files of two images.
type files struct {
	client *Client
	a, b   *side
	want   *wanted
	shared [][]entry // of the layers that both begin with, from the lowest; nil where they were not needed
	whole  bool      // they were read
}

// side is one of the images.
type side struct {
	image   *image
	word    string
	own     [][]entry // of its layers above the shared ones, from the lowest
	is      *overlay
	stopped error // why it was not read to its end; nothing is known of its files then
}

// mostReads bounds how often layers are read because links lead to files that were not looked for.
const mostReads = 4

// read reads the layers that tell how the files differ: those above the shared ones, and the shared ones where a file that one
// image changed may be there, also by a folder that is a link there. A file that neither touched is the same in both.
func (f *files) read(ctx context.Context) error {
	common := sharedLayers(f.a.image.layers, f.b.image.layers)
	for range mostReads {
		kept := int64(0)
		covered, err := f.readOwn(ctx, common, &kept)
		if err != nil || f.a.stopped != nil || f.b.stopped != nil {
			return err
		}
		if f.whole = f.whole || f.needShared(); f.whole && common > 0 {
			if err := f.readShared(ctx, common, covered, &kept); err != nil || f.a.stopped != nil {
				return err
			}
		}
		more := false
		for _, s := range []*side{f.a, f.b} {
			s.is = newOverlay(append(append([][]entry{}, f.shared...), s.own...))
			more = f.wantMore(s) || more
		}
		if !more {
			return nil
		}
		f.whole = true
	}
	f.a.stopped = errFar
	return nil
}

// errFar tells that the files were not found in as many reads as there may be.
var errFar = fmt.Errorf("in one of both images, links lead to links, and on, %d times and more", mostReads)

// sharedLayers counts the layers that both begin with.
func sharedLayers(a, b []ocispecs.Descriptor) (n int) {
	for n < min(len(a), len(b)) && a[n].Digest == b[n].Digest {
		n++
	}
	return n
}

func (f *files) budget(kept *int64) *budget {
	l := f.client.config.Limits
	return &budget{limits: l, bytes: l.Bytes, entries: l.Entries, kept: kept}
}

// readOwn reads the layers that only one of the images has, from the top down, and returns which files both have there.
func (f *files) readOwn(ctx context.Context, common int, kept *int64) (covered map[string]bool, err error) {
	counted := make([]int64, 2) // each its own, as both are read at the same time
	have := []map[string]bool{{}, {}}
	g, both := errgroup.WithContext(ctx)
	for i, s := range []*side{f.a, f.b} {
		g.Go(func() (err error) {
			left := f.budget(&counted[i])
			left.limits.Kept /= 3
			s.own, s.stopped, err = s.image.source.read(both, s.image.layers[common:], f.want, have[i], left)
			return err
		})
	}
	err = g.Wait()
	*kept = counted[0] + counted[1]
	covered = map[string]bool{}
	for name := range have[0] {
		if have[1][name] {
			covered[name] = true
		}
	}
	return covered, err
}

// readShared reads the layers that both images begin with, once.
func (f *files) readShared(ctx context.Context, common int, covered map[string]bool, kept *int64) (err error) {
	s := f.a.image.source
	f.shared, f.a.stopped, err = s.read(ctx, f.a.image.layers[:common], f.want, covered, f.budget(kept))
	return err
}

// read reads layers from the top down. Stopped is why it was not done to the end, where that is no error of the registry.
func (s *source) read(ctx context.Context, layers []ocispecs.Descriptor, want *wanted, covered map[string]bool, left *budget) (all [][]entry, stopped, err error) {
	all = make([][]entry, len(layers))
	for i := len(layers) - 1; i >= 0; i-- {
		all[i], err = s.layer(ctx, layers[i], want, covered, left)
		if bound := (boundError{}); errors.As(err, &bound) {
			return nil, bound, nil
		}
		if err != nil {
			return nil, nil, err
		}
		for _, e := range all[i] {
			if e.kind == isFile {
				covered[e.path] = true
			}
		}
	}
	return all, nil, nil
}

// needShared tells whether a file that one image's own layers touch may have to do with what the shared ones have.
func (f *files) needShared() bool {
	if f.want.elsewhere.Load() {
		return true
	}
	a, b := marksOf(f.a.own), marksOf(f.b.own)
	for name := range f.want.files {
		if (a.touch(name) || b.touch(name)) && !(a.settle(name) && b.settle(name)) {
			return true
		}
	}
	for name := range f.want.folders {
		if a.touch(name) || b.touch(name) {
			return true
		}
	}
	return false
}

// marks are what own layers have at places.
type marks struct {
	files, folders map[string]bool
	others         map[string]bool // links, whiteouts and the like
	within         map[string]bool // places that something is below
}

func marksOf(layers [][]entry) *marks {
	m := &marks{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, l := range layers {
		for _, e := range l {
			switch e.kind {
			case isFile:
				m.files[e.path] = true
			case isFolder:
				m.folders[e.path] = true
			default:
				m.others[e.path] = true
			}
			for dir := path.Dir(e.path); dir != "."; dir = path.Dir(dir) {
				m.within[dir] = true
			}
		}
	}
	return m
}

// touch tells whether something was done at a place, below it, or to a folder on the way.
func (m *marks) touch(name string) bool {
	if m.files[name] || m.within[name] {
		return true
	}
	for at := name; ; at = path.Dir(at) {
		if m.others[at] || at != name && m.files[at] {
			return true
		}
		if at == "." {
			return false
		}
	}
}

// settle tells whether a place is a file whatever is below: its layers have it, and each folder on the way, and nothing else.
func (m *marks) settle(name string) bool {
	if !m.files[name] || m.others[name] {
		return false
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if !m.folders[dir] || m.others[dir] || m.files[dir] {
			return false
		}
	}
	return !m.others["."]
}

// wantMore wants the files that links of a side lead to, where they were not looked for, and tells whether there are any.
func (f *files) wantMore(s *side) (more bool) {
	want := func(name string, folder bool) {
		if !f.want.reads(name) && !f.want.folders[name] {
			f.want.add(name, folder)
			more = true
		}
	}
	for name := range f.want.files {
		switch at := s.is.find(name); {
		case at.loops:
		case at.node == nil:
			want(at.real, false)
		case at.node.kind == isFile && at.node.file.unread != "":
			want(at.node.file.unread, false)
		}
	}
	for name := range f.want.folders {
		if at := s.is.find(name); at.node == nil && !at.loops {
			want(at.real, true)
		}
	}
	for name := range s.is.far {
		want(name, false)
	}
	return more
}

// at is a file by its path, links followed; nil where there is none. Why says why it can't be told.
func (s *side) at(name string) (at *file, why string) {
	switch is := s.is.find(name); {
	case is.loops:
		return nil, "links lead on and on"
	case is.node == nil || is.node.kind != isFile:
		return nil, ""
	case is.node.file.lost != "":
		return nil, is.node.file.lost
	default:
		return is.node.file, ""
	}
}

// unknown says what can't be told of a file.
func (s *side) unknown(what, name, why string) string {
	return fmt.Sprintf("%s: /%s of %s: %s", what, name, s.word, why)
}
