package plan

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// Config is what a plan is made of.
type Config struct {
	Queue    *queue.Client
	Pipeline messages.Pipeline
	From     string // where the pipeline is from, for people
	// Remote is the branch, with the token of its repository; RemoteErr says why there is none.
	Remote    git.Remote
	RemoteErr error
	// Judge says whether a push that leads the branch from one commit to another is built, and why; nil where nobody
	// knows here, as the pipeline file isn't.
	Judge   func(ctx context.Context, before, commit string) (build bool, why string)
	Catalog *buildkit.Catalog
	// NameFlags adds to an error about a field of the Catalog's Config the flag that sets it.
	NameFlags func(error) error
}

// Plan is what a push would do.
type Plan struct {
	Pipeline  string            `json:"pipeline"`
	From      string            `json:"from"`
	Head      Head              `json:"head"`
	Bases     Bases             `json:"bases"`
	Last      *Last             `json:"last,omitempty"` // the pipeline's last image; none before the first
	Fleets    []Fleet           `json:"fleets"`
	Flips     bool              `json:"flips"`               // a push now would be built, and flip every fleet without anybody's help
	Obstacles []decide.Obstacle `json:"obstacles,omitempty"` // why not, beside what the fleets have
}

// Last is the last image that a pipeline made.
type Last struct {
	Build  string         `json:"build"`
	Commit string         `json:"commit,omitempty"`
	Image  messages.Image `json:"image"`
	Bytes  int64          `json:"bytes,omitempty"` // compressed
}

// The obstacles beside those of fleets that decide knows.
const (
	ObstacleHead     decide.ObstacleKind = "head"     // the branch's head is not known
	ObstacleFilters  decide.ObstacleKind = "filters"  // the pipeline doesn't build it, or nobody knows here whether it does
	ObstacleBases    decide.ObstacleKind = "bases"    // what it builds on is not there, or not known
	ObstacleRecord   decide.ObstacleKind = "record"   // the fleet's record can't be read
	ObstacleFence    decide.ObstacleKind = "fence"    // the fence config doesn't follow
	ObstacleRefused  decide.ObstacleKind = "refused"  // the fleet's nodes may not fetch the image
	ObstacleBefore   decide.ObstacleKind = "before"   // the fleet before it
	ObstaclePipeline decide.ObstacleKind = "pipeline" // it feeds no fleet
)

// Make makes a plan. Errors are of NATS, without which nothing is known.
func Make(ctx context.Context, c *Config) (*Plan, error) {
	p := &Plan{Pipeline: c.Pipeline.Name, From: c.From, Fleets: []Fleet{}}
	ready, err := c.lastReady(ctx)
	if err != nil {
		return nil, err
	}
	if ready != nil {
		p.Last = &Last{ready.Build, ready.Commit, ready.Image, ready.Bytes}
	}
	if p.Head, err = c.head(ctx); err != nil {
		return nil, err
	}
	p.Bases = c.bases(ctx, &p.Head, ready)
	p.Obstacles = append(p.Head.obstacles(), p.Bases.obstacles()...)
	if len(c.Pipeline.Fleets) == 0 {
		p.Obstacles = append(p.Obstacles, decide.Obstacle{Kind: ObstaclePipeline, Why: "the pipeline feeds no fleet: its images are built, and nobody flips to them"})
	}
	p.Flips = len(p.Obstacles) == 0
	if err := c.fleets(ctx, p, c.expect(ctx, ready, &p.Bases)); err != nil {
		return nil, err
	}
	return p, nil
}

// lastReady is what was announced of the pipeline's last image, or nil.
func (c *Config) lastReady(ctx context.Context) (*messages.ImageReady, error) {
	space := c.Queue.Space()
	m, err := c.Queue.Last(ctx, space.EventsStream(), space.AnyVersion(messages.TypeImageReady, c.Pipeline.Name, "*"))
	if errors.Is(err, queue.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the pipeline's last image: %w", err)
	}
	r, err := c.Queue.Decode(m)
	if err != nil {
		return nil, nil //nolint:nilerr // what can't be read says nothing
	}
	ready, _ := r.Payload.(*messages.ImageReady)
	return ready, nil
}

// builds is the way to the installation's builds.
func (c *Config) builds() *builds.Queue { return builds.New(c.Queue) }
