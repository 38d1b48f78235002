package imagediff

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// files are the wanted files of two images.
type files struct {
	client *Client
	a, b   *side
	want   *wanted
	shared [][]entry // of the layers that both begin with, from the lowest
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

// read reads the layers that tell how the files differ: those above the shared ones, and the shared ones too, as any of their links
// may lead to what was changed above. Where no image has a layer of its own, no file differs.
func (f *files) read(ctx context.Context) error {
	common := sharedLayers(f.a.image.layers, f.b.image.layers)
	if common == len(f.a.image.layers) && common == len(f.b.image.layers) && f.a.image.hooksDir == f.b.image.hooksDir {
		f.a.is, f.b.is = newOverlay(nil), newOverlay(nil)
		return nil
	}
	for range mostReads {
		kept := int64(0)
		covered, err := f.readOwn(ctx, common, &kept)
		if err != nil || f.a.stopped != nil || f.b.stopped != nil {
			return err
		}
		if err := f.readShared(ctx, common, covered, &kept); err != nil || f.a.stopped != nil {
			return err
		}
		more := false
		for _, s := range []*side{f.a, f.b} {
			s.is = newOverlay(append(append([][]entry{}, f.shared...), s.own...))
			more = f.wantMore(s) || more
			if f.want.full() || s.is.steps > mostSteps {
				s.stopped = errMany
				return nil
			}
		}
		if !more {
			return nil
		}
	}
	f.a.stopped = errFar
	return nil
}

// errFar tells that the files were not found in as many reads as there may be.
var errFar = fmt.Errorf("in one of both images, links lead to links, and on, %d times and more", mostReads)

// errMany tells that it would take too much to follow the links of an image.
var errMany = errors.New("it has too many links, or they lead too far")

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

// wantMore wants the files that links of a side lead to, where they were not looked for, and tells whether there are any.
func (f *files) wantMore(s *side) (more bool) {
	want := func(name string, folder bool) {
		if !f.want.full() && !f.want.reads(name) && !f.want.folders[name] {
			f.want.add(name, folder)
			more = true
		}
	}
	wantFile := func(name string) {
		switch at := s.is.find(name); {
		case at.loops:
		case at.node == nil:
			want(at.real, false)
		case at.node.kind == isFile && at.node.file.unread != "":
			want(at.node.file.unread, false)
		}
	}
	for _, name := range slices.Collect(maps.Keys(f.want.files)) {
		wantFile(name)
	}
	for _, name := range slices.Collect(maps.Keys(f.want.folders)) {
		switch at := s.is.find(name); {
		case at.node == nil && !at.loops:
			want(at.real, true)
		case at.node != nil && at.node.kind == isFolder:
			for inside := range at.node.inside { // which may be links, too
				wantFile(path.Join(name, inside))
			}
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
