package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// Change is the image that is to be applied.
type Change struct {
	Values // Previous and Revision are those of the record; what was applied here before comes first
	// Present tells whether the node holds the image; an error is why not. It is asked before anything
	// is changed.
	Present func(ctx context.Context) error
	// Begins is called before anything is changed; may be nil.
	Begins func()
}

// Result is an image that is applied.
type Result struct {
	Revision uint64    // of the record by which it became current here
	At       time.Time // when it was applied
	Mended   string    // what somebody else had written since, and was put right now; "" for nothing
}

// writes bounds how often a file is read again that changes while it is being written.
const writes = 5

// Apply sees to it that the file names the image and that the command was run after it did, and ended
// well. Nothing is done where that is so. ErrNotHere, wrapped, where the node does not hold the image.
func (t *Target) Apply(ctx context.Context, c Change) (Result, error) {
	if err := t.load(); err != nil {
		return Result{}, err
	}
	next := state{Image: c.Image, Previous: c.Previous, Revision: c.Revision}
	if t.state.Image == c.Image {
		next = *t.state
	} else if t.state.Image != "" && !c.named(t.state.Image) {
		next.Previous = t.state.Image
	}
	c.Previous, c.Revision = next.Previous, next.Revision
	again := t.state.Image == c.Image && t.state.Done
	f, content, had, err := t.look(c.Values)
	if err != nil {
		return Result{}, err
	}
	if same := f.content != nil && bytes.Equal(f.content, content); same && again {
		return Result{Revision: next.Revision, At: next.At}, nil
	}
	if err := c.Present(ctx); err != nil {
		return Result{}, err
	}
	if c.Begins != nil {
		c.Begins()
	}
	next.Done = false
	if err := t.keep(next); err != nil { // first, so that a kill after the file was written leaves word that the command is to be run
		return Result{}, err
	}
	path, err := t.write(c.Values, f, content)
	if err != nil {
		return Result{}, err
	}
	if err := t.reload(ctx, next, c.Values, path); err != nil {
		return Result{}, err
	}
	next.Done, next.At = true, time.Now().UTC().Truncate(time.Millisecond)
	out := Result{Revision: next.Revision, At: next.At}
	if again {
		out.Mended = mended(f, had)
	}
	if err := t.keep(next); err != nil {
		t.state = &next // it is applied; after a restart the command is run once more
		t.log.Warn().Err(err).Msg("applied, but that can't be noted: after a restart the command is run once more")
	}
	return out, nil
}

// mended says what somebody else had put in the place of the image.
func mended(f *file, had string) string {
	if f.content == nil {
		return "the file was gone"
	}
	return fmt.Sprintf("it had %q", had)
}

// look reads the file, and makes the content that it should have.
func (t *Target) look(v Values) (f *file, content []byte, had string, err error) {
	if f, err = readFile(t.cfg.File); err != nil {
		return nil, nil, "", err
	}
	if content, had, err = t.form.render(f.content, v); err != nil {
		return nil, nil, "", fmt.Errorf("%s: %w", t.cfg.File, err)
	}
	return f, content, had, nil
}

// write writes the file where it differs, and returns where it is.
func (t *Target) write(v Values, f *file, content []byte) (string, error) {
	for n := 1; ; n++ {
		if f.content != nil && bytes.Equal(f.content, content) {
			return f.path, nil
		}
		err := f.replace(content)
		if !errors.Is(err, errMoved) || n == writes {
			return f.path, err
		}
		if f, content, _, err = t.look(v); err != nil {
			return "", err
		}
	}
}

// reload runs the command, if there is one.
func (t *Target) reload(ctx context.Context, s state, v Values, path string) error {
	if t.cfg.Command == "" {
		return nil
	}
	err := t.command(ctx, v, path, func(r *running) {
		s.Running = r
		if err := t.keep(s); err != nil {
			t.log.Warn().Err(err).Msg("can't note which command runs")
		}
	})
	s.Running = nil
	if err == nil { // what comes next is noted then
		t.state = &s
		return nil
	}
	if kept := t.keep(s); kept != nil {
		t.state = &s
		t.log.Warn().Err(kept).Msg("can't note that the command has ended")
	}
	return err
}
