package builds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"golang.org/x/sync/errgroup"
)

// BuiltOn is what a pipeline was made from last, and what is on its way. The zero value is that of one that was never
// built.
type BuiltOn struct {
	Build string                // that pinned its bases last, whatever became of it
	Order uint64                // its own
	Ref   string                // the branch or tag that it was of; "" for a commit or folder that a person named
	Image messages.Image        // that it came to; "" for none, or none yet
	Bases []messages.PinnedBase // what it pinned

	Request  uint64        // sequence of the pipeline's last request; 0 for none
	Age      time.Duration // of that request, by the server's clock
	Reason   messages.ReasonKind
	Waiting  bool // that request's build has not pinned its bases yet: it will take them as they are then
	Underway bool // that request's build has not ended
}

// BuiltOn reads what a pipeline's newest build was made from: of the events of the builds that pinned bases and of those
// that came to an image the last one, else of the record of the pipeline's last image, which is kept however old it is. So it is
// where the last event is of an older build, which was tried again or took longer: its image replaces none that is newer.
func (q *Queue) BuiltOn(ctx context.Context, pipeline string) (BuiltOn, error) {
	var on BuiltOn
	asked, err := q.lastAsked(ctx, pipeline, &on)
	if err != nil || on.Request == 0 {
		return on, err
	}
	if err := q.lastPinned(ctx, pipeline, &on); err != nil {
		return on, err
	}
	if asked == nil || asked.Build != on.Build || asked.Cause == messages.CauseRetry {
		if err := q.lastImage(ctx, pipeline, &on); err != nil {
			return on, err
		}
	}
	if asked == nil || asked.Build == on.Build && on.Image != "" {
		return on, nil
	}
	e, err := q.records.Current(ctx, asked.Build)
	if err != nil && !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, messages.ErrMalformed) {
		return on, fmt.Errorf("reading the record of build %s: %w", asked.Build, err)
	}
	on.Underway = errors.Is(err, queue.ErrNotFound) || err == nil && !e.Value.Ended()
	on.Waiting = on.Underway && asked.Build != on.Build
	return on, nil
}

// lastAsked reads the pipeline's last request; nil where it can't be read.
func (q *Queue) lastAsked(ctx context.Context, pipeline string, on *BuiltOn) (*messages.BuildRequested, error) {
	m, err := q.c.Last(ctx, q.c.Space().RequestsStream(), q.c.Space().AnyRequest(pipeline))
	if errors.Is(err, queue.ErrNotFound) {
		return nil, nil //nolint:nilnil // it was never asked for
	}
	if err != nil {
		return nil, fmt.Errorf("reading the last request of pipeline %s: %w", pipeline, err)
	}
	info, err := q.c.Info(ctx, q.c.Space().RequestsStream())
	if err != nil {
		return nil, fmt.Errorf("reading the age of the last request of pipeline %s: %w", pipeline, err)
	}
	on.Request, on.Age = m.Sequence, info.Now.Sub(m.Time)
	r, err := q.c.Decode(m)
	asked, ok := r.Payload.(*messages.BuildRequested)
	if err != nil || !ok {
		return nil, nil //nolint:nilnil,nilerr // whose work it is tells of it
	}
	on.Reason = asked.Why().Kind
	return asked, nil
}

// lastPinned reads which bases the pipeline's builds took last.
func (q *Queue) lastPinned(ctx context.Context, pipeline string, on *BuiltOn) error {
	var last queue.Received
	for _, t := range []messages.Type{messages.TypeBasePinned, messages.TypeImageReady} {
		m, err := q.c.Last(ctx, q.c.Space().EventsStream(), q.c.Space().AnyVersion(t, pipeline, "*"))
		if errors.Is(err, queue.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading what pipeline %s was built on: %w", pipeline, err)
		}
		if r, err := q.c.Decode(m); err == nil && m.Sequence > last.Sequence {
			last = r
		}
	}
	switch p := last.Payload.(type) {
	case *messages.ImageReady:
		on.Build, on.Order, on.Ref, on.Image, on.Bases = p.Build, p.Order, p.Ref, p.Image, p.Bases
	case *messages.BasePinned:
		on.Build, on.Order, on.Bases = p.Build, p.Order, p.All()
		e, err := q.records.Current(ctx, p.Build)
		if err != nil && !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, messages.ErrMalformed) {
			return fmt.Errorf("reading the record of build %s: %w", p.Build, err)
		}
		on.Ref = e.Value.Ref
	}
	return nil
}

// lastImage reads the bases of the pipeline's last image from its record, unless a newer build is known: events go, in time.
func (q *Queue) lastImage(ctx context.Context, pipeline string, on *BuiltOn) error {
	err := q.records.Since(ctx, 0, func(e queue.Entry[messages.BuildRecord]) bool {
		r := &e.Value
		if r.Pipeline != pipeline || r.State != messages.BuildStateSucceeded || r.Outcome == nil || r.Order < on.Order || r.Build == on.Build {
			return true
		}
		if _, p, err := messages.DecodeAs[*messages.ImageReady](*r.Outcome); err == nil {
			on.Build, on.Order, on.Ref, on.Image, on.Bases = r.Build, r.Order, r.Ref, r.Image, p.Bases
		}
		return true
	}, func(queue.Broken) bool { return true })
	if err != nil {
		return fmt.Errorf("reading what pipeline %s was built on: %w", pipeline, err)
	}
	return nil
}

// ImageOf is the build of a pipeline that came to an image, by its event; "" where no event tells of one.
func (q *Queue) ImageOf(ctx context.Context, pipeline string, image messages.Image) (build string, err error) {
	m, err := q.c.Last(ctx, q.c.Space().EventsStream(), q.c.Space().AnyVersion(messages.TypeImageReady, pipeline, "*"))
	if errors.Is(err, queue.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the last image of pipeline %s: %w", pipeline, err)
	}
	r, err := q.c.Decode(m)
	if ready, ok := r.Payload.(*messages.ImageReady); err == nil && ok && ready.Image.Digest() == image.Digest() {
		return ready.Build, nil
	}
	return "", nil // whose work it is tells of what can't be read
}

// NewerImage tells whether a later build of the same pipeline came to an image: shortly before, as far as the last changes of
// records tell, and of a retry, which has an old order, ever.
func (q *Queue) NewerImage(ctx context.Context, r *messages.BuildRecord) (newer bool, err error) {
	see := func(e queue.Entry[messages.BuildRecord]) {
		o := &e.Value
		newer = newer || o.Pipeline == r.Pipeline && o.State == messages.BuildStateSucceeded && o.Order > r.Order
	}
	if r.Cause == messages.CauseRetry {
		err = q.writtenSince(ctx, 0, see)
	} else {
		err = q.latelyWritten(ctx, see)
	}
	return newer, err
}

// Pinned is what a build is made from.
type Pinned struct {
	Pipeline string
	Order    uint64
	Bases    []messages.PinnedBase
	Image    messages.Image // that it came to; "" where it has only pinned its bases
}

// FollowBases calls pinned with each build that pins bases or comes to an image from here on, until ctx ends. begin is called
// once what comes later is sure to be given.
func (q *Queue) FollowBases(ctx context.Context, begin func(), pinned func(Pinned)) error {
	info, err := q.c.Info(ctx, q.c.Space().EventsStream())
	if err != nil {
		return fmt.Errorf("following what pipelines are built on: %w", err)
	}
	begin()
	all, ctx := errgroup.WithContext(ctx)
	for _, t := range []messages.Type{messages.TypeBasePinned, messages.TypeImageReady} {
		all.Go(func() error {
			o := queue.ReadOptions{Filters: []string{q.c.Space().Filter(t)}, FromSequence: info.Last + 1, Follow: true}
			return q.c.Read(ctx, q.c.Space().EventsStream(), o, func(r queue.Received) error {
				switch p := r.Payload.(type) {
				case *messages.ImageReady:
					pinned(Pinned{p.Pipeline, p.Order, p.Bases, p.Image})
				case *messages.BasePinned:
					pinned(Pinned{p.Pipeline, p.Order, p.All(), ""})
				}
				return nil
			})
		})
	}
	return all.Wait()
}
