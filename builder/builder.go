package builder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/rs/zerolog"
)

// Config is what a builder needs.
type Config struct {
	Queue      *queue.Client
	Solver     Solver
	SecretsDir string        // has the secrets that pipelines name, a file each
	Name       string        // of this builder, in records and events
	Slots      int           // builds at one time; 0 means 1
	AckWait    time.Duration // how long a build stays with a builder that went silent; 0 means queue.DefaultAckWait
	Grace      time.Duration // how long builds may go on after a stop
	Logger     zerolog.Logger
}

// Builder takes build requests and does them.
type Builder struct{ Config }

// New makes a builder. Errors name the field that is missing.
func New(c Config) (*Builder, error) {
	switch {
	case c.Queue == nil:
		return nil, errors.New("making a builder: Queue is missing: connect one with queue.Connect")
	case c.Solver == nil:
		return nil, errors.New("making a builder: Solver is missing: make one with buildkit.New")
	case c.Name == "":
		return nil, errors.New("making a builder: Name is missing")
	}
	return &Builder{c}, nil
}

// Run takes requests until ctx ends and the builds under way are done or handed back.
func (b *Builder) Run(ctx context.Context) error {
	return b.Queue.ConsumeBuilds(ctx, queue.Work{
		Worker: b.Name, Slots: b.Slots, AckWait: b.AckWait, Grace: b.Grace, Logger: b.Logger,
		Build: func(ctx context.Context, j *queue.Job) (messages.Payload, error) { return b.build(ctx, j) },
		Tag:   func(ctx context.Context, r messages.BuildRecord) error { return b.Solver.Tag(ctx, r.Image, r.Tag) },
	})
}

// Ready tells whether builds can be taken and done now; else what is wrong.
func (b *Builder) Ready(ctx context.Context) error {
	if err := b.Queue.Ready(ctx); err != nil {
		return fmt.Errorf("the builder can't take builds: %w", err)
	}
	if err := b.Solver.Ready(ctx); err != nil {
		return fmt.Errorf("the builder can't build: %w", err)
	}
	return nil
}
