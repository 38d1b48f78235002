package distributor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/metrics"
	"github.com/fenceline/fenceline/tracing"
)

// Queue is what the agent needs of the message queue: with a node's credential.
type Queue interface {
	// ReadFleet reads the fleet's record as it stands.
	ReadFleet(ctx context.Context, fleet string) (messages.FleetChanged, error)
	// WatchFleet calls fn with what is announced, and after each connect with what it
	// reads, until ctx ends.
	WatchFleet(ctx context.Context, fleet string, fn func(messages.FleetChanged)) error
	// Heartbeat stores the node's status. nil means that it is stored.
	Heartbeat(ctx context.Context, s *messages.NodeStatus) error
	// Publish sends an event. nil means that it is stored.
	Publish(ctx context.Context, traceparent string, p messages.Payload) error
}

// The defaults of Config.
const (
	DefaultInterval     = 10 * time.Second
	DefaultMinFreeBytes = 1 << 30
)

// Bounds that nobody needs to set.
const (
	engineTimeout = 10 * time.Second // for a call that only looks or names
	removeTimeout = 2 * time.Minute  // for a call that deletes layers
	queueTimeout  = 5 * time.Second
	stallTimeout  = 2 * time.Minute // a pull in which nothing moves this long is given up
	maxContainers = 200             // in a heartbeat
)

// Config says what an agent is and works with.
type Config struct {
	Fleet        string            // DNS label
	Node         string            // DNS label, unique in the fleet
	Labels       map[string]string // shown in heartbeats
	Version      string            // of fenceline, shown in heartbeats
	Queue        Queue
	Engine       Engine
	Interval     time.Duration // between heartbeats when nothing changes; 0 is DefaultInterval
	MinFreeBytes int64         // free space that pulls leave alone; 0 is DefaultMinFreeBytes
	// Place tells installations that share an engine apart: where the fleet's record is. "" where it
	// is not known.
	Place string
	// Contents opens images for the ways in which the agent itself fetches; nil is none, so that the engine
	// pulls whatever the fleet says.
	Contents       Contents
	Pull           *messages.Pull       // how this node fetches images; nil is as its fleet says
	Applier        Applier              // nil where nothing is applied
	AbandonedAfter time.Duration        // how long nobody may answer for images on the engine; 0 is DefaultAbandonedAfter
	Metrics        *metrics.Distributor // nil for none
	Tracer         *tracing.Tracer      // nil: nothing is traced
	Logger         zerolog.Logger
}

// Distributor is the agent of one node. Make it with New.
type Distributor struct {
	cfg      Config
	instance string
	log      zerolog.Logger

	wake      chan struct{} // look again whether something is to be done
	changed   chan struct{} // send a heartbeat now
	trail     atomic.Pointer[trail]
	toApply   chan struct{} // look again whether the current image is applied
	olderTold chan struct{} // read the record: an older one was announced than the known one
	outbox    chan event
	refused   chan struct{} // closed when refuse is set

	mu     sync.Mutex
	record *messages.FleetChanged // as last read; nil until then
	older  uint64                 // a lower revision that was read once; it is believed when it is read again
	refuse error                  // why the node can't be one of this fleet, found with its first record
	unread error                  // why the record could not be read; nil for a fleet that has none yet
	work   *messages.NodeWork
	job    *job
	engine engineView
	beats  beatView
	seen   *messages.NodeStatus // of the last heartbeat
	seenAt time.Time
	again  bool // what failed is tried again without its pause: the engine is back, or it is this node's turn
	// What the heartbeats say of images:
	applied  *messages.NodeApplied // nil where nothing is
	fetching *pullView
	problems map[messages.Image]string // why they are not there
	// What they list of the ledger, and how many entries more there are:
	ledger     []messages.LedgerEntry
	ledgerMore int

	// The work loop's own.
	retries     retries
	verdict     verdict
	short       map[messages.Image]*shortage // of images whose pull ran out of space
	damaged     map[messages.Image]int       // how often in a row an image could not be read
	unusable    map[messages.Image]time.Time // when the engine could not take in an image, for what that is
	asked       map[string]*question         // of the realms of others
	mine        map[key]Note                 // of the ledger, those of this fleet
	mirrorsTold []messages.MirrorTrouble     // how mirrors failed, as it was logged
	sweptAt     time.Time                    // when trials' containers were looked for last
	swept       bool                         // no container of a trial is left
}

// New checks the configuration and makes the agent.
func New(c Config) (*Distributor, error) {
	if err := messages.CheckName("fleet", c.Fleet); err != nil {
		return nil, err
	}
	if err := messages.CheckName("node", c.Node); err != nil {
		return nil, err
	}
	if c.Queue == nil || c.Engine == nil {
		return nil, errors.New("distributor: needs a queue and an engine")
	}
	if c.Interval < 0 || c.MinFreeBytes < 0 || c.AbandonedAfter < 0 {
		return nil, fmt.Errorf("distributor: interval (%s), minimum of free space (%d bytes) and abandoned-after (%s) must not be negative",
			c.Interval, c.MinFreeBytes, c.AbandonedAfter)
	}
	if c.Pull != nil {
		if err := checkPull(c.Pull); err != nil {
			return nil, err
		}
	}
	if c.AbandonedAfter == 0 {
		c.AbandonedAfter = DefaultAbandonedAfter
	}
	if c.Interval == 0 {
		c.Interval = DefaultInterval
	}
	if c.MinFreeBytes == 0 {
		c.MinFreeBytes = DefaultMinFreeBytes
	}
	c.Labels = maps.Clone(c.Labels)
	d := &Distributor{
		toApply:   make(chan struct{}, 1),
		olderTold: make(chan struct{}, 1),
		refused:   make(chan struct{}),
		cfg:       c,
		instance:  messages.NewID(),
		log:       c.Logger.With().Str("fleet", c.Fleet).Str("node", c.Node).Logger(),
		wake:      make(chan struct{}, 1),
		changed:   make(chan struct{}, 1),
		outbox:    make(chan event, 64),
		beats:     beatView{err: errors.New("no heartbeat was sent yet")},
		retries:   retries{},
		short:     map[messages.Image]*shortage{},
		damaged:   map[messages.Image]int{},
		asked:     map[string]*question{},
		mine:      map[key]Note{},
		unusable:  map[messages.Image]time.Time{},
		problems:  map[messages.Image]string{},
	}
	if c.Applier != nil {
		d.applied = &messages.NodeApplied{State: messages.ApplyWaiting}
	}
	c.Metrics.Node(d.nodeNow)
	return d, nil
}

// Run works until ctx ends, whatever happens to the engine or the queue meanwhile. A pull
// or trial under way is given up then, and the containers of the trial are removed. It ends with
// an error where the node's first heartbeat is not allowed: its credential is another's; and where
// its interval does not suit the installation.
func (d *Distributor) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, loop := range []func(context.Context){
		d.followRecord, d.rereadRecord, d.followEngine, d.workLoop, d.applyLoop, d.sendEvents,
	} {
		g.Go(func() error { loop(ctx); return nil })
	}
	g.Go(func() error { return d.beatLoop(ctx) })
	g.Go(func() error { return d.awaitRefusal(ctx) })
	return g.Wait()
}

// Ready tells whether the node can do its part: the engine answers now, the last heartbeat was
// stored, and the fleet's record could be read. The error says what is wrong.
func (d *Distributor) Ready(ctx context.Context) error {
	d.mu.Lock()
	beat, record := d.beats.err, d.unread
	if beat == nil && d.beats.twin() {
		beat = errTwin
	}
	d.mu.Unlock()
	var engine error
	if _, err := d.cfg.Engine.Info(ctx); err != nil {
		engine = fmt.Errorf("engine: %w", err)
	}
	switch {
	case beat != nil: // one reason is enough: what keeps heartbeats from NATS keeps the record too
		beat = fmt.Errorf("heartbeat of node %s: %w", d.cfg.Node, beat)
	case record != nil:
		beat = fmt.Errorf("record of fleet %s: %w", d.cfg.Fleet, record)
	}
	return errors.Join(engine, beat)
}

// signal makes c readable, once however often it is called.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
