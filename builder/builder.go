package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/metrics"
	"github.com/fenceline/fenceline/reach"
	"github.com/fenceline/fenceline/tracing"
)

// Queue is where builds come from.
type Queue interface {
	// Consume does builds until ctx ends.
	Consume(ctx context.Context, w builds.Work) error
	// GetContext opens an uploaded build context, a tar.
	GetContext(ctx context.Context, name string) (io.ReadCloser, error)
	// Ready tells whether the queue can be used now.
	Ready(ctx context.Context) error
	// NewerImage tells whether a later build of a record's pipeline came to an image.
	NewerImage(ctx context.Context, r *messages.BuildRecord) (bool, error)
}

var _ Queue = (*builds.Queue)(nil)

// Config is what a Builder needs.
type Config struct {
	Queue      Queue
	Solver     Solver
	Rules      *reach.Rules  // what the pipelines' repositories may be; nil for those that are the zero value
	SecretsDir string        // has the secrets that pipelines name, a file each; "" for none
	Name       string        // of this builder, in records and events
	Slots      int           // builds at one time; 0 means 1
	AckWait    time.Duration // how long a build stays with a builder that went silent; 0 means builds.DefaultAckWait
	Grace      time.Duration // how long builds may go on after a stop
	Logger     zerolog.Logger
	Metrics    *metrics.Builder // nil for none
	Tracer     *tracing.Tracer  // nil: nothing is traced
	// Room tells why no build may write to the solver's disk now, or nil. While it returns an error no
	// build is begun, and one that runs is stopped. It is asked often. May be nil.
	Room func() error
	// Afresh starts the solver's backend again, for the room that it holds and can't give: BuildKit keeps what a
	// build wrote whose end it could not record, as the disk was full to the last byte. May be nil.
	Afresh func()
}

// Builder does builds.
type Builder struct {
	config Config
	head   func(context.Context, git.Remote) (commit, object string, err error)
	lag    lag
	room   room
}

// New returns a Builder. It refuses a configuration that can't work.
func New(c Config) (*Builder, error) {
	switch {
	case c.Queue == nil:
		return nil, errors.New("setting up the builder: there is no queue to take builds from")
	case c.Solver == nil:
		return nil, errors.New("setting up the builder: there is no solver to build with")
	case c.Slots < 0:
		return nil, fmt.Errorf("setting up the builder: %d slots: use 1 or more", c.Slots)
	case c.Name == "":
		return nil, errors.New("setting up the builder: it has no name")
	}
	b := &Builder{config: c, head: git.TagHead, lag: usualLag(), room: room{short: c.Room}}
	c.Metrics.Works(max(c.Slots, 1), b.able)
	return b, nil
}

// Run does builds until ctx ends.
func (b *Builder) Run(ctx context.Context) error {
	b.sweep()
	return b.config.Queue.Consume(ctx, builds.Work{
		Worker: b.config.Name, Slots: b.config.Slots, AckWait: b.config.AckWait, Grace: b.config.Grace, Logger: b.config.Logger, Metrics: b.config.Metrics, Tracer: b.config.Tracer,
		Build: func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
			return b.build(ctx, task{request: j.Request, trace: messages.TraceID(j.Envelope.Traceparent), attempt: j.Attempt, anyway: j.Wanted, age: j.Age, branch: j, out: j})
		},
		Tag: b.tag, Ready: b.takes,
	})
}

// Ready tells whether builds can be taken and done now, else what is wrong.
func (b *Builder) Ready(ctx context.Context) error {
	if err := b.config.Queue.Ready(ctx); err != nil {
		return fmt.Errorf("the builder can't take builds: %w", err)
	}
	if err := b.able(ctx); err != nil {
		return fmt.Errorf("the builder can't build: %w", err)
	}
	return nil
}

// takes is able, asked by those who wait for builds. Where the disk is full it makes room first: what a build that
// was stopped had written is a cache, through which no solver need look again until another build has ended.
func (b *Builder) takes(ctx context.Context) error {
	if b.room.now() != nil {
		if err := b.config.Solver.MakeRoom(ctx); err != nil {
			b.config.Logger.Warn().Err(err).Msg("no room can be made on the builder's disk")
		} else if b.room.stuck() && b.config.Afresh != nil {
			b.config.Afresh()
		}
	}
	return b.able(ctx)
}

// able tells why no build can be done here now, or nil.
func (b *Builder) able(ctx context.Context) error {
	if err := b.room.now(); err != nil {
		return err
	}
	return b.config.Solver.Ready(ctx)
}

// tagTimeout bounds the tagging of an image, whose announcement waits for it.
const tagTimeout = 10 * time.Second

// tag puts the label of a succeeded build's record on its image. A registry that doesn't
// answer is not asked again: each time would keep the image from the fleet for as long.
func (b *Builder) tag(ctx context.Context, r messages.BuildRecord) error {
	if r.Image == "" || r.Tag == "" {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, tagTimeout)
	defer cancel()
	err := b.config.Solver.Tag(bounded, r.Image, r.Tag)
	if err == nil {
		err = b.moveTag(bounded, &r)
	}
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return queue.Permanent(fmt.Errorf("the registry did not answer within %v: %w", tagTimeout, err))
	}
	return err
}

// moveTag has the pipeline's moving tag name the image of a record, unless a newer one has been made meanwhile.
func (b *Builder) moveTag(ctx context.Context, r *messages.BuildRecord) error {
	if r.Outcome == nil {
		return nil
	}
	_, ready, err := messages.DecodeAs[*messages.ImageReady](*r.Outcome)
	if err != nil || ready.MovingTag == "" {
		return nil //nolint:nilerr // a build whose outcome is of a newer version is announced by that
	}
	newer, err := b.config.Queue.NewerImage(ctx, r)
	if err != nil || newer {
		return err
	}
	return b.config.Solver.Tag(ctx, r.Image, ready.MovingTag)
}

// label is the tag of the image that a request leads to.
func label(r *messages.BuildRequested) string {
	if r.Commit != "" {
		return r.Commit[:12]
	}
	const longest = 128 // of the OCI distribution specification
	return r.Build[:min(len(r.Build), longest)]
}
