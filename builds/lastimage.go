package builds

import (
	"context"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// LastImage is what the newest image of a branch was made from.
type LastImage struct {
	Build    string         // that came to it; "" where none is known
	Image    messages.Image // that it came to
	Commit   string
	Bases    []messages.PinnedBase
	Pipeline *messages.Pipeline // as its request had it; nil where that was not kept
	Updates  string             // see messages.BuildRecord
	// After says of a build of the branch that came later why the image is not what counts: it failed, or has not ended. "" where
	// there is none.
	After string
}

// LastImage reads what the newest image of the request's branch was made from, and whether a build came later that says, or
// may still say, something else: of those that were asked for before this one.
func (j *Job) LastImage(ctx context.Context) (*LastImage, error) {
	r := j.Request
	// Before the images: what ends meanwhile is seen as one or the other.
	all, err := j.q.others(ctx, r.BuildRef())
	if err != nil {
		return nil, fmt.Errorf("looking for builds of the branch that have not ended: %w", err)
	}
	var newest messages.BuildRecord
	var failed messages.BuildRef
	err = j.q.writtenSince(ctx, 0, func(e queue.Entry[messages.BuildRecord]) {
		b := &e.Value
		if b.Pipeline != r.Pipeline.Name || b.Ref != r.FullRef() || b.Build == r.Build {
			return
		}
		switch {
		case b.State == messages.BuildStateSucceeded && b.Order >= newest.Order:
			newest = *b
		case b.State == messages.BuildStateFailed && b.Order >= failed.Order:
			failed = b.BuildRef
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading what the branch was built from last: %w", err)
	}
	last := lastImage(&newest)
	if failed.Order > newest.Order {
		last.After = fmt.Sprintf("the last build, %s, failed", failed.Build)
	}
	for i := range all {
		b := &all[i]
		under := b.state == "" || b.state == messages.BuildStateRunning
		if under && b.ref == r.FullRef() && b.Order > newest.Order && b.Order < r.Order {
			last.After = fmt.Sprintf("build %s of the branch has not ended", b.Build)
		}
	}
	return last, nil
}

// lastImage is what the record of a build that came to an image says of it.
func lastImage(b *messages.BuildRecord) *LastImage {
	l := &LastImage{Build: b.Build, Image: b.Image, Commit: b.Commit, Updates: b.Updates}
	if b.Outcome != nil {
		if _, ready, err := messages.DecodeAs[*messages.ImageReady](*b.Outcome); err == nil {
			l.Bases = ready.Bases
		}
	}
	if b.Asked != nil {
		if _, asked, err := messages.DecodeAs[*messages.BuildRequested](*b.Asked); err == nil {
			l.Pipeline = &asked.Pipeline
		}
	}
	return l
}

// change is what had changed before a build, for which it was built.
type change struct{ text, updates string }

// Changed notes what has changed, for people, where a build was to be built only then, and the digest of the packages that have
// updates, where they were asked for. The build's record has both once it ends.
func (j *Job) Changed(text, updates string) { j.changed.Store(&change{text, updates}) }

// noteChange writes what has changed into the record of the build's end.
func (j *Job) noteChange(r *messages.BuildRecord) {
	c := j.changed.Load()
	if c == nil {
		return
	}
	why := r.Why()
	why.Changed = c.text
	r.Reason, r.Updates = &why, c.updates
}
