package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go/jetstream"
)

// The defaults of a Layout.
const (
	DefaultRequestBytes = 256 << 20
	DefaultEventBytes   = 512 << 20
	DefaultLogBytes     = 512 << 20
	DefaultContextBytes = 2 << 30
	DefaultEventAge     = 90 * 24 * time.Hour
	DefaultLogAge       = 14 * 24 * time.Hour
	DefaultContextAge   = 7 * 24 * time.Hour
	DefaultNodeTTL      = 30 * time.Second
)

// fenceHistory is how many values of each fence config are kept.
const fenceHistory = 64

// duplicates is how long a stream knows the IDs of what it stored, so that what is sent again
// after a lost answer is stored once. NATS allows no more than the messages' age.
const duplicates = 2 * time.Minute

// Layout sizes the streams and buckets. A zero field means its default for what is created,
// and whatever it is for what exists already.
type Layout struct {
	Replicas     int           // 1, or 3 or 5 on a cluster
	RequestBytes int64         // then requests are refused with ErrFull
	EventBytes   int64         // then the oldest events go
	LogBytes     int64         // then the oldest logs go
	ContextBytes int64         // then uploads are refused
	EventAge     time.Duration // then events go
	LogAge       time.Duration // then logs go
	ContextAge   time.Duration // then uploaded contexts go
	NodeTTL      time.Duration // a node's last heartbeat is kept this long
}

// Declare makes the streams and buckets that don't exist yet. What exists is left alone, and
// refused with a *DiffersError where its settings would lose messages or where l asks for
// something else.
func (c *Client) Declare(ctx context.Context, l Layout) error {
	all := c.streams(l)
	for _, want := range all {
		if err := c.declare(ctx, want); err != nil {
			return fmt.Errorf("declaring stream %s: %w", want.Name, undeclarable(want, all, err))
		}
	}
	return nil
}

// declared is a stream's wanted configuration, and which of its sizes were asked for.
type declared struct {
	jetstream.StreamConfig
	asked sizes
}

// sizes are settings that may differ from the defaults without harm.
type sizes struct {
	replicas int
	bytes    int64
	age      time.Duration
}

func (c *Client) declare(ctx context.Context, want declared) error {
	ctx, done := c.denied.guard(ctx, "$JS.API.STREAM.*")
	defer done()
	for range 3 { // two clients may declare at once
		s, err := c.js.Stream(ctx, want.Name)
		if err == nil {
			return compare(s.CachedInfo().Config, want)
		}
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			return c.failure(ctx, err)
		}
		if want.Name == c.space.RequestsStream() {
			if want.FirstSeq, err = c.nextOrder(ctx); err != nil {
				return err
			}
		}
		_, err = c.js.CreateStream(ctx, want.StreamConfig)
		if err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return c.failure(ctx, err)
		}
	}
	return fmt.Errorf("%w: it comes and goes", ErrUnavailable)
}

// nextOrder is where the orders of a new requests stream begin: after those that records know
// of a stream before it, as a fleet takes no image of an order that it has left behind.
func (c *Client) nextOrder(ctx context.Context) (uint64, error) {
	var highest uint64
	builds, err := Builds(c).List(ctx)
	if err != nil && !errors.Is(err, ErrUndeclared) {
		return 0, fmt.Errorf("finding the orders that were given: %w", err)
	}
	for _, e := range builds {
		highest = max(highest, e.Value.Order, e.Value.Request)
	}
	fleets, err := Fleets(c).List(ctx)
	if err != nil && !errors.Is(err, ErrUndeclared) {
		return 0, fmt.Errorf("finding the orders that were given: %w", err)
	}
	for _, e := range fleets {
		highest = max(highest, e.Value.Highest)
	}
	return highest + 1, nil
}

// orDefault returns v, or def where v is zero.
func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// streams lists every stream, those below the buckets included.
func (c *Client) streams(l Layout) []declared {
	s := c.space
	requests := c.stream(s.RequestsStream(), s.RequestSubjects(), jetstream.DiscardNew, sizes{l.Replicas, l.RequestBytes, 0}, DefaultRequestBytes, 0)
	requests.AllowAtomicPublish = true // requests that wait together are stored together
	out := []declared{
		requests,
		c.stream(s.EventsStream(), s.EventSubjects(), jetstream.DiscardOld, sizes{l.Replicas, l.EventBytes, l.EventAge}, DefaultEventBytes, DefaultEventAge),
		c.stream(s.LogsStream(), s.LogSubjects(), jetstream.DiscardOld, sizes{l.Replicas, l.LogBytes, l.LogAge}, DefaultLogBytes, DefaultLogAge),
		bucket(s.BuildsBucket(), l.Replicas, 1),
		bucket(s.RolloutsBucket(), l.Replicas, 1),
		bucket(s.FleetsBucket(), l.Replicas, fenceHistory),
		bucket(s.MembersBucket(), l.Replicas, 1),
		bucket(s.FenceBucket(), l.Replicas, fenceHistory),
		nodesBucket(s, l),
		contextsStore(s, l),
	}
	return out
}

func (c *Client) stream(name string, subjects []string, discard jetstream.DiscardPolicy, asked sizes, bytes int64, age time.Duration) declared {
	age = orDefault(asked.age, age)
	known := duplicates
	if age > 0 {
		known = min(known, age)
	}
	return declared{
		StreamConfig: jetstream.StreamConfig{
			Name: name, Subjects: subjects, Duplicates: known,
			Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: discard,
			MaxConsumers: -1, MaxMsgs: -1, MaxMsgsPerSubject: -1,
			MaxBytes: orDefault(asked.bytes, bytes), MaxAge: age,
			Replicas: orDefault(asked.replicas, 1),
			// No rollups: whoever may publish one message could remove all others by a header.
			AllowDirect: true,
		},
		asked: asked,
	}
}

// bucket is the stream of a KV bucket, as nats.go would make it, but without rollups: whoever
// may write one key could remove all others by a header.
func bucket(name string, replicas int, history int64) declared {
	return declared{
		StreamConfig: jetstream.StreamConfig{
			Name: "KV_" + name, Subjects: []string{"$KV." + name + ".>"},
			Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
			MaxConsumers: -1, MaxMsgs: -1, MaxMsgsPerSubject: history, MaxBytes: -1,
			Replicas:   orDefault(replicas, 1),
			DenyDelete: true, AllowDirect: true,
		},
		asked: sizes{replicas: replicas},
	}
}

// nodesBucket keeps heartbeats in memory. An entry that expires leaves no marker: NATS allows
// rollups wherever it makes markers. Whoever watches learns of it by the clock.
func nodesBucket(s messages.Space, l Layout) declared {
	b := bucket(s.NodesBucket(), l.Replicas, 1)
	b.Storage = jetstream.MemoryStorage
	b.MaxAge = orDefault(l.NodeTTL, DefaultNodeTTL)
	b.asked.age = l.NodeTTL
	return b
}

// contextsStore is the stream of an object store, as nats.go would make it. It needs rollups:
// by them a context's description takes the place of the one before.
func contextsStore(s messages.Space, l Layout) declared {
	name := s.ContextsStore()
	return declared{
		StreamConfig: jetstream.StreamConfig{
			Name: "OBJ_" + name, Subjects: []string{"$O." + name + ".C.>", "$O." + name + ".M.>"},
			Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
			MaxConsumers: -1, MaxMsgs: -1, MaxMsgsPerSubject: -1,
			MaxBytes: orDefault(l.ContextBytes, DefaultContextBytes), MaxAge: orDefault(l.ContextAge, DefaultContextAge),
			Replicas:    orDefault(l.Replicas, 1),
			AllowRollup: true, AllowDirect: true,
		},
		asked: sizes{l.Replicas, l.ContextBytes, l.ContextAge},
	}
}
