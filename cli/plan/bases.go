package plan

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
)

// Bases are the images that a build of the branch's head would start from.
type Bases struct {
	From    string   `json:"from"`          // of what they are known, for people
	Why     string   `json:"why,omitempty"` // why not of the Dockerfile
	Problem string   `json:"problem,omitempty"`
	Sources []Source `json:"sources"`
}

// Source is one of them.
type Source struct {
	Source string         `json:"source"`           // as the Dockerfile means it
	Image  messages.Image `json:"image,omitempty"`  // what it is now; "" where that is not known, or it is used no more
	Before messages.Image `json:"before,omitempty"` // what the last image was built on; "" where it wasn't
	State  State          `json:"state"`
	Error  string         `json:"error,omitempty"` // why it is not known
}

// State is what became of a base since the last image.
type State string

// The states.
const (
	BaseSame    State = "same"
	BaseMoved   State = "moved"   // its tag names another digest
	BaseNew     State = "new"     // the last image was not built on it
	BaseGone    State = "gone"    // it is used no more
	BaseUnknown State = "unknown" // its registry can't be asked, or doesn't have it
)

// bases finds what the head builds on, by its Dockerfile, or by the last image where that can't be read.
func (c *Config) bases(ctx context.Context, h *Head, last *messages.ImageReady) Bases {
	b := Bases{Sources: []Source{}}
	before := []messages.PinnedBase{}
	if last != nil {
		before = last.Bases
	}
	file := path.Join(c.Pipeline.Directory, c.Pipeline.Dockerfile)
	found, err := c.read(ctx, h, file)
	var bad *dockerfileError
	switch {
	case err == nil:
		b.From = fmt.Sprintf("%s at the head", file)
	case errors.As(err, &bad):
		b.From, b.Problem = fmt.Sprintf("%s at the head", file), bad.Error()
	case last == nil:
		b.From, b.Problem = "nothing", fmt.Sprintf("%s can't be read here, and there is no image yet: %v", file, err)
	default:
		b.From, b.Why = "the last image", fmt.Sprintf("%s can't be read here: %v", file, err)
		for _, p := range before {
			found = append(found, c.again(ctx, p))
		}
	}
	for i := range found {
		found[i].Err = c.NameFlags(found[i].Err)
	}
	b.compare(found, before)
	return b
}

// dockerfileError is an error of the Dockerfile itself.
type dockerfileError struct{ error }

func (e *dockerfileError) Unwrap() error { return e.error }

// read reads the Dockerfile at the head, and asks for what it names.
func (c *Config) read(ctx context.Context, h *Head, file string) ([]buildkit.Base, error) {
	if h.Commit == "" {
		return nil, errors.New("the branch's head is not known")
	}
	text, err := git.File(ctx, c.Remote, h.Commit, file)
	if errors.Is(err, git.ErrNoFile) {
		return nil, &dockerfileError{err}
	}
	if err != nil {
		return nil, err
	}
	found, err := c.Catalog.Bases(ctx, &c.Pipeline, text)
	if err != nil {
		err = &dockerfileError{err}
	}
	return found, err
}

// again asks what a base of the last image is now. One that was pinned by the Dockerfile is what it was.
func (c *Config) again(ctx context.Context, p messages.PinnedBase) buildkit.Base {
	if p.Source == p.Image.Name() {
		return buildkit.Base{Source: p.Source, Image: p.Image}
	}
	return c.Catalog.Resolve(ctx, p.Source)
}

// compare holds what was found against what there was before.
func (b *Bases) compare(found []buildkit.Base, before []messages.PinnedBase) {
	used := map[int]bool{}
	for _, f := range found {
		s := Source{Source: f.Source, Image: f.Image, State: BaseNew}
		same := func(p messages.PinnedBase) bool { return p.Source == f.Source && p.Image == f.Image }
		i := slices.IndexFunc(before, same)
		if i < 0 {
			i = slices.IndexFunc(before, func(p messages.PinnedBase) bool { return p.Source == f.Source })
		}
		if i >= 0 {
			used[i], s.Before, s.State = true, before[i].Image, BaseMoved
			if s.Before == s.Image {
				s.State = BaseSame
			}
		}
		if f.Err != nil {
			s.State, s.Error = BaseUnknown, f.Err.Error()
		}
		b.Sources = append(b.Sources, s)
	}
	for i, p := range before {
		if !used[i] && b.Problem == "" {
			b.Sources = append(b.Sources, Source{Source: p.Source, Before: p.Image, State: BaseGone})
		}
	}
	unknownFirst(b.Sources)
}

// obstacles are what keeps a build from beginning.
func (b *Bases) obstacles() []decide.Obstacle {
	var out []decide.Obstacle
	if b.Problem != "" {
		out = append(out, decide.Obstacle{Kind: ObstacleBases, Why: b.Problem})
	}
	for _, s := range b.Sources {
		if s.State == BaseUnknown {
			out = append(out, decide.Obstacle{Kind: ObstacleBases, Why: fmt.Sprintf("base %s: %s", s.Source, s.Error)})
		}
	}
	return out
}
